/* Memory that holds generated host code: shared pages mapped twice, writable and executable, never both at one address. The only place that maps
 * executable memory. Any thread; whoever owns the arena orders its own writers and executors. */
#ifndef UTIL_EXEC_MEM_H
#define UTIL_EXEC_MEM_H
#include "util/base.h"

struct err;
struct exec_mem {
    u8 *rw;      /* write here */
    u8 *rx;      /* run there: the same bytes */
    size_t size;
};

/* Maps `size` bytes (rounded up to pages). near: the executable view is placed within 2 GiB of this address if there is room (NULL:
 * anywhere), so that rel32 calls reach it; check with exec_mem_reaches. 0, or -1 with e set (hosts that forbid executable memory). */
int exec_mem_init(struct exec_mem *m, size_t size, const void *near, struct err *e);
void exec_mem_fini(struct exec_mem *m);

/* Has the host put memory in place for n bytes from off on, multiples of a page, in both views. A host that cannot does it as they are touched. */
void exec_mem_back(const struct exec_mem *m, size_t off, size_t n);

/* The executable address of a writable one, and back. */
static inline u8 *exec_mem_rx(const struct exec_mem *m, const u8 *rw) { return m->rx + (rw - m->rw); }
static inline u8 *exec_mem_rw(const struct exec_mem *m, const u8 *rx) { return m->rw + (rx - m->rx); }
static inline bool exec_mem_owns(const struct exec_mem *m, const void *rx)
{
    return (size_t)((const u8 *)rx - m->rx) < m->size;
}
/* True if every byte of the arena reaches target with a rel32. */
bool exec_mem_reaches(const struct exec_mem *m, const void *target);

#endif
