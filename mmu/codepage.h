/* Which grains of RAM hold translated code, and who must hear of a write to them. The bits live in struct ram_block; the listener is the
 * translator (accel/dbt). Any thread.
 *
 * A page with any grain set has no write tag in a TLB. Its stores take slow paths: one that meets no grain goes straight to memory (mem_probe),
 * one from emitted code has what it meets dropped before it (mem_probe_clear), the others tell the listener afterwards. */
#ifndef MMU_CODEPAGE_H
#define MMU_CODEPAGE_H
#include "mmu/ram.h"

#define CODE_GRAIN_BITS 6 /* 64 bytes: the grains of a page are the bits of a u64 */

/* Called after a write of len bytes within one page that meets a grain with code; must drop the translations it touches and may clear grains.
 * On the writer's thread, after the write: a translator sets the grains before it reads the bytes and publishes under the code
 * lock, so it either sees the new bytes or is dropped here. */
typedef void code_write_fn(void *opaque, struct ram_block *b, u64 off, u64 len);
/* The same before such a write, whose page is among mem_ctx.beside already: translators that come later wait for it. Returns false, and nothing is
 * dropped, if it meets the translation that holds the code at `running` (a host address). */
typedef bool code_clear_fn(void *opaque, struct ram_block *b, u64 off, u64 len, const u8 *running);
void codepage_set_listener(code_write_fn *written, code_clear_fn *clear, void *opaque);

/* The grains of [off, off + len), which lies within one page; len > 0. */
static inline u64 codepage_grains(u64 off, u64 len)
{
    unsigned first = (off & (PAGE_SIZE - 1)) >> CODE_GRAIN_BITS, last = ((off & (PAGE_SIZE - 1)) + len - 1) >> CODE_GRAIN_BITS;
    return (~0ull >> (63 - (last - first))) << first;
}
/* The grains with code of off's page. */
static inline u64 codepage_get(const struct ram_block *b, u64 off)
{
    return __atomic_load_n(&b->code_grains[off >> PAGE_BITS], __ATOMIC_SEQ_CST);
}
static inline bool codepage_test(const struct ram_block *b, u64 off) { return codepage_get(b, off) != 0; }
/* Sets these grains of off's page; returns the ones that were set before. */
u64 codepage_set(struct ram_block *b, u64 off, u64 grains);
/* Clears them. */
void codepage_clear(struct ram_block *b, u64 off, u64 grains);
/* Tells the listener about what of [off, off + len) meets code. */
void codepage_written(struct ram_block *b, u64 off, u64 len);
/* Lets the listener drop it before the write; see code_clear_fn. Within one page. */
bool codepage_make_way(struct ram_block *b, u64 off, u64 len, const u8 *running);

#endif
