"""Programs of probe.py at work in a lab's nodes, and what was measured with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import vnet

PROBE = str(Path(__file__).with_name("probe.py"))

samples: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
"""Metric -> what -> one number a round."""


class Running:
    """A probe at work in a node."""

    def __init__(self, node: vnet.Host, *words: object, waits: bool = False) -> None:
        command = [sys.executable, PROBE, *map(str, words)]
        self.process = node.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if waits:
            assert self.process.stdout is not None
            self.process.stdout.readline()

    def result(self) -> dict[str, Any]:
        """End its input, and return what it prints."""
        out, _ = self.process.communicate(timeout=120)
        return dict(json.loads(str(out).strip().splitlines()[-1]))


def run(node: vnet.Host, *words: object) -> dict[str, Any]:
    return Running(node, *words).result()
