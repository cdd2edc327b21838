"""Who runs a test's program: an ordinary user without /dev/net/tun, one with it, or root.

The ordinary user has no capability, no group, a home of its own, and a Python that it may read: the one that
`scripts/user_python` made in /var/tmp, since neither the clone nor root's own Python need be readable to others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534
PERSONS = ("user", "user+tun", "root")
TUN = Path("/dev/net/tun")

# The environment variable by which a test knows what one of its programs has started.
MARK = "VNET_TEST_MARK"

# `unshare` makes a mount namespace in which /dev/net/tun is a node of its own with mode $1; what follows is executed.
WITH_TUN_NODE = (
    'set -e; d=$2; mount -t tmpfs -o mode=755,dev tun "$d"; mknod -m "$1" "$d/tun" c 10 200; '
    'mount --bind "$d/tun" /dev/net/tun; umount -l "$d"; shift 2; exec "$@"'
)
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all")


@dataclass(frozen=True)
class Person:
    """Somebody who runs Python programs with vnet."""

    name: str
    python: Path
    home: Path
    prefix: tuple[str, ...] = ()
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def has_tun(self) -> bool:
        """Whether /dev/net/tun can be opened."""
        return self.name != "user"

    @property
    def is_root(self) -> bool:
        return self.name == "root"

    @property
    def environment(self) -> dict[str, str]:
        """A clean environment in which nothing leads to root's files."""
        home = str(self.home)
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": home,
            "TMPDIR": f"{home}/tmp",
            "JUPYTER_CONFIG_DIR": f"{home}/jupyter/config",
            "JUPYTER_DATA_DIR": f"{home}/jupyter/data",
            "JUPYTER_RUNTIME_DIR": f"{home}/jupyter/runtime",
            "IPYTHONDIR": f"{home}/ipython",
            MARK: self.mark,
        }

    def command(self, *argv: str | Path) -> list[str]:
        """Return the words that start a program as this person."""
        return [*self.prefix, *map(str, argv)]

    def popen(self, *argv: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start a program; its process id is the program's own."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        setting = {"env": self.environment, "cwd": self.home, "text": True}
        process = subprocess.Popen(self.command(*argv), **(pipes | setting | options))
        self.started.append(process)
        return process

    def end(self) -> None:
        """End what was started and still runs."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def run(self, *argv: str | Path, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, its output captured."""
        process = self.popen(*argv, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{argv[-1]} did not end within {timeout} s\n{out}\n{err}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def script(self, source: str, *args: str | Path) -> list[str | Path]:
        """Return the words after which Python runs `source` with warnings as errors."""
        return [self.python, "-W", "error", "-c", source, *args]

    def does(self, source: str, *args: str | Path, timeout: float = 60) -> str:
        """Run a Python program that has to succeed, and return what it printed."""
        done = self.run(*self.script(source, *args), timeout=timeout)
        assert done.returncode == 0, f"{self.name}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextmanager
def person(name: str) -> Iterator[Person]:
    """Give somebody with a home that is gone afterwards; skip the test, with the reason, where there can be none."""
    reason = impossible(name)
    if reason is not None:
        pytest.skip(reason)
    # Not in /tmp: a node has a /tmp of its own, and pytest's directories are closed to others.
    home = Path(tempfile.mkdtemp(prefix="vnet-home-", dir="/var/tmp"))
    try:
        (home / "tmp").mkdir()
        (home / "dev").mkdir()
        prefix: tuple[str, ...] = ()
        # Root takes it too: a clone below /tmp cannot be seen in a node, which has a /tmp of its own.
        python = user_python() / "bin" / "python"
        if not python.exists():
            python = Path(sys.executable)
        if os.geteuid() == 0 and name != "root":
            for path in (home, home / "tmp"):
                os.chown(path, NOBODY, NOBODY)
            prefix = (*tun_node(name, home / "dev"), *AS_NOBODY)
        somebody = Person(name, python, home, prefix)
        try:
            yield somebody
        finally:
            somebody.end()
    finally:
        shutil.rmtree(home)


def user_python() -> Path:
    """Return the venv that an ordinary user may read."""
    return (Path(sys.prefix) / "user-python").resolve()


def tun_node(name: str, scratch: Path) -> tuple[str, ...]:
    """Return the words that hide or open /dev/net/tun for what follows; none where it is as wanted."""
    if name == "user" and not others_may_open(TUN):
        return ()
    mode = "0666" if name == "user+tun" else "0600"
    return ("unshare", "--mount", "--propagation=private", "sh", "-c", WITH_TUN_NODE, "sh", mode, str(scratch))


def others_may_open(path: Path) -> bool:
    return path.exists() and path.stat().st_mode & 0o006 == 0o006


def impossible(name: str) -> str | None:
    """Return why there cannot be such a person here; None when there can."""
    if os.geteuid() != 0:
        if name == "root":
            return "labs as root need root: run the tests with sudo"
        opens = os.access(TUN, os.R_OK | os.W_OK)
        if opens != (name == "user+tun"):
            return f"giving a user {'no ' if opens else ''}access to /dev/net/tun needs root: run the tests with sudo"
        return None
    if name != "user" and not TUN.exists():
        return "/dev/net/tun is missing: modprobe tun"
    if name != "root" and not user_python().joinpath("bin", "python").exists():
        return f"{user_python()} is missing: run scripts/user_python {sys.prefix}, which says why"
    if name == "user+tun" and not may_make_nodes():
        return (
            "a device node for an ordinary user needs CAP_MKNOD and CAP_SYS_ADMIN: run the tests outside this container"
        )
    return None


def may_make_nodes() -> bool:
    """Tell whether this process may mount and make device nodes that can then be opened."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        command = ["unshare", "--mount", "--propagation=private", "sh", "-c", WITH_TUN_NODE, "sh", "0666", scratch]
        probe = [*command, *AS_NOBODY, "sh", "-c", ": <>/dev/net/tun"]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
