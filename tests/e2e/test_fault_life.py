"""The life of plugins that fail: what is counted, what never passes, and how they come back."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
import vnet
from lab import Lab, wait_until

FRAMES = 100_000
TORN = 0xEE

# Marks every frame at byte 20 while it looks at it; every 10th, by the number at 16, makes it trap before the mark is gone.
TEARING = f"""(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param i32) (result i32)
    (i32.store8 offset=20 (local.get $p) (i32.const {TORN}))
    (if (i32.eqz (i32.rem_u (i32.load offset=16 (local.get $p)) (i32.const 10))) (then unreachable))
    (i32.store8 offset=20 (local.get $p) (i32.const 0))
    (i32.const 0)))""".encode()

# Drops, and so counts, frames that bear the mark.
LOOKING = f"""(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param i32) (result i32)
    (i32.eq (i32.load8_u offset=20 (local.get $p)) (i32.const {TORN}))))""".encode()

# Traps at frames whose number at 16 is 0.
TRAPPING = b"""(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param i32) (result i32)
    (if (i32.eqz (i32.load offset=16 (local.get $p))) (then unreachable)) (i32.const 0)))"""

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


def send(tap: vnet.Tap, *numbers: int) -> None:
    """Send frames and wait until none of them is under way."""
    before = engine(tap).sent_in
    for number in numbers:
        tap.send(frame(number))
    wait_until(lambda: engine(tap).sent_in == before + len(numbers), 60, "the frames were taken")
    wait_until(lambda: engine(tap).balance == 0, 60, "in = out + named drops")


def engine(tap: vnet.Tap) -> vnet.PipelineStats:
    stats = tap.stats.engine
    assert stats is not None
    return stats


@pytest.mark.timeout(300)
@pytest.mark.parametrize("on_fault", ["closed", "open"])
def test_a_trap_on_every_tenth_of_many_frames_costs_what_is_counted_and_nothing_else(
    tap: vnet.Tap, on_fault: vnet._plugin.OnFault
) -> None:
    first = tap.attach("count", direction="egress")
    tearing = tap.attach(TEARING, direction="egress", on_fault=on_fault, trip=None)
    last = tap.attach(LOOKING, direction="egress")
    send(tap, *range(FRAMES))
    stats = tearing.stats
    assert (first.stats.packets_in, first.stats.passed, stats.packets_in) == (FRAMES, FRAMES, FRAMES)
    assert stats.faults == {"trap": FRAMES // 10}
    assert stats.drops == {"fault": FRAMES // 10}
    assert (stats.state, stats.restarts) == ("running", FRAMES // 10)
    assert (stats.passed, stats.dropped) == (FRAMES - FRAMES // 10, FRAMES // 10)
    assert (last.stats.packets_in, last.stats.passed, last.stats.dropped) == (stats.passed, stats.passed, 0)
    assert engine(tap).ports[0].tx_packets == stats.passed
    assert not first.stats.faults
    assert not last.stats.faults
    took = [event.took_us for event in tearing.events.kept if event.kind == "restarted"]
    print(f"{on_fault}: {stats.faults['trap']} faults, reload {min(took):.0f} to {max(took):.0f} us")
    assert 0 < max(took) < 1_000_000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("on_fault", ["closed", "open"])
def test_the_same_on_a_link_of_a_lab(on_fault: vnet._plugin.OnFault) -> None:
    # What the nodes say of their own accord is not meant.
    others = b"(if (i32.ne (i32.load16_u offset=12 (local.get $p)) (i32.const 0xb588)) (then (return (i32.const 0))))"
    marks = b"(i32.store8 offset=20 (local.get $p) (i32.const 238))"
    assert marks in TEARING
    tearing = TEARING.replace(marks, others + marks, 1)
    with vnet.Network(ipv6=False) as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2)
        first = link.attach("count", direction="ingress")
        torn = link.attach(tearing, direction="ingress", on_fault=on_fault, trip=None)
        last = link.attach(LOOKING, direction="ingress")
        other = link.attach("count", direction="egress")
        with h1.socket(socket.AF_PACKET, socket.SOCK_RAW, device="eth0") as sending:
            for start in range(0, FRAMES, 500):
                for number in range(start, start + 500):
                    sending.send(frame(number))
                # A packet socket's queue is no place for many more.
                wait_until(lambda sent=start + 500: first.stats.packets_in >= sent, 60, "the frames came")
        # What the nodes say of their own accord may be between two looks.
        wait_until(
            lambda: first.stats.passed == torn.stats.packets_in == first.stats.packets_in, 20, "nothing is under way"
        )
        stats = torn.stats
        assert stats.faults == {"trap": FRAMES // 10}
        assert stats.drops == {"fault": FRAMES // 10}
        assert stats.restarts == FRAMES // 10
        assert stats.packets_in == stats.passed + stats.dropped
        # It came last: what the nodes said before that did not reach it.
        behind = last.stats
        assert FRAMES - FRAMES // 10 <= behind.packets_in <= torn.stats.passed
        assert (behind.passed, behind.dropped) == (behind.packets_in, 0)
        assert not any((first.stats.faults, last.stats.faults, other.stats.faults))


def test_five_faults_trip_a_plugin_and_a_reset_revives_it(tap: vnet.Tap, caplog: pytest.LogCaptureFixture) -> None:
    handle = tap.attach(vnet.Plugin(TRAPPING, name="trapping"), direction="egress")

    def fails_again() -> bool:
        send(tap, 0)
        return handle.stats.state == "tripped"

    with caplog.at_level(logging.INFO, logger="vnet"):
        wait_until(fails_again, 30, "it tripped")
        assert handle.stats.faults["trap"] == 5
        send(tap, 1)
        assert handle.stats.drops["tripped"] == 1
        handle.reset()
        assert handle.stats.state == "running"
        passed = handle.stats.passed
        send(tap, 1, 2, 3)
        assert handle.stats.passed == passed + 3
        kinds = [event.kind for event in handle.events.kept]
        assert kinds.count("fault") == 5
        assert kinds[-3:] == ["tripped", "restarted", "revived"]
        fault = handle.events.wait("fault", 10).fault
        assert fault is not None
        assert fault.kind == "trap"
        assert fault.hexdump
        wait_until(lambda: "out of service" in caplog.text, 10, "logging hears of it")
    send(tap, 0)
    assert handle.stats.state == "running", "its faults were forgotten"


def test_a_tripped_plugin_is_tried_again_and_revived_by_itself(tap: vnet.Tap) -> None:
    trip = vnet.Trip(faults=1, within=0.2, retry=0.1)
    handle = tap.attach(TRAPPING, direction="egress", trip=trip)
    send(tap, 0)
    assert handle.stats.state == "tripped"

    def revived() -> bool:
        send(tap, 1)
        return any(event.kind == "revived" for event in handle.events.kept)

    wait_until(revived, 30, "it is in service again")
    assert [event.kind for event in handle.events.kept] == ["fault", "tripped", "half-open", "revived"]
    assert handle.stats.state == "running"


def test_trip_may_be_faults_and_a_time_with_its_unit(tap: vnet.Tap) -> None:
    handle = tap.attach(TRAPPING, direction="egress", trip=(1, "60s"))
    send(tap, 0)
    assert handle.stats.state == "tripped"
    for wrong in ((0, "10s"), (1,), ("5", "10s"), (5, "10 parsecs")):
        with pytest.raises(vnet.InvalidValue, match="trip"):
            tap.attach(TRAPPING, trip=wrong)  # type: ignore[arg-type]


def test_events_come_to_callbacks_loops_and_asyncio(tap: vnet.Tap) -> None:
    handle = tap.attach(vnet.Plugin(TRAPPING, name="trapping"), direction="egress")
    other = tap.attach("count", direction="egress")
    called: list[vnet.Event] = []
    everything: list[vnet.Event] = []
    threads: set[str] = set()

    def note(event: vnet.Event) -> None:
        threads.add(threading.current_thread().name)
        called.append(event)
        raise RuntimeError("a callback that fails is no end of the next event")

    remove = handle.events.on(note)
    tap.events.on(everything.append)
    send(tap, 0)
    wait_until(lambda: [event.kind for event in called] == ["fault", "restarted"], 30, "the callback was called")
    assert threads == {"vnet-events"}
    assert (called[0].plugin, called[0].place, called[0].fault and called[0].fault.kind) == ("trapping", "tap0", "trap")
    assert called[1].took_us > 0

    assert [event.kind for event in handle.events.iter(timeout=0.2)] == ["fault", "restarted"]
    assert list(other.events.iter(timeout=0)) == []
    with pytest.raises(vnet.TimeoutError, match="swapped"):
        handle.events.wait("swapped", timeout=0.1)

    async def first_swap() -> vnet.Event:
        async for event in tap.events:
            if event.kind == "swapped":
                return event
        raise AssertionError

    async def both() -> vnet.Event:
        waiting = asyncio.create_task(first_swap())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(other.swap, PASSING)
        return await asyncio.wait_for(waiting, 30)

    swapped = asyncio.run(both())
    assert swapped.took_us > 0
    assert swapped.plugin != "trapping"
    remove()
    wait_until(lambda: [event.kind for event in everything][-1:] == ["swapped"], 30, "the device's callback heard it")
    assert len(called) == 2


def test_a_device_that_is_deleted_by_someone_else_tells_of_it_once(lab: Lab) -> None:
    with vnet.Tap("tap0", netns=lab.path, persist=True) as tap:
        tap.attach("count")
        gone: list[vnet.Event] = []
        tap.events.on(gone.append)
        lab.run("ip", "link", "del", "tap0")
        event = tap.events.wait("gone", timeout=30)
        assert (event.place, event.plugin) == ("tap0", None)
        wait_until(lambda: len(gone) == 1, 30, "the callback was called")
        assert [event.kind for event in tap.events.kept] == ["gone"]


def test_a_device_in_a_node_tells_its_network_that_it_is_gone() -> None:
    with vnet.Network() as net:
        h1 = net.host("h1")
        tap = h1.tap("tap0")
        tap.attach("count")
        h1.run("ip link del tap0", check=True)
        event = net.events.wait("gone", timeout=30)
        assert (event.place, event.plugin) == ("h1:tap0", None)
        assert [event.kind for event in tap.events.kept] == ["gone"]
