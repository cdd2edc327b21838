;; Drops UDP datagrams over IPv4 to one port, in the simple form: one call for each frame.
;; The manifest is in @NAME@.json.
(module
  (import "vnet" "config_int" (func $config_int (param i32 i32 i64) (result i64)))
  (import "vnet" "counter" (func $counter (param i32 i32) (result i32)))
  (import "vnet" "count" (func $count (param i32 i64)))
  (memory (export "memory") 2)
  (global (export "vnet_frame") i32 (i32.const 65536))
  (data (i32.const 16) "port")
  (data (i32.const 32) "closed")
  (global $port (mut i32) (i32.const 9))
  (global $closed (mut i32) (i32.const 0))

  (func (export "vnet_configure") (param $json i32) (param $len i32) (result i32)
    (global.set $port (i32.wrap_i64 (call $config_int (i32.const 16) (i32.const 4) (i64.const 9))))
    (global.set $closed (call $counter (i32.const 32) (i32.const 6)))
    (i32.const 0))

  ;; Bytes of a frame are big endian.
  (func $be16 (param $p i32) (result i32)
    (i32.or (i32.shl (i32.load8_u (local.get $p)) (i32.const 8)) (i32.load8_u offset=1 (local.get $p))))

  ;; 0 answers PASS; 1 DROP, with the reason's code in bits 8 to 23.
  (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32)
    (local $udp i32)
    (if (i32.lt_u (local.get $len) (i32.const 42)) (then (return (i32.const 0))))
    (if (i32.ne (call $be16 (i32.add (local.get $p) (i32.const 12))) (i32.const 0x0800))
      (then (return (i32.const 0))))
    (if (i32.ne (i32.load8_u offset=23 (local.get $p)) (i32.const 17)) (then (return (i32.const 0))))
    ;; Only a datagram's first fragment has a UDP header.
    (if (i32.and (call $be16 (i32.add (local.get $p) (i32.const 20))) (i32.const 0x1fff))
      (then (return (i32.const 0))))
    (local.set $udp
      (i32.add (i32.const 14)
        (i32.shl (i32.and (i32.load8_u offset=14 (local.get $p)) (i32.const 15)) (i32.const 2))))
    (if (i32.gt_u (i32.add (local.get $udp) (i32.const 8)) (local.get $len))
      (then (return (i32.const 0))))
    (if (i32.ne (call $be16 (i32.add (i32.add (local.get $p) (local.get $udp)) (i32.const 2))) (global.get $port))
      (then (return (i32.const 0))))
    (call $count (global.get $closed) (i64.const 1))
    (i32.const 0x101)))
