"""Which traffic each shipped plugin is measured with, and the pages that say what it costs.

The traffic itself is tests/bench/src/work/rows.rs; its names are the sides of the metric `plugins`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "plugins"
OVERVIEW = ROOT / "plugins" / "README.md"
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of the figures -->"

# Plugin → side → what the packets are. The first one is the figure of plugins/README.md.
TRAFFIC = {
    "drop_bcast": {"drop_bcast": "broadcasts, all dropped"},
    "filter": {
        "filter": "that match the first of two conditions",
        "filter, the last of 100 conditions": "that match the last of 100 conditions",
    },
    "icmp_echo": {"icmp_echo": "echo requests, all answered"},
    "count": {"count": "UDP"},
    "learning_switch": {"learning_switch": "between two stations that were heard"},
    "vlan": {"vlan": "a tag put on", "vlan, tags taken off": "a tag taken off"},
    "mss_clamp": {
        "mss_clamp": "SYNs, all changed",
        "mss_clamp, within a connection": "segments of a connection",
    },
    "dns_block": {
        "dns_block": "questions for one of 1,000 blocked names, all answered",
        "dns_block, questions for other names": "questions for other names",
    },
    "load_balancer": {"load_balancer": "from clients, in 64 connections to 4 servers"},
    "mirror": {"mirror": "all copied"},
    "tunnel": {"tunnel": "from inside, all encapsulated"},
    "record": {"record": "of 64 flows in its log"},
    "nat": {
        "nat": "outward, of 64 conversations",
        "nat, table full, hosts without a port": "of further hosts, with a table full of answered conversations",
    },
    "acl": {"acl": "tried against 100 rules, none of which matches"},
    "stateful_firewall": {
        "stateful_firewall": "of 64 conversations under way",
        "stateful_firewall, table full, further conversations": "of further conversations, with a table full of answered ones",
    },
    "router": {"router": "of 64 conversations, to a neighbour that is known"},
    "arp_guard": {
        "arp_guard": "ARP replies, all confirmed",
        "arp_guard, other frames": "anything else",
    },
    "rate_limit": {
        "rate_limit": "of one source, within its limit",
        "rate_limit, beyond the limit": "of 64 sources, beyond their limits",
    },
}
SIDES = tuple(side for traffic in TRAFFIC.values() for side in traffic)


def figures(samples: dict[str, list[float]], plugin: str) -> list[tuple[str, str]]:
    """Return what the packets are, and the nanoseconds that one takes, for each kind of traffic."""
    middle = {side: sorted(values)[len(values) // 2] for side, values in samples.items()}
    return [(what, f"{middle[side]:.0f}") for side, what in TRAFFIC[plugin].items()]


def section(rows: list[tuple[str, str]]) -> str:
    """Return the text of a plugin's page."""
    lines = ["| 64 packets at a time, of 64 bytes where they fit | ns a packet |", "|---|--:|"]
    return "\n".join([*lines, *(f"| {what} | {ns} |" for what, ns in rows)])


def publish_plugins(report: dict[str, Any]) -> None:
    """Write the figures between the marks of each plugin's page, and into the last column of the overview."""
    samples = report["samples"].get("packets", {}).get("plugins")
    if not samples:
        return
    overview = OVERVIEW.read_text()
    for plugin, traffic in TRAFFIC.items():
        # What a kept run did not measure stays as it is on its page.
        if not samples.keys() >= traffic.keys():
            continue
        rows = figures(samples, plugin)
        if (page := PAGES / f"{plugin}.md").exists():
            text = page.read_text()
            before, _, rest = text.partition(BEGIN)
            _, _, after = rest.partition(END)
            page.write_text(f"{before}{BEGIN}\n{section(rows)}\n{END}{after}")
        line = re.compile(rf"^(\| \[?`{plugin}`.*\|)[^|]*\|$", re.MULTILINE)
        overview = line.sub(rf"\g<1> {rows[0][1]} |", overview, count=1)
    OVERVIEW.write_text(overview)
