"""The package as a user gets it: `pip install .` into an empty venv, then two lines of Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lab import Lab

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a venv with nothing but vnet in it."""
    venv = tmp_path_factory.mktemp("install") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROOT]
    subprocess.run(pip, check=True, timeout=1800)
    return venv / "bin" / "python"


@pytest.mark.timeout(1800)
def test_installs_with_its_helper_and_without_dependencies(python: Path) -> None:
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    names = {line.split("==")[0].split(" ")[0] for line in listed.stdout.splitlines()}
    assert names - {"pip", "setuptools", "wheel"} == {"vnet"}
    [helper] = python.parent.parent.glob("lib/python*/site-packages/vnet/_bin/vnet-helper")
    assert os.access(helper, os.X_OK)
    assert helper.stat().st_size < 3 << 20


@pytest.mark.timeout(1800)
def test_a_tap_exists_while_its_object_lives(python: Path, lab: Lab) -> None:
    script = "import vnet; t = vnet.Tap('tap0'); print(t, flush=True); input()"
    process = lab.popen(python, "-c", script, stdin=subprocess.PIPE, cwd="/")
    assert process.stdout is not None
    assert "tap0" in process.stdout.readline()
    assert lab.run("ip", "link", "show", "tap0").returncode == 0
    process.communicate("\n")
    assert lab.run("ip", "link", "show", "tap0").returncode == 1
