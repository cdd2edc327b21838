"""What the bytes of a map's keys and values mean."""

from __future__ import annotations

import ipaddress
import keyword
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from vnet._errors import InvalidValue

__all__ = ["Record"]

_MAPPED = ipaddress.IPv6Address("::ffff:0:0")


class Record:
    """The fields of a key or of a value: bytes on the one side, one value or a named tuple on the other."""

    __slots__ = ("_fields", "_type", "names", "size", "what")

    def __init__(self, fields: Sequence[tuple[str, str, int, int]], size: int, what: str, type_name: str) -> None:
        self._fields = [(name, _CODECS[kind], size, offset) for name, kind, size, offset in fields]
        self.size = size
        self.what = what
        names = [f"{name}_" if keyword.iskeyword(name) else name for name, *_ in fields]
        self.names = tuple(names)
        # Fields of one name in a record of several are refused when the plugin is loaded.
        self._type: Any = namedtuple(type_name, names) if len(names) > 1 else None

    def read(self, data: bytes) -> Any:
        """Return what the bytes mean."""
        values = [read(data[offset : offset + size]) for _, (read, _), size, offset in self._fields]
        return values[0] if self._type is None else self._type(*values)

    def write(self, value: Any) -> bytes:
        """Return the bytes of a value. Raises InvalidValue where it does not fit."""
        if self._type is None:
            values: Sequence[Any] = [value]
        elif isinstance(value, tuple | list):
            values = value
        else:
            raise InvalidValue(f"{self.what} is a tuple of {', '.join(self.names)}; {value!r} was given")
        if len(values) != len(self._fields):
            raise InvalidValue(
                f"{self.what} has {len(self._fields)} fields ({', '.join(self.names)}); {len(values)} were given"
            )
        data = bytearray(self.size)
        for (name, (_, write), size, offset), item in zip(self._fields, values, strict=True):
            try:
                data[offset : offset + size] = write(item, size)
            except (ValueError, TypeError, OverflowError) as error:
                field = f"field {name} of {self.what}" if name else self.what
                raise InvalidValue(f"{field} cannot be {item!r}: {error}") from error
        return bytes(data)

    def cells(self, value: Any) -> list[str]:
        """Return a value as one text for each of :attr:`names`."""
        values = [value] if self._type is None else value
        return [item.hex() if isinstance(item, bytes) else str(item) for item in values]


def _integer(order: Any, signed: bool) -> _Codec:
    def write(value: Any, size: int) -> bytes:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError("it is an integer")
        try:
            return value.to_bytes(size, order, signed=signed)
        except OverflowError:
            least = -(1 << (8 * size - 1)) if signed else 0
            most = (1 << (8 * size - signed)) - 1
            raise ValueError(f"it is a number from {least} to {most}") from None

    return (lambda data: int.from_bytes(data, order, signed=signed)), write


def _write_bool(value: Any, _size: int) -> bytes:
    if not isinstance(value, bool):
        raise TypeError("it is True or False")
    return bytes([value])


def _write_mac(value: Any, size: int) -> bytes:
    octets = value if isinstance(value, bytes) else None
    if isinstance(value, str):
        parts = value.replace("-", ":").split(":")
        if all(len(part) in {1, 2} for part in parts):
            octets = bytes(int(part, 16) for part in parts)
    if octets is None or len(octets) != size:
        raise ValueError("it is a MAC address such as 02:00:00:00:00:01")
    return octets


def _read_ip(data: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.IPv6Address(data)
    return address.ipv4_mapped or address


def _write_ip(value: Any, _size: int) -> bytes:
    address = ipaddress.ip_address(value)
    if isinstance(address, ipaddress.IPv4Address):
        return _MAPPED.packed[:12] + address.packed
    return address.packed


def _write_bytes(value: Any, size: int) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("it is bytes")
    data = bytes(value)
    if len(data) != size:
        raise ValueError(f"it has {size} bytes, not {len(data)}")
    return data


def _write_text(value: Any, size: int) -> bytes:
    if not isinstance(value, str):
        raise TypeError("it is a text")
    data = value.encode()
    if len(data) > size:
        raise ValueError(f"it has at most {size} bytes of UTF-8, not {len(data)}")
    if b"\0" in data:
        raise ValueError("it holds no NUL")
    return data.ljust(size, b"\0")


def _read_text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode(errors="replace")


_Codec = tuple[Callable[[bytes], Any], Callable[[Any, int], bytes]]

_CODECS: dict[str, _Codec] = {
    "unsigned": _integer("little", False),
    "signed": _integer("little", True),
    "big": _integer("big", False),
    "bool": (any, _write_bool),
    "mac": ((lambda data: data.hex(":")), _write_mac),
    "ip4": (ipaddress.IPv4Address, lambda value, _size: ipaddress.IPv4Address(value).packed),
    "ip6": (ipaddress.IPv6Address, lambda value, _size: ipaddress.IPv6Address(value).packed),
    "ip": (_read_ip, _write_ip),
    "bytes": (bytes, _write_bytes),
    "text": (_read_text, _write_text),
}
