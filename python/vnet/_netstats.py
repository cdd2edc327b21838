"""Counters of a whole network by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from vnet._linestats import LineStats
from vnet._stats import KernelStats, PipelineStats, _Value

__all__ = ["Count", "InterfaceStats", "LinkStats", "NetworkStats"]


@dataclass(frozen=True, slots=True)
class InterfaceStats(_Value):
    """The kernel's counters of one interface of a node, ``link`` being the name of the link behind it."""

    node: str
    interface: str
    link: str | None
    state: str
    kernel: KernelStats

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        return super(InterfaceStats, cls)._read({**data, "kernel": KernelStats._read(data["kernel"])})


@dataclass(frozen=True, slots=True)
class Count(_Value):
    """Frames, and their bytes; what the kernel moves as one large frame is one."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LinkStats(_Value):
    """What its ends ``a`` and ``b``, such as ``"h1:eth0"``, sent into a link (``from_``) and got out of it (``to_``).

    ``engine`` tells whether the engine moves its frames just now, and not the kernel. ``a_to_b`` and ``b_to_a`` tell how
    frames have fared in a direction that is or was impaired, None for one that never was.
    """

    name: str
    a: str
    b: str
    up: bool
    engine: bool
    from_a: Count
    from_b: Count
    to_a: Count
    to_b: Count
    a_to_b: LineStats | None
    b_to_a: LineStats | None

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        counts = {name: Count._read(data[name]) for name in ("from_a", "from_b", "to_a", "to_b")}
        lines = {name: LineStats._maybe(data[name]) for name in ("a_to_b", "b_to_a")}
        return super(LinkStats, cls)._read({**data, **counts, **lines})


@dataclass(frozen=True, slots=True)
class NetworkStats:
    """Counters of a network up to one moment.

    ``interfaces`` are in the order of the nodes, ``links`` by name. ``engine`` holds the books of each part whose frames the
    engine moves just now, by the name of its link or switch.
    """

    interfaces: tuple[InterfaceStats, ...]
    links: Mapping[str, LinkStats]
    engine: Mapping[str, PipelineStats]

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            interfaces=tuple(InterfaceStats._read(row) for row in data["interfaces"]),
            links={row["name"]: LinkStats._read(row) for row in data["links"]},
            engine={row["name"]: PipelineStats._read(row["stats"]) for row in data["islands"]},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the same values as plain dicts, lists, strings and numbers."""
        return {
            "interfaces": [row.to_dict() for row in self.interfaces],
            "links": [row.to_dict() for row in self.links.values()],
            "engine": {name: stats.to_dict() for name, stats in self.engine.items()},
        }

    def __repr__(self) -> str:
        sent = sum(link.from_a.packets + link.from_b.packets for link in self.links.values())
        return (
            f"<vnet.NetworkStats {len(self.links)} links, {sent} packets sent, {len(self.engine)} parts in the engine>"
        )
