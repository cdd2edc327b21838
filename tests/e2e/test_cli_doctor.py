"""`vnet doctor` finds what a killed process left behind, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from lab import VNET, Lab, descendants


def stale(lab: Lab, *options: str) -> list[str]:
    done = lab.run(VNET, "doctor", "--json", *options)
    return sorted(entry["interface"]["name"] for entry in json.loads(done.stdout)["stale"])


def test_lists_and_removes_what_a_killed_process_left_behind(lab: Lab) -> None:
    assert lab.run("ip", "link", "add", "mine", "type", "bridge").returncode == 0
    script = (
        "import vnet; pair = vnet.Veth('va', 'vb'); bridge = vnet.Bridge('vbr'); print('ready', flush=True); input()"
    )
    process = lab.popen(sys.executable, "-c", script, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert stale(lab) == [], "what a living process holds is not stale"
    # Nobody deletes them when the keeper is killed before it can.
    for keeper in descendants(process.pid):
        os.kill(keeper, signal.SIGKILL)
    process.kill()
    process.wait()
    assert set(stale(lab)) == {"va", "vb", "vbr"}
    assert stale(lab, "--remove-stale") == []
    assert lab.interfaces() == {"lo", "mine"}
