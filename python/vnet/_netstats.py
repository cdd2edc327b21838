"""Counters of a whole network by value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from vnet import _vnet
from vnet._errors import InvalidValue
from vnet._html import Html, folded, mark, strong, table
from vnet._linestats import LineStats, lines_body
from vnet._series import Tabular
from vnet._shown import Shown, headed, titled
from vnet._stats import KernelStats, PipelineStats, _Value, kernel_table, pipeline_body

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

    @property
    def _path(self) -> Html:
        if not self.up:
            return mark("down", "bad")
        return mark("engine", "warning") if self.engine else mark("kernel", "plain")

    def _html(self) -> Html:
        return titled(
            self, headed(self, self.name, self._path), link_table([self]), lines_body(self.a_to_b, self.b_to_a)
        )


def link_table(links: Iterable[LinkStats]) -> Html:
    """Return what went into links and came out, a line for each."""
    head = [
        "link",
        "path",
        "a",
        "b",
        "packets from a",
        "to b",
        "from b",
        "to a",
        "bytes from a",
        "bytes from b",
        "lost",
    ]
    return table(head, [_link_row(link) for link in links])


def _link_row(link: LinkStats) -> list[object]:
    packets = [count.packets for count in (link.from_a, link.to_b, link.from_b, link.to_a)]
    lost = sum(
        line.lost + line.queue_full + line.codel_drops for line in (link.a_to_b, link.b_to_a) if line is not None
    )
    return [strong(link.name), link._path, link.a, link.b, *packets, link.from_a.bytes, link.from_b.bytes, lost]


@dataclass(frozen=True, slots=True)
class NetworkStats(Tabular, Shown):
    """Counters of a network up to one moment.

    ``interfaces`` are in the order of the nodes, ``links`` by name. ``engine`` holds the books of each part whose frames the
    engine moves just now, by the name of its link or switch. The same as a table of one sample: :meth:`to_pandas`,
    :meth:`to_polars`, or whatever reads an Arrow stream.
    """

    interfaces: tuple[InterfaceStats, ...]
    links: Mapping[str, LinkStats]
    engine: Mapping[str, PipelineStats]
    _rows: _vnet.Rows | None = field(default=None, repr=False, compare=False)

    @classmethod
    def _read(cls, data: Mapping[str, Any], rows: _vnet.Rows | None = None) -> Self:
        return cls(
            interfaces=tuple(InterfaceStats._read(row) for row in data["interfaces"]),
            links={row["name"]: LinkStats._read(row) for row in data["links"]},
            engine={row["name"]: PipelineStats._read(row["stats"]) for row in data["islands"]},
            _rows=rows,
        )

    def _rows_now(self) -> _vnet.Rows:
        if self._rows is None:
            raise InvalidValue("these counters were not taken from a network", hint="ask net.stats() for them")
        return self._rows

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

    def _html(self) -> Html:
        kernel = kernel_table([(f"{row.node}:{row.interface}", row.kernel) for row in self.interfaces])
        parts = [folded(f"engine: {name}", pipeline_body(stats)) for name, stats in self.engine.items()]
        interfaces = folded(f"{len(self.interfaces)} interfaces", kernel)
        return titled(
            self, headed(self, f"{len(self.links)} links"), link_table(self.links.values()), interfaces, *parts
        )
