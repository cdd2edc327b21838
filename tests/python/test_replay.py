from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import vnet
from packets import ethernet


def capture(path: Path, frames: list[bytes]) -> None:
    """Writes a classic pcap file of Ethernet frames."""
    out = bytearray(b"\xd4\xc3\xb2\xa1\x02\0\x04\0" + bytes(8) + (65535).to_bytes(4, "little") + b"\1\0\0\0")
    for number, frame in enumerate(frames):
        for word in (number, 0, len(frame), len(frame)):
            out += word.to_bytes(4, "little")
        out += frame
    path.write_bytes(out)


UNICAST = ethernet(b"\x02\0\0\0\0\x05")


def test_dropped_frames_are_absent_and_counted(tmp_path: Path) -> None:
    source, out = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    capture(source, [ethernet(), UNICAST, ethernet(), UNICAST, UNICAST])
    report = vnet.replay(source, plugins=["drop_bcast"], out=out, diff=True)
    assert (report.frames_in, report.frames_out, report.dropped) == (5, 3, 2)
    assert report.missing == (1, 3)
    assert report.changed == ()
    assert report.stages[0].dropped == 2
    assert report.to_dict()["frames_out"] == 3
    assert vnet.replay(out).frames_in == 3
    shown = subprocess.run(["tcpdump", "-enr", out], capture_output=True, text=True, check=True).stdout
    assert "ff:ff:ff:ff:ff:ff" not in shown
    assert shown.count("02:00:00:00:00:05") == 3


def test_a_file_that_is_no_capture_is_refused_with_the_reason(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"nonsense")
    with pytest.raises(vnet.SystemFailure, match=r"bad\.pcap"):
        vnet.replay(bad)
    with pytest.raises(vnet.NotFound, match=r"none\.pcap"):
        vnet.replay(tmp_path / "none.pcap")


def test_it_needs_no_privilege(tmp_path: Path) -> None:
    import sys

    source = tmp_path / "in.pcap"
    capture(source, [ethernet(), UNICAST])
    program = f"import vnet; print(vnet.replay({str(source)!r}, plugins=['drop_bcast']).frames_out)"
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


def test_the_same_seed_meets_the_same_fate(tmp_path: Path) -> None:
    source = tmp_path / "in.pcap"
    capture(source, [ethernet(payload=number.to_bytes(4, "big")) for number in range(1000)])

    def fates(seed: int, name: str) -> tuple[bytes, vnet.ReplayReport]:
        out = tmp_path / name
        impair: vnet.Impairments = {"loss": "10%", "delay": "1.5s", "jitter": "1s", "duplicate": "5%"}
        report = vnet.replay(source, out=out, impair=impair, seed=seed)
        return out.read_bytes(), report

    first, report = fates(7, "first.pcap")
    assert report.line is not None
    assert report.line.lost == report.drops["loss"] > 50
    assert report.frames_in == 1000
    assert report.duplicated == report.line.duplicated > 20
    assert report.frames_out == 1000 - report.line.lost + report.duplicated
    assert report.line.overtaken > 0
    again, _ = fates(7, "again.pcap")
    assert again == first
    other, _ = fates(8, "other.pcap")
    assert other != first
    assert vnet.replay(source).line is None
    with pytest.raises(vnet.InvalidValue, match=r'loss: "x"'):
        vnet.replay(source, impair={"loss": "x"})
    with pytest.raises(vnet.InvalidValue, match="gap is 5 without reorder"):
        vnet.replay(source, impair={"gap": 5})
    with pytest.raises(TypeError, match="flavour"):
        vnet.replay(source, impair={"flavour": 5})  # type: ignore[typeddict-unknown-key]
