/* The plugin ABI as its specification words it, typed by hand: these plugins prove that the page alone is enough. */
#ifndef CONFORMANCE_ABI_H
#define CONFORMANCE_ABI_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

struct vn_info {
    u8 magic[4];
    u16 major, minor;
    u32 desc_size, ring_len, ring, arena, arena_len, flags;
};

struct vn_desc {
    u32 off, len, cap;
    u8 verdict, pad;
    u16 flags;
    u16 port, out_port, gso_size, reason;
    u32 mark, delay_us;
    u64 ts_ns;
};

_Static_assert(sizeof(struct vn_info) == 32, "vn_info is 32 bytes");
_Static_assert(sizeof(struct vn_desc) == 40, "vn_desc is 40 bytes");

enum { PASS = 0, DROP = 1, REDIRECT = 2, TX = 3, UNSET = 255 };
enum { EGRESS = 4, CSUM_DIRTY = 256, FLOOD = 0xffff };

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("vnet"), import_name(name)))

IMPORT("counter") int host_counter(const char *name, u32 len);
IMPORT("count") void host_count(int id, i64 n);
IMPORT("config_int") i64 host_config_int(const char *key, u32 len, i64 otherwise);
IMPORT("config_str") int host_config_str(const char *key, u32 len, char *buf, u32 cap);

/* A string literal as pointer and length. */
#define TEXT(literal) literal, sizeof(literal) - 1

/* clang 14 makes no custom section from an attribute; the assembler does. */
#define MANIFEST(json) \
    __asm__(".section .custom_section.vnet.manifest,\"\",@\n.ascii " json "\n.text\n")

static inline u32 be16(const u8 *p) { return (u32)p[0] << 8 | p[1]; }

static inline void put16(u8 *p, u32 value) {
    p[0] = (u8)(value >> 8);
    p[1] = (u8)value;
}

/* Where the EtherType stands that no VLAN tag hides, through at most two tags; 0 when the frame ends before it. */
static inline u32 ether_type_at(const u8 *p, u32 len) {
    u32 at = 12;
    for (int tags = 0; tags < 3; tags++, at += 4) {
        if (len < at + 2) return 0;
        u32 type = be16(p + at);
        if ((type != 0x8100 && type != 0x88a8) || tags == 2) return at;
    }
    return 0;
}

#endif
