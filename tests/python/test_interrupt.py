"""Ctrl-C is answered at once, by KeyboardInterrupt, wherever Python waits."""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from procs import running

pytestmark = pytest.mark.usefixtures("netns")

# Seconds that the answer may take: a fifth of one where nothing else runs.
ON_A_BUSY_MACHINE = 1.0

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
    assert answered - sent < ON_A_BUSY_MACHINE
    process.communicate()
    assert process.returncode == 0
    assert not running("sleep", "86395")


# Some 50 microseconds of work on each frame.
SLOW = """
(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param i32 i32) (result i32) (local $n i32)
    (loop $more
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $n) (i32.const 50000))))
    (i32.const 0)))
"""

REPLAY = """
import sys, time, vnet
print("ready", flush=True)
try:
    vnet.replay(sys.argv[1], plugins=[sys.argv[2]])
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
"""


def test_an_interrupt_ends_a_long_replay(tmp_path: Path) -> None:
    record = struct.pack("<IIII", 0, 0, 60, 60) + bytes(60)
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    (tmp_path / "long.pcap").write_bytes(header + record * 1_000_000)
    (tmp_path / "slow.wat").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-c", REPLAY, tmp_path / "long.pcap", tmp_path / "slow.wat"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)  # Into the run: there is nothing outside to see it by.
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    answered = float(process.stdout.readline())
    assert answered - sent < ON_A_BUSY_MACHINE
    process.communicate()
    assert process.returncode == 0
