"""Plugins over a capture file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from vnet import _logs, _vnet
from vnet._html import Html, fields, folded, mark, table
from vnet._impair import Impairments, changes
from vnet._linestats import LineStats, line_body
from vnet._maps import kept
from vnet._plugin import PluginLike, native_plugin
from vnet._shown import headed, titled
from vnet._stats import StageStats, _Value, stage_table

__all__ = ["Change", "ReplayReport", "replay"]


@dataclass(frozen=True, slots=True)
class Change(_Value):
    """A frame that left otherwise than it came: its number in the input from 1, its lengths in bytes, what differs."""

    number: int
    len_before: int
    len_after: int
    first_difference: int
    bytes_changed: int


@dataclass(frozen=True, slots=True)
class ReplayReport(_Value):
    """What became of a capture's frames.

    ``frames_in`` were read and ``frames_out`` left again; ``dropped`` by plugins, ``drops`` by the engine itself, by reason.
    ``stages`` holds the counters of each plugin, ``maps`` its tables at the end by name, each a dict with typed keys and values.
    With ``diff=True`` ``changed`` lists the frames that were changed and ``missing`` the numbers, from 1, of those that did not
    leave. With impairments ``line`` tells how they fared there, and ``duplicated`` how many second copies left.
    """

    frames_in: int
    frames_out: int
    dropped: int
    drops: Mapping[str, int]
    stages: tuple[StageStats, ...]
    changed: tuple[Change, ...]
    missing: tuple[int, ...]
    duplicated: int
    line: LineStats | None
    maps: tuple[Mapping[str, Mapping[Any, Any]], ...] = field(default=(), repr=False)

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            frames_in=data["frames_in"],
            frames_out=data["frames_out"],
            dropped=data["dropped"],
            drops=data["drops"],
            stages=tuple(StageStats._read(stage) for stage in data["stages"]),
            maps=tuple(kept(maps) for maps in data["maps"]),
            changed=tuple(Change._read(change) for change in data["changed"]),
            missing=tuple(data["missing"]),
            duplicated=data["duplicated"],
            line=LineStats._maybe(data["line"]),
        )

    def _html(self) -> Html:
        pairs: list[tuple[str, object]] = [("dropped by plugins", self.dropped), ("dropped by the engine", self.drops)]
        if self.duplicated:
            pairs.append(("duplicated", self.duplicated))
        parts = [fields(pairs)]
        if self.stages:
            parts.append(stage_table(self.stages))
        for stage, maps in zip(self.stages, self.maps, strict=False):
            for name, entries in maps.items():
                summary = f"map {name} of {stage.name}: {len(entries):,} entries"
                parts.append(folded(summary, table(["key", "value"], list(entries.items()))))
        if self.line is not None:
            parts.append(line_body(self.line))
        if self.changed:
            head = ["frame", "bytes before", "bytes after", "first difference at", "bytes changed"]
            rows = [(c.number, c.len_before, c.len_after, c.first_difference, c.bytes_changed) for c in self.changed]
            parts.append(folded(f"{len(self.changed):,} frames changed", table(head, rows)))
        if self.missing:
            shown = ", ".join(str(number) for number in self.missing[:200])
            more = f" and {len(self.missing) - 200:,} more" if len(self.missing) > 200 else ""
            parts.append(folded(f"{len(self.missing):,} frames did not leave", shown + more))
        counted = mark(f"{self.frames_in:,} in, {self.frames_out:,} out", "plain")
        return titled(self, headed(self, "", counted), *parts)


def replay(
    path: str | os.PathLike[str],
    *,
    plugins: Sequence[PluginLike] = (),
    out: str | os.PathLike[str] | None = None,
    diff: bool = False,
    impair: Impairments | None = None,
    seed: int = 0,
) -> ReplayReport:
    """Run a capture file (pcap or pcapng) through a chain of plugins. Needs no privilege.

    ``impair`` has them cross an impaired link then, such as ``{"loss": "1%", "delay": "10ms"}``, in the time of their own
    timestamps: the same frames meet the same fate with the same ``seed``, a number from 0 to 2**64 - 1.

    Frames that leave again are written to ``out``: pcapng, or pcap when its name ends in ``.pcap``. Raises NotFound when
    there is no such file, SystemFailure with the byte offset where it is not a capture, and PluginError.
    """
    _logs.start()
    native = [native_plugin(plugin) for plugin in plugins]
    out = None if out is None else os.fspath(out)
    asked = changes(impair or {}, "replay")
    report = _vnet.replay(os.fspath(path), plugins=native, out=out, diff=diff, impair=asked, seed=seed)
    return ReplayReport._read(report)
