"""The plugins of tests/conformance, compiled with what any clang has and no header but their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "conformance"
FLAGS = ("--target=wasm32", "-O2", "-nostdlib", "-Wall", "-Wextra", "-Werror", "-Wl,--no-entry")


def compiled(directory: Path) -> dict[str, Path]:
    """Compile the C sources into `directory`; return the module of each source, C or text, by the source's name."""
    if shutil.which("clang") is None or shutil.which("wasm-ld") is None:
        pytest.skip("clang or wasm-ld is missing: apt-get install clang lld")
    found = {path.name: path for path in SOURCES.glob("*.wat")}
    for source in SOURCES.glob("*.c"):
        found[source.name] = directory / f"{source.stem}.wasm"
        export = "-Wl,--export-if-defined=vnet_frame"
        subprocess.run(["clang", *FLAGS, export, source, "-o", found[source.name]], check=True)
    return found
