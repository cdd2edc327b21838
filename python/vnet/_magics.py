"""Magic commands of notebooks: ``%load_ext vnet``.

``%h1 ip route`` runs a command in node ``h1``, ``%%h1`` a script, ``%vnet doctor`` the command line, and ``%%vnet_plugin`` makes
the cell a plugin.
"""

from __future__ import annotations

import codecs
import os
import select
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Protocol

from vnet import _progress
from vnet._errors import CommandFailed, Error, InvalidValue, NotFound
from vnet._node import Node, Switch
from vnet._process import Process

__all__: list[str] = []

_BLOCK = 1 << 16

# The notebook that has loaded the extension.
_shell: Any = None
_names: set[str] = set()


def load(shell: Any) -> None:
    """Give ``shell`` the magics; those of nodes come with the nodes."""
    global _shell
    from vnet._plugin_cell import PluginCell

    _shell = shell
    shell.register_magic_function(_vnet_line, "line", "vnet")
    shell.register_magic_function(PluginCell(shell), "cell", "vnet_plugin")
    shell.events.register("pre_run_cell", _learn_variables)
    for network in _networks():
        learn(network.nodes.names)
    _learn_variables()


def unload(shell: Any) -> None:
    """Take the magics back."""
    global _shell
    shell.events.unregister("pre_run_cell", _learn_variables)
    magics = shell.magics_manager.magics
    magics["line"].pop("vnet", None)
    magics["cell"].pop("vnet_plugin", None)
    for name in _names:
        magics["line"].pop(name, None)
        magics["cell"].pop(name, None)
    _names.clear()
    _shell = None


def learn(names: Iterable[str]) -> None:
    """Give nodes of these names their magics, unless IPython has one of that name itself."""
    if _shell is None:
        return
    for name in names:
        if name in _names or _shell.find_line_magic(name) is not None or _shell.find_cell_magic(name) is not None:
            continue
        _names.add(name)
        _shell.register_magic_function(_line(name), "line", name)
        _shell.register_magic_function(_cell(name), "cell", name)


def _learn_variables(*_: object) -> None:
    """Also knows a node by the variable that holds it."""
    learn([name for name, value in _shell.user_ns.items() if isinstance(value, Node) and not name.startswith("_")])


def _networks() -> list[Any]:
    """Return the open networks that variables of the notebook hold."""
    from vnet._network import Network

    held = {id(value): value for value in list(_shell.user_ns.values()) if isinstance(value, Network)}
    return [network for network in held.values() if not network.closed]


def _node(name: str) -> Node:
    """Return the node that ``%name`` means: what the variable holds, else the only one of that name."""
    held = _shell.user_ns.get(name)
    if isinstance(held, Node):
        return held
    having = [network for network in _networks() if name in network]
    if len(having) > 1:
        raise InvalidValue(
            f"%{name}: {len(having)} open networks have a node {name}",
            hint=f'write {name} = net["{name}"] for one of them',
        )
    if not having:
        raise NotFound(f"%{name}: no open network of this notebook has a node {name}")
    found: Node = having[0][name]
    return found


class _Line(Protocol):
    def __call__(self, line: str) -> None: ...


class _Cell(Protocol):
    def __call__(self, line: str, cell: str) -> None: ...


def _line(name: str) -> _Line:
    def run(line: str) -> None:
        if not line.strip():
            raise brief(InvalidValue(f"%{name} has no command", hint=f"write %{name} ip address"))
        _run_in(name, line)

    run.__doc__ = (
        f"Run a command in node {name}: its output appears as it comes, and a status other than 0 is an error."
    )
    return run


def _cell(name: str) -> _Cell:
    def run(line: str, cell: str) -> None:
        if not line.strip():
            _run_in(name, cell)
            return
        with tempfile.TemporaryFile() as script:
            script.write(cell.encode())
            script.seek(0)
            _run_in(name, shlex.split(line), script)

    run.__doc__ = f"Run the cell in node {name} by sh, or by the program that follows the name: %%{name} python3."
    return run


def _run_in(name: str, command: str | list[str], script: IO[Any] | None = None) -> None:
    try:
        node = _node(name)
        if isinstance(node, Switch):
            raise InvalidValue(f"switch {node.name} runs nothing", hint="use a host or router")
        stdin = subprocess.DEVNULL if script is None else script
        with node.popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=False) as process:
            echo(process.stdout)
            _check(process, process.wait())
    except Error as error:
        raise brief(error) from None


def _check(process: Process, status: int) -> None:
    if status != 0:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise CommandFailed(f"it ended with {how}", returncode=status, cmd=process.args)


def echo(stream: IO[bytes] | None) -> str:
    """Print what a command writes as it comes, and return it."""
    if stream is None:
        return ""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    texts = []
    while block := os.read(stream.fileno(), _BLOCK):
        text = decoder.decode(block)
        texts.append(text)
        sys.stdout.write(text)
        sys.stdout.flush()
    return "".join(texts)


def _vnet_line(line: str) -> None:
    """Run the command line of vnet: %vnet doctor, %vnet plugin inspect nat."""
    command_line(shlex.split(line))


def command_line(arguments: list[str]) -> None:
    """Run ``vnet`` with these arguments, print what it says, and raise CommandFailed when it fails."""
    command = [sys.executable, "-m", "vnet", *arguments]
    shown = shlex.join(["vnet", *arguments])
    # Without standard input nothing asks; the process group is the notebook's, so an interrupt reaches it too.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    try:
        # Until it says something, that it is at work is all there is to be seen.
        with _progress.waiting(shown) as tick:
            said = select.poll()
            said.register(process.stdout, select.POLLIN)
            while not said.poll(1000 * _progress.TICK):
                tick()
        echo(process.stdout)
        status = process.wait()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    if status != 0:
        raise brief(CommandFailed(f"{shown} ended with status {status}", returncode=status, cmd=command))


def quietly(what: str, arguments: list[str], directory: Path) -> None:
    """Run ``vnet`` with these arguments in ``directory``, which does ``what``.

    Prints what it says, and raises CommandFailed, only when it fails.
    """
    command = [sys.executable, "-m", "vnet", *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory
    )
    try:
        with _progress.waiting(what) as tick:
            while True:
                try:
                    said, _ = process.communicate(timeout=_progress.TICK)
                    break
                except subprocess.TimeoutExpired:
                    tick()
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        print(said.decode(errors="replace"), end="")
        shown = " ".join(["vnet", *arguments[:2]])
        raise CommandFailed(
            f"{shown} ended with status {process.returncode}", returncode=process.returncode, cmd=command
        )


def brief(error: Error) -> Error:
    """Has a notebook show an error by its words alone: the way to it is vnet's, and nothing of the cell is in it."""
    error._render_traceback_ = lambda: [f"{type(error).__name__}: {error}"]  # type: ignore[attr-defined]
    return error
