"""A plugin in two versions that tells of every frame who judged it, and when in its whole life."""

from __future__ import annotations

import json

# Frames it stamps: UDP over IPv4 to this port, with a payload of a number (8 bytes) and room for the stamp (8 bytes).
PORT = 6000
# Slots of 2,048 bytes, so that the table below does not fit the arena.
RING = 16
KEYS = 4096


def _quoted(data: bytes) -> str:
    return '"' + "".join(f"\\{byte:02x}" for byte in data) + '"'


def stamping(version: int, add: int, state_version: int = 1) -> bytes:
    """Return a module that adds ``add`` to byte 8 of each payload and writes behind it how many frames it has judged.

    That count is its state. It keeps a map ``seen`` too, of the last 12 bits of each number, and the counter ``judged``.
    """
    words = (40, RING, 2048, 65536, RING * 2048, 0)
    info = b"VNET\x01\x00\x00\x00" + b"".join(word.to_bytes(4, "little") for word in words)
    # key_size, value_size, capacity, count, name_ptr, name_len, flags, slots_ptr
    header = b"VMAP" + b"".join(n.to_bytes(4, "little") for n in (4, 4, 2 * KEYS, 0, 96, 4, 0, 131072))
    manifest = {"name": "stamping", "version": str(version), "state_version": state_version, "counters": ["judged"]}
    port = int.from_bytes(PORT.to_bytes(2, "big"), "little")
    return f"""(module
      (@custom "vnet.manifest" {_quoted(json.dumps(manifest).encode())})
      (import "vnet" "count" (func $count (param i32 i64)))
      (memory (export "memory") 6)
      (data (i32.const 1024) {_quoted(info)})
      (data (i32.const 16) "\\01\\00\\00\\00\\20\\00\\00\\00")
      (data (i32.const 32) {_quoted(header)})
      (data (i32.const 96) "seen")
      (func (export "vnet_info") (result i32) (i32.const 1024))
      (func (export "vnet_maps") (result i32) (i32.const 16))
      (func (export "vnet_save") (param $at i32) (param $p i32) (param i32) (result i32)
        (if (local.get $at) (then (return (i32.const 0))))
        (i32.store (local.get $p) (i32.load (i32.const 8))) (i32.const 4))
      (func (export "vnet_load") (param i32) (param $p i32) (param $n i32) (param i32) (result i32)
        (if (local.get $n) (then (i32.store (i32.const 8) (i32.load (local.get $p))))) (i32.const 0))
      (func $remember (param $key i32) (local $h i32) (local $i i32) (local $s i32)
        (local.set $h (i32.const 0x811c9dc5))
        (loop $byte
          (local.set $h (i32.mul (i32.const 0x01000193) (i32.xor (local.get $h)
            (i32.and (i32.const 255) (i32.shr_u (local.get $key) (i32.shl (local.get $i) (i32.const 3)))))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $byte (i32.lt_u (local.get $i) (i32.const 4))))
        (local.set $i (local.get $h))
        (loop $probe
          (local.set $s (i32.add (i32.const 131072)
            (i32.mul (i32.and (local.get $i) (i32.const {2 * KEYS - 1})) (i32.const 24))))
          (if (i32.eqz (i32.load (local.get $s))) (then
            (i32.store (local.get $s) (i32.const 1))
            (i32.store offset=4 (local.get $s) (local.get $h))
            (i32.store offset=8 (local.get $s) (local.get $key))
            (i32.store (i32.const 48) (i32.add (i32.load (i32.const 48)) (i32.const 1)))
            (return)))
          (if (i32.eq (i32.load offset=8 (local.get $s)) (local.get $key)) (then (return)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $probe)))
      (func (export "vnet_on_batch") (param $desc i32) (param $n i32) (result i32)
        (local $i i32) (local $d i32) (local $p i32)
        (loop $next
          (if (i32.lt_u (local.get $i) (local.get $n)) (then
            (local.set $d (i32.add (local.get $desc) (i32.mul (local.get $i) (i32.const 40))))
            (local.set $p (i32.load (local.get $d)))
            (if (i32.ge_u (i32.load offset=4 (local.get $d)) (i32.const 58)) (then
              (if (i32.and (i32.and (i32.eq (i32.load16_u offset=12 (local.get $p)) (i32.const 0x0008))
                                    (i32.eq (i32.load8_u offset=23 (local.get $p)) (i32.const 17)))
                           (i32.eq (i32.load16_u offset=36 (local.get $p)) (i32.const {port}))) (then
                (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
                (i32.store offset=54 (local.get $p) (i32.load (i32.const 8)))
                (i32.store8 offset=50 (local.get $p)
                  (i32.add (i32.load8_u offset=50 (local.get $p)) (i32.const {add})))
                (i32.store16 offset=14 (local.get $d)
                  (i32.or (i32.load16_u offset=14 (local.get $d)) (i32.const 256)))
                (call $remember (i32.and (i32.load offset=42 (local.get $p)) (i32.const {KEYS - 1})))
                (call $count (i32.const 0) (i64.const 1))))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next))))
        (i32.const 0)))""".encode()
