/* Dirty pages of RAM blocks: one byte a page, a bit a client, and a second bit for the page's repetition. Any thread; no lock. */
#include "mmu/dirty.h"

static dirty_revoke_fn *revoker; /* set once, before vCPU threads start */
static void *revoker_opaque;

enum { MARKS = BIT(DIRTY_CLIENTS) - 1 };
/* Reported in the last collection: is reported again. Only the client's thread changes it. */
static u8 again_bit(enum dirty_client c) { return BIT(DIRTY_CLIENTS + c); }

void dirty_set_revoker(dirty_revoke_fn *fn, void *opaque)
{
    revoker = fn;
    revoker_opaque = opaque;
}

void dirty_mark_slow(struct ram_block *b, u64 off, u64 len)
{
    for (u64 n = off >> PAGE_BITS; len && n <= (off + len - 1) >> PAGE_BITS; n++)
        if ((__atomic_load_n(&b->dirty[n], __ATOMIC_RELAXED) & MARKS) != MARKS)
            __atomic_fetch_or(&b->dirty[n], MARKS, __ATOMIC_SEQ_CST);
}

void dirty_watch(struct ram_block *b, enum dirty_client c, bool on)
{
    if (!on) {
        __atomic_fetch_and(&b->dirty_clients, (u8)~BIT(c), __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_fetch_or(&b->dirty_clients, BIT(c), __ATOMIC_SEQ_CST);
    dirty_mark_slow(b, 0, b->size);
}

bool dirty_collect(struct ram_block *b, enum dirty_client c, u64 first, u64 n, u8 *pages)
{
    u8 again = again_bit(c), both = BIT(c) | again;
    bool any = false, fresh = false;

    for (u64 i = 0; i < n; i++) {
        u8 *p = &b->dirty[first + i], was = __atomic_load_n(p, __ATOMIC_RELAXED);
        pages[i] = (was & both) != 0;
        if (!pages[i])
            continue;
        any = true;
        if (was & BIT(c)) {
            fresh = true;
            __atomic_fetch_or(p, again, __ATOMIC_SEQ_CST);
            __atomic_fetch_and(p, (u8)~BIT(c), __ATOMIC_SEQ_CST);
        } else {
            __atomic_fetch_and(p, (u8)~again, __ATOMIC_SEQ_CST);
        }
    }
    if (fresh && revoker)
        revoker(revoker_opaque, b, first, n, pages);
    return any;
}
