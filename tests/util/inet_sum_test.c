/* The Internet checksum against one that is computed byte by byte, and against packets whose checksums are known. */
#include "util/inet_sum.h"
#include <glib.h>

/* In network byte order, as the packet has it. */
static u16 slow(const u8 *p, unsigned len, u32 sum)
{
    for (unsigned i = 0; i < len; i++)
        sum += i & 1 ? p[i] : p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void test_lengths(void)
{
    u8 buf[200];

    for (unsigned n = 0; n < 20000; n++) {
        unsigned at = g_test_rand_int_range(0, 8), len = g_test_rand_int_range(0, 192);
        u16 start = g_test_rand_int_range(0, 65536);
        for (unsigned i = 0; i < sizeof(buf); i++)
            buf[i] = n & 1 ? 0xff : g_test_rand_int_range(0, 256);
        g_assert_cmphex(__builtin_bswap16(inet_sum(buf + at, len, start)), ==, slow(buf + at, len, __builtin_bswap16(start)));
    }
}

/* Large sums lose no carry. */
static void test_carries(void)
{
    u8 *all = g_malloc(1 << 20);

    memset(all, 0xff, 1 << 20);
    g_assert_cmphex(inet_sum(all, 1 << 20, ~0ull >> 8), ==, 0x00ff); /* 2^56 - 1 modulo 65535 */
    g_free(all);
}

/* The example of RFC 1071, 3; an IPv4 header from a wire, which sums to 0xffff with its checksum. */
static void test_known(void)
{
    static const u8 rfc[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
    static const u8 header[] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7 };

    g_assert_cmphex(__builtin_bswap16(inet_sum(rfc, sizeof(rfc), 0)), ==, 0xddf2);
    g_assert_cmphex(inet_sum(header, sizeof(header), 0), ==, 0xffff);
}

static void test_pseudo(void)
{
    u8 ip4[20], ip6[40], words[40] = { 0 };

    for (unsigned i = 0; i < 40; i++)
        ip6[i] = ip4[i % 20] = 3 * i + 1;
    memcpy(words, ip4 + 12, 8);
    words[9] = 17;
    words[10] = 0x12, words[11] = 0x34;
    g_assert_cmphex(inet_pseudo_sum(ip4, true, 17, 0x1234), ==, inet_sum(words, 12, 0));
    memcpy(words, ip6 + 8, 32);
    words[33] = 6;
    words[34] = 0x12, words[35] = 0x34;
    g_assert_cmphex(inet_pseudo_sum(ip6, false, 6, 0x1234), ==, inet_sum(words, 36, 0));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/inet-sum/lengths", test_lengths);
    g_test_add_func("/inet-sum/carries", test_carries);
    g_test_add_func("/inet-sum/known", test_known);
    g_test_add_func("/inet-sum/pseudo", test_pseudo);
    return g_test_run();
}
