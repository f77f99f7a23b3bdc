/* The Internet checksum, see inet_sum.h. Any thread; called by network cards and back ends. RFC 1071. */
#include "util/inet_sum.h"

static u16 fold(u64 sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

/* Four lanes, so that the additions do not wait for each other; 32-bit carries gather in the upper halves. */
u16 inet_sum(const u8 *p, u32 len, u64 sum)
{
    u64 a = sum, b = 0, c = 0, d = 0;

    for (; len >= 16; p += 16, len -= 16) {
        a += ld32(p);
        b += ld32(p + 4);
        c += ld32(p + 8);
        d += ld32(p + 12);
    }
    a += b + c + d;
    for (; len >= 2; p += 2, len -= 2)
        a += ld16(p);
    if (len)
        a += *p;
    return fold(a);
}

u16 inet_pseudo_sum(const u8 *ip, bool v4, u8 proto, u32 l4_len)
{
    return inet_sum(ip + (v4 ? 12 : 8), v4 ? 8 : 32, (u64)__builtin_bswap16(proto) + __builtin_bswap16((u16)l4_len));
}
