/* Slow paths of guest memory access: TLB miss, page crossing, MMIO, code pages. Runs on the vCPU's thread. A fault is
 * reported by value; cpu/fault.c turns it into an exception. */
#ifndef MMU_ACCESS_H
#define MMU_ACCESS_H
#include "mmu/tlb.h"

struct aspace;
/* A record of RAM writes that can be taken back: execution on trial (accel/dbt/verify.c). A full journal counts as a device access. */
#define MEM_JOURNAL_MAX 160
struct mem_journal {
    unsigned n;
    struct {
        u8 *host;
        unsigned size;
        u8 old[64], new[64]; /* new: filled in by the undo */
    } e[MEM_JOURNAL_MAX];
    void (*device)(void *opaque); /* a device is about to be touched: must not return */
    void *opaque;
};
/* Restores memory, newest write first, remembering what was there. */
void mem_journal_undo(struct mem_journal *j);
/* False if a later entry overlaps entry i, which then says nothing about the final contents. */
bool mem_journal_last(const struct mem_journal *j, unsigned i);

struct mem_ctx { /* what an access needs; embedded pointers are constant for a vCPU */
    struct tlb *tlb;
    struct aspace *mem;
    struct vcpu_mem_hooks *hooks;
    struct mem_journal *journal; /* NULL: writes are for good */
    u64 beside; /* [atomic] mem_beside_bit of pages with code that stores may be under way to, since the engine last cleared it */
};
static inline u64 mem_beside_bit(const void *host_page) { return 1ull << (((u64)host_page >> PAGE_BITS) * 0x9e3779b97f4a7c15ull >> 58); }
struct vcpu_mem_hooks {
    /* The per-CPU local APIC page: true if gpa lies in it, then these are used instead of the address space. */
    bool (*is_lapic)(void *opaque, gpa_t page);
    u64 (*lapic_read)(void *opaque, u64 off, unsigned size);
    void (*lapic_write)(void *opaque, u64 off, u64 val, unsigned size);
    /* A page that a watchpoint or debugger wants slow: keep it out of the write/read tags. */
    bool (*is_watched)(void *opaque, gla_t page);
    /* An access to a watched page is about to be made (it did not fault). */
    void (*watched_access)(void *opaque, gla_t addr, unsigned size, bool write);
    void *opaque;
};

struct mem_fault {
    enum { MF_NONE, MF_PAGE /* #PF, error and address valid */, MF_NONCANON /* #GP or, ACC_STACK, #SS */ } kind;
    u32 error;
    gla_t addr;
    enum { SLOW_CROSSES, SLOW_DEVICE /* or a store to ROM */, SLOW_CODE, SLOW_WATCHED } slow; /* mem_probe's PROBE_SLOW: why */
};

enum probe_result {
    PROBE_RAM,   /* *host points to `size` bytes that may be accessed directly (writes: no code there) until the next block boundary */
    PROBE_SLOW,  /* allowed, but crosses a page, is MMIO or ROM, meets code, or is watched: use mem_read/mem_write */
    PROBE_FAULT, /* f filled, but for slow */
};
/* Checks the whole [addr, addr + size) for acc (enum access, incl. ACC_USER), filling the TLB. size 1..64. */
enum probe_result mem_probe(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, void **host, struct mem_fault *f);
/* For a store that mem_probe() found slow: true, with *host as from PROBE_RAM, if that was because of translated code, which has been dropped. The translation that
 * holds `running`, a host address of code, is not dropped: false. NULL: it may be any. */
bool mem_probe_clear(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, const u8 *running, void **host);
/* For a read that mem_probe() found slow: true, with its bytes in buf, if both of the pages that it crosses are RAM or ROM. */
bool mem_probe_across(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, u8 *buf);
/* The same for an access that may go on to any byte of the page. */
struct mem_page {
    u8 *host;              /* of addr */
    struct ram_block *ram; /* not NULL: the page holds code; after a write call ram_written(ram, off ...) */
    u64 off;               /* of addr in ram */
};
enum probe_result mem_probe_page(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, struct mem_page *page, struct mem_fault *f);
/* Any length up to 4096; all bytes are checked before any is written. 0, or -1 with f filled. MMIO is done in units of
 * size when size is 1, 2, 4, 8. Writes to code pages invalidate the translations they touch first. */
int mem_read(struct mem_ctx *m, gla_t addr, void *buf, unsigned size, unsigned acc, struct mem_fault *f);
int mem_write(struct mem_ctx *m, gla_t addr, const void *buf, unsigned size, unsigned acc, struct mem_fault *f);
/* The translation of a code page, cached until the next flush. 0 with *out valid until then, or -1 with f filled. */
int mem_exec_page(struct mem_ctx *m, gla_t addr, unsigned acc, struct tlb_exec **out, struct mem_fault *f);
/* Fetches code: up to n bytes at addr, not past the page's end. Executing
 * from a device reads bytes through it. Returns the count readable (>= 1), or -1 with f filled. *gpa: physical. */
int mem_fetch(struct mem_ctx *m, gla_t addr, u8 *buf, unsigned n, unsigned acc, gpa_t *gpa, struct mem_fault *f);

#endif
