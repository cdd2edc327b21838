"""A private network namespace to run programs in, gone when the test is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

VNET = str(Path(sys.executable).with_name("vnet"))
SHIPPED = Path(__file__).resolve().parents[2] / "plugins" / "shipped"

# What a program has to be started with to have no right that a user lacks, though the tests run as root.
WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until `condition` holds and return the seconds it took; fail, naming `what`, when it never does."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)
    return time.monotonic() - start


def descendants(pid: int) -> set[int]:
    """Return the ids of all processes that stand below `pid`."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def is_running(pid: int) -> bool:
    """Tell whether a process exists and has not ended (a zombie has)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def ended(pids: set[int]) -> bool:
    """Tell whether none of these processes runs any more."""
    return not any(is_running(pid) for pid in pids)


class Lab:
    """One network namespace, held by a process that ends with this one."""

    def __enter__(self) -> Lab:
        # cat ends at the end of its input, so nothing is left when pytest itself is killed.
        self._holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.pid = self._holder.pid
        self.path = f"/proc/{self.pid}/ns/net"
        ours = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(self.path) != ours, 10, "unshare made a namespace")
        self._started: list[subprocess.Popen[str]] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self._holder.communicate()

    def run(self, *argv: str | Path, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program to its end in the namespace, its output captured."""
        command = ["nsenter", f"--net={self.path}", *map(str, argv)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)

    def popen(self, *argv: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start a program in the namespace; its process id is the program's own."""
        command = ["nsenter", f"--net={self.path}", *map(str, argv)]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, **(pipes | options))
        self._started.append(process)
        return process

    def interfaces(self) -> set[str]:
        """Return the names of the interfaces there."""
        return {link["ifname"] for link in json.loads(self.run("ip", "-json", "link", "show").stdout)}
