"""The bufferbloat lab: one link of 10 Mbit/s with three sizes of queue, and with CoDel, under a TCP stream."""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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
# Echo requests of a round, and seconds between two: more than a whole swing of the shortest queue.
PINGS, BETWEEN = 20, 0.05
# Seconds that an answer is waited for: more than the longest queue holds it up, since full queues drop requests too.
LATEST = 2


def bloat(rounds: int) -> None:
    """Measure round trips of a client whose link a download fills, then a page's time; the labs run side by side."""
    pinging, fetching = rounds * (PINGS * BETWEEN + LATEST), rounds * 1.5
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
            running.append(Running(server, "tcp", client.ip, 7003, FILL + pinging + fetching + 5))
        print(f"links: {FILL} s until a stream has filled the queues", file=sys.stderr)
        time.sleep(FILL)
        seen = {name: series(link)[-1][0] for name, (_, _, link) in labs.items()}

        def trip(name: str) -> float:
            server, client, _ = labs[name]
            return client.ping(server, count=PINGS, interval=BETWEEN, timeout=LATEST).rtt_avg or 0

        with ThreadPoolExecutor(len(labs)) as threads:
            for _ in range(rounds):
                for name, seconds in zip(labs, threads.map(trip, labs), strict=True):
                    samples["bloat_rtt"][name].append(seconds * 1e3)
        for name, (_, _, link) in labs.items():
            samples["bloat_queue"][name] = [statistics.median(most for at, most in series(link) if at > seen[name])]
        # Each page begins with a burst that overflows a short queue, and leaves it short when it ends: hence not at once.
        fetches = {
            name: Running(client, "pages", server.ip, 7004, fetching) for name, (server, client, _) in labs.items()
        }
        for name, fetch in fetches.items():
            samples["bloat_page"][name] = [seconds * 1e3 for seconds in fetch.result()["took"]]


def series(link: vnet.Link) -> list[tuple[float, int]]:
    """Return seconds and the most packets that waited towards the client in the span that ended then."""
    line = link.stats.a_to_b
    return [(at, most) for at, most, _ in (line.queue_series if line else ())]


def down(queue: dict[str, Any]) -> dict[str, Any]:
    """Give a queue to the server's direction alone."""
    return {key: (value, None) for key, value in queue.items()}
