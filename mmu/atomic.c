/* Atomic read-modify-write of guest memory. On vCPU threads; called for locked instructions that are not emitted code. */
#include "mmu/aspace.h"
#include "mmu/ram.h"
#include "mmu/atomic.h"
#include "util/lock.h"

/* Held around accesses that the host cannot make atomic; what hardware calls a bus lock. */
static struct lock bus_lock = { .m = PTHREAD_MUTEX_INITIALIZER, .name = "bus", .rank = RANK_BUS };

/* LOCK CMPXCHG of any alignment: the host is an x86 too, so an operand that crosses a cache line is still atomic. */
static bool host_cas(void *host, unsigned size, u64 old[2], const u64 new[2])
{
    bool ok;
    switch (size) {
    case 1:
        asm volatile("lock cmpxchgb %b3, %1" : "=@ccz"(ok), "+m"(*(u8 *)host), "+a"(old[0]) : "q"(new[0]) : "memory");
        break;
    case 2:
        asm volatile("lock cmpxchgw %w3, %1" : "=@ccz"(ok), "+m"(*(u16 *)host), "+a"(old[0]) : "r"(new[0]) : "memory");
        break;
    case 4:
        asm volatile("lock cmpxchgl %k3, %1" : "=@ccz"(ok), "+m"(*(u32 *)host), "+a"(old[0]) : "r"(new[0]) : "memory");
        break;
    case 8:
        asm volatile("lock cmpxchgq %3, %1" : "=@ccz"(ok), "+m"(*(u64 *)host), "+a"(old[0]) : "r"(new[0]) : "memory");
        break;
    default:
        asm volatile("lock cmpxchg16b %1" : "=@ccz"(ok), "+m"(*(u128 *)host), "+a"(old[0]), "+d"(old[1])
                     : "b"(new[0]), "c"(new[1]) : "memory");
        break;
    }
    return ok;
}

void host_rmw(void *host, unsigned size, mem_rmw_fn *fn, void *opaque)
{
    u64 old[2] = { 0, 0 }, new[2] = { 0, 0 };
    if (size < 16)
        memcpy(old, host, size);
    else
        host_cas(host, size, old, new); /* reads both halves at once; writes at most the zeros that were there */
    do {
        if (!fn(opaque, old, new))
            return;
    } while (!host_cas(host, size, old, new));
}

/* The host address of RAM at addr that holds translated code, or NULL if it is something else or watched. The caller has probed addr for writing. */
static u8 *code_ram(struct mem_ctx *m, gla_t addr, unsigned acc, const struct frange **range, u64 *off)
{
    struct walk w;
    if (!m->tlb->regs.lma)
        addr &= 0xffffffff;
    if (walk_page(&m->tlb->regs, m->mem, addr, acc, false, &w))
        return NULL;
    if (m->hooks && m->hooks->is_lapic && m->hooks->is_lapic(m->hooks->opaque, w.gpa & PAGE_MASK))
        return NULL;
    if (m->hooks && m->hooks->is_watched && m->hooks->is_watched(m->hooks->opaque, addr & PAGE_MASK))
        return NULL;
    const struct frange *f = aspace_find(m->mem, w.gpa);
    if (!f || !f->host || f->readonly)
        return NULL;
    *range = f;
    *off = f->ram_off + (w.gpa - f->start);
    return f->host + (w.gpa - f->start);
}

static int slow_rmw(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, mem_rmw_fn *fn, void *opaque, struct mem_fault *f)
{
    u64 old[2] = { 0, 0 }, new[2] = { 0, 0 };
    lock_acquire(&bus_lock);
    int rc = mem_read(m, addr, old, size, acc, f);
    if (!rc && fn(opaque, old, new))
        rc = mem_write(m, addr, new, size, acc, f);
    lock_release(&bus_lock);
    return rc;
}

int mem_rmw(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, mem_rmw_fn *fn, void *opaque, struct mem_fault *f)
{
    void *host;
    acc |= ACC_RMW;
    switch (mem_probe(m, addr, size, acc, &host, f)) {
    case PROBE_FAULT:
        return -1;
    case PROBE_RAM:
        host_rmw(host, size, fn, opaque);
        return 0;
    case PROBE_SLOW:
        break;
    }
    if (UNLIKELY(m->journal))
        m->journal->device(m->journal->opaque);
    const struct frange *range;
    u64 off;
    bool one_page = (addr & (PAGE_SIZE - 1)) + size <= PAGE_SIZE;
    u8 *ram = one_page ? code_ram(m, addr, acc, &range, &off) : NULL;
    if (!ram || off - range->ram_off + size > range->end - range->start)
        return slow_rmw(m, addr, size, acc, fn, opaque, f);
    host_rmw(ram, size, fn, opaque);
    ram_written(range->ram, off, size);
    return 0;
}
