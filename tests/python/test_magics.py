"""The magics of notebooks, in an IPython shell of this process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wait import until

DOCS = Path(__file__).parents[2] / "docs" / "notebooks.md"

ALWAYS = """%%vnet_plugin wat --name flt --on link
(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32) (i32.const VERDICT)))
"""


class Cells:
    """A shell, and what its cells print."""

    def __init__(self, shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell = shell
        self.capsys = capsys

    def run(self, cell: str) -> str:
        done = self.shell.run_cell(cell)
        printed = self.capsys.readouterr().out
        assert done.success, printed
        return printed

    def fails(self, cell: str) -> str:
        assert not self.shell.run_cell(cell).success
        printed = self.capsys.readouterr()
        return str(printed.out + printed.err)

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]


@pytest.fixture
def cells(capsys: pytest.CaptureFixture[str]) -> Iterator[Cells]:
    interactive = pytest.importorskip("IPython.core.interactiveshell", reason="IPython is not installed")
    shell = interactive.InteractiveShell()
    cells = Cells(shell, capsys)
    cells.run("%load_ext vnet\nimport vnet\nnet = vnet.Network()")
    yield cells
    cells["net"].close()
    shell.run_line_magic("unload_ext", "vnet")


def test_a_node_runs_lines_and_cells_as_soon_as_it_is_declared(cells: Cells) -> None:
    printed = cells.run("h1, client = net.host('h1'), net.host('h2')\nlink = net.link(h1, client)\n%h1 ip -br address")
    assert re.search(r"eth0\S* +UP +10\.0\.0\.1/24", printed)
    assert cells.run("%%h1\nfor i in 1 2; do echo $i; done; hostname") == "1\n2\nh1\n"
    assert cells.run("%%h2 python3\nimport socket\nprint(socket.gethostname())") == "h2\n"
    # A variable's name is as good as the node's.
    assert cells.run("%client hostname") == "h2\n"


def test_what_fails_is_said_in_a_line(cells: Cells) -> None:
    cells.run("h1, s1 = net.host('h1'), net.switch('s1')")
    said = cells.fails("%h1 exit 3")
    assert said.strip() == "CommandFailed: it ended with status 3"
    assert "switch s1 runs nothing" in cells.fails("%s1 ls")
    assert "has no command" in cells.fails("%h1")
    assert "not found" in cells.fails("%nobody ls")
    cells.run("other = vnet.Network(); other.host('h1'); del h1")
    assert "2 open networks have a node h1" in cells.fails("%h1 true")
    cells.run("other.close()")
    assert cells.run("%h1 hostname") == "h1\n"
    cells.run("net.close()")
    assert "no open network of this notebook has a node h1" in cells.fails("%h1 true")


def test_a_magic_of_ipython_keeps_its_name(cells: Cells) -> None:
    cells.run("net.host('time')")
    assert "hostname" not in cells.run("%time 1 + 1")


def test_the_command_line_is_a_magic(cells: Cells) -> None:
    assert cells.run("%vnet plugin inspect drop_bcast").startswith("drop_bcast ")
    assert "unrecognized subcommand" in cells.fails("%vnet nonsense")


def test_a_cell_is_a_plugin_and_run_again_takes_its_place(cells: Cells) -> None:
    cells.run("h1, h2 = net.host('h1'), net.host('h2'); link = net.link(h1, h2)")
    assert "<vnet.Attachment flt on h1-h2 both" in cells.run(ALWAYS.replace("VERDICT", "1"))
    first = cells["flt"]
    cells.run("assert not h1.ping(h2, timeout=0.2)\nassert flt.stats.dropped")
    assert "Swapped(" in cells.run(ALWAYS.replace("VERDICT", "0"))
    assert cells["flt"] is first
    until(lambda: bool(cells["h1"].ping(cells["h2"])), "frames pass")
    # The plugin before stays, and the line is the cell's.
    assert "flt.wat:3" in cells.fails(ALWAYS.replace("VERDICT", "nothing"))
    assert cells["h1"].ping(cells["h2"])
    cells.run("flt.detach()")
    cells.run(ALWAYS.replace("VERDICT", "1"))
    assert cells["flt"] is not first


def test_a_cell_is_a_python_stage_and_run_again_takes_its_place(cells: Cells) -> None:
    cells.run("h1, h2 = net.host('h1'), net.host('h2'); link = net.link(h1, h2)")
    cell = "%%vnet_plugin python --name judge --on link\ndef judge(packet):\n    return ANSWER\n"
    assert "<vnet.Stage judge on h1-h2 both" in cells.run(cell.replace("ANSWER", "False"))
    cells.run("first = judge\nassert not h1.ping(h2, timeout=0.2)")
    cells.run(cell.replace("ANSWER", "True"))
    cells.run("assert first.detached and not judge.detached")
    until(lambda: bool(cells["h1"].ping(cells["h2"])), "frames pass")
    assert "has no function" in cells.fails("%%vnet_plugin python --name judge --on link\nx = 1")
    assert "SyntaxError" in cells.fails("%%vnet_plugin python --name judge --on link\ndef judge(packet) return 1")
    assert cells["h1"].ping(cells["h2"])


def test_a_cell_is_a_filter_and_run_again_takes_its_place(cells: Cells) -> None:
    cells.run("h1, h2 = net.host('h1'), net.host('h2'); link = net.link(h1, h2)")
    cell = "%%vnet_plugin filter --name only --on link\n\n# who may\narp  # or nobody finds anybody\n\tor icmp and host h2\n"
    assert "<vnet.Attachment filter on h1-h2 both" in cells.run(cell)
    cells.run("assert h1.ping(h2) and not h1.ping(h2.ip6, timeout=0.2)")
    assert cells["only"].stats.drops["no match"]
    assert not cells["only"].stats.drops["match"]
    first = cells["only"]
    drop = '%%vnet_plugin filter --name only --on link --config \'{"action": "drop"}\'\nsrc host h2\n'
    assert "Swapped(" in cells.run(drop)
    assert cells["only"] is first
    cells.run("assert not h1.ping(h2, timeout=0.2)\nassert only.stats.drops['match']")
    # What is wrong is shown in its line of the cell, and the filter before stays at work.
    said = cells.fails("%%vnet_plugin filter --name only --on link\ntcp port 80\nor host h3 # nobody")
    assert "line 3, character 9: `h3` is neither an address nor the name of a node" in said
    assert "\nor host h3\n        ^^" in said
    assert not cells["h1"].ping(cells["h2"], timeout=0.2)
    for empty in ("\n", "  # nothing\n"):
        assert "the cell has no filter" in cells.fails(f"%%vnet_plugin filter --name only --on link\n{empty}")
    twice = '%%vnet_plugin filter --name x --config \'{"expression": "tcp"}\'\nudp'
    assert "--config has an expression, and so has the cell" in cells.fails(twice)
    # Without a place it knows no nodes, and is judged when it is attached.
    cells.run("%%vnet_plugin filter --name some\nhost h2")
    assert "line 2, character 6: `h2` is no address" in cells.fails("link.attach(some)")
    cells.run("only.detach()")
    assert cells["h1"].ping(cells["h2"])


def test_a_plugin_cell_says_what_is_wrong_with_its_line(cells: Cells) -> None:
    assert "invalid choice: 'cobol'" in cells.fails("%%vnet_plugin cobol --name x\nx")
    assert "--on nothing: name 'nothing' is not defined" in cells.fails("%%vnet_plugin wat --name x --on nothing\nx")
    assert "no name of a variable" in cells.fails("%%vnet_plugin wat --name 1x\nx")
    assert "is not JSON" in cells.fails("%%vnet_plugin wat --name x --config {\nx")
    cells.run("five = 5")
    assert "on which no plugin can be put" in cells.fails("%%vnet_plugin wat --name x --on five\nx")


def test_the_example_of_the_docs_runs(cells: Cells) -> None:
    blocks = re.findall(r"^```ipython\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    assert blocks
    for block in blocks:
        cells.run(block)
