"""Measures labs against Mininet and against the same made with `ip`, and holds them to their bars.

`make bench` runs it as root, after the packet benchmarks. Every round runs every side once, each in a process of its own, and
ratios are taken round by round. Mininet and `ip` work in namespaces of their own, so the machine's interfaces stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HOSTS = 50
RESULTS = Path(__file__).with_name("results") / "labs-latest.json"
RESAMPLES = 4000

# What every lab program begins with: a star of switches with hosts, and the time it takes.
BUILD = """
import json, os, sys, time
import vnet

def build(switches, hosts, rootless):
    net = vnet.Network(rootless=rootless)
    core = net.switch("s0")
    for number in range(switches):
        switch = core if number == 0 else net.switch(f"s{number}")
        if switch is not core:
            net.link(core, switch)
        for host in range(hosts):
            net.link(net.host(f"h{number}x{host}"), switch)
    return net

def kernel_memory():
    # Every kind of memory that a lab makes the kernel take, in bytes.
    kinds = ("Slab", "Percpu", "KernelStack", "PageTables")
    lines = (line.split() for line in open("/proc/meminfo"))
    return sum(int(words[1]) << 10 for words in lines if words[0].rstrip(":") in kinds)

def own_memory():
    # Of this process and of its helper's two.
    pids, total = [os.getpid()], 0
    for pid in pids:
        pids += map(int, open(f"/proc/{pid}/task/{pid}/children").read().split())
        status = open(f"/proc/{pid}/status").read()
        total += int(status.split("RssAnon:")[1].split()[0]) << 10
    return total

def settled():
    # The kernel frees what was closed in its own time: wait until a second brings no change of 2 MiB.
    for _ in range(60):
        before = kernel_memory()
        time.sleep(1)
        if abs(kernel_memory() - before) < 2 << 20:
            break
    return kernel_memory() + own_memory()

switches, hosts, rootless = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "rootless"
"""

# The kernel takes closed namespaces apart behind everybody's back, first come first served. So when one that is closed last has
# lost its end of a veth pair, all before it have lost their devices.
FENCE = (
    *("unshare", "--net", "sh", "-ec"),
    """
    unshare --net sleep 300 & last=$!
    while [ "$(readlink /proc/$last/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.002; done
    ip link add f0 type veth peer name f1 netns $last
    kill $last
    wait $last 2>/dev/null || true
    while ip link show f0 >/dev/null 2>&1; do sleep 0.005; done
    """,
)

LAB = (
    BUILD
    + f"""
import subprocess
FENCE = {FENCE!r}
"""
    + """
begun = time.monotonic()
net = build(switches, hosts, rootless)
net.start()
up = time.monotonic() - begun
first, last = net.hosts[0], net.hosts[-1]
assert first.ping(last, timeout=5), "the lab does not work"
begun = time.monotonic()
net.close()
closed = time.monotonic() - begun
subprocess.run(FENCE, check=True)
print(json.dumps({"up": up, "closed": closed, "down": time.monotonic() - begun}))
"""
)

PING_ALL = (
    BUILD
    + """
with build(switches, hosts, rootless) as net:
    net.start()
    begun = time.monotonic()
    matrix = net.ping_all()
    took = time.monotonic() - begun
    assert matrix and matrix.sent == switches * hosts * (switches * hosts - 1), matrix
print(json.dumps({"ping_all": took}))
"""
)

MEMORY = (
    BUILD
    + """
build(1, 2, rootless).close()
before = settled()
net = build(switches, hosts, rootless)
net.start()
print(json.dumps({"per_host": (settled() - before) / (switches * hosts)}))
net.close()
"""
)

# Debian's Mininet, with the kernel's bridge as its switch: Open vSwitch is not on every machine, and slower to set up.
MININET = """
import json, sys, time
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo
setLogLevel("error")
begun = time.monotonic()
net = Mininet(topo=SingleSwitchTopo(int(sys.argv[1])), switch=LinuxBridge, controller=None, waitConnected=False)
net.start()
up = time.monotonic() - begun
first, last = net.hosts[0], net.hosts[-1]
answer = first.cmd(f"ping -c1 -W5 {last.IP()}")
assert "1 received" in answer, answer
begun = time.monotonic()
net.stop()
print(json.dumps({"up": up, "closed": time.monotonic() - begun}))
"""

# The same hosts by the commands that a tutorial gives, one process each.
IP = """
set -e
begun=$(date +%s%N)
ip link add br0 type bridge
ip link set br0 up
for i in $(seq 1 $1); do
    ip netns add h$i
    ip link add v$i type veth peer name eth0 address 02:00:00:00:01:$(printf %02x $i) netns h$i
    ip link set v$i master br0
    ip link set v$i up
    ip -n h$i address add 10.0.0.$i/24 dev eth0
    ip -n h$i address add fd00::$i/64 dev eth0 nodad
    ip -n h$i link set lo up
    ip -n h$i link set eth0 up
done
up=$(date +%s%N)
ip netns exec h1 ping -q -c1 -W5 10.0.0.$1 >&2
start=$(date +%s%N)
for i in $(seq 1 $1); do ip netns del h$i; done
ip link del br0
down=$(date +%s%N)
echo "{\\"up\\": $((up - begun))e-9, \\"closed\\": $((down - start))e-9}"
"""

# Interfaces, /run/netns and /sys of its own for a program that would use the machine's.
APART = (
    *("unshare", "--net", "--mount", "--propagation=private", "sh", "-ec"),
    'mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; mkdir /run/netns; ip link set lo up; exec "$@"',
    "sh",
)


def measured(*command: str, timeout: float = 300) -> dict[str, float]:
    """Run a side and return the seconds it prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise SystemExit(f"error: {command[0]} ... ended with status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def lab(source: str, switches: int, hosts: int, how: str) -> dict[str, float]:
    return measured(sys.executable, "-c", source, str(switches), str(hosts), how)


class Report:
    """The table and the same as JSON."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.rows: list[dict[str, Any]] = []
        self.draw = random.Random(7)

    def add(
        self, what: str, values: Sequence[float], unit: str, least: float | None = None, most: float | None = None
    ) -> None:
        """Add the median of `values` with its interval, held to a bound."""
        medians = sorted(statistics.median(self.draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
        median = statistics.median(values)
        met = (least is None or median >= least) and (most is None or median <= most)
        interval = (medians[RESAMPLES // 40], medians[-1 - RESAMPLES // 40])
        row = {"what": what, "median": median, "low": interval[0], "high": interval[1], "unit": unit}
        self.rows.append(row | {"at_least": least, "at_most": most, "met": met})

    def print(self) -> None:
        print(f"\nlabs: medians of {self.rounds} interleaved rounds")
        print(f"{'what':<54} {'median':>9}  {'95 % interval':^21}  {'bar':>8}")
        for row in self.rows:
            bar = f">= {row['at_least']:g}" if row["at_least"] else f"<= {row['at_most']:g}" if row["at_most"] else ""
            verdict = "" if row["met"] else "  MISSED"
            span = f"[{row['low']:>8.3f}, {row['high']:>8.3f}]"
            print(f"{row['what']:<54} {row['median']:>9.3f}  {span:^21}  {bar:>8} {row['unit']}{verdict}")

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
        path.write_text(json.dumps({"machine": machine, "rounds": self.rounds, "rows": self.rows}, indent=2) + "\n")

    @property
    def missed(self) -> bool:
        return not all(row["met"] for row in self.rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("labs: Mininet and ip need root, so there is nothing to compare with: run it with sudo", file=sys.stderr)
        return 1
    if shutil.which("mn") is None:
        print("labs: Mininet is missing: apt-get install mininet bridge-utils", file=sys.stderr)
        return 1
    values: dict[str, list[float]] = {}

    def keep(side: str, result: dict[str, float]) -> None:
        for what, value in result.items():
            values.setdefault(f"{side} {what}", []).append(value)

    for number in range(options.rounds):
        sides = [
            lambda: keep("rootless", lab(LAB, 1, HOSTS, "rootless")),
            lambda: keep("root", lab(LAB, 1, HOSTS, "root")),
            lambda: keep("ip", measured(*APART, "sh", "-c", IP, "sh", str(HOSTS))),
            lambda: keep("mininet", measured(*APART, "/usr/bin/python3", "-c", MININET, str(HOSTS))),
            lambda: keep("rootless", lab(PING_ALL, 1, HOSTS, "rootless")),
            lambda: keep("20x50", lab(LAB, 20, 50, "rootless")),
            lambda: keep("1x1000", lab(LAB, 1, 1000, "rootless")),
            lambda: keep("1x1000", lab(MEMORY, 1, 1000, "rootless")),
        ]
        # Each round begins with another side, so that none always runs on a warmer machine.
        for turn in range(len(sides)):
            sides[(turn + number) % len(sides)]()
            # A namespace is made more slowly while the kernel is busy with those of the side before.
            subprocess.run(FENCE, check=True)
        print(f"labs: round {number + 1} of {options.rounds}", file=sys.stderr)
    report = Report(options.rounds)

    def ratio(what: str, other: str, side: str, least: float | None = None) -> None:
        pairs = zip(values[f"{other} {what}"], values[f"{side} {what}"], strict=True)
        report.add(f"{HOSTS} hosts {what}: {other} / vnet, {side}", [a / b for a, b in pairs], "x", least=least)

    for side in ("rootless", "root"):
        report.add(f"{HOSTS} hosts on a switch up, {side}", values[f"{side} up"], "s")
        for other in ("mininet", "ip"):
            ratio("up", other, side, least=10)
            ratio("closed", other, side)
    for shape, name in (("20x50", "20 switches x 50 hosts"), ("1x1000", "one switch, 1000 hosts")):
        report.add(f"{name} up", values[f"{shape} up"], "s", most=3)
        report.add(f"{name} closed", values[f"{shape} closed"], "s")
        report.add(f"{name} down, namespaces freed", values[f"{shape} down"], "s", most=1.5)
    report.add(f"ping_all over {HOSTS} hosts", values["rootless ping_all"], "s", most=3)
    report.add(
        "memory of an idle host, kernel's included", [v / 1e6 for v in values["1x1000 per_host"]], "MB", most=0.5
    )
    report.print()
    report.write(options.json)
    if report.missed:
        print("error: a bar was missed", file=sys.stderr)
    return int(report.missed)


if __name__ == "__main__":
    sys.exit(main())
