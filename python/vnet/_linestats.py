"""How the frames of an impaired link have fared, by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from vnet._chart import line
from vnet._html import Html, faint, fields, join, strong, table, words
from vnet._shown import headed, titled
from vnet._stats import _Value

__all__ = ["LineDelay", "LineStats", "LossBursts", "Spread"]


@dataclass(frozen=True, slots=True)
class Spread(_Value):
    """How ``count`` times are distributed, in seconds; quantiles are exact to 0.4 %."""

    count: int
    mean: float
    min: float
    p50: float
    p99: float
    max: float

    @classmethod
    def _maybe(cls, data: Mapping[str, Any] | None) -> Self | None:
        if data is None:
            return None
        times = {name: data[f"{name}_ns"] / 1e9 for name in ("mean", "min", "p50", "p99", "max")}
        return cls(count=data["count"], **times)

    def __repr__(self) -> str:
        return (
            f"<vnet.Spread p50 {_milli(self.p50)}, p99 {_milli(self.p99)}, max {_milli(self.max)}, {self.count} times>"
        )


@dataclass(frozen=True, slots=True)
class LineDelay(_Value):
    """How long frames took, from their arrival; each is None where no frame has left.

    ``asked`` is what queue, rate and delay make of it, ``realised`` what it was, ``error`` how much later than asked they left.
    """

    asked: Spread | None
    realised: Spread | None
    error: Spread | None

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{name: Spread._maybe(data[name]) for name in ("asked", "realised", "error")})


@dataclass(frozen=True, slots=True)
class LossBursts(_Value):
    """Runs of frames lost in a row.

    ``count`` tells how many there were, ``mean`` (None where there were none) and ``longest`` how long, ``lengths`` how many
    had 1, 2, ... frames.
    """

    count: int
    mean: float | None
    longest: int
    lengths: tuple[int, ...]

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        return super(LossBursts, cls)._read({**data, "lengths": tuple(data["lengths"])})


@dataclass(frozen=True, slots=True)
class LineStats(_Value):
    """What was asked of one direction of a link, and what became of its frames in the ``age`` seconds since it was first.

    ``frames_in`` arrived and ``frames_out`` left, a duplicated one counted once; ``lost`` by ``loss``, ``queue_full`` at the
    full queue, ``codel_drops`` and ``ecn_marked`` by CoDel, ``flight_full`` because 64 MiB were on the wire. ``in_flight``
    frames and the ``queue_packets`` are on their way: the rest adds up. ``reordered`` left ahead by ``reorder``,
    ``overtaken`` counts whatever left after a later one, as jitter has it. ``queue_bytes`` wait now, at most
    ``queue_most_packets`` and ``queue_most_bytes`` have.

    ``rate`` is bit/s while the line was busy (None without a rate), ``loss`` the share lost of those that reached the wire
    (None where none did), ``loss_asked`` what it is to be in the long run. ``queue_series`` tells the most that waited in
    equal spans of time: (seconds since the start, packets, bytes); its resolution halves when it is full, so it spans the
    whole life.
    """

    asked: Mapping[str, str]
    age: float
    frames_in: int
    bytes_in: int
    frames_out: int
    bytes_out: int
    lost: int
    queue_full: int
    codel_drops: int
    ecn_marked: int
    duplicated: int
    reordered: int
    overtaken: int
    corrupted: int
    flight_full: int
    in_flight: int
    queue_packets: int
    queue_bytes: int
    queue_most_packets: int
    queue_most_bytes: int
    delay: LineDelay
    rate: float | None
    loss_asked: float
    loss: float | None
    loss_bursts: LossBursts
    queue_series: list[tuple[float, int, int]] = field(repr=False)

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        queue = {f"queue_{name}": count for name, count in data["queue"].items()}
        return super(LineStats, cls)._read(
            {
                **data,
                **queue,
                "age": data["age_ns"] / 1e9,
                "delay": LineDelay._read(data["delay"]),
                "rate": data["rate_realised"],
                "loss": data["loss_realised"],
                "loss_bursts": LossBursts._read(data["loss_bursts"]),
                "queue_series": [(each["t_ns"] / 1e9, each["packets"], each["bytes"]) for each in data["queue_series"]],
            }
        )

    @classmethod
    def _maybe(cls, data: Mapping[str, Any] | None) -> Self | None:
        return None if data is None else cls._read(data)

    def __repr__(self) -> str:
        parts = [", ".join(f"{key} {text}" for key, text in self.asked.items()) or "nothing asked"]
        parts.append(f"{self.frames_in} in, {self.frames_out} out")
        counts = ("lost", "queue_full", "codel_drops", "duplicated", "reordered", "corrupted", "flight_full")
        parts.extend(f"{name} {getattr(self, name)}" for name in counts if getattr(self, name))
        if self.delay.realised is not None:
            parts.append(f"delay p50 {_milli(self.delay.realised.p50)} p99 {_milli(self.delay.realised.p99)}")
        if self.rate is not None:
            parts.append(f"{self.rate / 1e6:.3f} Mbit/s")
        return f"<vnet.LineStats {'; '.join(parts)}>"

    def _html(self) -> Html:
        asked = ", ".join(f"{key} {text}" for key, text in self.asked.items()) or "nothing asked"
        return titled(self, headed(self, asked), line_body(self))


_COUNTS = (
    "frames_in", "frames_out", "lost", "queue_full", "codel_drops", "ecn_marked", "duplicated", "reordered", "overtaken",
    "corrupted", "flight_full", "in_flight",
)  # fmt: skip


def line_body(stats: LineStats) -> Html:
    """Return how frames have fared in one direction: what was asked beside what it was, counts, delays, the queue."""
    asked: list[tuple[str, object]] = []
    if stats.loss_asked or stats.loss:
        realised = "" if stats.loss is None else f", {stats.loss:.3%} realised"
        asked.append(("loss", f"{stats.loss_asked:.3%} asked{realised}"))
    if stats.rate is not None:
        asked.append(("rate", f"{stats.rate / 1e6:,.3f} Mbit/s"))
    counted = [
        (words(name), getattr(stats, name)) for name in _COUNTS if getattr(stats, name) or name.startswith("frames")
    ]
    parts = [fields([*asked, *counted])]
    delays = [(name, spread) for name in ("asked", "realised", "error") if (spread := getattr(stats.delay, name))]
    if delays:
        names = ("min", "mean", "p50", "p99", "max")
        rows = [[name, *(_milli(getattr(spread, each)) for each in names)] for name, spread in delays]
        parts.append(table(["delay", *names], rows))
    if len(stats.queue_series) > 1:
        points = [(seconds, float(packets)) for seconds, packets, _ in stats.queue_series]
        label = f"Packets in the queue, at most {stats.queue_most_packets}"
        parts.append(line(points, label=label, unit="packets", across=f"queue over {stats.age:.1f} s"))
    return join(*parts)


def lines_body(there: LineStats | None, back: LineStats | None) -> Html:
    """Return how frames have fared from a to b and from b to a; nothing where neither direction was ever impaired."""
    sides = (("a to b", there), ("b to a", back))
    return join(
        *(
            join(strong(name), Html(" "), faint(", ".join(f"{k} {v}" for k, v in each.asked.items())), line_body(each))
            for name, each in sides
            if each is not None
        )
    )


def _milli(seconds: float) -> str:
    return f"{seconds * 1e3:.3f} ms"
