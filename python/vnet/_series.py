"""Numbers over time, as a table that pandas, polars and duckdb read."""

from __future__ import annotations

import contextlib
import importlib
from types import TracebackType
from typing import Any, Self

from vnet import _vnet
from vnet._errors import Error, Unsupported
from vnet._html import Html, fields, mark
from vnet._shown import Shown, headed, titled

__all__ = ["StatsSeries"]

# Counters that may be missing; a column of numbers with gaps would become one of floats.
_GAPS = ("queue", "cpu_ns")


class Tabular:
    """Gives what has rows its ways into data frames.

    A row is one thing at one moment: a direction of a link (``kind`` is ``"link"``), of a node's interface (``"port"``), a
    plugin (``"stage"``), or a part of the network whose frames the engine moves (``"engine"``). The columns are ``time`` (UTC,
    in nanoseconds), ``kind``, ``node``, ``interface``, ``link``, ``stage``, ``direction`` (``"a>b"``, ``"b>a"``, ``"rx"``,
    ``"tx"``), ``state``, the counters ``frames``, ``bytes``, ``drops`` and ``reasons`` (drops by reason) since the thing
    began, ``queue`` (frames that wait in it just then), ``ns_per_packet`` (of a plugin), and ``cpu_ns`` (CPU time used).
    """

    __slots__ = ()

    def _rows_now(self) -> _vnet.Rows:
        raise NotImplementedError

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the rows as an Arrow stream of one batch, by Arrow's PyCapsule interface; no pyarrow is needed.

        Whatever reads that takes it as it is: ``pyarrow.table(x)``, ``polars.DataFrame(x)``, ``duckdb.sql("from x")``.
        ``requested_schema`` is ignored, as the interface allows.
        """
        return self._rows_now().arrow()

    def to_pandas(self) -> Any:
        """Return the rows as a pandas data frame; ``reasons`` holds dicts. Raises Unsupported where there is no pandas."""
        pandas = _imported("pandas")
        columns = self._rows_now().columns()
        columns["time"] = pandas.to_datetime(columns["time"], unit="ns", utc=True)
        for name in _GAPS:
            columns[name] = pandas.array(columns[name], dtype="UInt64")
        columns["ns_per_packet"] = pandas.array(columns["ns_per_packet"], dtype="Float64")
        return pandas.DataFrame(columns)

    def to_polars(self) -> Any:
        """Return the rows as a polars data frame. Raises Unsupported where there is no polars."""
        return _imported("polars").DataFrame(self)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f"the rows cannot be given to {name}: {error}"
        raise Unsupported(message, hint="pip install 'vnet[df]'") from error


class StatsSeries(Tabular, Shown):
    """Samples of a network's numbers, taken by a thread that no Python code holds up, also while a cell runs.

    ::

        with net.stats(every="100ms", last="60s") as series:
            h1.iperf(h2, seconds=5)
        frame = series.to_pandas()
        sent = frame[(frame.kind == "link") & (frame.link == "h1-s1") & (frame.direction == "a>b")]
        rate = sent.bytes.diff() * 8 / sent.time.diff().dt.total_seconds()      # bit/s

    It goes on until :meth:`stop`, the end of a ``with`` block, or of the network; what was taken stays. It keeps the samples
    of the last ``last``, and 250,000 rows at most, the oldest going first.
    """

    def __init__(self, native: _vnet.Series, name: str) -> None:
        self._native = native
        self._of = name

    def _rows_now(self) -> _vnet.Rows:
        return self._native.rows()

    @property
    def every(self) -> float:
        """Seconds from one sample to the next."""
        return self._native.every

    @property
    def taken(self) -> int:
        """How many samples were taken, those that are not kept any more among them."""
        return self._native.counts()[1]

    @property
    def missed(self) -> int:
        """How many were left out because the one before took too long."""
        return self._native.counts()[2]

    @property
    def running(self) -> bool:
        """Whether it takes samples. Raises Error when it ended though nobody stopped it and the network runs."""
        over, failure = self._native.is_over()
        if failure is not None:
            raise Error(f"the samples of {self._of} ended: {failure}")
        return not over

    def __len__(self) -> int:
        """Return how many samples are kept; each has a row for each thing."""
        return self._native.counts()[0]

    def stop(self) -> None:
        """Take no more samples. Doing it again does nothing."""
        self._native.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _html(self) -> Html:
        kept, taken, missed = self._native.counts()
        over, failure = self._native.is_over()
        state = mark("ended", "bad" if failure else "plain") if over else mark("running", "good")
        rows = [("every", f"{self.every:g} s"), ("samples kept", kept), ("taken", taken), ("missed", missed)]
        if failure:
            rows.append(("ended by", failure))
        return titled(self, headed(self, self._of, state), fields(rows))

    def __repr__(self) -> str:
        with contextlib.suppress(Error):
            kept, taken, _ = self._native.counts()
            return f"<vnet.StatsSeries of {self._of}: {kept} samples of {taken}, every {self.every:g} s>"
        return f"<vnet.StatsSeries of {self._of}>"
