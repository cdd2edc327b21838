"""A bridge of two packet sockets in Python: `raw_sockets.py A B [--vnet-header]`.

With the vnet header the kernel hands over segments of up to 64 KiB and partial checksums as they are; without it, A's and B's
other ends must not offload anything.
"""

from __future__ import annotations

import select
import socket
import sys

from peer import ready

ETH_P_ALL = 3
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
DRAIN = 64


def port(name: str, vnet_header: bool) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, int(vnet_header))
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
    sock.bind((name, ETH_P_ALL))
    sock.setblocking(False)
    return sock


def main() -> None:
    a, b = (port(name, "--vnet-header" in sys.argv) for name in sys.argv[1:3])
    other = {a.fileno(): (a, b), b.fileno(): (b, a)}
    poll = select.epoll()
    for number in other:
        poll.register(number, select.EPOLLIN)
    buffer = bytearray(66_000)
    view = memoryview(buffer)
    ready()
    while True:
        for number, _ in poll.poll():
            source, sink = other[number]
            try:
                for _ in range(DRAIN):
                    sink.send(view[: source.recv_into(buffer)])
            except OSError:
                continue  # nothing left, or the interface is full: a frame is lost, as in any plain loop


main()
