"""What a network's picture says of it while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vnet import _vnet
from vnet._linestats import LineStats
from vnet._netstats import NetworkStats

__all__: list[str] = []


class Attached:
    """The plugins at work in a network: what each is on, and its counters.

    It keeps no handle of a user's, so that a network nobody refers to any more can be seen to be forgotten.
    """

    def __init__(self) -> None:
        self._plugins: list[tuple[_vnet.Attachment, str]] = []

    def add(self, plugin: _vnet.Attachment, on: str) -> None:
        """Remember a plugin on ``"h1-s1"``, ``"s1"`` or ``"h1:eth0"``, and forget those that are gone."""
        self._plugins = [*self._live(), (plugin, on)]

    def stages(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what each is on, and its counters."""
        return [(on, plugin.stats()) for plugin, on in self._live()]

    def _live(self) -> list[tuple[_vnet.Attachment, str]]:
        return [(plugin, on) for plugin, on in self._plugins if not plugin.detached]


def notes(stats: NetworkStats | None, stages: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Return what is to stand at nodes and links, as the native module reads it; ``stats`` is None while nothing runs."""
    nodes: dict[str, dict[str, Any]] = {}
    links: dict[str, dict[str, Any]] = {}
    if stats is not None:
        for name, link in stats.links.items():
            lost = sum(_lost(line) for line in (link.a_to_b, link.b_to_a))
            sent = f"{link.from_a.packets:,} packets from {link.a}, {link.from_b.packets:,} from {link.b}"
            links[name] = {"lines": [f"{lost:,} lost"] if lost else [], "details": [sent]}
            links[name]["state"] = "down" if not link.up else "drops" if lost else "engine" if link.engine else "plain"
    for on, stage in stages:
        node, _, interface = on.partition(":")
        parts, name = (links, on) if on in links else (nodes, node)
        note = parts.setdefault(name, {"lines": [], "state": "engine"})
        note["lines"].append(_stage(stage, interface))
        if stage["dropped"]:
            note["state"] = "drops"
        elif note["state"] == "plain":
            note["state"] = "engine"
    return json.dumps({"nodes": nodes, "links": links})


def _stage(stage: Mapping[str, Any], interface: str) -> str:
    where = f"{interface} " if interface else ""
    state = "" if stage["state"] == "running" else f" {stage['state']}"
    dropped = f", {stage['dropped']:,} dropped" if stage["dropped"] else ""
    return f"{where}[{stage['name']}]{state}{dropped}"


def _lost(line: LineStats | None) -> int:
    return 0 if line is None else line.lost + line.queue_full + line.codel_drops + line.flight_full
