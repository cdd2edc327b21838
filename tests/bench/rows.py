"""What the table shows, and the bars that it is held to.

A row is one side's value; with `over` it is that side's ratio to another's, taken round by round. `at_least` is held against the
lower bound of the interval, `at_most` against the upper; `stretch` is shown only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    metric: str
    side: str
    over: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    stretch: float | None = None


@dataclass(frozen=True)
class Group:
    """Lines that belong together, and the unit that their values are measured in."""

    title: str
    unit: str
    rows: tuple[Row, ...]
    part: str


VETH = "direct veth"
LINK = "lab link, drop_bcast"
BIG = "lab link, drop_bcast, big_tcp"
BUSY = "lab link, drop_bcast, busy_poll"
WIRE = "TAP wire, drop_bcast"
URING = "io_uring TAP loop"

REST = (
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
    sides = (VETH, "lab link", LINK, WIRE, *REST)
    given = {row.side for row in first if row.over == VETH}
    return (*first, *(Row(metric, side, VETH if side != VETH else None) for side in sides if side not in given))


GROUPS = (
    Group(
        "TCP, one connection",
        "Gbit/s",
        beside_veth(
            "tcp",
            Row("tcp", LINK, VETH, at_least=0.65, stretch=0.9),
            Row("tcp", BIG, VETH, at_least=1.2),
            Row("tcp", WIRE, VETH, at_least=0.70, stretch=0.9),
            Row("tcp", "lab link", VETH, at_least=0.95),
            Row("tcp", LINK, "Open vSwitch, user space", at_least=12),
            Row("tcp", LINK, "python-pytun", at_least=8),
            Row("tcp", LINK, "Scapy's bridge", at_least=250),
            Row("tcp", LINK, "raw sockets in Python, vnet header"),
            Row("tcp", LINK, "Open vSwitch, user space with TSO"),
        ),
        "packets",
    ),
    Group(
        "60-byte frames: CPU time for each of the thread between two TAPs",
        "ns",
        (
            Row("cpu", WIRE, "TAP wire", at_most=1.05),
            Row("cpu", WIRE, URING, at_most=1.10),
            Row("cpu", WIRE, "plain TAP loop"),
            Row("cpu", "TAP wire, drop_bcast in simple form", "TAP wire"),
            Row("cpu", URING),
            Row("cpu", "plain TAP loop"),
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
    ),
    Group(
        "Plugins in memory, batches of 64",
        "ns/packet",
        (
            Row("memory", "drop_bcast", at_most=4),
            Row("memory", "learning_switch", at_most=10),
            Row("memory", "chain of 8, 1500 B", at_most=150),
            Row("memory", "drop_bcast in simple form"),
            Row("memory", "count"),
            Row("memory", "icmp_echo"),
        ),
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
    ),
    Group(
        "Labs: 1000 hosts, and ping_all over 50",
        "s",
        (
            Row("up", "20 switches x 50 hosts", at_most=3),
            Row("down", "20 switches x 50 hosts", at_most=1.5),
            Row("up", "1 switch x 1000 hosts", at_most=3),
            Row("down", "1 switch x 1000 hosts", at_most=1.5),
            Row("ping_all", "vnet as a user", at_most=3),
        ),
        "labs",
    ),
    Group(
        "Labs: memory of an idle host, the kernel's included", "MB", (Row("memory", "1 switch x 1000 hosts"),), "labs"
    ),
)
