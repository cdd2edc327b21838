"""Draws the ratios of a report: medians with their intervals on logarithmic axes, and the bars they are held to."""

from __future__ import annotations

import math
from typing import Any
from xml.sax.saxutils import escape

# Greys and colours that can be read on white and on black.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #7d7d7d }
.title { font-weight: 600 }
.tick { font-size: 10px }
.grid { stroke: #7d7d7d; stroke-opacity: .25 }
.one { stroke: #7d7d7d }
.vnet { stroke: #2f81d8; fill: #2f81d8 }
.other { stroke: #7d7d7d; fill: #7d7d7d }
.bar { stroke: #d9822b; stroke-width: 2 }
text { stroke: none !important }
"""
OURS = ("lab link", "TAP wire", "vnet", "drop_bcast", "learning_switch")
LEFT, RIGHT, LINE = 300, 700, 18
WIDTH = 730


def svg(report: dict[str, Any]) -> str:
    """Return the plot of every group of ratios."""
    y, parts = 8, []
    for group in report["groups"]:
        rows = [row for row in group["rows"] if "ratio" in row]
        for over in dict.fromkeys(row["over"] for row in rows):
            part = [row for row in rows if row["over"] == over]
            if len(part) < 3:
                continue
            parts.append(panel(f"{group['title']}: ratio to {over}, {group['reading']}", part, y))
            y += LINE * (len(part) + 3)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" role="img">'
        f"<title>vnet {report['version']} beside others</title><style>{STYLE}</style>\n{''.join(parts)}</svg>\n"
    )


def panel(title: str, rows: list[dict[str, Any]], top: int) -> str:
    """Draw one group, the largest ratio first."""
    rows = sorted(rows, key=lambda row: -row["ratio"]["median"])
    held = [bound for row in rows for bound in (row["at_least"], row["at_most"]) if bound is not None]
    ends = [row["ratio"][end] for row in rows for end in ("low", "high")]
    low, high = min([*ends, *held, 1]) / 1.1, max([*ends, *held, 1]) * 1.1

    def x(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * math.log(value / low) / math.log(high / low), 1)

    bottom = top + LINE * (len(rows) + 1)
    found = [f'<text class="title" x="8" y="{top + 12}">{escape(title)}</text>\n']
    for tick in ticks(low, high):
        kind = "one" if tick == 1 else "grid"
        found.append(f'<line class="{kind}" x1="{x(tick)}" x2="{x(tick)}" y1="{top + LINE}" y2="{bottom}"/>')
        found.append(f'<text class="tick" text-anchor="middle" x="{x(tick)}" y="{bottom + 12}">{tick:g}</text>\n')
    for number, row in enumerate(rows):
        y = top + LINE * (number + 1) + LINE // 2
        kind = "vnet" if row["what"].startswith(OURS) else "other"
        ratio = row["ratio"]
        found.append(f'<text class="{kind}" text-anchor="end" x="{LEFT - 8}" y="{y + 4}">{escape(row["what"])}</text>')
        found.append(f'<line class="{kind}" x1="{x(ratio["low"])}" x2="{x(ratio["high"])}" y1="{y}" y2="{y}"/>')
        found.append(f'<circle class="{kind}" cx="{x(ratio["median"])}" cy="{y}" r="3.5"/>')
        for bound in (row["at_least"], row["at_most"]):
            if bound is not None:
                found.append(f'<line class="bar" x1="{x(bound)}" x2="{x(bound)}" y1="{y - 7}" y2="{y + 7}"/>')
        found.append("\n")
    return "".join(found)


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers for the axis: 1, 2, 5, or powers of ten where it is long."""
    steps = (1, 2, 5) if high / low < 200 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [value for power in powers for step in steps if low <= (value := step * 10.0**power) <= high]
