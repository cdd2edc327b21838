"""Ctrl-C is answered within 0.2 s, by KeyboardInterrupt, wherever Python waits."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from procs import running

pytestmark = pytest.mark.usefixtures("netns")

PROGRAM = """
import time, vnet
tap = vnet.Tap("tap0", up=False)
print("ready", flush=True)
try:
    {wait}
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
tap.close()
"""


@pytest.mark.parametrize(
    "wait",
    [
        "tap.recv()",
        "tap.recv(timeout=60)",
        "next(iter(tap))",
        "vnet.run('sleep 86395')",
        "vnet.run('sleep 86395', capture=False)",
    ],
)
def test_an_interrupt_is_answered_in_time(wait: str) -> None:
    # A session of its own: the signal reaches Python alone, as from a notebook's stop button.
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(wait=wait)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)  # Into the wait: there is nothing outside to see it by.
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    answered = float(process.stdout.readline())
    assert answered - sent < 0.2
    process.communicate()
    assert process.returncode == 0
    assert not running("sleep", "86395")
