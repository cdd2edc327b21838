"""What happens to plugins and devices: to callbacks, to loops, and to asyncio."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from vnet import _lifetime, _vnet
from vnet._html import Html, table
from vnet._shown import Shown, headed, titled
from vnet._stats import Fault, _Value

__all__ = ["Event", "Events"]

_log = logging.getLogger("vnet.events")
# Seconds one fetch may wait: the longest that a signal, a cancelled task or the interpreter's exit waits for it.
_WAIT = 0.1
# Events in a view.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Event(_Value):
    """Something that happened to a plugin at work, or to a device.

    ``kind`` is ``"fault"`` (it trapped, ran out of time or answered an error: see ``fault``), ``"restarted"`` (a fresh instance
    runs), ``"tripped"`` (too many faults: out of service), ``"half-open"`` (tried again after that), ``"revived"`` (in service
    again), ``"swapped"``, ``"refused"`` (a watched file was not swapped in), ``"lost"`` (events that came too fast), or
    ``"gone"`` (a device was deleted by someone else; ``plugin`` is None). ``place`` is what the plugin is on, ``took_us`` how
    long a fresh instance took to start or a swap kept frames waiting, ``timestamp`` Unix time in seconds.
    """

    kind: str
    plugin: str | None
    place: str
    message: str
    timestamp: float
    took_us: float
    fault: Fault | None

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        fault = data["fault"]
        return cls(**{**data, "fault": None if fault is None else Fault._read(fault)})


Callback: TypeAlias = Callable[[Event], object]


class Events(Shown):
    """Events of one plugin at work, or of everything on a device, a wire or a network.

    ::

        flt.events.on(print)                         # called on a thread of vnet's, from then on
        for event in flt.events.iter(timeout=5):     # those kept, then what comes; ends after 5 s without one
            print(event.kind, event.message)
        async for event in net.events: ...           # the same for asyncio

    The last 4,096 events of the process are kept for those who ask later.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: int) -> None:
        self._scope = scope

    @property
    def kept(self) -> tuple[Event, ...]:
        """Those that have happened, oldest first."""
        events, _ = _vnet.next_events(0, self._scope, 0)
        return tuple(map(Event._read, events))

    def on(self, callback: Callback) -> Callable[[], None]:
        """Have every event from now on given to ``callback``, on a thread of its own; return what ends that.

        An exception of the callback is logged to logger ``vnet.events``, and the next event comes all the same.
        """
        return _dispatcher.add(self._scope, callback)

    def wait(self, kind: str, timeout: float | None = None) -> Event:
        """Return the first event of a kind, kept or to come, within ``timeout`` seconds. Raises TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        after = 0
        while True:
            after, found = _look(after, self._scope, deadline)
            for event in found:
                if event.kind == kind:
                    return event
            if deadline is not None and time.monotonic() >= deadline:
                raise _timeout(kind, timeout or 0)

    def iter(self, timeout: float | None = None) -> Iterator[Event]:
        """Go over the events kept and those to come; end after ``timeout`` seconds without one, None: never."""
        after = 0
        while True:
            deadline = None if timeout is None else time.monotonic() + timeout
            found: list[Event] = []
            while not found:
                after, found = _look(after, self._scope, deadline)
                if not found and deadline is not None and time.monotonic() >= deadline:
                    return
            yield from found

    def __iter__(self) -> Iterator[Event]:
        return self.iter()

    def _html(self) -> Html:
        rows = [(event.kind, event.plugin or "", event.place, event.message) for event in self.kept[-_SHOWN:]]
        return titled(self, headed(self, ""), table(("event", "plugin", "on", "message"), rows, label="events"))

    async def __aiter__(self) -> AsyncIterator[Event]:
        after = 0
        while True:
            events, after = await asyncio.to_thread(_vnet.next_events, after, self._scope, _WAIT)
            for event in events:
                yield Event._read(event)


def _look(after: int, scope: int, deadline: float | None) -> tuple[int, list[Event]]:
    """Wait a little for events behind a number; return the number to go on from, and them."""
    wait = _WAIT if deadline is None else max(0.0, min(_WAIT, deadline - time.monotonic()))
    events, after = _vnet.next_events(after, scope, wait)
    return after, list(map(Event._read, events))


def _timeout(kind: str, seconds: float) -> Exception:
    from vnet._errors import TimeoutError

    return TimeoutError(f"no event {kind!r} happened after {seconds:.3f} s")


class _Dispatcher:
    """Calls the callbacks, on a thread that is started with the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[int, tuple[int, Callback, int]] = {}
        self._next = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def add(self, scope: int, callback: Callback) -> Callable[[], None]:
        # What has happened before is not for it.
        _, after = _vnet.next_events(0, 0, 0)
        with self._lock:
            self._next += 1
            number = self._next
            self._callbacks[number] = (scope, callback, after)
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._carry, name="vnet-events", daemon=True)
                self._thread.start()

        def remove() -> None:
            with self._lock:
                self._callbacks.pop(number, None)

        return remove

    def _carry(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                waiting = list(self._callbacks.items())
            for number, (scope, callback, after) in waiting:
                events, last = _vnet.next_events(after, scope, 0)
                with self._lock:
                    if number in self._callbacks:
                        self._callbacks[number] = (scope, callback, last)
                for event in events:
                    self._call(callback, Event._read(event))
            self._stop.wait(0.02)

    @staticmethod
    def _call(callback: Callback, event: Event) -> None:
        try:
            callback(event)
        except Exception:
            _log.exception("a callback failed at event %s of %s", event.kind, event.place)

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def in_child(self) -> None:
        self.__init__()  # type: ignore[misc]


_dispatcher = _Dispatcher()
_lifetime.at_exit(_dispatcher.end)
os.register_at_fork(after_in_child=_dispatcher.in_child)
