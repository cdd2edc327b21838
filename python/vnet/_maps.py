"""The maps of a plugin, as Python mappings."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, MutableMapping, ValuesView
from typing import Any

from vnet import _vnet
from vnet._html import Html, faint, table
from vnet._record import Record
from vnet._shown import Shown, headed, titled

__all__ = ["Map", "Maps"]

_ROWS = 20
"""Entries a repr shows."""


class Map(Shown, MutableMapping[Any, Any]):
    """A table of a running plugin, such as ``flt.maps["macs"]``: a mapping that reads and writes the plugin's own memory.

    Keys and values are what the plugin's manifest says they are: a number, an :mod:`ipaddress` address, a MAC address or another
    text as str, a bool, bytes; and a named tuple where there are several fields. Each access is done by the thread that carries
    the frames, between two batches. Iteration, :meth:`items`, :meth:`to_dict` and the repr work on one copy of the moment they
    begin, so the plugin may change the table meanwhile; :meth:`snapshot` is that copy as a dict.

    Raises InvalidValue for a key or value that does not fit its fields, MapError when the map is full, broken in the plugin's
    memory, or when the plugin is out of service, and Closed once it was detached.
    """

    __slots__ = ("_key", "_native", "_value", "capacity", "name")

    def __init__(self, native: _vnet.Maps, name: str) -> None:
        self._native = native
        self.name, (key, key_size), (value, value_size), self.capacity, _ = native.info(name)
        self._key = Record(key, key_size, f"the key of map {name}", "Key")
        self._value = Record(value, value_size, f"the value of map {name}", "Value")

    def __getitem__(self, key: Any) -> Any:
        value = self._native.get(self.name, self._key.write(key))
        if value is None:
            raise KeyError(key)
        return self._value.read(value)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._native.set(self.name, self._key.write(key), self._value.write(value))

    def __delitem__(self, key: Any) -> None:
        if self._native.remove(self.name, self._key.write(key)) is None:
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._native.get(self.name, self._key.write(key)) is not None

    def __len__(self) -> int:
        return self._native.info(self.name)[4]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.snapshot())

    def items(self) -> ItemsView[Any, Any]:
        """Return keys and values of one moment."""
        return self.snapshot().items()

    def values(self) -> ValuesView[Any]:
        """Return the values of one moment."""
        return self.snapshot().values()

    def clear(self) -> None:
        """Take all keys out, in one step between two batches."""
        self._native.clear(self.name)

    def snapshot(self) -> dict[Any, Any]:
        """Return a copy of the whole map as it was at one moment, between two batches.

        Frames wait while its bytes are copied; they are looked at afterwards.
        """
        read_key, read_value = self._key.read, self._value.read
        return {read_key(key): read_value(value) for key, value in self._native.entries(self.name)}

    def to_dict(self) -> dict[Any, Any]:
        """Return the same as :meth:`snapshot`, with plain tuples, texts and numbers: what JSON and tables take."""
        return {_plain(key): _plain(value) for key, value in self.snapshot().items()}

    def _table(self) -> tuple[list[str], list[list[str]], int]:
        entries = self.snapshot()
        heads = [name or what for record, what in ((self._key, "key"), (self._value, "value")) for name in record.names]
        rows = [self._key.cells(key) + self._value.cells(value) for key, value in list(entries.items())[:_ROWS]]
        return heads, rows, len(entries)

    def __repr__(self) -> str:
        try:
            heads, rows, count = self._table()
        except Exception as error:
            return f"<vnet.Map {self.name}: {error}>"
        lines = [f"<vnet.Map {self.name}: {count} of at most {self.capacity} entries>"]
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)] if rows else []
        for row in [heads, *rows] if rows else []:
            lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if count > len(rows):
            lines.append(f"... and {count - len(rows)} more")
        return "\n".join(lines)

    def _html(self) -> Html:
        entries = self.snapshot()
        heads = [name or what for record, what in ((self._key, "key"), (self._value, "value")) for name in record.names]
        rows = [self._key.cells(key) + self._value.cells(value) for key, value in entries.items()]
        count = faint(f"{len(rows)} of at most {self.capacity} entries")
        return titled(self, headed(self, self.name, count), table(heads, rows, label=f"entries of {self.name}"))


class Maps(Shown, Mapping[str, Map]):
    """The maps of a plugin by name. An unknown name is a KeyError that lists the known ones."""

    __slots__ = ("_native",)

    def __init__(self, native: _vnet.Attachment) -> None:
        self._native = _vnet.Maps(native)

    def __getitem__(self, name: str) -> Map:
        return Map(self._native, name)

    def __iter__(self) -> Iterator[str]:
        return iter([info[0] for info in self._native.all()])

    def __len__(self) -> int:
        return len(self._native.all())

    def __repr__(self) -> str:
        try:
            maps = self._native.all()
        except Exception as error:
            return f"<vnet.Maps: {error}>"
        return f"<vnet.Maps {', '.join(f'{info[0]} ({info[4]} entries)' for info in maps) or 'none'}>"

    def _html(self) -> Html:
        rows = [(info[0], info[4], info[3]) for info in self._native.all()]
        return titled(self, headed(self, "maps"), table(["map", "entries", "at most"], rows))


def kept(maps: list[tuple[_vnet._MapInfo, list[tuple[bytes, bytes]]]]) -> dict[str, dict[Any, Any]]:
    """Return the maps of a plugin that is no more as dicts with typed keys and values."""
    read = {}
    for (name, (key, key_size), (value, value_size), _, _), entries in maps:
        keys = Record(key, key_size, f"the key of map {name}", "Key")
        values = Record(value, value_size, f"the value of map {name}", "Value")
        read[name] = {keys.read(key): values.read(value) for key, value in entries}
    return read


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value if isinstance(value, int | str | bool | bytes) else str(value)
