"""`vnet exec` on a terminal: the node's program has one of its own, and the user's is put back as it was."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest
from lab import wait_until
from unprivileged import PERSONS, Person, person

LAB = 'hosts = ["h1", "h2"]\nlinks = [["h1", "h2"]]\n'


@pytest.fixture(params=PERSONS)
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    with person(request.param) as found:
        path = found.home / "lab.toml"
        path.write_text(LAB)
        lab = found.popen(found.python, "-m", "vnet", "run", path, "--name", "typed")
        assert lab.stderr is not None
        while "Ctrl-C" not in (line := lab.stderr.readline()):
            assert line, "the lab did not come up"
        yield found


class Terminal:
    """A terminal with `vnet exec` in its foreground."""

    def __init__(self, somebody: Person, *command: str) -> None:
        self.screen = b""
        self._ours, theirs = os.openpty()
        self.resize(31, 97)
        self.before = termios.tcgetattr(theirs)
        words = [somebody.python, "-m", "vnet", "exec", "--lab", "typed", "h1", "--", *command]
        self.process: subprocess.Popen[str] = somebody.popen(
            *words,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self._theirs = theirs

    def close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self._ours, text)

    def read(self, seconds: float = 0.0) -> bytes:
        while select.select([self._ours], [], [], seconds)[0]:
            self.screen += os.read(self._ours, 4096)
        return self.screen

    def wait_for(self, text: bytes, seconds: float = 20) -> None:
        until = time.monotonic() + seconds
        while text not in self.screen:
            assert time.monotonic() < until, f"no {text!r} in {self.screen!r}"
            self.read(0.05)

    def end(self, seconds: float = 20) -> int:
        def has_ended() -> bool:
            self.read()
            return self.process.poll() is not None

        wait_until(has_ended, seconds, f"the command ends; the screen: {self.screen!r}")
        self.read()
        return self.process.returncode

    def mode(self) -> list[object]:
        return list(termios.tcgetattr(self._theirs))


def test_a_program_has_a_terminal_of_the_right_size_and_its_exit_code_is_kept(somebody: Person) -> None:
    terminal = Terminal(somebody, "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size; exit 11")
    assert terminal.end() == 11
    assert b"31 97" in terminal.screen
    assert terminal.mode() == terminal.before
    terminal.close()


def test_keys_reach_the_program_and_ctrl_c_interrupts_it_alone(somebody: Person) -> None:
    # A trap ends dash's read.
    script = "trap 'echo interrupted' INT; echo ready; until read word; do :; done; echo got $word; exit 3"
    terminal = Terminal(somebody, "sh", "-c", script)
    terminal.wait_for(b"ready")
    terminal.type(b"\x03")
    terminal.wait_for(b"interrupted")
    terminal.type(b"hello\r")
    terminal.wait_for(b"got hello")
    assert terminal.end() == 3
    assert terminal.mode() == terminal.before
    terminal.close()


def test_a_shell_has_job_control_and_ends_with_ctrl_d(somebody: Person) -> None:
    terminal = Terminal(somebody, "bash", "--norc", "-i")
    terminal.type(b"echo $((6*7)); hostname; tty\r")
    terminal.wait_for(b"42")
    terminal.wait_for(b"/dev/pts/")
    assert b"no job control" not in terminal.screen
    terminal.type(b"sleep 1000\r")
    wait_until(lambda: b"sleep 1000\r\n" in terminal.read(0.02), 10, "bash took the line")
    terminal.type(b"\x03")
    terminal.type(b"echo after-$((1+1))\r")
    terminal.wait_for(b"after-2")
    terminal.type(b"\x04")
    terminal.end()
    assert terminal.mode() == terminal.before
    terminal.close()


def test_a_new_size_reaches_the_program(somebody: Person) -> None:
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done"
    terminal = Terminal(somebody, "bash", "-c", script)
    terminal.wait_for(b"ready")
    terminal.resize(50, 132)
    terminal.wait_for(b"50 132")
    terminal.type(b"\x03")
    terminal.end()
    terminal.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_back_when_the_command_line_is_ended(somebody: Person, number: signal.Signals) -> None:
    terminal = Terminal(somebody, "sh", "-c", "echo ready; exec sleep 1000")
    terminal.wait_for(b"ready")
    assert terminal.mode() != terminal.before, "it is in raw mode"
    terminal.process.send_signal(number)
    assert terminal.end() == 128 + number
    assert terminal.mode() == terminal.before
    terminal.close()


def test_the_terminal_is_put_back_when_the_lab_ends(somebody: Person) -> None:
    terminal = Terminal(somebody, "sh", "-c", "echo ready; exec sleep 1000")
    terminal.wait_for(b"ready")
    [lab] = [process for process in somebody.started if "run" in process.args]
    lab.terminate()
    assert terminal.end() != 0
    assert terminal.mode() == terminal.before
    terminal.close()


def test_a_stream_that_leads_elsewhere_is_no_terminal(somebody: Person) -> None:
    """As in `vnet exec h1 -- ls >file`: no carriage returns in the file."""
    ours, theirs = os.openpty()
    words = [
        "-m",
        "vnet",
        "exec",
        "--lab",
        "typed",
        "h1",
        "--",
        "sh",
        "-c",
        "test -t 0 && echo one; test -t 1 || echo two",
    ]
    process = somebody.popen(somebody.python, *words, stdin=theirs)
    out, err = process.communicate(timeout=20)
    assert out == "one\ntwo\n", err
    assert process.returncode == 0
    os.close(ours)
    os.close(theirs)
