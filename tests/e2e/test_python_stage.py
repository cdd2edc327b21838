"""Python callables in the place of plugins: on links, switches, devices and wires, as root and as an ordinary user."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import vnet
from lab import Lab, wait_until
from unprivileged import person

PASSING = b"""(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"""


def frame(number: int) -> bytes:
    return bytes.fromhex("020000000001 020000000002 88b5 0000") + number.to_bytes(4, "little") + bytes(40)


@pytest.fixture
def tap(lab: Lab) -> Iterator[vnet.Tap]:
    """A device on which the kernel says nothing of its own accord."""
    lab.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    with vnet.Tap("tap0", netns=lab.path) as tap:
        yield tap


def engine(tap: vnet.Tap) -> vnet.PipelineStats:
    stats = tap.stats.engine
    assert stats is not None
    return stats


def send(tap: vnet.Tap, *numbers: int) -> None:
    """Send frames and wait until none of them is under way."""
    before = engine(tap).sent_in
    for number in numbers:
        tap.send(frame(number))
    wait_until(lambda: engine(tap).sent_in == before + len(numbers), 60, "the frames were taken")
    wait_until(lambda: engine(tap).balance == 0, 60, "in = out + named drops")


def sums(stats: vnet.StageStats) -> bool:
    return stats.packets_in == stats.passed + stats.dropped + stats.redirected + stats.tx


def test_every_answer_counts_and_frames_go_on_between_plugins(tap: vnet.Tap) -> None:
    first = tap.attach("count", direction="egress")
    last = tap.attach(PASSING, direction="egress")
    seen: list[int] = []

    def judge(packet: vnet.Packet) -> object:
        number = int.from_bytes(packet.data[16:20], "little")
        seen.append(number)
        assert (packet.port, packet.direction, packet.layer) == ("tap0", "egress", "l2")
        assert abs(packet.timestamp - time.time()) < 600
        match number % 6:
            case 0:
                return False
            case 1:
                return packet.drop("second")
            case 2:
                packet.data[20] = 7
                return None
            case 3:
                return bytes(packet) + b"more"
            case 4:
                return packet.frame()
            case _:
                return True

    stage = tap.attach(judge, direction="egress", position=1)
    assert isinstance(stage, vnet.Stage)
    send(tap, *range(600))
    stats = stage.stats
    assert seen == list(range(600))
    assert (stats.packets_in, stats.passed, stats.dropped) == (600, 400, 200)
    assert stats.drops == {"drop": 100, "second": 100}
    assert (stats.slow, stats.form, stats.waiting) == (True, "python", 0)
    assert stats.ns_per_packet > 100
    assert (first.stats.packets_in, last.stats.packets_in) == (600, 400)
    assert not first.stats.slow
    assert engine(tap).ports[0].tx_packets == 400
    assert "python: slow" in repr(stage)
    assert "python: slow" in stage._repr_mimebundle_()["text/html"]
    assert stage.detach() == stage.detach() == stage.stats
    assert stage.detached
    send(tap, *range(10))
    assert last.stats.packets_in == 410


@pytest.mark.parametrize("on_fault", ["closed", "open"])
def test_an_exception_is_a_fault(
    tap: vnet.Tap, on_fault: vnet._plugin.OnFault, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(packet: vnet.Packet) -> None:
        packet.data[20] = 0xEE
        if packet.data[16] % 10 == 0:
            raise ValueError("boom")
        packet.data[20] = 0

    last = tap.attach(
        lambda packet: packet.drop("torn") if packet.data[20] == 0xEE else None, direction="egress", trip=None
    )
    stage = tap.attach(fails, direction="egress", on_fault=on_fault, trip=None, position=0)
    with caplog.at_level(logging.ERROR, logger="vnet"):
        send(tap, *range(200))
        wait_until(lambda: "Traceback" in caplog.text and "boom" in caplog.text, 10, "logging has the traceback")
    # One line says which stage failed and how, and the traceback is its own.
    told = [record for record in caplog.records if record.exc_text]
    first = told[0]
    assert first.name == "vnet.plugin.fails"
    assert first.getMessage().startswith("stage fails: exception: ValueError: boom (")
    assert first.getMessage().endswith("it goes on with the next frame")
    assert "raise ValueError" in str(first.exc_text)
    assert len(told) < 10, "the traceback comes at most once a second"
    stats = stage.stats
    assert stats.faults == {"exception": 20}
    assert (stats.passed, stats.drops) == ((200, {}) if on_fault == "open" else (180, {"fault": 20}))
    assert last.stats.drops == {}, "what it did to the packet goes with the fault"
    assert sums(stats)
    assert stats.last_fault is not None
    assert "raise ValueError" in stats.last_fault.backtrace
    event = stage.events.wait("fault", 10)
    assert "ValueError: boom" in event.message


def test_faults_trip_it_and_a_reset_revives_it(tap: vnet.Tap) -> None:
    def fails(packet: vnet.Packet) -> object:
        return 3 if packet.data[16] == 0 else None

    stage = tap.attach(fails, direction="egress", trip=(1, "60s"))
    send(tap, 0)
    wait_until(lambda: stage.stats.state == "tripped", 10, "it tripped")
    send(tap, 1)
    assert stage.stats.drops == {"fault": 1, "tripped": 1}
    assert "returned 3" in stage.events.wait("fault", 10).message
    stage.reset()
    send(tap, 1)
    assert stage.stats.passed == 1
    assert stage.stats.state == "running"


def test_one_that_hangs_holds_up_nothing_but_its_own_frames(tap: vnet.Tap) -> None:
    go = threading.Event()
    stage = tap.attach(lambda _: bool(go.wait(60)), direction="egress")
    for number in range(1100):
        tap.send(frame(number))
    wait_until(lambda: engine(tap).sent_in == 1100, 60, "the frames were taken")
    stats = stage.stats
    assert (stats.waiting, stats.drops) == (1024, {"stage_full": 76})
    assert engine(tap).held == engine(tap).balance == 1024
    began = time.monotonic()
    stats = stage.detach()
    assert time.monotonic() - began < 10
    assert stats.drops == {"stage_full": 76, "unanswered": 1024}
    assert engine(tap).balance == 0
    go.set()
    send(tap, 1, 2)
    assert engine(tap).ports[0].tx_packets == 2


def test_a_device_that_closes_ends_its_stage(lab: Lab) -> None:
    before = threading.active_count()
    with vnet.Tap("tap0", netns=lab.path) as tap:
        stage = vnet.stage(lambda _: None, on=tap, name="mine")
        assert stage.name == "mine"
    assert stage.detached
    wait_until(lambda: threading.active_count() <= before + 1, 10, "its thread has ended")


def test_what_cannot_be_a_stage_is_refused_in_words(tap: vnet.Tap) -> None:
    async def coroutine(packet: vnet.Packet) -> None: ...

    def judge(packet: vnet.Packet) -> None: ...

    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: tap.attach(coroutine), "coroutine"),
        (lambda: vnet.stage(judge, on=[]), "place"),
        (lambda: vnet.stage(judge, on=7), "no place"),  # type: ignore[call-overload]
        (lambda: tap.attach(judge, config={"a": 1}), "configuration"),
        (lambda: tap.attach("count").swap(judge), "callable"),
        (lambda: tap.attach(judge).swap("count"), "cannot be swapped"),
        (lambda: tap.attach(judge).watch(__file__), "cannot be swapped"),
    ]
    for call, words in refused:
        with pytest.raises(vnet.InvalidValue, match=words):
            call()


def check_network() -> None:
    """Uses stages all over a lab; anybody may."""
    with vnet.Network(seed=1) as net:
        h1, h2, h3 = net.host("h1"), net.host("h2"), net.host("h3")
        s1 = net.switch("s1")
        links = [net.link(host, s1) for host in (h1, h2, h3)]
        ports: set[str] = set()

        @net.stage(on=links[0])
        def look(packet: vnet.Packet) -> None:
            ports.add(f"{packet.port} {packet.direction}")

        assert look(vnet.Packet(b"x", ports=("h1", "s1"))) is None, "it is the function still"
        assert h1.ping(h2, count=2)
        assert {"h1 ingress", "s1 egress"} <= ports
        assert look.stats.passed > 3

        with net.stage(lambda packet: packet.drop("all"), on=[links[0], s1]) as everywhere:
            assert len(everywhere.places) == 2
            assert not h1.ping(h2, timeout=0.3)
            assert not h3.ping(h2, timeout=0.3)
            assert sums(everywhere.stats)
            assert everywhere.stats.drops["all"] == everywhere.stats.dropped > 1
        assert h1.ping(h2)

        # A transfer arrives whole through a stage on the switch and one on an interface of a host.
        with s1.attach(lambda _: None) as on_switch, h1.attach(lambda _: None, direction="both"):
            flow = h1.iperf(h2, seconds=0.5)
            assert flow.bits_per_second > 100_000
            assert on_switch.stats.packets_in > 20
            assert max(on_switch.stats.drops, default="stage_full") == "stage_full"
        hang = threading.Event()
        links[1].attach(lambda _: bool(hang.wait(30)))
        assert not h1.ping(h2, timeout=0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 15
    hang.set()


def test_stages_judge_all_over_a_lab() -> None:
    check_network()


def run_python(source: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", source],
        text=True,
        capture_output=True,
        timeout=120,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "os.fork() or os._exit(0); os.wait()"])
def test_an_interpreter_that_ends_with_a_stage_at_work_ends_cleanly(end: str) -> None:
    done = run_python(f"""
import os, sys, threading, time, vnet
net = vnet.Network()
h1, h2 = net.host("h1"), net.host("h2")
link = net.link(h1, h2)
busy = net.stage(lambda _: None, on=link)
assert h1.ping(h2)
hangs = net.stage(lambda packet: time.sleep(60), on=link)
h1.ping(h2, timeout=0.1)
{end}
""")
    assert done.returncode == (3 if "exit(3)" in end else 0), done.stderr
    assert "Fatal" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_ordinary_user_has_stages_too() -> None:
    parts = (inspect.getsource(part) for part in (sums, check_network))
    with person("user") as user:
        user.does("\n".join(["import threading, time, vnet", *parts, "check_network()"]))
