from __future__ import annotations

import io
import pickle
import subprocess
import time
from pathlib import Path

import pytest
import vnet
from packets import ethernet, is_ours
from wait import drain, until


def arp_request() -> bytes:
    packet = bytes.fromhex("0001080006040001020000000001 0a000001 000000000000 0a000002")
    return b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x08\x06" + packet


def test_a_frame_is_bytes_without_a_copy() -> None:
    data = ethernet(payload=b"hello")
    frame = vnet.Frame(data, timestamp_ns=1_500_000_000)
    view = memoryview(frame)
    assert view.readonly
    assert view.obj is frame
    assert bytes(frame) == bytes(view) == data
    assert len(frame) == len(data)
    assert frame[0] == 0xFF
    assert frame[14:19] == b"hello"
    out = io.BytesIO()
    out.write(frame)
    assert out.getvalue() == data
    assert (frame.timestamp, frame.timestamp_ns, frame.layer) == (1.5, 1_500_000_000, "l2")
    with pytest.raises(TypeError):
        view[0] = 1


def test_the_view_outlives_the_name_of_the_frame() -> None:
    view = memoryview(vnet.Frame(ethernet(payload=b"x" * 1000)))
    assert bytes(view[14:1014]) == b"x" * 1000


def test_frames_are_equal_by_their_octets() -> None:
    data = ethernet()
    frame = vnet.Frame(data)
    assert frame == vnet.Frame(bytearray(data), timestamp_ns=7)
    assert frame == data
    assert frame != ethernet(payload=b"other")
    assert frame != 5
    assert hash(frame) == hash(data)
    assert pickle.loads(pickle.dumps(frame)) == frame


def test_a_frame_describes_itself_as_tcpdump_does() -> None:
    frame = vnet.Frame(arp_request())
    assert frame.summary() == "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28"
    assert repr(frame) == f"<vnet.Frame 42 bytes: {frame.summary()}>"
    assert frame.hexdump().splitlines()[0] == "\t0x0000:  ffff ffff ffff 0200 0000 0001 0806 0001"


def test_scapy_takes_a_frame() -> None:
    pytest.importorskip("scapy", reason="scapy is not installed: pip install scapy")
    packet = vnet.Frame(arp_request(), timestamp_ns=2_000_000_000).scapy()
    assert packet.haslayer("ARP")
    assert packet["ARP"].pdst == "10.0.0.2"
    assert packet.time == 2.0


def test_without_scapy_the_command_that_installs_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    def refuse(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(vnet.Unsupported, match="pip install"):
        vnet.Frame(arp_request()).scapy()


def test_a_bad_layer_is_refused() -> None:
    with pytest.raises(vnet.InvalidValue, match="l4"):
        vnet.Frame(b"", layer="l4")  # type: ignore[arg-type]


@pytest.mark.usefixtures("netns")
class TestOnDevices:
    def test_what_is_sent_at_one_end_comes_out_at_the_other(self) -> None:
        with vnet.Veth("ep1", "ep2") as (a, b):
            assert b.stats.engine is None
            drain(b)
            before = time.time()
            a.send(ethernet(payload=b"one"))
            frame = next(frame for frame in b if is_ours(bytes(frame)))
            assert frame == ethernet(payload=b"one")
            assert abs(frame.timestamp - before) < 5

    def test_a_received_frame_can_be_sent_back(self) -> None:
        with vnet.Veth("ep1", "ep2") as (a, b):
            for end in (a, b):
                drain(end)
            a.send(ethernet(payload=b"ping"))
            b.send(next(frame for frame in b if is_ours(bytes(frame))))
            assert next(frame for frame in a if is_ours(bytes(frame))) == ethernet(payload=b"ping")

    def test_anything_with_bytes_can_be_sent(self) -> None:
        with vnet.Tap("tap0") as tap:
            for kind in (bytes, bytearray, memoryview, vnet.Frame):
                tap.send(kind(ethernet()))
            until(lambda: tap.stats.kernel.rx_packets == 4, "the kernel received 4 frames")
            with pytest.raises(TypeError):
                tap.send("text")  # type: ignore[arg-type]

    @pytest.mark.parametrize("length", [0, 13, 1600])
    def test_a_frame_the_device_cannot_carry_is_refused(self, length: int) -> None:
        with vnet.Tap("tap0") as tap, pytest.raises(vnet.InvalidValue, match=str(length)):
            tap.send(b"\xff" * length)

    def test_a_vanished_receiver_times_out(self) -> None:
        with vnet.Tap("tap0", up=False) as tap:
            start = time.monotonic()
            with pytest.raises(vnet.TimeoutError, match="tap0") as caught:
                tap.recv(timeout=0.3)
            assert isinstance(caught.value, TimeoutError)
            assert 0.3 <= time.monotonic() - start < 5

    def test_a_capture_holds_what_crossed_the_device(self, tmp_path: Path) -> None:
        path = tmp_path / "out.pcapng"
        with vnet.Tap("tap0") as tap:
            with tap.record(path) as recording:
                for number in range(20):
                    tap.send(ethernet(payload=bytes([number])))
                until(lambda: tap.stats.kernel.rx_packets >= 20, "the kernel received 20 frames")
                recorded = recording.stop()
            assert recorded.frames >= 20
            assert recorded.lost == 0
        report = vnet.replay(path)
        assert report.frames_in == recorded.frames
        shown = subprocess.run(["tcpdump", "-nr", path], capture_output=True, text=True, check=True).stdout
        assert shown.count("88b5") == 20
