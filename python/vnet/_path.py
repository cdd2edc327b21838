"""One packet at the places where it was seen, told by what no hop changes."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterable

from vnet._dissect import dissect
from vnet._html import Html, card, table
from vnet._ring import Seen

__all__: list[str] = []

# A packet that is seen again later than this is another one that looks the same.
_LONGEST_NS = 2_000_000_000
_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
# Octets of a transport header that translating addresses changes: ports or identifier, and checksum.
_CHANGED = {_ICMP: ((2, 6),), _TCP: ((0, 4), (16, 18)), _UDP: ((0, 4), (6, 8)), _ICMP6: ((2, 6),)}


def identity(data: bytes) -> Hashable:
    """Return what of a frame stays as it is over switches, routers and address translation."""
    kind, at = struct.unpack_from("!H", data, 12)[0] if len(data) >= 14 else 0, 14
    while kind in (0x8100, 0x88A8) and len(data) >= at + 4:
        kind, at = struct.unpack_from("!H", data, at + 2)[0], at + 4
    rest = data[at:]
    if kind == 0x0800 and len(rest) >= 20:
        inner = (rest[0] & 15) * 4
        size, number = struct.unpack_from("!HH", rest, 2)
        return 4, number, rest[9], _stable(rest[9], rest[inner:size])
    if kind == 0x86DD and len(rest) >= 40:
        size = struct.unpack_from("!H", rest, 4)[0]
        return 6, rest[6], _stable(rest[6], rest[40 : 40 + size])
    return kind, rest


def _stable(protocol: int, payload: bytes) -> bytes:
    octets = bytearray(payload)
    for start, end in _CHANGED.get(protocol, ()):
        octets[start:end] = bytes(len(octets[start:end]))
    return bytes(octets)


def path(seen: Seen, kept: Iterable[Seen]) -> list[Seen]:
    """Return the packet at every place where it was seen, in the order of time."""
    wanted = identity(seen.data)
    found = [each for each in kept if abs(each.time_ns - seen.time_ns) <= _LONGEST_NS and identity(each.data) == wanted]
    return sorted(found, key=lambda each: (each.time_ns, each.number))


def path_view(found: list[Seen]) -> Html:
    """Return the places as a table: when the packet was there, and which fields had changed on the way."""
    rows: list[list[object]] = []
    for at, each in enumerate(found):
        since = (each.time_ns - found[0].time_ns) / 1e6
        rows.append([each.place, f"{since:.3f} ms", _changes(found[at - 1], each) if at else ""])
    title = f"Walk: {found[-1].place} is where it was seen last" if found else "Walk"
    return card(
        title, table(["seen at", "after", "changed on the way"], rows, label="walk"), label="Walk of the packet"
    )


def _changes(before: Seen, after: Seen) -> str:
    old, new = _fields(before), _fields(after)
    changed = [
        f"{name} {old[name]} \N{RIGHTWARDS ARROW} {text}" for name, text in new.items() if old.get(name, text) != text
    ]
    return ", ".join(changed)


def _fields(seen: Seen) -> dict[str, str]:
    headers = dissect(seen.data, "l2")
    return {
        f"{header.name} {each.name}": each.text
        for header in headers
        for each in header.fields
        if each.name != "checksum"
    }
