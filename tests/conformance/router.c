/* Batch form: rewriting with CSUM_DIRTY, answers, redirects, and each way a descriptor can be wrong. */
#include "abi.h"

#define RING 32
#define SLOT 2304

MANIFEST("\"{\\\"name\\\":\\\"router\\\",\\\"abi\\\":\\\"1.0\\\",\\\"layers\\\":[\\\"l2\\\"],"
         "\\\"reasons\\\":{\\\"4\\\":\\\"ttl\\\"},\\\"an_unknown_key\\\":1}\"");

static struct vn_desc ring[RING];
static u8 arena[RING * SLOT] __attribute__((aligned(64)));
static struct vn_info info;
static int egress, rewritten, configured;

EXPORT("vnet_info") struct vn_info *about(void) {
    info = (struct vn_info){{'V', 'N', 'E', 'T'}, 1, 0, sizeof *ring, RING, (u32)ring, (u32)arena, sizeof arena, 0};
    egress = host_counter(TEXT("egress"));
    rewritten = host_counter(TEXT("rewritten"));
    return &info;
}

EXPORT("vnet_configure") int configure(const u8 *json, u32 len) {
    /* Without a configuration it is called with {}. */
    configured = len >= 2 && json[0] == '{' && json == arena;
    return configured ? 0 : 1;
}

static void wrong(struct vn_desc *d, u8 kind, const u8 *slot) {
    switch (kind % 8) {
    case 0: d->off = (u32)slot + 15; break;
    case 1: d->len = d->cap + 1; break;
    case 2: d->off = 0xffffffffu; break;
    case 3: d->len = 0xffffffffu; break;
    case 4: d->off = 0; break;
    case 5: d->off = (u32)slot + SLOT; d->len = 64; break;
    case 6: d->off = 0xffffffc0u; d->len = 64 + (u32)slot + 128; break;
    case 7: d->off += d->len; d->len = d->cap; break;
    }
}

static void judge(struct vn_desc *d, const u8 *slot) {
    u8 *p = (u8 *)d->off;
    u32 at = ether_type_at(p, d->len), type = at ? be16(p + at) : 0, room = d->len - at - 2;
    u8 *h = p + at + 2;
    u8 first = room ? *h : 0;
    if (d->flags & EGRESS) host_count(egress, 1);
    if (type == 0x0800 && room >= 20 && h[0] >> 4 == 4) {
        if (h[8] <= 1) {
            d->verdict = DROP;
            d->reason = 4;
            return;
        }
        h[8]--;
        h[15] ^= 0x5a;
        d->flags |= CSUM_DIRTY;
        d->verdict = PASS;
        host_count(rewritten, 1);
    } else if (type == 0x86dd && room >= 40 && h[0] >> 4 == 6) {
        h[7]--;
        h[39] ^= 0x5a;
        d->flags |= CSUM_DIRTY;
        d->verdict = PASS;
        host_count(rewritten, 1);
    } else if (type == 0x88b6) {
        for (int i = 0; i < 6; i++) {
            u8 octet = p[i];
            p[i] = p[i + 6];
            p[i + 6] = octet;
        }
        d->verdict = TX;
    } else if (type == 0x88b7) {
        d->verdict = REDIRECT;
        d->out_port = 1 - d->port;
    } else if (type == 0x88b8) {
        d->verdict = REDIRECT;
        d->out_port = FLOOD;
    } else if (type == 0x88b9) {
        d->verdict = REDIRECT;
        d->out_port = first & 1 ? d->port : 2 + first;
    } else if (type == 0x88ba) {
        d->verdict = (u8)(4 + first % 251);
    } else if (type == 0x88bb) {
        d->verdict = PASS;
        wrong(d, first, slot);
    } else if (type == 0x88bc) {
        /* What the guest may not write is ignored, and so is what belongs to another verdict. */
        d->verdict = PASS;
        d->port = 77;
        d->cap = 3;
        d->pad = 9;
        d->ts_ns = 1;
        d->gso_size = 500;
        d->out_port = 999;
        d->reason = 999;
        d->flags ^= EGRESS | 1 | 2 | 8 | 16;
    } else if (type == 0x88bd) {
        d->verdict = PASS;
        d->len = 0;
    }
    /* All others stay UNSET. */
}

EXPORT("vnet_on_batch") int on_batch(struct vn_desc *d, int n) {
    if (d != ring || n > RING / 2 || !configured) return -1;
    for (int i = 0; i < RING; i++)
        if (d[i].verdict != UNSET || d[i].off != (u32)arena + i * SLOT + 128 || d[i].cap != SLOT - 128 ||
            (i >= n && (d[i].port != d[0].port || d[i].len || d[i].flags || d[i].mark || d[i].ts_ns)))
            __builtin_trap();
    for (int i = 0; i < n; i++) judge(&d[i], arena + i * SLOT);
    return 0;
}
