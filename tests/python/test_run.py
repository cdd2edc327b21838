from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest
import vnet
from procs import running
from wait import until

pytestmark = pytest.mark.usefixtures("netns")


def test_a_text_goes_to_a_shell_and_a_list_does_not() -> None:
    done = vnet.run("echo $((1 + 1)); echo oops >&2")
    assert (done.stdout, done.stderr, done.returncode, done.ok) == ("2\n", "oops\n", 0, True)
    assert vnet.run(["echo", "$((1 + 1))"]).stdout == "$((1 + 1))\n"
    assert vnet.run(["cat", Path("/proc/sys/kernel/ostype")]).stdout == "Linux\n"


def test_a_command_sees_the_devices() -> None:
    with vnet.Tap("tap0"):
        assert "tap0" in vnet.run("ip -br link").stdout


def test_a_failure_is_raised_when_asked_for() -> None:
    assert vnet.run("exit 3").returncode == 3
    with pytest.raises(vnet.CommandFailed, match="status 3: told you") as caught:
        vnet.run("echo out; echo told you >&2; exit 3", check=True)
    error = caught.value
    assert isinstance(error, subprocess.CalledProcessError)
    assert (error.returncode, error.stdout, error.stderr) == (3, "out\n", "told you\n")


def test_a_signal_is_a_negative_status_as_in_subprocess() -> None:
    assert vnet.run(["sh", "-c", "kill -9 $$"]).returncode == -9


def test_input_environment_and_directory_are_the_commands() -> None:
    assert vnet.run("cat", input="ä" * 100_000).stdout == "ä" * 100_000
    assert vnet.run("cat").stdout == ""
    assert vnet.run("echo $A", env={"A": "b", "PATH": os.environ["PATH"]}).stdout == "b\n"
    assert vnet.run("pwd", cwd="/usr").stdout == "/usr\n"
    assert vnet.run("printf '\\377'", text=False).stdout == b"\xff"
    assert vnet.run("printf '\\377'").stdout == "\ufffd"


def test_output_of_any_size_is_taken() -> None:
    assert len(vnet.run("head -c 5000000 /dev/zero", text=False).stdout) == 5_000_000


def test_a_program_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(vnet.NotFound, match="no-such-program"):
        vnet.run(["no-such-program"])
    with pytest.raises(vnet.InvalidValue, match="empty"):
        vnet.run([])


def test_a_timeout_kills_everything_the_command_started() -> None:
    start = time.monotonic()
    with pytest.raises(vnet.TimeoutError, match=r"0\.3") as caught:
        vnet.run("echo started; (setsid sleep 86399 &) ; sleep 86399", timeout=0.3)
    assert 0.3 <= time.monotonic() - start < 10
    assert caught.value.stdout == "started\n"
    until(lambda: not running("sleep", "86399"), "the whole tree is gone")


def test_what_outlives_the_command_is_ended_with_it() -> None:
    start = time.monotonic()
    assert vnet.run("sleep 86398 & echo done").stdout == "done\n"
    assert time.monotonic() - start < 10
    until(lambda: not running("sleep", "86398"), "the background process is gone")


def test_arun_does_not_block_the_loop_and_dies_with_its_task() -> None:
    async def main() -> None:
        ticks = 0
        task = asyncio.create_task(vnet.arun("sleep 0.3; echo hi", check=True))
        while not task.done():
            ticks += 1
            await asyncio.sleep(0.01)
        assert (await task).stdout == "hi\n"
        assert ticks > 5
        task = asyncio.create_task(vnet.arun("sleep 86397"))
        while not running("sleep", "86397"):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    until(lambda: not running("sleep", "86397"), "the command is gone")


def test_the_repr_says_what_was_run_and_how_it_ended() -> None:
    assert repr(vnet.run("echo hi")) == "<vnet.Completed 'echo hi' returncode=0 stdout='hi\\n'>"
