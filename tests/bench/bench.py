"""`make bench`: measures, holds every row to its bar, and publishes.

A part measures one number a round for each side: `packets` (vnet-bench, with other people's bridges), `labs` and `links`. A run
of all parts writes tests/bench/results/VERSION.json, and from it docs/performance.svg and the table of docs/performance.md. One
of `plugins` writes the figures of docs/plugins and plugins/README.md. It exits 1 when a bar was missed, and says which.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import machine
from interval import estimate
from plugin_rows import publish_plugins
from publish import compact, publish, show, verdict
from rows import GROUPS, Row, add_bills

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
METRICS = ("tcp", "core", "frames", "rtt", "memory", "plugins", "calls")
PARTS = (*METRICS, "labs", "links")
Samples = dict[str, dict[str, list[float]]]


def commands(options: argparse.Namespace, peers_python: str) -> dict[str, list[str]]:
    """Return what measures each part that was asked for."""
    rounds = ["--rounds", str(options.rounds)]
    packets = [metric for metric in METRICS if metric in options.only]
    programs = {
        "packets": [
            *(str(options.packets), *rounds, "--only", ",".join(packets), "--python", peers_python),
            *("--plugins", str(ROOT / "plugins"), "--peers", str(HERE / "peers")),
        ],
        "labs": [sys.executable, str(HERE / "labs.py"), *rounds, "--peers-python", peers_python],
        "links": [sys.executable, str(HERE / "links.py"), *rounds],
    }
    asked = {*options.only, *(["packets"] if packets else [])}
    return {part: command for part, command in programs.items() if part in asked}


def measure(part: str, command: list[str], openvswitch: str) -> Samples:
    """Run a part and return its samples, none when it failed; it has said why."""
    environment = os.environ | ({"OPENVSWITCH": openvswitch} if openvswitch else {})
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode != 0:
        print(f"error: {part} could not be measured", file=sys.stderr)
        return {}
    return dict(json.loads(done.stdout))


def judge(row: Row, samples: Samples) -> dict[str, Any] | None:
    """Return a row's numbers and whether its bar is met; None where this run did not measure its metric."""
    sides = samples.get(row.metric)
    if sides is None:
        return None
    found: dict[str, Any] = {"what": row.label or row.side}
    bars = {"at_least": row.at_least, "at_most": row.at_most, "stretch": row.stretch}
    if row.side not in sides or (row.over and row.over not in sides):
        # A side that could not be measured meets no bar.
        return (
            found
            | ({"over": row.over} if row.over else {})
            | bars
            | {"met": row.at_least is None and row.at_most is None}
        )
    held = estimate(sides[row.side])
    found["value"] = held._asdict()
    if row.over:
        held = estimate([a / b for a, b in zip(sides[row.side], sides[row.over], strict=True)])
        found |= {"over": row.over, "ratio": held._asdict()}
    high_enough = row.at_least is None or held.low >= row.at_least
    low_enough = row.at_most is None or held.high <= row.at_most
    return found | bars | {"met": high_enough and low_enough}


def table(parts: dict[str, Samples]) -> list[dict[str, Any]]:
    """Return the groups of rows that `parts` measured."""
    groups = []
    for group in GROUPS:
        judged = (judge(row, parts.get(group.part, {})) for row in group.rows)
        if rows := [row for row in judged if row and ("value" in row or not row["met"])]:
            groups.append({"title": group.title, "unit": group.unit, "reading": group.reading, "rows": rows})
    return groups


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--packets", type=Path, default=Path("vnet-bench"), help="the program vnet-bench")
    parser.add_argument("--place", type=Path, default=Path("/nonexistent"), help="where setup put the peers")
    parser.add_argument("--json", type=Path, help="where the numbers go, in place of results/VERSION.json")
    parser.add_argument(
        "--redraw", action="store_true", help="only make plot and table again, from results/VERSION.json"
    )
    options = parser.parse_args()
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}: --only takes {', '.join(PARTS)}")
    kept = HERE / "results" / f"{machine.version()}.json"
    if options.redraw:
        report = json.loads(kept.read_text())
        publish(report)
        publish_plugins(report)
        return 0
    peers_python = str(options.place / "bin" / "python")
    openvswitch = str(options.place / "openvswitch") if (options.place / "openvswitch").exists() else ""
    begun, busy = time.monotonic(), os.getloadavg()[0]
    runs = commands(options, peers_python)
    parts = {part: measure(part, command, openvswitch) for part, command in runs.items()}
    add_bills(parts.get("packets", {}))
    report: dict[str, Any] = {
        "version": machine.version(),
        "machine": machine.describe(peers_python, openvswitch) | {"load average before": f"{busy:.1f}"},
        "rounds": options.rounds,
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "groups": table(parts),
        "samples": parts,
    }
    # From the numbers that are kept, so that plot and table can be made again.
    report = json.loads(compact(report))
    show(report)
    whole = set(options.only) == set(PARTS) and all(parts.values())
    if file := options.json or (kept if whole else None):
        file.write_text(compact(report))
    if whole and not options.json:
        publish(report)
    if not options.json:
        publish_plugins(report)
    missed = verdict(report)
    print("\n" + "\n".join(missed), file=sys.stderr)
    return int(len(missed) > 1 or not all(parts.values()))


if __name__ == "__main__":
    sys.exit(main())
