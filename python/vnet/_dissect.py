"""The headers of a frame as a tree of fields, each with the octets it stands in.

A view is for eyes: what is cut short or makes no sense ends the tree there, as ``data``, and raises nothing.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal

from vnet._dns import message

__all__: list[str] = []


@dataclass(slots=True)
class Field:
    """A value in a header: its name, its text, and its octets in the frame, ``start`` to before ``end``."""

    name: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class Header:
    """A header: the protocol, what it says in short, its octets and its fields."""

    name: str
    short: str
    start: int
    end: int
    fields: list[Field] = field(default_factory=list)


_ETHERTYPES = {0x0800: "IPv4", 0x0806: "ARP", 0x86DD: "IPv6", 0x8100: "VLAN", 0x88A8: "VLAN"}
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
_FLAGS = (("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32), ("ECE", 64), ("CWR", 128))
_ICMP = {0: "echo reply", 3: "destination unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_ICMP6 = {
    1: "destination unreachable", 2: "packet too big", 3: "time exceeded", 128: "echo request", 129: "echo reply",
    133: "router solicitation", 134: "router advertisement", 135: "neighbour solicitation",
    136: "neighbour advertisement", 143: "multicast listener report",
}  # fmt: skip
# Extension headers of IPv6 that say where the next one begins; a fragment's length is fixed.
_EXTENSIONS = {0: "hop-by-hop options", 43: "routing", 44: "fragment", 60: "destination options"}


def dissect(data: bytes, layer: Literal["l2", "l3"]) -> list[Header]:
    """Return the headers from the outermost in; octets that belong to none are a last one named ``data``."""
    tree = _Tree(data)
    if layer == "l2":
        tree.ethernet()
    else:
        tree.ip()
    if tree.at < len(data):
        rest = len(data) - tree.at
        tree.headers.append(Header("data", f"{rest} bytes", tree.at, len(data)))
    return tree.headers


class _Tree:
    """Walks over the octets; every reader leaves ``at`` behind the header it took, or where it was when that is cut short."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.headers: list[Header] = []

    def _number(self, offset: int, size: int) -> int:
        return int.from_bytes(self.data[self.at + offset : self.at + offset + size], "big")

    def _fits(self, size: int) -> bool:
        return len(self.data) - self.at >= size

    def _take(self, name: str, short: str, size: int, *fields: tuple[str, object, int, int]) -> None:
        """Adds a header of ``size`` octets here; its fields are name, value, offset and size."""
        made = [Field(key, str(value), self.at + at, self.at + at + wide) for key, value, at, wide in fields]
        self.headers.append(Header(name, short, self.at, self.at + size, made))
        self.at += size

    def _mac(self, offset: int) -> str:
        return self.data[self.at + offset : self.at + offset + 6].hex(":")

    def _ip4(self, offset: int) -> str:
        return str(ipaddress.IPv4Address(self.data[self.at + offset : self.at + offset + 4]))

    def _ip6(self, offset: int) -> str:
        return str(ipaddress.IPv6Address(self.data[self.at + offset : self.at + offset + 16]))

    def ethernet(self) -> None:
        if not self._fits(14):
            return
        kind = self._number(12, 2)
        source, target = self._mac(6), self._mac(0)
        fields = (("destination", target, 0, 6), ("source", source, 6, 6), ("type", _named(kind), 12, 2))
        self._take("Ethernet", f"{source} → {target}", 14, *fields)
        while kind in (0x8100, 0x88A8) and self._fits(4):
            tag, kind = self._number(0, 2), self._number(2, 2)
            tagged = (
                ("priority", tag >> 13, 0, 1),
                ("VLAN", tag & 0xFFF, 0, 2),
                ("type", _named(kind), 2, 2),
            )
            self._take("VLAN", f"{tag & 0xFFF}", 4, *tagged)
        if kind == 0x0806:
            self._arp()
        elif kind in (0x0800, 0x86DD):
            self.ip()

    def _arp(self) -> None:
        if not self._fits(28) or self._number(0, 6) != 0x000108000604:
            return
        operation = {1: "request", 2: "reply"}.get(self._number(6, 2), str(self._number(6, 2)))
        sender, wanted = self._ip4(14), self._ip4(24)
        short = f"who has {wanted}? tell {sender}" if operation == "request" else f"{sender} is at {self._mac(8)}"
        fields = (
            ("operation", operation, 6, 2),
            ("sender MAC", self._mac(8), 8, 6),
            ("sender IP", sender, 14, 4),
            ("target MAC", self._mac(18), 18, 6),
            ("target IP", wanted, 24, 4),
        )
        self._take("ARP", short, 28, *fields)

    def ip(self) -> None:
        version = self._number(0, 1) >> 4
        if version == 4:
            self._ipv4()
        elif version == 6:
            self._ipv6()

    def _ipv4(self) -> None:
        size = (self._number(0, 1) & 15) * 4
        if size < 20 or not self._fits(size):
            return
        protocol, fragment, total = self._number(9, 1), self._number(6, 2), self._number(2, 2)
        bits = " ".join(name for name, bit in (("DF", 0x4000), ("MF", 0x2000)) if fragment & bit)
        source, target = self._ip4(12), self._ip4(16)
        fields = [
            ("header length", f"{size} bytes", 0, 1),
            ("DSCP, ECN", f"{self._number(1, 1) >> 2}, {self._number(1, 1) & 3}", 1, 1),
            ("total length", total, 2, 2),
            ("identification", self._number(4, 2), 4, 2),
            ("flags", bits or "none", 6, 1),
            ("fragment offset", (fragment & 0x1FFF) * 8, 6, 2),
            ("TTL", self._number(8, 1), 8, 1),
            ("protocol", _PROTOCOLS.get(protocol, protocol), 9, 1),
            ("checksum", f"0x{self._number(10, 2):04x}", 10, 2),
            ("source", source, 12, 4),
            ("destination", target, 16, 4),
        ]
        if size > 20:
            fields.append(("options", self.data[self.at + 20 : self.at + size].hex(" "), 20, size - 20))
        self._take("IPv4", f"{source} → {target}", size, *fields)
        # Only the first fragment has the header of what it carries.
        if fragment & 0x1FFF == 0:
            self._transport(protocol)

    def _ipv6(self) -> None:
        if not self._fits(40):
            return
        first, kind = self._number(0, 4), self._number(6, 1)
        source, target = self._ip6(8), self._ip6(24)
        fields = (
            ("traffic class", (first >> 20) & 0xFF, 0, 2),
            ("flow label", f"0x{first & 0xFFFFF:05x}", 1, 3),
            ("payload length", self._number(4, 2), 4, 2),
            ("next header", _PROTOCOLS.get(kind, _EXTENSIONS.get(kind, kind)), 6, 1),
            ("hop limit", self._number(7, 1), 7, 1),
            ("source", source, 8, 16),
            ("destination", target, 24, 16),
        )
        self._take("IPv6", f"{source} → {target}", 40, *fields)
        first_fragment = True
        while kind in _EXTENSIONS and self._fits(8):
            name, following = _EXTENSIONS[kind], self._number(0, 1)
            size = 8 if kind == 44 else (self._number(1, 1) + 1) * 8
            if not self._fits(size):
                return
            if kind == 44:
                first_fragment = self._number(2, 2) >> 3 == 0
            following_name = _PROTOCOLS.get(following, _EXTENSIONS.get(following, following))
            self._take(f"IPv6 {name}", "", size, ("next header", following_name, 0, 1))
            kind = following
        if first_fragment:
            self._transport(kind)

    def _transport(self, protocol: int) -> None:
        match protocol:
            case 1:
                self._icmp("ICMP", _ICMP, (0, 8))
            case 58:
                self._icmp("ICMPv6", _ICMP6, (128, 129))
            case 6:
                self._tcp()
            case 17:
                self._udp()

    def _icmp(self, name: str, kinds: dict[int, str], echoes: tuple[int, int]) -> None:
        if not self._fits(8):
            return
        kind = self._number(0, 1)
        fields = [
            ("type", f"{kind} {kinds.get(kind, '')}".strip(), 0, 1),
            ("code", self._number(1, 1), 1, 1),
            ("checksum", f"0x{self._number(2, 2):04x}", 2, 2),
        ]
        short = kinds.get(kind, f"type {kind}")
        if kind in echoes:
            fields.extend([("identifier", self._number(4, 2), 4, 2), ("sequence", self._number(6, 2), 6, 2)])
            short += f", sequence {self._number(6, 2)}"
        self._take(name, short, 8, *fields)

    def _tcp(self) -> None:
        if not self._fits(20):
            return
        size = (self._number(12, 1) >> 4) * 4
        if size < 20 or not self._fits(size):
            return
        flags = " ".join(name for name, bit in _FLAGS if self._number(13, 1) & bit) or "none"
        ports = self._number(0, 2), self._number(2, 2)
        fields = [
            ("source port", ports[0], 0, 2),
            ("destination port", ports[1], 2, 2),
            ("sequence", self._number(4, 4), 4, 4),
            ("acknowledgement", self._number(8, 4), 8, 4),
            ("header length", f"{size} bytes", 12, 1),
            ("flags", flags, 13, 1),
            ("window", self._number(14, 2), 14, 2),
            ("checksum", f"0x{self._number(16, 2):04x}", 16, 2),
            ("urgent pointer", self._number(18, 2), 18, 2),
        ]
        if size > 20:
            fields.append(("options", self._tcp_options(size), 20, size - 20))
        self._take("TCP", f"{ports[0]} → {ports[1]} [{flags}]", size, *fields)

    def _tcp_options(self, size: int) -> str:
        found, at = [], 20
        while at < size and (kind := self._number(at, 1)) != 0:
            if kind == 1:
                at += 1
                continue
            length = self._number(at + 1, 1) if at + 1 < size else 0
            if length < 2 or at + length > size:
                found.append("malformed")
                break
            value = self._number(at + 2, length - 2)
            known = {2: f"MSS {value}", 3: f"window scale {value}", 4: "SACK permitted", 5: "SACK"}
            found.append(
                f"timestamps {value >> 32} {value & 0xFFFFFFFF}" if kind == 8 else known.get(kind, f"kind {kind}")
            )
            at += length
        return ", ".join(found) or "none"

    def _udp(self) -> None:
        if not self._fits(8):
            return
        ports = self._number(0, 2), self._number(2, 2)
        fields = (
            ("source port", ports[0], 0, 2),
            ("destination port", ports[1], 2, 2),
            ("length", self._number(4, 2), 4, 2),
            ("checksum", f"0x{self._number(6, 2):04x}", 6, 2),
        )
        self._take("UDP", f"{ports[0]} → {ports[1]}", 8, *fields)
        if 53 in ports or 5353 in ports:
            parsed = message(self.data[self.at :])
            if parsed is not None:
                named = [(f"{part}", text, at, end - at) for part, text, at, end in parsed.fields]
                self._take("DNS", parsed.short, len(self.data) - self.at, *named)


def _named(kind: int) -> str:
    return f"0x{kind:04x} {_ETHERTYPES.get(kind, '')}".strip()
