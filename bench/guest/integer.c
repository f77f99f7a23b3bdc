/* Integer programs of `make bench`: quick sort, hash table, CRC-32, LZ77, SHA-256, recursion, and lists, matrices and a state machine in the
 * manner of CoreMark. Run by bench/guest/main.c; bytecode.c has the interpreters. */
#include "bench/guest/bench.h"
#include "bench/guest/bytecode.h"
#include <string.h>

/* --- quick sort --- */
static void quick_sort(uint32_t *a, long n)
{
    while (n > 12) {
        uint32_t pivot = a[n / 2], t;
        long i = 0, k = n - 1;
        for (;; i++, k--) {
            while (a[i] < pivot)
                i++;
            while (a[k] > pivot)
                k--;
            if (i >= k)
                break;
            t = a[i], a[i] = a[k], a[k] = t;
        }
        quick_sort(a + k + 1, n - k - 1);
        n = k + 1;
    }
    for (long i = 1; i < n; i++) {
        uint32_t v = a[i];
        long k = i;
        for (; k && a[k - 1] > v; k--)
            a[k] = a[k - 1];
        a[k] = v;
    }
}

static uint64_t sort(void)
{
    enum { N = 100000 };
    static uint32_t v[N];
    uint32_t seed = 2463534242u;
    for (int i = 0; i < N; i++)
        v[i] = random_next(&seed);
    quick_sort(v, N);
    return checksum(v, sizeof(v));
}

/* --- hash table with linear probing, keys are words of text --- */
static uint64_t hash(void)
{
    enum { SLOTS = 1 << 15, WORDS = 60000 };
    static struct { uint32_t hash, count; char word[8]; } slot[SLOTS];
    uint32_t seed = 88172645u;
    uint64_t probes = 0;
    memset(slot, 0, sizeof(slot));
    for (int i = 0; i < WORDS; i++) {
        char word[8] = { 0 };
        uint32_t r = random_next(&seed), h = 2166136261u;
        for (int k = 0; k < 3 + (int)(r >> 30); k++)
            word[k] = "etaoinsh"[r >> 3 * k & 7];
        for (int k = 0; word[k]; k++)
            h = (h ^ (uint8_t)word[k]) * 16777619u;
        uint32_t at = h % SLOTS;
        while (slot[at].count && (slot[at].hash != h || memcmp(slot[at].word, word, 8))) {
            at = (at + 1) % SLOTS;
            probes++;
        }
        slot[at].hash = h;
        slot[at].count++;
        memcpy(slot[at].word, word, 8);
    }
    return checksum(slot, 64 * sizeof(slot[0])) ^ probes;
}

/* --- CRC-32 by table --- */
static uint32_t crc_table[256];

static uint32_t crc32(const uint8_t *p, unsigned n)
{
    uint32_t c = ~0u;
    for (unsigned i = 0; i < n; i++)
        c = crc_table[(c ^ p[i]) & 255] ^ c >> 8;
    return ~c;
}

static uint64_t crc(void)
{
    static uint8_t data[65536];
    uint32_t seed = 12345, sum = 0;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int k = 0; k < 8; k++)
            v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
        crc_table[i] = v;
    }
    if (crc32((const uint8_t *)"123456789", 9) != 0xcbf43926u)
        return 0;
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)random_next(&seed);
    for (int i = 0; i < 32; i++)
        sum = sum * 31 + crc32(data + i, sizeof(data) - i);
    return sum;
}

/* --- LZ77: literals in runs (0..127, bytes), copies (128 + length - 4, 16 bits of distance) --- */
enum { LZ_SIZE = 128 * 1024, LZ_HASH = 1 << 13 };

static uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static uint8_t *lz_literals(uint8_t *out, const uint8_t *from, const uint8_t *to)
{
    while (from < to) {
        unsigned n = to - from > 128 ? 128 : (unsigned)(to - from);
        *out++ = (uint8_t)(n - 1);
        for (unsigned i = 0; i < n; i++)
            *out++ = *from++;
    }
    return out;
}

static unsigned lz_pack(const uint8_t *in, unsigned n, uint8_t *out)
{
    static uint32_t last[LZ_HASH];
    const uint8_t *begin = out;
    unsigned i = 0, literal = 0;
    memset(last, 0, sizeof(last));
    while (i + 4 < n) {
        uint32_t v = load32(in + i), h = v * 2654435761u >> 19, from = last[h];
        last[h] = i;
        if (from >= i || i - from > 65535 || load32(in + from) != v) {
            i++;
            continue;
        }
        unsigned len = 4;
        while (i + len < n && len < 131 && in[from + len] == in[i + len])
            len++;
        out = lz_literals(out, in + literal, in + i);
        *out++ = (uint8_t)(128 + len - 4);
        *out++ = (uint8_t)(i - from);
        *out++ = (uint8_t)((i - from) >> 8);
        literal = i += len;
    }
    return (unsigned)(lz_literals(out, in + literal, in + n) - begin);
}

static unsigned lz_unpack(const uint8_t *in, unsigned n, uint8_t *out)
{
    const uint8_t *end = in + n, *begin = out;
    while (in < end) {
        unsigned c = *in++;
        if (c < 128) {
            for (unsigned i = 0; i <= c; i++)
                *out++ = *in++;
            continue;
        }
        const uint8_t *from = out - (in[0] | in[1] << 8);
        in += 2;
        for (unsigned i = 0; i < c - 128 + 4; i++)
            *out++ = *from++;
    }
    return (unsigned)(out - begin);
}

static uint64_t lz(void)
{
    static uint8_t text[LZ_SIZE], packed[LZ_SIZE * 2], back[LZ_SIZE + 256];
    static const char *const word[] = { "the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "lazy ", "dog, ", "and ", "so ", "forth.\n" };
    uint32_t seed = 7;
    for (unsigned i = 0; i < LZ_SIZE;) {
        uint32_t r = random_next(&seed);
        const char *w = word[(r >> 8) % 12];
        while (*w && i < LZ_SIZE)
            text[i++] = (uint8_t)*w++;
        if (r % 4 == 0 && i < LZ_SIZE)
            text[i++] = (uint8_t)(r >> 24);
    }
    unsigned size = lz_pack(text, LZ_SIZE, packed);
    if (lz_unpack(packed, size, back) != LZ_SIZE || memcmp(text, back, LZ_SIZE))
        return 0;
    return checksum(packed, size);
}

/* --- SHA-256 (FIPS 180-4) --- */
static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t v, unsigned n) { return v >> n | v << (32 - n); }

static void sha_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = __builtin_bswap32(load32(p + 4 * i));
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
               (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, h, sizeof(s));
    for (int i = 0; i < 64; i++) {
        uint32_t a = s[0], e = s[4];
        uint32_t t1 = s[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + sha_k[i] + w[i];
        uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
        s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

static uint64_t sha256(void)
{
    static uint8_t data[65536];
    static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    static const uint8_t abc[64] = { 'a', 'b', 'c', 0x80, [63] = 24 };
    uint32_t h[8], seed = 99;
    memcpy(h, start, sizeof(h));
    sha_block(h, abc);
    if (h[0] != 0xba7816bf || h[7] != 0xf20015ad)
        return 0;
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)random_next(&seed);
    for (int k = 0; k < 8; k++)
        for (unsigned i = 0; i < sizeof(data); i += 64)
            sha_block(h, data + i);
    return checksum(h, sizeof(h));
}

/* --- recursion and indirect calls --- */
static __attribute__((noinline)) int tak(int x, int y, int z)
{
    return y < x ? tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) : z;
}

static __attribute__((noinline)) uint64_t ackermann(uint64_t m, uint64_t n)
{
    return !m ? n + 1 : !n ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static uint64_t op_add(uint64_t a, uint64_t b) { return a + b; }
static uint64_t op_xor(uint64_t a, uint64_t b) { return a ^ b; }
static uint64_t op_mul(uint64_t a, uint64_t b) { return a * (b | 1); }
static uint64_t op_rot(uint64_t a, uint64_t b) { return a << 7 | (a + b) >> 57; }

static uint64_t calls(void)
{
    static uint64_t (*const volatile op[])(uint64_t, uint64_t) = { op_add, op_xor, op_mul, op_rot };
    uint64_t a = (uint64_t)tak(18, 12, 6) + ackermann(2, 200);
    uint32_t seed = 5;
    for (int i = 0; i < 200000; i++)
        a = op[random_next(&seed) >> 13 & 3](a, (uint64_t)i);
    return a;
}

/* --- lists, matrices and a state machine --- */
struct node {
    struct node *next;
    int key, value;
};

static struct node *list_merge(struct node *a, struct node *b)
{
    struct node head, *tail = &head;
    while (a && b) {
        struct node **from = a->key <= b->key ? &a : &b;
        tail->next = *from;
        tail = *from;
        *from = (*from)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static struct node *list_sort(struct node *l)
{
    if (!l || !l->next)
        return l;
    struct node *slow = l, *fast = l->next, *half;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    half = slow->next;
    slow->next = NULL;
    return list_merge(list_sort(l), list_sort(half));
}

static uint32_t lists(uint32_t seed)
{
    enum { N = 2000 };
    static struct node node[N];
    struct node *l = NULL, *back = NULL;
    uint32_t sum = 0;
    for (int i = 0; i < N; i++) {
        node[i] = (struct node){ l, (int)(random_next(&seed) >> 16), i };
        l = &node[i];
    }
    l = list_sort(l);
    while (l) { /* reversed */
        struct node *next = l->next;
        l->next = back;
        back = l;
        l = next;
    }
    for (int find = 0; find < 65536; find += 4096) {
        for (l = back; l && l->key > find; l = l->next)
            ;
        sum = sum * 31 + (l ? (uint32_t)l->value : 0);
    }
    return sum;
}

static uint32_t matrices(uint32_t seed)
{
    enum { N = 48 };
    static int16_t a[N][N], b[N][N];
    static int32_t c[N][N];
    uint32_t sum = 0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            a[i][k] = (int16_t)random_next(&seed);
            b[i][k] = (int16_t)(random_next(&seed) >> 8);
        }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            uint32_t s = 0;
            for (int j = 0; j < N; j++)
                s += (uint32_t)(a[i][j] * b[j][k]);
            c[i][k] = (int32_t)s;
        }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            sum = sum * 31 + (uint32_t)(c[i][k] >> 4 & 0x3fff);
    return sum;
}

/* Is the text a number: what state does it end in, and how often was each entered? */
static uint32_t states(uint32_t seed)
{
    enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };
    unsigned entered[STATES] = { 0 }, sum = 0;
    for (int n = 0; n < 4000; n++) {
        char text[12] = { 0 };
        uint32_t r = random_next(&seed);
        for (int i = 0; i < 4 + (int)(r >> 29); i++)
            text[i] = "0123456789+-.e5"[(r >> 2 * i & 127) % 15];
        enum state s = START;
        for (const char *p = text; *p && s != INVALID; p++) {
            bool digit = *p >= '0' && *p <= '9', sign = *p == '+' || *p == '-';
            switch (s) {
            case START: s = digit ? INTEGER : sign ? SIGN : *p == '.' ? POINT : INVALID; break;
            case SIGN: s = digit ? INTEGER : *p == '.' ? POINT : INVALID; break;
            case INTEGER: s = digit ? INTEGER : *p == '.' ? POINT : *p == 'e' ? EXPONENT : INVALID; break;
            case POINT: s = digit ? FRACTION : INVALID; break;
            case FRACTION: s = digit ? FRACTION : *p == 'e' ? EXPONENT : INVALID; break;
            case EXPONENT: s = digit ? SCIENTIFIC : sign ? EXPONENT_SIGN : INVALID; break;
            case EXPONENT_SIGN:
            case SCIENTIFIC: s = digit ? SCIENTIFIC : INVALID; break;
            case INVALID:
            case STATES: break;
            }
            entered[s]++;
        }
        sum = sum * 7 + s;
    }
    for (int i = 0; i < STATES; i++)
        sum = sum * 31 + entered[i];
    return sum;
}

static uint64_t core(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 1; i <= 10; i++)
        sum = sum * 31 + (lists(i) ^ matrices(i) ^ states(i));
    return sum;
}

const struct program programs[] = {
    { "sort", sort, 0x14f1bdd4bd4e4ee2, NULL },
    { "hash", hash, 0x2ddd1329610cc69d, NULL },
    { "crc32", crc, 0x1407882a, NULL },
    { "lz", lz, 0xff8c16cb8591486, NULL },
    { "sha256", sha256, 0x9b4091436e3bcf8b, NULL },
    { "switch", bytecode_switch, BYTECODE_RESULT, NULL },
    { "goto", bytecode_goto, BYTECODE_RESULT, NULL },
    { "calls", calls, 0x31d823640a2f36a0, NULL },
    { "core", core, 0xd0b467b0f9abab61, NULL },
    { NULL, NULL, 0, NULL },
};
