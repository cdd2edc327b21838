"""The README's examples do what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from lab import VNET, Lab
from unprivileged import person

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no {language} block"
    return found


def test_the_python_examples_run(lab: Lab, tmp_path: Path) -> None:
    for example in blocks("python"):
        done = lab.run(sys.executable, "-W", "error", "-c", example, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "1 received" in done.stdout
        assert re.search("icmp_echo|drop_bcast", done.stdout)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_a_python_example_runs_for_an_ordinary_user(number: int) -> None:
    with person("user") as user:
        out = user.does(blocks("python")[number])
        assert "1 received" in out


def test_the_plugin_example_drops_broadcasts(lab: Lab, tmp_path: Path) -> None:
    for number, example in enumerate(blocks("wat")):
        plugin = tmp_path / f"example{number}.wat"
        plugin.write_text(example)
        checked = lab.run(VNET, "plugin", "check", plugin)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        tap = (VNET, "tap", "tap0", "--ip", "10.0.0.1/24", "--plugin", plugin, "--plugin", "icmp_echo", "--")
        done = lab.run(*tap, "ping", "-c1", "-W1", "10.0.0.2")
        assert done.returncode == 1, "without ARP nobody answers"
        assert re.search(rf"^example{number}\b.*drop", done.stdout, re.MULTILINE), done.stdout
