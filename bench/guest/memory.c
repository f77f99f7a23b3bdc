/* Memory programs of `make bench`: pointer chase, copy, triad, REP MOVS and REP STOS, random updates. Run by bench/guest/main.c. */
#include "bench/guest/bench.h"
#include <string.h>

enum { MIB = 1 << 20 };

/* Some lines of each of many pages: they fit in a core's second-level cache, so that the time does not depend on who else uses the third, but not in
 * a small TLB. The place of line n, two to the power of bits in a page, in units of a line. */
static uint32_t line_place(uint32_t n, int bits)
{
    uint32_t page = n >> bits, first = (page * 2654435761u) >> (26 + bits), step = 64u >> bits;
    return page * 64 + first + (n & ((1u << bits) - 1)) * step;
}

/* --- a random cycle through four lines of each of 2048 pages, followed --- */
static uint64_t chase(void)
{
    enum { PAGES = 2048, LINES = 4 * PAGES };
    static struct { uint32_t next, pad[15]; } line[PAGES * 64] __attribute__((aligned(4096)));
    static bool made;
    if (!made) {
        static uint32_t order[LINES];
        uint32_t seed = 4711;
        for (uint32_t i = 0; i < LINES; i++) { /* shuffled from the inside */
            uint32_t k = random_next(&seed) % (i + 1);
            order[i] = order[k];
            order[k] = line_place(i, 2);
        }
        for (uint32_t i = 0; i < LINES; i++)
            line[order[i]].next = order[(i + 1) % LINES];
        made = true;
    }
    uint32_t first = line_place(0, 2), at = first, sum = 0;
    for (int i = 0; i < 16 * LINES; i++) {
        at = line[at].next;
        sum = sum * 3 + at;
    }
    return at == first ? sum : 0; /* back where it began */
}

/* --- words from one place to another --- */
static uint64_t copy(void)
{
    enum { N = 4 * MIB / 8 };
    static uint64_t from[N], to[N];
    for (int i = 0; i < N; i += 512)
        from[i] = 1; /* or the pages were all the same one */
    for (int k = 1; k <= 4; k++) {
        from[k * 1000] = (uint64_t)k;
        for (int i = 0; i < N; i++)
            to[i] = from[i];
        from[k * 2000] = to[k * 1000] * 3;
    }
    return to[1000] + 10 * to[2000] + 100 * to[3000] + 1000 * to[4000];
}

/* --- a[i] = b[i] + s c[i] --- */
static uint64_t triad(void)
{
    enum { N = 2 * MIB / 8 };
    static double a[N], b[N], c[N];
    for (int i = 0; i < N; i++) {
        b[i] = i;
        c[i] = N - i;
    }
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < N; i++)
            a[i] = b[i] + 3.0 * c[i];
    uint64_t sum = 0;
    for (int i = 0; i < N; i += 997)
        sum = sum * 31 + (uint64_t)a[i];
    return sum;
}

/* --- string instructions --- */
static uint8_t *rep_movsb(uint8_t *to, const uint8_t *from, unsigned long n)
{
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return to;
}

static uint8_t *rep_movsq(uint8_t *to, const uint8_t *from, unsigned long n)
{
    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return to;
}

static void rep_stosb(uint8_t *to, unsigned long n, uint8_t value)
{
    asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
}

static void rep_stosq(uint8_t *to, unsigned long n, uint64_t value)
{
    asm volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(value) : "memory");
}

static uint8_t rep_a[256 * 1024], rep_b[256 * 1024];

static uint64_t movs(void)
{
    uint32_t seed = 31337;
    uint64_t ends = 0;
    for (unsigned i = 0; i < sizeof(rep_a); i++)
        rep_a[i] = (uint8_t)(i * 7 + (i >> 8));
    for (int i = 0; i < 1000; i++) {
        uint32_t r = random_next(&seed), at = r % 4096, n = 16 + (r >> 12) % 4000;
        ends += (uint64_t)(rep_movsb(rep_b + at, rep_a + (r >> 24), n) - rep_b);
        ends ^= (uint64_t)(rep_movsq(rep_b + 8192 + at, rep_b + at, n / 8) - rep_b);
    }
    for (int i = 0; i < 20; i++) {
        rep_movsb(rep_b + i, rep_a + 64 * i, sizeof(rep_b) - 2048);
        rep_movsq(rep_a, rep_b, sizeof(rep_a) / 8);
    }
    return checksum(rep_a, 4096) ^ checksum(rep_b + sizeof(rep_b) - 8192, 8192) ^ ends;
}

static uint64_t stos(void)
{
    uint32_t seed = 31337;
    rep_stosq(rep_a, sizeof(rep_a) / 8, 0);
    for (int i = 0; i < 1000; i++) {
        uint32_t r = random_next(&seed), at = r % 8192, n = 16 + (r >> 12) % 4000;
        rep_stosb(rep_a + at, n, (uint8_t)i);
        rep_stosq(rep_a + 16384 + at, n / 8, r * 0x100000001ull);
    }
    for (int i = 0; i < 40; i++) {
        rep_stosb(rep_b + i, sizeof(rep_b) - 64, (uint8_t)i);
        rep_stosq(rep_b + i * 8, sizeof(rep_b) / 8 - 64, (uint64_t)i << 56);
    }
    return checksum(rep_a, 32768) ^ checksum(rep_b, 4096);
}

/* --- read, change and write at random places of two lines of each of 4096 pages --- */
static uint64_t update(void)
{
    enum { PAGES = 4096, LINES = 2 * PAGES, UPDATES = 400000 };
    static struct { uint64_t word[8]; } table[PAGES * 64] __attribute__((aligned(4096)));
    uint64_t sum = 0, left = 0;
    for (int k = 0; k < 2; k++) { /* the second time undoes the first */
        uint32_t seed = 2654435769u;
        for (int i = 0; i < UPDATES; i++) {
            uint32_t r = random_next(&seed);
            table[line_place(r % LINES, 1)].word[r >> 29] ^= r;
        }
        left = 0;
        for (uint32_t i = 0; i < LINES; i++) {
            sum = sum * 31 + table[line_place(i, 1)].word[i % 8];
            left |= table[line_place(i, 1)].word[i % 8];
        }
    }
    return left ? 0 : sum;
}

const struct program programs[] = {
    { "chase", chase, 0x874d9160, NULL },
    { "copy", copy, 0x10e1, NULL },
    { "triad", triad, 0xe89b821700feefe2, NULL },
    { "rep-movs", movs, 0xb5dc88bf98601a44, NULL },
    { "rep-stos", stos, 0x85ea75ab7c6836de, NULL },
    { "update", update, 0x743e56ed4261b81b, NULL },
    { NULL, NULL, 0, NULL },
};
