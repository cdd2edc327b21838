"""Plugins that are called at a time, send frames of their own, and draw random numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import vnet
from wait import until

KEEPALIVE = Path(__file__).resolve().parents[2] / "plugins" / "examples" / "keepalive.wasm"
EXPERIMENT = b"\x88\xb5"


def sampler() -> bytes:
    """A plugin that drops every frame for which a random number is odd."""
    quoted = "".join(f"\\{byte:02x}" for byte in json.dumps({"name": "sampler", "capabilities": ["random"]}).encode())
    return f"""(module (@custom "vnet.manifest" "{quoted}")
      (import "vnet" "random" (func $random (result i64)))
      (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
      (func (export "vnet_on_packet") (param i32 i32) (result i32)
        (i32.and (i32.wrap_i64 (call $random)) (i32.const 1))))""".encode()


def capture(path: Path, frames: int, every_us: int) -> Path:
    """Writes a classic capture of so many frames, each with its number."""
    header = (
        bytes.fromhex("d4c3b2a1020004000000000000000000") + (65535).to_bytes(4, "little") + (1).to_bytes(4, "little")
    )
    with path.open("wb") as out:
        out.write(header)
        for n in range(frames):
            seconds, microseconds = divmod(n * every_us, 1_000_000)
            for word in (1_700_000_000 + seconds, microseconds, 60, 60):
                out.write(word.to_bytes(4, "little"))
            out.write(bytes(12) + EXPERIMENT + n.to_bytes(46, "big"))
    return path


def test_a_keepalive_leaves_a_lab_link_by_itself_until_it_is_detached() -> None:
    with vnet.Network("keepalive") as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2)
        plugin = vnet.Plugin(KEEPALIVE, config={"every_ms": 10}, grants=["timer", "inject"])
        with link.attach(plugin) as flt:
            # Port 0 is the link's first end.
            shown = h1.run("timeout 30 tcpdump -enn -i eth0 -c 5 ether proto 0x88b5", check=True).stdout
            assert shown.count("02:00:00:00:00:aa") == 5
            until(lambda: flt.stats.injected >= 5, "five frames")
            stats = flt.stats
            assert stats.timer_calls >= stats.injected
            assert stats.packets_in + stats.appended == stats.passed + stats.dropped + stats.redirected + stats.tx
            assert h1.ping(h2)
        assert flt.stats.faults == {}


@pytest.mark.usefixtures("netns")
def test_the_kernel_receives_what_a_plugin_sends() -> None:
    with vnet.Tap("tap0", ip="10.0.0.1/24") as tap, vnet.open("tap0") as watcher:
        # What the plugin sends leaves through the device: the kernel receives it, as anybody who listens there.
        flt = tap.attach(vnet.Plugin(KEEPALIVE, config={"every_ms": 5}, grants=["timer", "inject"]))
        numbers = []
        while len(numbers) < 5:
            frame = bytes(watcher.recv(timeout=10))
            if frame[6:14] == bytes.fromhex("0200000000aa") + EXPERIMENT:
                numbers.append(int.from_bytes(frame[14:18], "big"))
        assert numbers == list(range(numbers[0], numbers[0] + 5))
        stats = flt.detach()
        assert stats.injected > numbers[-1]
        assert tap.stats.engine is not None
        assert tap.stats.engine.appended == stats.injected


def test_in_a_replay_timers_come_in_the_time_of_the_capture(tmp_path: Path) -> None:
    source = capture(tmp_path / "in.pcap", 4, 25_000)
    plugin = vnet.Plugin(KEEPALIVE, grants=["timer", "inject"])
    report = vnet.replay(source, plugins=[plugin], out=tmp_path / "out.pcap")
    # The capture lasts 75 ms: seven keepalives of 10 ms.
    assert (report.frames_in, report.frames_out, report.stages[0].injected) == (4, 11, 7)


def test_a_random_sampler_repeats_itself_with_the_same_seed(tmp_path: Path) -> None:
    source = capture(tmp_path / "in.pcap", 400, 10)

    def missing(seed: int) -> tuple[int, ...]:
        plugin = vnet.Plugin(sampler(), grants=["random"], seed=seed)
        return vnet.replay(source, plugins=[plugin], diff=True).missing

    first = missing(7)
    assert 100 < len(first) < 300
    assert missing(7) == first
    assert missing(8) != first


def test_what_was_not_granted_is_refused_with_what_to_do(tmp_path: Path) -> None:
    source = capture(tmp_path / "in.pcap", 1, 10)
    with pytest.raises(vnet.PluginRejected, match='wants the capability "timer", which was not granted') as error:
        vnet.replay(source, plugins=[vnet.Plugin(KEEPALIVE, grants=["inject"])])
    assert error.value.hint is not None
    assert "--grant timer" in error.value.hint
    with pytest.raises(vnet.PluginRejected, match='unknown capability "fly"'):
        vnet.replay(source, plugins=[vnet.Plugin(KEEPALIVE, grants=["fly"])])


def test_attach_and_lab_files_grant_too(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(
        f"""
        [hosts.h1]
        [hosts.h2]
        [[links]]
        ends = ["h1", "h2"]
        plugins = [{{ plugin = "{KEEPALIVE}", grants = ["timer", "inject"] }}]
        """
    )
    with vnet.Network.load(file) as net:
        assert net.to_dict()["links"][0]["plugins"][0]["grants"] == ["timer", "inject"]
        until(lambda: any(stage.injected for stage in stages(net)), "a frame of the plugin's own")
        flt = next(iter(net.links)).attach(KEEPALIVE, grants=["timer", "inject"])
        until(lambda: flt.stats.injected > 0, "a frame of the other one")
    file.write_text(file.read_text().replace('"timer", ', '"clock", '))
    with pytest.raises(vnet.LabFileError, match="clock"):
        vnet.Network.load(file)
    file.write_text(file.read_text().replace('"clock", ', ""))
    with pytest.raises(vnet.LabFileError, match='wants the capability "timer"'):
        vnet.Network.load(file)


def stages(net: vnet.Network) -> list[vnet.StageStats]:
    return [stage for pipeline in net.stats().engine.values() for stage in pipeline.stages]


def test_the_command_line_grants(tmp_path: Path) -> None:
    source = capture(tmp_path / "in.pcap", 4, 25_000)
    command = [sys.executable, "-m", "vnet", "replay", str(source), "--plugin", str(KEEPALIVE), "--json"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 4
    assert "--grant timer" in refused.stderr
    granted = subprocess.run(
        [*command, "--grant", "timer", "--grant", "inject"], capture_output=True, text=True, check=True
    )
    assert json.loads(granted.stdout)["stages"][0]["injected"] == 7
    unknown = subprocess.run([*command, "--grant", "fly"], capture_output=True, text=True, check=False)
    assert unknown.returncode == 2
