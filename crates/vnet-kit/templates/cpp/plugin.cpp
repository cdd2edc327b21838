// Drops UDP datagrams over IPv4 to one port.
#include "vnet_plugin.hpp"

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

constexpr u16 CLOSED_PORT = 1;

static u16 port;
static vnet::Counter closed;

static i32 configure(const char *, u32) {
  port = static_cast<u16>(vnet::config("port", 9));
  closed = vnet::Counter("closed");
  return 0;
}
VNET_CONFIGURE(configure)

static inline u8 on_packet(vnet::Packet pkt) {
  auto udp = pkt.ipv4().udp();
  if (!udp || udp.dst() != port) return VN_PASS;
  closed.add();
  return pkt.drop(CLOSED_PORT);
}
VNET_PLUGIN_CPP(on_packet, VN_GSO | VN_CSUM)
