"""What a throughput measurement found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from vnet._chart import bars
from vnet._html import Html, fields, mark
from vnet._shown import headed, titled
from vnet._stats import _Value

__all__ = ["IperfInterval", "IperfResult"]


@dataclass(frozen=True, slots=True)
class IperfInterval(_Value):
    """One part of a measurement: from ``start`` for ``seconds``, and the payload ``bytes`` that arrived in it."""

    start: float
    seconds: float
    bytes: int
    bits_per_second: float

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        start = data["start_ns"] / 1e9
        return super(IperfInterval, cls)._read({**data, "start": start, "seconds": data["end_ns"] / 1e9 - start})


@dataclass(frozen=True, slots=True)
class IperfResult(_Value):
    """What :meth:`Node.iperf` measured, as the receiver saw it.

    ``bytes`` of payload arrived in ``seconds`` over ``streams`` connections or flows. With TCP ``retransmits`` counts segments
    sent again. With UDP ``datagrams`` were sent, ``lost`` of them did not arrive, ``reordered`` arrived after a later one,
    ``duplicates`` arrived again, and ``jitter`` is that of RFC 3550 in seconds; these are None with TCP, as ``retransmits`` is
    with UDP.
    """

    source: str
    target: str
    address: str
    protocol: Literal["tcp", "udp"]
    streams: int
    bytes: int
    seconds: float
    bits_per_second: float
    retransmits: int | None
    datagrams: int | None
    lost: int | None
    reordered: int | None
    duplicates: int | None
    jitter: float | None
    intervals: tuple[IperfInterval, ...]

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        udp = data["datagrams"] or {}
        own = {
            "source": data["from"],
            "target": data["to"],
            "streams": len(data["streams"]),
            "seconds": data["duration_ns"] / 1e9,
            "datagrams": udp.get("sent"),
            "lost": udp.get("lost"),
            "reordered": udp.get("out_of_order"),
            "duplicates": udp.get("duplicates"),
            "jitter": udp["jitter_ns"] / 1e9 if udp else None,
            "intervals": tuple(IperfInterval._read(interval) for interval in data["intervals"]),
        }
        return super(IperfResult, cls)._read({**data, **own})

    @property
    def loss(self) -> float | None:
        """Part of the datagrams that did not arrive, from 0.0 to 1.0; None with TCP."""
        if self.datagrams is None or self.lost is None:
            return None
        return self.lost / self.datagrams if self.datagrams else 0.0

    def __str__(self) -> str:
        what = f"{self.source} -> {self.target} {self.protocol}: {_rate(self.bits_per_second)}"
        size = f"{self.bytes / 1e6:.1f} MB in {self.seconds:.2f} s"
        if self.protocol == "tcp":
            return f"{what}, {size}, {self.retransmits} retransmits"
        jitter = "" if self.jitter is None else f", jitter {self.jitter * 1e3:.3f} ms"
        return f"{what}, {size}, {self.lost} of {self.datagrams} datagrams lost{jitter}"

    def __repr__(self) -> str:
        return f"<vnet.IperfResult {self}>"

    def _html(self) -> Html:
        ways = f"{self.source} \N{RIGHTWARDS ARROW} {self.target}"
        about: list[tuple[str, object]] = [
            ("to", self.address),
            (
                "arrived",
                f"{self.bytes / 1e6:,.1f} MB in {self.seconds:.2f} s over {self.streams} {self.protocol} streams",
            ),
        ]
        if self.protocol == "tcp":
            about.append(("retransmits", self.retransmits))
        else:
            about.append(("lost", f"{self.lost:,} of {self.datagrams:,} datagrams ({self.loss or 0.0:.2%})"))
            about.extend([("reordered", self.reordered), ("duplicates", self.duplicates)])
            about.append(("jitter", None if self.jitter is None else f"{self.jitter * 1e3:.3f} ms"))
        rates = [interval.bits_per_second / 1e6 for interval in self.intervals]
        chart = bars(rates, label=f"Rate by interval: {self}", unit="Mbit/s", across="time")
        title = headed(self, ways, mark(_rate(self.bits_per_second), "plain"))
        return titled(self, title, fields(about), *([chart] if rates else []))


def _rate(bits_per_second: float) -> str:
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if bits_per_second < 1000:
            return f"{bits_per_second:.3g} {unit}"
        bits_per_second /= 1000
    return f"{bits_per_second:.2f} Gbit/s"
