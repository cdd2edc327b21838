"""Scapy's own bridge between two interfaces: `scapy_bridge.py A B [--ethernet-only]`.

It dissects every frame, as a Scapy program does that looks at what it carries; with `--ethernet-only` it takes only the
Ethernet header apart.
"""

from __future__ import annotations

import sys

from peer import ready
from scapy.all import Ether, bridge_and_sniff, conf


def main() -> None:
    conf.verb = 0
    if "--ethernet-only" in sys.argv:
        conf.layers.filter([Ether])
    bridge_and_sniff(*sys.argv[1:3], store=False, started_callback=ready)


main()
