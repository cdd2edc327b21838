"""The nodes or links of a network, by number and by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar, overload

from vnet._errors import NotFound
from vnet._html import Html, faint, strong, table
from vnet._shown import Shown, headed, titled

__all__ = ["Collection"]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


class Collection(Shown, Sequence[T], Generic[T]):
    """Nodes or links as they were when asked for, in the order in which they were declared.

    ``net.links[0]`` is the first, ``net.links["h1-s1"]`` the one of that name, ``"h1-s1" in net.links`` tells whether there is
    one. A name that is not there raises NotFound.
    """

    __slots__ = ("_items", "_what")

    def __init__(self, what: str, items: Sequence[T]) -> None:
        self._what = what
        self._items = tuple(items)

    @property
    def names(self) -> tuple[str, ...]:
        """The names alone."""
        return tuple(item.name for item in self._items)

    @overload
    def __getitem__(self, key: int | str) -> T: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[T, ...]: ...
    def __getitem__(self, key: int | str | slice) -> T | tuple[T, ...]:
        """Return one by number or name, or several by slice."""
        if not isinstance(key, str):
            return self._items[key]
        for item in self._items:
            if item.name == key:
                return item
        known = ", ".join(self.names) or "none"
        raise NotFound(f"there is no {self._what} {key!r} in this network", hint=f"it has: {known}")

    def __contains__(self, item: object) -> bool:
        return item in (self.names if isinstance(item, str) else self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return self._items == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        return f"[{', '.join(repr(item) for item in self._items)}]"

    def _html(self) -> Html:
        rows = [(number, strong(item.name), faint(repr(item))) for number, item in enumerate(self._items)]
        counted = f"{len(self._items)} \N{MULTIPLICATION SIGN} {self._what}"
        return titled(self, headed(self, counted), *([table([Html(""), "name", "what it is"], rows)] if rows else []))
