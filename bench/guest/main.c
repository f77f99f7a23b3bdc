/* Runs one program of a group some times: GROUP NAME COUNT. Each round's result is checked; prints "BENCH ok NAME CHECKSUM", "BENCH absent NAME"
 * or "BENCH wrong NAME: WHY", which bench/driver reads. Linked with each bench/guest/GROUP.c. */
#include "bench/guest/bench.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t checksum(const void *data, unsigned long size)
{
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (unsigned long i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

void failed(const char *what)
{
    printf("BENCH wrong %s: %m\n", what);
    exit(1);
}

void stay_here(void)
{
    int cpu = sched_getcpu();
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu < 0 ? 0 : cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set))
        failed("sched_setaffinity");
}

static int run(const struct program *p, unsigned long count)
{
    if (p->absent && p->absent()) {
        printf("BENCH absent %s\n", p->name);
        return 0;
    }
    for (unsigned long i = 0; i < count; i++) {
        uint64_t r = p->round();
        if (r != p->result) {
            printf("BENCH wrong %s: %#llx is not %#llx\n", p->name, (unsigned long long)r, (unsigned long long)p->result);
            return 1;
        }
    }
    printf("BENCH ok %s %llx\n", p->name, (unsigned long long)p->result);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], HIDDEN))
        return 0;
    if (argc != 3) {
        fprintf(stderr, "usage: %s NAME COUNT\n", argv[0]);
        return 2;
    }
    for (const struct program *p = programs; p->name; p++)
        if (!strcmp(p->name, argv[1]))
            return run(p, strtoul(argv[2], NULL, 10));
    printf("BENCH wrong %s: there is no such program\n", argv[1]);
    return 2;
}
