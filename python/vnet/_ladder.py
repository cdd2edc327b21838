"""Ladder diagrams: who said what to whom, and when."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vnet._chart import svg
from vnet._dissect import Header, dissect
from vnet._errors import InvalidValue
from vnet._html import Html, escape, faint, folded, mark, table
from vnet._pcap import frames
from vnet._recording import Recording
from vnet._shown import Shown, headed, titled
from vnet._stats import _Value
from vnet._vnet import Frame

__all__ = ["Ladder", "LadderMessage", "ladder"]

Protocol: TypeAlias = Literal["tcp", "udp", "dns", "icmp", "arp"]
"""What a message of a ladder may be."""

_PROTOCOLS: dict[str, Protocol] = {"TCP": "tcp", "UDP": "udp", "ICMP": "icmp", "ICMPv6": "icmp", "ARP": "arp"}
# What IPv6 does by itself to find neighbours and routers, which hides what a program does.
_CHATTER = ("neighbour", "router", "multicast listener")


@dataclass(frozen=True, slots=True)
class LadderMessage(_Value):
    """One rung: ``time`` in seconds since the first frame of the capture, who sent it, who was to get it, what it says.

    ``note`` says what is remarkable: ``"retransmission"`` or ``"reset"``, None for most. ``number`` is that of the frame in
    the capture, from 1.
    """

    number: int
    time: float
    source: str
    target: str
    protocol: Protocol
    text: str
    note: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Ladder(Shown):
    """Messages between endpoints in the order of time, as :func:`ladder` finds them in a capture."""

    endpoints: tuple[str, ...]
    messages: tuple[LadderMessage, ...]
    more: int
    """How many messages follow those that are kept."""

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[LadderMessage]:
        return iter(self.messages)

    def __repr__(self) -> str:
        if not self.messages:
            return "<vnet.Ladder of no messages>"
        width = max(len(name) for name in self.endpoints)
        lines = [f"{each.time:10.6f}  {each.source:>{width}} -> {each.target:<{width}}  {_said(each)}" for each in self]
        return "\n".join([*lines, *([f"and {self.more:,} more"] if self.more else [])])

    def _html(self) -> Html:
        counted = mark(f"{len(self.messages) + self.more:,} messages", "plain")
        if not self.messages:
            return titled(self, headed(self, "", counted))
        rows = [(e.number, f"{e.time:.6f}", e.source, e.target, e.protocol, e.text, e.note) for e in self.messages]
        head = ["frame", "s", "from", "to", "protocol", "message", "note"]
        more = [Html(f"<div>{faint(f'and {self.more:,} more')}</div>")] if self.more else []
        return titled(self, headed(self, "", counted), self._drawn(), *more, folded("as a table", table(head, rows)))

    def _svg(self) -> str | None:
        # A picture by itself has no page whose colour it could take.
        return self._drawn().replace("<svg ", '<svg color="#7a7a7a" ', 1) if self.messages else None

    def _drawn(self) -> Html:
        columns = {name: _TIMES + _COLUMN / 2 + number * _COLUMN for number, name in enumerate(self.endpoints)}
        bottom = _HEAD + _RUNG * len(self.messages) + 8
        drawn = [
            f'<path d="M{x} {_HEAD - 8}V{bottom}" stroke="currentColor" stroke-opacity=".35"/>'
            f'<text x="{x}" y="{_HEAD - 14}" text-anchor="middle" font-weight="bold">{escape(_cut(name, 38))}</text>'
            for name, x in columns.items()
        ]
        for number, each in enumerate(self.messages):
            drawn.append(_rung(each, _HEAD + _RUNG * number + 16, columns[each.source], columns[each.target]))
        label = f"{len(self.messages)} messages between {', '.join(self.endpoints)}"
        return svg("".join(drawn), _TIMES + _COLUMN * len(columns), bottom + 4, label=label)


# Pixels: of the column of times, between endpoints, above the first rung, between rungs; characters that fit between two.
_TIMES, _COLUMN, _HEAD, _RUNG, _FITTING = 78.0, 300.0, 28.0, 26.0, 46
_COLOURS: dict[str, str] = {"tcp": "#4a86c8", "dns": "#3c8d55", "udp": "#b7742b", "icmp": "#965ab4", "arp": "#808080"}


def _rung(each: LadderMessage, y: float, start: float, end: float) -> str:
    colour = "#c8453b" if each.note else _COLOURS[each.protocol]
    way = 1 if end > start else -1
    # The text stands beside the sender, where no other column's line runs through it.
    middle = start + way * _COLUMN / 2
    tip = f"M{end - way * 8} {y - 4}L{end} {y}L{end - way * 8} {y + 4}"
    text = escape(_cut(_said(each), _FITTING))
    return (
        f"<g><title>{escape(f'frame {each.number}: {_said(each)}')}</title>"
        f'<text x="{_TIMES - 14}" y="{y + 3}" text-anchor="end" fill-opacity=".7">{each.time * 1e3:.3f} ms</text>'
        f'<path d="M{start} {y}H{end}{tip}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<text x="{middle}" y="{y - 4}" text-anchor="middle">{text}</text></g>'
    )


def _said(each: LadderMessage) -> str:
    return f"{each.text} ({each.note})" if each.note else each.text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def ladder(
    source: str | os.PathLike[str] | Recording | Iterable[Frame],
    *,
    host: str | None = None,
    port: int | None = None,
    protocol: Protocol | None = None,
    limit: int = 100,
) -> Ladder:
    """Return the ladder diagram of a capture: a column for each address, an arrow for each packet, with its time and meaning.

    ``source`` is a capture file (pcap or pcapng), a :class:`Recording` or frames. ``host`` is an address, ``port`` one of TCP
    or UDP that a packet must come from or go to, such as that of the client of one connection; ``protocol`` is ``"tcp"``,
    ``"udp"``, ``"dns"``, ``"icmp"`` or ``"arp"``. The first ``limit`` messages are kept. Without ``protocol`` what IPv6 says
    by itself to find neighbours and routers is left out.

    Raises NotFound when there is no such file, InvalidValue when it is no capture.
    """
    if limit < 1:
        raise InvalidValue(f"limit {limit} keeps no message", hint="give at least 1")
    if isinstance(source, Recording):
        source = source.path
    found = _messages(frames(source) if isinstance(source, (str, os.PathLike)) else source, port, protocol)
    kept: list[LadderMessage] = []
    more = 0
    for each in found:
        if host is not None and host not in (each.source, each.target):
            continue
        if len(kept) < limit:
            kept.append(each)
        else:
            more += 1
    endpoints = dict.fromkeys(name for each in kept for name in (each.source, each.target))
    return Ladder(tuple(endpoints), tuple(kept), more)


def _messages(source: Iterable[Frame], port: int | None, protocol: Protocol | None) -> Iterator[LadderMessage]:
    first: int | None = None
    seen: set[tuple[str, ...]] = set()
    for number, frame in enumerate(source, 1):
        first = frame.timestamp_ns if first is None else first
        headers = dissect(bytes(frame), frame.layer)
        kinds = {header.name: header for header in headers}
        kind = next((name for name in _PROTOCOLS if name in kinds), None)
        if kind is None:
            continue
        what: Protocol = "dns" if "DNS" in kinds else _PROTOCOLS[kind]
        header = kinds[kind]
        values = {field.name: field.text for field in header.fields}
        if port is not None and str(port) not in (values.get("source port"), values.get("destination port")):
            continue
        if protocol is None and kind == "ICMPv6" and header.short.startswith(_CHATTER):
            continue
        if protocol is not None and what != protocol:
            continue
        source_name, target = _ends(kinds)
        if source_name is None or target is None:
            continue
        text, note = _meaning(what, header, values, headers, seen, (source_name, target))
        time = (frame.timestamp_ns - first) / 1e9
        yield LadderMessage(number, time, source_name, target, what, text, note)


def _ends(kinds: dict[str, Header]) -> tuple[str | None, str | None]:
    if "ARP" in kinds:
        values = {field.name: field.text for field in kinds["ARP"].fields}
        return values["sender IP"], values["target IP"]
    # The innermost: what is in a tunnel is not looked at.
    header = kinds.get("IPv4") or kinds.get("IPv6")
    if header is None:
        return None, None
    values = {field.name: field.text for field in header.fields}
    return values["source"], values["destination"]


def _meaning(
    what: Protocol,
    header: Header,
    values: dict[str, str],
    headers: list[Header],
    seen: set[tuple[str, ...]],
    ends: tuple[str, str],
) -> tuple[str, str | None]:
    """Returns what a message says, and what is remarkable about it."""
    if what == "dns":
        return next(each.short for each in headers if each.name == "DNS"), None
    if what == "tcp":
        return _segment(values, _payload(header, headers), seen, ends)
    if what == "udp":
        return f"UDP {header.short}, {_payload(header, headers)} bytes", None
    return f"{header.name} {header.short}", None


def _segment(
    values: dict[str, str], size: int, seen: set[tuple[str, ...]], ends: tuple[str, str]
) -> tuple[str, str | None]:
    flags = values["flags"]
    text = f"{values['source port']} \N{RIGHTWARDS ARROW} {values['destination port']} {flags}"
    if size:
        text += f", {size:,} bytes"
    if "RST" in flags:
        return text, "reset"
    key = (*ends, values["source port"], values["destination port"], values["sequence"], flags, str(size))
    if size or "SYN" in flags or "FIN" in flags:
        if key in seen:
            return text, "retransmission"
        seen.add(key)
    return text, None


def _payload(header: Header, headers: list[Header]) -> int:
    """Returns the number of octets behind a transport header, without what pads a short Ethernet frame."""
    ip = next((each for each in headers if each.name in ("IPv4", "IPv6")), None)
    if ip is None:
        return 0
    values = {field.name: field.text for field in ip.fields}
    end = ip.start + int(values["total length"]) if ip.name == "IPv4" else ip.end + int(values["payload length"])
    return max(end - header.end, 0)
