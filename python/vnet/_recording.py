"""A capture in progress."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from vnet import _logs, _vnet
from vnet._errors import Closed, InvalidValue
from vnet._html import Html, code, fields, mark
from vnet._packets import Captured
from vnet._shown import headed, titled
from vnet._stats import _Value

__all__ = ["Recorded", "Recording"]


@dataclass(frozen=True, slots=True)
class Recorded(_Value):
    """What a finished capture holds: ``frames`` in it, and ``lost`` ones that came faster than they could be written.

    ``files`` are those that there are, the oldest first; more than one where they rotate.
    """

    frames: int
    lost: int
    files: tuple[str, ...] = ()

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Self:
        return super(Recorded, cls)._read({**data, "files": tuple(data["files"])})


class Recording(Captured):
    """A capture in progress, as :meth:`Link.capture` and the like return it; ``with`` ends it."""

    __slots__ = ("__weakref__", "_native", "_path", "_recorded")

    def __init__(self, native: _vnet.Recording, path: str) -> None:
        self._native = native
        self._path = path
        self._recorded: Recorded | None = None

    @classmethod
    def _begin(cls, path: str | os.PathLike[str] | int | None, begin: Callable[[str | int], _vnet.Recording]) -> Self:
        """Begin a capture to a file, to a descriptor, or, without either, to a private file that goes with the object."""
        if isinstance(path, int):
            return cls(begin(path), "-")
        if path is not None:
            return cls(begin(os.fspath(path)), os.fspath(path))
        private = tempfile.mkdtemp(prefix="vnet-capture-")
        name = os.path.join(private, "capture.pcapng")
        try:
            recording = cls(begin(name), name)
        except BaseException:
            _forget(private, os.getpid())
            raise
        weakref.finalize(recording, _forget, private, os.getpid())
        return recording

    @property
    def path(self) -> str:
        """The file that is written."""
        return self._path

    def _files(self) -> Sequence[str]:
        if self._path == "-":
            raise InvalidValue(
                "a capture that was streamed to a descriptor keeps no frames", hint="give a file, or no path"
            )
        return (self._recorded.files if self._recorded is not None else ()) or (self._path,)

    def _is_stopped(self) -> bool:
        return self._recorded is not None

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


def _forget(private: str, pid: int) -> None:
    """Delete the directory of a private file, in the process that made it."""
    if os.getpid() == pid:
        shutil.rmtree(private, ignore_errors=True)


class Capturable:
    """What can be captured; a class says how by its own ``_record``."""

    __slots__ = ()

    def capture(
        self,
        path: str | os.PathLike[str] | int | None = None,
        *,
        filter: str | None = None,
        snaplen: int | None = None,
        dropped: bool = False,
        stages: bool = False,
        rotate: str | None = None,
        keep: int | None = None,
    ) -> Recording:
        """Copy every frame of both directions to a pcapng file until the recording is stopped, or what is captured is closed.

        Of a link each frame is in it once: at the end it is delivered to, or at the port of a switch. Of a network the frames of
        all hosts, routers and switches are in it.

        ``path`` is a file, or the descriptor of a pipe that takes a stream; None makes a private file that goes with the
        recording. ``filter`` are the words of pcap-filter(7), ``snaplen`` the most bytes of a frame, ``rotate`` the size or time
        of a file (``"10MB"``, ``"60s"``), of which the newest ``keep`` stay. ``dropped`` adds what plugins, impairments and the
        engine dropped, ``stages`` what each of them did; docs/captures.md says how. It is armed when this returns.
        """
        _logs.start()
        options = _vnet.CaptureOptions(filter, snaplen, dropped, stages, rotate, keep)
        return Recording._begin(path, lambda to: self._record(to, options))

    def _record(self, to: str | int, options: _vnet.CaptureOptions) -> _vnet.Recording:
        raise NotImplementedError
