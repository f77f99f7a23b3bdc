/* Reading the VM clock without vector registers, which hold the guest's while emitted code runs: this file is compiled without them, and of the C library
 * nothing is called but what the kernel puts into every process for this purpose, which is compiled so, too. vCPU threads; called by cpu/help/light.c.
 * Source: vdso(7). */
#include <dlfcn.h>
#include <time.h>
#include "util/clock.h"

static int (*host_time)(clockid_t id, struct timespec *ts); /* set once, before vCPU threads start */

bool clock_light_init(void)
{
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
    void *fn = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
    memcpy(&host_time, &fn, sizeof(host_time));
    return fn;
}

i64 clock_base_ns(const struct clock_base *b)
{
    for (;;) {
        u32 seq = __atomic_load_n(&b->seq, __ATOMIC_ACQUIRE);
        bool running = __atomic_load_n(&b->running, __ATOMIC_RELAXED);
        i64 base = __atomic_load_n(&b->base, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((seq & 1) || __atomic_load_n(&b->seq, __ATOMIC_RELAXED) != seq)
            continue;
        if (!running)
            return base;
        struct timespec ts;
        host_time(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * NS_PER_SEC + ts.tv_nsec + base;
    }
}
