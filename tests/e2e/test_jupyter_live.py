"""The live view in JupyterLab, in a browser: an ordinary user's kernel, Debian's Chromium."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import wait_until
from unprivileged import Person, person

BROWSER = Path(__file__).with_name("browser.py")
SHOT = Path(__file__).resolve().parents[2] / "target" / "screenshots" / "live.png"
# Memory and descriptors are watched behind the first quarter, when what is kept of packets is full: for three minutes in CI,
# for half an hour in `make soak`.
SECONDS = float(os.environ.get("VNET_LIVE_SECONDS") or (240 if os.environ.get("CI") == "true" else 20))

# A packet whose summary is markup: a DNS name may hold any octet.
HOSTILE = """
import socket
name = b"<img src=x onerror=hacked=1>"
query = bytes(4) + b"\\0\\1" + bytes(6) + bytes([len(name)]) + name + b"\\0\\0\\1\\0\\1"
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(query, ("10.0.0.2", 53))
"""
CELLS = (
    "import os, sys, time, vnet\n"
    "open('kernel.pid', 'w').write(str(os.getpid()))\n"
    "net = vnet.Network()\n"
    "h1, h2, h3, s1 = net.host('h1'), net.host('h2'), net.host('h3'), net.switch('s1')\n"
    "link = net.link(h1, s1, delay='2ms', loss=0.1)\n"
    "net.link(h2, s1)\n"
    "link.attach('count')\n"
    "deny = {'action': 'deny', 'protocol': 'icmp', 'dst': '10.0.0.2'}\n"
    "rules = [{'action': 'permit', 'protocol': 'tcp'}, deny]\n"
    "net.link(h3, s1).attach('acl', config={'default': 'permit', 'rules': rules})\n"
    "live = net.live()\n"
    "live",
    "noise = h1.popen('exec ping -n -i 0.05 10.0.0.2', stdout=-3)\n"
    "denied = h3.popen('exec ping -n -i 0.5 10.0.0.2', stdout=-3)\n"
    f"h1.run([sys.executable, '-c', {HOSTILE!r}], check=True)\n"
    f"time.sleep({SECONDS + 5})",
    "net.close()",
)


def wanted(is_there: object, what: str) -> None:
    """Skip without what a test needs; CI has everything."""
    if not is_there:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} is missing: run make test")


@pytest.fixture
def user() -> Iterator[Person]:
    with person("user") as found:
        yield found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.timeout(SECONDS + 400)
def test_the_view_moves_while_a_cell_blocks_and_a_click_shows_a_packet(user: Person) -> None:
    chromium = shutil.which("chromium") or ""
    wanted(chromium, "chromium")
    wanted(importlib.util.find_spec("playwright"), "playwright")
    wanted(user.run(user.python, "-c", "import anywidget, jupyterlab").returncode == 0, "jupyterlab with anywidget")
    cells = [
        {"cell_type": "code", "id": f"c{n}", "source": cell, "metadata": {}, "outputs": [], "execution_count": None}
        for n, cell in enumerate(CELLS)
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    (user.home / "live.ipynb").write_text(json.dumps(notebook))
    # No questions about news.
    settings = user.home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    port = free_port()
    server = user.popen(
        *(user.python, "-m", "jupyterlab", "--no-browser", f"--ServerApp.port={port}", "--IdentityProvider.token="),
        *(f"--ServerApp.root_dir={user.home}", "--ServerApp.port_retries=0"),
        env=user.environment | {"JUPYTERLAB_SETTINGS_DIR": str(user.home / "settings")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert server.poll() is None, "JupyterLab ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5) as answer:
                return int(answer.status) == 200
        except OSError:
            return False

    wait_until(answers, 120, "JupyterLab answers")
    SHOT.parent.mkdir(parents=True, exist_ok=True)
    url, pid_file = f"http://127.0.0.1:{port}/doc/tree/live.ipynb", user.home / "kernel.pid"
    words = [sys.executable, BROWSER, url, pid_file, str(SECONDS), chromium, SHOT]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=SECONDS + 350)
    server.terminate()
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout.splitlines()[-1])
    assert saw["blocked"] == "[*]:", saw
    (first_ticks, first_frames), (last_ticks, last_frames) = saw["moved"]
    assert last_ticks > first_ticks
    assert last_frames > first_frames
    assert saw["svg"] == 3
    # The walk through plugin, impairment and switch, and the decode.
    way = ["delivered to h2", "h1 eth0: sent", "link h1-s1, count: pass", "link h1-s1, a>b: passed", "s1: to s1-port2"]
    assert all(part in saw["decoded"] for part in [*way, "h2 eth0: received", "Ethernet"]), saw["decoded"]
    # The walk of what was dropped names hop, plugin and rule.
    said = 'dropped on link h3-s1 by acl: rule_1 "deny icmp dst 10.0.0.2" (reason 17)'
    assert all(part in saw["dropped"] for part in [said, "link h3-s1, acl: drop", "Ethernet"]), saw["dropped"]
    assert saw["errors"] == []
    assert saw["hacked"] is None
    before, after = saw["memory"]
    print(f"{SECONDS:.0f} s at {saw['hertz'] or 0:.1f} Hz: memory {before} to {after}, elements {saw['nodes']}")
    # Ten a second where the machine has nothing else to do.
    assert (saw["hertz"] or 0) >= 5, saw
    assert after["fds"] <= before["fds"] + 2, saw["memory"]
    assert after["kB"] - before["kB"] < 12_000, saw["memory"]
    # Rows are added until there are 200 packets.
    assert saw["nodes"][1] - saw["nodes"][0] < 400, saw["nodes"]
    assert SHOT.stat().st_size > 10_000
