"""Guests that fail in every way there is, each on one device while another device of the process carries real traffic."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import vnet
from guests import ASKING, GUESTS, ORDINARY, UNSTARTABLE, Guest
from lab import Lab, wait_until

PINGS = 100


@pytest.fixture
def bad(lab: Lab) -> Iterator[vnet.Tap]:
    """A device for the guests that fail, on which the kernel says nothing of its own accord."""
    lab.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    with vnet.Tap("bad0", netns=lab.path) as tap:
        yield tap


@contextmanager
def pings_without_loss(lab: Lab) -> Iterator[None]:
    """Ping through a plugin on another device all the while; fail when one answer is missing."""
    with vnet.Tap("good0", ip="10.9.0.1/24", netns=lab.path) as good:
        echo = good.attach("icmp_echo")
        first = lab.run("ping", "-c1", "-W5", "10.9.0.2")
        assert first.returncode == 0, first.stdout
        ping = lab.popen("ping", "-q", "-i0.002", f"-c{PINGS}", "-W5", "10.9.0.2")
        before = echo.stats.tx
        wait_until(lambda: echo.stats.tx > before, 10, "ping began")
        yield
        out, _ = ping.communicate(timeout=30)
        assert f"{PINGS} received, 0% packet loss" in out
        stats = echo.stats
        assert not stats.faults
        assert good.stats.engine is not None
        assert good.stats.engine.balance == 0


def show(tap: vnet.Tap, *frames: bytes) -> vnet.PipelineStats:
    """Send frames through the egress chain and return the counters when none is under way."""
    already = engine(tap).sent_in
    for frame in frames:
        tap.send(frame)
    wait_until(lambda: engine(tap).sent_in >= already + len(frames), 10, "the frames were taken")
    wait_until(lambda: engine(tap).balance == 0, 10, "in = out + named drops")
    return engine(tap)


def engine(tap: vnet.Tap) -> vnet.PipelineStats:
    stats = tap.stats.engine
    assert stats is not None
    return stats


def named(drops: Mapping[str, int]) -> dict[str, int]:
    """Return the reasons that occurred."""
    return {reason: count for reason, count in drops.items() if count}


def adds_up(stage: vnet.StageStats) -> bool:
    return stage.packets_in + stage.appended == stage.passed + stage.dropped + stage.redirected + stage.tx


@pytest.mark.parametrize("guest", GUESTS.values(), ids=GUESTS)
def test_a_fault_costs_one_frame_is_named_and_harms_nobody_else(lab: Lab, bad: vnet.Tap, guest: Guest) -> None:
    with pings_without_loss(lab):
        handle = bad.attach(vnet.Plugin(guest.module, name="guest"), direction="egress")
        after = show(bad, *[ORDINARY] * 5, ASKING, *[ORDINARY] * 5)
        stats = handle.stats
        assert dict(stats.faults) == {guest.kind: 1}
        assert named(stats.drops) == ({guest.drop: 1} if guest.drop else {})
        lost = 1 if guest.drop else 0
        assert (stats.passed, stats.dropped, after.stage_drops) == (11 - lost, lost, lost)
        assert after.ports[0].tx_packets == 11 - lost
        assert (stats.state, stats.restarts) == ("running", int(guest.replaced))
        assert adds_up(stats)
        if not guest.replaced:
            assert stats.last_fault is None
            return
        assert stats.last_fault is not None
        assert stats.last_fault.kind == guest.kind
        assert re.search(guest.words, stats.last_fault.message)
        assert stats.last_fault.hexdump.startswith("0000  02 00 00 00 00 05")
        assert guest.kind == "error" or "function" in stats.last_fault.backtrace
        assert any(guest.kind in line.message for line in handle.logs)


@pytest.mark.parametrize("name", UNSTARTABLE)
def test_a_plugin_that_cannot_start_is_refused_in_words_and_harms_nobody_else(
    lab: Lab, bad: vnet.Tap, name: str
) -> None:
    module, exception, words = UNSTARTABLE[name]
    with pings_without_loss(lab):
        counter = bad.attach("count", direction="egress")
        with pytest.raises(getattr(vnet, exception), match=words) as caught:
            bad.attach(vnet.Plugin(module, name=name), direction="egress")
        assert caught.value.plugin == name
        assert name in str(caught.value)
        assert show(bad, *[ORDINARY] * 5).ports[0].tx_packets == 5
        assert [stage.name for stage in engine(bad).stages] == ["count"]
        assert counter.stats.passed == 5


@pytest.mark.parametrize("on_fault", ["closed", "open"])
@pytest.mark.parametrize("name", ["trap", "endless-loop", "negative", "batch-trap", "stack-overflow"])
def test_a_plugin_out_of_service_drops_or_passes_as_told(
    lab: Lab, bad: vnet.Tap, name: str, on_fault: vnet.OnFault
) -> None:
    with pings_without_loss(lab):
        trip = vnet.Trip(faults=2, within=60, retry=3600)
        handle = bad.attach(GUESTS[name].module, direction="egress", on_fault=on_fault, trip=trip)
        show(bad, ORDINARY, ASKING, ASKING)
        assert handle.stats.state == "tripped"
        after = show(bad, *[ORDINARY, ASKING] * 4)
        stats = handle.stats
        passed = 1 + (8 if on_fault == "open" else 0)
        assert (stats.passed, stats.dropped) == (passed, 11 - passed)
        assert stats.faults[GUESTS[name].kind] == stats.drops["fault"] == 2
        assert stats.drops.get("tripped", 0) == (0 if on_fault == "open" else 8)
        assert (after.ports[0].tx_packets, after.stage_drops) == (passed, 11 - passed)
        assert adds_up(stats)


@pytest.mark.parametrize("name", ["trap", "memory-bomb", "batch-negative"])
def test_a_plugin_that_tripped_comes_back_into_service(lab: Lab, bad: vnet.Tap, name: str) -> None:
    with pings_without_loss(lab):
        trip = vnet.Trip(faults=2, within=60, retry=0.05)
        handle = bad.attach(GUESTS[name].module, direction="egress", trip=trip)
        show(bad, ASKING, ASKING)
        assert handle.stats.state in ("tripped", "half-open")
        assert handle.stats.passed == 0

        def passes() -> bool:
            show(bad, ORDINARY)
            return handle.stats.passed > 0

        wait_until(passes, 10, "an ordinary frame passes again")
        before = handle.stats.passed
        show(bad, *[ORDINARY] * 20)
        stats = handle.stats
        assert stats.passed == before + 20
        assert stats.state in ("half-open", "running")
        assert adds_up(stats)
        assert set(named(stats.drops)) <= {"fault", "tripped", "backoff"}


def test_the_process_survives_every_guest_though_faulthandler_came_after_the_first(lab: Lab, tmp_path: Path) -> None:
    for name, guest in GUESTS.items():
        (tmp_path / f"{name}.wat").write_bytes(guest.module)
    for name, (module, _, _) in UNSTARTABLE.items():
        (tmp_path / f"no-{name}.wat").write_bytes(module)
    source = f"""
import faulthandler, json, pathlib, sys, time, vnet
first = vnet.Tap("tap0")
first.attach("count", direction="egress")
faulthandler.enable()
faults, refused = {{}}, 0
for path in sorted(pathlib.Path({str(tmp_path)!r}).glob("*.wat")):
    with vnet.Tap("tap1") as tap:
        try:
            handle = tap.attach(path, direction="egress")
        except vnet.PluginError:
            refused += 1
            continue
        for frame in ({ORDINARY!r}, {ASKING!r}, {ORDINARY!r}):
            tap.send(frame)
        end = time.monotonic() + 10
        while handle.stats.packets_in < 3 or tap.stats.engine.balance:
            assert time.monotonic() < end, path
        faults[path.stem] = dict(handle.stats.faults)
first.close()
print(json.dumps([faults, refused]))
"""
    done = lab.run(sys.executable, "-X", "dev", "-c", source)
    assert done.returncode == 0, done.stderr
    assert "Fatal" not in done.stderr
    faults, refused = json.loads(done.stdout)
    assert faults == {name: {guest.kind: 1} for name, guest in GUESTS.items()}
    assert refused == len(UNSTARTABLE)


def test_a_device_that_is_closed_in_the_middle_of_an_endless_loop_closes(lab: Lab, bad: vnet.Tap) -> None:
    bad.attach(GUESTS["endless-loop"].module, direction="egress", trip=None)
    for _ in range(50):
        bad.send(ASKING)
    bad.close()
    assert "bad0" not in lab.interfaces()
