/* Programs of `make bench` that make code while they run: a function generated anew in the same place, much code that runs once, a loop that changes
 * itself, and one that changes a neighbour's operand. Run by bench/guest/main.c. */
#include "bench/guest/bench.h"
#include <string.h>
#include <sys/mman.h>

typedef uint64_t fn(uint64_t);

/* Memory that can be written and executed, the same in every call. */
static uint8_t *memory(unsigned long size)
{
    static uint8_t *p;
    if (!p)
        p = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        failed("mmap");
    return p;
}

static uint8_t *put(uint8_t *p, const char *code, unsigned size)
{
    memcpy(p, code, size);
    return p + size;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
    return p + 4;
}

/* A function of its own for each seed: mov %rdi, %rax; n operations on eax with a constant, and a jump over nothing now and then; ret. value: what it
 * returns for *value. */
static uint8_t *generate(uint8_t *p, int n, uint32_t seed, uint32_t *value)
{
    uint32_t a = *value;
    p = put(p, "\x48\x89\xf8", 3);
    for (int i = 0; i < n; i++) {
        uint32_t r = random_next(&seed);
        switch (r >> 29) {
        case 0: p = put32(put(p, "\x05", 1), r), a += r; break;                 /* add */
        case 1: p = put32(put(p, "\x2d", 1), r), a -= r; break;                 /* sub */
        case 2: p = put32(put(p, "\x35", 1), r), a ^= r; break;                 /* xor */
        case 3: p = put(p, "\xc1\xc0\x07", 3), a = a << 7 | a >> 25; break;     /* rol $7 */
        case 4: p = put32(put(p, "\x69\xc0", 2), r | 1), a *= r | 1; break;     /* imul */
        case 5: p = put(p, "\x89\xc2\xc1\xea\x03\x01\xd0", 7), a += a >> 3; break; /* mov %eax, %edx; shr $3, %edx; add %edx, %eax */
        case 6: p = put(p, "\x8d\x44\x80\x11", 4), a = a * 5 + 17; break;       /* lea 17(%rax, %rax, 4) */
        case 7: p = put(p, "\x85\xc0\x78\x02\xf7\xd0", 6), a = (int32_t)a < 0 ? a : ~a; break; /* test; js over; not */
        }
    }
    *value = a;
    return put(p, "\xc3", 1);
}

/* One place, a new function each time, called a few times. */
static uint64_t regenerated(void)
{
    enum { N = 500 };
    uint8_t *p = memory(1 << 20);
    uint64_t good = 0;
    for (uint32_t i = 1; i <= N; i++) {
        uint32_t first = i * 7, a = first;
        generate(p, 60, i, &a);
        for (int k = 0; k < 20; k++)
            good += (uint32_t)((fn *)p)(first) == a;
    }
    return good;
}

/* Many functions, each called once: what was there before is overwritten first. */
static uint64_t cold(void)
{
    enum { N = 2000 };
    static uint32_t wanted[N];
    static uint8_t *at[N];
    static uint32_t seed = 1;
    uint8_t *p = memory(1 << 20);
    uint64_t good = 0;
    for (uint32_t i = 0; i < N; i++) {
        wanted[i] = i;
        at[i] = p;
        p = generate(p, 60, random_next(&seed) | 1, &wanted[i]);
    }
    for (uint32_t i = 0; i < N; i++)
        good += (uint32_t)((fn *)at[i])(i) == wanted[i];
    return good;
}

/* A loop that counts the constant of its own addition up. */
static uint64_t self_modifying(void)
{
    static const char loop[] = "\x31\xc0"                 /*     xor %eax, %eax */
                               "\x05\x00\x00\x00\x00"     /* 1:  add $0, %eax */
                               "\xff\x05\xf6\xff\xff\xff" /*     incl that 0 */
                               "\xff\xcf\x75\xf1\xc3";    /*     dec %edi; jnz 1b; ret */
    uint8_t *p = memory(1 << 20);
    put(p, loop, sizeof(loop) - 1);
    return (uint32_t)((fn *)p)(2000);
}

/* A function whose constant another one writes before each call, as dynamic linkers and tracers do. */
static uint64_t patched(void)
{
    enum { N = 2000 };
    uint8_t *p = memory(1 << 20);
    uint64_t sum = 0;
    put(p, "\x8d\x87\x00\x00\x00\x00\xc3", 7); /* lea 0(%rdi), %eax; ret */
    for (uint32_t i = 0; i < N; i++) {
        put32(p + 2, i);
        sum += (uint32_t)((fn *)p)(i);
    }
    return sum;
}

const struct program programs[] = {
    { "regenerated", regenerated, 500 * 20, NULL },
    { "cold", cold, 2000, NULL },
    { "self-modifying", self_modifying, 2000 * 1999 / 2, NULL },
    { "patched", patched, 2 * (2000ull * 1999 / 2), NULL },
    { NULL, NULL, 0, NULL },
};
