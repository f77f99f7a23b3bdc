/* Guest RAM blocks: host memory. Created at start-up by the main thread; read and written by anybody. */
#ifndef MMU_RAM_H
#define MMU_RAM_H
#include "mmu/addr.h"

struct err;
struct ram_block {
    const char *name;
    u8 *host;
    u64 size;
    u64 *code_grains; /* [atomic] one a page: which of its 64-byte grains hold translated code (mmu/codepage.h) */
    u8 *tagged;    /* [atomic] one byte a page: 1: a TLB may have a write tag for it (mmu/tlb.h) */
    u8 *dirty;     /* [atomic] one byte a page: who has not seen its last change (mmu/dirty.h) */
    u8 dirty_clients; /* [atomic] who wants to know */
};

/* size is rounded up to a page. NULL with e set if the host cannot give it. */
struct ram_block *ram_new(const char *name, u64 size, struct err *e);
void ram_free(struct ram_block *b);
/* It stays out of core files of this process. */
void ram_no_core(struct ram_block *b);
/* A TLB has a write tag for off's page from now on: between the tag and the look whether a translator came between (mmu/codepage.h). */
static inline void ram_tagged(struct ram_block *b, u64 off)
{
    u8 *p = &b->tagged[off >> PAGE_BITS];
    if (!__atomic_load_n(p, __ATOMIC_SEQ_CST))
        __atomic_store_n(p, 1, __ATOMIC_SEQ_CST);
}
/* To be called after bytes were written through host pointers: translated code and those who watch the block learn of it. Any thread. */
void ram_written(struct ram_block *b, u64 off, u64 len);
/* Whole pages in [off, off + len) go back to the host and read as zeros. Any thread. */
void ram_discard(struct ram_block *b, u64 off, u64 len);

#endif
