"""What ends with the process, and what a forked child must not keep.

A TAP vanishes with its descriptor, a veth pair or a bridge does not: both are closed at interpreter exit. A child made by
``os.fork`` (``multiprocessing`` does that) inherits descriptors but none of the engine's threads, so its copies of the
handles answer :class:`vnet.Closed` and the descriptors that would keep a device alive are closed there.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from collections.abc import Callable
from typing import Protocol

from vnet import _vnet

__all__: list[str] = []


class _Owned(Protocol):
    def _abandon(self) -> None: ...

    def _descriptors(self) -> list[int]: ...


_live: weakref.WeakSet[_Owned] = weakref.WeakSet()
_last_calls: list[Callable[[], None]] = []


def adopt(owned: _Owned) -> None:
    """Close ``owned`` when the interpreter ends, and in a forked child."""
    _live.add(owned)


def at_exit(call: Callable[[], None]) -> None:
    """Run ``call`` at interpreter exit, after everything adopted was closed."""
    _last_calls.append(call)


def _end() -> None:
    for owned in list(_live):
        # One device that cannot be removed must not keep the others.
        with contextlib.suppress(Exception):
            owned._abandon()
    for call in _last_calls:
        call()


def _in_child() -> None:
    _vnet.forked()
    for owned in list(_live):
        for descriptor in owned._descriptors():
            with contextlib.suppress(OSError):
                os.close(descriptor)
    _live.clear()


atexit.register(_end)
os.register_at_fork(before=_vnet.before_fork, after_in_parent=_vnet.after_fork, after_in_child=_in_child)
