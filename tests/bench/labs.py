"""Measures labs beside Mininet and the same made with `ip` and with pyroute2.

It prints samples as JSON, metric -> side -> one number a round; bench.py runs it as root and holds them to their bars. Every
round runs every side, each in a process of its own. The others work in namespaces of their own, so the machine's interfaces
stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable

HOSTS = 50

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
print(json.dumps({"host_memory": (settled() - before) / (switches * hosts) / 1e6}))
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

# The same by pyroute2, as its documentation does it.
PYROUTE2 = """
import json, subprocess, sys, time
from pyroute2 import IPRoute, NetNS, netns
hosts = int(sys.argv[1])
begun = time.monotonic()
with IPRoute() as ip:
    ip.link("add", ifname="s1", kind="bridge", state="up")
    bridge = ip.link_lookup(ifname="s1")[0]
    for number in range(1, hosts + 1):
        name = f"h{number}"
        netns.create(name)
        ip.link("add", ifname=f"s1-{name}", kind="veth", peer={"ifname": "eth0", "net_ns_fd": name})
        port = ip.link_lookup(ifname=f"s1-{name}")[0]
        ip.link("set", index=port, master=bridge, state="up")
        with NetNS(name) as space:
            space.link("set", index=space.link_lookup(ifname="lo")[0], state="up")
            end = space.link_lookup(ifname="eth0")[0]
            space.addr("add", index=end, address=f"10.0.0.{number}", prefixlen=24)
            space.link("set", index=end, state="up")
up = time.monotonic() - begun
subprocess.run(["ip", "netns", "exec", "h1", "ping", "-c1", "-W5", f"10.0.0.{hosts}"], check=True, stdout=subprocess.DEVNULL)
begun = time.monotonic()
with IPRoute() as ip:
    for number in range(1, hosts + 1):
        netns.remove(f"h{number}")
    ip.link("del", ifname="s1")
print(json.dumps({"up": up, "closed": time.monotonic() - begun}))
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers-python", default=sys.executable, help="a Python that has pyroute2")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("labs: Mininet, ip and pyroute2 need root: run it with sudo", file=sys.stderr)
        return 1
    if shutil.which("mn") is None:
        print("labs: Mininet is missing: apt-get install mininet bridge-utils", file=sys.stderr)
        return 1
    hosts = str(HOSTS)
    user, fifty, thousand = "vnet as a user", "20 switches x 50 hosts", "1 switch x 1000 hosts"
    side = tuple[str, Callable[[], dict[str, float]]]
    ours: list[side] = [
        (user, lambda: lab(LAB, 1, HOSTS, "rootless")),
        ("vnet as root", lambda: lab(LAB, 1, HOSTS, "root")),
    ]
    # Ours take a tenth of the time that the others do, and so are measured three times a round, before, among and after these.
    small: list[side] = [
        *ours,
        ("ip", lambda: measured(*APART, "sh", "-c", IP, "sh", hosts)),
        *ours,
        ("Mininet", lambda: measured(*APART, "/usr/bin/python3", "-c", MININET, hosts)),
        ("pyroute2", lambda: measured(*APART, options.peers_python, "-c", PYROUTE2, hosts)),
        *ours,
    ]
    large: list[side] = [
        (user, lambda: lab(PING_ALL, 1, HOSTS, "rootless")),
        (fifty, lambda: lab(LAB, 20, 50, "rootless")),
        (thousand, lambda: lab(LAB, 1, 1000, "rootless")),
        (thousand, lambda: lab(MEMORY, 1, 1000, "rootless")),
    ]
    samples: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(options.rounds):
        # The large ones leave the kernel's caches as no machine has them: what comes first after them is not measured.
        lab(LAB, 1, HOSTS, "rootless")
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        for sides in (small, large):
            # Each round begins with another side, so that none always runs on a warmer machine.
            for turn in range(len(sides)):
                # A namespace is made more slowly while the kernel is busy with those of the side before.
                subprocess.run(FENCE, check=True)
                name, run = sides[(turn + number) % len(sides)]
                for metric, value in run().items():
                    found[metric, name].append(value)
        for (metric, name), values in found.items():
            samples[metric][name].append(statistics.median(values))
        print(f"labs: round {number + 1} of {options.rounds}", file=sys.stderr)
    print(json.dumps(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
