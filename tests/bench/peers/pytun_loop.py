"""Two TAPs of python-pytun joined by a loop: `pytun_loop.py NETNS_A NETNS_B`, files of the namespaces that get one each."""

from __future__ import annotations

import ctypes
import os
import select
import sys

import pytun
from peer import ready

CLONE_NEWNET = 0x40000000
DRAIN = 64
FRAME = 2048


def tap(netns: str) -> pytun.TunTapDevice:
    with open(netns) as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
    device = pytun.TunTapDevice(name="end", flags=pytun.IFF_TAP | pytun.IFF_NO_PI)
    os.set_blocking(device.fileno(), False)
    return device


def main() -> None:
    a, b = (tap(netns) for netns in sys.argv[1:3])
    other = {a.fileno(): (a.read, b.write), b.fileno(): (b.read, a.write)}
    poll = select.epoll()
    for number in other:
        poll.register(number, select.EPOLLIN)
    ready()
    while True:
        for number, _ in poll.poll():
            read, write = other[number]
            try:
                for _ in range(DRAIN):
                    write(read(FRAME))
            except (OSError, pytun.Error):
                continue  # nothing left, or the interface is down: a frame is lost, as in any plain loop


main()
