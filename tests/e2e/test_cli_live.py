"""What a command shows on a terminal while it runs: `vnet tap` its plugins' counters, others how far they have come."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios

from lab import VNET, Lab, wait_until


def screen(ours: int, seen: bytearray) -> str:
    """Read what was written to the terminal so far."""
    while select.select([ours], [], [], 0)[0]:
        seen += os.read(ours, 65536)
    return seen.decode()


def test_counters_are_drawn_over_again_and_the_table_comes_at_the_end(lab: Lab) -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    command = [VNET, "tap", "tap0", "--ip", "10.7.0.1/24", "--plugin", "icmp_echo"]
    env = os.environ | {"TERM": "xterm"}
    process = lab.popen(*command, stdout=subprocess.PIPE, stderr=theirs, env=env)
    seen = bytearray()
    wait_until(lambda: "icmp_echo" in screen(ours, seen), 60, "counters were drawn")
    assert lab.run("ping", "-c3", "-i0.2", "-W5", "10.7.0.2").returncode == 0

    def packets() -> int:
        rows = re.findall(r"^icmp_echo +(\d+)", screen(ours, seen).replace("\r", ""), re.MULTILINE)
        return int(rows[-1]) if rows else 0

    wait_until(lambda: packets() >= 4, 60, "the counters went up")
    drawn = screen(ours, seen)
    assert re.search(r"\x1b\[\d+F\x1b\[J", drawn), "each drawing takes the place of the one before"
    assert all(
        len(line) < 60 for line in drawn.replace("\r", "").split("\n") if line.startswith(("plugin ", "icmp_echo "))
    )
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("plugin")
    assert "icmp_echo" in out
    assert "\x1b[J" in screen(ours, seen)[-80:], "nothing is left on the terminal"
    os.close(ours)
    os.close(theirs)


def test_what_takes_long_shows_on_a_terminal_how_far_it_has_come(lab: Lab) -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [VNET, "plugin", "bench", "drop_bcast", "--sizes", "64", "--batches", "64", "--time", "2000"]
    env = os.environ | {"TERM": "xterm"}
    for error in (theirs, subprocess.PIPE):
        process = lab.popen(*command, stdout=subprocess.PIPE, stderr=error, env=env)
        out, said = process.communicate(timeout=120)
        assert process.returncode == 0
        assert out.startswith("drop_bcast, CPU time of one core")
        assert not said, "a pipe gets nothing"
    drawn = screen(ours, bytearray())
    shares = [int(share) for share in re.findall(r"measuring the plugin: (\d+) %, \d+\.\d s", drawn)]
    assert shares == sorted(shares), drawn
    assert shares[0] < 100, drawn
    assert drawn.endswith("\x1b[1F\x1b[J"), "nothing is left on the terminal"
    os.close(ours)
    os.close(theirs)
