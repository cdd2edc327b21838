"""The last packets that the nodes of a network have seen."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vnet._errors import Error
from vnet._frame import restore
from vnet._vnet import Frame

if TYPE_CHECKING:
    from vnet._network import Network

__all__: list[str] = []

# Nodes whose packets are seen: each takes a descriptor.
_MOST_NODES = 64
# Packets that are kept, and the octets of each.
_KEPT, _SNAPLEN = 2000, 2048
# Of a faster stream the kernel keeps this much until it is read, and forgets the rest.
_BUFFER = 64 * 1024
_ETH_P_ALL, _ARPHRD_LOOPBACK, _PACKET_OUTGOING = 3, 772, 4
_SO_TIMESTAMPNS = 35


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet that a node sent or got: its number, from 0, the place such as ``"h1:eth0 sent"``, and its first octets."""

    number: int
    place: str
    time_ns: int
    size: int
    data: bytes

    def frame(self) -> Frame:
        """Return it as a frame."""
        return restore(self.data, "l2", self.time_ns)


class Ring:
    """Reads copies of what passes the interfaces of hosts and routers, on packet sockets in them; their path stays as it is."""

    def __init__(self, network: Network) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Seen] = deque(maxlen=_KEPT)
        self._count = 0
        self._sockets: list[tuple[str, socket.socket]] = []
        for node in [*network.hosts, *network.routers][:_MOST_NODES]:
            with contextlib.suppress(Error, OSError):
                opened = node.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
                opened.setblocking(False)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
                opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                self._sockets.append((node.name, opened))

    def take(self, most: int) -> list[Seen]:
        """Return what was seen since the last call, the last ``most`` of it; what waited longer is kept all the same."""
        new: list[Seen] = []
        with self._lock:
            for node, opened in self._sockets:
                new += self._read(node, opened)
            new.sort(key=lambda seen: seen.time_ns)
            new = [
                Seen(self._count + at, seen.place, seen.time_ns, seen.size, seen.data) for at, seen in enumerate(new)
            ]
            self._count += len(new)
            self._kept.extend(new)
        return new[-most:]

    def find(self, number: int) -> Seen | None:
        """Return a packet that is still kept."""
        with self._lock:
            return next((seen for seen in self._kept if seen.number == number), None)

    def kept(self) -> list[Seen]:
        """Return all that is kept, in the order in which it was read."""
        with self._lock:
            return list(self._kept)

    def close(self) -> None:
        """Read no more. What was seen is kept."""
        with self._lock:
            for _, opened in self._sockets:
                opened.close()
            self._sockets = []

    @staticmethod
    def _read(node: str, opened: socket.socket) -> list[Seen]:
        new = []
        for _ in range(200):
            try:
                data, stamps, _, address = opened.recvmsg(65_600, 64)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # An interface that went down, or a network that has ended.
                break
            interface, _, kind, hardware = address[:4]
            if hardware == _ARPHRD_LOOPBACK:
                continue
            way = "sent" if kind == _PACKET_OUTGOING else "got"
            new.append(Seen(0, f"{node}:{interface} {way}", _stamp(stamps), len(data), data[:_SNAPLEN]))
        return new


def _stamp(messages: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in messages:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= 16:
            seconds, nanoseconds = struct.unpack("@qq", data[:16])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()
