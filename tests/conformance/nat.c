/* Batch form with GSO and CSUM: translates one address in super-frames whose sums are partial, or finishes sums itself. */
#include "abi.h"

#define RING 16
#define SLOT (65536 + 256)

enum { TAKES_GSO = 1, TAKES_CSUM = 2 };
enum { CSUM_PARTIAL = 1, GSO = 2 };
enum { OUTSIDE = 9, INSIDE = 2 };

static struct vn_desc ring[RING];
static u8 arena[RING * SLOT] __attribute__((aligned(64)));
static struct vn_info info = {{'V', 'N', 'E', 'T'}, 1, 0, sizeof *ring, RING, (u32)ring, (u32)arena, sizeof arena,
                              TAKES_GSO | TAKES_CSUM};
static int super, partial, finished, odd, finishes;

EXPORT("_initialize") void initialize(void) {
    super = host_counter(TEXT("super"));
    partial = host_counter(TEXT("partial"));
    finished = host_counter(TEXT("finished"));
    odd = host_counter(TEXT("odd"));
    finishes = host_config_int(TEXT("finish"), 0) != 0;
}

EXPORT("vnet_info") struct vn_info *about(void) { return &info; }

static u32 add(const u8 *p, u32 len, u32 sum) {
    for (u32 i = 0; i + 1 < len; i += 2) sum += be16(p + i);
    if (len & 1) sum += (u32)p[len - 1] << 8;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* A TCP sum over all of the segment, instead of the pseudo-header's alone that stands there. */
static void finish(u8 *ip, u32 total) {
    u8 *tcp = ip + 20;
    put16(tcp + 16, 0);
    put16(tcp + 16, ~add(tcp, total - 20, add(ip + 12, 8, 6 + total - 20)) & 0xffff);
}

static void judge(struct vn_desc *d) {
    u8 *p = (u8 *)d->off, *ip = p + 14;
    d->verdict = PASS;
    if (!(d->flags & GSO) != !d->gso_size || (d->flags & GSO && !(d->flags & CSUM_PARTIAL)) ||
        (d->len > 1514 && !(d->flags & GSO)))
        host_count(odd, 1);
    if (d->len < 54 || be16(p + 12) != 0x0800 || ip[0] != 0x45 || ip[9] != 6) return;
    if (d->flags & GSO) host_count(super, 1);
    if (d->flags & CSUM_PARTIAL) host_count(partial, 1);
    if (finishes) {
        if (d->flags & GSO || !(d->flags & CSUM_PARTIAL)) return;
        finish(ip, be16(ip + 2));
        d->flags &= (u16)~CSUM_PARTIAL;
        host_count(finished, 1);
        return;
    }
    u8 *last = d->port == 0 ? ip + 19 : ip + 15;
    if (*last != (d->port == 0 ? OUTSIDE : INSIDE)) return;
    *last = d->port == 0 ? INSIDE : OUTSIDE;
    d->flags |= CSUM_DIRTY;
}

EXPORT("vnet_on_batch") int on_batch(struct vn_desc *d, int n) {
    for (int i = 0; i < n; i++) judge(&d[i]);
    return 0;
}
