/* Memory that holds generated host code, with a writable and an executable view: shared anonymous memory, since perf(1) looks that up in map files.
 * Called at start-up and by the vCPU threads that own an arena (cpu/help/carry.c, accel/dbt/codebuf.c). */
#include "util/exec_mem.h"
#include <sys/mman.h>
#include <unistd.h>
#include "util/err.h"

#define PAGE 4096ull
#define REACH (1ull << 31)
#define STEP (16 * MiB) /* distance between the places that are tried */

/* The same pages once more, executable: where the kernel likes, or at the address `at`, which is free. MAP_FAILED if that cannot be. */
static void *map_again(void *rw, size_t size, void *at)
{
    void *p = mremap(rw, 0, size, at ? MREMAP_MAYMOVE | MREMAP_FIXED : MREMAP_MAYMOVE, at); /* old size 0: a second mapping */
    if (p != MAP_FAILED && mprotect(p, size, PROT_READ | PROT_EXEC)) {
        int error = errno;
        munmap(p, size);
        errno = error;
        return MAP_FAILED;
    }
    return p;
}

/* The executable view close to `near`, or MAP_FAILED. */
static void *map_near(void *rw, size_t size, const void *near)
{
    u64 at = (u64)near & ~(PAGE - 1);
    for (u64 d = STEP; d + size < REACH - STEP; d += STEP) {
        u64 try[2] = { at + d, at > d + size ? at - d - size : 0 };
        for (unsigned i = 0; i < 2; i++) {
            void *place = (void *)ALIGN_DOWN(try[i], PAGE);
            if (!try[i]) {
                continue;
            }
            void *p = mmap(place, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
            if (p == place) {
                return map_again(rw, size, place);
            }
            if (p != MAP_FAILED) {
                munmap(p, size); /* a kernel older than MAP_FIXED_NOREPLACE */
            } else if (errno != EEXIST) {
                return MAP_FAILED;
            }
        }
    }
    return MAP_FAILED;
}

int exec_mem_init(struct exec_mem *m, size_t size, const void *near, struct err *e)
{
    size = ALIGN_UP(size, PAGE);
    *m = (struct exec_mem){ NULL, NULL, size };
    void *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *rx = MAP_FAILED;
    if (rw != MAP_FAILED && near) {
        rx = map_near(rw, size, near);
    }
    if (rw != MAP_FAILED && rx == MAP_FAILED) {
        rx = map_again(rw, size, NULL);
    }
    if (rx == MAP_FAILED) {
        int error = errno;
        if (rw != MAP_FAILED) {
            munmap(rw, size);
        }
        return err_set(e, "cannot map %zu KiB of executable memory: %s (is it forbidden by a security policy?)", size >> 10,
                       strerror(error));
    }
    m->rw = rw;
    m->rx = rx;
    return 0;
}

void exec_mem_fini(struct exec_mem *m)
{
    if (m->rw) {
        munmap(m->rw, m->size);
        munmap(m->rx, m->size);
    }
    *m = (struct exec_mem){ NULL, NULL, 0 };
}

void exec_mem_back(const struct exec_mem *m, size_t off, size_t n)
{
#ifdef MADV_POPULATE_WRITE
    madvise(m->rw + off, n, MADV_POPULATE_WRITE);
    madvise(m->rx + off, n, MADV_POPULATE_READ);
#endif
}

bool exec_mem_reaches(const struct exec_mem *m, const void *target)
{
    i64 from_lo = (i64)((const u8 *)target - m->rx);
    i64 from_hi = from_lo - (i64)m->size;
    return from_lo < (i64)REACH && from_lo >= -(i64)REACH && from_hi < (i64)REACH && from_hi >= -(i64)REACH;
}
