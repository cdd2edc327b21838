"""Hot swap: another plugin in the place of one at work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vnet import _vnet
from vnet._html import Html, fields, mark
from vnet._plugin import Plugin, PluginLike, native_plugin
from vnet._shown import Shown, headed, titled
from vnet._stats import _Value

if TYPE_CHECKING:
    from vnet._attachment import Attachment

__all__ = ["Carried", "Swapped", "Watch", "swap"]


@dataclass(frozen=True, slots=True)
class Carried(_Value):
    """What a plugin goes on from: ``left`` says in words what was left behind.

    ``entries`` is how many the ``maps`` of the same names and sizes got, ``state_bytes`` what the plugin before saved and this
    one loaded, ``counters`` are those of the same names.
    """

    state_bytes: int
    maps: tuple[str, ...]
    entries: int
    counters: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Swapped(_Value):
    """How a plugin took the place of another: ``pause_us`` is how long frames waited for it, in microseconds."""

    plugin: str
    version: str | None
    pause_us: float
    carried: Carried

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        carried = data["carried"]
        return cls(
            plugin=data["plugin"],
            version=data["version"],
            pause_us=data["pause_us"],
            carried=Carried(
                state_bytes=carried["state_bytes"],
                maps=tuple(carried["maps"]),
                entries=carried["entries"],
                counters=tuple(carried["counters"]),
                left=tuple(carried["left"]),
            ),
        )


class Watch(Shown):
    """A plugin file that is swapped in whenever it is saved, as :meth:`Attachment.watch` returns it.

    It ends with :meth:`stop`, the end of a ``with`` block, or the plugin's :meth:`Attachment.detach`; forgetting it changes
    nothing.
    """

    __slots__ = ("_native",)

    def __init__(self, native: _vnet.Watch) -> None:
        self._native = native

    @property
    def path(self) -> str:
        """The file."""
        return self._native.path

    @property
    def swaps(self) -> int:
        """How often the file was swapped in."""
        return self._native.counts()[0]

    @property
    def refusals(self) -> int:
        """How often it was refused, and the plugin before stayed."""
        return self._native.counts()[1]

    @property
    def refused(self) -> str | None:
        """Why the file as it was last saved was refused; None once one was swapped in."""
        return self._native.refused()

    def stop(self) -> None:
        """End it; a swap that is under way is finished."""
        self._native.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _html(self) -> Html:
        refused = self.refused
        marks = [] if refused is None else [mark("refused", "bad")]
        rows: list[tuple[str, str | int]] = [("swaps", self.swaps), ("refusals", self.refusals)]
        if refused is not None:
            rows.append(("refused", refused))
        return titled(self, headed(self, self.path, *marks), fields(rows))

    def __repr__(self) -> str:
        return f"<vnet.Watch {self.path}: {self.swaps} swaps, {self.refusals} refused>"


def successor(before: Plugin, plugin: PluginLike, config: Mapping[str, Any] | None) -> Plugin:
    """Return what ``plugin`` means in the place of ``before``: a name alone has the options and configuration of that."""
    if isinstance(plugin, Plugin):
        return plugin if config is None else replace(plugin, config=config)
    return replace(before, source=plugin, name=None, config=before.config if config is None else config)


def swap(plugins: Mapping[Attachment, PluginLike], carry: bool = True) -> dict[Attachment, Swapped]:
    """Put other plugins in the places of several of one device, wire, link or switch, all between the same two batches.

    No frame is judged by some of before and some of after. Each is as in :meth:`Attachment.swap`; when one is refused, none is
    swapped. Raises InvalidValue when they are not all on one device, wire, link or switch.
    """
    places = list(plugins)
    fresh = [successor(place._plugin, plugins[place], None) for place in places]
    native = _vnet.swap_all(
        [place._native for place in places], [native_plugin(plugin) for plugin in fresh], carry=carry
    )
    for place, plugin in zip(places, fresh, strict=True):
        place._take_note(plugin)
    return {place: Swapped._read(data) for place, data in zip(places, native, strict=True)}
