"""`vnet replay`: a capture through plugins, read back by tshark."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import SHIPPED, VNET, WITHOUT_PRIVILEGE
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet
from scapy.utils import PcapNgWriter


def frames() -> Iterator[Packet]:
    """Three broadcasts among eight frames."""
    host, other = "02:00:00:00:00:01", "02:00:00:00:00:02"
    yield Ether(src=host, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.0.1", pdst="10.0.0.2")
    yield Ether(src=other, dst=host) / ARP(op=2, psrc="10.0.0.2", pdst="10.0.0.1")
    for number in range(4):
        yield Ether(src=host, dst=other) / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(seq=number) / b"vnet"
    for port in (67, 68):
        yield (
            Ether(src=host, dst="ff:ff:ff:ff:ff:ff") / IP(src="10.0.0.1", dst="10.0.0.255") / UDP(dport=port) / b"hello"
        )


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "in.pcapng"
    with PcapNgWriter(str(path)) as writer:
        for frame in frames():
            writer.write(frame)
    return path


def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, argv)], capture_output=True, text=True, timeout=60, check=False)


def replay(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return run(*WITHOUT_PRIVILEGE, VNET, "replay", *argv)


def tshark(path: Path, *argv: str) -> list[str]:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is missing: apt-get install tshark")
    read = run("tshark", "-n", "-r", path, *argv)
    assert read.returncode == 0, read.stderr
    return read.stdout.splitlines()


@pytest.mark.parametrize("suffix", ["pcapng", "pcap"])
def test_dropped_frames_are_absent_and_counted(capture: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    done = replay(capture, "--plugin", SHIPPED / "drop_bcast.wasm", "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["frames_in"], report["frames_out"], report["dropped"]) == (8, 5, 3)
    assert report["stages"][0]["dropped"] == 3
    assert len(tshark(out)) == 5
    assert tshark(out, "-Y", "eth.dst == ff:ff:ff:ff:ff:ff") == []


def test_times_and_bytes_of_what_passes_are_kept(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    assert replay(capture, "-o", out).returncode == 0
    fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "eth.src", "-e", "ip.checksum"]
    assert tshark(out, *fields) == tshark(capture, *fields)


def test_diff_names_the_frames_changed_and_missing(capture: Path, tmp_path: Path) -> None:
    done = replay(capture, "--plugin", "drop_bcast", "--diff", "--json")
    report = json.loads(done.stdout)
    assert report["missing"] == [1, 7, 8]
    assert report["changed"] == []
    flip = tmp_path / "flip.wat"
    flip.write_text(
        """(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
        (func (export "vnet_on_packet") (param $p i32) (param $n i32) (result i32)
          (if (i32.ge_u (local.get $n) (i32.const 40)) (then (i32.store8 offset=20 (local.get $p) (i32.const 0x99))))
          (i32.const 0)))"""
    )
    done = replay(capture, "--plugin", flip, "--diff", "--json")
    changed = json.loads(done.stdout)["changed"]
    assert [change["number"] for change in changed] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {change["first_difference"] for change in changed} == {20}
    text = replay(capture, "--plugin", flip, "--diff").stdout
    assert "frame 3: 1 bytes changed from offset 20" in text


def test_a_file_that_is_no_capture_says_where_and_why(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(b"not a capture at all")
    done = replay(path)
    assert done.returncode == 1
    assert "x.pcap" in done.stderr
    assert "its first bytes are" in done.stderr
    cut = tmp_path / "cut.pcapng"
    with PcapNgWriter(str(cut)) as writer:
        writer.write(next(frames()))
    cut.write_bytes(cut.read_bytes()[:-7])
    assert "cut.pcapng" in replay(cut).stderr


def test_a_replay_over_an_impaired_link_is_the_same_with_the_same_seed(capture: Path, tmp_path: Path) -> None:
    def replay(seed: str, out: str) -> tuple[bytes, dict[str, Any]]:
        command = [VNET, "replay", capture, "--loss", "50%", "--delay", "1ms", "--seed", seed, "--json"]
        done = subprocess.run([*command, "-o", tmp_path / out], capture_output=True, text=True, check=True, timeout=60)
        return (tmp_path / out).read_bytes(), json.loads(done.stdout)

    first, report = replay("3", "a.pcap")
    assert report["frames_in"] == 8
    assert report["frames_out"] + report["drops"]["loss"] == 8
    assert report["line"]["asked"] == {"delay": "1ms", "loss": "50%"}
    assert replay("3", "b.pcap")[0] == first
    assert any(replay(str(seed), "c.pcap")[0] != first for seed in range(4, 9))
    shown = subprocess.run([VNET, "replay", capture, "--loss", "100%"], capture_output=True, text=True, check=True)
    assert "loss 100%: 8 in, 0 out, 8 lost" in shown.stdout


@pytest.mark.parametrize("command", [["replay", "in.pcapng"], ["wire", "ep1", "ep2"]])
def test_an_impairment_with_a_wrong_unit_is_a_usage_error_that_shows_the_right_form(command: list[str]) -> None:
    done = subprocess.run(
        [VNET, *command, "--delay", "10 meters"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert 'delay: "10 meters"; expected a time such as "10ms"' in done.stderr
