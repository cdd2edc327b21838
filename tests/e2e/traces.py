"""What a process that used vnet leaves behind: processes, namespaces, interfaces, mounts."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab import descendants, is_running
from unprivileged import MARK

PR_SET_CHILD_SUBREAPER = 36

# What ran below this process when the test began, such as the keeper of devices that earlier tests made in this process.
_before: set[int] = set()


def begin() -> None:
    """Takes what runs below this process from here on as the test's."""
    _before.clear()
    _before.update(living(os.getpid()))


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Makes every orphan below this process its child, so that nothing that a test started escapes its sight.

    Every process that the test starts itself must have been waited for at the end.
    """
    subreaper(True)
    try:
        yield
    finally:
        subreaper(False)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def subreaper(on: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def living(pid: int) -> set[int]:
    """Return the running processes below `pid`, in whatever namespace, that were not there when the test began."""
    return {child for child in descendants(pid) if is_running(child)} - _before


def marked(mark: str) -> set[int]:
    """Return the running processes that were started, at whatever remove, with this mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0") and is_running(int(entry.name)):
                    found.add(int(entry.name))
    return found


@dataclass(frozen=True)
class Host:
    """What of the host a lab could change and must not."""

    interfaces: tuple[str, ...]
    named: tuple[str, ...]
    mounts: tuple[str, ...]

    @classmethod
    def observed(cls) -> Host:
        """Read interfaces with their addresses, the names in /run/netns, and the mount table."""
        shown = subprocess.run(["ip", "-o", "addr", "show"], capture_output=True, text=True, check=True).stdout
        # Lifetimes of addresses run down by themselves.
        links = subprocess.run(["ip", "-br", "link", "show"], capture_output=True, text=True, check=True).stdout
        addresses = (re.sub(r"\\.*", "", line) for line in shown.splitlines())
        run_netns = Path("/run/netns")
        names = sorted(entry.name for entry in run_netns.iterdir()) if run_netns.exists() else []
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return cls((*links.splitlines(), *addresses), tuple(names), tuple(mounts))


def until_gone(pid: int, seconds: float, besides: Collection[int] = ()) -> float:
    """Wait until nothing below `pid` runs but `besides`, and return the seconds it took; fail, naming what is left."""
    start = time.monotonic()
    while left := living(pid).difference(besides):
        if time.monotonic() - start > seconds:
            raise AssertionError(f"still there after {seconds} s: {[named(child) for child in sorted(left)]}")
        time.sleep(0.002)
    return time.monotonic() - start


def named(pid: int) -> str:
    """Return the number and words of a process."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        return f"{pid} {words or Path(f'/proc/{pid}/comm').read_text().strip()}"
    return f"{pid} (gone)"
