"""The tables of plugins, read and written from Python while frames flow."""

from __future__ import annotations

import ipaddress
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import vnet
from wait import until

IP4 = ipaddress.IPv4Address
IP6 = ipaddress.IPv6Address


def table(key: str, value: str, key_size: int, value_size: int, capacity: int = 8) -> bytes:
    """A plugin with one map, `table`, of which it breaks the magic when it sees a frame that begins with 0xbb."""
    manifest = json.dumps({"maps": {"table": {"key": key, "value": value}}} if key else {})
    slots = 8192
    words = [key_size, value_size, capacity, 0, 128, 5, 0, slots]
    header = "VMAP" + "".join(f"\\{byte:02x}" for word in words for byte in word.to_bytes(4, "little"))
    quoted = "".join(f"\\{byte:02x}" for byte in manifest.encode())
    return f"""(module (@custom "vnet.manifest" "{quoted}")
      (memory (export "memory") 4) (global (export "vnet_frame") i32 (i32.const 131072))
      (data (i32.const 64) "\\01\\00\\00\\00\\50\\00\\00\\00") (data (i32.const 80) "{header}") (data (i32.const 128) "table")
      (func (export "vnet_maps") (result i32) (i32.const 64))
      (func (export "vnet_on_packet") (param $p i32) (param $n i32) (result i32)
        (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0xbb)) (then (i32.store (i32.const 80) (i32.const 0))))
        (i32.const 0)))""".encode()


@pytest.fixture
def net() -> Iterator[vnet.Network]:
    with vnet.Network("maps") as net:
        net.link(net.host("h1"), net.host("h2"), name="l")
        yield net


def attached(net: vnet.Network, *layout: object) -> vnet.Map:
    return net.links["l"].attach(vnet.Plugin(table(*layout), name="keeper")).maps["table"]  # type: ignore[arg-type]


def test_the_mac_table_of_a_switch_is_a_mapping_of_named_tuples() -> None:
    with vnet.Network("macs") as net:
        h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
        net.link(h1, s1)
        net.link(h2, s1)
        flt = s1.attach("learning_switch")
        assert h1.ping(h2)
        assert list(flt.maps) == ["macs"]
        assert "macs" in flt.maps
        macs = flt.maps["macs"]
        seen = macs.snapshot()
        ports = {key.mac: value.port for key, value in seen.items()}
        assert sorted(ports.values()) == [0, 1], macs
        assert all(key.vlan == 0 and value.seen > 0 for key, value in seen.items())
        # A station that was never heard is where Python says, and forgotten when it says so.
        station = ("02:00:00:00:00:99", 0)
        macs[station] = (1, 2**63)
        assert macs[station] == (1, 2**63)
        assert station in macs
        assert len(macs) == 3
        del macs[station]
        assert station not in macs
        macs.clear()
        assert not macs
        assert h1.ping(h2)
        assert len(macs) == 2


@pytest.mark.parametrize(
    ("layout", "size", "value", "raw"),
    [
        ("u8", 1, 255, b"\xff"),
        ("u16", 2, 1, b"\x01\x00"),
        ("i32", 4, -2, b"\xfe\xff\xff\xff"),
        ("u64", 8, 2**64 - 1, b"\xff" * 8),
        ("be16", 2, 1, b"\x00\x01"),
        ("be64", 8, 258, bytes(6) + b"\x01\x02"),
        ("bool", 1, True, b"\x01"),
        ("mac", 6, "02:00:00:00:00:0a", b"\x02\0\0\0\0\x0a"),
        ("ip4", 4, IP4("10.0.0.1"), b"\x0a\0\0\x01"),
        ("ip6", 16, IP6("fd00::1"), IP6("fd00::1").packed),
        ("ip", 16, IP4("10.0.0.1"), bytes(10) + b"\xff\xff\x0a\0\0\x01"),
        ("ip", 16, IP6("fd00::1"), IP6("fd00::1").packed),
        ("bytes[3]", 3, b"abc", b"abc"),
        ("text[8]", 8, "häl", "häl".encode() + bytes(4)),
        ("a: u8, _: bytes[2], from: be16", 5, (1, 2), b"\x01\0\0\0\x02"),
    ],
)
def test_values_of_every_type_come_back(net: vnet.Network, layout: str, size: int, value: object, raw: bytes) -> None:
    typed = attached(net, layout, layout, size, size)
    typed[value] = value
    assert typed.snapshot() == {value: value}
    assert typed._native.entries("table") == [(raw, raw)]


def test_a_map_without_a_layout_is_bytes(net: vnet.Network) -> None:
    plain = attached(net, "", "", 4, 2)
    plain[b"abcd"] = b"xy"
    assert dict(plain.items()) == {b"abcd": b"xy"}
    assert "61626364" in repr(plain)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (1, (1, "x"), "is a tuple of src, port"),
        (("10.0.0.1",), (1, "x"), "has 2 fields (src, port); 1 were given"),
        (("10.0.0.256", 1), (1, "x"), "field src of the key of map table"),
        (("10.0.0.1", 65536), (1, "x"), "a number from 0 to 65535"),
        (("10.0.0.1", "80"), (1, "x"), "it is an integer"),
        (("10.0.0.1", 1), (True, "x"), "it is an integer"),
        (("10.0.0.1", 1), (-1, "x"), "a number from 0 to 4294967295"),
        (("10.0.0.1", 1), (1, "too long"), "at most 4 bytes of UTF-8, not 8"),
        (("10.0.0.1", 1), (1, b"x"), "it is a text"),
    ],
)
def test_what_does_not_fit_is_said_with_its_field(net: vnet.Network, key: object, value: object, words: str) -> None:
    typed = attached(net, "src: ip4, port: be16", "n: u32, name: text[4]", 6, 8)
    with pytest.raises(vnet.InvalidValue) as error:
        typed[key] = value
    assert words in str(error.value)
    assert not typed


def test_a_full_map_says_so_and_keeps_what_it_has(net: vnet.Network) -> None:
    small = attached(net, "u32", "u32", 4, 4, 4)
    for n in range(4):
        small[n] = n
    with pytest.raises(vnet.MapError, match=r"map \"table\" of plugin keeper is full: it has 4 slots"):
        small[4] = 4
    small[3] = 33
    assert small.to_dict() == {0: 0, 1: 1, 2: 2, 3: 33}
    with pytest.raises(KeyError):
        small[4]
    with pytest.raises(KeyError):
        del small[4]
    assert small.pop(0) == 0
    small[4] = 4
    assert small.get(9, "no") == "no"


def test_an_unknown_map_is_a_key_error_that_lists_the_known_ones(net: vnet.Network) -> None:
    maps = net.links["l"].attach(vnet.Plugin(table("u8", "u8", 1, 1), name="keeper")).maps
    with pytest.raises(KeyError, match="plugin keeper has no map") as error:
        maps["nat"]
    assert isinstance(error.value, vnet.NoSuchMap)
    assert "it has table" in str(error.value)
    assert error.value.plugin == "keeper"
    assert maps.get("nat") is None


@pytest.mark.usefixtures("netns")
def test_a_map_the_plugin_breaks_is_an_error_here_and_nothing_to_frames() -> None:
    with vnet.Tap("tap0") as tap:
        flt = tap.attach(vnet.Plugin(table("u32", "u32", 4, 4), name="keeper"), direction="egress")
        broken = flt.maps["table"]
        broken[1] = 1
        tap.send(b"\xbb" + bytes(59))
        until(lambda: flt.stats.passed == 1, "the frame that breaks the map")
        for use in (lambda: broken[1], lambda: broken.snapshot(), broken.clear, lambda: len(broken)):
            with pytest.raises(vnet.MapError, match="is broken: its header does not begin with"):
                use()
        with pytest.raises(vnet.MapError, match="is broken"):
            broken[1] = 2
        assert "is broken" in repr(broken)
        tap.send(bytes(60))
        until(lambda: flt.stats.passed == 2, "another frame")
        assert flt.stats.faults == {}


def test_views_are_tables_and_escaped(net: vnet.Network) -> None:
    typed = attached(net, "who: text[20]", "n: u32", 20, 4)
    typed["<b>&</b>"] = 7
    assert "1 of at most 8 entries" in repr(typed)
    assert repr(typed).splitlines()[1].split() == ["who", "n"]
    shown = typed._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in shown
    assert "<b>" not in shown


def test_snapshots_are_whole_while_frames_change_the_table() -> None:
    with vnet.Network("busy") as net:
        h1, h2, s1 = net.host("h1"), net.host("h2"), net.switch("s1")
        net.link(h1, s1)
        net.link(h2, s1)
        flt = s1.attach("learning_switch")
        macs = flt.maps["macs"]
        stop = threading.Event()

        def ping() -> None:
            while not stop.is_set():
                h1.ping(h2, count=20, interval=0.001)

        thread = threading.Thread(target=ping)
        thread.start()
        try:
            until(lambda: len(macs) == 2, "two stations")
            for n in range(200):
                macs[(f"02:00:00:00:01:{n:02x}", 1)] = (1, n)
                entries = macs.snapshot()
                assert len(entries) == 3 + n
                assert entries[(f"02:00:00:00:01:{n:02x}", 1)].seen == n
        finally:
            stop.set()
            thread.join()
        assert flt.stats.faults == {}


def test_after_the_end_there_are_no_maps(net: vnet.Network) -> None:
    typed = attached(net, "u32", "u32", 4, 4)
    net.close()
    with pytest.raises(vnet.Error):
        typed[1]
    assert repr(typed).startswith("<vnet.Map table: ")


def test_a_replay_keeps_the_tables_of_its_plugins(tmp_path: Path) -> None:
    source = tmp_path / "in.pcap"
    header = (
        bytes.fromhex("d4c3b2a1020004000000000000000000") + (65535).to_bytes(4, "little") + (1).to_bytes(4, "little")
    )
    record = b"".join(word.to_bytes(4, "little") for word in (1_700_000_000, 0, 60, 60))
    source.write_bytes(header + record + b"\xff" * 6 + b"\x02\0\0\0\0\x07" + bytes(48))
    report = vnet.replay(source, plugins=["learning_switch", "count"])
    assert report.maps == ({"macs": {("02:00:00:00:00:07", 0): (0, 1_700_000_000 * 10**9)}}, {})
    assert report.maps[0]["macs"]["02:00:00:00:00:07", 0].port == 0
    assert report.to_dict()["maps"][0]["macs"]
