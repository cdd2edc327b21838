from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


@pytest.fixture
def netns() -> Iterator[str]:
    """Moves the test's thread into an empty network namespace and gives its path."""
    if os.geteuid() != 0:
        pytest.skip("making a network namespace needs root: run the tests with sudo")
    if not Path("/dev/net/tun").exists():
        pytest.skip("/dev/net/tun is missing: modprobe tun")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    _check(_libc.unshare(CLONE_NEWNET), "unshare")
    try:
        yield f"/proc/{os.getpid()}/task/{os.getpid()}/ns/net"
    finally:
        _check(_libc.setns(home, CLONE_NEWNET), "setns")
        os.close(home)


@pytest.fixture
def second_netns() -> Iterator[str]:
    """Gives the path of another empty network namespace."""
    # cat ends at the end of its input, so nothing is left when pytest itself is killed.
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    yield f"/proc/{holder.pid}/ns/net"
    holder.communicate()


@pytest.fixture
def script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a Python program in a process of its own, in the test's namespace."""

    def run(source: str, *flags: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *flags, "-c", source]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    return run
