/* Memory that holds generated host code: a memfd with a writable and an executable view. Called at start-up and by the vCPU threads that own
 * an arena (cpu/help/carry.c, accel/dbt/codebuf.c). */
#include "util/exec_mem.h"
#include <sys/mman.h>
#include <unistd.h>
#include "util/err.h"

#define PAGE 4096ull
#define REACH (1ull << 31)
#define STEP (16 * MiB) /* distance between the places that are tried */

/* The executable view close to `near`, or NULL. */
static u8 *map_near(int fd, size_t size, const void *near)
{
    u64 at = (u64)near & ~(PAGE - 1);
    for (u64 d = STEP; d + size < REACH - STEP; d += STEP) {
        u64 try[2] = { at + d, at > d + size ? at - d - size : 0 };
        for (unsigned i = 0; i < 2; i++) {
            if (!try[i]) {
                continue;
            }
            void *p = mmap((void *)ALIGN_DOWN(try[i], PAGE), size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
            if (p == (void *)ALIGN_DOWN(try[i], PAGE)) {
                return p;
            }
            if (p != MAP_FAILED) {
                munmap(p, size); /* a kernel older than MAP_FIXED_NOREPLACE */
            } else if (errno != EEXIST) {
                return NULL;
            }
        }
    }
    return NULL;
}

int exec_mem_init(struct exec_mem *m, size_t size, const void *near, struct err *e)
{
    size = ALIGN_UP(size, PAGE);
    *m = (struct exec_mem){ NULL, NULL, size };
    int fd = memfd_create("gemel-code", MFD_CLOEXEC);
    if (fd < 0) {
        return err_set(e, "cannot create memory for generated code: %s", strerror(errno));
    }
    void *rw = MAP_FAILED, *rx = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0) {
        rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (rw != MAP_FAILED) {
        rx = near ? map_near(fd, size, near) : NULL;
        if (!rx) {
            rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
        }
    }
    int error = errno;
    close(fd);
    if (rx == MAP_FAILED) {
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

bool exec_mem_reaches(const struct exec_mem *m, const void *target)
{
    i64 from_lo = (i64)((const u8 *)target - m->rx);
    i64 from_hi = from_lo - (i64)m->size;
    return from_lo < (i64)REACH && from_lo >= -(i64)REACH && from_hi < (i64)REACH && from_hi >= -(i64)REACH;
}
