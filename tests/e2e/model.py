"""What the plugins of tests/conformance must do to a frame, written again in Python from the same specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

PASS, REDIRECT, TX = "pass", "redirect", "tx"
FLOOD = 0xFFFF
TAGS = (0x8100, 0x88A8)


@dataclass
class Answer:
    """What becomes of a frame: `fate` is PASS, REDIRECT, TX or the name of a drop; `copies` are appended frames."""

    fate: str
    octets: bytes = b""
    to: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    copies: list[Answer] = field(default_factory=list)


Model = Callable[[bytes, int], Answer]


def be16(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 2], "big")


def ether_type_at(octets: bytes) -> int | None:
    """Return where the EtherType stands behind at most two tags, None when the frame ends before it."""
    for at in (12, 16, 20):
        if len(octets) < at + 2:
            return None
        if be16(octets, at) not in TAGS or at == 20:
            return at
    return None


def internet_sum(octets: bytes) -> int:
    total = sum(int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(octets), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def with_sums(octets: bytes) -> bytes:
    """Return the frame with its sums computed as CSUM_DIRTY and csum() have them computed."""
    at = ether_type_at(octets)
    if at is None:
        return octets
    ip, frame = at + 2, bytearray(octets)
    if be16(octets, at) == 0x0800 and len(octets) >= ip + 20 and octets[ip] >> 4 == 4:
        header = (octets[ip] & 15) * 4
        if header < 20 or len(octets) < ip + header:
            return octets
        frame[ip + 10 : ip + 12] = b"\0\0"
        frame[ip + 10 : ip + 12] = internet_sum(bytes(frame[ip : ip + header])).to_bytes(2, "big")
        total = be16(octets, ip + 2)
        if be16(octets, ip + 6) & 0x3FFF or total < header or ip + total > len(octets):
            return bytes(frame)
        pseudo = octets[ip + 12 : ip + 20] + bytes((0, octets[ip + 9])) + (total - header).to_bytes(2, "big")
        _transport_sum(frame, octets[ip + 9], ip + header, ip + total, pseudo, icmp=1)
    elif be16(octets, at) == 0x86DD and len(octets) >= ip + 40 and octets[ip] >> 4 == 6:
        length = be16(octets, ip + 4)
        if ip + 40 + length > len(octets):
            return octets
        pseudo = octets[ip + 8 : ip + 40] + length.to_bytes(4, "big") + bytes((0, 0, 0, octets[ip + 6]))
        _transport_sum(frame, octets[ip + 6], ip + 40, ip + 40 + length, pseudo, icmp=58)
    return bytes(frame)


def _transport_sum(frame: bytearray, protocol: int, start: int, end: int, pseudo: bytes, *, icmp: int) -> None:
    # Where the sum stands, and the shortest header: every ICMP message there is has 8 bytes.
    places = {6: (16, 20), 17: (6, 8), icmp: (2, 8)}
    if protocol not in places or end - start < places[protocol][1]:
        return
    if protocol == 6 and not 20 <= (frame[start + 12] >> 4) * 4 <= end - start:
        return
    if protocol == icmp == 1:
        pseudo = b""
    if protocol == 17 and (be16(frame, start + 6) == 0 or be16(frame, start + 4) != end - start):
        return
    at = start + places[protocol][0]
    frame[at : at + 2] = b"\0\0"
    total = internet_sum(pseudo + bytes(frame[start:end]))
    frame[at : at + 2] = (0xFFFF if protocol == 17 and total == 0 else total).to_bytes(2, "big")


def acl(octets: bytes, _port: int) -> Answer:
    """Answer as acl.c configured with shortest=20, port=7777 and vendor 06:11:22."""
    answer = _acl(octets)
    answer.counts = {"seen": 1, "octets": len(octets)}
    return answer


def _acl(octets: bytes) -> Answer:
    ether_type = be16(octets, 12)
    if len(octets) < 20:
        return Answer("short")
    if octets[:6] == b"\xff" * 6:
        return Answer("broadcast")
    if octets[6:9] == b"\x06\x11\x22":
        return Answer("vendor")
    match ether_type:
        case 0x88B6:
            return Answer(TX, octets)
        case 0x88B7:
            return Answer(REDIRECT, octets, 1)
        case 0x88B8:
            return Answer(REDIRECT, octets, FLOOD)
        case 0x88B9:
            return Answer(REDIRECT, octets, 9)
        case 0x88BA | 0x88BB:
            return Answer("bad_verdict")
        case 0x88BC | 0x88BD:
            return Answer(PASS, octets)
    if ether_type == 0x0800 and len(octets) >= 34 and octets[14] >> 4 == 4 and octets[23] == 17:
        at = 14 + (octets[14] & 15) * 4
        if 34 <= at <= len(octets) - 4 and be16(octets, at + 2) == 7777:
            return Answer("other")
    return Answer("drop") if len(octets) % 97 == 0 else Answer(PASS, octets)


def edit(octets: bytes, _port: int) -> Answer:
    """Answer as edit.wat."""
    frame, ether_type = bytearray(octets), be16(octets, 12)
    if ether_type == 0x0800 and len(frame) >= 34:
        frame[22] = (frame[22] - 1) & 0xFF
        return Answer(PASS, with_sums(bytes(frame)))
    if ether_type == 0x86DD and len(frame) >= 54:
        frame[37] = 0x77
        return Answer(PASS, with_sums(bytes(frame)))
    if ether_type == 0x88B5:
        return Answer(PASS, octets.ljust(64, b"\0"))
    if ether_type == 0x88B6:
        return Answer(PASS, octets[:20].ljust(60, b"\0"))
    if ether_type == 0x88B7 and len(octets) < 1400:
        return Answer(PASS, octets + bytes(3))
    return Answer("empty") if ether_type == 0x88B8 else Answer(PASS, octets)


def router(octets: bytes, port: int) -> Answer:
    """Answer as router.c does on a wire, whose stages stand between the ports: no frame there is leaving by one."""
    at = ether_type_at(octets)
    ether_type, ip = (0, 0) if at is None else (be16(octets, at), at + 2)
    room, frame = len(octets) - ip, bytearray(octets)
    first = octets[ip] if room else 0
    if ether_type == 0x0800 and room >= 20 and first >> 4 == 4:
        if frame[ip + 8] <= 1:
            return Answer("ttl")
        frame[ip + 8] -= 1
        frame[ip + 15] ^= 0x5A
        return Answer(PASS, with_sums(bytes(frame)), counts={"rewritten": 1})
    if ether_type == 0x86DD and room >= 40 and first >> 4 == 6:
        frame[ip + 7] = (frame[ip + 7] - 1) & 0xFF
        frame[ip + 39] ^= 0x5A
        return Answer(PASS, with_sums(bytes(frame)), counts={"rewritten": 1})
    match ether_type:
        case 0x88B6:
            return Answer(TX, octets[6:12] + octets[:6] + octets[12:])
        case 0x88B7:
            return Answer(REDIRECT, octets, 1 - port)
        case 0x88B8:
            return Answer(REDIRECT, octets, FLOOD)
        case 0x88B9:
            return Answer(REDIRECT, octets, port if first & 1 else 2 + first)
        case 0x88BA:
            return Answer("bad_verdict" if 4 + first % 251 != 255 else PASS, octets)
        case 0x88BB:
            return Answer("bad_desc")
        case 0x88BD:
            return Answer("empty")
    return Answer(PASS, octets)


def tags(octets: bytes, _port: int) -> Answer:
    """Answer as tags.c."""
    ether_type = be16(octets, 12)
    if ether_type == 0x8100 and len(octets) >= 18:
        return Answer(PASS, octets[:12] + octets[16:])
    if ether_type == 0x0800 and len(octets) <= 1510:
        return Answer(PASS, octets[:12] + b"\x81\x00\x20\x64" + octets[12:])
    if ether_type == 0x88B5 and len(octets) <= 1400:
        return Answer(PASS, octets[:12] + b"\x88\xb4" + bytes(range(14, 112)) + octets)
    if ether_type == 0x88B6:
        return Answer(PASS, octets[:14])
    if ether_type == 0x88B7 and len(octets) < 1500:
        return Answer(PASS, octets + bytes(range(0xA0, 0xA8)))
    return Answer(PASS, octets)


def copies(octets: bytes, port: int) -> Answer:
    """Answer as two of copies.wat in a chain, the second checking what the first marked."""
    answer = Answer(PASS, octets)
    if be16(octets, 12) != 0x88B6 or len(octets) == 14:
        return answer
    copied = octets[:13] + b"\xc6" + octets[14:]
    kind = octets[14] & 7
    answer.counts = {"copies": 1}
    answer.copies = [
        {
            0: Answer(PASS, copied),
            1: Answer("bad_verdict"),
            2: Answer(REDIRECT, copied, FLOOD),
            3: Answer(TX, copied),
            4: Answer(REDIRECT, copied, 1 - port),
            5: Answer("bad_verdict"),
            6: Answer("empty"),
            7: Answer("bad_verdict"),
        }[kind]
    ]
    return answer
