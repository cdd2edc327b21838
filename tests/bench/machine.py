"""What the numbers were measured on."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def version() -> str:
    """Return the version of vnet that is measured."""
    return str(tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"])


def describe(peers_python: str, openvswitch: str) -> dict[str, str]:
    """Return processor, kernel and versions, by name."""
    processor = Path("/proc/cpuinfo").read_text()
    memory = Path("/proc/meminfo").read_text()
    libraries = "LD_LIBRARY_PATH=" + ":".join(map(str, Path(openvswitch or "/nonexistent").glob("usr/lib/*-linux-gnu")))
    found = {
        "cpu": first(r"^model name\s*: (.*)$", processor) or platform.machine(),
        "cpus": str(processor.count("\nprocessor") + processor.startswith("processor")),
        "memory": f"{int(first(r'^MemTotal: *([0-9]+) kB', memory)) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "distribution": first(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text()),
        "python": platform.python_version(),
        "rust": said(r"rustc (\S+)", "rustc", "--version"),
        "wasmtime": first(r'name = "wasmtime"\nversion = "(.*)"', (ROOT / "Cargo.lock").read_text()),
        "ip": said(r"iproute2-([^\s,]+)", "ip", "-V"),
        "Mininet": said(r"(\d[\d.]*)", "mn", "--version"),
        "Open vSwitch": said(r"(\d[\d.]*)", "env", libraries, f"{openvswitch}/usr/bin/ovs-vsctl", "--version"),
    }
    packages = (
        "from importlib.metadata import version as v\nfor p in ('scapy', 'python-pytun', 'pyroute2'): print(p, v(p))"
    )
    for line in said(r"(?s)(.*)", peers_python, "-c", packages).splitlines():
        name, _, number = line.partition(" ")
        found[name] = number
    return found


def first(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else ""


def said(pattern: str, *command: str) -> str:
    """Return what `pattern` finds in a command's output; "not here" when there is no such command."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError as error:
        print(f"bench: {error}", file=sys.stderr)
        return "not here"
    return first(pattern, done.stdout + done.stderr)
