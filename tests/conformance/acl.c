/* Simple form: drops by declared and undeclared reasons, and every other verdict a packed answer can hold. */
#include "abi.h"

MANIFEST("\"{\\\"name\\\":\\\"acl\\\",\\\"version\\\":\\\"1\\\",\\\"abi\\\":\\\"1.0\\\","
         "\\\"reasons\\\":{\\\"1\\\":\\\"short\\\",\\\"2\\\":\\\"broadcast\\\",\\\"3\\\":\\\"vendor\\\"},"
         "\\\"counters\\\":[\\\"seen\\\",\\\"octets\\\"],"
         "\\\"config\\\":{\\\"type\\\":\\\"object\\\",\\\"additionalProperties\\\":false,\\\"properties\\\":{"
         "\\\"shortest\\\":{\\\"type\\\":\\\"integer\\\"},\\\"port\\\":{\\\"type\\\":\\\"integer\\\"},"
         "\\\"vendor\\\":{\\\"type\\\":\\\"string\\\"}}}}\"");

unsigned char vnet_frame[2048];

static int seen, octets;
static u32 shortest, port;
static u8 vendor[3];
static int has_vendor;

static u32 hex(char c) { return (u32)(c <= '9' ? c - '0' : c - 'a' + 10); }

EXPORT("_initialize") void initialize(void) {
    char text[8];
    seen = host_counter(TEXT("seen"));
    octets = host_counter(TEXT("octets"));
    shortest = (u32)host_config_int(TEXT("shortest"), 0);
    port = (u32)host_config_int(TEXT("port"), -1);
    /* The full length comes back though only `cap` bytes are written. */
    has_vendor = host_config_str(TEXT("vendor"), text, sizeof text) >= 8;
    if (has_vendor)
        for (int i = 0; i < 3; i++) vendor[i] = (u8)(hex(text[3 * i]) << 4 | hex(text[3 * i + 1]));
}

EXPORT("vnet_on_packet") int on_packet(u8 *p, u32 len) {
    host_count(seen, 1);
    host_count(octets, len);
    if (len < shortest) return DROP | 1 << 8;
    int ones = 0xff;
    for (int i = 0; i < 6; i++) ones &= p[i];
    if (ones == 0xff) return DROP | 2 << 8;
    if (has_vendor && p[6] == vendor[0] && p[7] == vendor[1] && p[8] == vendor[2]) return DROP | 3 << 8;
    switch (be16(p + 12)) {
    case 0x88b6: return TX;
    case 0x88b7: return REDIRECT | 1 << 8;
    case 0x88b8: return REDIRECT | FLOOD << 8;
    case 0x88b9: return REDIRECT | 9 << 8;
    case 0x88ba: return 7;
    case 0x88bb: return PASS | 1 << 24;
    case 0x88bc: return UNSET;
    case 0x88bd: return PASS | 77 << 8;
    }
    if (be16(p + 12) == 0x0800 && len >= 34 && p[14] >> 4 == 4 && p[23] == 17) {
        u32 at = 14 + (p[14] & 15u) * 4;
        if (at >= 34 && at + 4 <= len && be16(p + at + 2) == port) return DROP | 9 << 8;
    }
    return len % 97 == 0 ? DROP : PASS;
}
