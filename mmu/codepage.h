/* Which RAM pages hold translated code, and who must hear of a write to them. The bits live in struct ram_block; the
 * listener is the translator (accel/dbt). Any thread. */
#ifndef MMU_CODEPAGE_H
#define MMU_CODEPAGE_H
#include "mmu/ram.h"

/* Called after a write of len bytes to a page whose code bit is set; must drop the translations it touches and may clear the bit.
 * On the writer's thread, after the write: a translator sets the bit before it reads the bytes and publishes under the code
 * lock, so it either sees the new bytes or is dropped here. */
typedef void code_write_fn(void *opaque, struct ram_block *b, u64 off, u64 len);
void codepage_set_listener(code_write_fn *fn, void *opaque);

static inline bool codepage_test(const struct ram_block *b, u64 off)
{
    u64 n = off >> 12;
    return __atomic_load_n(&b->code_bits[n >> 3], __ATOMIC_ACQUIRE) >> (n & 7) & 1;
}
void codepage_set(struct ram_block *b, u64 off);
void codepage_clear(struct ram_block *b, u64 off);
/* Tells the listener about each code page in [off, off + len). */
void codepage_written(struct ram_block *b, u64 off, u64 len);

#endif
