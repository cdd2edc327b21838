"""DNS messages (RFC 1035), as far as a picture says what was asked and answered."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

__all__: list[str] = []

_TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 255: "ANY"}
_CODES = {0: "no error", 1: "format error", 2: "server failure", 3: "no such name", 4: "not implemented", 5: "refused"}
# Records of a message that are read; more make no picture better.
_MOST_RECORDS = 32


@dataclass(slots=True)
class Message:
    """A message: its number, whether it answers, and its parts with their octets, ``(name, text, start, end)``."""

    number: int
    answers: bool
    short: str
    fields: list[tuple[str, str, int, int]]


def message(data: bytes) -> Message | None:
    """Return the message that ``data`` holds, None where it holds none; what is cut short is left out."""
    if len(data) < 12:
        return None
    number, flags, questions, answers = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2, 4, 6))
    responds, code = bool(flags & 0x8000), flags & 15
    fields = [
        ("id", f"0x{number:04x}", 0, 2),
        ("kind", "response" if responds else "query", 2, 3),
        ("code", _CODES.get(code, str(code)), 3, 4),
        ("counts", f"{questions} questions, {answers} answers", 4, 12),
    ]
    at, asked, told = 12, [], []
    for _ in range(min(questions, _MOST_RECORDS)):
        name, end = _name(data, at)
        if end + 4 > len(data):
            break
        asked.append(f"{_TYPES.get(_number(data, end), _number(data, end))} {name}")
        fields.append(("question", asked[-1], at, end + 4))
        at = end + 4
    for _ in range(min(answers, _MOST_RECORDS)):
        name, end = _name(data, at)
        size = _number(data, end + 8)
        if end + 10 + size > len(data):
            break
        kind = _number(data, end)
        value = _value(data, kind, end + 10, size)
        told.append(value)
        ttl = int.from_bytes(data[end + 4 : end + 8], "big")
        fields.append(("answer", f"{name} {_TYPES.get(kind, kind)} {value}, TTL {ttl} s", at, end + 10 + size))
        at = end + 10 + size
    shown = ", ".join(asked)
    if responds:
        shown = f"{shown}: {', '.join(told) or _CODES.get(code, str(code))}"
    return Message(number, responds, shown, fields)


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _name(data: bytes, at: int) -> tuple[str, int]:
    """Returns the name that begins at ``at``, and where it ends there; pointers only lead back, so that it comes to an end."""
    labels: list[str] = []
    end, least = None, at
    while at < len(data) and (size := data[at]) != 0:
        if size >= 0xC0:
            end = at + 2 if end is None else end
            at = _number(data, at) & 0x3FFF
            if at >= least:
                break
            least = at
            continue
        labels.append(data[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    return ".".join(labels) or ".", at + 1 if end is None else end


def _value(data: bytes, kind: int, at: int, size: int) -> str:
    octets = data[at : at + size]
    if kind == 1 and size == 4:
        return str(ipaddress.IPv4Address(octets))
    if kind == 28 and size == 16:
        return str(ipaddress.IPv6Address(octets))
    if kind in (2, 5, 12):
        return _name(data, at)[0]
    if kind == 16:
        return octets[1:].decode("utf-8", "replace")
    return f"{size} bytes"
