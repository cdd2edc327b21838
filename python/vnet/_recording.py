"""A capture in progress."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from vnet import _vnet
from vnet._errors import Closed
from vnet._html import Html, code, fields, mark
from vnet._shown import Shown, headed, titled
from vnet._stats import _Value

__all__ = ["Recorded", "Recording"]


@dataclass(frozen=True, slots=True)
class Recorded(_Value):
    """What a finished capture holds: ``frames`` in the file, and ``lost`` ones that came faster than the disk took them."""

    frames: int
    lost: int


class Recording(Shown):
    """A capture in progress, as :meth:`Device.record` returns it; ``with`` ends it."""

    __slots__ = ("_native", "_path", "_recorded")

    def __init__(self, native: _vnet.Recording, path: str) -> None:
        self._native = native
        self._path = path
        self._recorded: Recorded | None = None

    @property
    def path(self) -> str:
        """The file that is written."""
        return self._path

    def stop(self) -> Recorded:
        """End the capture and say what it holds: the file is complete when this returns.

        Doing it again returns the same. Raises Closed when the device was closed before, which ended the capture.
        """
        self._recorded = Recorded._read(self._native.stop())
        return self._recorded

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Closed):
            self.stop()

    def __repr__(self) -> str:
        return f"<vnet.Recording {self._path}>"

    def _html(self) -> Html:
        state = mark("recording", "warning") if self._recorded is None else mark("stopped", "plain")
        counts = [] if self._recorded is None else [("frames", self._recorded.frames), ("lost", self._recorded.lost)]
        return titled(self, headed(self, "", state), fields([("file", code(self._path)), *counts]))
