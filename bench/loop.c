/* The CPU-bound part of bench/quick: a sieve, CRC-32, a hash table, quick sort, matrix products, and a string search, each checked
 * by its result. A static Linux program; prints the seconds each took. One thread. loop [ROUNDS] */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t seed;
static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^= seed << 5;
}

static uint64_t sieve(void)
{
    enum { N = 2000000 };
    static uint8_t composite[N];
    uint64_t count = 0;
    memset(composite, 0, sizeof(composite));
    for (uint32_t i = 2; i < N; i++) {
        if (composite[i])
            continue;
        count++;
        for (uint64_t k = (uint64_t)i * i; k < N; k += i)
            composite[k] = 1;
    }
    return count;
}

static uint64_t crc(void)
{
    static uint32_t table[256];
    uint32_t c = ~0u;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int k = 0; k < 8; k++)
            v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
        table[i] = v;
    }
    for (uint32_t i = 0; i < 8000000; i++)
        c = table[(c ^ i) & 255] ^ c >> 8;
    return c;
}

static uint64_t hash(void)
{
    enum { SLOTS = 1 << 18 };
    static uint32_t slot[SLOTS];
    uint64_t probes = 0;
    memset(slot, 0, sizeof(slot));
    for (uint32_t i = 0; i < SLOTS / 2; i++) {
        uint32_t key = next_random(), at = key * 2654435761u >> 14;
        while (slot[at] && slot[at] != key) {
            at = (at + 1) % SLOTS;
            probes++;
        }
        slot[at] = key;
    }
    return probes;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t sort(void)
{
    enum { N = 300000 };
    static uint32_t v[N];
    uint64_t sum = 0;
    for (int i = 0; i < N; i++)
        v[i] = next_random();
    qsort(v, N, sizeof(v[0]), compare);
    for (int i = 0; i < N; i += 1000)
        sum = sum * 31 + v[i];
    return sum;
}

static uint64_t matrix(void)
{
    enum { N = 160 };
    static double a[N][N], b[N][N], c[N][N];
    double trace = 0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            a[i][k] = i - k + 1;
            b[i][k] = i + k;
        }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            double s = 0;
            for (int j = 0; j < N; j++)
                s += a[i][j] * b[j][k];
            c[i][k] = s;
        }
    for (int i = 0; i < N; i++)
        trace += c[i][i];
    return (uint64_t)(int64_t)trace;
}

static uint64_t search(void)
{
    enum { N = 4000000 };
    static char text[N + 1];
    uint64_t found = 0;
    for (int i = 0; i < N; i++)
        text[i] = "abcd"[next_random() & 3];
    text[N] = 0;
    for (const char *p = text; (p = strstr(p, "abcab")); p++)
        found++;
    return found;
}

struct part {
    const char *name;
    uint64_t (*fn)(void);
    uint64_t result;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static const struct part part[] = {
        { "sieve", sieve, 148933 },
        { "crc", crc, 1916381471 },
        { "hash", hash, 65472 },
        { "sort", sort, 750502454931634208ull },
        { "matrix", matrix, 4070400 },
        { "search", search, 3933 },
    };
    int rounds = argc > 1 ? atoi(argv[1]) : 4;
    double start = now();
    for (unsigned i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
        double t = now();
        for (int k = 0; k < rounds; k++) {
            seed = 2463534242u;
            uint64_t r = part[i].fn();
            if (r != part[i].result) {
                printf("LOOP-WRONG %s %llu\n", part[i].name, (unsigned long long)r);
                return 1;
            }
        }
        printf("LOOP-PART %s %.3f\n", part[i].name, now() - t);
    }
    printf("LOOP-TIME %.3f\n", now() - start);
    return 0;
}
