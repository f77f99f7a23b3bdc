/* Which pages of a RAM block were written since somebody last asked: the display's and (later) migration's view. Any thread marks; each
 * client's thread collects. Emitted code writes without asking: a page is marked when a vCPU's TLB gets its write tag, and
 * collecting takes the tags away again, so that pages nobody writes cost nothing. */
#ifndef MMU_DIRTY_H
#define MMU_DIRTY_H
#include "mmu/ram.h"

enum dirty_client { DIRTY_DISPLAY, DIRTY_MIGRATION, DIRTY_CLIENTS };

/* Takes the write tags of those pages of b away whose byte in pages[] (one a page, from page first on) is set, in every vCPU's TLB. Any
 * thread. */
typedef void dirty_revoke_fn(void *opaque, const struct ram_block *b, u64 first, u64 n, const u8 *pages);
/* Set by the engine's side before vCPUs run; NULL: nobody writes but through ram_written(). */
void dirty_set_revoker(dirty_revoke_fn *fn, void *opaque);

/* Starts or ends a client's interest in a block; all pages count as dirty at the start. */
void dirty_watch(struct ram_block *b, enum dirty_client c, bool on);
void dirty_mark_slow(struct ram_block *b, u64 off, u64 len);
/* [off, off + len) was written, or a TLB entry that allows writing there exists. */
static inline void dirty_mark(struct ram_block *b, u64 off, u64 len)
{
    if (UNLIKELY(__atomic_load_n(&b->dirty_clients, __ATOMIC_RELAXED)))
        dirty_mark_slow(b, off, len);
}
/* Fills pages[0..n) (one byte each) for the pages from first on: 1 if it may have changed since the client's last call, which ends that.
 * A store can be under way between its TLB check and memory while the tags are taken, so each page is reported once more in the next
 * call. Returns true if any is set. */
bool dirty_collect(struct ram_block *b, enum dirty_client c, u64 first, u64 n, u8 *pages);

#endif
