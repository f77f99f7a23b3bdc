/* The Internet checksum: one's complement sums of 16-bit words. Pure functions, any thread. RFC 1071; pseudo headers: RFC 9293, 3.1, and RFC 8200, 8.1. */
#ifndef UTIL_INET_SUM_H
#define UTIL_INET_SUM_H
#include "util/base.h"

/* The sum of len bytes as they lie in memory, and of `sum`, folded to 16 bits. Its complement stored at an even place of the data makes the whole
 * sum 0xffff. */
u16 inet_sum(const u8 *p, u32 len, u64 sum);
/* The sum of the pseudo header of a TCP or UDP packet: ip is the IPv4 or IPv6 header. */
u16 inet_pseudo_sum(const u8 *ip, bool v4, u8 proto, u32 l4_len);

#endif
