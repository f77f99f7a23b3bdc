/* gemel-opt: the optimiser's worker process. Reads requests (struct opt_request and its regions) from descriptor 0 and answers with object files on
 * descriptor 1; ends when there are no more. Argument "low": with the lowest priority. Started by accel/dbt/opt/tier.c; may die at any time without harm. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>
#include "accel/dbt/opt/protocol.h"

static int read_all(void *buf, size_t n)
{
    for (u8 *p = buf; n;) {
        ssize_t got = read(0, p, n);
        if (got <= 0)
            return -1;
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

static int write_all(const void *buf, size_t n)
{
    for (const u8 *p = buf; n;) {
        ssize_t put = write(1, p, n);
        if (put <= 0)
            return -1;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static struct opt_region *read_region(void)
{
    struct opt_region *r = calloc(1, sizeof(*r));
    if (!r || read_all(r, offsetof(struct opt_region, op)) || r->abi != region_abi() || r->n_ops > REGION_OPS_MAX || r->n_blocks > REGION_BLOCKS_MAX ||
        r->n_insns > REGION_INSNS_MAX || read_all(r->op, r->n_ops * sizeof(r->op[0]))) {
        free(r);
        return NULL;
    }
    return r;
}

static int serve(void)
{
    struct opt_request q;
    struct opt_region *r[OPT_BATCH_MAX] = { 0 };
    if (read_all(&q, sizeof(q)) || !q.n || q.n > OPT_BATCH_MAX)
        return -1;
    for (unsigned i = 0; i < q.n; i++)
        if (!(r[i] = read_region()))
            return -1;
    size_t size = 0;
    const char *why;
    u8 *obj = region_compile((const struct opt_region *const *)r, q.n, (int)q.level, &size, &why);
    if (!obj)
        fprintf(stderr, "gemel-opt: %s\n", why);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    struct opt_answer a = { .size = obj ? (u32)size : 0,
                            .cpu_us = (u64)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + (u64)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) };
    int ret = write_all(&a, sizeof(a)) || (obj && write_all(obj, size)) ? -1 : 0;
    free(obj);
    for (unsigned i = 0; i < q.n; i++)
        free(r[i]);
    return ret;
}

static void on_signal(int sig) {}

int main(int argc, char **argv)
{
    const struct sigaction end = { .sa_handler = on_signal }; /* interrupts the waiting for a request; compiling goes on */
    const struct rlimit mem = { 2048ul << 20, 2048ul << 20 };
    sigaction(SIGTERM, &end, NULL);
    signal(SIGINT, SIG_IGN); /* of the terminal */
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setrlimit(RLIMIT_AS, &mem);
    if (argc > 1 && !strcmp(argv[1], "low") && setpriority(PRIO_PROCESS, 0, 19) < 0)
        return 1;
    while (!serve())
        ;
    return 0;
}
