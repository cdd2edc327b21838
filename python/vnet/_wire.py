"""Forwarding between two devices."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from vnet import _lifetime, _logs, _vnet
from vnet._attachment import Attachment, attach
from vnet._device import Device, native_device
from vnet._errors import InvalidValue
from vnet._events import Events
from vnet._html import Html, faint, mark
from vnet._impair import Impairments, LinkImpairments, changes
from vnet._linestats import LineStats, lines_body
from vnet._plugin import Direction, OnFault, PluginLike, Trip, TripLike, chosen
from vnet._shown import Shown, headed, titled
from vnet._stats import PipelineStats, pipeline_body

__all__ = ["Wire"]


class Wire(Shown):
    """Forwards every frame between two devices, both ways, through a chain of plugins.

    ``plugins`` judge both directions; :meth:`attach` adds others. While it exists it owns the frames of both devices: what is
    attached to them goes on, ``send`` goes on, and ``recv`` raises Unsupported. Closing it gives the devices back with what is
    attached to them; closing a device closes its wire first. Raises DeviceBusy when a device is in another wire.

    A wire is a link, with a link's :class:`Impairments`: ``vnet.Wire(a, b, delay="10ms", loss=(0.01, None))``, for both
    directions or as a pair, a to b and b to a. ``seed`` decides all that is random in them; it is drawn where it is None: see
    :attr:`seed`. ``busy_poll``, a time such as ``"20us"`` or a number of seconds, has its thread look for more frames that
    long before it sleeps.
    """

    __slots__ = ("__weakref__", "_a", "_b", "_native", "_plugins")

    def __init__(
        self,
        a: Device,
        b: Device,
        *,
        plugins: Sequence[PluginLike] = (),
        seed: int | None = None,
        busy_poll: str | float | None = None,
        **impairments: Unpack[Impairments],
    ) -> None:
        _logs.start()
        asked = changes(impairments, "Wire")
        if seed is not None and not 0 <= seed < 1 << 63:
            raise InvalidValue(f"seed {seed} is not a number from 0 to 2**63 - 1")
        self._native = _vnet.Wire(native_device(a, "a wire"), native_device(b, "a wire"), seed=seed)
        self._a = a
        self._b = b
        _lifetime.adopt(self)
        try:
            self._plugins = tuple(self.attach(plugin) for plugin in plugins)
            self._native.impair(asked)
            if busy_poll is not None:
                self._native.set_busy_poll(busy_poll)
            # Only now, so that no frame passes before the plugins are there.
            self._native.start()
        except BaseException:
            self.close()
            raise

    @property
    def a(self) -> Device:
        """The first device: its frames are ingress."""
        return self._a

    @property
    def b(self) -> Device:
        """The second device: its frames are egress."""
        return self._b

    @property
    def plugins(self) -> tuple[Attachment, ...]:
        """Handles of the plugins given to the constructor, in order."""
        return self._plugins

    @property
    def closed(self) -> bool:
        """Whether it was closed, by itself or with one of its devices."""
        return self._native.closed

    @property
    def events(self) -> Events:
        """What happens to its plugins: faults, restarts, trips, swaps."""
        return Events(self._native.scope)

    @property
    def stats(self) -> PipelineStats:
        """Counters of both devices and all plugins up to this moment."""
        return PipelineStats._read(self._native.stats())

    @property
    def seed(self) -> int:
        """The seed of its impairments: the one that was given, or the one that was drawn."""
        return self._native.seed

    @property
    def impairments(self) -> LinkImpairments:
        """What befalls its frames just now, as it is asked for."""
        return LinkImpairments._read(self._native.impairments())

    def set(self, **impairments: Unpack[Impairments]) -> None:
        """Change impairments, as :meth:`Link.set` does: what is given changes, the rest stays; None is back to nothing."""
        self._native.impair(changes(impairments, "set"))

    @property
    def a_to_b(self) -> LineStats | None:
        """How frames from a to b have fared; None where that direction never had an impairment."""
        return LineStats._maybe(self._native.lines()[0])

    @property
    def b_to_a(self) -> LineStats | None:
        """How frames from b to a have fared; None where that direction never had an impairment."""
        return LineStats._maybe(self._native.lines()[1])

    def attach(
        self,
        plugin: PluginLike,
        *,
        config: dict[str, Any] | None = None,
        on_fault: OnFault | None = None,
        direction: Direction = "both",
        trip: TripLike | None = Trip(),
        grants: tuple[str, ...] = (),
        seed: int = 0,
        position: int | None = None,
    ) -> Attachment:
        """Put a plugin behind those already there, or at ``position`` from 0 among them, as :meth:`Device.attach` does.

        One instance judges both directions unless ``direction`` is ``"ingress"`` (a to b) or ``"egress"`` (b to a).
        """
        plugin = chosen(plugin, config, on_fault, trip, grants, seed)
        ends = (self._a.name, self._b.name)
        return attach(self._native, self, "-".join(ends), plugin, direction, position, ends)

    def close(self) -> None:
        """End the forwarding and give the devices back. Doing it again does nothing."""
        self._native.close()

    def _descriptors(self) -> list[int]:
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _abandon(self) -> None:
        if not self._native.closed:
            try:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            finally:
                self._native.close()

    def __del__(self) -> None:
        # Without the attribute the constructor failed.
        if hasattr(self, "_native"):
            self._abandon()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"plugins={[plugin.name for plugin in self._plugins]}"
        return f"<vnet.Wire {self._a.name} <-> {self._b.name} {state}>"

    def _html(self) -> Html:
        ends = f"{self._a.name} \N{LEFT RIGHT ARROW} {self._b.name}"
        if self.closed:
            return titled(self, headed(self, ends, mark("closed", "plain")))
        lines = lines_body(self.a_to_b, self.b_to_a)
        return titled(self, headed(self, ends, faint(f"seed {self.seed}")), pipeline_body(self.stats), lines)
