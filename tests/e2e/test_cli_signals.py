"""How `vnet` ends: by Ctrl-C at once and in order, by SIGKILL without leaving anything."""

from __future__ import annotations

import signal
import statistics
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
from lab import VNET, Lab, descendants, ended, wait_until

# Seconds that the end may take: a fifth of one where nothing else runs.
ON_A_BUSY_MACHINE = 1.0


def start_until_ready(lab: Lab, *command: str) -> subprocess.Popen[str]:
    """Start `vnet tap tap0` and return once it is in its wait."""
    process = lab.popen(VNET, "tap", "tap0", "--ip", "10.0.0.1/24", "--plugin", "icmp_echo", *command)
    if command:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    else:
        assert process.stderr is not None
        assert "Ctrl-C" in process.stderr.readline()
    return process


def seconds_to_end(process: subprocess.Popen[str], number: signal.Signals) -> float:
    start = time.monotonic()
    process.send_signal(number)
    process.wait(timeout=10)
    return time.monotonic() - start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once(lab: Lab, number: signal.Signals) -> None:
    times = []
    for _ in range(3):
        process = start_until_ready(lab)
        times.append(seconds_to_end(process, number))
        out, err = process.communicate()
        assert process.returncode == 0
        assert out.splitlines()[1].startswith("icmp_echo"), "the table is printed all the same"
        assert "Traceback" not in err
        assert "tap0" not in lab.interfaces()
    assert statistics.median(times) < ON_A_BUSY_MACHINE, times


def test_the_command_ends_in_its_own_way_by_the_same_signal(lab: Lab) -> None:
    process = start_until_ready(lab, "--", "sh", "-c", "trap 'exit 9' INT; echo ready; while :; do sleep 0.02; done")
    assert seconds_to_end(process, signal.SIGINT) < ON_A_BUSY_MACHINE
    assert process.returncode == 9


def test_a_command_that_ignores_the_signal_is_killed(lab: Lab) -> None:
    times = []
    for _ in range(3):
        process = start_until_ready(lab, "--", "sh", "-c", "trap '' INT TERM; echo ready; while :; do sleep 1000; done")
        started = descendants(process.pid)
        times.append(seconds_to_end(process, signal.SIGINT))
        assert process.returncode == 128 + signal.SIGINT
        wait_until(partial(ended, started), 1, "everything it started is gone")
    assert statistics.median(times) < ON_A_BUSY_MACHINE, times


def test_sigkill_leaves_neither_the_device_nor_what_the_command_started(lab: Lab, tmp_path: Path) -> None:
    # One process in the command's own group, one in a session of its own that its parent has left.
    script = (
        "setsid sh -c 'echo $$ >daemon; exec sleep 1000' & sleep 1000 & echo $! >child; echo ready; exec sleep 1000"
    )
    process = lab.popen(VNET, "tap", "tap0", "--", "sh", "-c", script, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    wait_until(
        lambda: (tmp_path / "daemon").exists() and (tmp_path / "daemon").read_text() != "", 10, "the daemon started"
    )
    assert "tap0" in lab.interfaces()
    started = descendants(process.pid) | {int((tmp_path / name).read_text()) for name in ("daemon", "child")}
    assert len(started) >= 3
    process.kill()
    wait_until(lambda: "tap0" not in lab.interfaces(), 1, "tap0 is gone")
    wait_until(partial(ended, started), 1, "every process it started is gone")
