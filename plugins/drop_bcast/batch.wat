;; Drops Ethernet broadcasts: the batch form, one call for up to 64 frames, judged where the host read them.
;; Loads as it is:  vnet tap tap0 --plugin batch.wat
;;
;; Memory (8,454,144 bytes = 129 pages, within the host's 16 MiB):
;;      16  vn_info, 32 bytes
;;      64  ring: 128 descriptors of 40 bytes, to 5,184
;;   8,192  arena: 128 slots of 65,856 bytes (GSO wants 65,792 or more), to 8,437,760
(module
  (memory (export "memory") 129)
  ;; vn_info
  (data (i32.const 16)
    "VNET"               ;; magic
    "\01\00" "\00\00"    ;; major 1, minor 0
    "\28\00\00\00"       ;; desc_size 40
    "\80\00\00\00"       ;; ring_len 128
    "\40\00\00\00"       ;; ring at 64
    "\00\20\00\00"       ;; arena at 8,192
    "\00\a0\80\00"       ;; arena_len 128 * 65,856 = 8,429,568
    "\07\00\00\00")      ;; flags: GSO 1, CSUM 2, PURE 4

  (@custom "vnet.manifest" "{\"name\": \"drop_bcast\", \"abi\": \"1.0\", \"description\": \"Drops Ethernet broadcasts.\", \"layers\": [\"l2\"]}")

  (func (export "vnet_info") (result i32) (i32.const 16))

  (func (export "vnet_on_batch") (param $d i32) (param $n i32) (result i32)
    (local $end i32) (local $p i32)
    (local.set $end (i32.add (local.get $d) (i32.mul (local.get $n) (i32.const 40))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $d) (local.get $end)))
        (local.set $p (i32.load (local.get $d)))                       ;; off
        (i32.store8 offset=12 (local.get $d)                           ;; verdict: 1 = DROP, 0 = PASS
          (i32.and (i32.ge_u (i32.load offset=4 (local.get $d)) (i32.const 14))
            (i32.and (i32.eq (i32.load (local.get $p)) (i32.const -1))
                     (i32.eq (i32.load16_u offset=4 (local.get $p)) (i32.const 0xffff)))))
        (local.set $d (i32.add (local.get $d) (i32.const 40)))
        (br $next)))
    (i32.const 0)))                                                    ;; nothing appended
