"""Measures how exactly links do what they are asked: delay, rate, loss, duplicates, order, damage, queues; and a thousand links.

It prints samples as JSON, metric -> what -> one number a round; bench.py runs it and holds them to their bars. What is measured
is what a program in a node sees, by the kernel's time stamps; what the machine itself adds is measured on the same link and in
the same stream of frames, in slices in which the engine carries it without an impairment.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import vnet
from bloat import bloat
from nodes import Running, run, samples
from thousand import thousand

SIZE = 200
# Seconds that a link has a delay and has none in turn, how often each, and seconds between two frames then.
SLICE, TURNS, APART = 0.18, 3, 0.0005
LOADS = {"10 % load": 0.1, "50 % load": 0.5}
DELAYS = (1, 10, 100)
RATES = (1, 10, 100, 1000)
LOSSES = (0.1, 1, 10, 50)
FRAMES = 100_000
# Frames that one buffer is taken apart into, and seconds between two buffers.
BURST, EVERY = 50, 0.0008


@contextmanager
def pair(seed: int) -> Iterator[tuple[vnet.Host, vnet.Host, vnet.Link]]:
    """Make two hosts and a link that the engine carries, impaired or not."""
    with vnet.Network(seed=seed, ipv6=False) as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2)
        link.attach("count")
        # An ARP request would be delayed or lost as well.
        h1.add_neighbour(h2.ip, h2.mac)
        h2.add_neighbour(h1.ip, h1.mac)
        assert h1.ping(h2, timeout=5)
        yield h1, h2, link


def nothing(link: vnet.Link) -> None:
    """Take every impairment off."""
    link.set(delay=None, loss=None, duplicate=None, reorder=None, corrupt=None, rate=None, queue=None)


def under_way(
    h1: vnet.Host, h2: vnet.Host, link: vnet.Link, load: float, asked: int
) -> list[tuple[list[float], list[float]]]:
    """Return milliseconds that single frames took under load, sorted: pairs of without and with a delay of `asked` ms.

    The two take turns in one stream of frames, a fifth of a second each: what the machine does beside meets both alike.
    """
    settled = (asked + 20) / 1e3
    seconds = TURNS * (2 * SLICE + 2 * settled + asked / 1e3) + 0.2
    receiver = Running(h2, "receive", SIZE, 64, waits=True)
    others = Running(h1, "load", h2.ip, load, seconds + 0.5, SIZE + 2)
    sender = Running(h1, "send", h2.ip, int(seconds / APART), APART, SIZE, 1)
    spans = []
    for number in range(2 * TURNS):
        link.set(delay=f"{asked}ms" if number % 2 else None)
        time.sleep(settled)
        begun = time.time_ns()
        time.sleep(SLICE)
        spans.append((begun, time.time_ns()))
        if number % 2:
            # What is on its way would leave at once where the delay is taken off.
            time.sleep(asked / 1e3)
    for running in (sender, others):
        running.result()
    time.sleep(0.1)
    seen = receiver.result()
    took: list[list[float]] = [[] for _ in spans]
    for delay, arrived in zip(seen["delays"], seen["times"], strict=True):
        for (begun, ended), values in zip(spans, took, strict=True):
            if begun <= arrived - delay < ended:
                values.append(delay / 1e6)
    if not all(took):
        raise SystemExit("error: the machine is too busy to send a frame within a fifth of a second")
    return list(zip(map(sorted, took[::2]), map(sorted, took[1::2]), strict=True))


def quantile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def delays(h1: vnet.Host, h2: vnet.Host, link: vnet.Link) -> None:
    nothing(link)
    receiver = Running(h2, "receive", SIZE + 2, 0, waits=True)
    run(h1, "load", h2.ip, 0, 0.5, SIZE + 2)
    capacity = receiver.result()["frames"] / 0.5
    samples["capacity"]["frames of 200 bytes that the link carries"].append(capacity / 1e3)
    for name, share in LOADS.items():
        alone: list[float] = []
        for asked in DELAYS:
            nothing(link)
            took = under_way(h1, h2, link, capacity * share, asked)
            for metric, at in (("delay_p50", 0.5), ("delay_p99", 0.99)):
                # Of the pairs the median: a burst of the machine's is in one slice, and there in every hundredth frame.
                errors = (quantile(delayed, at) - asked - quantile(own, at) for own, delayed in took)
                error = statistics.median(errors)
                samples[metric][f"{asked} ms, {name}"].append(abs(error) if at == 0.5 else error)
            alone += itertools.chain.from_iterable(own for own, _ in took)
        alone.sort()
        samples["noise_p50"][name].append(quantile(alone, 0.5))
        samples["noise_p99"][name].append(quantile(alone, 0.99))


def rates(h1: vnet.Host, h2: vnet.Host, link: vnet.Link) -> None:
    """Send half more than the rate in frames of 1514 bytes, and see at what pace they arrive."""
    size = 1514
    for asked in RATES:
        nothing(link)
        link.set(rate=f"{asked}mbit")
        per_s = asked * 1e6 / 8 / size
        frames = int(max(per_s, 100) * 1.5)
        burst = 40 if asked >= 100 else 1
        receiver = Running(h2, "receive", size, 64, waits=True)
        run(h1, "send", h2.ip, frames, burst / (per_s * 1.5), size, burst)
        while (line := link.stats.a_to_b) and line.in_flight:
            time.sleep(0.05)
        seen = receiver.result()
        times = seen["times"]
        measured = (len(times) + seen["missed"] - 1) * size * 8 / (times[-1] - times[0]) * 1e9
        samples["rate"][f"{asked} Mbit/s"].append(abs(measured / asked / 1e6 - 1) * 100)


def losses(h1: vnet.Host, h2: vnet.Host, link: vnet.Link) -> None:
    for percent in LOSSES:
        nothing(link)
        link.set(loss=f"{percent}%")
        p = percent / 100
        receiver = Running(h2, "receive", SIZE, 0, waits=True)
        run(h1, "send", h2.ip, FRAMES, EVERY, SIZE, BURST)
        time.sleep(0.1)
        lost = FRAMES - receiver.result()["frames"]
        samples["loss"][f"{percent} %"].append(abs(lost - FRAMES * p) / (FRAMES * p * (1 - p)) ** 0.5)


def bursts(h1: vnet.Host, h2: vnet.Host, link: vnet.Link) -> None:
    """Gilbert-Elliott: bad spells begin with p, end with r, and lose everything."""
    for p, r in ((1, 50), (1, 20)):
        nothing(link)
        link.set(loss=f"gemodel {p}% {r}%")
        seen = kept(h1, h2, FRAMES)
        order = [-1, *seen["order"]]
        lengths = [b - a - 1 for a, b in itertools.pairwise(order) if b - a > 1]
        mean, spread = 100 / r, (1 - r / 100) ** 0.5 * 100 / r
        error = abs(statistics.fmean(lengths) - mean) / (spread / len(lengths) ** 0.5)
        samples["bursts"][f"p {p} %, r {r} %"].append(error)


def kept(h1: vnet.Host, h2: vnet.Host, frames: int, wait: float = 0.1) -> dict[str, Any]:
    """Return what arrives of numbered frames, once the receiver has kept up."""
    for _ in range(5):
        receiver = Running(h2, "receive", SIZE, 2048, waits=True)
        run(h1, "send", h2.ip, frames, EVERY, SIZE, BURST // 2)
        time.sleep(wait)
        seen = receiver.result()
        if not seen["missed"]:
            return seen
    raise SystemExit("error: the machine is too busy to see every frame")


def counts(h1: vnet.Host, h2: vnet.Host, link: vnet.Link) -> None:
    """Compare what arrived with what the link says it did; the difference is to be 0."""
    frames = 20_000

    def counted(**asked: Any) -> tuple[dict[str, Any], Any, Any]:
        nothing(link)
        link.set(**asked)
        before = link.stats.a_to_b
        seen = kept(h1, h2, frames, 0.2)
        return seen, before, link.stats.a_to_b

    seen, before, after = counted(duplicate="5%")
    extra = len(seen["order"]) - len(set(seen["order"]))
    samples["counted"]["duplicates"].append(abs(extra - (after.duplicated - before.duplicated)))
    seen, before, after = counted(corrupt="5%")
    samples["counted"]["corrupted frames"].append(abs(seen["damaged"] - (after.corrupted - before.corrupted)))
    seen, before, after = counted(delay="10ms", reorder="5%")
    waited, ahead = frames, 0
    for number in reversed(seen["order"]):
        ahead += number > waited
        waited = min(waited, number)
    samples["counted"]["reordered frames"].append(abs(ahead - (after.reordered - before.reordered)))


def windows(h1: vnet.Host, h2: vnet.Host, link: vnet.Link) -> None:
    """TCP over a round trip of 20 ms: as much as its window, or the rate, allows."""
    sides: tuple[tuple[str, dict[str, Any], int], ...] = (
        ("a window of 256 KiB", {}, 1 << 18),
        ("100 Mbit/s", {"rate": "100mbit", "queue": 1000}, 0),
    )
    for name, asked, window in sides:
        nothing(link)
        link.set(delay="10ms", **asked)
        sink = Running(h2, "tcp-sink", 7003, window, 0, waits=True)
        seen = run(h1, "tcp", h2.ip, 7003, 2)
        sink.result()
        # Of each 1514 bytes on the wire 1448 are payload.
        allowed = 100e6 * 1448 / 1514 if asked else seen["window"] * 8 / 0.020
        samples["tcp"][name].append(seen["bits_per_s"] / allowed)


def swaps(h1: vnet.Host, h2: vnet.Host, link: vnet.Link) -> None:
    """Swap a plugin a thousand times while the link carries half of what it can, and see how long frames wait for that."""
    nothing(link)
    receiver = Running(h2, "receive", SIZE + 2, 0, waits=True)
    run(h1, "load", h2.ip, 0, 0.5, SIZE + 2)
    capacity = receiver.result()["frames"] / 0.5
    receiver = Running(h2, "receive", SIZE + 2, 0, waits=True)
    others = Running(h1, "load", h2.ip, capacity / 2, 5, SIZE + 2)
    with link.attach("learning_switch") as flt:
        pauses = sorted(flt.swap("learning_switch").pause_us / 1e3 for _ in range(1000))
    others.result()
    receiver.result()
    for metric, at in (("swap_p50", 0.5), ("swap_p99", 0.99)):
        samples[metric]["1,000 swaps at 50 % load"].append(quantile(pauses, at))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", help="the name of one measurement, such as rates")
    options = parser.parse_args()
    steps: list[Callable[[vnet.Host, vnet.Host, vnet.Link], None]] = [delays, rates]
    # What the machine's mood changes little is measured in every third round.
    steady: list[Callable[[vnet.Host, vnet.Host, vnet.Link], None]] = [losses, bursts, counts, windows, swaps]
    for number in range(options.rounds):
        # Another seed, other fates.
        with pair(seed=number) as (h1, h2, link):
            for step in [*steps, *(steady if number % 3 == 0 else ())]:
                if options.only in (None, step.__name__):
                    step(h1, h2, link)
        print(f"links: round {number + 1} of {options.rounds}", file=sys.stderr)
    for once in (bloat, thousand):
        if options.only in (None, once.__name__):
            once(options.rounds)
    print(json.dumps(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
