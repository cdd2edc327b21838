"""One packet at several places is known again, also behind a router and a NAT."""

from __future__ import annotations

import struct

from vnet._path import identity, path, path_view
from vnet._ring import Seen


def frame(source: str, target: str, ttl: int, sport: int, payload: bytes = b"hello", number: int = 7) -> bytes:
    def address(text: str) -> bytes:
        return bytes(int(part) for part in text.split("."))

    udp = struct.pack("!HHHH", sport, 53, 8 + len(payload), sport ^ 0x5555) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), number, 0, ttl, 17, ttl) + address(source) + address(target)
    return bytes(12) + b"\x08\x00" + head + udp


def seen(number: int, place: str, milliseconds: float, data: bytes) -> Seen:
    return Seen(number, place, int(milliseconds * 1e6), len(data), data)


INSIDE = frame("10.0.0.1", "10.1.0.1", 64, 4000)
OUTSIDE = frame("192.0.2.1", "10.1.0.1", 63, 61234)


def test_routers_and_translation_do_not_change_what_a_packet_is() -> None:
    assert identity(INSIDE) == identity(OUTSIDE)
    assert identity(INSIDE) != identity(frame("10.0.0.1", "10.1.0.1", 64, 4000, b"other"))
    assert identity(INSIDE) != identity(frame("10.0.0.1", "10.1.0.1", 64, 4000, number=8))
    # A trailer that pads a short frame does not count, a tag neither.
    tagged = INSIDE[:12] + b"\x81\x00\x00\x05" + INSIDE[12:]
    assert identity(INSIDE) == identity(INSIDE + bytes(9)) == identity(tagged)
    for cut in range(len(INSIDE)):
        identity(INSIDE[:cut])


def test_a_walk_says_where_when_and_what_changed() -> None:
    kept = [
        seen(3, "h2:eth0 got", 5.5, OUTSIDE),
        seen(0, "h1:eth0 sent", 1.0, INSIDE),
        seen(1, "<b>r1</b>:eth0 got", 1.25, INSIDE),
        seen(2, "h1:eth0 sent", 9.0, frame("10.0.0.1", "10.1.0.1", 64, 4000, number=8)),
        seen(4, "h1:eth0 sent", 4000.0, INSIDE),
    ]
    found = path(kept[1], kept)
    assert [each.number for each in found] == [0, 1, 3]
    html = path_view(found)
    assert "h2:eth0 got is where it was seen last" in html
    assert "4.500 ms" in html
    assert "TTL 64 \N{RIGHTWARDS ARROW} 63" in html
    assert "10.0.0.1 \N{RIGHTWARDS ARROW} 192.0.2.1" in html
    assert "<b>" not in html
