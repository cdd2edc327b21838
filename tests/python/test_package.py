from __future__ import annotations

import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest
import vnet

PACKAGE = Path(vnet.__file__).parent


def test_all_is_exactly_what_the_package_shows() -> None:
    shown = {
        name
        for name, value in vars(vnet).items()
        # What IPython asks for by name is no part of what a program imports.
        if not name.startswith("_")
        and not name.endswith("_ipython_extension")
        and not isinstance(value, types.ModuleType)
        and name != "annotations"
    }
    assert shown == set(vnet.__all__)
    assert list(vnet.__all__) == sorted(vnet.__all__)


def test_every_module_of_the_package_is_private() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert {name for name in modules if not name.startswith("_")} == set()


def test_public_things_have_a_docstring_and_call_themselves_vnet() -> None:
    for name in vnet.__all__:
        value = getattr(vnet, name)
        assert value.__doc__, name
        if isinstance(value, type):
            assert value.__module__ == "vnet", name


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_vnet.pyi").exists()


def test_importing_needs_no_other_package_and_starts_no_thread() -> None:
    source = "import sys, threading; before = set(sys.modules); import vnet; print(threading.active_count())"
    source += "; print({m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names - {'vnet'})"
    out = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert out.split("\n")[:2] == ["1", "set()"]


def test_the_tree_of_exceptions_is_the_one_drawn_in_its_docstring() -> None:
    from vnet import _errors

    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (_errors.__doc__ or "").splitlines():
        if "──" in line:
            depth, word = line.index("──") // 4, line.split("── ")[1].split()[0].split("(")[0]
            path = [*path[: depth - 1], word] if depth > 1 else [word]
            drawn[word] = path[-2] if len(path) > 1 else "Error"
    actual = {
        name: base.__name__
        for name in _errors.__all__
        if name != "Error"
        for base in getattr(_errors, name).__bases__
        if issubclass(base, _errors.Error)
    }
    assert drawn == actual


@pytest.mark.parametrize(
    "error",
    [
        vnet.PrivilegeError("cannot", hint="do", reason="because", fix="do", errno=1),
        vnet.CommandFailed("failed", returncode=3, cmd="x", output="o", stderr="e"),
        vnet.PluginTrap("trapped", plugin="p", backtrace="b"),
        vnet.TimeoutError("late"),
    ],
)
def test_exceptions_survive_pickling(error: vnet.Error) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_shipped_plugins_are_there_by_name() -> None:
    assert {plugin.name for plugin in vnet.shipped()} >= {"count", "drop_bcast", "icmp_echo"}
    assert all(plugin.module.startswith(b"\0asm") for plugin in vnet.shipped())


def test_doctor_reports_causes_effects_and_fixes() -> None:
    report = vnet.doctor()
    assert report.version == vnet.__version__
    checks = {finding.check for finding in report.findings}
    assert checks >= {"CAP_NET_ADMIN", "/dev/net/tun", "netlink", "packet socket", "vnet-helper", "stale interfaces"}
    for finding in report.findings:
        assert finding.cause
        assert finding.effect
        assert finding.check in str(report)
    assert report.to_dict()["findings"][0]["check"] == report.findings[0].check
