"""Frames of capture files as data, and on their way to Wireshark."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import view_samples
import vnet
from vnet._evidence import parsed
from vnet._packets import Captured


def block(kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(name: str) -> bytes:
    return block(1, struct.pack("<HHI", 1, 0, 0) + option(2, name.encode()) + option(9, b"\x09") + bytes(4))


def packet(number: int, at: int, data: bytes, *, flags: int = 0, comments: Sequence[str] = (), ident: int = 0) -> bytes:
    body = struct.pack("<IIIII", number, at >> 32, at & 0xFFFFFFFF, len(data), len(data)) + data + bytes(-len(data) % 4)
    for comment in comments:
        body += option(1, comment.encode())
    if flags:
        body += option(2, struct.pack("<I", flags))
    if ident:
        body += option(5, struct.pack("<Q", ident))
    return block(6, body + bytes(4))


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "lab.pcapng"
    frames = [bytes(frame) for frame in view_samples.CONNECTION]
    content = SECTION + interface("h1-eth0") + interface("h1-r1/acl")
    content += packet(0, 1_700_000_000_000_000_007, frames[0], flags=2)
    content += packet(1, 1_700_000_000_000_001_000, frames[0], flags=1, ident=77)
    content += packet(1, 1_700_000_000_000_002_000, frames[2], comments=['acl: drop, reason 3 "no"', "two"], ident=77)
    path.write_bytes(content)
    return path


def test_frames_know_where_they_were_seen_and_what_was_said(capture: Path) -> None:
    packets = vnet.Packets.read(capture)
    assert len(packets) == 3
    assert [frame.interface for frame in packets] == ["h1-eth0", "h1-r1/acl", "h1-r1/acl"]
    assert [frame.direction for frame in packets] == ["out", "in", None]
    assert [frame.packet for frame in packets] == [0, 77, 77]
    assert packets[-1].comment == 'acl: drop, reason 3 "no"\ntwo'
    assert packets[0].timestamp_ns == 1_700_000_000_000_000_007
    assert [bytes(frame) for frame in packets[1:]] == [
        bytes(view_samples.CONNECTION[0]),
        bytes(view_samples.CONNECTION[2]),
    ]
    with pytest.raises(IndexError):
        packets[3]
    assert vnet.Frame(b"").interface == ""
    assert vnet.Frame(b"").direction is None


def test_a_filter_chooses_frames(capture: Path) -> None:
    packets = vnet.Packets.read(capture)
    assert len(packets.choose("tcp and src host 10.0.0.2")) == 1
    assert len(packets.choose("tcp").choose("src port 40000")) == 2
    assert [frame.packet for frame in packets[1:].choose("src port 40000")] == [77]
    with pytest.raises(vnet.InvalidValue, match="at character 5") as error:
        packets.choose("tcp prot 80")
    assert "did you mean" in str(error.value.hint)


def test_columns_make_a_table(capture: Path) -> None:
    columns = vnet.Packets.read(capture).columns()
    assert columns["interface"] == ["h1-eth0", "h1-r1/acl", "h1-r1/acl"]
    assert columns["src"] == ["10.0.0.1", "10.0.0.1", "10.0.0.2"]
    assert columns["dport"] == [80, 80, 40000]
    assert columns["direction"] == ["out", "in", None]
    assert all(text.startswith("IP 10.0.0.") for text in columns["summary"])
    try:
        import pandas
    except ImportError:
        with pytest.raises(vnet.Unsupported, match="pandas"):
            vnet.Packets.read(capture).to_pandas()
        return
    table = vnet.Packets.read(capture).to_pandas()
    assert table["time"][0] == pandas.Timestamp(1_700_000_000_000_000_007)
    assert list(table["length"]) == columns["length"]


def test_a_file_that_is_written_ends_at_its_last_whole_frame(capture: Path, tmp_path: Path) -> None:
    whole = capture.read_bytes()
    for end in range(0, len(whole), 7):
        part = tmp_path / "part.pcapng"
        part.write_bytes(whole[:end])
        assert len(vnet.Packets.read(part)) <= 3
    with pytest.raises(vnet.NotFound):
        vnet.Packets.read(tmp_path / "none.pcapng")
    (tmp_path / "text").write_text("no capture at all, but some words")
    with pytest.raises(vnet.InvalidValue, match="no pcap or pcapng file"):
        vnet.Packets.read(tmp_path / "text")


def test_a_million_frames_are_read_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "many.pcapng"
    one = packet(0, 1_700_000_000_000_000_000, bytes(view_samples.CONNECTION[0]), flags=1)
    path.write_bytes(SECTION + interface("h1-eth0") + one * 1_000_000)
    began = time.process_time()
    packets = vnet.Packets.read(path)
    assert len(packets) == 1_000_000
    assert time.process_time() - began < 20
    assert packets[999_999].interface == "h1-eth0"


class Growing(Captured):
    """A capture whose file the test writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stopped = False

    def _files(self) -> Sequence[str]:
        return [str(self.path)]

    def _is_stopped(self) -> bool:
        return self.stopped


def test_wireshark_gets_frames_as_they_come(capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "wireshark"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/options\nexec cat > {tmp_path}/got\n')
    program.chmod(0o755)
    growing = Growing(capture)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(vnet.NotFound, match="wireshark") as error:
        growing.wireshark()
    assert "apt-get install wireshark" in str(error.value.hint)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    process = growing.wireshark("-Y", "tcp")
    got = tmp_path / "got"
    deadline = time.monotonic() + 30
    while not (got.exists() and got.read_bytes() == capture.read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with capture.open("ab") as file:
        file.write(packet(0, 1_700_000_000_000_003_000, b"x" * 60))
    growing.stopped = True
    assert process.wait(timeout=30) == 0
    assert got.read_bytes() == capture.read_bytes()
    assert (tmp_path / "options").read_text() == "-k -i - -Y tcp\n"


def test_counters_of_the_kernel_are_read_in_both_their_forms() -> None:
    text = "Ip: Forwarding OutNoRoutes\nIp: 1 7\nUdp: NoPorts\nUdp: 2\nIp6InNoRoutes      \t3\n"
    assert parsed(text) == {"Ip.Forwarding": 1, "Ip.OutNoRoutes": 7, "Udp.NoPorts": 2, "Ip6InNoRoutes": 3}
    assert parsed("") == {}


def test_a_walk_is_told_as_a_table() -> None:
    walk = view_samples.walk()
    lines = str(walk).splitlines()
    assert lines[0] == walk.frame.summary()
    assert lines[1] == walk.outcome
    assert "10.0.0.1 \N{RIGHTWARDS ARROW} 192.0.2.1" in str(walk)
    assert "(2 frames)" in str(walk)
    assert "answer:" in lines
    assert not walk.delivered
    assert walk.answer is not None
    assert walk.answer.delivered
    assert len(walk) == 3
    assert [hop.verdict for hop in walk] == ["sent", "pass", "drop"]
    assert walk.columns()["stage"] == ["", "nat", "acl"]
    with pytest.raises(vnet.InvalidValue, match="count=0"):
        vnet.Network("sample").walk("tcp", count=0)
