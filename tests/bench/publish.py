"""The report as text, as JSON that is kept, and as the table of docs/performance.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from plot import svg

DOCS = Path(__file__).resolve().parents[2] / "docs"
BEGIN, END = "<!-- table: written by make bench -->", "<!-- end of the table -->"


def name(row: dict[str, Any]) -> str:
    """Name a row as the table does."""
    return f"{row['what']} / {row['over']}" if "over" in row else str(row["what"])


def number(value: float) -> str:
    """Round to three significant digits, or to whole numbers where those are more."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bar(row: dict[str, Any]) -> str:
    """Write what a row is held to."""
    bounds = [f"{sign} {row[end]:.3g}" for sign, end in (("≥", "at_least"), ("≤", "at_most")) if row[end] is not None]
    return ", ".join(bounds) + (f" (stretch {row['stretch']:g})" if row["stretch"] else "")


def cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return value, ratio, interval of what is held to the bar, and the bar."""
    if "value" not in row:
        return "", "", "not measured", bar(row)
    ratio = row.get("ratio")
    held = ratio or row["value"]
    interval = f"{number(held['low'])} - {number(held['high'])}"
    return number(row["value"]["median"]), number(ratio["median"]) if ratio else "", interval, bar(row)


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    print(f"medians of {report['rounds']} interleaved rounds, ratios round by round, 95 % bootstrap intervals")
    for group in report["groups"]:
        print(f"\n{group['title']}\n{'':<68} {group['unit']:>10} {'ratio':>7}  {'interval':^17}  bar")
        for row in group["rows"]:
            value, ratio, interval, held = cells(row)
            print(f"  {name(row):<66} {value:>10} {ratio:>7}  {interval:^17}  {held}{'' if row['met'] else '  MISSED'}")


def verdict(report: dict[str, Any]) -> list[str]:
    """Return a line for each bar that was missed, with what was measured, and how many were met."""
    held = [
        (group["title"], row)
        for group in report["groups"]
        for row in group["rows"]
        if not row["met"] or row["at_least"] is not None or row["at_most"] is not None
    ]
    lines = []
    for title, row in held:
        if not row["met"]:
            value, ratio, interval, bound = cells(row)
            lines.append(
                f"missed: {title}: {name(row)}: {ratio or value} [{interval}], bar {bound}".replace(": []", ":")
            )
    met = len(held) - len(lines)
    return [*lines, f"{met} of {len(held)} bars met in {report['minutes']:g} minutes, {report['rounds']} rounds"]


def markdown(report: dict[str, Any]) -> str:
    """Return the same as Markdown."""
    lines = [", ".join(f"{key} {value}" for key, value in report["machine"].items()) + "."]
    for group in report["groups"]:
        lines += [
            "",
            f"**{group['title']}**",
            "",
            f"| | {group['unit']} | ratio | 95 % interval | bar |",
            "|---|--:|--:|:-:|---|",
        ]
        for row in group["rows"]:
            value, ratio, interval, held = cells(row)
            lines.append(
                f"| {name(row)} | {value} | {ratio} | {interval} | {held}{'' if row['met'] else ' **missed**'} |"
            )
    return "\n".join(lines)


def compact(report: dict[str, Any]) -> str:
    """Return JSON with one row, and one side's samples, a line."""
    return written(rounded(report), "") + "\n"


def written(value: Any, margin: str) -> str:
    """Return JSON of what fits a line, or holds nothing but numbers, on one line."""
    line = json.dumps(value, ensure_ascii=False)
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if len(line) <= 300 or not any(isinstance(one, dict | list | str) for one in nested):
        return line
    inner = margin + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {written(one, inner)}" for key, one in value.items()]
    else:
        parts = [written(one, inner) for one in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + ",".join(f"\n{inner}{part}" for part in parts) + f"\n{margin}{closing}"


def rounded(value: Any) -> Any:
    """Keep five significant digits of every number with a fraction."""
    match value:
        case float():
            return float(f"{value:.5g}")
        case dict():
            return {key: rounded(one) for key, one in value.items()}
        case list() | tuple():
            return [rounded(one) for one in value]
    return value


def publish(report: dict[str, Any]) -> None:
    """Write the plot, and the table between its marks."""
    (DOCS / "performance.svg").write_text(svg(report))
    page = DOCS / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{markdown(report)}\n{END}{after}")
