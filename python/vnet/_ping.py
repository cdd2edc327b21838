"""What pings found out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from vnet._chart import bars, cells
from vnet._html import Html, faint, fields, join, mark, strong, table
from vnet._shown import Shown, headed, titled
from vnet._stats import _Value

__all__ = ["PingMatrix", "PingResult"]


@dataclass(frozen=True, slots=True)
class PingResult(_Value):
    """Echo requests from one node to one address, and what came back; true when every one was answered.

    ``rtts`` holds a round-trip time in seconds for each request, in order, None where no answer came in time; answers that came
    ``late``, twice (``duplicates``) or with other bytes (``corrupt``) are counted apart. ``errors`` are what the kernel or a
    router said instead, in words. ``size`` is that of the payload in bytes.
    """

    source: str
    target: str
    address: str
    size: int
    sent: int
    received: int
    duplicates: int
    late: int
    corrupt: int
    errors: tuple[str, ...]
    rtts: tuple[float | None, ...]

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        rtts = tuple(None if reply is None else reply["rtt_ns"] / 1e9 for reply in data["replies"])
        own = {"source": data["from"], "target": data["to"], "errors": tuple(data["errors"]), "rtts": rtts}
        return super(PingResult, cls)._read({**data, **own})

    @property
    def loss(self) -> float:
        """Part of the requests that was not answered, from 0.0 to 1.0."""
        return 1 - self.received / self.sent if self.sent else 0.0

    @property
    def rtt_min(self) -> float | None:
        """Shortest round-trip time in seconds; None when nothing came back."""
        return min(self._answered(), default=None)

    @property
    def rtt_avg(self) -> float | None:
        """Mean round-trip time in seconds; None when nothing came back."""
        times = self._answered()
        return sum(times) / len(times) if times else None

    @property
    def rtt_max(self) -> float | None:
        """Longest round-trip time in seconds; None when nothing came back."""
        return max(self._answered(), default=None)

    @property
    def rtt_mdev(self) -> float | None:
        """Standard deviation of the round-trip times in seconds, as ``ping`` prints it; None when nothing came back."""
        times = self._answered()
        if not times:
            return None
        mean = sum(times) / len(times)
        return math.sqrt(sum((time - mean) ** 2 for time in times) / len(times))

    def _answered(self) -> list[float]:
        return [time for time in self.rtts if time is not None]

    def __bool__(self) -> bool:
        return self.sent > 0 and self.received == self.sent

    def __str__(self) -> str:
        head = f"{self.source} -> {self.target} ({self.address}): {self.received} of {self.sent} answered"
        times = (self.rtt_min, self.rtt_avg, self.rtt_max, self.rtt_mdev)
        shown = "/".join(f"{time * 1e3:.3f}" for time in times if time is not None)
        errors = "".join(f"; {error}" for error in dict.fromkeys(self.errors))
        return head + (f", rtt min/avg/max/mdev {shown} ms" if shown else "") + errors

    def __repr__(self) -> str:
        return f"<vnet.PingResult {self}>"

    def _html(self) -> Html:
        ways = f"{self.source} \N{RIGHTWARDS ARROW} {self.target}"
        answered = mark(f"{self.received} of {self.sent} answered", "good" if self else "bad")
        times = (self.rtt_min, self.rtt_avg, self.rtt_max, self.rtt_mdev)
        shown = " / ".join(f"{time * 1e3:.3f}" for time in times if time is not None)
        about: list[tuple[str, object]] = [("address", self.address), ("payload", f"{self.size} bytes")]
        if shown:
            about.append(("min / avg / max / mdev", f"{shown} ms"))
        about.extend((name, getattr(self, name)) for name in ("duplicates", "late", "corrupt") if getattr(self, name))
        about.extend(("error", error) for error in dict.fromkeys(self.errors))
        chart = bars(
            [None if time is None else time * 1e3 for time in self.rtts],
            label=f"Round-trip times: {self}",
            unit="ms",
            across="request",
        )
        return titled(self, headed(self, ways, answered), fields(about), *([chart] if self.rtts else []))


@dataclass(frozen=True, slots=True, repr=False)
class PingMatrix(Shown):
    """What :meth:`Network.ping_all` found: who reaches whom; true when everybody reaches everybody.

    ``rtts`` holds a round-trip time in seconds for each ordered pair of names, None where no answer came. A pair of nodes that
    was pinged by IPv4 and IPv6 was reached when both answered, and its time is the longer one. ``errors`` says in words what
    the kernel or a router answered for some pairs. It all took ``seconds``.
    """

    nodes: tuple[str, ...]
    rtts: Mapping[tuple[str, str], float | None]
    errors: Mapping[tuple[str, str], str]
    seconds: float

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        names = tuple(data["hosts"])
        rtts: dict[tuple[str, str], float | None] = {}
        errors: dict[tuple[str, str], str] = {}
        for pair in data["pairs"]:
            key = names[pair["from"]], names[pair["to"]]
            rtt = None if pair["rtt_ns"] is None else pair["rtt_ns"] / 1e9
            before = rtts.get(key, 0.0)
            rtts[key] = None if rtt is None or before is None else max(before, rtt)
            if pair["error"] is not None:
                errors[key] = pair["error"]
        return cls(names, rtts, errors, data["elapsed_ns"] / 1e9)

    @property
    def sent(self) -> int:
        """How many pairs were tried."""
        return len(self.rtts)

    @property
    def received(self) -> int:
        """How many pairs were answered."""
        return sum(rtt is not None for rtt in self.rtts.values())

    @property
    def loss(self) -> float:
        """Part of the pairs that was not answered, from 0.0 to 1.0."""
        return 1 - self.received / self.sent if self.sent else 0.0

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        """The pairs, source first, that were not answered."""
        return tuple(pair for pair, rtt in self.rtts.items() if rtt is None)

    def to_dict(self) -> dict[str, Any]:
        """Return the same values as plain dicts, lists, strings and numbers."""
        pairs = [
            {"source": pair[0], "target": pair[1], "rtt": rtt, "error": self.errors.get(pair)}
            for pair, rtt in self.rtts.items()
        ]
        return {"nodes": list(self.nodes), "pairs": pairs, "seconds": self.seconds}

    def __getitem__(self, pair: tuple[str, str]) -> float | None:
        """Return the round-trip time in seconds from the first to the second, None when no answer came."""
        return self.rtts[pair]

    def __bool__(self) -> bool:
        return not self.failed

    def __str__(self) -> str:
        """Return a table: a line for each source, a column for each target, milliseconds or ``x``."""
        width = max([7, *(len(name) for name in self.nodes)])
        lines = [" ".join(f"{name:>{width}}" for name in ("", *self.nodes))]
        for source in self.nodes:
            cells = [self._cell(source, target) for target in self.nodes]
            lines.append(" ".join(f"{cell:>{width}}" for cell in (source, *cells)))
        return "\n".join([*lines, self._summary()])

    def _cell(self, source: str, target: str) -> str:
        if (source, target) not in self.rtts:
            return "-" if source == target else ""
        rtt = self.rtts[source, target]
        return "x" if rtt is None else f"{rtt * 1e3:.3f}"

    def _summary(self) -> str:
        return f"{self.received} of {self.sent} pairs answered, {self.loss:.1%} lost (times in ms)"

    def __repr__(self) -> str:
        # A table wider than a screen helps nobody.
        if len(self.nodes) <= 12:
            return str(self)
        shown = ", ".join(f"{source} -> {target}" for source, target in self.failed[:8])
        more = len(self.failed) - 8
        failed = f"; failed: {shown}" + (f" and {more} more" if more > 0 else "") if shown else ""
        return f"<vnet.PingMatrix of {len(self.nodes)} nodes: {self._summary()}{failed}>"

    def _html(self) -> Html:
        found = mark(f"{self.received} of {self.sent} pairs answered", "good" if self else "bad")
        title = headed(self, f"{len(self.nodes)} nodes", found, faint(f"in {self.seconds:.2f} s"))
        # Names beside a larger one could not be read.
        body = self._cells() if len(self.nodes) > 24 else self._table()
        return titled(self, title, body, *([self._failures()] if self.failed else []))

    def _table(self) -> Html:
        def cell(source: str, target: str) -> Html:
            text = self._cell(source, target)
            return mark("x", "bad") if text == "x" else faint(text) if text in ("-", "") else Html(text)

        rows = [[strong(source), *(cell(source, target) for target in self.nodes)] for source in self.nodes]
        return table(["from \\ to, ms", *self.nodes], rows, label="Round-trip times in milliseconds")

    def _cells(self) -> Html:
        def state(source: str, target: str) -> bool | None:
            pair = (source, target)
            return self.rtts[pair] is not None if pair in self.rtts else None

        rows = [[state(source, target) for target in self.nodes] for source in self.nodes]
        caption = faint("a row for each source, a column for each target; red: no answer")
        return join(cells(rows, label=f"Who reaches whom: {self._summary()}"), Html("<br>"), caption)

    def _failures(self) -> Html:
        rows = [(source, target, self.errors.get((source, target))) for source, target in self.failed]
        return table(["no answer from", "to", "error"], rows)
