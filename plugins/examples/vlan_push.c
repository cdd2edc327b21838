// Puts every frame into a VLAN: the tag takes four bytes of the headroom, no payload moves.
//   vnet tap tap0 --plugin vlan_push.wasm:id=100,priority=5
#include "vnet_plugin.h"

VNET_MANIFEST_JSON({
  "name": "vlan_push", "version": "1.0.0", "abi": "1.0",
  "description": "Puts every frame into a VLAN.",
  "layers": ["l2"],
  "reasons": {"1": "no headroom"},
  "config": {
    "type": "object", "additionalProperties": false,
    "properties": {
      "id": {"type": "integer", "minimum": 0, "maximum": 4094, "default": 1, "description": "VLAN number"},
      "priority": {"type": "integer", "minimum": 0, "maximum": 7, "default": 0, "description": "802.1p priority"},
      "service": {"type": "boolean", "default": false, "description": "an 802.1ad service tag (0x88a8), not 0x8100"}
    }
  }
})

static u16 tpid = VN_ETH_VLAN, tci = 1;

static i32 configure(const char *json, u32 len) {
  (void)json, (void)len;
  i64 id = VN_CONFIG_INT("id", 1), priority = VN_CONFIG_INT("priority", 0);
  if (id < 0 || id > 4094 || priority < 0 || priority > 7) {
    VN_LOG(VN_ERROR, "id must be 0 to 4094 and priority 0 to 7");
    return 1;
  }
  tci = (u16)(priority << 13 | id);
  tpid = VN_CONFIG_INT("service", 0) ? VN_ETH_QINQ : VN_ETH_VLAN;
  return 0;
}
VNET_CONFIGURE(configure)

static inline u8 on_packet(u8 *p, vn_desc *d) {
  (void)p;
  return vn_vlan_push(d, tpid, tci) ? VN_PASS : vn_drop(d, 1);
}
// Headers move: neither VN_GSO nor VN_CSUM. The host segments and completes checksums at the door.
VNET_PLUGIN(on_packet, 0)
