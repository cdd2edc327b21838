/* Batch form: moves the front of frames, for a VLAN tag and as far as the headroom goes; grows and cuts their ends. */
#include "abi.h"

#define RING 8
#define SLOT 2048

static struct vn_desc ring[RING];
static u8 arena[RING * SLOT + 40] __attribute__((aligned(8)));
static struct vn_info info = {{'V', 'N', 'E', 'T'}, 1, 0, sizeof *ring, RING, (u32)ring, (u32)arena, sizeof arena, 0};

EXPORT("vnet_info") struct vn_info *about(void) { return &info; }

static void move_addresses(u8 *to, const u8 *from) {
    u8 both[12];
    for (int i = 0; i < 12; i++) both[i] = from[i];
    for (int i = 0; i < 12; i++) to[i] = both[i];
}

static void judge(struct vn_desc *d) {
    u8 *p = (u8 *)d->off;
    u32 type = be16(p + 12);
    d->verdict = PASS;
    if (type == 0x8100 && d->len >= 18) {
        move_addresses(p + 4, p);
        d->off += 4;
        d->len -= 4;
    } else if (type == 0x0800 && d->len <= 1510) {
        move_addresses(p - 4, p);
        put16(p + 8, 0x8100);
        put16(p + 10, 0x2064);
        d->off -= 4;
        d->len += 4;
    } else if (type == 0x88b5 && d->len <= 1400) {
        /* All the headroom: 112 bytes, an outer header of the same addresses and filling. */
        u8 *outer = p - 112;
        move_addresses(outer, p);
        put16(outer + 12, 0x88b4);
        for (u32 i = 14; i < 112; i++) outer[i] = (u8)i;
        d->off -= 112;
        d->len += 112;
    } else if (type == 0x88b6) {
        d->len = 14;
    } else if (type == 0x88b7 && d->len < 1500) {
        /* A trailer of 8. */
        for (u32 i = 0; i < 8; i++) p[d->len + i] = (u8)(0xa0 + i);
        d->len += 8;
    }
}

EXPORT("vnet_on_batch") int on_batch(struct vn_desc *d, int n) {
    for (int i = 0; i < n; i++) judge(&d[i]);
    return 0;
}
