// Takes the outermost VLAN tag off; with `id`, drops frames of other VLANs.
//   vnet tap tap0 --plugin vlan_pop.wasm:id=100
#include "vnet_plugin.h"

VNET_MANIFEST_JSON({
  "name": "vlan_pop", "version": "1.0.0", "abi": "1.0",
  "description": "Takes the outermost VLAN tag off.",
  "layers": ["l2"],
  "reasons": {"1": "other vlan"},
  "config": {
    "type": "object", "additionalProperties": false,
    "properties": {
      "id": {"type": "integer", "minimum": 0, "maximum": 4094, "description": "drop frames that are not of this VLAN"}
    }
  }
})

static i32 id = -1; // any

static i32 configure(const char *json, u32 len) {
  (void)json, (void)len;
  id = (i32)VN_CONFIG_INT("id", -1);
  return 0;
}
VNET_CONFIGURE(configure)

static inline u8 on_packet(u8 *p, vn_desc *d) {
  (void)p;
  u16 tci;
  if (!vn_vlan_pop(d, &tci)) return id < 0 ? VN_PASS : vn_drop(d, 1);
  return id < 0 || (tci & 0xfff) == id ? VN_PASS : vn_drop(d, 1);
}
VNET_PLUGIN(on_packet, 0)
