/* vnet_plugin.h: write a vnet plugin in C or C++. One header, nothing to link.
 *
 *   clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -I include -o my.wasm my.c
 *
 * Batch form, for speed: write `u8 fn(u8 *p, vn_desc *d)` and end the file with VNET_PLUGIN(fn, flags).
 * Simple form, for a first plugin: write `i32 fn(u8 *p, u32 len)` and end the file with VNET_SIMPLE(fn).
 * A file uses exactly one of the two. Integers in vn_info and vn_desc are little endian, as WebAssembly is;
 * those in frames are big endian: read and write them with vn_be16() ... vn_put32().
 */
#ifndef VNET_PLUGIN_H
#define VNET_PLUGIN_H

#ifndef __wasm32__
#error "a vnet plugin is WebAssembly: compile with  clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry"
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

#ifdef __cplusplus
#define VN__C extern "C"
#define VN__BEGIN_C extern "C" {
#define VN__END_C }
#else
#define VN__C
#define VN__BEGIN_C
#define VN__END_C
#endif

/* Exports a function under this name. */
#define VN_EXPORT(name) VN__C __attribute__((export_name(#name)))
#define VN__IMPORT(name) VN__C __attribute__((import_module("vnet"), import_name(#name)))
#define VN__INLINE static inline __attribute__((unused, always_inline))

/* What the plugin tells the host once: 32 bytes. VNET_PLUGIN fills it. */
typedef struct vn_info {
  u8 magic[4]; /* "VNET" */
  u16 major, minor;
  u32 desc_size, ring_len, ring, arena, arena_len, flags;
} vn_info;

/* One frame: 40 bytes. `off` is the address of its first byte, `len` its length, `cap` the most bytes
 * that fit from the original `off` on. */
typedef struct vn_desc {
  u32 off, len, cap;
  u8 verdict, pad;
  u16 flags;
  u16 port, out_port, gso_size, reason;
  u32 mark, delay_us;
  u64 ts_ns;
} vn_desc;

#ifdef __cplusplus
#define VN__ASSERT static_assert
#else
#define VN__ASSERT _Static_assert
#endif
VN__ASSERT(sizeof(vn_info) == 32 && __builtin_offsetof(vn_info, flags) == 28, "layout of vn_info");
VN__ASSERT(sizeof(vn_desc) == 40 && __builtin_offsetof(vn_desc, verdict) == 12, "layout of vn_desc");
VN__ASSERT(__builtin_offsetof(vn_desc, port) == 16 && __builtin_offsetof(vn_desc, ts_ns) == 32, "layout of vn_desc");

/* Verdicts. */
enum { VN_PASS = 0, VN_DROP = 1, VN_REDIRECT = 2, VN_TX = 3, VN_UNSET = 255 };
/* Out port of a REDIRECT: every port but the arrival one. */
enum { VN_FLOOD = 0xffff };
/* vn_info.flags: accepts super-frames; accepts partial checksums; verdict depends on the bytes alone, nothing is rewritten. */
enum { VN_GSO = 1, VN_CSUM = 2, VN_PURE = 4 };
/* vn_desc.flags, host to guest ... */
enum { VN_F_CSUM_PARTIAL = 1, VN_F_GSO = 2, VN_F_EGRESS = 4, VN_F_INJECTED = 8, VN_F_L3 = 16 };
/* ... and guest to host. Of the host's bits only VN_F_CSUM_PARTIAL may be cleared: the guest finished the sum. */
enum { VN_F_CSUM_DIRTY = 256, VN_F_DELAY = 512 };
/* Levels of vn_log(). */
enum { VN_ERROR = 0, VN_WARN = 1, VN_NOTICE = 2, VN_DEBUG = 3 };
/* A slot starts with 128 bytes before the frame, of which the first 16 are the host's. */
enum { VN_HEADROOM = 128, VN_HOST_RESERVED = 16 };
/* Ethertypes. */
enum { VN_ETH_IPV4 = 0x0800, VN_ETH_ARP = 0x0806, VN_ETH_VLAN = 0x8100, VN_ETH_IPV6 = 0x86dd, VN_ETH_QINQ = 0x88a8 };

/* ---- what the host offers (module "vnet"); only what a plugin uses is imported ---- */

VN__IMPORT(log) void vn_log(i32 level, const char *text, u32 len);
VN__IMPORT(counter) i32 vn_counter(const char *name, u32 len);
VN__IMPORT(count) void vn_count(i32 id, u64 n);
VN__IMPORT(csum) void vn_csum(void);           /* simple form: the host recomputes the sums after this call */
VN__IMPORT(set_len) void vn_simple_len(u32 len); /* simple form: shortens or lengthens the frame, new bytes are zero */
VN__IMPORT(config_int) i64 vn__config_int(const char *key, u32 len, i64 otherwise);
VN__IMPORT(config_str) i32 vn__config_str(const char *key, u32 len, char *buf, u32 cap);

/* Only what the manifest asks for in "capabilities" and the operator grants: */
VN__IMPORT(random) u64 vn_random(void);
VN__IMPORT(inject) i32 vn_inject(i32 port, const u8 *frame, u32 len); /* 0, or -1: no such port, bad length, too many wait */
VN__IMPORT(timer) void vn_timer(i32 id, i64 after_ns); /* calls VNET_TIMER's function once; negative takes it back */

/* The length of a literal is known when compiling: nothing is counted at run time. */
#define VN_LOG(level, text) vn_log((level), (text), (u32)__builtin_strlen(text))
#define VN_COUNTER(name) vn_counter((name), (u32)__builtin_strlen(name))
/* The configured integer, or `otherwise`. */
#define VN_CONFIG_INT(key, otherwise) vn__config_int((key), (u32)__builtin_strlen(key), (otherwise))
/* Writes at most `cap` bytes, without a final 0; the value's whole length, or -1 where the key is absent. */
#define VN_CONFIG_STR(key, buf, cap) vn__config_str((key), (u32)__builtin_strlen(key), (buf), (cap))

/* ---- bytes of a frame: big endian, any alignment ---- */

VN__INLINE u16 vn_be16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
VN__INLINE u32 vn_be32(const u8 *p) { return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3]; }
VN__INLINE u64 vn_be64(const u8 *p) { return (u64)vn_be32(p) << 32 | vn_be32(p + 4); }
VN__INLINE void vn_put16(u8 *p, u16 v) { p[0] = (u8)(v >> 8), p[1] = (u8)v; }
VN__INLINE void vn_put32(u8 *p, u32 v) { vn_put16(p, (u16)(v >> 16)), vn_put16(p + 2, (u16)v); }
VN__INLINE void vn_put64(u8 *p, u64 v) { vn_put32(p, (u32)(v >> 32)), vn_put32(p + 4, (u32)v); }

/* An Internet checksum after a 16-bit word that it covers changed (RFC 1624, equation 3), and after a 32-bit word at an
 * even offset. In UDP over IPv4 a sum of 0 says that there is none: leave it, and write 0xffff where 0 comes out. */
VN__INLINE u16 vn_csum_update16(u16 sum, u16 before, u16 after) {
  u32 s = (u32)(u16)~sum + (u16)~before + after;
  s = (s >> 16) + (s & 0xffff);
  return (u16) ~((s >> 16) + s);
}
VN__INLINE u16 vn_csum_update32(u16 sum, u32 before, u32 after) {
  sum = vn_csum_update16(sum, (u16)(before >> 16), (u16)(after >> 16));
  return vn_csum_update16(sum, (u16)before, (u16)after);
}

/* Where the network header starts, behind up to two VLAN tags, and of which ethertype it is.
 * 0 with *ethertype 0 when the frame is too short. For frames with an Ethernet header (no VN_F_L3). */
VN__INLINE u32 vn_l3_offset(const u8 *p, u32 len, u16 *ethertype) {
  u32 at = 12;
  for (int tags = 0; at + 2 <= len; tags++, at += 4) {
    u16 type = vn_be16(p + at);
    if (tags == 2 || (type != VN_ETH_VLAN && type != VN_ETH_QINQ)) {
      *ethertype = type;
      return at + 2;
    }
  }
  *ethertype = 0;
  return 0;
}

/* The header of either version of IP: `at` is 0 where the frame has none that is whole. */
typedef struct vn_ip {
  u8 *at;
  u32 len, header_len; /* from `at` to the frame's end; of the header */
  u8 version, protocol; /* 4 or 6; of a later fragment the protocol is 0: the ports are in the first */
} vn_ip;

VN__INLINE vn_ip vn_ipv4(u8 *p, const vn_desc *d) {
  vn_ip ip = {0, 0, 0, 4, 0};
  u16 type = VN_ETH_IPV4;
  u32 at = d->flags & VN_F_L3 ? 0 : vn_l3_offset(p, d->len, &type);
  if (type != VN_ETH_IPV4 || d->len - at < 20 || p[at] >> 4 != 4) return ip;
  u32 header = (p[at] & 15) * 4u;
  if (header < 20 || header > d->len - at) return ip;
  ip.at = p + at, ip.len = d->len - at, ip.header_len = header;
  ip.protocol = vn_be16(p + at + 6) & 0x1fff ? 0 : p[at + 9];
  return ip;
}
VN__INLINE vn_ip vn_ipv6(u8 *p, const vn_desc *d) {
  vn_ip ip = {0, 0, 40, 6, 0};
  u16 type = VN_ETH_IPV6;
  u32 at = d->flags & VN_F_L3 ? 0 : vn_l3_offset(p, d->len, &type);
  if (type != VN_ETH_IPV6 || d->len - at < 40 || p[at] >> 4 != 6) return ip;
  ip.at = p + at, ip.len = d->len - at, ip.protocol = p[at + 6];
  return ip;
}

/* The transport header, 0 where there is none of that protocol: ports at 0 and 2. */
VN__INLINE u8 *vn_segment(vn_ip ip, u8 protocol, u32 least) {
  return ip.at && ip.protocol == protocol && ip.len - ip.header_len >= least ? ip.at + ip.header_len : 0;
}
VN__INLINE u8 *vn_udp(vn_ip ip) { return vn_segment(ip, 17, 8); }
VN__INLINE u8 *vn_tcp(vn_ip ip) { return vn_segment(ip, 6, 20); }

/* Which end of a packet. */
enum { VN_SRC = 0, VN_DST = 1 };

/* The place of an address, 4 or 16 bytes. */
VN__INLINE u8 *vn_ip_addr(vn_ip ip, int end) { return ip.at + (ip.version == 4 ? 12 + 4 * end : 8 + 16 * end); }

/* The place of the transport checksum; 0 where there is none. */
VN__INLINE u8 *vn__l4_sum(vn_ip ip) {
  u8 *seg = ip.at + ip.header_len;
  u32 rest = ip.len - ip.header_len;
  if (ip.protocol == 6 && rest >= 20) return seg + 16;
  if (ip.protocol == 17 && rest >= 8 && (seg[6] | seg[7])) return seg + 6;
  if (ip.protocol == 58 && rest >= 4) return seg + 2;
  return 0;
}
VN__INLINE void vn__l4_update(const vn_desc *d, vn_ip ip, u8 *sum, u16 before, u16 after) {
  if (!sum) return;
  if (d->flags & VN_F_CSUM_PARTIAL) { /* it holds the pseudo-header's sum alone, and that not inverted */
    vn_put16(sum, (u16)~vn_csum_update16((u16)~vn_be16(sum), before, after));
    return;
  }
  u16 fresh = vn_csum_update16(vn_be16(sum), before, after);
  vn_put16(sum, fresh == 0 && ip.protocol == 17 ? 0xffff : fresh);
}

/* These write a field and keep every sum over it right (RFC 1624), partial ones too. */
VN__INLINE void vn_set_ttl(vn_ip ip, u8 ttl) {
  if (ip.version == 6) {
    ip.at[7] = ttl;
    return;
  }
  u16 before = vn_be16(ip.at + 8);
  ip.at[8] = ttl;
  vn_put16(ip.at + 10, vn_csum_update16(vn_be16(ip.at + 10), before, vn_be16(ip.at + 8)));
}
VN__INLINE void vn_set_addr(const vn_desc *d, vn_ip ip, int end, const u8 *to) {
  u8 *at = vn_ip_addr(ip, end), *sum = vn__l4_sum(ip);
  for (u32 i = 0; i < (ip.version == 4 ? 4u : 16u); i += 2) {
    u16 before = vn_be16(at + i), after = vn_be16(to + i);
    if (ip.version == 4) vn_put16(ip.at + 10, vn_csum_update16(vn_be16(ip.at + 10), before, after));
    vn__l4_update(d, ip, sum, before, after);
    vn_put16(at + i, after);
  }
}
VN__INLINE void vn_set_port(const vn_desc *d, vn_ip ip, int end, u16 to) {
  if (ip.protocol != 6 && ip.protocol != 17) return;
  u8 *at = ip.at + ip.header_len + 2 * end;
  if (ip.len - ip.header_len < 4) return;
  u16 before = vn_be16(at);
  vn_put16(at, to);
  if (!(d->flags & VN_F_CSUM_PARTIAL)) vn__l4_update(d, ip, vn__l4_sum(ip), before, to);
}

/* clang turns loops and struct copies into calls of these; a plugin that needs none carries none. */
VN__BEGIN_C
__attribute__((weak, no_builtin)) void *memmove(void *to, const void *from, __SIZE_TYPE__ n) {
  u8 *t = (u8 *)to;
  const u8 *f = (const u8 *)from;
  if (t <= f)
    for (__SIZE_TYPE__ i = 0; i < n; i++) t[i] = f[i];
  else
    while (n--) t[n] = f[n];
  return to;
}
__attribute__((weak, no_builtin)) void *memcpy(void *to, const void *from, __SIZE_TYPE__ n) {
  u8 *t = (u8 *)to;
  const u8 *f = (const u8 *)from;
  for (__SIZE_TYPE__ i = 0; i < n; i++) t[i] = f[i];
  return to;
}
__attribute__((weak, no_builtin)) void *memset(void *to, int byte, __SIZE_TYPE__ n) {
  u8 *t = (u8 *)to;
  for (__SIZE_TYPE__ i = 0; i < n; i++) t[i] = (u8)byte;
  return to;
}
__attribute__((weak, no_builtin)) int memcmp(const void *a, const void *b, __SIZE_TYPE__ n) {
  const u8 *x = (const u8 *)a, *y = (const u8 *)b;
  for (__SIZE_TYPE__ i = 0; i < n; i++)
    if (x[i] != y[i]) return x[i] - y[i];
  return 0;
}
VN__END_C

/* ---- batch form ---- */

/* Descriptors in the ring: 8 to 1,024. The host passes at most half of them as frames. */
#ifndef VN_RING_LEN
#define VN_RING_LEN 128
#endif
/* Bytes of a slot, a multiple of 64. A frame and what is pushed before it share it with 128 bytes of headroom,
 * so 2,112 takes frames of 1,984 bytes and 65,856 takes the super-frames of VN_GSO. Odd multiples of 64: the
 * first bytes of neighbouring frames then fall into different sets of the processor's cache. */
#ifndef VN_SLOT_LEN
#define VN_SLOT_LEN(flags) (((flags) & VN_GSO) ? 65856 : 2112)
#endif

VN__BEGIN_C
__attribute__((visibility("hidden"))) extern const vn_info vn__self;
VN__END_C
static vn_desc *vn__next __attribute__((unused)); /* the descriptor that the next vn_append() hands out */

/* Drops with a reason code of the manifest:  return vn_drop(d, 1); */
VN__INLINE u8 vn_drop(vn_desc *d, u16 reason) {
  d->reason = reason;
  return VN_DROP;
}

/* Sends the frame out of another port, or with VN_FLOOD out of all but its own:  return vn_redirect(d, 1); */
VN__INLINE u8 vn_redirect(vn_desc *d, u16 port) {
  d->out_port = port;
  return VN_REDIRECT;
}

/* Asks the host to recompute the IPv4, TCP, UDP, ICMP and ICMPv6 sums. */
VN__INLINE void vn_csum_dirty(vn_desc *d) { d->flags |= VN_F_CSUM_DIRTY; }

VN__INLINE u32 vn__slot_len(void) { return vn__self.arena_len / vn__self.ring_len / 64 * 64; }
VN__INLINE u32 vn__slot_start(const vn_desc *d) { return d->off - (d->off - vn__self.arena) % vn__slot_len(); }

/* Takes `n` bytes of headroom behind the frame's first `at` bytes, which move down: the `n` bytes from `at` on
 * are the caller's to write. The frame's new start, or 0 (and nothing changed) where the headroom is used up. */
VN__INLINE u8 *vn_push_at(vn_desc *d, u32 at, u32 n) {
  u32 room = d->off - vn__slot_start(d) - VN_HOST_RESERVED;
  if (at > d->len || n > room) return 0;
  u8 *from = (u8 *)d->off, *to = from - n;
  for (u32 i = 0; i < at; i++) to[i] = from[i];
  d->off -= n, d->len += n;
  return to;
}

/* Takes away `n` bytes behind the first `at`. The frame's new start, or 0 (and nothing changed) where the
 * frame is not longer than that. */
VN__INLINE u8 *vn_pop_at(vn_desc *d, u32 at, u32 n) {
  if (at >= d->len || n >= d->len - at) return 0;
  u8 *from = (u8 *)d->off, *to = from + n;
  for (u32 i = at; i > 0; i--) to[i - 1] = from[i - 1];
  d->off += n, d->len -= n;
  return to;
}

/* The same at the frame's very start: an outer header put on or taken off. */
VN__INLINE u8 *vn_push(vn_desc *d, u32 n) { return vn_push_at(d, 0, n); }
VN__INLINE u8 *vn_pop(vn_desc *d, u32 n) { return vn_pop_at(d, 0, n); }

/* Puts a VLAN tag behind the MAC addresses. The frame's new start, or 0 where there is no room. */
VN__INLINE u8 *vn_vlan_push(vn_desc *d, u16 tpid, u16 tci) {
  u8 *p = d->len < 14 ? 0 : vn_push_at(d, 12, 4);
  if (p) vn_put16(p + 12, tpid), vn_put16(p + 14, tci);
  return p;
}

/* Takes the outermost VLAN tag off and writes it to *tci. The frame's new start, or 0 where there is no tag. */
VN__INLINE u8 *vn_vlan_pop(vn_desc *d, u16 *tci) {
  u8 *p = (u8 *)d->off;
  if (d->len < 18 || (vn_be16(p + 12) != VN_ETH_VLAN && vn_be16(p + 12) != VN_ETH_QINQ)) return 0;
  *tci = vn_be16(p + 14);
  return vn_pop_at(d, 12, 4);
}

/* Shortens or lengthens the frame at its end; new bytes are zero. 0 (and nothing changed) where the slot ends first. */
VN__INLINE int vn_set_len(vn_desc *d, u32 len) {
  u8 *p = (u8 *)d->off;
  if (len > vn__slot_start(d) + vn__slot_len() - d->off) return 0;
  for (u32 i = d->len; i < len; i++) p[i] = 0;
  d->len = len;
  return 1;
}

/* A further frame, sent after those of the batch: write its bytes at `off`, then `len` and `verdict` (VN_REDIRECT
 * with out_port, VN_TX, or VN_PASS to go on along the chain). 0 where the ring is full. */
VN__INLINE vn_desc *vn_append(void) {
  vn_desc *end = (vn_desc *)vn__self.ring + vn__self.ring_len;
  return vn__next < end ? vn__next++ : 0;
}

/* Makes `u8 fn(u8 *p, vn_desc *d)` a batch plugin: ring, arena, vnet_info and vnet_on_batch. */
#define VNET_PLUGIN(fn, info_flags)                                                                        \
  static vn_desc vn__ring[VN_RING_LEN];                                                                    \
  static u8 vn__arena[VN_RING_LEN * VN_SLOT_LEN(info_flags)] __attribute__((aligned(64)));                 \
  VN__BEGIN_C                                                                                              \
  const vn_info vn__self = {{'V', 'N', 'E', 'T'}, 1, 0, sizeof(vn_desc), VN_RING_LEN, (u32)vn__ring,       \
                            (u32)vn__arena, sizeof(vn__arena), (info_flags)};                              \
  VN__END_C                                                                                                \
  VN_EXPORT(vnet_info) const vn_info *vnet_info(void);                                                     \
  const vn_info *vnet_info(void) { return &vn__self; }                                                     \
  VN_EXPORT(vnet_on_batch) i32 vnet_on_batch(vn_desc *d, u32 n);                                           \
  i32 vnet_on_batch(vn_desc *d, u32 n) {                                                                   \
    vn_desc *end = d + n;                                                                                  \
    vn__next = end;                                                                                        \
    for (; d != end; d++) d->verdict = fn((u8 *)d->off, d);                                                \
    return (i32)(vn__next - end);                                                                          \
  }

/* ---- maps: tables that the host sees by name, and carries over to a fresh instance ---- */

typedef struct vn_map {
  u8 magic[4]; /* "VMAP" */
  u32 key_size, value_size, capacity, count;
  const char *name;
  u32 name_len, flags;
  u8 *slots;
} vn_map;
VN__ASSERT(sizeof(vn_map) == 36, "layout of vn_map");

#define VN__PAD8(n) (((n) + 7) / 8 * 8)
#define VN__MAP_SLOT(key, value) (8 + VN__PAD8(key) + VN__PAD8(value))

/* A table of `slots` slots, a power of two; keep it half empty. Name every one in VNET_MAPS(&a, &b). */
#define VN_MAP(map, key_type, value_type, slots_)                                                          \
  VN__ASSERT((slots_) > 0 && ((slots_) & ((slots_) - 1)) == 0, "the slots of a map are a power of two");   \
  static u8 vn__slots_##map[(slots_) * VN__MAP_SLOT(sizeof(key_type), sizeof(value_type))]                 \
      __attribute__((aligned(8)));                                                                         \
  static vn_map map = {{'V', 'M', 'A', 'P'}, sizeof(key_type), sizeof(value_type), (slots_), 0,            \
                       #map, sizeof(#map) - 1, 0, vn__slots_##map}

#define VNET_MAPS(...)                                                                                     \
  VN_EXPORT(vnet_maps) const u32 *vnet_maps(void);                                                         \
  const u32 *vnet_maps(void) {                                                                             \
    vn_map *maps[] = {__VA_ARGS__};                                                                        \
    static u32 table[1 + sizeof maps / sizeof *maps];                                                      \
    table[0] = sizeof maps / sizeof *maps;                                                                 \
    for (u32 i = 0; i < table[0]; i++) table[1 + i] = (u32)maps[i];                                        \
    return table;                                                                                          \
  }

/* The slot of a key, or the one it would take; 0 where the table is full. Its first word is 1 where it holds the key. */
VN__INLINE u8 *vn__map_slot(const vn_map *m, const u8 *key, u32 *hash) {
  u32 size = VN__MAP_SLOT(m->key_size, m->value_size), h = 2166136261u;
  u8 *free = 0;
  for (u32 i = 0; i < m->key_size; i++) h = (h ^ key[i]) * 16777619u;
  *hash = h;
  for (u32 i = 0; i < m->capacity; i++) {
    u8 *slot = m->slots + ((h + i) & (m->capacity - 1)) * size;
    u32 state = *(u32 *)slot;
    if (state == 1 && *(u32 *)(slot + 4) == h) {
      u32 k = 0;
      while (k < m->key_size && slot[8 + k] == key[k]) k++;
      if (k == m->key_size) return slot;
    }
    if (state != 1 && !free) free = slot;
    if (state == 0) break;
  }
  return free;
}

/* A key's value, to be read and written in place; 0 where there is none. */
VN__INLINE void *vn_map_get(const vn_map *m, const void *key) {
  u32 hash;
  u8 *slot = vn__map_slot(m, (const u8 *)key, &hash);
  return slot && *(u32 *)slot == 1 ? slot + 8 + VN__PAD8(m->key_size) : 0;
}

/* The same, made of zeros where there is none; 0 where the table is full. */
VN__INLINE void *vn_map_put(vn_map *m, const void *key) {
  u32 hash, value = VN__PAD8(m->value_size), at = 8 + VN__PAD8(m->key_size);
  u8 *slot = vn__map_slot(m, (const u8 *)key, &hash);
  if (!slot || *(u32 *)slot == 1) return slot ? slot + at : 0;
  for (u32 i = 8; i < at + value; i++) slot[i] = 0;
  for (u32 i = 0; i < m->key_size; i++) slot[8 + i] = ((const u8 *)key)[i];
  *(u32 *)slot = 1, *(u32 *)(slot + 4) = hash, m->count++;
  return slot + at;
}

/* Takes a key out; 0 where there was none. */
VN__INLINE int vn_map_del(vn_map *m, const void *key) {
  u32 hash;
  u8 *slot = vn__map_slot(m, (const u8 *)key, &hash);
  if (!slot || *(u32 *)slot != 1) return 0;
  *(u32 *)slot = 2, m->count--;
  return 1;
}

VN__INLINE void vn_map_clear(vn_map *m) {
  for (u32 i = 0; i < m->capacity; i++) *(u32 *)(m->slots + i * VN__MAP_SLOT(m->key_size, m->value_size)) = 0;
  m->count = 0;
}

/* ---- simple form ---- */

/* Answers of the simple form that carry a number:  return VN_DROP_FOR(1);  return VN_REDIRECT_TO(VN_FLOOD); */
#define VN_DROP_FOR(reason) (VN_DROP | (i32)(u16)(reason) << 8)
#define VN_REDIRECT_TO(port) (VN_REDIRECT | (i32)(u16)(port) << 8)

/* Bytes of the simple form's frame buffer; larger than 2,048 to take a larger MTU. */
#ifndef VN_FRAME_CAP
#define VN_FRAME_CAP 2048
#endif

/* Makes `i32 fn(u8 *p, u32 len)` a simple plugin: the frame buffer, vnet_frame_cap and vnet_on_packet. */
#define VNET_SIMPLE(fn)                                                                                    \
  VN__BEGIN_C                                                                                              \
  __attribute__((aligned(64), used)) u8 vnet_frame[VN_FRAME_CAP];                                          \
  VN__END_C                                                                                                \
  __asm__(".export_name vnet_frame, vnet_frame\n");                                                        \
  VN_EXPORT(vnet_frame_cap) u32 vnet_frame_cap(void);                                                      \
  u32 vnet_frame_cap(void) { return VN_FRAME_CAP; }                                                        \
  VN_EXPORT(vnet_on_packet) i32 vnet_on_packet(u8 *p, u32 len);                                            \
  i32 vnet_on_packet(u8 *p, u32 len) { return fn(p, len); }

/* ---- both forms ---- */

/* Makes `i32 fn(const char *json, u32 len)` the function that takes the configuration, once, before the first
 * frame. Non-zero refuses it. The text is there during the call only; VN_CONFIG_INT and VN_CONFIG_STR read it too. */
#define VNET_CONFIGURE(fn)                                                                                 \
  VN_EXPORT(vnet_configure) i32 vnet_configure(const char *json, u32 len);                                 \
  i32 vnet_configure(const char *json, u32 len) { return fn(json, len); }

/* Makes `void fn(i32 id, u64 now_ns)` the function that is called when a timer comes. */
#define VNET_TIMER(fn)                                                                                     \
  VN_EXPORT(vnet_on_timer) void vnet_on_timer(i32 id, u64 now_ns);                                         \
  void vnet_on_timer(i32 id, u64 now_ns) { fn(id, now_ns); }

/* The manifest, a custom section. As a C string, VNET_MANIFEST("{\"name\": \"x\"}"), or as plain JSON,
 * VNET_MANIFEST_JSON({"name": "x"}). By assembly: clang 14's section attribute makes no custom section. */
#define VN__TEXT(...) #__VA_ARGS__
#define VN__QUOTED(...) VN__TEXT(__VA_ARGS__)
#define VN__SECTION(quoted)                                                                                \
  __asm__(".section .custom_section.vnet.manifest,\"\",@\n.ascii " quoted "\n.section .text,\"\",@\n")
#define VNET_MANIFEST(json) VN__SECTION(#json);
#define VNET_MANIFEST_JSON(...) VN__SECTION(VN__QUOTED(VN__TEXT(__VA_ARGS__)));

#endif
