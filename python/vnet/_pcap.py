"""Frames of a capture file: pcap, and pcapng (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import builtins
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

from vnet._errors import InvalidValue, NotFound, Unsupported
from vnet._vnet import Frame

__all__: list[str] = []

# The first four octets of a classic file: byte order, and nanoseconds in a unit of its times.
_CLASSIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_SECTION = b"\x0a\x0d\x0d\x0a"
_LAYERS: dict[int, Literal["l2", "l3"]] = {1: "l2", 101: "l3", 228: "l3", 229: "l3"}
# No block of a sane file is longer.
_MOST = 1 << 26


def frames(path: str | os.PathLike[str]) -> Iterator[Frame]:
    """Yield the frames of a capture file in its order; a file that is still written ends at its last whole frame.

    Raises NotFound when there is no such file, InvalidValue when it is no capture, Unsupported for frames of a network that
    is neither Ethernet nor IP.
    """
    name = os.fspath(path)
    try:
        with builtins.open(name, "rb") as file:
            yield from _frames(file, name)
    except FileNotFoundError as error:
        raise NotFound(f"there is no capture file {name}", errno=error.errno) from error
    except (struct.error, IndexError, OverflowError) as error:
        raise InvalidValue(f"{name} is damaged: {error}") from error


def _frames(file: BinaryIO, name: str) -> Iterator[Frame]:
    magic = file.read(4)
    if magic in _CLASSIC:
        yield from _classic(file, name, *_CLASSIC[magic])
    elif magic == _SECTION:
        yield from _blocks(file, name)
    elif magic:
        raise InvalidValue(f"{name} is no capture file", hint="it begins neither as pcap nor as pcapng")


def _classic(file: BinaryIO, name: str, order: str, unit: int) -> Iterator[Frame]:
    head = file.read(20)
    if len(head) < 20:
        return
    layer = _layer(struct.unpack(order + "I", head[16:20])[0] & 0xFFFF, name)
    while len(record := file.read(16)) == 16:
        seconds, fraction, size, _ = struct.unpack(order + "IIII", record)
        data = file.read(min(size, _MOST))
        if len(data) < size:
            return
        yield Frame(data, layer=layer, timestamp_ns=seconds * 10**9 + fraction * unit)


def _blocks(file: BinaryIO, name: str) -> Iterator[Frame]:
    """Reads blocks from behind the type of the first section."""
    kind, order = _SECTION, "<"
    interfaces: list[tuple[int, int]] = []
    while True:
        length = file.read(4)
        if kind == _SECTION:
            mark = file.read(4)
            order = "<" if mark == b"\x4d\x3c\x2b\x1a" else ">"
            body, read, interfaces = mark, 12, []
        else:
            body, read = b"", 8
        if len(length) < 4:
            return
        size = struct.unpack(order + "I", length)[0]
        if size > _MOST or size < read + 4:
            raise InvalidValue(f"{name} is damaged: a block of {size} bytes ends at byte {file.tell()}")
        body += file.read(size - read)
        if len(body) < size - 8:
            return
        number = struct.unpack(order + "I", kind)[0]
        if number == 1:
            interfaces.append(_interface(body, order))
        elif number in (3, 6) and interfaces and (frame := _packet(body, number, order, interfaces, name)):
            yield frame
        kind = file.read(4)
        if len(kind) < 4:
            return


def _interface(body: bytes, order: str) -> tuple[int, int]:
    """Returns the link type, and how many units of its times make a second."""
    units, at = 10**6, 8
    while at + 4 <= len(body):
        option, size = struct.unpack_from(order + "HH", body, at)
        if option == 0:
            break
        if option == 9 and size == 1:
            power = body[at + 4]
            units = 2 ** (power & 0x7F) if power & 0x80 else 10**power
        at += 4 + (size + 3) // 4 * 4
    return int(struct.unpack_from(order + "H", body)[0]), units


def _packet(body: bytes, kind: int, order: str, interfaces: list[tuple[int, int]], name: str) -> Frame | None:
    if kind == 3:
        (size,) = struct.unpack_from(order + "I", body)
        return Frame(body[4 : 4 + min(size, len(body) - 8)], layer=_layer(interfaces[0][0], name))
    if len(body) < 20:
        return None
    which, high, low, size, _ = struct.unpack_from(order + "IIIII", body)
    if which >= len(interfaces):
        return None
    linktype, units = interfaces[which]
    stamp = (high << 32 | low) * 10**9 // units
    return Frame(body[20 : 20 + size], layer=_layer(linktype, name), timestamp_ns=stamp)


def _layer(linktype: int, name: str) -> Literal["l2", "l3"]:
    if linktype not in _LAYERS:
        message = f"{name} holds frames of link type {linktype}"
        raise Unsupported(message, hint="captures of Ethernet (1) and of IP (101, 228, 229) can be read")
    return _LAYERS[linktype]
