"""A plugin as a caller names it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from vnet import _vnet
from vnet._errors import InvalidValue
from vnet._html import Html, fields, values
from vnet._packet import Packet
from vnet._shown import Shown, headed, titled

__all__ = ["Direction", "OnFault", "Plugin", "PluginLike", "Trip", "TripLike"]

Direction: TypeAlias = Literal["ingress", "egress", "both"]
"""Which frames a plugin judges, as the engine sees it: what the kernel sends on ``tap0`` is ingress, what ``tap.send()``
writes is egress. On a wire ingress is a to b and egress b to a. ``"both"`` runs one instance for both."""

OnFault: TypeAlias = Literal["closed", "open"]
"""What happens to frames while a plugin cannot run: ``"closed"`` drops them, ``"open"`` lets them pass."""


# Seconds until a plugin that tripped is tried again.
_RETRY = 30.0


@dataclass(frozen=True, slots=True)
class Trip(Shown):
    """When a plugin that keeps failing is stopped.

    After ``faults`` faults within ``within`` seconds it is not restarted any more, but for one try every ``retry`` seconds.
    """

    faults: int = 5
    within: float = 10.0
    retry: float = _RETRY

    def _html(self) -> Html:
        return titled(self, headed(self, ""), values(self))


TripLike: TypeAlias = Trip | tuple[int, str | float]
"""A :class:`Trip`, or its ``faults`` and ``within`` alone, the latter with a unit or in seconds: ``(5, "10s")``."""


@dataclass(frozen=True, slots=True)
class Plugin(Shown):
    """Names a plugin and says how to run it.

    ``source`` is the bare name of one that ships with vnet (``"drop_bcast"``), the path of a ``.wasm`` or ``.wat`` file, the
    module itself as ``bytes`` (then ``name`` is what it is called in messages), or a Python callable, where it is to be attached:
    see :func:`stage`. ``config`` is checked against the plugin's schema. ``on_fault=None`` leaves the choice to the plugin's
    manifest, and is ``"closed"`` where that says nothing. ``trip=None`` never stops restarting, and does so at once after each
    trap or error; ``(5, "10s")`` is a :class:`Trip` of 5 faults within 10 s. ``grants`` are the capabilities it gets of those it
    asks for (``random``, ``inject``, ``timer``), ``seed`` is that of its random numbers, ``module_cap`` the largest module
    accepted in bytes (1 MiB when None).
    """

    source: str | os.PathLike[str] | bytes | Callable[[Packet], object]
    config: Mapping[str, Any] = field(default_factory=dict)
    on_fault: OnFault | None = None
    trip: TripLike | None = Trip()
    grants: Sequence[str] = ()
    seed: int = 0
    module_cap: int | None = None
    name: str | None = None

    def _html(self) -> Html:
        own = isinstance(self.source, bytes)
        source = f"{len(self.source):,} bytes" if isinstance(self.source, bytes) else _name(self.source)
        names = ("config", "on_fault", "grants", "seed", "module_cap")
        shown = [(name, value) for name in names if (value := getattr(self, name))]
        trip = ("trip", None if self.trip is None else repr(self.trip))
        return titled(
            self, headed(self, self.name or ("" if own else source)), fields([("source", source), *shown, trip])
        )


PluginLike: TypeAlias = str | os.PathLike[str] | bytes | Plugin | Callable[[Packet], object]
"""A :class:`Plugin`, or what its ``source`` may be."""


def _name(source: str | os.PathLike[str] | Callable[[Packet], object]) -> str:
    return repr(source) if callable(source) else os.fspath(source)


def chosen(
    plugin: PluginLike,
    config: Mapping[str, Any] | None,
    on_fault: OnFault | None,
    trip: TripLike | None,
    grants: Sequence[str],
    seed: int,
) -> Plugin:
    """Return the plugin that is meant: a name with these options, or a :class:`Plugin`, which keeps its own but ``config``."""
    if not isinstance(plugin, Plugin):
        return Plugin(plugin, config or {}, on_fault, trip, grants, seed)
    return plugin if config is None else replace(plugin, config=config)


def native_plugin(plugin: PluginLike) -> _vnet.Plugin:
    """Return the native module's form of ``plugin``.

    Raises InvalidValue when the configuration is not JSON.
    """
    if not isinstance(plugin, Plugin):
        plugin = Plugin(plugin)
    try:
        config = json.dumps(dict(plugin.config))
    except (TypeError, ValueError) as error:
        message = f"the configuration of plugin {plugin.source!r} is not JSON: {error}"
        raise InvalidValue(message, hint="use str, int, float, bool, None, list and dict only") from error
    source, content = _source(plugin)
    trip = plugin.trip
    return _vnet.Plugin(
        source,
        content=content,
        config=config,
        on_fault=plugin.on_fault,
        trip=None if trip is None else _trip(trip),
        grants=list(plugin.grants),
        seed=plugin.seed,
        module_cap=plugin.module_cap,
    )


def _trip(trip: TripLike) -> tuple[int, str | float, float]:
    if isinstance(trip, Trip):
        return trip.faults, trip.within, trip.retry
    if not isinstance(trip, tuple) or len(trip) != 2 or not isinstance(trip[0], int) or trip[0] < 1:
        message = f"trip is {trip!r}; expected None, a vnet.Trip, or faults and the time within which they happen"
        raise InvalidValue(message, hint='write (5, "10s")')
    return trip[0], trip[1], _RETRY


def _source(plugin: Plugin) -> tuple[str, bytes | None]:
    if isinstance(plugin.source, bytes):
        return plugin.name or "plugin", plugin.source
    if callable(plugin.source):
        raise InvalidValue(
            f"{plugin.source!r} is a Python callable, which runs where it is attached only",
            hint="give a plugin's name or file, or attach the callable to a link, switch, device or wire",
        )
    return os.fspath(plugin.source), None
