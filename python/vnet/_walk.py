"""Packet walks: one packet's way through a network, hop by hop."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from vnet import _vnet
from vnet._chart import svg
from vnet._errors import InvalidValue, TimeoutError
from vnet._evidence import Counters
from vnet._html import Html, escape, folded, mark, table
from vnet._packets import _module, nodes_of
from vnet._shown import Shown, headed, titled
from vnet._stats import _Value
from vnet._vnet import Frame

if TYPE_CHECKING:
    from vnet._network import Network
    from vnet._node import Node
    from vnet._recording import Recording

__all__ = ["Hop", "Walk", "Walks"]

HopKind = Literal["sent", "received", "port", "plugin", "impairment", "switch"]


@dataclass(frozen=True, slots=True)
class Hop(_Value):
    """One step of a packet.

    ``place`` says where in words; ``node``, ``interface``, ``link`` and ``stage`` (a plugin, or the impaired direction
    ``"a>b"``) are its parts, empty where there is none. ``time`` is in seconds since the packet was first seen, ``waited`` in
    seconds between coming and leaving, None where only one of them was seen. ``changes`` maps a header's field to its value
    before and after. ``parent`` is the number of the hop before it, None at the start: a packet that a switch floods has
    branches. ``frames`` is more than 1 where it was duplicated, or cut into segments or fragments. ``before`` and ``after``
    are the frame as it came and as it left.
    """

    kind: HopKind
    place: str
    node: str
    interface: str
    link: str
    stage: str
    verdict: str
    reason: str
    time: float
    waited: float | None
    changes: dict[str, tuple[str, str]]
    comment: str
    parent: int | None
    frames: int
    before: Frame = field(repr=False)
    after: Frame = field(repr=False)
    is_end: bool = field(repr=False, default=False)

    @property
    def said(self) -> str:
        """The verdict with its reason."""
        return f"{self.verdict}: {self.reason}" if self.reason else self.verdict


class Walk(Shown):
    """A packet's way: its hops in the order of their times, and what became of it.

    ``print(walk)`` shows it as a table; a notebook draws it.
    """

    __slots__ = ("_answer", "_delivered_to", "_hops", "_outcome")

    def __init__(
        self, hops: Sequence[Hop], outcome: str, delivered_to: str | None = None, answer: Walk | None = None
    ) -> None:
        self._hops = tuple(hops)
        self._outcome = outcome
        self._delivered_to = delivered_to
        self._answer = answer

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Its hops, each behind the one that it came from."""
        return self._hops

    @property
    def outcome(self) -> str:
        """What became of it: ``"delivered to h2"``, ``"dropped on link h1-s1 by acl: rule_3 (reason 19)"``."""
        return self._outcome

    @property
    def delivered(self) -> bool:
        """Whether a node that it was for got it."""
        return self._delivered_to is not None

    @property
    def delivered_to(self) -> str | None:
        """The node that it was for and that got it."""
        return self._delivered_to

    @property
    def answer(self) -> Walk | None:
        """The walk of what was answered, where :meth:`Node.trace_to` saw one."""
        return self._answer

    @property
    def frame(self) -> Frame:
        """The packet as it was first seen."""
        return self._hops[0].before

    def __len__(self) -> int:
        return len(self._hops)

    def __iter__(self) -> Iterator[Hop]:
        return iter(self._hops)

    def columns(self) -> dict[str, list[Any]]:
        """Return the hops as a table's columns."""
        names = [name for name in Hop.__dataclass_fields__ if name not in ("before", "after", "is_end")]
        return {name: [getattr(hop, name) for hop in self._hops] for name in names}

    def to_pandas(self) -> Any:
        """Return a DataFrame with a row for each hop. Raises Unsupported without pandas."""
        return _module("pandas", "a table").DataFrame(self.columns())

    def __repr__(self) -> str:
        return f"<vnet.Walk {len(self._hops)} hops: {self._outcome}>"

    def __str__(self) -> str:
        if not self._hops:
            return self._outcome
        depths = self._depths()
        cells = [
            (f"{hop.time * 1e3:.3f}", "  " * depth + hop.place, hop.said + _times(hop), _changes(hop))
            for hop, depth in zip(self._hops, depths, strict=True)
        ]
        head = ("ms", "where", "what", "changed")
        wide = [max(len(row[at]) for row in [head, *cells]) for at in range(3)]
        lines = [
            f"{ms:>{wide[0]}}  {at:<{wide[1]}}  {what:<{wide[2]}}  {new}".rstrip()
            for ms, at, what, new in [head, *cells]
        ]
        answer = ["", "answer:", str(self._answer)] if self._answer is not None else []
        return "\n".join([self.frame.summary(), self._outcome, *lines, *answer])

    def _depths(self) -> list[int]:
        """How far each hop stands to the right: one step more behind each place where the way branches."""
        children: dict[int | None, int] = {}
        for hop in self._hops:
            children[hop.parent] = children.get(hop.parent, 0) + 1
        depths: list[int] = []
        for hop in self._hops:
            base = 0 if hop.parent is None else depths[hop.parent]
            depths.append(base + (hop.parent is not None and children[hop.parent] > 1))
        return depths

    def _html(self) -> Html:
        state = mark(self._outcome, "good" if self.delivered else "bad")
        if not self._hops:
            return titled(self, headed(self, "", state))
        rows = [
            (
                f"{hop.time * 1e3:.3f}",
                hop.place,
                hop.said,
                _milliseconds(hop.waited),
                hop.frames,
                _changes(hop),
                hop.comment,
            )
            for hop in self._hops
        ]
        head = ["ms", "where", "what", "waited", "frames", "changed", "comment"]
        first, last = self._hops[0].before.summary(), self._hops[-1].after.summary()
        headers = table(["", "headers"], [("first", first), ("last", last)] if first != last else [("", first)])
        answer = [folded("answer", self._answer._html())] if self._answer is not None else []
        return titled(
            self, headed(self, "", state), headers, self._drawn(), folded("as a table", table(head, rows)), *answer
        )

    def _svg(self) -> str | None:
        # A picture by itself has no page whose colour it could take.
        return self._drawn().replace("<svg ", '<svg color="#7a7a7a" ', 1) if self._hops else None

    def _drawn(self) -> Html:
        depths = self._depths()
        shown = list(zip(self._hops, depths, strict=True))[:_MOST_DRAWN]
        drawn, width = [], 0.0
        for number, (hop, depth) in enumerate(shown):
            x, y = _TIMES + depth * _INDENT, _TOP + number * _ROW
            if hop.parent is not None:
                up, left = _TOP + hop.parent * _ROW, _TIMES + depths[hop.parent] * _INDENT
                way = f"M{left} {up + _DOT}V{y - 12}L{x} {y - _DOT}"
                drawn.append(f'<path d="{way}" fill="none" stroke="currentColor" stroke-opacity=".4"/>')
            colour = _RED if hop.is_end else _COLOURS[hop.kind]
            text = f"{hop.place}: {hop.said}{_times(hop)}"
            about = _changes(hop)
            width = max(width, x + 40 + _LETTER * (min(len(text), 62) + min(len(about), 70)))
            drawn.append(
                f"<g><title>{escape(hop.comment or text)}</title>"
                f'<text x="{_TIMES - 16}" y="{y + 4}" text-anchor="end" fill-opacity=".7">{hop.time * 1e3:.3f} ms</text>'
                f'<circle cx="{x}" cy="{y}" r="{_DOT}" fill="{colour}"/>'
                f'<text x="{x + 12}" y="{y + 4}">{escape(_cut(text, 62))}'
                f'<tspan dx="8" fill-opacity=".7">{escape(_cut(about, 70))}</tspan></text></g>'
            )
        height = _TOP + _ROW * len(shown) - 4
        return svg("".join(drawn), width, height, label=f"a packet's {len(self._hops)} hops: {self._outcome}")


_TIMES, _INDENT, _TOP, _ROW, _DOT, _MOST_DRAWN = 96.0, 22.0, 18.0, 26.0, 5.0, 200
# Pixels that a letter of the page's face is wide at most, as a rule.
_LETTER = 5.8
_RED = "#c8453b"
_COLOURS: dict[str, str] = {"sent": "#3c8d55", "received": "#3c8d55", "port": "#808080", "plugin": "#965ab4"} | {
    "impairment": "#b7742b",
    "switch": "#4a86c8",
}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _times(hop: Hop) -> str:
    return f" ({hop.frames} frames)" if hop.frames > 1 else ""


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.3f} ms"


def _changes(hop: Hop) -> str:
    parts = [f"{name} {old or '-'} \N{RIGHTWARDS ARROW} {new or '-'}" for name, (old, new) in hop.changes.items()]
    if hop.waited is not None:
        parts.insert(0, f"waited {_milliseconds(hop.waited)}")
    return ", ".join(parts)


class Walks(Shown):
    """The walks of packets that a filter takes, as :meth:`Network.walk` returns it.

    As a ``with`` block it watches until the block ends, and then holds the walks; iterated without one it begins to watch,
    yields each walk as soon as its packet's fate is known, and ends after ``count`` of them or ``timeout`` seconds.
    """

    __slots__ = (
        "_count",
        "_counters",
        "_filter",
        "_found",
        "_links",
        "_network",
        "_nodes",
        "_places",
        "_recording",
        "_timeout",
    )

    def __init__(self, network: Network, filter: str, timeout: float, count: int | None) -> None:
        if count is not None and count < 1:
            raise InvalidValue(f"count={count} is no number of walks: give 1 or more, or None for all")
        self._network = network
        self._filter = filter
        self._timeout = timeout
        self._count = count
        self._recording: Recording | None = None
        self._found: list[Walk] | None = None

    def _check(self) -> Self:
        """Raise InvalidValue where the filter is none."""
        self._nodes = nodes_of(self._network)
        _vnet.check_filter(self._filter, self._nodes)
        return self

    def _begin(self) -> Recording:
        network = self._network
        self._check()
        self._places, self._links = _plan(network)
        self._counters = Counters(network)
        self._recording = recording = network.capture(stages=True, dropped=True)
        return recording

    def _end(self) -> None:
        if self._recording is not None:
            recording, self._recording = self._recording, None
            # What is on its way is to be seen arriving, too.
            time.sleep(_SETTLE)
            recording.stop()
            found = self._read(recording)
            self._found = found if self._count is None else found[: self._count]

    def _read(self, recording: Recording) -> list[Walk]:
        native = _vnet.Packets(recording.path)
        return [self._walk(native, data) for data in native.walks(self._filter, self._nodes, self._places, self._links)]

    def _walk(self, native: _vnet.Packets, data: dict[str, Any]) -> Walk:
        start = min(hop["ts_ns"] for hop in data["hops"])
        hops = []
        for hop in data["hops"]:
            about = {name: hop[name] for name in _SAME}
            waited = None if hop["waited_ns"] is None else hop["waited_ns"] / 1e9
            hops.append(
                Hop(
                    **about,
                    time=(hop["ts_ns"] - start) / 1e9,
                    waited=waited,
                    changes={name: (old, new) for name, old, new in hop["changes"]},
                    before=native.frame(hop["before"]),
                    after=native.frame(hop["after"]),
                )
            )
        outcome = data["outcome"]
        if (node := data["held_by"]) is not None:
            outcome = self._counters.why(node)
        return Walk(hops, outcome, data["delivered_to"])

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __iter__(self) -> Iterator[Walk]:
        if self._recording is not None:
            return iter(self._read(self._recording))
        return iter(list(self._found)) if self._found is not None else self._live(self._begin())

    def _live(self, recording: Recording) -> Iterator[Walk]:
        given, deadline = 0, time.monotonic() + self._timeout
        try:
            while self._count is None or given < self._count:
                late = time.monotonic() >= deadline
                for walk in self._read(recording)[given : self._count]:
                    age = time.time() - walk.frame.timestamp - walk.hops[-1].time
                    if not (late or walk.delivered or walk.hops[-1].is_end or age > _KEPT):
                        break
                    given += 1
                    yield walk
                if late:
                    return
                time.sleep(_POLL)
        finally:
            self._end()

    @overload
    def __getitem__(self, index: int) -> Walk: ...
    @overload
    def __getitem__(self, index: slice) -> list[Walk]: ...
    def __getitem__(self, index: int | slice) -> Walk | list[Walk]:
        return (self._found or [])[index]

    def __len__(self) -> int:
        return len(self._found or ())

    @property
    def first(self) -> Walk:
        """The first walk. Raises TimeoutError when no packet was seen that the filter takes."""
        if not self._found:
            raise TimeoutError(
                f"no packet was seen that the filter {self._filter!r} takes",
                hint="send one within the block, or see what goes on with net.capture()",
            )
        return self._found[0]

    def __repr__(self) -> str:
        state = (
            "watching"
            if self._recording is not None
            else "not begun"
            if self._found is None
            else f"{len(self._found)} walks"
        )
        return f"<vnet.Walks {self._filter!r}: {state}>"

    def _html(self) -> Html:
        return titled(self, headed(self, self._filter), *(walk._html() for walk in (self._found or [])[:20]))


_SAME = [
    "kind",
    "place",
    "node",
    "interface",
    "link",
    "stage",
    "verdict",
    "reason",
    "comment",
    "parent",
    "frames",
    "is_end",
]
# Seconds: for what is on its way to arrive, between two looks, and after which a kernel has surely dropped what it has.
_SETTLE, _POLL, _KEPT = 0.15, 0.1, 1.0


def _plan(network: Network) -> tuple[list[tuple[str, str, str, bool]], list[tuple[str, str, str]]]:
    """Return where a capture's interfaces stand: name, node, interface, whether a port; and the links between them."""
    switches = set(network.switches.names)
    places: dict[str, tuple[str, str, str, bool]] = {}
    links = []
    for link in network.stats().links.values():
        ends = []
        for end in (link.a, link.b):
            node, interface = end.split(":", 1)
            name = f"{node}-{interface}"
            places[name] = (name, node, interface, node in switches)
            ends.append(name)
        links.append((link.name, ends[0], ends[1]))
    for host in [*network.hosts, *network.routers]:
        for one in host.interfaces:
            name = f"{host.name}-{one.name}"
            places.setdefault(name, (name, host.name, one.name, False))
    return list(places.values()), links


def trace(
    source: Node,
    target: Node | str,
    proto: Literal["icmp", "udp", "tcp"],
    port: int | None,
    size: int | None,
    timeout: float,
) -> Walk:
    """Send one packet from a node to a node or address, and return its walk."""
    if proto not in ("icmp", "udp", "tcp"):
        raise InvalidValue(f'proto={proto!r} is none of "icmp", "udp", "tcp"')
    if proto == "icmp" and port is not None:
        raise InvalidValue(f"port={port}: ICMP has no ports", hint='give proto="udp" or proto="tcp"')
    try:
        address = str(ipaddress.ip_address(target if isinstance(target, str) else target.ip))
    except ValueError:
        # It is the name of a node, then.
        address = str(source.network[str(target)].ip)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    to = {"icmp": None, "udp": _UDP_PORT, "tcp": 80}[proto] if port is None else port
    walks = Walks(source.network, f"{proto} or icmp or icmp6", timeout, None)
    with walks:
        if proto == "icmp":
            source.ping(address, timeout=timeout, size=56 if size is None else size)
        elif proto == "udp":
            # Without a route it is refused, which is told below.
            with source.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
                probe.sendto(bytes(32 if size is None else size), (address, to))
                time.sleep(min(timeout, _SETTLE))
        else:
            _connect(source, family, (address, to), size, timeout)
    meant = re.compile(rf"> {re.escape(address)}{'' if to is None else rf'[.]{to}'}: ")
    own = [walk for walk in walks if walk.hops[0].node == source.name and meant.search(walk.frame.summary())]
    if not own:
        raise TimeoutError(
            f"{source.name} sent no packet to {address}: it has no route there, or no neighbour on the way answered it",
            hint=f"see its routes with {source.name}.run('ip route get {address}')",
        )
    probe_walk = own[0]
    back = [
        walk
        for walk in walks
        if walk.hops[0].node == probe_walk.delivered_to and walk.frame.timestamp_ns >= probe_walk.frame.timestamp_ns
    ]
    if back and back[0] is not probe_walk:
        probe_walk._answer = back[0]
    return probe_walk


def _connect(source: Node, family: int, to: tuple[str, int | None], size: int | None, timeout: float) -> None:
    with source.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(timeout)
        # The walk tells what became of an attempt that fails.
        with contextlib.suppress(OSError):
            probe.connect(to)
            probe.sendall(bytes(size or 0))


# Where traceroute begins.
_UDP_PORT = 33434
