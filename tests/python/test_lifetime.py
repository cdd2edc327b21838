from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import vnet
from procs import running
from wait import drain, until

Script = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("netns")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def interfaces() -> set[str]:
    # /sys is another namespace's here.
    return set(
        subprocess.run(
            "ip -br link | cut -d' ' -f1 | cut -d@ -f1", shell=True, capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_a_forgotten_device_warns_and_is_released_all_the_same() -> None:
    def forget() -> None:
        vnet.Tap("tap0")
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed Tap tap0"):
        forget()
    assert "tap0" not in interfaces()


def test_a_forgotten_veth_pair_warns_and_is_released() -> None:
    def forget() -> None:
        vnet.Veth("ep1", "ep2")
        gc.collect()

    # The pair ends as one, so its second end has nothing left to warn of.
    with pytest.warns(ResourceWarning, match="unclosed VethEnd ep"):
        forget()
    assert interfaces() == {"lo"}


def test_a_forgotten_wire_warns_and_gives_its_devices_back() -> None:
    with vnet.Veth("ep1", "ep2") as (a, b):

        def forget() -> None:
            vnet.Wire(a, b)
            gc.collect()

        with pytest.warns(ResourceWarning, match="unclosed <vnet.Wire ep1 <-> ep2"):
            forget()
        drain(a)


def test_a_closed_device_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with vnet.Tap("tap0") as tap:
            tap.attach("count")
        del tap
        gc.collect()


def test_a_constructor_that_fails_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            with pytest.raises(vnet.InvalidValue):
                vnet.Tap("tap0", ip="nonsense")
        gc.collect()


def test_100_cycles_leave_descriptors_and_threads_where_they_were() -> None:
    def cycle() -> None:
        with vnet.Tap("tap0") as tap:
            tap.attach("count")
            tap.send(b"\xff" * 60)
            os.close(tap.event_fd())
        with vnet.Veth("ep1", "ep2") as (a, b), vnet.Wire(a, b, plugins=["drop_bcast"]):
            pass
        vnet.run("true")

    cycle()
    before = descriptors(), threads()
    for _ in range(100):
        cycle()
    assert (descriptors(), threads()) == before


def test_what_the_process_made_is_gone_when_it_ends(script: Script) -> None:
    done = script("import vnet; t = vnet.Tap('tap0'); v = vnet.Veth('ep1', 'ep2'); b = vnet.Bridge('br0'); print(t)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<vnet.Tap tap0 up")
    assert done.stderr == ""
    assert interfaces() == {"lo"}


def test_a_device_that_is_open_at_exit_warns_in_development_mode(script: Script) -> None:
    done = script("import vnet; t = vnet.Tap('tap0')", "-X", "dev")
    assert "ResourceWarning: unclosed Tap tap0" in done.stderr


def test_ending_while_a_plugin_logs_and_a_thread_receives_is_quiet(script: Script) -> None:
    source = """
import threading, vnet
tap = vnet.Tap("tap0", ip="10.0.0.1/24")
tap.attach("icmp_echo")
def receive():
    for frame in tap:
        pass
threading.Thread(target=receive, daemon=True).start()
assert vnet.run("ping -c3 -i0.01 -W2 10.0.0.2").ok
"""
    done = script(source)
    assert (done.returncode, done.stderr) == (0, "")


def test_sigkill_leaves_neither_tap_nor_command() -> None:
    source = "import vnet; t = vnet.Tap('tap0'); print('up', flush=True); vnet.run('sleep 86396')"
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"

    until(lambda: bool(running("sleep", "86396")), "the command runs")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    took = until(lambda: not running("sleep", "86396") and "tap0" not in interfaces(), "device and command are gone")
    assert took < 3


def test_what_sigkill_leaves_is_found_and_removed_by_doctor() -> None:
    source = "import time, vnet; v = vnet.Veth('ep1', 'ep2'); b = vnet.Bridge('br0'); print('up', flush=True); time.sleep(99)"
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    assert vnet.doctor().stale == ()
    # Nobody deletes them when the keeper is killed before it can.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for keeper in map(int, children):
        os.kill(keeper, signal.SIGKILL)
    process.kill()
    process.communicate()
    report = vnet.doctor()
    assert {stale.name for stale in report.stale} == {"ep1", "ep2", "br0"}
    assert {stale.pid for stale in report.stale} == {process.pid}
    assert "br0" in str(report)
    assert report.remove_stale() == 3
    assert vnet.doctor().stale == ()
    assert interfaces() == {"lo"}


def test_a_forked_child_has_no_part_in_the_device() -> None:
    with vnet.Tap("tap0") as tap:
        plugin = tap.attach("count")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            verdicts = []
            for use in (
                lambda: tap.recv(timeout=0),
                lambda: tap.stats,
                lambda: plugin.stats,
                lambda: tap.attach("count"),
            ):
                try:
                    use()
                    verdicts.append("worked")
                except vnet.Closed:
                    verdicts.append("closed")
            tap.close()
            del tap, plugin
            gc.collect()
            os.write(writer, " ".join(verdicts).encode())
            os._exit(0)
        os.close(writer)
        assert os.read(reader, 100) == b"closed closed closed closed"
        os.close(reader)
        assert os.waitpid(child, 0)[1] == 0
        # The parent's is as it was.
        assert "tap0" in interfaces()
        assert plugin.stats.state == "running"
        tap.send(b"\xff" * 60)


def test_a_device_is_gone_when_its_maker_ends_though_a_forked_child_lives() -> None:
    reader, writer = os.pipe()
    with vnet.Tap("tap0") as tap:
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
        assert not tap.closed
    # The child closes its copy first thing, which may be after this.
    until(lambda: "tap0" not in interfaces(), "the device is gone")
    os.close(writer)
    os.close(reader)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("_", range(5))
def test_a_forked_child_makes_its_own_devices(_: int) -> None:
    with vnet.Tap("tap0") as tap:
        tap.attach("count")
        child = os.fork()
        if child == 0:
            # A child that hangs ends too.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            try:
                with vnet.Tap("tap1") as own:
                    counter = own.attach("count", direction="egress")
                    own.send(b"\xff" * 60)
                    until(lambda: counter.stats.packets_in == 1, "the frame was counted")
                os._exit(0)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
