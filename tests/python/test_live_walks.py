"""A click in the live view is answered with the packet's walk and its decode, from what is kept in memory."""

from __future__ import annotations

import html
import socket
import struct
import time
from typing import Any

import pytest
import vnet
from vnet import _live
from wait import until

PING = "h2:eth0 got IP 10.0.0.1 > 10.0.0.2: ICMP echo request"


class Widget:
    """Stands where anywidget's would, and keeps what is sent."""

    def __init__(self) -> None:
        self.ended = False
        self.layout_: dict[str, Any] = {}
        self.comm = self
        self.rows: dict[int, str] = {}
        self.answers: list[dict[str, Any]] = []

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if buffers is None:
            self.answers.append(content)
            return
        data = buffers[0]
        links, stages = (int(number) for number in struct.unpack_from("<2d", data))
        at = 16 + 8 * (8 * links + 4 * stages)
        while at < len(data):
            number, _, _, place, summary = struct.unpack_from("<ddIHH", data, at)
            at += 24
            self.rows[int(number)] = (
                f"{data[at : at + place].decode()} {data[at + place : at + place + summary].decode()}"
            )
            at += place + summary

    def row(self, text: str) -> int | None:
        return next((number for number, row in list(self.rows.items()) if text in row), None)


@pytest.fixture
def widget(monkeypatch: pytest.MonkeyPatch) -> Widget:
    made = Widget()
    monkeypatch.setattr(_live, "_make_widget", lambda _: made)
    return made


def test_a_click_shows_the_walk_of_a_packet_for_as_long_as_it_is_kept(
    widget: Widget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_live, "_RECORDS", 300)
    with vnet.Network() as net:
        h1, s1, h2 = net.host("h1"), net.switch("s1"), net.host("h2")
        guarded = net.link(h1, s1)
        net.link(h2, s1)
        live = net.live(every=0.05)
        rules = [{"action": "deny", "protocol": "udp", "dport": 53}]
        guarded.attach("acl", config={"default": "permit", "rules": rules})
        assert h1.ping(h2)
        with h1.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.sendto(b"hello", ("10.0.0.2", 53))
        for text in (PING, "10.0.0.2.53"):
            until(lambda text=text: widget.row(text) is not None, text)
        number = widget.row(PING)
        live._asked({"decode": number})
        answer = widget.answers[-1]
        assert answer["decoded"] == number
        assert not answer["note"]
        for part in ("delivered to h2", "h1 eth0: sent", "link h1-s1, acl: pass", "h2 eth0: received"):
            assert part in answer["walk"], answer["walk"]
        assert "Ethernet" in answer["html"]
        live._asked({"decode": widget.row("10.0.0.2.53")})
        said = 'dropped on link h1-s1 by acl: rule_0 "deny udp dport 53" (reason 16)'
        assert said in html.unescape(widget.answers[-1]["walk"]), widget.answers[-1]["walk"]
        # What a kernel keeps and what it may only seem to keep, as records are missing.
        h1.run(f"ip neigh add 10.0.0.9 lladdr {h2.mac} dev eth0", check=True)
        with h1.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.sendto(b"nobody", ("10.0.0.9", 54))
        until(lambda: widget.row("h2:eth0 got IP 10.0.0.1") and widget.row("10.0.0.9.54") is not None, "it is seen")
        live._asked({"decode": widget.row("10.0.0.9.54")})
        assert "kernel dropped it or keeps it" in html.unescape(widget.answers[-1]["walk"]), widget.answers[-1]["walk"]
        live._losses.append((time.time() - 3600, 100))
        assert live._lost_about(time.time()) == 0
        live._losses.append((time.time(), 230))
        live._asked({"decode": widget.row("10.0.0.9.54")})
        assert "the capture lost 130 records" in widget.answers[-1]["walk"], widget.answers[-1]["walk"]
        # More than is kept: the first ones are forgotten.
        assert h1.ping(h2, count=60, interval=0.005)
        until(lambda: live._recent is not None and live._recent.packets(number or 0) is None, "it is forgotten")
        live._asked({"decode": number})
        assert "not kept any more" in widget.answers[-1]["note"]
        assert not widget.answers[-1]["html"]
        for nonsense in (-1, "1", None, 1 << 70, 2.5):
            live._asked({"decode": nonsense})
            assert widget.answers[-1]["note"]
        # What is kept is told behind the network's end, too.
        number = max(widget.rows)
        net.close()
        live._asked({"decode": number})
        assert widget.answers[-1]["walk"]
        live.stop()
    assert widget.ended


def test_an_error_ends_the_view_and_is_its_note(widget: Widget, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a bug")

    with vnet.Network() as net:
        net.link(net.host("h1"), net.host("h2"))
        live = net.live(every=0.05)
        until(lambda: live.ticks > 0, "a tick")
        monkeypatch.setattr(live, "_packets", broken)
        until(lambda: not live.running, "it has ended")
        until(lambda: widget.ended, "the page is told")
        assert widget.layout_["note"] == "The view has ended: ValueError: a bug"
