"""Stages in Python: a callable judges packets, on a thread of its own, beside the engine."""

from __future__ import annotations

import functools
import inspect
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol, overload

from vnet import _lifetime, _logs, _vnet
from vnet._attachment import Attachment
from vnet._errors import Closed, InvalidValue
from vnet._packet import Packet, answer_of
from vnet._plugin import Direction, OnFault, Plugin, PluginLike, Trip, TripLike, native_plugin
from vnet._stats import StageStats

__all__ = ["Stage", "stage"]

# Packets fetched in one go, and seconds one fetch may wait.
_MOST = 64
_WAIT = 60.0
# Seconds between two tracebacks of one stage in the log.
_QUIET = 1.0


class Judge:
    """A callable that several places share: it is called for one packet at a time."""

    def __init__(self, call: Callable[[Packet], object], name: str | None) -> None:
        if not callable(call):
            raise InvalidValue(f"{call!r} is not callable", hint="give a function of one packet")
        if inspect.iscoroutinefunction(call) or inspect.isclass(call):
            kind = "a class" if inspect.isclass(call) else "a coroutine function"
            raise InvalidValue(f"{call!r} is {kind}", hint="give a plain function of one packet")
        self.call = call
        own = getattr(call, "__name__", type(call).__name__).strip("<>")
        self.name = name or own
        self.turn = threading.Lock()

    def __call__(self, packet: Packet) -> object:
        return self.call(packet)


class Stage(Attachment):
    """A Python callable at work in the place of a plugin, as :func:`stage` and ``attach`` return it. It is slow.

    Each packet waits while the callable judges it on a thread of its own; the engine never does, and everything else flows
    on. At most 1,024 packets wait; more are dropped as ``stage_full``. They go on in the order they came. An exception is a
    fault, as a trap is of a plugin: ``on_fault`` decides about the packet, ``trip`` about the stage. It cannot be swapped: attach
    another, then detach this one. Calling the stage calls the function.
    """

    __slots__ = ("__wrapped__", "_others")

    def __init__(
        self, native: _vnet.Attachment, owner: object, on: str, direction: Direction, plugin: Plugin, judge: Judge
    ) -> None:
        super().__init__(native, owner, on, direction, plugin)
        self.__wrapped__ = judge.call
        self._others: tuple[Stage, ...] = ()

    def __call__(self, packet: Packet) -> object:
        """Call the function itself, without any packet of the engine's."""
        return self.__wrapped__(packet)

    @property
    def places(self) -> tuple[Stage, ...]:
        """Itself and, where it stands in several places, its likes in the others."""
        return (self, *self._others)

    @property
    def stats(self) -> StageStats:
        """Counters up to this moment, those of all places together; after detaching or closing, the last ones."""
        return _sum([StageStats._read(place._native.stats()) for place in self.places])

    def detach(self) -> StageStats:
        """Take it off everywhere, and return its last counters.

        Packets that were answered go on; of those that were not, ``on_fault`` decides (dropped: ``unanswered``). It does not wait
        for the callable.
        """
        return _sum([StageStats._read(place._native.detach()) for place in self.places])

    @property
    def detached(self) -> bool:
        """Whether it was detached everywhere, or what it was on closed."""
        return all(place._native.detached for place in self.places)

    def reset(self) -> None:
        """Put it to work at once after it tripped, and forget its faults."""
        for place in self.places:
            place._native.reset()

    def __repr__(self) -> str:
        text = super().__repr__().replace("<vnet.Attachment", "<vnet.Stage", 1)
        more = f" and in {len(self._others)} more places" if self._others else ""
        return f"{text[:-1]}, python: slow{more}>"


def _sum(parts: list[StageStats]) -> StageStats:
    return functools.reduce(StageStats._plus, parts)


class _Place(Protocol):
    def attach(
        self,
        plugin: PluginLike,
        *,
        direction: Direction = ...,
        position: int | None = ...,
    ) -> Attachment: ...


@overload
def stage(
    call: Callable[[Packet], object],
    *,
    on: _Place | Sequence[_Place],
    direction: Direction | None = None,
    on_fault: OnFault = "closed",
    trip: TripLike | None = Trip(),
    position: int | None = None,
    name: str | None = None,
) -> Stage: ...


@overload
def stage(
    *,
    on: _Place | Sequence[_Place],
    direction: Direction | None = None,
    on_fault: OnFault = "closed",
    trip: TripLike | None = Trip(),
    position: int | None = None,
    name: str | None = None,
) -> Callable[[Callable[[Packet], object]], Stage]: ...


def stage(
    call: Callable[[Packet], object] | None = None,
    *,
    on: _Place | Sequence[_Place],
    direction: Direction | None = None,
    on_fault: OnFault = "closed",
    trip: TripLike | None = Trip(),
    position: int | None = None,
    name: str | None = None,
) -> Stage | Callable[[Callable[[Packet], object]], Stage]:
    """Have a Python callable judge every packet of a link, switch, interface, device or wire, or of several in a list.

    ::

        @vnet.stage(on=link)
        def lossy(packet):
            return random.random() > 0.1            # None or True: pass, False: drop, bytes: go on as these

        lossy.stats.dropped
        lossy.detach()

    The decorated name is the :class:`Stage`; calling it calls the function. ``direction`` is that of the place's ``attach`` where
    it is None, ``position`` its place among the plugins there. The callable is called for one packet at a time, on a thread of
    its own. Raises InvalidValue for what is not callable or not a place for a plugin.
    """
    if call is None:
        return functools.partial(
            stage, on=on, direction=direction, on_fault=on_fault, trip=trip, position=position, name=name
        )
    targets: list[_Place] = list(on) if isinstance(on, (list, tuple)) else [on]  # type: ignore[list-item]
    if not targets:
        raise InvalidValue("a stage needs a place", hint="give on=link, or a list of links, switches, devices")
    judge = Judge(call, name)
    plugin = Plugin(judge, on_fault=on_fault, trip=trip, name=judge.name)
    way: dict[str, Any] = {} if direction is None else {"direction": direction}
    placed: list[Stage] = []
    try:
        for target in targets:
            if not hasattr(target, "attach"):
                raise InvalidValue(
                    f"{target!r} is no place for a stage", hint="give a link, switch, node, interface, device or wire"
                )
            attached = target.attach(plugin, position=position, **way)
            assert isinstance(attached, Stage)
            placed.append(attached)
    except BaseException:
        for part in placed:
            part.detach()
        raise
    first, *others = placed
    first._others = tuple(others)
    return first


def attach_callable(
    target: Any,
    owner: object,
    on: str,
    plugin: Plugin,
    direction: Direction,
    position: int | None,
    ports: tuple[str, ...],
) -> Stage:
    """Attach a plugin whose source is a callable, and start the thread that calls it."""
    source = plugin.source
    judge = source if isinstance(source, Judge) else Judge(source, plugin.name)  # type: ignore[arg-type]
    if plugin.config or plugin.grants:
        raise InvalidValue(
            f"stage {judge.name} is a Python callable, which has no configuration and no grants",
            hint="give it what it needs from Python, as with functools.partial",
        )
    lent, asked = _vnet.callout(native_plugin(Plugin(b"", on_fault=plugin.on_fault, trip=plugin.trip, name=judge.name)))
    native = target.attach(lent, direction, position)
    _logs.start()
    thread = threading.Thread(
        target=_carry, args=(asked, judge, on, ports), name=f"vnet-stage-{judge.name}", daemon=True
    )
    _asking.add(asked)
    thread.start()
    return Stage(native, owner, on, direction, plugin, judge)


# The ends of stages at work, to be closed when the interpreter ends.
_asking: set[_vnet.Callout] = set()


def _carry(asked: _vnet.Callout, judge: Judge, on: str, ports: tuple[str, ...]) -> None:
    told = -_QUIET
    clock = time.perf_counter_ns
    try:
        while (batch := asked.next(_MOST, _WAIT)) is not None:
            for number, data, port, flags, timestamp_ns in batch:
                if asked.is_settled(number):
                    continue
                packet = Packet(data, port=port, flags=flags, timestamp_ns=timestamp_ns, ports=ports)
                began = clock()
                try:
                    with judge.turn:
                        began = clock()
                        returned = judge.call(packet)
                    verdict, reason, changed = answer_of(packet, returned)
                except BaseException as error:
                    took = clock() - began
                    # From the callable on: the way to it is not its author's.
                    way = error.__traceback__ and (error.__traceback__.tb_next or error.__traceback__)
                    text = "".join(traceback.format_exception(type(error), error, way)).rstrip()
                    if time.monotonic() - told >= _QUIET:
                        told = time.monotonic()
                        _logs.explain(judge.name, f"At a packet of {on}:\n{text}")
                    _fail(asked, number, took, error, text, data)
                    continue
                asked.answer(number, verdict, clock() - began, reason=reason, port=packet._to, data=changed)
    except Closed:
        # What it was on has gone.
        pass
    finally:
        _asking.discard(asked)


def _fail(asked: _vnet.Callout, number: int, took: int, error: BaseException, text: str, data: bytes) -> None:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({frame.filename}:{frame.lineno} in {frame.name})" for frame in last)
    message = "".join(traceback.format_exception_only(error)).strip() + where
    asked.fail(number, took, message, text, _vnet.Frame(data, layer="l2", timestamp_ns=0).hexdump())


def _end() -> None:
    for asked in list(_asking):
        asked.close()


_lifetime.at_exit(_end)
