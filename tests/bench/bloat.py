"""The bufferbloat lab: one link of 10 Mbit/s with three sizes of queue, and with CoDel, under a TCP stream."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import vnet
from nodes import Running, samples

QUEUES: dict[str, dict[str, Any]] = {
    "queue 20": {"queue": 20},
    "queue 100": {"queue": 100},
    "queue 1000": {"queue": 1000},
    "CoDel": {"queue": 1000, "discipline": "codel"},
}
PAGE = 64 << 10
# Seconds that a stream needs to fill a thousand packets.
FILL = 25


def bloat(rounds: int) -> None:
    """Measure round trips and a page's time from a client whose link a download fills; the labs run side by side."""
    with vnet.Network(seed=1, ipv6=False) as net:
        labs = {}
        for number, (name, queue) in enumerate(QUEUES.items()):
            server, client = net.host(f"s{number}"), net.host(f"c{number}")
            # Frames wait on the way to the client; what it answers only takes its 10 ms.
            link = net.link(server, client, delay="10ms", rate=("10mbit", None), **down(queue))
            labs[name] = (server, client, link)
        running = []
        for server, client, _ in labs.values():
            # A small window would hide what the queue does.
            running.append(Running(client, "tcp-sink", 7003, 4 << 20, 0, waits=True))
            running.append(Running(server, "tcp-sink", 7004, 0, PAGE, waits=True))
        for server, client, _ in labs.values():
            running.append(Running(server, "tcp", client.ip, 7003, FILL + 2.5 * rounds))
        print(f"links: {FILL} s until a stream has filled the queues", file=sys.stderr)
        time.sleep(FILL)
        fetching = {
            name: Running(client, "pages", server.ip, 7004, 1.5 * rounds) for name, (server, client, _) in labs.items()
        }
        for _ in range(rounds):
            for name, (server, client, _) in labs.items():
                trips = client.ping(server, count=3, interval=0.05, timeout=5)
                samples["bloat_rtt"][name].append((trips.rtt_avg or 0) * 1e3)
        for name, fetches in fetching.items():
            samples["bloat_page"][name] = [seconds * 1e3 for seconds in fetches.result()["took"]]
        for name, (_, _, link) in labs.items():
            line = link.stats.a_to_b
            late = [packets for at, packets, _ in (line.queue_series if line else ()) if at > FILL]
            samples["bloat_queue"][name] = [statistics.median(late)]


def down(queue: dict[str, Any]) -> dict[str, Any]:
    """Give a queue to the server's direction alone."""
    return {key: (value, None) for key, value in queue.items()}
