;; Batch form in text, with descriptors of 48 bytes: appends copies with each verdict they may carry, and marks frames.
(module
  (@custom "vnet.manifest" "{\"name\":\"copies\",\"abi\":\"1.0\",\"reasons\":{\"5\":\"mark\"},\"counters\":[\"copies\"]}")
  (import "vnet" "counter" (func $counter (param i32 i32) (result i32)))
  (import "vnet" "count" (func $count (param i32 i64)))
  (import "vnet" "config_int" (func $config_int (param i32 i32 i64) (result i64)))
  (memory (export "memory") 2)
  ;; vn_info at 0; 16 descriptors of 48 bytes at 1024; 16 slots of 2,048 bytes at 65,536.
  (data (i32.const 0) "VNET\01\00\00\00\30\00\00\00\10\00\00\00\00\04\00\00\00\00\01\00\00\80\00\00\00\00\00\00")
  (data (i32.const 64) "copies")
  (data (i32.const 80) "check_mark")
  (global $copies (mut i32) (i32.const -1))
  (global $check (mut i32) (i32.const 0))

  (func (export "_initialize")
    (global.set $copies (call $counter (i32.const 64) (i32.const 6)))
    (global.set $check (i32.wrap_i64 (call $config_int (i32.const 80) (i32.const 10) (i64.const 0)))))
  (func (export "vnet_info") (result i32) (i32.const 0))

  (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32)
    (local $i i32) (local $made i32) (local $p i32) (local $new i32) (local $mark i32) (local $kind i32)
    (block $done
      (loop $each
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $p (i32.load (local.get $d)))
        ;; The mark is made of the last byte of the source address and of the length.
        (local.set $mark
          (i32.or (i32.const 0x5a0000)
            (i32.xor (i32.load8_u offset=11 (local.get $p)) (i32.load offset=4 (local.get $d)))))
        (if (global.get $check)
          (then
            (if (i32.ne (i32.load offset=24 (local.get $d)) (local.get $mark))
              (then
                (i32.store8 offset=12 (local.get $d) (i32.const 1))
                (i32.store16 offset=22 (local.get $d) (i32.const 5)))))
          (else
            (i32.store offset=24 (local.get $d) (local.get $mark))
            ;; EtherType 0x88b6 in memory order, and a byte behind it.
            (if (i32.and
                  (i32.eq (i32.load16_u offset=12 (local.get $p)) (i32.const 0xb688))
                  (i32.gt_u (i32.load offset=4 (local.get $d)) (i32.const 14)))
              (then
                (local.set $kind (i32.and (i32.load8_u offset=14 (local.get $p)) (i32.const 7)))
                (local.set $new
                  (i32.add (i32.const 1024) (i32.mul (i32.const 48) (i32.add (local.get $n) (local.get $made)))))
                (memory.copy (i32.load (local.get $new)) (local.get $p) (i32.load offset=4 (local.get $d)))
                (i32.store offset=4 (local.get $new) (i32.load offset=4 (local.get $d)))
                (i32.store8 offset=13 (i32.load (local.get $new)) (i32.const 0xc6))
                (i32.store offset=24 (local.get $new) (local.get $mark))
                ;; 0 PASS, 1 DROP (not allowed), 2 flood, 3 TX, 4 REDIRECT to the other port, 5 UNSET (not allowed), 6 empty.
                (i32.store8 offset=12 (local.get $new)
                  (i32.load8_u (i32.add (i32.const 128) (local.get $kind))))
                (if (i32.eq (local.get $kind) (i32.const 2))
                  (then (i32.store16 offset=18 (local.get $new) (i32.const 0xffff))))
                (if (i32.eq (local.get $kind) (i32.const 4))
                  (then
                    (i32.store16 offset=18 (local.get $new)
                      (i32.sub (i32.const 1) (i32.load16_u offset=16 (local.get $new))))))
                (if (i32.eq (local.get $kind) (i32.const 6))
                  (then (i32.store offset=4 (local.get $new) (i32.const 0))))
                (local.set $made (i32.add (local.get $made) (i32.const 1)))
                (call $count (global.get $copies) (i64.const 1))))))
        (local.set $d (i32.add (local.get $d) (i32.const 48)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $each)))
    (local.get $made))
  (data (i32.const 128) "\00\01\02\03\02\ff\00\04"))
