"""Frames of every kind from a seed: whole, wrong and meaningless ones."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

SHORTEST, LONGEST = 14, 1514
# EtherTypes of the experiments: what each asks of a plugin, the plugins say.
EXPERIMENTS = range(0x88B5, 0x88BF)


def _ipv4(rng: random.Random, room: int) -> bytes:
    options = rng.randbytes(4 * rng.choice((0, 0, 0, 1, 5, 10)))
    header = 20 + len(options)
    protocol, body = _transport(rng, max(0, room - header), 1)
    total = header + len(body)
    kind = rng.random()
    if kind < 0.06:
        total += rng.randrange(1, 400)  # longer than the frame
    elif kind < 0.1:
        total = rng.randrange(0, header)
    fragment = rng.choice((0, 0, 0, 0x4000, 0x4000, 0x2000, 0x00B9, 0x2010))
    first = 0x40 | header // 4
    if rng.random() < 0.05:
        first = rng.choice((0x44, 0x40, 0x65, 0x4F, 0x05))
    ttl = rng.choice((0, 1, 2, 64, 128, 255))
    sum_ = rng.choice((0, 0xFFFF, rng.randrange(0x10000)))
    fixed = struct.pack(">BBHHHBBH", first, 0, total & 0xFFFF, rng.randrange(0x10000), fragment, ttl, protocol, sum_)
    trailer = rng.randbytes(rng.randrange(1, 20)) if rng.random() < 0.1 else b""
    return fixed + rng.randbytes(8) + options + body + trailer


def _ipv6(rng: random.Random, room: int) -> bytes:
    protocol, body = _transport(rng, max(0, room - 40), 58)
    if rng.random() < 0.2:  # a hop-by-hop, destination options or fragment header
        extension, protocol = protocol, rng.choice((0, 60, 44))
        body = (bytes((extension, 0)) + rng.randbytes(6) + body)[: max(8, room - 40)]
    length = len(body)
    if rng.random() < 0.08:
        length += rng.randrange(1, 300)
    first = 0x60 if rng.random() > 0.04 else 0x40
    hops = rng.choice((0, 1, 64, 255))
    return struct.pack(">BBHHBB", first, 0, 7, length & 0xFFFF, protocol, hops) + rng.randbytes(32) + body


def _transport(rng: random.Random, room: int, icmp: int) -> tuple[int, bytes]:
    """Return a protocol number and its header with data, `room` bytes at most unless there is too little for a header."""
    protocol = rng.choice((6, 6, 17, 17, icmp, 89))
    if protocol == 6:
        data = rng.randbytes(max(0, room - 20))
        return 6, rng.randbytes(12) + b"\x50\x18" + rng.randbytes(6) + data
    if protocol == 17:
        data = rng.randbytes(max(0, room - 8))
        length = 8 + len(data) if rng.random() > 0.06 else 9 + len(data) + rng.randrange(100)
        sum_ = rng.choice((0, 0xFFFF, rng.randrange(0x10000)))
        return 17, struct.pack(">HHHH", rng.choice((53, 5000)), rng.choice((53, 7777)), length, sum_) + data
    if protocol == icmp:
        return icmp, bytes((rng.choice((8, 0, 128, 129)), 0)) + rng.randbytes(max(2, room - 2))
    return protocol, rng.randbytes(room)


def _arp(rng: random.Random, room: int) -> bytes:
    return struct.pack(">HHBBH", 1, 0x0800, 6, 4, rng.choice((1, 2))) + rng.randbytes(20)


def _garbage(rng: random.Random, room: int) -> bytes:
    return rng.randbytes(room)


_PAYLOADS: tuple[tuple[int, Callable[[random.Random, int], bytes]], ...] = (
    *((0x0800, _ipv4),) * 7,
    *((0x86DD, _ipv6),) * 4,
    (0x0806, _arp),
    # Headers that say what the bytes are not.
    (0x0800, _garbage),
    (0x86DD, _garbage),
    *((kind, _garbage) for kind in EXPERIMENTS),
)


def frame(rng: random.Random) -> bytes:
    """Return one frame of 14 to 1,514 bytes."""
    size = rng.choice((rng.randrange(SHORTEST, 80), rng.randrange(SHORTEST, 600), rng.randrange(SHORTEST, LONGEST + 1)))
    size = rng.choice((size, size, size, SHORTEST, LONGEST, 60, 64))
    destination = rng.choice((b"\xff" * 6, b"\x33\x33" + rng.randbytes(4), *(b"\x02" + rng.randbytes(5),) * 4))
    source = rng.choice((b"\x02\x00\x5e", b"\x06\x11\x22")) + rng.randbytes(3)
    tags = b"".join(
        struct.pack(">HH", rng.choice((0x8100, 0x8100, 0x88A8)), rng.randrange(0x10000))
        for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 1, 2, 3)))
    )
    ether_type, payload = rng.choice(_PAYLOADS)
    head = destination + source + tags + ether_type.to_bytes(2, "big")
    whole = head + payload(rng, max(0, size - len(head)))
    if rng.random() < 0.03:  # torn anywhere behind its tags
        whole = whole[: rng.randrange(len(head), len(whole) + 1)]
    return whole[:LONGEST]


def frames(seed: int, count: int) -> list[bytes]:
    """Return `count` frames, the same for the same seed."""
    rng = random.Random(seed)
    return [frame(rng) for _ in range(count)]


def write_pcap(path: Path, captured: list[bytes]) -> None:
    """Write a classic pcap file of Ethernet frames."""
    records = (
        struct.pack("<IIII", number, 0, len(octets), len(octets)) + octets for number, octets in enumerate(captured)
    )
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))


def read_pcap(path: Path) -> list[bytes]:
    """Return the frames of a classic little-endian pcap file."""
    data, at, found = path.read_bytes(), 24, []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        found.append(data[at + 16 : at + 16 + length])
        at += 16 + length
    return found
