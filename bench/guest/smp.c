/* Integer work of one thread, and the same work in each of two threads: what a second CPU is worth. Threads share nothing that they write. Run by
 * bench/guest/main.c. */
#include "bench/guest/bench.h"
#include <pthread.h>
#include <stdlib.h>

/* Shell sort, a hash over the result, and a table of how often each hash came. */
static uint64_t work(void)
{
    enum { N = 20000, ROUNDS = 20 };
    uint32_t *v = malloc(N * sizeof(*v)), seen[256] = { 0 }, seed = 271828;
    uint64_t sum = 0;
    if (!v)
        failed("malloc");
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            v[i] = random_next(&seed);
        for (int gap = 9841; gap; gap /= 3)
            for (int i = gap; i < N; i++) {
                uint32_t x = v[i];
                int k = i;
                for (; k >= gap && v[k - gap] > x; k -= gap)
                    v[k] = v[k - gap];
                v[k] = x;
            }
        for (int i = 0; i < N; i++)
            seen[(v[i] * 2654435761u) >> 24]++;
        sum = sum * 31 + checksum(v, N * sizeof(*v));
    }
    free(v);
    return sum ^ checksum(seen, sizeof(seen));
}

static uint64_t one(void) { return work(); }

static void *thread(void *result)
{
    *(uint64_t *)result = work();
    return NULL;
}

static uint64_t two(void)
{
    pthread_t t;
    uint64_t other, mine;
    if (pthread_create(&t, NULL, thread, &other))
        failed("pthread_create");
    mine = work();
    pthread_join(t, NULL);
    return mine == other ? mine : 0;
}

const struct program programs[] = {
    { "one", one, 0x37154f723d87089f, NULL },
    { "two", two, 0x37154f723d87089f, NULL },
    { NULL, NULL, 0, NULL },
};
