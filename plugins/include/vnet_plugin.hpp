/* vnet_plugin.hpp: what C++ adds to vnet_plugin.h. Views of headers that are there or not, and no library.
 *
 *   clang++ --target=wasm32 -std=c++17 -O2 -nostdlib -fno-exceptions -fno-rtti -Wl,--no-entry -I include -o my.wasm my.cpp
 *
 * Write `u8 fn(vnet::Packet pkt)` and end the file with VNET_PLUGIN_CPP(fn, flags).
 *
 *   static inline u8 on_packet(vnet::Packet pkt) {
 *     auto udp = pkt.ipv4().udp();                     // an empty view where there is none
 *     return udp && udp.dst() == 53 ? pkt.drop(1) : VN_PASS;
 *   }
 *   VNET_PLUGIN_CPP(on_packet, VN_GSO | VN_CSUM)
 */
#ifndef VNET_PLUGIN_HPP
#define VNET_PLUGIN_HPP

#include "vnet_plugin.h"

namespace vnet {

/* The bytes of a header and of what follows it; false where the frame has none. */
class View {
 public:
  constexpr View() = default;
  constexpr View(u8 *at, u32 len) : at_(at), len_(len) {}
  explicit operator bool() const { return at_ != nullptr; }
  u8 *data() const { return at_; }
  u32 len() const { return len_; }
  u16 be16(u32 at) const { return vn_be16(at_ + at); }
  u32 be32(u32 at) const { return vn_be32(at_ + at); }

 protected:
  u8 *at_ = nullptr;
  u32 len_ = 0;
};

struct Udp : View {
  using View::View;
  u16 src() const { return be16(0); }
  u16 dst() const { return be16(2); }
  u16 checksum() const { return be16(6); }
  View payload() const { return {at_ + 8, len_ - 8}; }
};

struct Tcp : View {
  using View::View;
  u16 src() const { return be16(0); }
  u16 dst() const { return be16(2); }
  u32 seq() const { return be32(4); }
  u32 ack() const { return be32(8); }
  u32 header_len() const { return (at_[12] >> 4) * 4u; }
  u8 flags() const { return at_[13]; }
  u16 checksum() const { return be16(16); }
  View payload() const { return {at_ + header_len(), len_ - header_len()}; }
};

/* What both versions of IP have in common: where the segment lies, and what it is. */
class Ip : public View {
 public:
  constexpr Ip() = default;
  constexpr Ip(u8 *at, u32 len, u32 header_len, u8 protocol) : View(at, len), header_(header_len), protocol_(protocol) {}
  /* Of a later fragment it is 0: the ports are in the first. */
  u8 protocol() const { return protocol_; }
  u32 header_len() const { return header_; }
  Udp udp() const { return is(17, 8) ? Udp(at_ + header_, len_ - header_) : Udp(); }
  Tcp tcp() const {
    if (!is(6, 20)) return Tcp();
    u32 header = (at_[header_ + 12] >> 4) * 4u;
    return header >= 20 && header <= len_ - header_ ? Tcp(at_ + header_, len_ - header_) : Tcp();
  }

 private:
  bool is(u8 protocol, u32 least) const { return at_ && protocol_ == protocol && len_ - header_ >= least; }
  u32 header_ = 0;
  u8 protocol_ = 0;
};

struct Ipv4 : Ip {
  using Ip::Ip;
  u8 ttl() const { return at_[8]; }
  u32 src() const { return be32(12); }
  u32 dst() const { return be32(16); }
  u16 checksum() const { return be16(10); }
  /* Writes the TTL and keeps the header's sum right (RFC 1624). */
  void set_ttl(u8 ttl) const { vn_set_ttl(c(), ttl); }
  vn_ip c() const { return {at_, len_, header_len(), 4, protocol()}; }
};

struct Ipv6 : Ip {
  using Ip::Ip;
  u8 hop_limit() const { return at_[7]; }
  const u8 *src() const { return at_ + 8; }
  const u8 *dst() const { return at_ + 24; }
  void set_hop_limit(u8 limit) const { at_[7] = limit; }
  vn_ip c() const { return {at_, len_, header_len(), 6, protocol()}; }
};

/* One frame, with views of its headers behind up to two VLAN tags. */
class Packet {
 public:
  Packet(u8 *p, vn_desc *d) : p_(p), d_(d) {}
  u8 *data() const { return p_; }
  u32 len() const { return d_->len; }
  vn_desc &desc() const { return *d_; }
  u16 port() const { return d_->port; }
  u64 ts_ns() const { return d_->ts_ns; }
  bool is_egress() const { return d_->flags & VN_F_EGRESS; }
  bool is_broadcast() const {
    u8 all = 0xff;
    for (int i = 0; i < 6; i++) all &= p_[i];
    return d_->len >= 14 && all == 0xff;
  }
  u16 ether_type() const {
    u16 type;
    vn_l3_offset(p_, d_->len, &type);
    return type;
  }
  Ipv4 ipv4() const {
    u32 at = network(VN_ETH_IPV4), rest = d_->len - at;
    if ((at == 0 && !is_l3()) || rest < 20 || p_[at] >> 4 != 4) return Ipv4();
    u32 header = (p_[at] & 15) * 4u;
    if (header < 20 || header > rest) return Ipv4();
    bool later = vn_be16(p_ + at + 6) & 0x1fff;
    return Ipv4(p_ + at, rest, header, later ? 0 : p_[at + 9]);
  }
  Ipv6 ipv6() const {
    u32 at = network(VN_ETH_IPV6), rest = d_->len - at;
    if ((at == 0 && !is_l3()) || rest < 40 || p_[at] >> 4 != 6) return Ipv6();
    return Ipv6(p_ + at, rest, 40, p_[at + 6]);
  }
  /* Answers. */
  u8 drop(u16 reason) const { return vn_drop(d_, reason); }
  u8 redirect(u16 port) const { return vn_redirect(d_, port); }
  void csum_dirty() const { vn_csum_dirty(d_); }
  /* These keep every sum right (RFC 1624): `end` is VN_SRC or VN_DST. */
  void set_addr(const Ipv4 &ip, int end, u32 to) const {
    u8 bytes[4];
    vn_put32(bytes, to);
    vn_set_addr(d_, ip.c(), end, bytes);
  }
  void set_addr(const Ipv6 &ip, int end, const u8 *to) const { vn_set_addr(d_, ip.c(), end, to); }
  template <class T>
  void set_port(const T &ip, int end, u16 to) const {
    vn_set_port(d_, ip.c(), end, to);
  }

 private:
  bool is_l3() const { return d_->flags & VN_F_L3; }
  /* Where the network header of this ethertype starts; 0 where it is another, or there is no Ethernet header. */
  u32 network(u16 wanted) const {
    u16 type;
    if (is_l3()) return 0;
    u32 at = vn_l3_offset(p_, d_->len, &type);
    return type == wanted ? at : 0;
  }
  u8 *p_;
  vn_desc *d_;
};

/* A counter that the host shows under this name. Make it in `configure`. */
class Counter {
 public:
  constexpr Counter() = default;
  template <u32 N>
  explicit Counter(const char (&name)[N]) : id_(vn_counter(name, N - 1)) {}
  void add(u64 n = 1) const { vn_count(id_, n); }

 private:
  i32 id_ = -1;
};

/* The configured integer, or `otherwise`. */
template <u32 N>
inline i64 config(const char (&key)[N], i64 otherwise) {
  return vn__config_int(key, N - 1, otherwise);
}

/* A table of N slots, a power of two, that the host sees by its name: name it in VNET_MAPS(map.c()). Keep it half empty. */
template <class K, class V, u32 N>
class Map {
  static_assert(N > 0 && (N & (N - 1)) == 0, "the slots of a map are a power of two");

 public:
  template <u32 L>
  explicit constexpr Map(const char (&name)[L])
      : head_{{'V', 'M', 'A', 'P'}, sizeof(K), sizeof(V), N, 0, name, L - 1, 0, slots_} {}
  vn_map *c() { return &head_; }
  u32 size() const { return head_.count; }
  /* A key's value, to be read and written in place; null where there is none. */
  V *get(const K &key) const { return static_cast<V *>(vn_map_get(&head_, &key)); }
  /* The same, made of zeros where there is none; null where the table is full. */
  V *put(const K &key) { return static_cast<V *>(vn_map_put(&head_, &key)); }
  bool erase(const K &key) { return vn_map_del(&head_, &key); }
  void clear() { vn_map_clear(&head_); }

 private:
  alignas(8) u8 slots_[N * VN__MAP_SLOT(sizeof(K), sizeof(V))] = {};
  vn_map head_;
};

/* What an operator must grant. */
inline void timer(i32 id, i64 after_ns) { vn_timer(id, after_ns); }
inline u64 random() { return vn_random(); }
inline bool inject(i32 port, const u8 *frame, u32 len) { return vn_inject(port, frame, len) == 0; }

template <u32 N>
inline void log(i32 level, const char (&text)[N]) {
  vn_log(level, text, N - 1);
}

}  // namespace vnet

/* Makes `u8 fn(vnet::Packet)` a batch plugin. */
#define VNET_PLUGIN_CPP(fn, info_flags)                                                      \
  static inline u8 vn__packet(u8 *p, vn_desc *d) { return fn(vnet::Packet(p, d)); }          \
  VNET_PLUGIN(vn__packet, info_flags)

#endif
