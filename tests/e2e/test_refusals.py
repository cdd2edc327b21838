"""What is no plugin, or no good one, is refused in words: by `vnet plugin check`, and from Python."""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import vnet
from generated import frames, write_pcap
from guests import GUESTS, UNSTARTABLE, Guest, batch, simple
from lab import VNET, WITHOUT_PRIVILEGE

OK, REJECTED, FAILED = 0, 4, 5
CUTS, MUTANTS = 60, 150

# Files that are no plugin, and words of the reason.
IMPOSTORS: dict[str, tuple[bytes, str]] = {
    "precompiled.cwasm": (b"\x7fELF\x02\x01\x01" + bytes(400), r"precompiled.*\.cwasm[\s\S]*hint: give the \.wasm"),
    "precompiled.wasm": (b"\x7fELF\x02\x01\x01" + bytes(400), "precompiled"),
    "component.wasm": (b"\0asm\x0d\0\x01\0", "component"),
    "future.wasm": (b"\0asm\2\0\0\0", "version"),
    "empty.wasm": (b"", "is empty"),
    "page.wasm": (b"<!doctype html>", "not a WebAssembly module"),
    "packed.wasm": (b"\x1f\x8b\x08" + bytes(20), "not a WebAssembly module"),
    "torn.wat": (b"(module", "not valid text"),
    "nothing.wat": (b"(module)", "memory|vnet_on"),
    "both.wat": (
        batch("", '(func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0))'),
        "both|one form",
    ),
    "unknown.wat": (simple("(i32.const 0)", imports='(import "vnet" "fly" (func))'), r"vnet\.fly"),
    "mistyped.wat": (simple("(i32.const 0)", imports='(import "vnet" "csum" (func (param i64)))'), "csum"),
    "borrowed.wat": (simple("(i32.const 0)", imports='(import "vnet" "m" (memory 1))'), "memory|memories"),
    "wide.wat": (simple("(i32.const 0)").replace(b'"memory") 2', b'"memory") i64 2'), "64-bit|memory64|i64"),
    "shared.wat": (simple("(i32.const 0)").replace(b'"memory") 2', b'"memory") 2 2 shared'), "shared|threads"),
    "answer.wat": (simple("(i32.const 0)").replace(b"(result i32)\n", b"(result i64)\n"), "vnet_on_packet|type"),
    "torn-info.wat": (batch("").replace(b"VNET", b"VNOT"), "magic|VNET"),
    "major.wat": (batch("").replace(b"VNET\\01", b"VNET\\02"), r"2\.0|version|major"),
    "ring.wat": (batch("").replace(b"\\28\\00\\00\\00\\10", b"\\28\\00\\00\\00\\07"), "ring_len is 7"),
    "descriptor.wat": (batch("").replace(b"\\28\\00\\00\\00\\10", b"\\29\\00\\00\\00\\10"), "desc_size"),
}

# What only a started instance tells is a rule broken, not a file refused.
TOLD_BY_VN_INFO = {"torn-info.wat", "major.wat", "ring.wat", "descriptor.wat"}


def check(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*WITHOUT_PRIVILEGE, VNET, "plugin", "check", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "panicked" not in done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("refusals") / "in.pcap"
    write_pcap(path, frames(5, 40))
    return path


@pytest.mark.parametrize("name", IMPOSTORS)
def test_what_is_no_plugin_is_refused_with_the_reason(tmp_path: Path, capture: Path, name: str) -> None:
    content, words = IMPOSTORS[name]
    path = tmp_path / name
    path.write_bytes(content)
    done = check(path)
    said = done.stderr + done.stdout
    assert done.returncode == (FAILED if name in TOLD_BY_VN_INFO else REJECTED)
    assert re.search(words, said), said
    assert "error:" in done.stderr
    assert path.stem in said
    with pytest.raises(vnet.PluginRejected, match=words):
        vnet.replay(capture, plugins=[path])
    with pytest.raises(vnet.PluginRejected, match=words) as caught:
        vnet.replay(capture, plugins=[vnet.Plugin(content, name="its-name")])
    assert caught.value.plugin


def always(module: bytes) -> bytes:
    """Return a guest that breaks its rule on every frame."""
    for pointer in ("(local.get $p)", "(i32.load (local.get $d))"):
        asks = f"(i32.eq (i32.load8_u offset=14 {pointer}) (i32.const 0x66))"
        module = module.replace(asks.encode(), b"(i32.const 1)")
    return module


@pytest.mark.parametrize(
    "name", ["trap", "endless-loop", "batch-endless", "negative", "batch-verdict", "nowhere", "appends-too-many"]
)
def test_check_names_the_broken_rule_and_shows_the_frame(tmp_path: Path, name: str) -> None:
    guest: Guest = GUESTS[name]
    path = tmp_path / f"{name}.wat"
    path.write_bytes(always(guest.module))
    done = check(path)
    assert done.returncode == FAILED
    assert f"error: plugin {name} broke 1 of" in done.stderr
    assert f"{guest.kind} (l2): " in done.stdout
    report = json.loads(check(path, "--json").stdout)
    (problem,) = report["problems"]
    assert (problem["rule"], set(report["faults"])) == (guest.kind, {guest.kind})
    assert re.search(guest.words, problem["message"])
    assert guest.drop is None or problem["frame"].startswith("0000  ")


@pytest.mark.parametrize("name", UNSTARTABLE)
def test_check_tells_what_cannot_start(tmp_path: Path, name: str) -> None:
    module, exception, words = UNSTARTABLE[name]
    path = tmp_path / f"{name}.wat"
    path.write_bytes(module)
    done = check(path)
    assert done.returncode in ((REJECTED, FAILED) if exception == "PluginRejected" else (FAILED,))
    assert re.search(words, done.stdout + done.stderr)
    assert "vnet plugin check" not in done.stdout + done.stderr


def test_check_passes_a_good_plugin_with_its_configuration() -> None:
    path = Path(__file__).resolve().parents[1] / "conformance" / "copies.wat"
    done = check(Path(f"{path}:check_mark=0"), "--json")
    assert done.returncode == OK, done.stderr
    report = json.loads(done.stdout)
    assert (report["problems"], report["faults"], report["form"]) == ([], {}, "batch")
    assert report["frames"] >= 3000


# What the plugins that do nothing without a configuration are given.
CONFIGS: dict[str, dict[str, Any]] = {
    "acl": {"rules": [{"action": "deny", "protocol": "tcp", "dst": "10.0.0.0/8", "dport": 22}]},
    "dns_block": {"names": ["ads.example"]},
    "filter": {"expression": "tcp port 80 or arp"},
    "load_balancer": {"address": "10.0.0.100", "servers": "10.0.0.11,10.0.0.12"},
    "mirror": {"to": 1},
    "nat": {"address": "203.0.113.1", "inside": "10.0.0.0/8"},
    "rate_limit": {"packets": 1000},
    "router": {"ports": [{"addresses": ["10.0.0.1/24"]}, {"addresses": ["10.0.1.1/24"]}]},
    "stateful_firewall": {"zones": {"inside": [0], "outside": [1]}, "allow": [{"from": "inside", "to": "outside"}]},
    "tunnel": {"vni": 42, "local": "10.0.0.1", "remote": "10.0.0.2"},
    "vlan": {"access": 10},
}


def verdict_on(module: bytes, capture: Path, name: str) -> str:
    """Load a module over a capture and return the reason why it was refused, "" when it ran."""
    try:
        report = vnet.replay(capture, plugins=[vnet.Plugin(module, config=CONFIGS.get(name, {}))])
    except vnet.PluginError as error:
        return error.message
    (stage,) = report.stages
    assert stage.packets_in + stage.appended == stage.passed + stage.dropped + stage.redirected + stage.tx
    assert report.frames_in + stage.appended == report.frames_out + report.dropped + sum(report.drops.values())
    return ""


@pytest.mark.parametrize("plugin", vnet.shipped(), ids=lambda plugin: plugin.name)
def test_a_truncated_module_is_refused_in_words(capture: Path, plugin: vnet.ShippedPlugin) -> None:
    whole = plugin.module
    for length in range(0, len(whole), len(whole) // CUTS):
        reason = verdict_on(whole[:length], capture, plugin.name)
        # A module may end after any section it can do without.
        assert re.search("is empty|cut short at|unexpected end|export|starts with|manifest", reason) or not reason


@pytest.mark.parametrize("plugin", vnet.shipped(), ids=lambda plugin: plugin.name)
def test_a_mutated_module_is_refused_in_words_or_runs_under_the_same_rules(
    capture: Path, plugin: vnet.ShippedPlugin
) -> None:
    rng = random.Random(17)
    refused = 0
    # Each that is no wreck is compiled: fewer of what takes long.
    mutants = MUTANTS if len(plugin.module) < 64 << 10 else MUTANTS // 2
    for _ in range(mutants):
        mutant = bytearray(plugin.module)
        for _ in range(rng.randrange(1, 4)):
            mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
        reason = verdict_on(bytes(mutant), capture, plugin.name)
        refused += bool(reason)
        assert not reason or re.match(r"plugin \S+ (was rejected|trapped|timed out): \S", reason), reason
    assert refused > mutants // 4
