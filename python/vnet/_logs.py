"""Carries what plugins and the engine log to :mod:`logging`, on a thread of its own.

A line of plugin ``count`` goes to logger ``vnet.plugin.count``, a warning of the engine to ``vnet.engine``. What the engine says
of a plugin, above all how it failed, names it: where logging is not configured a logger's name is not seen. The packet thread
only queues a line; this thread, started with the first network, plugin, wire or capture, fetches it and calls ``logging``. It is
told to end, and waited for, at interpreter exit, so that it never runs into a finished interpreter.
"""

from __future__ import annotations

import logging
import os
import threading

from vnet import _lifetime, _vnet

__all__: list[str] = []

# ABI levels 0 error, 1 warn, 2 info, 3 debug.
_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
# Seconds one fetch may wait: the longest that interpreter exit waits for the thread.
_WAIT = 0.1

# The last traceback of each stage in Python that its next fault's line is to have below it.
_tracebacks: dict[str, str] = {}

_lock = threading.Lock()
_thread: threading.Thread | None = None
_stop = threading.Event()


def start() -> None:
    """Start the thread unless it runs."""
    global _thread
    with _lock:
        if _thread is None and not _stop.is_set():
            _vnet.keep_events()
            _thread = threading.Thread(target=_carry, name="vnet-logs", daemon=True)
            _thread.start()


def explain(stage: str, traceback: str) -> None:
    """Have the line that says of ``stage`` how it failed followed by ``traceback``: the fault itself is told after this."""
    _tracebacks[stage] = traceback


def _carry() -> None:
    while not _stop.is_set():
        _deliver(_WAIT)


def _deliver(wait: float) -> None:
    for stage, by_host, level, message, seconds in _vnet.next_logs(wait):
        failed = by_host and level == 0
        below = _tracebacks.pop(stage, None) if failed else None
        _log(f"vnet.plugin.{stage}", level, f"stage {stage}: {message}" if by_host else message, seconds, below)
    for target, level, message, seconds in _vnet.take_events():
        _log(target, level, message, seconds)


def _log(name: str, level: int, message: str, seconds: float, below: str | None = None) -> None:
    logger = logging.getLogger(name)
    number = _LEVELS[min(level, len(_LEVELS) - 1)]
    if logger.isEnabledFor(number):
        # The message is an argument, not a format: it may hold any text.
        record = logger.makeRecord(name, number, "vnet", 0, "%s", (message,), None)
        record.created = seconds
        record.msecs = seconds % 1 * 1000
        # Formatters put it below the message, as they do with the traceback of an exception of this thread.
        record.exc_text = below
        logger.handle(record)


def _end() -> None:
    global _thread
    _stop.set()
    if _thread is not None:
        _thread.join()
        _thread = None
        _deliver(0)


def _in_child() -> None:
    global _thread, _lock
    _lock = threading.Lock()
    _thread = None


_lifetime.at_exit(_end)
os.register_at_fork(after_in_child=_in_child)
