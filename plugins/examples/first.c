// A first plugin, in the simple form: one call for each frame.
// Drops UDP to port 53 over IPv4, so that nobody behind the device resolves a name through it.
#include "vnet_plugin.h"

VNET_MANIFEST_JSON({
  "name": "first", "abi": "1.0", "description": "Drops DNS queries over IPv4.",
  "layers": ["l2"], "reasons": {"1": "dns"}
})

static i32 on_packet(u8 *p, u32 len) {
  u16 type;
  u32 ip = vn_l3_offset(p, len, &type); // behind up to two VLAN tags
  if (type != VN_ETH_IPV4 || len < ip + 20) return VN_PASS;
  u32 udp = ip + (p[ip] & 15) * 4;
  if (p[ip + 9] != 17 || (vn_be16(p + ip + 6) & 0x1fff) || len < udp + 8) return VN_PASS;
  return vn_be16(p + udp + 2) == 53 ? VN_DROP_FOR(1) : VN_PASS;
}
VNET_SIMPLE(on_packet)
