"""A plugin at work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from vnet import _logs, _vnet
from vnet._errors import InvalidValue
from vnet._events import Events
from vnet._html import Html, faint, fields, folded, mark, table
from vnet._maps import Maps
from vnet._plugin import Direction, Plugin, PluginLike, native_plugin
from vnet._shown import Shown, headed, titled
from vnet._stats import StageStats, stage_body, stage_mark
from vnet._swap import Swapped, Watch, successor

__all__ = ["Attachment", "LogRecord"]


@dataclass(frozen=True, slots=True)
class LogRecord(Shown):
    """One line a plugin logged; ``timestamp`` is Unix time in seconds."""

    plugin: str
    level: Literal["error", "warning", "info", "debug"]
    message: str
    timestamp: float

    def _html(self) -> Html:
        return titled(
            self, headed(self, self.plugin, mark(self.level, "plain")), faint(f"{self.timestamp:.6f} "), self.message
        )


_LEVELS: tuple[Literal["error", "warning", "info", "debug"], ...] = ("error", "warning", "info", "debug")


class Attachment(Shown):
    """A plugin at work on a device, a wire or a part of a :class:`Network`, as ``attach`` returns it.

    It stays until :meth:`detach`, the end of a ``with`` block, or the close of what it is on. Forgetting the handle does not
    detach it.
    """

    __slots__ = ("__weakref__", "_before", "_direction", "_native", "_on", "_owner", "_plugin")

    def __init__(self, native: _vnet.Attachment, owner: object, on: str, direction: Direction, plugin: Plugin) -> None:
        self._native = native
        self._plugin = plugin
        self._before: Plugin | None = None
        # Keeps the device alive while only the attachment is referenced.
        self._owner = owner
        self._on = on
        self._direction = direction

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self._native.name

    @property
    def direction(self) -> Direction:
        """Which frames it judges."""
        return self._direction

    @property
    def stats(self) -> StageStats:
        """Counters of this plugin up to this moment; after detaching or closing, the last ones."""
        return StageStats._read(self._native.stats())

    @property
    def maps(self) -> Maps:
        """The plugin's tables by name, such as ``flt.maps["macs"]``: mappings over its own memory, while frames flow."""
        return Maps(self._native)

    @property
    def logs(self) -> tuple[LogRecord, ...]:
        """The last 256 lines the plugin logged, oldest first. All of them go to logger ``vnet.plugin.NAME`` too."""
        return tuple(
            LogRecord(plugin, _LEVELS[min(level, 3)], message, seconds)
            for plugin, _, level, message, seconds in self._native.logs()
        )

    @property
    def detached(self) -> bool:
        """Whether it was detached, or what it was on closed."""
        return self._native.detached

    @property
    def reordering_possible(self) -> bool:
        """Whether frames may have overtaken others when :meth:`detach` gave a busy link of a network back to the kernel.

        None is lost or doubled either way. False until it was detached, and always on a device or a wire.
        """
        return self._native.reordering_possible

    @property
    def events(self) -> Events:
        """What happens to it: faults, restarts, trips, swaps."""
        return Events(self._native.scope)

    def swap(self, plugin: PluginLike, config: Mapping[str, Any] | None = None, carry: bool = True) -> Swapped:
        """Put another plugin in the place of this one between two batches: no frame is lost, doubled or judged by both.

        It is loaded, compiled, started and configured beside the traffic. A name, path or module alone runs with the options of
        the plugin before, and its configuration unless ``config`` is given; a :class:`Plugin` brings its own. With ``carry`` it
        goes on from what that one knows: its maps and counters of the same names and sizes, and what its ``vnet_save`` writes.
        Raises as ``attach`` does, and PluginRejected when it does not take over the state; the plugin before stays at work then.
        """
        fresh = successor(self._plugin, plugin, config)
        swapped = Swapped._read(self._native.swap(native_plugin(fresh), carry=carry))
        self._take_note(fresh)
        return swapped

    def rollback(self, carry: bool = True) -> Swapped:
        """Put the plugin that was here before the last swap back to work, its file as it was read then; again undoes it.

        Raises InvalidValue when there was none, else as :meth:`swap`.
        """
        swapped = Swapped._read(self._native.rollback(carry=carry))
        if self._before is not None:
            self._take_note(self._before)
        return swapped

    def watch(self, path: str | os.PathLike[str] | None = None) -> Watch:
        """Swap the plugin whenever its file, or the one at ``path``, is saved; ends with :meth:`detach`.

        A file that is refused is logged, tells of it as event ``"refused"``, and leaves the plugin before at work. Raises
        InvalidValue when the plugin is not a file and none is named, NotFound when there is no such file.
        """
        return Watch(self._native.watch(path))

    def reset(self) -> None:
        """Put a plugin that tripped, or waits for its restart, to work at once and forget its faults.

        Raises PluginTrap or PluginTimeout when it fails as it starts.
        """
        self._native.reset()

    def _take_note(self, plugin: Plugin) -> None:
        self._before, self._plugin = self._plugin, plugin

    def detach(self) -> StageStats:
        """Take the plugin off between two batches, so that no frame is lost, and return its last counters.

        Doing it again returns the same counters.
        """
        return StageStats._read(self._native.detach())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    def __repr__(self) -> str:
        try:
            stats = self.stats
        except Exception as error:
            return f"<vnet.Attachment {self.name} on {self._on} {self._direction}: {error}>"
        state = "detached" if self.detached else stats.state
        counts = f"{stats.packets_in} packets in, {stats.dropped} dropped"
        return f"<vnet.Attachment {self.name} on {self._on} {self._direction} {state}: {counts}>"

    def _html(self) -> Html:
        stats = self.stats
        state = mark("detached", "plain") if self.detached else stage_mark(stats)
        about = fields([("on", self._on), ("direction", self._direction)])
        logs = self.logs
        lines = table(["time", "level", "line"], [(f"{line.timestamp:.3f}", line.level, line.message) for line in logs])
        log = [folded(f"{len(logs)} lines logged", lines)] if logs else []
        return titled(self, headed(self, self.name, state), about, stage_body(stats), *log)


class _Target(Protocol):
    """What the native module can attach a plugin to."""

    def attach(self, plugin: _vnet.Plugin, direction: Direction, position: int | None) -> _vnet.Attachment: ...


def attach(
    target: _Target,
    owner: object,
    on: str,
    plugin: PluginLike,
    direction: Direction,
    position: int | None,
    ports: tuple[str, ...] = (),
) -> Attachment:
    """Attach ``plugin`` to ``target`` and see that its log lines reach :mod:`logging`; ``ports`` are what its ports are called.

    Raises InvalidValue for a negative position.
    """
    if position is not None and position < 0:
        raise InvalidValue(
            f"position {position} is not one of a chain", hint="count from 0, or leave it out for the end"
        )
    if not isinstance(plugin, Plugin):
        plugin = Plugin(plugin)
    if callable(plugin.source):
        # It is an attachment itself.
        from vnet._stage import attach_callable

        return attach_callable(target, owner, on, plugin, direction, position, ports)
    native = target.attach(native_plugin(plugin), direction, position)
    _logs.start()
    return Attachment(native, owner, on, direction, plugin)
