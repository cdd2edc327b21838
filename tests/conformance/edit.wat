;; Simple form: rewrites in place, asks for checksums, shortens and lengthens. No manifest.
(module
  (import "vnet" "set_len" (func $set_len (param i32)))
  (import "vnet" "csum" (func $csum))
  (memory (export "memory") 2)
  (global (export "vnet_frame") i32 (i32.const 65536))
  ;; 2,048 bytes would do; this says that an export of the function is honoured.
  (func (export "vnet_frame_cap") (result i32) (i32.const 4096))

  (func $type (param $p i32) (result i32)
    (i32.or (i32.shl (i32.load8_u offset=12 (local.get $p)) (i32.const 8)) (i32.load8_u offset=13 (local.get $p))))

  (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32)
    (local $type i32)
    (local.set $type (call $type (local.get $p)))
    ;; IPv4 and IPv6 without a tag: one hop less, and the sums again.
    (if (i32.and (i32.eq (local.get $type) (i32.const 0x0800)) (i32.ge_u (local.get $len) (i32.const 34)))
      (then
        (i32.store8 offset=22 (local.get $p) (i32.sub (i32.load8_u offset=22 (local.get $p)) (i32.const 1)))
        (call $csum)))
    (if (i32.and (i32.eq (local.get $type) (i32.const 0x86dd)) (i32.ge_u (local.get $len) (i32.const 54)))
      (then
        ;; The last byte of the source address: part of the pseudo-header.
        (i32.store8 offset=37 (local.get $p) (i32.const 0x77))
        (call $csum)))
    ;; Padded to 64 bytes.
    (if (i32.and (i32.eq (local.get $type) (i32.const 0x88b5)) (i32.lt_u (local.get $len) (i32.const 64)))
      (then (call $set_len (i32.const 64))))
    ;; Cut, then lengthened: what was cut off is gone.
    (if (i32.eq (local.get $type) (i32.const 0x88b6))
      (then
        (call $set_len (i32.const 20))
        (call $set_len (i32.const 60))))
    ;; Written beyond its end, then lengthened: the bytes are zero all the same.
    (if (i32.and (i32.eq (local.get $type) (i32.const 0x88b7)) (i32.lt_u (local.get $len) (i32.const 1400)))
      (then
        (i32.store8 (i32.add (local.get $p) (local.get $len)) (i32.const 0xee))
        (call $set_len (i32.add (local.get $len) (i32.const 3)))))
    ;; Shortened to no Ethernet header at all is still a frame; to nothing is none.
    (if (i32.eq (local.get $type) (i32.const 0x88b8))
      (then (call $set_len (i32.const 0))))
    (i32.const 0)))
