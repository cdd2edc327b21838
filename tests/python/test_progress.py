"""What is shown of work that takes longer than a second."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import vnet
from vnet import _progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_line_that_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    _progress.show("building the network", 1, 4, 1.25, False)
    _progress.show("building the network", 4, 4, 2.0, True)
    assert terminal.getvalue() == "\rbuilding the network: 25 %, 1.2 s\x1b[K\r\x1b[K"


def test_a_pipe_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    _progress.show("building the network", 1, 4, 1.25, False)
    assert pipe.getvalue() == ""


def test_a_notebook_has_a_bar_that_ends_as_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    def display(bar: Any, display_id: bool) -> Any:
        assert display_id
        shown.append(bar)
        return SimpleNamespace(update=shown.append)

    module = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=True), display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", module)
    for done, ended in ((1, False), (2, False), (2, True), (4, False)):
        _progress.show("ping <all>", done, 4, float(done), ended)
    forms = [bar._repr_mimebundle_() for bar in shown]
    assert '<progress max="4" value="1">ping &lt;all&gt;: 25 %, 1.0 s</progress>' in forms[0]["text/html"]
    assert forms[2]["text/plain"] == "ping <all> stopped after 2.0 s"
    # What comes next has a bar of its own.
    assert forms[3]["text/plain"] == "ping <all>: 100 %, 4.0 s"


def test_what_has_no_known_end_shows_that_it_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    now = 0.0
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now)
    with _progress.waiting("building flt") as tick:
        tick()
        assert terminal.getvalue() == ""
        now = 1.5
        tick()
    assert terminal.getvalue() == "\rbuilding flt: 1.5 s\x1b[K\r\x1b[K"
    assert "<progress>building &lt;it&gt;: 2.0 s</progress>" in str(
        _progress.Bar("building <it>", 0, 0, 2, False)._html()
    )


def test_a_network_tells_of_what_takes_long_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int, float, bool]] = []
    monkeypatch.setattr(_progress, "show", lambda *progress: told.append(progress))
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        net.link(h1, h2)
        assert h1.ping(h2, count=20, interval=0.1)
    assert {what for what, *_ in told} <= {"ping", "building the network"}
    pings = [rest for what, *rest in told if what == "ping"]
    assert [ended for *_, ended in pings] == [False] * (len(pings) - 1) + [True]
    assert all(seconds >= 1.0 for _, _, seconds, _ in pings)
    assert 1_000 <= pings[0][0] <= pings[0][1] == 2_000
