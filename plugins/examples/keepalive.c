/* Sends a frame to everybody every `every_ms` milliseconds, by itself. To be granted: timer, inject. */
#include "vnet_plugin.h"

VNET_MANIFEST_JSON({
  "name": "keepalive",
  "abi": "1.0",
  "description": "Sends a frame to everybody every few milliseconds.",
  "capabilities": ["timer", "inject"],
  "config": {
    "type": "object",
    "additionalProperties": false,
    "properties": {"every_ms": {"type": "integer", "minimum": 1, "description": "milliseconds from one frame to the next"}}
  }
})

/* To everybody, from 02:00:00:00:00:aa, of the ethertype for experiments, then how many went before. */
static u8 frame[60] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0xaa, 0x88, 0xb5};
static i64 every_ns;
static u32 sent;

static i32 configure(const char *json, u32 len) {
  (void)json, (void)len;
  every_ns = VN_CONFIG_INT("every_ms", 10) * 1000000;
  vn_timer(0, every_ns);
  return 0;
}
VNET_CONFIGURE(configure)

static void on_timer(i32 id, u64 now_ns) {
  (void)now_ns;
  vn_put32(frame + 14, sent++);
  vn_inject(0, frame, sizeof frame);
  vn_timer(id, every_ns);
}
VNET_TIMER(on_timer)

static u8 on_packet(u8 *p, vn_desc *d) {
  (void)p, (void)d;
  return VN_PASS;
}
VNET_PLUGIN(on_packet, VN_GSO | VN_CSUM)
