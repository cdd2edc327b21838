/* Simple form: counts what must never reach it, frames longer than the wire takes and sums that are not right. */
#include "abi.h"

unsigned char vnet_frame[2048];

static int seen, oversize, wrong;

EXPORT("_initialize") void initialize(void) {
    seen = host_counter(TEXT("seen"));
    oversize = host_counter(TEXT("oversize"));
    wrong = host_counter(TEXT("wrong"));
}

static u32 add(const u8 *p, u32 len, u32 sum) {
    for (u32 i = 0; i + 1 < len; i += 2) sum += be16(p + i);
    if (len & 1) sum += (u32)p[len - 1] << 8;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

EXPORT("vnet_on_packet") int on_packet(u8 *p, u32 len) {
    u8 *ip = p + 14;
    if (len > 1514) host_count(oversize, 1);
    if (len < 54 || be16(p + 12) != 0x0800 || ip[0] != 0x45 || ip[9] != 6) return PASS;
    host_count(seen, 1);
    u32 tcp = be16(ip + 2) - 20u;
    if (tcp + 34 > len || add(ip, 20, 0) != 0xffff || add(ip + 20, tcp, add(ip + 12, 8, 6 + tcp)) != 0xffff)
        host_count(wrong, 1);
    return PASS;
}
