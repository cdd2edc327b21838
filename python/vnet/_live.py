"""A network's picture that moves: what passes just now, in a notebook."""

from __future__ import annotations

import contextlib
import importlib
import json
import struct
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vnet import _vnet
from vnet._errors import Error, InvalidValue
from vnet._html import Html
from vnet._shown import Shown, titled
from vnet._walk import Walk
from vnet._walks import SNAPLEN, Plan, plan

if TYPE_CHECKING:
    from vnet._network import Network

__all__ = ["Live"]

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_STATES = ("kernel", "engine", "down")
# Packets that one message carries: more are not read in a tenth of a second.
_PACKETS_A_TICK = 20
# What is kept for walks, of all places of the network together: records and octets.
_RECORDS, _OCTETS = 20_000, 8 << 20
# A walk that begins within so many seconds behind the oldest record may have begun before it.
_LONGEST = 2.0
# How often it is remembered that records went missing.
_LOSSES = 1000


class Live(Shown):
    """A network at work, shown in a notebook while it runs, also while a cell blocks: ``net.live()`` returns it.

    The picture of the network has traffic moving along its links; tables say for each direction of a link how much passes,
    waits and is dropped, and for each plugin how many frames it sees and the nanoseconds it takes for one. Of the packets
    that nodes see the last ones are listed; a click on one shows its :class:`Walk`, hop by hop as :meth:`Network.walk` tells it,
    and its headers and octets. For that the last 20,000 records of all places, or 8 MiB, are kept in memory.

    A thread sends one binary message a tick. Without ``anywidget`` (``pip install 'vnet[jupyter]'``), or outside a notebook,
    it is the static picture. It ends by :meth:`stop`, with a ``with`` block, or with the network.
    """

    def __init__(self, network: Network, *, every: float = 0.1, packets: bool = True) -> None:
        if not 0.05 <= every <= 10:
            raise InvalidValue(f"every is {every!r}", hint="give seconds from 0.05 to 10; 0.1 is ten times a second")
        network.start()
        # The network is not kept: it ends with its owner's last reference, and this with it.
        self._network = weakref.ref(network)
        self._name = network.name
        self._every = every
        self._stopped = threading.Event()
        self._sent = 0
        self._thread: threading.Thread | None = None
        self._recent: _vnet.Recent | None = None
        self._next = 0
        # When records were seen missing, and how many were by then.
        self._losses: deque[tuple[float, int]] = deque([(0.0, 0)], _LOSSES)
        self._plan = Plan([], [], [])
        self._seen: dict[str, str] = {}
        self._note = ""
        self._widget = _make_widget(self)
        if self._widget is not None:
            if packets:
                self._keep(network)
            self._thread = threading.Thread(target=_run, args=(weakref.ref(self),), name="vnet-live", daemon=True)
            self._thread.start()

    @property
    def widget(self) -> Any:
        """The anywidget that shows it, or None where it is the static picture."""
        return self._widget

    @property
    def running(self) -> bool:
        """Whether it is kept up to date."""
        return self._thread is not None and self._thread.is_alive() and not self._stopped.is_set()

    @property
    def ticks(self) -> int:
        """How many messages it has sent."""
        return self._sent

    def stop(self) -> None:
        """Leave the picture as it is. Doing it again does nothing."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __del__(self) -> None:
        # Without the attribute the constructor failed.
        if hasattr(self, "_stopped"):
            self._stopped.set()

    def _end(self) -> None:
        if self._recent is not None:
            with contextlib.suppress(Error):
                self._recent.stop()
        if self._widget is not None and not self._widget.ended:
            self._widget.ended = True

    def _fail(self, error: Exception) -> None:
        """Keeps what ended the view as its note."""
        self._note = f"The view has ended: {type(error).__name__}: {error}"
        with contextlib.suppress(Exception):
            self._widget.layout_ = {**self._widget.layout_, "note": self._note}

    def _keep(self, network: Network) -> None:
        """Begins to keep packets; the view goes without where that cannot be."""
        try:
            self._recent = network._native.recent(_RECORDS, _OCTETS, SNAPLEN)
        except Error as error:
            self._note = f"Packets are not shown: {error}"

    def _survey(self, network: Network) -> None:
        """Looks where the places are that see packets."""
        self._plan = plan(network)
        ports = {name for name, _, _, is_port, _ in self._plan.places if is_port}
        self._seen = {name: f"{node}:{at}" for name, node, at, _, _ in self._plan.places if name not in ports}

    def _tick(self, last: _Sample | None) -> _Sample | None:
        """Sends what has passed since ``last``; returns None when the network has ended."""
        network = self._network()
        if network is None or network.closed:
            return None
        try:
            now = _Sample(network._native.rows(False).columns())
        except Error:
            return None
        if last is None or now.shape != last.shape:
            about = {"every": self._every, "note": self._note}
            self._widget.layout_ = {"svg": _picture(network._native, now), **about, **now.names()}
            with contextlib.suppress(Error):
                self._survey(network)
        del network
        message = now.packed(last) + self._packets()
        try:
            self._widget.send({"tick": self._sent}, buffers=[message])
        except Exception:
            # The page or the kernel has gone.
            return None
        # ipykernel hands what comes back to the shell that sent last, which would be the one that a cell blocks. Without this
        # note of its own it does as the front end asks: JupyterLab has clicks answered by a subshell.
        vars(self._widget.comm).pop("_reply_subshell_id", None)
        self._sent += 1
        return now

    def _packets(self) -> bytes:
        """Return each packet since the last call: number and time as doubles, size, and two texts behind their lengths."""
        if self._recent is None:
            return b""
        self._count_lost()
        seen = self._seen
        found, self._next = self._recent.last(self._next, _PACKETS_A_TICK, set(seen))
        parts = []
        for number, interface, is_outbound, time_ns, size, about in found:
            place = f"{seen[interface]} {'sent' if is_outbound else 'got'}".encode()[:200]
            summary = about.encode(errors="replace")[:300]
            parts.append(struct.pack("<ddIHH", number, time_ns / 1e9, size, len(place), len(summary)) + place + summary)
        return b"".join(parts)

    def _count_lost(self) -> None:
        lost = self._recent.lost() if self._recent is not None else 0
        if lost > self._losses[-1][1]:
            self._losses.append((time.time(), lost))

    def _lost_about(self, timestamp: float) -> int:
        """Return how many records were lost while a packet of that time may have been on its way."""
        self._count_lost()
        losses = list(self._losses)
        before, after = (
            max((lost for at, lost in losses if at <= end), default=losses[0][1])
            for end in (timestamp - _LONGEST, timestamp + _LONGEST + self._every)
        )
        return after - before

    def _asked(self, content: Mapping[str, Any]) -> None:
        """Answers a click on a packet."""
        number: Any = content.get("decode")
        is_number = isinstance(number, int) and 0 <= number < 1 << 63
        kept = self._recent.packets(number) if self._recent is not None and is_number else None
        if kept is None:
            note = "This packet is not kept any more, and its walk can no longer be told: only the last ones are."
            self._widget.send({"decoded": number, "html": "", "note": note})
            return
        packets, at = kept
        network = self._network()
        if network is not None and not network.closed:
            with contextlib.suppress(Error):
                self._survey(network)
        html, walk, note = _page(packets.frame(at)), "", ""
        if (data := packets.walk_of(at, *self._plan)) is not None:
            found = Walk._of(packets, data, lost=self._lost_about(packets.frame(at).timestamp))
            walk = _page(found)
            # Records are numbered without a gap.
            forgotten = number > at and found.frame.timestamp - packets.frame(0).timestamp < _LONGEST
            if forgotten and found.hops[0].kind != "sent":
                note = "Where it came from is not kept any more: its walk is told from there on."
        self._widget.send({"decoded": number, "html": html, "walk": walk, "note": note})

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Return the widget's forms, and the static picture for pages that have no kernel behind them."""
        forms: dict[str, Any] = dict(super()._repr_mimebundle_(include, exclude))
        if self._widget is not None:
            found = self._widget._repr_mimebundle_()
            forms[_WIDGET_VIEW] = (found[0] if isinstance(found, tuple) else found)[_WIDGET_VIEW]
        return forms

    def _html(self) -> Html:
        network = self._network()
        if network is None:
            return titled(self, Html("The network is gone."))
        return network._html()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped" if self._widget is not None else "a static picture"
        return f"<vnet.Live of {self._name}: {state}>"


class _Sample:
    """The numbers of one moment, as far as they are shown."""

    def __init__(self, columns: Mapping[str, list[Any]]) -> None:
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        self.time = time.monotonic()
        self.links = [row for row in rows if row["kind"] == "link"]
        self.stages = [row for row in rows if row["kind"] == "stage"]
        states = [row["state"] for row in (*self.links, *self.stages)]
        self.shape = ([_stage_name(row) for row in self.stages], [row["link"] for row in self.links], states)

    def names(self) -> dict[str, Any]:
        """Return what the numbers are of: both directions of a link follow one another."""
        ends = [(row["link"], f"{row['node']}:{row['interface']}", row["state"]) for row in self.links]
        links = [{"name": a[0], "a": a[1], "b": b[1], "path": a[2]} for a, b in zip(ends[::2], ends[1::2], strict=True)]
        return {"links": links, "stages": [{"name": _stage_name(row), "state": row["state"]} for row in self.stages]}

    def packed(self, last: _Sample | None) -> bytes:
        """Return doubles: the counts of links and plugins, four for each direction, four for each plugin.

        Of a direction these are frames and bits a second, frames that wait, and drops; of a plugin frames a second, frames,
        nanoseconds for one, and drops.
        """
        same = last is not None and last.shape == self.shape
        seconds = self.time - last.time if same and last is not None else 0.0
        numbers: list[float] = [len(self.links) // 2, len(self.stages)]
        for at, row in enumerate(self.links):
            before = last.links[at] if same and last is not None else row
            frames, octets = row["frames"] - before["frames"], row["bytes"] - before["bytes"]
            rates = (max(frames, 0) / seconds, max(8 * octets, 0) / seconds) if seconds > 0 else (0.0, 0.0)
            numbers += (*rates, row["queue"] or 0, row["drops"])
        for at, row in enumerate(self.stages):
            before = last.stages[at] if same and last is not None else row
            rate = max(row["frames"] - before["frames"], 0) / seconds if seconds > 0 else 0.0
            numbers += (rate, row["frames"], row["ns_per_packet"] or 0.0, row["drops"])
        return struct.pack(f"<{len(numbers)}d", *numbers)


def _stage_name(row: Mapping[str, Any]) -> str:
    on = row["link"] or ":".join(part for part in (row["node"], row["interface"]) if part)
    return f"{row['stage']} on {on}"


def _picture(native: _vnet.Network, sample: _Sample) -> str:
    states = {"down": "down", "engine": "engine"}
    links: dict[str, Any] = {
        row["link"]: {"lines": [], "state": states.get(row["state"], "plain")} for row in sample.links
    }
    nodes: dict[str, Any] = {}
    for row in sample.stages:
        parts, name = (links, row["link"]) if row["link"] in links else (nodes, row["node"])
        state = "" if row["state"] == "running" else f" {row['state']}"
        note = parts.setdefault(name, {"lines": [], "state": "engine"})
        note["lines"].append(f"[{row['stage']}]{state}")
    return native.picture(json.dumps({"nodes": nodes, "links": links}))


def _page(shown: Any) -> str:
    page: str = shown._repr_mimebundle_()["text/html"]
    return page


def _run(live: weakref.ref[Live]) -> None:
    """Sends a message a tick for as long as anybody refers to what is shown."""
    last: _Sample | None = None
    due = time.monotonic()
    while True:
        shown = live()
        if shown is None or shown._stopped.is_set():
            return
        try:
            last = shown._tick(last)
        except Exception as error:
            last = None
            shown._fail(error)
        if last is None:
            shown._stopped.set()
            # A page or kernel that has gone is told nothing any more.
            with contextlib.suppress(Exception):
                shown._end()
            return
        stopped, every = shown._stopped, shown._every
        del shown
        due = max(due + every, time.monotonic())
        stopped.wait(due - time.monotonic())


def _make_widget(live: Live) -> Any:
    """Returns an anywidget, or None where there is none, or no kernel to speak to."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return None
    try:
        base: Any = importlib.import_module("anywidget").AnyWidget
        traitlets = importlib.import_module("traitlets")
    except ImportError:
        return None
    parts = {
        "_esm": Path(__file__).with_name("static").joinpath("live.js").read_text(),
        "layout_": traitlets.Dict().tag(sync=True),
        "ended": traitlets.Bool(False).tag(sync=True),
    }
    widget: Any = type("LiveWidget", (base,), parts)()
    shown = weakref.ref(live)

    def asked(_: object, content: Mapping[str, Any], __: object) -> None:
        if (found := shown()) is not None:
            found._asked(content)

    widget.on_msg(asked)
    return widget
