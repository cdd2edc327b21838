#include "vnet_plugin.h"
static inline u8 on_packet(u8 *p, vn_desc *d) {
  u8 all = 0xff;
  for (int i = 0; i < 6; i++) all &= p[i];
  return d->len >= 14 && all == 0xff ? VN_DROP : VN_PASS;
}
VNET_PLUGIN(on_packet, VN_GSO | VN_CSUM | VN_PURE)     // clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry
