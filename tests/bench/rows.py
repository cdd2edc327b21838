"""What the table shows, and the bars that it is held to.

A row is one side's value; with `over` it is that side's ratio to another's, taken round by round. `at_least` is held against the
lower bound of the interval, `at_most` against the upper; `stretch` is shown only.
"""

from __future__ import annotations

from dataclasses import dataclass

import plugin_rows


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    metric: str
    side: str
    over: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    stretch: float | None = None
    label: str | None = None


@dataclass(frozen=True)
class Group:
    """Lines that belong together, and the unit that their values are measured in."""

    title: str
    unit: str
    rows: tuple[Row, ...]
    part: str
    # How to read its ratios.
    reading: str = "more is better"


VETH = "direct veth"
AGAIN = "direct veth, again"
LINK = "lab link, drop_bcast"
BIG = "lab link, drop_bcast, big_tcp"
BUSY = "lab link, drop_bcast, busy_poll"
WIRE = "TAP wire, drop_bcast"
URING = "io_uring TAP loop"

REST = (
    "lab link, drop_bcast, as root",
    "kernel bridge",
    "TAP wire",
    "TAP wire, drop_bcast in simple form",
    URING,
    "plain TAP loop",
    "Open vSwitch, user space",
    "Open vSwitch, user space with TSO",
    "python-pytun",
    "raw sockets in Python",
    "raw sockets in Python, vnet header",
    "Scapy's bridge",
    "Scapy's bridge, Ethernet only",
)


def beside_veth(metric: str, *first: Row) -> tuple[Row, ...]:
    """Return `first`, and every other side beside a direct veth, without a bar."""
    sides = (VETH, AGAIN, "lab link", LINK, WIRE, *REST)
    given = {row.side for row in first if row.over == VETH}
    return (*first, *(Row(metric, side, VETH if side != VETH else None) for side in sides if side not in given))


# Milliseconds that a frame of 1514 bytes takes at 10 Mbit/s, and how many of them a round trip of 20 ms holds.
DRAIN = 1514 * 8 / 10e6 * 1e3
ON_THE_WAY = 20 / DRAIN
QUEUES = (20, 100, 1000)


def left(queue: int) -> float:
    """Return how many packets wait when a stream by CUBIC has just given way to a full queue (RFC 9438: to 0.7 of its window)."""
    return 0.7 * (ON_THE_WAY + queue) - ON_THE_WAY


LOADS = ("10 % load", "50 % load")
DELAYS = ("1 ms", "10 ms", "100 ms")


def delay_rows(metric: str, noise: str, bound: float) -> tuple[Row, ...]:
    """Return the error of each delay under each load, and what the machine adds by itself."""
    errors = (Row(metric, f"{delay}, {load}", at_most=bound) for load in LOADS for delay in DELAYS)
    return (*errors, *(Row(noise, load, label=f"the machine's own, taken off, {load}") for load in LOADS))


LINKS = (
    Group(
        "Links: error of the delay, median of frames",
        "ms",
        (
            *delay_rows("delay_p50", "noise_p50", 0.1),
            Row("thousand_p50", "1000 links", at_most=0.1, label="10 ms on 1000 links"),
        ),
        "links",
    ),
    Group(
        "Links: error of the delay, 99th percentile",
        "ms",
        (
            *delay_rows("delay_p99", "noise_p99", 1),
            Row("thousand_p99", "1000 links", at_most=1, label="10 ms on 1000 links"),
        ),
        "links",
    ),
    Group(
        "Links: TCP with 10 ms each way, share of what the bandwidth-delay product allows",
        "",
        (Row("tcp", "a window of 256 KiB", at_least=0.95), Row("tcp", "100 Mbit/s", at_least=0.95)),
        "links",
    ),
    Group(
        "Links: error of the rate",
        "%",
        tuple(Row("rate", f"{rate} Mbit/s", at_most=2) for rate in (1, 10, 100, 1000)),
        "links",
    ),
    Group(
        "Links: loss of 100,000 frames, deviation from what was asked (99 % of draws are within 2.58)",
        "standard deviations",
        (
            *(Row("loss", f"{percent} %", at_most=2.58) for percent in (0.1, 1, 10, 50)),
            *(
                Row("bursts", f"p 1 %, r {r} %", at_most=2.58, label=f"Gilbert-Elliott p 1 %, r {r} %: mean burst")
                for r in (50, 20)
            ),
        ),
        "links",
    ),
    Group(
        "Links: how long frames wait while a plugin (learning_switch) takes the place of another",
        "ms",
        (
            Row("swap_p50", "1,000 swaps at 50 % load", label="1,000 swaps at 50 % load, median"),
            Row("swap_p99", "1,000 swaps at 50 % load", at_most=1, label="1,000 swaps at 50 % load, 99th percentile"),
        ),
        "links",
    ),
    Group(
        "Links: counted otherwise than seen, of 20,000 frames",
        "frames",
        tuple(Row("counted", what, at_most=0) for what in ("duplicates", "corrupted frames", "reordered frames")),
        "links",
    ),
    Group(
        "Links: 10 Mbit/s, 10 ms each way, a stream fills the queue: round trip",
        "ms",
        (
            *(
                Row("bloat_rtt", f"queue {most}", at_least=20 + left(most) * DRAIN, at_most=22 + most * DRAIN)
                for most in QUEUES
            ),
            Row("bloat_rtt", "CoDel", at_most=40),
        ),
        "links",
    ),
    Group(
        "Links: the same, most packets waiting in each span of the queue's series",
        "packets",
        (
            *(Row("bloat_queue", f"queue {most}", at_least=left(most), at_most=most) for most in QUEUES),
            Row("bloat_queue", "CoDel", at_most=40),
        ),
        "links",
    ),
    Group(
        "Links: the same, a page of 64 KiB",
        "ms",
        tuple(Row("bloat_page", name) for name in ("queue 20", "queue 100", "queue 1000", "CoDel")),
        "links",
    ),
    Group(
        "Links: 1000 impaired links, 20 frames/s each: CPU time of the process",
        "% of a core",
        (Row("thousand_cpu", "1000 links"),),
        "links",
    ),
    Group(
        "Links: the same, memory for each link",
        "kB",
        (Row("thousand_memory", "1000 links"),),
        "links",
    ),
)

# What a frame needs at least, on each kind of port.
BILLS = {
    "TAP wire": (WIRE, ("read from a TAP", "write to a TAP")),
    "lab link": (LINK, ("recvmmsg of 64 from a packet socket", "sendmmsg of 64 to a packet socket")),
}


def add_bills(packets: dict[str, dict[str, list[float]]]) -> None:
    """Divide what a frame costs among the device, the plugin and the engine, round by round, where all of it was measured."""
    if not {"calls", "cpu", "memory"} <= packets.keys():
        return
    for hop, (side, calls) in BILLS.items():
        device = [sum(pair) for pair in zip(*(packets["calls"][call] for call in calls), strict=True)]
        rounds = list(zip(packets["cpu"][side], device, packets["memory"]["drop_bcast"], strict=True))
        bill = packets.setdefault("bill", {})
        bill[f"{hop}: all"] = packets["cpu"][side]
        bill[f"{hop}: the device's system calls"] = device
        bill[f"{hop}: drop_bcast"] = packets["memory"]["drop_bcast"]
        bill[f"{hop}: the engine"] = [total - calls - plugin for total, calls, plugin in rounds]
        packets.setdefault("share", {})[hop] = [calls / total for total, calls, _ in rounds]


GROUPS = (
    Group(
        "TCP, one connection",
        "Gbit/s",
        beside_veth(
            "tcp",
            Row("tcp", LINK, VETH, at_least=0.65, stretch=0.9),
            Row("tcp", BIG, VETH, at_least=1.2),
            Row("tcp", WIRE, VETH, at_least=0.70, stretch=0.9),
            Row("tcp", LINK, "Open vSwitch, user space", at_least=12),
            Row("tcp", LINK, "python-pytun", at_least=8),
            Row("tcp", LINK, "Scapy's bridge", at_least=250),
            Row("tcp", LINK, "raw sockets in Python, vnet header"),
            Row("tcp", LINK, "Open vSwitch, user space with TSO"),
        ),
        "packets",
    ),
    Group(
        "TCP, one connection, both ends on one processor, 12 slices a round",
        "Gbit/s",
        (
            Row("core", "lab link", VETH, at_least=0.95),
            # Two equal sides: what this says beside 1 is the error of the group.
            Row("core", AGAIN, VETH, at_least=0.96, at_most=1.04),
            Row("core", "kernel bridge", VETH),
            Row("core", VETH),
        ),
        "packets",
    ),
    Group(
        "The same by CUBIC",
        "Gbit/s",
        (
            *(Row("core_cubic", side, VETH) for side in ("lab link", AGAIN, "kernel bridge")),
            Row("core_cubic", VETH),
        ),
        "packets",
    ),
    Group(
        "60-byte frames: CPU time for each of the thread in between",
        "ns",
        (
            Row("cpu", WIRE, "TAP wire", at_most=1.05),
            Row("cpu", WIRE, URING, at_most=1.10),
            Row("cpu", WIRE, "plain TAP loop"),
            Row("cpu", "TAP wire, drop_bcast in simple form", "TAP wire"),
            Row("cpu", URING),
            Row("cpu", "plain TAP loop"),
            Row("cpu", LINK, WIRE),
            Row("cpu", LINK, "lab link, drop_bcast, as root"),
        ),
        "packets",
        "less is better",
    ),
    Group(
        "TCP: CPU time of the same thread for each 1448 bytes",
        "ns",
        (
            Row("tcp_cpu", WIRE, "plain TAP loop"),
            Row("tcp_cpu", LINK, "plain TAP loop"),
            Row("tcp_cpu", BIG, "plain TAP loop"),
            Row("tcp_cpu", "TAP wire, drop_bcast in simple form"),
            Row("tcp_cpu", "plain TAP loop"),
        ),
        "packets",
        "less is better",
    ),
    Group(
        "60-byte frames: where the time of that thread goes",
        "ns",
        tuple(
            Row("bill", f"{hop}: {what}")
            for hop in BILLS
            for what in ("all", "the device's system calls", "drop_bcast", "the engine")
        ),
        "packets",
    ),
    Group(
        "60-byte frames: share of the limit, which is the device's system calls alone",
        "",
        tuple(Row("share", hop) for hop in BILLS),
        "packets",
    ),
    Group(
        "System calls by themselves, 60-byte frames: CPU time for each",
        "ns",
        tuple(
            Row("calls", what)
            for what in (
                "poll that finds a frame",
                "read from a TAP",
                "write to a TAP",
                "write to a TAP, 64 by io_uring",
                "recvmmsg of 64 from a packet socket",
                "sendmmsg of 64 to a packet socket",
                "copy of 1500 bytes",
            )
        ),
        "packets",
    ),
    Group("60-byte frames: delivered of a flood", "kframes/s", beside_veth("frames"), "packets"),
    Group(
        "60-byte frame to and fro, median",
        "µs",
        beside_veth(
            "rtt",
            Row("rtt", LINK, VETH, at_most=6),
            Row("rtt", BUSY, VETH, at_most=3),
        ),
        "packets",
        "less is better",
    ),
    Group(
        "Plugins in memory, batches of 64",
        "ns/packet",
        (
            Row("memory", "drop_bcast", at_most=4),
            Row("memory", "learning_switch", at_most=10),
            Row("memory", "nat", at_most=90),
            Row("memory", "acl, 100 rules", at_most=200),
            Row("memory", "chain of 8, 1500 B", at_most=150),
            Row("memory", "drop_bcast in simple form"),
            Row("memory", "count"),
            Row("memory", "icmp_echo"),
            Row("memory", "stateful_firewall"),
            Row("memory", "arp_guard"),
            Row("memory", "rate_limit"),
        ),
        "packets",
    ),
    Group(
        "Shipped plugins at their work, in memory, batches of 64",
        "ns/packet",
        tuple(Row("plugins", side) for side in plugin_rows.SIDES),
        "packets",
    ),
    Group(
        "Labs: 50 hosts on a switch, made",
        "s",
        tuple(
            row
            for vnet in ("vnet as a user", "vnet as root")
            for row in (
                Row("up", vnet),
                *(Row("up", other, vnet, at_least=10) for other in ("Mininet", "ip", "pyroute2")),
            )
        ),
        "labs",
        "how much longer it takes",
    ),
    Group(
        "Labs: 50 hosts on a switch, taken down",
        "s",
        (
            Row("closed", "vnet as a user"),
            Row("closed", "Mininet", "vnet as a user"),
            Row("closed", "ip", "vnet as a user"),
            Row("closed", "pyroute2", "vnet as a user"),
        ),
        "labs",
        "how much longer it takes",
    ),
    Group(
        "Labs: 1000 hosts, and ping_all over 50",
        "s",
        (
            Row("up", "20 switches x 50 hosts", at_most=3, label="20 switches x 50 hosts, made"),
            Row("down", "20 switches x 50 hosts", at_most=1.5, label="20 switches x 50 hosts, down, namespaces freed"),
            Row("up", "1 switch x 1000 hosts", at_most=3, label="1 switch x 1000 hosts, made"),
            Row("down", "1 switch x 1000 hosts", at_most=1.5, label="1 switch x 1000 hosts, down, namespaces freed"),
            Row("ping_all", "vnet as a user", at_most=3, label="ping_all, 50 hosts"),
        ),
        "labs",
    ),
    Group(
        "Labs: memory of an idle host, the kernel's included",
        "MB",
        (Row("host_memory", "1 switch x 1000 hosts", at_most=0.5),),
        "labs",
    ),
    *LINKS,
)
