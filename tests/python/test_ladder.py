from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
import view_samples
import vnet


def pcap(frames: list[vnet.Frame], *, order: str = "<", nanoseconds: bool = True, linktype: int = 1) -> bytes:
    unit = 1 if nanoseconds else 1000
    file = struct.pack(order + "IHHIIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype)
    for frame in frames:
        seconds, rest = divmod(frame.timestamp_ns, 10**9)
        file += struct.pack(order + "IIII", seconds, rest // unit, len(frame), len(frame)) + bytes(frame)
    return file


def block(order: str, kind: int, body: bytes) -> bytes:
    size = struct.pack(order + "I", 12 + len(body) + -len(body) % 4)
    return struct.pack(order + "I", kind) + size + body + bytes(-len(body) % 4) + size


def pcapng(frames: list[vnet.Frame], order: str) -> bytes:
    file = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    file += block(order, 1, struct.pack(order + "HHI", 1, 0, 0) + struct.pack(order + "HHBxxx", 9, 1, 9))
    file += block(order, 0x0BAD, b"what nobody knows")
    for frame in frames:
        head = struct.pack(
            order + "IIIII", 0, frame.timestamp_ns >> 32, frame.timestamp_ns & 0xFFFFFFFF, len(frame), len(frame)
        )
        file += block(order, 6, head + bytes(frame))
    return file


FORMS = {
    "pcap": pcap(view_samples.CONNECTION),
    "pcap-microseconds-big-endian": pcap(view_samples.CONNECTION, order=">", nanoseconds=False),
    "pcapng": pcapng(view_samples.CONNECTION, "<"),
    "pcapng-big-endian": pcapng(view_samples.CONNECTION, ">"),
    "two-sections": pcapng(view_samples.CONNECTION[:4], "<") + pcapng(view_samples.CONNECTION[4:], ">"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_connection_is_told_from_a_capture_of_every_form(form: str, tmp_path: Path) -> None:
    path = tmp_path / form
    path.write_bytes(FORMS[form])
    ladder = vnet.ladder(path)
    assert ladder.endpoints == ("10.0.0.1", "10.0.0.2")
    assert [message.note for message in ladder] == [None, "retransmission", None, None, None, None, None, "reset"]
    assert ladder.messages[5].text == "80 → 40000 PSH ACK, 1,200 bytes"
    assert ladder.messages[2].time == pytest.approx(1.0001)
    assert ladder == vnet.ladder(view_samples.CONNECTION)


@pytest.mark.parametrize("form", FORMS)
def test_a_capture_that_is_cut_short_ends_at_its_last_whole_frame(form: str, tmp_path: Path) -> None:
    path = tmp_path / form
    for size in range(24, len(FORMS[form]), 7):
        path.write_bytes(FORMS[form][:size])
        assert len(vnet.ladder(path)) <= len(view_samples.CONNECTION)


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_capture_is_read_or_refused_in_words(form: str, tmp_path: Path) -> None:
    path, file = tmp_path / form, FORMS[form]
    for at in range(0, len(file), 3):
        path.write_bytes(file[:at] + b"\xff" + file[at + 1 :])
        with contextlib.suppress(vnet.InvalidValue, vnet.Unsupported):
            vnet.ladder(path)


def test_a_dns_exchange_says_what_was_asked_and_answered() -> None:
    ladder = vnet.ladder([view_samples.dns(query=True), view_samples.dns(query=False, at=400_000)], protocol="dns")
    assert [message.text for message in ladder] == ["A h2.lab", "A h2.lab: 10.0.0.2"]
    assert [message.source for message in ladder] == ["10.0.0.1", "10.0.0.9"]


def test_messages_are_chosen_by_host_port_protocol_and_number() -> None:
    frames = [*view_samples.CONNECTION, view_samples.dns(query=True), vnet.Frame(view_samples.ARP)]
    assert {message.protocol for message in vnet.ladder(frames)} == {"tcp", "dns", "arp"}
    assert len(vnet.ladder(frames, host="10.0.0.9")) == 1
    assert len(vnet.ladder(frames, port=40000)) == len(view_samples.CONNECTION)
    assert vnet.ladder(frames, protocol="arp").messages[0].text == "ARP who has 10.0.0.2? tell 10.0.0.1"
    short = vnet.ladder(frames, limit=3)
    assert (len(short), short.more) == (3, 7)
    assert repr(short).endswith("and 7 more")
    with pytest.raises(vnet.InvalidValue, match="limit"):
        vnet.ladder(frames, limit=0)


def test_what_is_no_capture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(vnet.NotFound, match=r"missing\.pcap"):
        vnet.ladder(tmp_path / "missing.pcap")
    path = tmp_path / "text"
    path.write_text("no capture at all")
    with pytest.raises(vnet.InvalidValue, match="no capture file"):
        vnet.ladder(path)
    path.write_bytes(pcap(view_samples.CONNECTION, linktype=105))
    with pytest.raises(vnet.Unsupported, match="link type 105"):
        vnet.ladder(path)
    path.write_bytes(block("<", 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + struct.pack("<II", 6, 5))
    with pytest.raises(vnet.InvalidValue, match="damaged"):
        vnet.ladder(path)
    path.write_bytes(b"")
    assert len(vnet.ladder(path)) == 0
