"""Plugins that break one rule each when they meet a frame that asks for it, and how the host must take it."""

from __future__ import annotations

from dataclasses import dataclass

ORDINARY = b"\x02\0\0\0\0\x05" + b"\x02\0\0\0\0\x99" + b"\x88\xb5" + bytes(46)
ASKING = ORDINARY[:14] + b"\x66" + bytes(45)

IMPORTS = """
(import "vnet" "set_len" (func $set_len (param i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
(import "env" "abort" (func $abort (param i32 i32 i32 i32)))
"""


def simple(body: str, more: str = "", imports: str = IMPORTS) -> bytes:
    """Return a plugin that runs `body`, whose last value is its answer, on a frame that asks for it, and passes others."""
    return f"""(module {imports}
      (memory (export "memory") 2)
      (global (export "vnet_frame") i32 (i32.const 65536))
      (table 2 funcref)
      {more}
      (func $deeper (param i64) (result i64)
        (i64.add (local.get 0) (call $deeper (i64.add (local.get 0) (i64.const 1)))))
      (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32)
        (if (result i32) (i32.eq (i32.load8_u offset=14 (local.get $p)) (i32.const 0x66))
          (then {body})
          (else (i32.const 0)))))""".encode()


def batch(body: str, more: str = "", answer: str = "(i32.const 0)") -> bytes:
    """Return a plugin that runs `body` on each descriptor `$d` whose frame asks for it, and passes all other frames.

    `answer` is what it returns at the end; `$asked` says whether a frame asked.
    """
    return f"""(module
      (memory (export "memory") 2)
      (data (i32.const 0) "VNET\\01\\00\\00\\00\\28\\00\\00\\00\\10\\00\\00\\00")
      (data (i32.const 16) "\\00\\04\\00\\00\\00\\00\\01\\00\\00\\80\\00\\00\\00\\00\\00\\00")
      (func (export "vnet_info") (result i32) (i32.const 0))
      {more}
      (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32)
        (local $i i32) (local $asked i32)
        (loop $each
          (i32.store8 offset=12 (local.get $d) (i32.const 0))
          (if (i32.eq (i32.load8_u offset=14 (i32.load (local.get $d))) (i32.const 0x66))
            (then
              (i32.store8 offset=12 (local.get $d) (i32.const 255))
              (local.set $asked (i32.const 1))
              {body}))
          (local.set $d (i32.add (local.get $d) (i32.const 40)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $each (i32.lt_u (local.get $i) (local.get $n))))
        {answer}))""".encode()


@dataclass(frozen=True)
class Guest:
    """A plugin, the fault it is counted under, words of the report, and whether its instance is replaced."""

    module: bytes
    kind: str
    words: str
    replaced: bool = True
    # What the frame that asked is dropped as; None: it passes.
    drop: str | None = "fault"


FOREVER = "(loop $again (br $again)) (i32.const 0)"
GROW = "(loop $again (drop (memory.grow (i32.const 1))) (br $again)) (i32.const 0)"
FILL = """(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
          (i32.store (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 0)"""
VERDICT = "(i32.store8 offset=12 (local.get $d) (i32.const {}))"

GUESTS: dict[str, Guest] = {
    "trap": Guest(simple("(unreachable)"), "trap", "unreachable"),
    "division": Guest(simple("(i32.div_u (i32.const 1) (i32.const 0))"), "trap", "divide by zero"),
    "null-call": Guest(simple("(call_indirect (result i32) (i32.const 1))"), "trap", "uninitialized"),
    "wild-store": Guest(simple("(i32.store (i32.const -8) (i32.const 1)) (i32.const 0)"), "trap", "out of bounds"),
    "wild-length": Guest(
        simple("(call $set_len (i32.const 2049)) (i32.const 0)"), "bad_desc", "", replaced=False, drop="bad_desc"
    ),
    "exit": Guest(simple("(call $proc_exit (i32.const 3)) (i32.const 0)"), "trap", r"proc_exit\(3\)"),
    "abort": Guest(
        simple("(call $abort (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 9)) (i32.const 0)"),
        "trap",
        "abort.*7:9",
    ),
    "endless-loop": Guest(simple(FOREVER), "timeout", "time"),
    "memory-bomb": Guest(simple(GROW), "timeout", "time"),
    "memory-filled": Guest(simple(FILL), "trap", "out of bounds"),
    "stack-overflow": Guest(simple("(drop (call $deeper (i64.const 0))) (i32.const 0)"), "trap", "stack overflow"),
    "negative": Guest(simple("(i32.const -5)"), "error", "-5"),
    "wrong-verdict": Guest(simple("(i32.const 77)"), "bad_verdict", "", replaced=False, drop="bad_verdict"),
    "high-bits": Guest(simple("(i32.const 0x7f000000)"), "bad_verdict", "", replaced=False, drop="bad_verdict"),
    "nowhere": Guest(simple("(i32.const 0x70702)"), "bad_port", "", replaced=False, drop="bad_port"),
    "batch-trap": Guest(batch("(unreachable)"), "trap", "unreachable"),
    "batch-endless": Guest(batch("(loop $again (br $again))"), "timeout", "time"),
    "batch-negative": Guest(
        batch("", answer="(select (i32.const -2) (i32.const 0) (local.get $asked))"), "error", "-2"
    ),
    "batch-verdict": Guest(batch(VERDICT.format(9)), "bad_verdict", "", replaced=False, drop="bad_verdict"),
    "batch-nowhere": Guest(
        batch("(i32.store16 offset=18 (local.get $d) (i32.const 3))" + VERDICT.format(2)),
        "bad_port",
        "",
        replaced=False,
        drop="bad_port",
    ),
    "descriptor": Guest(
        batch("(i32.store (local.get $d) (i32.const 0xfffffff0))"), "bad_desc", "", replaced=False, drop="bad_desc"
    ),
    "long-descriptor": Guest(
        batch("(i32.store offset=4 (local.get $d) (i32.const -1))"), "bad_desc", "", replaced=False, drop="bad_desc"
    ),
    "appends-too-many": Guest(
        batch("", answer="(select (i32.const 1000000) (i32.const 0) (local.get $asked))"),
        "bad_append",
        "",
        replaced=False,
        drop=None,
    ),
}

# Each fails before it sees a frame: its plugin, the exception's name, words of the message.
START = "(func $start {}) (start $start)"
UNSTARTABLE: dict[str, tuple[bytes, str, str]] = {
    "start-trap": (simple("(i32.const 0)", START.format("(unreachable)")), "PluginTrap", "unreachable"),
    "start-loop": (simple("(i32.const 0)", START.format("(loop (br 0))")), "PluginTimeout", "500 ms"),
    "initialize-trap": (
        simple("(i32.const 0)", '(func (export "_initialize") (unreachable))'),
        "PluginTrap",
        "_initialize",
    ),
    "initialize-bomb": (
        simple(
            "(i32.const 0)",
            '(func (export "_initialize") (loop (drop (memory.grow (i32.const 1))) (br 0)))',
        ),
        "PluginTimeout",
        "_initialize",
    ),
    "initialize-overflow": (
        simple("(i32.const 0)", '(func $d (export "_initialize") (call $d) (call $d))'),
        "PluginTrap",
        "stack overflow",
    ),
    "configure-trap": (
        batch("", '(func (export "vnet_configure") (param i32 i32) (result i32) (unreachable))'),
        "PluginTrap",
        "vnet_configure",
    ),
    "configure-loop": (
        batch("", '(func (export "vnet_configure") (param i32 i32) (result i32) (loop (br 0)) (i32.const 0))'),
        "PluginTimeout",
        "vnet_configure",
    ),
    "configure-refuses": (
        batch("", '(func (export "vnet_configure") (param i32 i32) (result i32) (i32.const 4))'),
        "PluginRejected",
        "configur",
    ),
    "four-gib": (
        simple("(i32.const 0)").replace(b'(memory (export "memory") 2)', b'(memory (export "memory") 65536)'),
        "PluginRejected",
        "memory",
    ),
    "table-bomb": (
        simple("(i32.const 0)").replace(b"(table 2 funcref)", b"(table 4000000000 funcref)"),
        "PluginRejected",
        "table",
    ),
    "segment": (simple("(i32.const 0)", '(data (i32.const 131071) "xx")'), "PluginTrap", "out of bounds"),
}
