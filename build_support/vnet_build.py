"""A PEP 517 and 660 back end: maturin's, after vnet-helper was compiled into the package.

The helper is an executable file of its own inside the wheel (`vnet/_bin/vnet-helper`), because capabilities and
AppArmor profiles attach to a path. Everything compiles in one target directory, the one that `make` uses, so that
the big dependencies are compiled once on a machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import maturin

ROOT = Path(__file__).resolve().parent.parent
HELPER = ROOT / "python" / "vnet" / "_bin" / "vnet-helper"

# Without build isolation maturin's program lies beside this interpreter, where PATH need not lead.
if shutil.which("maturin") is None:
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

Config = Mapping[str, object] | None

get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_editable = maturin.get_requires_for_build_editable
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = maturin.prepare_metadata_for_build_editable
build_sdist = maturin.build_sdist


def build_wheel(directory: str, config: Config = None, metadata: str | None = None) -> str:
    """Build the wheel into `directory` and return its file name."""
    build_helper()
    return maturin.build_wheel(directory, config, metadata)


def build_editable(directory: str, config: Config = None, metadata: str | None = None) -> str:
    """Build the wheel of an editable install into `directory` and return its file name."""
    build_helper()
    return maturin.build_editable(directory, config, metadata)


def build_helper() -> None:
    """Compile vnet-helper and put it where the package looks for it."""
    os.environ.setdefault("CARGO_TARGET_DIR", str(default_target()))
    # Chosen by the workspace's features, not by this package's own, so that what all share is compiled once.
    command = ["cargo", "build", "--release", "--locked", "--workspace", "--bin", "vnet-helper"]
    command += ["--message-format", "json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    HELPER.parent.mkdir(exist_ok=True)
    # A running helper keeps its file: write beside it and rename over the name.
    fresh = HELPER.with_suffix(".fresh")
    # The standard library's line tables alone are 4 MB; the helper is to stay below 3. strip comes with the linker.
    subprocess.run(["strip", "--strip-all", "-o", fresh, executable(built.stdout)], check=True)
    fresh.chmod(0o755)
    fresh.replace(HELPER)


def executable(messages: str) -> str:
    """Return the path of the one executable that cargo reports in its JSON messages."""
    reports = (json.loads(line) for line in messages.splitlines())
    paths = [report["executable"] for report in reports if report.get("executable")]
    if len(paths) != 1:
        raise RuntimeError(f"cargo built {len(paths)} executables for vnet-helper, where one was expected: {paths}")
    return str(paths[0])


def default_target() -> Path:
    """Return the target directory that the Makefile uses too."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "vnet" / "target"
