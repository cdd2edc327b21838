"""Plugins made from the ABI's specification alone, in C and in text, judged frame by frame against a model in Python."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import model
import pytest
import vnet
from compiled import compiled
from generated import frames, read_pcap, write_pcap
from lab import Lab, wait_until

COUNT = 3200
CHUNK = 200
ACL = {"shortest": 20, "port": 7777, "vendor": "06:11:22"}
# What each chain is made of, and what it must do.
CHAINS: dict[str, tuple[list[tuple[str, dict[str, object]]], model.Model]] = {
    "acl": ([("acl.c", ACL)], model.acl),
    "edit": ([("edit.wat", {})], model.edit),
    "router": ([("router.c", {})], model.router),
    "tags": ([("tags.c", {})], model.tags),
    "copies": ([("copies.wat", {}), ("copies.wat", {"check_mark": 1})], model.copies),
}
CLONE_NEWNET, SOL_PACKET, SO_RCVBUFFORCE = 0x40000000, 263, 33
PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 8, 23
VLAN_VALID, VLAN_TPID_VALID = 0x10, 0x40


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return compiled(tmp_path_factory.mktemp("conformance"))


class Expected:
    """What becomes of frames that arrive on one port of a pipeline, as the model has it."""

    def __init__(self, judge: model.Model, arrived: list[bytes], port: int, ports: int) -> None:
        self.out: dict[int, list[bytes]] = {0: [], 1: []}
        self.drops: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.fates: Counter[str] = Counter()
        self._port, self._ports = port, ports
        for octets in arrived:
            answer = judge(octets, port)
            self.counts.update(answer.counts)
            for one in (answer, *answer.copies):
                self._count(one)

    def _count(self, one: model.Answer) -> None:
        away = 1 - self._port if self._ports == 2 else self._port
        if one.fate == model.REDIRECT and one.to != model.FLOOD and (one.to == self._port or one.to >= self._ports):
            one = model.Answer("bad_port")
        self.fates[one.fate if one.fate in (model.PASS, model.REDIRECT, model.TX) else "drop"] += 1
        if one.fate == model.PASS:
            self.out[away].append(one.octets)
        elif one.fate == model.TX:
            self.out[self._port].append(one.octets)
        elif one.fate == model.REDIRECT:
            if self._ports == 2:
                self.out[away].append(one.octets)
        else:
            self.drops[one.fate] += 1


def compare(left: list[bytes], expected: list[bytes], chain: str) -> None:
    """Compare frames, in order where the specification gives one; show the first few that differ."""
    if chain == "copies":  # a copy follows its whole batch
        left, expected = sorted(left), sorted(expected)
    pairs = enumerate(zip(left, expected, strict=False))
    assert [f"{i}: {a.hex()} is not {b.hex()}" for i, (a, b) in pairs if a != b][:3] == []
    assert len(left) == len(expected)


def check(stages: list[vnet.StageStats], *expected: Expected) -> None:
    """Compare what the first plugin counted with the sum of what was expected of it."""
    first = stages[0]
    fates = sum((one.fates for one in expected), Counter())
    assert Counter(first.drops) - Counter() == sum((one.drops for one in expected), Counter())
    assert Counter(first.counters) - Counter() == sum((one.counts for one in expected), Counter())
    seen = {"pass": first.passed, "redirect": first.redirected, "tx": first.tx, "drop": first.dropped}
    assert Counter(seen) - Counter() == fates
    for stage in stages:
        assert stage.packets_in + stage.appended == stage.passed + stage.dropped + stage.redirected + stage.tx
        assert stage.restarts == 0
        assert set(stage.faults) <= {"bad_desc", "bad_verdict", "bad_port"}
        assert all(stage.faults[kind] == stage.drops[kind] for kind in stage.faults)


@pytest.mark.parametrize("chain", CHAINS)
def test_each_frame_of_a_capture_is_judged_as_the_specification_says(
    built: dict[str, Path], tmp_path: Path, chain: str
) -> None:
    stages, judge = CHAINS[chain]
    arrived = frames(11, COUNT)
    source, out = tmp_path / "in.pcap", tmp_path / "out.pcap"
    write_pcap(source, arrived)
    report = vnet.replay(source, plugins=[vnet.Plugin(built[name], config) for name, config in stages], out=out)
    expected = Expected(judge, arrived, 0, 1)
    compare(read_pcap(out), expected.out[0], chain)
    check(list(report.stages), expected)
    assert report.frames_in == COUNT
    appended = sum(stage.appended for stage in report.stages)
    assert report.frames_in + appended == report.frames_out + report.dropped + sum(report.drops.values())


def packet_socket(namespace: str, device: str) -> socket.socket:
    """Open a raw socket on a device in another namespace, which reads what arrives there with its tags."""
    made: list[socket.socket] = []

    def there() -> None:
        home = os.open(namespace, os.O_RDONLY)
        assert ctypes.CDLL(None, use_errno=True).setns(home, CLONE_NEWNET) == 0
        os.close(home)
        made.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    (raw,) = made
    raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    raw.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    raw.bind((device, 3))  # ETH_P_ALL
    raw.setblocking(False)
    return raw


def received(raw: socket.socket) -> Iterator[bytes]:
    """Yield the frames that wait in a packet socket, each with the tag the kernel took out of it."""
    while True:
        try:
            octets, control, _, _ = raw.recvmsg(4096, 256)
        except BlockingIOError:
            return
        for level, kind, data in control:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status = int.from_bytes(data[:4], "little")
                tci, tpid = data[16:18][::-1], data[18:20][::-1]
                if status & VLAN_VALID:
                    tpid = tpid if status & VLAN_TPID_VALID else b"\x81\x00"
                    octets = octets[:12] + tpid + tci + octets[12:]
        yield octets


def has_read(wire: vnet.Wire, port: int, count: int) -> bool:
    return wire.stats.ports[port].rx_packets >= count


def survives_the_kernel(octets: bytes) -> bool:
    """Tell whether Linux shows a frame to packet sockets: not a tagged one with nothing behind the tag (skb_vlan_untag)."""
    return model.be16(octets, 12) not in model.TAGS or len(octets) >= 20


@pytest.mark.parametrize("chain", CHAINS)
def test_each_frame_between_two_devices_is_judged_as_the_specification_says(
    built: dict[str, Path], lab: Lab, chain: str
) -> None:
    stages, judge = CHAINS[chain]
    lab.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    with ExitStack() as stack:
        taps = [stack.enter_context(vnet.Tap(name, netns=lab.path)) for name in ("ta", "tb")]
        raws = [stack.enter_context(packet_socket(lab.path, name)) for name in ("ta", "tb")]
        plugins = [vnet.Plugin(built[name], config) for name, config in stages]
        wire = stack.enter_context(vnet.Wire(*taps, plugins=plugins))
        expectations = []
        for port in (0, 1):
            arrived = frames(23 + port, COUNT // 2)
            expected = Expected(judge, arrived, port, 2)
            expectations.append(expected)
            before = wire.stats.ports[port].rx_packets
            got: dict[int, list[bytes]] = {0: [], 1: []}
            for start in range(0, len(arrived), CHUNK):
                for octets in arrived[start : start + CHUNK]:
                    raws[port].send(octets)
                read = before + min(start + CHUNK, len(arrived))
                wait_until(partial(has_read, wire, port, read), 10, "the chunk was read")
            wait_until(lambda: wire.stats.balance == 0, 10, "no frame is under way")
            for side in (0, 1):
                got[side] += received(raws[side])
                compare(got[side], list(filter(survives_the_kernel, expected.out[side])), chain)
        check([handle.stats for handle in wire.plugins], *expectations)


def test_one_instance_tells_what_leaves_a_device_from_what_arrives(built: dict[str, Path], lab: Lab) -> None:
    lab.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    arriving, leaving = frames(37, 120), frames(38, 80)
    with vnet.Tap("ta", netns=lab.path) as tap, packet_socket(lab.path, "ta") as raw:
        handle = tap.attach(built["router.c"], direction="both")
        for octets in arriving:
            raw.send(octets)
        for octets in leaving:
            tap.send(octets)
        wait_until(lambda: handle.stats.packets_in == 200, 10, "all frames were judged")
        assert handle.stats.counters["egress"] == len(leaving)
        assert set(handle.stats.faults) <= {"bad_desc", "bad_verdict", "bad_port"}
        engine = tap.stats.engine
        assert engine is not None
        assert engine.balance == 0
