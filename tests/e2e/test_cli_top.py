"""`vnet top`: what a lab, `vnet tap` or `vnet wire` carries, by an ordinary user and by root."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from typing import Any

import pytest
from lab import VNET, Lab, wait_until
from test_cli_lab import LAB, alone, in_lab, start, vnet
from unprivileged import Person


@pytest.fixture(params=["user", "root"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with alone(request.param) as found:
        yield found


def rows(text: str) -> list[dict[str, Any]]:
    """Return the rows of the last object of `vnet top --json`."""
    found: list[dict[str, Any]] = json.loads([line for line in text.splitlines() if line.startswith("{")][-1])["rows"]
    return found


def test_it_shows_what_a_lab_carries(somebody: Person) -> None:
    lossy = LAB.replace('ends = ["h2", "s1"]', 'ends = ["h2", "s1"]\nloss = 0.5')
    done = in_lab(
        somebody,
        """
        # Until the neighbours have found each other nothing else is sent.
        until vnet exec h1 -- ping -n -c1 -W1 10.0.0.2 >/dev/null; do :; done
        vnet exec h1 -- ping -n -i0.05 10.0.0.2 >/dev/null 2>&1 &
        vnet exec h1 -- ping -n -c20 -i0.05 -W1 10.0.0.2 >/dev/null
        vnet top --once || exit 1
        vnet top --once --json --every 0.5 || exit 2
        """,
        *("--plugin", "h1-s1=count"),
        lab=lossy,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("h1-s1 from h1:eth0", "count on h1-s1", "loss ", "ns/packet", "bit/s"):
        assert word in done.stdout, done.stdout
    found = rows(done.stdout)
    sent = next(row for row in found if (row["kind"], row["link"], row["node"]) == ("link", "h1-s1", "h1"))
    assert sent["frames"] >= 5  # in half a second, of twenty a second or more
    assert sent["frames_per_s"] > 0
    assert sent["bits_per_s"] > 0
    lost = [row for row in found if row["kind"] == "link" and row["reasons"].get("loss")]
    assert {row["link"] for row in lost} == {"h2-s1"}
    stage = next(row for row in found if row["kind"] == "stage")
    assert (stage["stage"], stage["link"], stage["state"]) == ("count", "h1-s1", "running")
    assert stage["ns_per_packet"] > 0


def test_lines_come_until_the_lab_ends(somebody: Person) -> None:
    process = start(somebody, "--name", "ends")
    top = somebody.popen(somebody.python, "-m", "vnet", "top", "ends", "--json", "--every", "0.1")
    assert top.stdout is not None
    names = [json.loads(top.stdout.readline())["name"] for _ in range(3)]
    assert all(name.startswith("ends@") for name in names)
    process.terminate()
    process.communicate(timeout=20)
    _, err = top.communicate(timeout=20)
    assert top.returncode == 0, err
    assert "ends@" in err


def test_a_process_that_does_not_answer_has_its_kernels_asked(somebody: Person) -> None:
    process = start(somebody, "--name", "stopped")
    process.send_signal(signal.SIGSTOP)
    try:
        done = vnet(somebody, "top", "stopped", "--once", "--json")
        assert done.returncode == 0, done.stderr
        found = rows(done.stdout)
        assert {(row["node"], row["interface"]) for row in found} == {("h1", "eth0"), ("h2", "eth0")}
        assert {row["kind"] for row in found} == {"port"}
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate(timeout=20)


def test_what_is_not_there_or_not_clear_is_an_error(somebody: Person) -> None:
    none = vnet(somebody, "top", "--once")
    assert none.returncode == 2
    assert "vnet run lab.toml" in none.stderr
    first, second = start(somebody, "--name", "one"), start(somebody, "--name", "two")
    try:
        unclear = vnet(somebody, "top", "--once")
        assert unclear.returncode == 2
        assert "one@" in unclear.stderr
        assert "two@" in unclear.stderr
        unknown = vnet(somebody, "top", "three", "--once")
        assert (unknown.returncode, "three" in unknown.stderr) == (2, True)
        assert vnet(somebody, "top", "two", "--once").returncode == 0
        assert vnet(somebody, "top", "--every", "60").returncode == 2
    finally:
        for process in (first, second):
            process.terminate()
            process.communicate(timeout=20)


def test_on_a_terminal_it_is_drawn_over_again_and_q_ends_it(lab: Lab) -> None:
    tap = lab.popen(VNET, "tap", "tap0", "--ip", "10.7.0.1/24", "--plugin", "icmp_echo", stderr=subprocess.PIPE)
    wait_until(lambda: "tap0" in lab.run(VNET, "top", "--once").stdout, 60, "the device can be looked at")
    ours, theirs = os.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    top = lab.popen(VNET, "top", "tap0", "--every", "0.1", stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    seen = bytearray()

    def screen() -> str:
        while select.select([ours], [], [], 0)[0]:
            seen.extend(os.read(ours, 65536))
        return seen.decode()

    assert lab.run("ping", "-c3", "-i0.2", "-W5", "10.7.0.2").returncode == 0
    wait_until(lambda: screen().count("\x1b[H") > 3 and "icmp_echo" in screen(), 60, "it was drawn several times")
    assert "\x1b[?1049h" in screen()
    os.write(ours, b"s")
    wait_until(lambda: "by frames (s: next)" in screen(), 20, "s sorts by another column")
    os.write(ours, b"q")
    assert top.wait(timeout=20) == 0
    assert screen().endswith("\x1b[?25h\x1b[?1049l")
    for drawn in screen().split("\x1b[H")[1:-1]:
        assert all(len(line.replace("\x1b[K", "")) <= 50 for line in drawn.split("\r\n"))
    tap.terminate()
    tap.communicate(timeout=20)
    os.close(ours)
    os.close(theirs)
