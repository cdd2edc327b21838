// Drops UDP datagrams over IPv4 to one port.
#include "vnet_plugin.h"

VNET_MANIFEST_JSON({
  "name": "@NAME@",
  "version": "0.1.0",
  "abi": "1.0",
  "description": "Drops UDP datagrams over IPv4 to one port.",
  "layers": ["l2"],
  "reasons": {"1": "closed port"},
  "counters": ["closed"],
  "config": {
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 9, "description": "UDP port that is closed"}
    }
  }
})

enum { CLOSED_PORT = 1 };

static u16 port;
static i32 closed;

static i32 configure(const char *json, u32 len) {
  (void)json, (void)len; // the host reads it for us
  port = (u16)VN_CONFIG_INT("port", 9);
  closed = VN_COUNTER("closed");
  return 0;
}
VNET_CONFIGURE(configure)

static inline u8 on_packet(u8 *p, vn_desc *d) {
  u16 type;
  u32 ip = vn_l3_offset(p, d->len, &type); // behind up to two VLAN tags
  if (type != VN_ETH_IPV4 || d->len < ip + 20) return VN_PASS;
  u32 udp = ip + (p[ip] & 15) * 4;
  if (p[ip + 9] != 17 || (vn_be16(p + ip + 6) & 0x1fff) || d->len < udp + 8) return VN_PASS;
  if (vn_be16(p + udp + 2) != port) return VN_PASS;
  vn_count(closed, 1);
  return vn_drop(d, CLOSED_PORT);
}
VNET_PLUGIN(on_packet, VN_GSO | VN_CSUM)
