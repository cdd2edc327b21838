"""What a Python stage is given: one packet, which it may change."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from vnet._errors import InvalidValue
from vnet._html import Html, fields
from vnet._shown import Shown, headed, titled
from vnet._vnet import Frame

__all__ = ["Packet", "PacketAnswer"]

# What flags of a frame mean to a plugin, as ABI.md has them.
_EGRESS = 4
_L3 = 16
# The port of a switch that means all but the one it came by.
_FLOOD = 0xFFFF


class Packet(Shown):
    """A packet on its way, given to the callable of a :class:`Stage`; what that answers becomes of it.

    ``data`` is its octets as a bytearray to be changed in place, or set to others: from the Ethernet header on, or from the IP
    header on where ``layer`` is ``"l3"``. It has its size on the wire and complete checksums; checksums of what is changed are
    the callable's. ``timestamp`` is Unix time in seconds of when the engine read it, ``direction`` ``"ingress"`` or
    ``"egress"`` as for plugins there, ``port`` the name of where it came from: the node at that end of a link, the device, the
    number of a switch's port. It may be used until the callable returns.
    """

    __slots__ = ("_answer", "_data", "_flags", "_ports", "_raw", "_to", "number", "timestamp_ns")

    def __init__(
        self, data: bytes, *, port: int = 0, flags: int = 0, timestamp_ns: int = 0, ports: tuple[str, ...] = ()
    ) -> None:
        self._raw = data
        self._data: bytearray | None = None
        self._flags = flags
        self._ports = ports
        self._answer: tuple[str, str | None] | None = None
        self._to = 0
        self.number = port
        """Number of the port it came by, as plugins see it: on links and wires 0 from the first end, 1 from the second."""
        self.timestamp_ns = timestamp_ns
        """Unix time in nanoseconds of when the engine read it."""

    @property
    def data(self) -> bytearray:
        """Its octets, to be changed in place or set."""
        if self._data is None:
            self._data = bytearray(self._raw)
        return self._data

    @data.setter
    def data(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytearray(data)

    @property
    def port(self) -> str:
        """Name of where it came from: the node at that end of a link, the device, the number of a switch's port."""
        return self._ports[self.number] if self.number < len(self._ports) else str(self.number)

    @property
    def direction(self) -> Literal["ingress", "egress"]:
        """Which way it goes, as for plugins there: on links and wires ingress comes from the first end."""
        leaves = self.number == 1 if len(self._ports) == 2 else self._flags & _EGRESS
        return "egress" if leaves else "ingress"

    @property
    def timestamp(self) -> float:
        """Unix time in seconds of when the engine read it."""
        return self.timestamp_ns / 1e9

    @property
    def layer(self) -> Literal["l2", "l3"]:
        """``"l2"`` where it begins with an Ethernet header, ``"l3"`` on a :class:`Tun`."""
        return "l3" if self._flags & _L3 else "l2"

    def drop(self, reason: str | None = None) -> None:
        """Drop it, counted under ``reason`` in the statistics."""
        self._answer = ("drop", reason)

    def redirect(self, port: int | None = None) -> None:
        """Send it to the port of a switch of that number, None for all but its own; on links and wires, on to the other end."""
        if port is not None and not 0 <= port < _FLOOD:
            raise InvalidValue(f"port {port} is not a port's number")
        self._to = _FLOOD if port is None else port
        self._answer = ("redirect", None)

    def send_back(self) -> None:
        """Send it, as it is by then, back where it came from."""
        self._answer = ("tx", None)

    def frame(self) -> Frame:
        """Return a copy as a :class:`Frame`."""
        return Frame(bytes(self), layer=self.layer, timestamp_ns=self.timestamp_ns)

    def scapy(self) -> Any:
        """Return a copy as a Scapy packet; return it, changed, from the callable, or set :attr:`data` to ``bytes`` of it.

        Raises Unsupported without Scapy.
        """
        return self.frame().scapy()

    def summary(self) -> str:
        """Return one line in tcpdump's manner."""
        return self.frame().summary()

    def __bytes__(self) -> bytes:
        return self._raw if self._data is None else bytes(self._data)

    def __len__(self) -> int:
        return len(self._raw if self._data is None else self._data)

    def __repr__(self) -> str:
        return f"<vnet.Packet {self.direction} from {self.port}: {self.summary()}>"

    def _html(self) -> Html:
        about = [("from", self.port), ("direction", self.direction), ("bytes", len(self))]
        return titled(self, headed(self, self.summary()), fields(about))


PacketAnswer: TypeAlias = object
"""What a callable returns: None (what the packet's methods said, else pass), True to pass, False to drop, or the packet in its
new form: bytes, a :class:`Packet`, a :class:`Frame`, a Scapy packet, anything that ``bytes()`` takes."""


def answer_of(packet: Packet, returned: object) -> tuple[str, str | None, bytes | None]:
    """Return what becomes of a packet, why, and its octets where they are others than before. Raises TypeError."""
    verdict, reason = packet._answer or ("pass", None)
    if returned is True:
        verdict, reason = "pass", None
    elif returned is False:
        if verdict != "drop":
            verdict, reason = "drop", None
    elif returned is not None and returned is not packet:
        return verdict, reason, _octets(returned)
    data = packet._data
    return verdict, reason, None if data is None or data == packet._raw else bytes(data)


def _octets(returned: object) -> bytes:
    if hasattr(returned, "__bytes__"):
        return bytes(returned)
    try:
        return bytes(memoryview(returned))  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"it returned {returned!r}; expected None, True, False, or the packet as bytes") from None
