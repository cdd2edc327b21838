"""Shows how far something has come that takes longer than a second.

In a notebook it is a bar below the cell, at a terminal a line on standard error that is gone afterwards, and elsewhere nothing.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vnet._html import Html, escape, faint, join
from vnet._shown import Shown, titled

__all__: list[str] = []

# Seconds between two tellings, and before the first one.
TICK = 0.25
_SILENCE = 1.0

# What is displayed in a notebook, by the thread that works for it.
_displayed: dict[int, Any] = {}


class Bar(Shown):
    """How far one piece of work has come; ``total`` is 0 where nobody knows how long it takes."""

    __slots__ = ("_done", "_ended", "_seconds", "_total", "_what")

    def __init__(self, what: str, done: int, total: int, seconds: float, ended: bool) -> None:
        self._what = what
        self._done = done
        self._total = total
        self._seconds = seconds
        self._ended = ended

    def __repr__(self) -> str:
        if self._ended:
            end = "took" if self._done >= self._total else "stopped after"
            return f"{self._what} {end} {self._seconds:.1f} s"
        percent = f"{100 * self._done // self._total} %, " if self._total else ""
        return f"{self._what}: {percent}{self._seconds:.1f} s"

    def _html(self) -> Html:
        if self._ended:
            return titled(self, faint(self))
        known = f' max="{self._total}" value="{self._done}"' if self._total else ""
        bar = Html(f"<progress{known}>{escape(self)}</progress>")
        return titled(self, join(bar, Html(" "), faint(self)))


def show(what: str, done: int, total: int, seconds: float, ended: bool) -> None:
    """Show how far ``what`` has come: ``done`` of ``total``, after so many ``seconds``, and whether it is over.

    ``total`` is 0 where nobody knows it.
    """
    bar = Bar(what, done, total, seconds, ended)
    if (display := _notebook()) is not None:
        worker = threading.get_ident()
        if worker not in _displayed:
            _displayed[worker] = display(bar, display_id=True)
        elif (handle := _displayed[worker]) is not None:
            handle.update(bar)
        if ended:
            _displayed.pop(worker, None)
    elif sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        # The line is erased, not scrolled: what the program itself writes stays as it would be.
        sys.stderr.write("\r\x1b[K" if ended else f"\r{bar!r}\x1b[K")
        sys.stderr.flush()


@contextmanager
def waiting(what: str) -> Iterator[Callable[[], None]]:
    """Show that ``what`` is at work, of which nobody knows how long it takes: call what is given every :data:`TICK` seconds."""
    began = time.monotonic()
    shown = False

    def tick() -> None:
        nonlocal shown
        seconds = time.monotonic() - began
        if seconds >= _SILENCE:
            shown = True
            show(what, 0, 0, seconds, False)

    try:
        yield tick
    finally:
        if shown:
            show(what, 0, 0, time.monotonic() - began, True)


def _notebook() -> Any:
    """Return the function that displays something below the cell that runs, where there is one."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return ipython.display.display if ipython is not None and hasattr(shell, "kernel") else None
