from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import vnet
from packets import ethernet, is_ours
from wait import until

Script = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("netns")

# A simple plugin around one function body.
MODULE = """(module
  {imports}
  (memory (export "memory") 2)
  (data (i32.const 0) "hello from the guest")
  (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32)
    {body}))
"""


def wat(body: str, imports: str = "") -> bytes:
    return MODULE.format(body=body, imports=imports).encode()


LOGGER = wat(
    "(call $log (i32.const 1) (i32.const 0) (i32.const 20)) (i32.const 0)",
    '(import "vnet" "log" (func $log (param i32 i32 i32)))',
)
# Traps on our frames, which say 0x88b5, and lets a kernel's chatter pass.
TRAP = wat("(if (i32.eq (i32.load16_u offset=12 (local.get $p)) (i32.const 0xb588)) (then unreachable)) (i32.const 0)")
LOOP = wat(
    "(if (i32.eq (i32.load16_u offset=12 (local.get $p)) (i32.const 0xb588)) (then (loop $again (br $again)))) (i32.const 0)"
)
RECURSE = wat("(call $deeper (i32.const 1)) (i32.const 0)").replace(
    b"(func (export", b"(func $deeper (param i32) (call $deeper (local.get 0)))\n(func (export"
)


def test_a_lone_tap_answers_ping_until_broadcasts_are_dropped() -> None:
    with vnet.Tap("tap0", ip="10.0.0.1/24") as tap:
        echo = tap.attach("icmp_echo")
        assert vnet.run("ping -c1 -W2 10.0.0.2").ok
        assert echo.stats.tx >= 2
        echo.detach()
        tap.flush_neighbours()
        with tap.attach("drop_bcast") as drop:
            tap.attach("icmp_echo")
            assert not vnet.run("ping -c1 -W1 10.0.0.2").ok
            assert drop.stats.dropped >= 1
        assert vnet.run("ping -c1 -W2 10.0.0.2").ok


def test_counters_add_up_and_stay_after_detaching() -> None:
    with vnet.Tap("tap0") as tap:
        drop = tap.attach("drop_bcast", direction="egress")
        for _ in range(10):
            tap.send(ethernet())
        for _ in range(5):
            tap.send(ethernet(b"\x02\0\0\0\0\x05"))
        until(lambda: drop.stats.packets_in == 15, "15 frames were judged")
        last = drop.detach()
        assert (last.packets_in, last.dropped, last.passed) == (15, 10, 5)
        assert last.packets_in + last.appended == last.passed + last.dropped + last.redirected + last.tx
        assert sum(last.drops.values()) == 10
        assert drop.detached
        assert drop.detach() == drop.stats == last
        assert "detached" in repr(drop)
        assert tap.stats.engine is not None
        assert tap.stats.engine.balance == 0


def test_counters_stay_after_the_device_is_closed() -> None:
    with vnet.Tap("tap0") as tap:
        count = tap.attach("count", direction="egress")
        tap.send(ethernet())
        until(lambda: count.stats.packets_in == 1, "the frame was counted")
    assert count.detached
    assert count.stats.packets_in == 1


def test_forgetting_the_handle_does_not_detach() -> None:
    with vnet.Tap("tap0", ip="10.0.0.1/24") as tap:
        tap.attach("icmp_echo")
        assert vnet.run("ping -c1 -W2 10.0.0.2").ok


def test_log_lines_reach_logging_and_the_handle(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with vnet.Tap("tap0") as tap:
        plugin = tap.attach(vnet.Plugin(LOGGER, name="talker"), direction="egress")
        tap.send(ethernet())
        until(lambda: any(r.name == "vnet.plugin.talker" for r in caplog.records), "the line reached logging")
        record = next(r for r in caplog.records if r.name == "vnet.plugin.talker")
        assert record.levelno == logging.WARNING
        assert record.getMessage() == "hello from the guest"
        (line,) = plugin.logs[:1]
        assert (line.plugin, line.level, line.message) == ("talker", "warning", "hello from the guest")


def test_lines_are_logged_though_the_handle_was_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    with vnet.Tap("tap0") as tap:
        tap.attach(LOGGER, direction="egress")
        tap.send(ethernet())
        until(lambda: any(r.name == "vnet.plugin.plugin" for r in caplog.records), "the line reached logging")


@pytest.mark.parametrize(
    ("plugin", "options", "word"),
    [
        (b"\0asm\1\0\0\0", {}, "vnet_on_packet|exports|memory"),
        (b"nonsense", {}, "WebAssembly"),
        (b"", {}, "empty"),
        (wat("(call $x) (i32.const 0)", '(import "vnet" "nonsense" (func $x))'), {}, "nonsense"),
        ("drop_bcast", {"config": {"no_such_key": 1}}, "no_such_key"),
        ("drop_bcast", {"grants": ("fly",)}, "fly"),
    ],
)
def test_a_plugin_is_rejected_in_words(plugin: str | bytes, options: dict[str, object], word: str) -> None:
    with vnet.Tap("tap0") as tap, pytest.raises(vnet.PluginRejected, match=word) as caught:
        tap.attach(plugin, **options)  # type: ignore[arg-type]
    assert caught.value.plugin


def test_a_plugin_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    with vnet.Tap("tap0") as tap:
        with pytest.raises(vnet.NotFound, match="nonsense") as caught:
            tap.attach("nonsense")
        assert "drop_bcast" in (caught.value.hint or "")
        with pytest.raises(vnet.NotFound, match=r"p\.wasm"):
            tap.attach(tmp_path / "p.wasm")
        with pytest.raises(vnet.InvalidValue, match="JSON"):
            tap.attach("count", config={"a": object()})
        with pytest.raises(vnet.InvalidValue, match="sideways"):
            tap.attach("count", direction="sideways")  # type: ignore[arg-type]


def test_an_ethernet_plugin_is_refused_on_a_tun() -> None:
    with vnet.Tun("tun0") as tun, pytest.raises(vnet.PluginRejected, match=r"l2|Ethernet"):
        tun.attach("drop_bcast")


def test_a_plugin_file_is_loaded_as_text_or_binary(tmp_path: Path) -> None:
    text = tmp_path / "pass.wat"
    text.write_bytes(wat("(i32.const 0)"))
    binary = tmp_path / "drop.wasm"
    binary.write_bytes(next(plugin.module for plugin in vnet.shipped() if plugin.name == "drop_bcast"))
    with vnet.Tap("tap0") as tap:
        assert tap.attach(text).name == "pass"
        assert tap.attach(str(binary)).name == "drop_bcast"


def test_a_mtu_that_does_not_fit_the_plugin_is_refused() -> None:
    with vnet.Tap("tap0", mtu=9000) as tap, pytest.raises(vnet.PluginRejected, match=r"9000|9022|2048"):
        tap.attach(wat("(i32.const 0)"))


@pytest.mark.parametrize(("module", "kind"), [(TRAP, "trap"), (LOOP, "timeout"), (RECURSE, "trap")])
def test_a_guest_that_fails_is_replaced_and_others_go_on(module: bytes, kind: str) -> None:
    with vnet.Tap("tap0") as bad, vnet.Tap("tap1") as good:
        faulty = bad.attach(module, direction="egress", trip=vnet.Trip(faults=3))
        counter = good.attach("count", direction="egress")
        bad.send(ethernet())
        until(lambda: faulty.stats.faults.get(kind, 0) >= 1, f"a {kind} was counted", 20)
        good.send(ethernet())
        until(lambda: counter.stats.packets_in >= 1, "the other device goes on")
        stats = faulty.stats
        assert stats.last_fault is not None
        assert stats.last_fault.kind == kind
        assert stats.last_fault.message
        assert stats.drops["fault"] >= 1


def test_a_plugin_that_keeps_failing_trips() -> None:
    with vnet.Tap("tap0") as tap:
        faulty = tap.attach(TRAP, direction="egress", on_fault="open", trip=vnet.Trip(faults=2, within=60, retry=3600))

        def failed() -> bool:
            tap.send(ethernet())
            return faulty.stats.state == "tripped"

        until(failed, "the plugin tripped", 20)
        before = tap.stats.kernel.rx_packets
        tap.send(ethernet())
        until(lambda: tap.stats.kernel.rx_packets > before, "frames pass while it is out of service")


def test_a_trap_after_faulthandler_was_enabled_leaves_python_alive(script: Script) -> None:
    source = f"""
import faulthandler, time, vnet
tap = vnet.Tap("tap0")
first = tap.attach("count", direction="egress")
faulthandler.enable()
trap = tap.attach({TRAP!r}, direction="egress")
deep = tap.attach({RECURSE!r}, direction="egress")
end = time.monotonic() + 20
while not (trap.stats.faults.get("trap") and deep.stats.faults.get("trap")):
    assert time.monotonic() < end
    tap.send(b"\\xff" * 12 + b"\\x88\\xb5" + b"\\0" * 46)
    tap.send(b"\\xff" * 12 + b"\\x88\\xb6" + b"\\0" * 46)
tap.close()
print("alive")
"""
    done = script(source)
    assert (done.stdout, done.returncode) == ("alive\n", 0), done.stderr
    assert "Fatal" not in done.stderr


def test_direction_both_is_one_instance_for_both() -> None:
    with vnet.Veth("ep1", "ep2") as (a, b):
        both = a.attach("count", direction="both")
        before = both.stats.packets_in
        a.send(ethernet(payload=b"out"))
        b.send(ethernet(payload=b"in"))
        until(lambda: both.stats.packets_in >= before + 2, "both directions were counted")
        assert any(is_ours(bytes(frame)) for frame in a)
