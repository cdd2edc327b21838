"""The examples of docs/ do what they say, for an ordinary user."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from unprivileged import Person, person

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def blocks(language: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a language with where they stand."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            found.append((f"{page.name}:{text[: block.start()].count(chr(10)) + 2}", block.group(1)))
    assert found, f"docs/ has no {language} block"
    return found


@pytest.fixture
def user() -> Iterator[Person]:
    with person("user") as found:
        yield found


@pytest.mark.parametrize("source", [pytest.param(block, id=where) for where, block in blocks("python")])
def test_a_python_example_runs(user: Person, source: str) -> None:
    user.does(source)


@pytest.mark.parametrize("source", [pytest.param(block, id=where) for where, block in blocks("toml")])
def test_a_lab_file_loads_runs_and_survives_being_saved(user: Person, source: str) -> None:
    (user.home / "lab.toml").write_text(source)
    program = """
import os, vnet
os.chdir(os.environ["TMPDIR"])
with vnet.Network.load("../lab.toml") as net:
    matrix = net.ping_all(timeout=5)
    assert matrix and matrix.sent == 2, matrix
    declared = net.to_dict()
    net.save("again.toml")
with vnet.Network.load("again.toml") as again:
    assert again.to_dict() == declared, again.to_dict()
    assert again.ping_all(timeout=5)
"""
    user.does(program)


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "README.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_table_and_plot_of_performance_are_those_of_the_kept_numbers() -> None:
    """`python tests/bench/bench.py --redraw` makes them again."""
    program = """
import json, machine, publish
report = json.loads((machine.ROOT / f"tests/bench/results/{machine.version()}.json").read_text())
assert publish.markdown(report) in (publish.DOCS / "performance.md").read_text(), "the table"
assert publish.svg(report) == (publish.DOCS / "performance.svg").read_text(), "the plot"
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT / "tests" / "bench", check=True)
