;; Drops Ethernet broadcasts: the simple form, one call for each frame.
;; Loads as it is:  vnet tap tap0 --plugin simple.wat
(module
  (memory (export "memory") 2)
  ;; the address of the frame buffer: 2,048 bytes that the host copies each frame into
  (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param $p i32) (param $len i32) (result i32)
    (i32.and (i32.ge_u (local.get $len) (i32.const 14))
      (i32.and (i32.eq (i32.load (local.get $p)) (i32.const -1))
               (i32.eq (i32.load16_u offset=4 (local.get $p)) (i32.const 0xffff))))))   ;; 1 = DROP
