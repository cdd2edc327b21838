"""The cell magic ``%%vnet_plugin``: a cell that is the source of a plugin, or the expression of a filter."""

from __future__ import annotations

import argparse
import ast
import json
import linecache
import re
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from vnet import _magics
from vnet._attachment import Attachment
from vnet._errors import Error, InvalidValue
from vnet._plugin import Plugin

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnet._packet import Packet

__all__: list[str] = []

# Where a project of each language has its source.
_SOURCES = {
    "rust": "src/lib.rs",
    "c": "{}.c",
    "c++": "{}.cpp",
    "zig": "{}.zig",
    "assemblyscript": "{}.ts",
    "go": "{}.go",
    "wat": "{}.wat",
}


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidValue(f"%%vnet_plugin: {message}", hint=self.format_usage().strip())


def _arguments() -> _Arguments:
    parser = _Arguments("%%vnet_plugin", add_help=False)
    parser.add_argument("language", choices=(*_SOURCES, "python", "filter"))
    parser.add_argument("--name", required=True, help="the variable that holds the plugin on its link")
    parser.add_argument("--on", help="what it is put on: a variable or expression")
    parser.add_argument("--config", default="{}", help="its configuration as JSON")
    parser.add_argument("--direction", choices=["ingress", "egress", "both"])
    parser.add_argument("--on-fault", choices=["closed", "open"])
    parser.add_argument("--grant", action="append", default=[])
    return parser


def _expression(cell: str, target: Any) -> str:
    """Return a cell's filter: without comments, and with addresses in place of the nodes of the network that ``target`` is in."""
    # Blanks in place of comments, as tcpdump reads a file, and a line in place of the magic's: so lines and characters count as
    # the notebook counts them.
    text = "\n" + re.sub("#[^\n]*", lambda comment: " " * len(comment[0]), cell)
    if not text.strip():
        raise InvalidValue("%%vnet_plugin filter: the cell has no filter", hint="write for example: tcp port 80 or arp")
    # An interface is a node's.
    network = getattr(getattr(target, "node", target), "network", None)
    return text if network is None else network._native.plain_filter(text)


class PluginCell:
    """Builds a cell and puts it on a link, device or node; run again it takes the place of the one before, with its state.

    The projects lie in a directory that goes with the notebook, so that only what changed is compiled again.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        # What it has put where, by the name of the variable.
        self._placed: dict[str, tuple[Any, Attachment]] = {}
        self._directory = tempfile.TemporaryDirectory(prefix="vnet-plugins-")

    def __call__(self, line: str, cell: str) -> None:
        """Make the cell a plugin: %%vnet_plugin rust|c|c++|zig|assemblyscript|go|wat|python|filter --name NAME [--on LINK]."""
        try:
            asked = _arguments().parse_args(shlex.split(line))
            if not asked.name.isidentifier():
                raise InvalidValue(f"--name {asked.name} is no name of a variable")
            self._run(asked, cell)
        except Error as error:
            raise _magics.brief(error) from None

    def _run(self, asked: argparse.Namespace, cell: str) -> None:
        target = None if asked.on is None else self._target(asked.on)
        made = self._made(asked, cell, target)
        if target is None:
            self._shell.user_ns[asked.name] = made
            return
        place, flt = self._placed.get(asked.name, (None, None))
        if flt is not None and place == target and not flt.detached:
            if asked.language == "python":
                # A callable cannot be swapped: the other one judges what this one lets pass, until that is gone.
                before, flt = flt, target.attach(made, direction=flt.direction)
                before.detach()
                self._placed[asked.name] = (target, flt)
                print(flt)
            else:
                print(flt.swap(made))
        else:
            options = {} if asked.direction is None else {"direction": asked.direction}
            flt = target.attach(made, **options)
            self._placed[asked.name] = (target, flt)
            print(flt)
        self._shell.user_ns[asked.name] = flt

    def _target(self, expression: str) -> Any:
        try:
            target = eval(expression, self._shell.user_ns)
        except Exception as error:
            raise InvalidValue(
                f"--on {expression}: {error}", hint="name a link, node or device of this notebook"
            ) from error
        if not hasattr(target, "attach"):
            raise InvalidValue(f"--on {expression} is a {type(target).__name__}, on which no plugin can be put")
        return target

    def _made(self, asked: argparse.Namespace, cell: str, target: Any) -> Plugin:
        try:
            config = json.loads(asked.config)
        except ValueError as error:
            raise InvalidValue(f"--config {asked.config} is not JSON: {error}") from error
        if asked.language == "python":
            return Plugin(self._called(asked.name, cell), config=config, on_fault=asked.on_fault, name=asked.name)
        if asked.language == "filter":
            if "expression" in config:
                raise InvalidValue("--config has an expression, and so has the cell", hint="keep that of the cell")
            config = {**config, "expression": _expression(cell, target)}
            return Plugin("filter", config=config, on_fault=asked.on_fault, grants=tuple(asked.grant))
        module = self._built(asked.language, asked.name, cell)
        # Go's run-time is larger than modules usually may be.
        cap = 4 << 20 if asked.language == "go" else None
        return Plugin(module, config=config, on_fault=asked.on_fault, grants=tuple(asked.grant), module_cap=cap)

    def _called(self, name: str, cell: str) -> Callable[[Packet], object]:
        """Run the cell, and return its function of that name, or its last one."""
        source = "\n" + cell
        file = f"<%%vnet_plugin {name}>"
        # So that a traceback shows the line.
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        functions = [part.name for part in ast.parse(source, file).body if isinstance(part, ast.FunctionDef)]
        if not functions:
            raise InvalidValue("%%vnet_plugin python: the cell has no function", hint="write def judge(packet): ...")
        exec(compile(source, file, "exec"), self._shell.user_ns)
        called: Callable[[Packet], object] = self._shell.user_ns[name if name in functions else functions[-1]]
        return called

    def _built(self, language: str, name: str, cell: str) -> Path:
        project = Path(self._directory.name) / language / name
        if not project.exists():
            project.parent.mkdir(exist_ok=True)
            _magics.quietly(f"making {name}", ["plugin", "new", name, "--lang", language], project.parent)
            # That of the template, which the cell does not hold.
            (project / f"{name}.json").unlink(missing_ok=True)
        source = project / _SOURCES[language].format(name)
        # The first line of the cell is the magic's: so a compiler counts lines as the notebook does.
        source.write_text("\n" + cell)
        _magics.quietly(f"building {name}", ["plugin", "build"], project)
        return project / f"{name}.wasm"
