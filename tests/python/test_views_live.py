from __future__ import annotations

import gc
import weakref
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import vnet
from test_views import assert_page
from wait import until


def html(shown: Any) -> str:
    text: str = shown._repr_mimebundle_()["text/html"]
    assert_page(text)
    return text


def lost(link: vnet.Link) -> int:
    stats = link.stats.a_to_b
    return 0 if stats is None else stats.lost


def test_devices_show_state_addresses_and_counters(netns: str) -> None:
    with vnet.Tap("tap0", ip="10.9.0.1/24") as tap, vnet.Tun("tun0", ip="10.9.1.1/24") as tun:
        assert ">10.9.0.1/24" in html(tap)
        assert ">up<" in html(tap)
        assert html(tun)
        filtering = tap.attach("icmp_echo")
        assert ">icmp_echo<" in html(tap)
        assert ">running<" in html(filtering)
        assert html(filtering.maps)
        assert html(filtering.events)
        filtering.detach()
        assert ">detached<" in html(filtering)
        with vnet.open("tap0") as opened:
            assert ">10.9.0.1/24" in html(opened)
        with vnet.Bridge("br0", ports=[tap]) as bridge:
            assert ">tap0<" in html(bridge)
            assert ">br0<" in html(tap)
    for closed in (tap, tun, bridge):
        assert ">closed<" in html(closed)


def test_a_wire_and_a_pair_show_both_ends(netns: str) -> None:
    with vnet.Veth("a0", "a1") as pair, vnet.Tap("tap0") as tap:
        assert "a0 ↔ a1" in html(pair)
        assert ">a1<" in html(pair.a)
        with vnet.Wire(pair.a, tap, delay="1ms", seed=3) as wire:
            assert ">seed 3<" in html(wire)
            assert "delay 1ms" in html(wire)
        assert ">closed<" in html(wire)
    assert ">closed<" in html(pair)


def test_maps_and_watched_files_are_shown(netns: str, tmp_path: Path) -> None:
    switch = next(plugin for plugin in vnet.shipped() if plugin.name == "learning_switch")
    path = tmp_path / "switch.wasm"
    path.write_bytes(switch.module)
    with vnet.Tap("tap0") as tap, tap.attach(path) as filtering:
        assert ">macs<" in html(filtering.maps)
        assert html(filtering.maps["macs"])
        with filtering.watch() as watch:
            assert "switch.wasm" in html(watch)


def test_a_recording_shows_its_file(netns: str, tmp_path: Path) -> None:
    with vnet.Tap("tap0") as tap:
        recording = tap.record(tmp_path / "x.pcapng")
        assert ">recording<" in html(recording)
        recording.stop()
        assert ">stopped<" in html(recording)
        assert "x.pcapng" in html(recording)


def test_a_view_of_a_declared_network_starts_nothing() -> None:
    net = vnet.Network("declared", seed=1)
    link = net.link(net.host("h1"), net.switch("s1"), delay="10ms")
    net.link(net.router("r1"), "s1")
    for shown in (net, link, net["h1"], net["s1"], net["r1"], net.nodes, net.links):
        assert html(shown)
    assert "10ms" in html(link)
    assert ">declared<" in html(net)
    assert not net.started


def test_the_picture_of_a_running_network_says_what_happens_in_it() -> None:
    with vnet.Network("lively", seed=1) as net:
        h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
        link, other = net.link(h1, s1, loss="100%"), net.link(h2, s1)
        assert not h1.ping(h2, count=2, interval=0.01, timeout=0.1)
        until(lambda: lost(link) > 0, "frames are counted as lost")
        filtering = other.attach("drop_bcast")
        process = h1.popen("exec sleep 100")
        forward = h1.forward(80)
        for shown in (net, h1, s1, link, filtering, process, forward, net.stats(), h1.interface("eth0"), net.links):
            assert html(shown)
        bundle = net._repr_mimebundle_()
        picture = bundle["image/svg+xml"]
        assert picture in bundle["text/html"]
        ElementTree.fromstring(picture)
        assert " lost</text>" in picture
        assert "[drop_bcast]" in picture
        assert "10.0.0.1/24" in picture
        assert ">engine<" in html(link)
        assert ">drop_bcast<" in html(other)
        other.down()
        assert "stroke-dasharray" in net._repr_mimebundle_()["image/svg+xml"]
        filtering.detach()
        assert "[drop_bcast]" not in net._repr_mimebundle_()["image/svg+xml"]
    for shown in (net, process, forward, h1, link):
        assert html(shown)
    assert ">closed<" in html(net)


def test_an_attachment_keeps_no_forgotten_network() -> None:
    net = vnet.Network("forgotten")
    link = net.link(net.host("h1"), net.host("h2"))
    link.attach("count")
    there = weakref.ref(net)
    gc.collect()
    with pytest.warns(ResourceWarning, match="unclosed"):
        del net, link
    assert there() is None


def test_a_series_says_what_it_has_taken() -> None:
    with vnet.Network("lab") as net:
        net.link(net.host("h1"), net.host("h2"))
        series = net.stats(every=0.01)
        until(lambda: series.taken > 2, "samples are taken")
        assert ">running<" in html(series)
        series.stop()
        assert ">ended<" in html(series)
    assert ">ended<" in html(series)


def test_what_is_live_is_the_static_picture_where_no_notebook_is() -> None:
    with vnet.Network("lab") as net:
        net.link(net.host("h1"), net.host("h2"))
        with net.live() as live:
            forms = live._repr_mimebundle_()
            assert forms["text/html"] == net._repr_mimebundle_()["text/html"]
            assert "application/vnd.jupyter.widget-view+json" not in forms
            assert live.widget is None
            assert not live.running
        with pytest.raises(vnet.InvalidValue, match="every"):
            net.live(every=0)
    assert html(live)
    assert repr(live) == "<vnet.Live of lab: a static picture>"


def test_a_stage_says_that_it_is_slow(netns: str) -> None:
    with vnet.Tap("tap0") as tap, tap.attach(lambda _: None) as stage:
        assert "python: slow" in html(stage)
        assert "Stage" in html(stage)
