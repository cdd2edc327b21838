"""A thousand impaired links between two hosts, 20 frames a second on each."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import vnet
from nodes import Running, run, samples

LINKS = 1000
RATE = 20
SIZE = 200
DELAY = 10


def resident() -> float:
    """Return bytes of memory of this process, which carries the links."""
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0]) * 1024


def thousand(rounds: int) -> None:
    """Measure their delay, first with a rate alone that no frame notices, then with the delay."""
    seconds = max(5, rounds)
    before = resident()
    with vnet.Network(seed=1, ipv6=False) as net:
        h1, h2 = net.host("h1"), net.host("h2")
        links = [net.link(h1, h2, rate="100gbit") for _ in range(LINKS)]
        net.start()
        hosts = []
        for here, there in zip(h1.interfaces, h2.interfaces, strict=True):
            hosts.append(there.addresses[0].split("/")[0])
            # The kernel's table of learnt neighbours, one for all namespaces, holds 1024.
            h1.add_neighbour(hosts[-1], there.mac, interface=here.name)
        run(h1, "many", RATE, 2, SIZE, *hosts)

        def measured() -> tuple[list[float], float]:
            receiver = Running(h2, "receive", SIZE, 64, waits=True)
            begun, busy = time.monotonic(), time.process_time()
            sent = run(h1, "many", RATE, seconds, SIZE, *hosts)["sent"]
            busy = (time.process_time() - busy) / (time.monotonic() - begun)
            time.sleep(0.2)
            seen = receiver.result()
            print(f"links: {sent - seen['frames']} of {sent} frames lost, {seen['missed']} not seen", file=sys.stderr)
            return sorted(delay / 1e6 for delay in seen["delays"]), busy

        own, _ = measured()
        for link in links:
            link.set(delay=f"{DELAY}ms")
        took, busy = measured()
        for metric, share in (("thousand_p50", 0.5), ("thousand_p99", 0.99)):
            at, noise = (values[int(len(values) * share)] for values in (took, own))
            samples[metric]["noise"] = [noise]
            samples[metric]["1000 links"] = [abs(at - noise - DELAY) if share == 0.5 else at - noise - DELAY]
        samples["thousand_cpu"]["1000 links"] = [busy * 100]
        samples["thousand_memory"]["1000 links"] = [(resident() - before) / LINKS / 1e3]
