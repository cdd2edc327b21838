"""One of each value that a notebook shows: ordinary, empty, huge, and with names that would be markup."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping
from typing import Any

import vnet
from vnet._doctor import DoctorReport

# Markup, a mark that turns the reading direction, a control character and half a surrogate.
HOSTILE = "<script>alert('x')</script>&\"\u202e\x07\ud800"

KERNEL = vnet.KernelStats(10, 1000, 0, 1, 12345, 9876543, 0, 2)
SPREAD = vnet.Spread(100, 0.0101, 0.01, 0.0101, 0.0109, 0.02)
FAULT = vnet.Fault("trap", f"unreachable in {HOSTILE}", f"0: {HOSTILE}", "0x0000: 00")
COUNT = vnet.Count(1234, 567890)


def _all_of(kind: type[Any], **own: Any) -> Any:
    """Makes a dataclass whose other counters are 0."""
    return kind(**{name: own.get(name, 0) for name in kind.__dataclass_fields__})


def stage(name: str = "count", **own: Any) -> vnet.StageStats:
    usual: dict[str, Any] = {"form": "batch", "state": "running", "drops": {}, "faults": {}, "counters": {}}
    usual |= {"last_fault": None, "ns_per_packet": 71.25, "packets_in": 1000, "passed": 990, "dropped": 10}
    return _all_of(vnet.StageStats, name=name, **(usual | own))


def line(**own: Any) -> vnet.LineStats:
    usual: dict[str, Any] = {"asked": {"delay": "10ms", "loss": "1%"}, "age": 2.0, "frames_in": 100, "frames_out": 98}
    usual |= {"lost": 2, "loss": 0.02, "loss_asked": 0.01, "rate": 9.5e6, "queue_most_packets": 7}
    usual |= {"delay": vnet.LineDelay(SPREAD, SPREAD, None), "loss_bursts": vnet.LossBursts(2, 1.0, 1, (2,))}
    usual |= {"queue_series": [(0.0, 0, 0), (1.0, 7, 10500), (2.0, 3, 4500)]}
    return _all_of(vnet.LineStats, **(usual | own))


def pipeline(**own: Any) -> vnet.PipelineStats:
    port = vnet.PortStats(HOSTILE, 10, 1000, 5, 500, {"no_carrier": 2}, 1)
    usual = {"ports": (port,), "stages": (stage(), stage("drop_bcast", drops={"broadcast": 10})), "drops": {"queue": 3}}
    return _all_of(vnet.PipelineStats, **(usual | own))


def link(name: str = "h1-s1", **own: Any) -> vnet.LinkStats:
    usual: dict[str, Any] = {
        "a": "h1:eth0",
        "b": "s1:port1",
        "up": True,
        "engine": False,
        "a_to_b": None,
        "b_to_a": None,
    }
    usual |= {"from_a": COUNT, "from_b": COUNT, "to_a": COUNT, "to_b": COUNT}
    return vnet.LinkStats(name=name, **(usual | own))


def matrix(count: int, lost: int = 0) -> vnet.PingMatrix:
    names = tuple(f"h{number}" for number in range(1, count + 1))
    pairs = [(a, b) for a in names for b in names if a != b]
    rtts = {pair: None if number < lost else 0.001 * (number % 7 + 1) for number, pair in enumerate(pairs)}
    return vnet.PingMatrix(names, rtts, {pairs[0]: HOSTILE} if lost else {}, 0.25)


def iperf(protocol: str, **own: Any) -> vnet.IperfResult:
    intervals = tuple(vnet.IperfInterval(at * 0.1, 0.1, 1_250_000, 1e8 + at * 1e6) for at in range(10))
    usual: dict[str, Any] = {"source": "h1", "target": "h2", "address": "10.0.0.2", "protocol": protocol, "streams": 1}
    usual |= {"bytes": 12_500_000, "seconds": 1.0, "bits_per_second": 1e8, "retransmits": 3, "intervals": intervals}
    if protocol == "udp":
        usual |= {"retransmits": None, "datagrams": 1000, "lost": 10, "reordered": 0, "duplicates": 0, "jitter": 2e-5}
    return vnet.IperfResult(**({name: None for name in vnet.IperfResult.__dataclass_fields__} | usual | own))


def _ip(protocol: int, payload: bytes, source: int, target: int) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0x4000, 64, protocol, 0, *_ends(source, target))
    return bytes(6) + b"\x02\0\0\0\0\1" + b"\x08\0" + head + payload


def _ends(source: int, target: int) -> tuple[bytes, bytes]:
    return bytes([10, 0, 0, source]), bytes([10, 0, 0, target])


def tcp(
    source: int, target: int, ports: tuple[int, int], flags: int, sequence: int, data: bytes = b"", at: int = 0
) -> vnet.Frame:
    head = struct.pack("!HHIIBBHHH", *ports, sequence, 0, 0x50, flags, 64240, 0, 0)
    return vnet.Frame(_ip(6, head + data, source, target), timestamp_ns=1_700_000_000_000_000_000 + at)


def dns(query: bool, number: int = 7, name: bytes = b"\x02h2\x03lab\0", at: int = 0) -> vnet.Frame:
    question = name + struct.pack("!HH", 1, 1)
    answer = b"" if query else b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([10, 0, 0, 2])
    head = struct.pack("!HHHHHH", number, 0x0100 if query else 0x8180, 1, 0 if query else 1, 0, 0)
    data = head + question + answer
    ports, ends = ((5353 + 1, 53), (1, 9)) if query else ((53, 5353 + 1), (9, 1))
    udp = struct.pack("!HHHH", *ports, 8 + len(data), 0) + data
    return vnet.Frame(_ip(17, udp, *ends), timestamp_ns=1_700_000_000_000_000_000 + at)


SYN, ACK, PSH, FIN, RST = 2, 16, 8, 1, 4
CONNECTION = [
    tcp(1, 2, (40000, 80), SYN, 100),
    tcp(1, 2, (40000, 80), SYN, 100, at=1_000_000_000),
    tcp(2, 1, (80, 40000), SYN | ACK, 900, at=1_000_100_000),
    tcp(1, 2, (40000, 80), ACK, 101, at=1_000_200_000),
    tcp(1, 2, (40000, 80), PSH | ACK, 101, b"GET / HTTP/1.0\r\n\r\n", at=1_000_300_000),
    tcp(2, 1, (80, 40000), PSH | ACK, 901, b"x" * 1200, at=1_000_900_000),
    tcp(2, 1, (80, 40000), FIN | ACK, 2101, at=1_001_000_000),
    tcp(1, 2, (40000, 80), RST, 119, at=1_001_100_000),
]
ARP = bytes.fromhex("ffffffffffff 020000000001 0806 0001080006040001 020000000001 0a000001 000000000000 0a000002")
TAGGED = ARP[:12] + bytes.fromhex("8100 e00a") + ARP[12:]
IPV6 = bytes.fromhex("333300000001 020000000001 86dd 60012345 0018 00 ff") + bytes(15) + b"\1" + bytes(15) + b"\2"
IPV6 += bytes.fromhex("3a00 0502 0000 0100 8000 1234 0001 0002") + bytes(8)


def hop(**own: Any) -> vnet.Hop:
    usual: dict[str, Any] = {"kind": "sent", "place": "h1 eth0", "node": "h1", "interface": "eth0", "link": "h1-r1"}
    usual |= {"stage": "", "verdict": "sent", "reason": "", "time": 0.0, "waited": None, "changes": {}, "comment": ""}
    usual |= {"parent": None, "frames": 1, "before": CONNECTION[0], "after": CONNECTION[0]}
    return vnet.Hop(**(usual | own))


def walk(count: int = 3) -> vnet.Walk:
    nat = {"kind": "plugin", "place": "link h1-r1, nat", "node": "", "interface": "", "stage": "nat", "verdict": "pass"}
    nat |= {
        "changes": {"ip.src": ("10.0.0.1", "192.0.2.1")},
        "waited": 4e-6,
        "comment": "nat: pass, rewritten",
        "time": 2e-5,
    }
    end = nat | {"place": f"link {HOSTILE}, acl", "stage": "acl", "verdict": "drop", "reason": HOSTILE, "is_end": True}
    hops = [hop(), hop(**nat, parent=0), hop(**(end | {"changes": {}, "parent": 1, "frames": 2}))]
    hops += [hop(parent=1, time=number / 1e3) for number in range(count - 3)]
    return vnet.Walk(
        hops, f"dropped on link {HOSTILE} by acl: {HOSTILE}", None, vnet.Walk([hop()], "delivered to h1", "h1")
    )


def packets(count: int) -> vnet.Packets:
    """Returns the frames of a classic capture."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1))
        for number in range(count):
            data = bytes(CONNECTION[number % len(CONNECTION)])
            file.write(struct.pack("<IIII", 1_700_000_000, number * 1000, len(data), len(data)) + data)
        file.flush()
        return vnet.Packets.read(file.name)


def replayed() -> vnet.ReplayReport:
    counts = {"frames_in": 10, "frames_out": 8, "dropped": 2, "drops": {"queue": 1}, "duplicated": 1, "line": line()}
    changed, missing = (vnet.Change(3, 60, 64, 12, 4),), tuple(range(1, 250))
    maps = ({"macs": {"02:00:00:00:00:01": 1, HOSTILE: 2}},)
    return _all_of(vnet.ReplayReport, stages=(stage(),), maps=maps, changed=changed, missing=missing, **counts)


def network(count: int) -> vnet.Network:
    net = vnet.Network("sample" if count else "empty", seed=1)
    for number in range(count):
        host = net.host(f"h{number}")
        if number % 20 == 0:
            switch = net.switch(f"s{number // 20}")
            if number:
                net.link(switch, "s0", delay="1ms")
        net.link(host, switch)
    return net


def completed(**own: Any) -> vnet.Completed:
    usual: dict[str, Any] = {
        "args": ["echo", HOSTILE],
        "returncode": 0,
        "stdout": f"{HOSTILE}\n",
        "stderr": "",
        "duration": 0.5,
    }
    return vnet.Completed(**(usual | own))


def _report(*findings: vnet.Finding) -> DoctorReport:
    stale = (vnet.StaleInterface("vnet0", 7, 4242),) if findings else ()
    return DoctorReport("0.1.0", "6.18.0", "host", findings, stale, {}, "text", None)


CARRIED = vnet.Carried(64, ("macs",), 3, ("arp",), (f"map {HOSTILE} has other sizes",))
FINDING = vnet.Finding("netlink", "failure", f"refused: {HOSTILE}", "no devices", "modprobe veth")


def values() -> Mapping[str, Any]:
    """Return samples by the name of their snapshot."""
    many = {f"l{number}": link(f"l{number}") for number in range(201)}
    interface = vnet.InterfaceStats("h1", "eth0", "h1-s1", "up", KERNEL)
    return {
        "carried": CARRIED,
        "change": vnet.Change(3, 60, 64, 12, 4),
        "collection-empty": vnet.Network("empty").nodes,
        "completed": completed(),
        "completed-bytes-signal": completed(returncode=-9, stdout=b"\xff\0raw", stderr=None, args="sh -c x"),
        "completed-huge": completed(stdout="".join(f"line {number}\n" for number in range(1000))),
        "count": COUNT,
        "device-state": vnet.DeviceState(True, False, "down", HOSTILE),
        "device-stats": vnet.DeviceStats("tap0", KERNEL, pipeline()),
        "device-stats-kernel": vnet.DeviceStats("tap0", KERNEL, None),
        "doctor": _report(FINDING),
        "doctor-empty": _report(),
        "event": vnet.Event("fault", "count", HOSTILE, "it trapped", 1700000000.5, 120.0, FAULT),
        "event-gone": vnet.Event("gone", None, "tap0", "device tap0 was deleted", 1700000000.5, 0.0, None),
        "fault": FAULT,
        "finding": FINDING,
        "hop": hop(changes={HOSTILE: (HOSTILE, "")}),
        "packets": packets(3),
        "packets-empty": packets(0),
        "packets-huge": packets(1000),
        "walk": walk(),
        "walk-empty": vnet.Walk([], "not seen at any hop"),
        "walk-huge": walk(250),
        "walks": vnet.Network("sample", seed=1).walk("host 10.0.0.1 && not arp"),
        "frame-arp": vnet.Frame(ARP),
        "frame-cut": vnet.Frame(CONNECTION[0][:40]),
        "frame-dns": dns(query=False),
        "frame-dns-hostile": dns(query=True, name=b"\x08<script>\0"),
        "frame-empty": vnet.Frame(b""),
        "frame-huge": vnet.Frame(bytes(9000)),
        "frame-ip": vnet.Frame(CONNECTION[2][14:], layer="l3"),
        "frame-ipv6": vnet.Frame(IPV6),
        "frame-tcp": CONNECTION[4],
        "frame-vlan": vnet.Frame(TAGGED),
        "impairments": vnet.LinkImpairments({"delay": "10ms"}, {"delay": "10ms", "loss": HOSTILE}),
        "impairments-none": vnet.LinkImpairments({}, {}),
        "interface-stats": interface,
        "iperf-interval": vnet.IperfInterval(0.1, 0.1, 1000, 80000.0),
        "iperf-none": iperf("udp", intervals=(), bytes=0, datagrams=0, lost=0, jitter=None, bits_per_second=0.0),
        "iperf-tcp": iperf("tcp", source=HOSTILE),
        "iperf-udp": iperf("udp"),
        "kernel-stats": KERNEL,
        "ladder-dns": vnet.ladder([dns(query=True), dns(query=False, at=400_000)]),
        "ladder-none": vnet.ladder([]),
        "ladder-tcp": vnet.ladder(CONNECTION, limit=7),
        "ladder-message": next(iter(vnet.ladder(CONNECTION))),
        "line": line(asked={"delay": HOSTILE}),
        "line-nothing": line(asked={}, delay=vnet.LineDelay(None, None, None), queue_series=[], rate=None, loss=None),
        "line-delay": vnet.LineDelay(SPREAD, None, None),
        "link-state": vnet.LinkState(True, False, "engine"),
        "link-stats": link(a_to_b=line(), engine=True),
        "link-stats-hostile": link(HOSTILE, up=False),
        "log-record": vnet.LogRecord("count", "warning", HOSTILE, 1700000000.5),
        "loss-bursts": vnet.LossBursts(0, None, 0, ()),
        "network": network(5),
        "network-empty": network(0),
        "network-huge": network(190),
        "network-stats": vnet.NetworkStats((interface,), {"h1-s1": link()}, {f"switch {HOSTILE}": pipeline()}),
        "network-stats-empty": vnet.NetworkStats((), {}, {}),
        "network-stats-huge": vnet.NetworkStats((interface,) * 201, many, {}),
        "packet": vnet.Packet(bytes(CONNECTION[4]), port=1, timestamp_ns=1, ports=("h1", HOSTILE)),
        "ping": vnet.PingResult("h1", "h2", "10.0.0.2", 56, 4, 3, 0, 1, 0, (HOSTILE,), (0.001, None, 0.0025, 0.002)),
        "ping-huge": vnet.PingResult("h1", "h2", "10.0.0.2", 56, 999, 999, 0, 0, 0, (), tuple([0.001] * 999)),
        "ping-none": vnet.PingResult("h1", "h2", "10.0.0.2", 56, 0, 0, 0, 0, 0, (), ()),
        "ping-matrix": matrix(3, lost=1),
        "ping-matrix-empty": vnet.PingMatrix((), {}, {}, 0.0),
        "ping-matrix-huge": matrix(200, lost=450),
        "pipeline": pipeline(),
        "pipeline-empty": pipeline(ports=(), stages=(), drops={}),
        "plugin": vnet.Plugin("count", {"key": HOSTILE}, grants=("timer",)),
        "plugin-bytes": vnet.Plugin(b"\0asm", trip=None),
        "port-stats": vnet.PortStats("tap0", 10, 1000, 5, 500, {"no_carrier": 2}, 1),
        "recorded": vnet.Recorded(1_000_000, 0),
        "replay": replayed(),
        "replay-empty": _all_of(vnet.ReplayReport, drops={}, stages=(), maps=(), changed=(), missing=(), line=None),
        "shipped": vnet.ShippedPlugin("count", HOSTILE, b"\0asm"),
        "spread": SPREAD,
        "stage": stage(counters={"arp": 3}, drops={HOSTILE: 2}),
        "stage-python": stage(form="python", waiting=3, runs=9),
        "stage-fault": stage(HOSTILE, state="tripped", faults={"trap": 5}, last_fault=FAULT, restarts=5),
        "stale": vnet.StaleInterface("vnet0", 7, 4242),
        "swapped": vnet.Swapped("count", None, 41.5, CARRIED),
        "trip": vnet.Trip(),
    }
