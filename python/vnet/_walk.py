"""Packet walks: one packet's way through a network, hop by hop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vnet import _vnet
from vnet._chart import svg
from vnet._html import Html, escape, folded, mark, table
from vnet._packets import _module
from vnet._shown import Shown, headed, titled
from vnet._stats import _Value
from vnet._vnet import Frame

__all__ = ["Hop", "Walk"]

HopKind = Literal["sent", "received", "port", "plugin", "impairment", "switch"]


@dataclass(frozen=True, slots=True)
class Hop(_Value):
    """One step of a packet.

    ``place`` says where in words; ``node``, ``interface``, ``link`` and ``stage`` (a plugin, or the impaired direction
    ``"a>b"``) are its parts, empty where there is none. ``time`` is in seconds since the packet was first seen, ``waited`` in
    seconds between coming and leaving, None where only one of them was seen. ``changes`` maps a header's field to its value
    before and after. ``parent`` is the number of the hop before it, None at the start: a packet that a switch floods has
    branches. ``frames`` is more than 1 where it was duplicated, or cut into segments or fragments. ``before`` and ``after``
    are the frame as it came and as it left, its first 2,048 octets.
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

    __slots__ = ("_ambiguous", "_answer", "_delivered_to", "_hops", "_outcome")

    def __init__(
        self,
        hops: Sequence[Hop],
        outcome: str,
        delivered_to: str | None = None,
        answer: Walk | None = None,
        ambiguous: bool = False,
    ) -> None:
        self._hops = tuple(hops)
        self._outcome = outcome
        self._delivered_to = delivered_to
        self._answer = answer
        self._ambiguous = ambiguous

    @classmethod
    def _of(
        cls, native: _vnet.Packets, data: Mapping[str, Any], why: Callable[[str], str] | None = None, lost: int = 0
    ) -> Walk:
        """Make one of what the records of a capture tell, of which it lost some.

        ``why`` says what a node did with a packet that it kept.
        """
        start = min(hop["ts_ns"] for hop in data["hops"])
        hops = []
        for hop in data["hops"]:
            about = {name: hop[name] for name in _SAME}
            hops.append(
                Hop(
                    **about,
                    time=(hop["ts_ns"] - start) / 1e9,
                    waited=None if hop["waited_ns"] is None else hop["waited_ns"] / 1e9,
                    changes={name: (old, new) for name, old, new in hop["changes"]},
                    before=native.frame(hop["before"]),
                    after=native.frame(hop["after"]),
                )
            )
        node = data["held_by"]
        outcome = data["outcome"]
        if data["is_open"] and lost:
            seen = f"last seen at {hops[-1].place}" if node is not None else outcome
            outcome = f"{seen}: the capture lost {lost:,} records, which came too fast, and its own may be among them"
        elif node is not None and why is not None:
            outcome = why(node)
        return cls(hops, outcome, data["delivered_to"], ambiguous=data["is_ambiguous"])

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Its hops, each behind the one that it came from."""
        return self._hops

    @property
    def outcome(self) -> str:
        """What became of it: ``"delivered to h2"``, ``"dropped on link h1-s1 by acl: rule_3 "deny udp" (reason 19)"``."""
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
    def ambiguous(self) -> bool:
        """Whether another packet with the same bytes was on its way, and one of them went missing: hops may be the other's."""
        return self._ambiguous

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
        seen = [("first", first), ("last", last)] if first != last else [("first and last", first)]
        headers = table(["seen", "headers"], seen)
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


# What a hop has as the capture's records tell it.
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
