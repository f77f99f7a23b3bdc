/* A static Linux program for the initramfs of perf_test.sh: counts and samples known code through perf_event_open, as perf does, and prints
 * GUEST-PASS or GUEST-FAIL for each check. Runs inside the guest. */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef uint64_t u64;
#define PAGES 16 /* of the ring of samples */

static void verdict(const char *name, int ok, u64 got, u64 want)
{
    printf("GUEST-%s perf %s: %llu (%llu)\n", ok ? "PASS" : "FAIL", name, (unsigned long long)got, (unsigned long long)want);
}

/* 2 n instructions, n branches. */
static __attribute__((noinline)) void spin(u64 n) { __asm__ volatile("1: dec %0\n jnz 1b" : "+r"(n) : : "cc"); }

static int event_open(u64 config, u64 period, int user_only, int group)
{
    struct perf_event_attr a;
    memset(&a, 0, sizeof(a));
    a.size = sizeof(a);
    a.type = PERF_TYPE_HARDWARE;
    a.config = config;
    a.disabled = group < 0;
    a.exclude_kernel = (unsigned)user_only & 1;
    a.sample_period = period;
    a.sample_type = period ? PERF_SAMPLE_IP : 0;
    a.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    int fd = (int)syscall(SYS_perf_event_open, &a, 0, -1, group, 0);
    if (fd < 0)
        printf("GUEST-FAIL perf event %llu: %s\n", (unsigned long long)config, strerror(errno));
    return fd;
}

static u64 value(int fd)
{
    u64 v[3] = { 0 };
    if (read(fd, v, sizeof(v)) != sizeof(v) || v[1] != v[2]) /* was it always on a counter? */
        printf("GUEST-FAIL perf read: on for %llu of %llu\n", (unsigned long long)v[2], (unsigned long long)v[1]);
    return v[0];
}

static u64 count(u64 config, u64 n)
{
    int fd = event_open(config, 0, 1, -1);
    if (fd < 0)
        return 0;
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    spin(n);
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    u64 v = value(fd);
    close(fd);
    return v;
}

static void check_exact(const char *name, u64 config, u64 per_turn)
{
    const u64 n = 3000000;
    u64 once = count(config, n), got = count(config, 2 * n) - once;
    verdict(name, got == per_turn * n, got, per_turn * n);
}

/* What `perf stat` does by default, kernel included. */
static void check_group(void)
{
    static const u64 events[] = { PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_BRANCH_INSTRUCTIONS, PERF_COUNT_HW_BRANCH_MISSES };
    int fd[4];
    u64 v[4];
    for (int i = 0; i < 4; i++)
        fd[i] = event_open(events[i], 0, 0, i ? fd[0] : -1);
    ioctl(fd[0], PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP);
    spin(1000000);
    for (int i = 0; i < 100; i++)
        getppid();
    ioctl(fd[0], PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP);
    for (int i = 0; i < 4; i++) {
        v[i] = value(fd[i]);
        close(fd[i]);
    }
    printf("perf stat: %llu cycles, %llu instructions, %llu branches, %llu branch-misses\n", (unsigned long long)v[0], (unsigned long long)v[1],
           (unsigned long long)v[2], (unsigned long long)v[3]);
    verdict("cycles", v[0] > 100000, v[0], 100000);
    verdict("all instructions", v[1] > 2000000 && v[1] < 2500000, v[1], 2000000);
    verdict("all branches", v[2] > 1000000 && v[2] < 1200000, v[2], 1000000);
    verdict("all branch-misses", v[3] > 0 && v[3] < 50000, v[3], 50000);
}

/* Samples while spin(n) runs, and how many of them are in it. */
static u64 sample(u64 config, u64 period, u64 n, u64 *inside)
{
    long page = sysconf(_SC_PAGESIZE);
    int fd = event_open(config, period, 1, -1);
    u64 samples = 0;
    *inside = 0;
    struct perf_event_mmap_page *m = mmap(NULL, (size_t)(page * (PAGES + 1)), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || m == MAP_FAILED)
        return 0;
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    spin(n);
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    for (u64 at = 0; at < m->data_head;) {
        struct perf_event_header *h = (void *)((char *)m + page + at % (u64)(page * PAGES));
        u64 ip = *(u64 *)(h + 1);
        if (h->type == PERF_RECORD_SAMPLE) {
            samples++;
            *inside += ip >= (u64)spin && ip < (u64)spin + 64;
        }
        at += h->size;
    }
    munmap(m, (size_t)(page * (PAGES + 1)));
    close(fd);
    return samples;
}

static void check_samples(void)
{
    u64 inside, n = sample(PERF_COUNT_HW_INSTRUCTIONS, 500000, 10000000, &inside);
    verdict("samples by instructions", n == 40, n, 40);
    verdict("their places", inside >= n - 1 && n, inside, n);
    n = sample(PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 500000, 10000000, &inside);
    verdict("samples by branches", n == 20, n, 20);
    n = sample(PERF_COUNT_HW_CPU_CYCLES, 1000000, 100000000, &inside);
    verdict("samples by cycles", n >= 10, n, 10);
}

int main(void)
{
    check_exact("instructions", PERF_COUNT_HW_INSTRUCTIONS, 2);
    check_exact("branches", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 1);
    check_group();
    check_samples();
    printf("GUEST-PERF-DONE\n");
    return 0;
}
