/* Memory of block descriptors: chunks of the size of a huge page, kept until the end. Called by the translator and the set of blocks, under the code
 * lock. */
#include <sys/mman.h>
#include "accel/dbt/tb.h"

static void *chunk_map(void)
{
    u8 *p = mmap(NULL, 2 * TB_CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    u64 before = -(u64)(uintptr_t)p & (TB_CHUNK_BYTES - 1);
    if (before)
        munmap(p, before);
    munmap(p + before + TB_CHUNK_BYTES, TB_CHUNK_BYTES - before);
    madvise(p + before, TB_CHUNK_BYTES, MADV_HUGEPAGE); /* a host that cannot is slower */
    return p + before;
}

struct tb *tb_new(struct tb_store *s)
{
    if (s->n == s->chunks * TB_CHUNK) {
        struct tb *c = chunk_map();
        if (!c)
            return NULL;
        s->chunk = g_renew(struct tb *, s->chunk, s->chunks + 1);
        s->chunk[s->chunks++] = c;
    }
    struct tb *tb = tb_nth(s, s->n++);
    memset(tb, 0, sizeof(*tb));
    return tb;
}

u8 *tb_store_bytes(struct tb_store *s, size_t n)
{
    if (s->used % TB_CHUNK_BYTES + n > TB_CHUNK_BYTES)
        s->used = ALIGN_UP(s->used, TB_CHUNK_BYTES);
    if (s->used == s->byte_chunks * TB_CHUNK_BYTES) {
        u8 *c = chunk_map();
        if (!c)
            return NULL;
        s->bytes = g_renew(u8 *, s->bytes, s->byte_chunks + 1);
        s->bytes[s->byte_chunks++] = c;
    }
    u8 *p = s->bytes[s->used / TB_CHUNK_BYTES] + s->used % TB_CHUNK_BYTES;
    s->used += n;
    return p;
}

void tb_store_fini(struct tb_store *s)
{
    for (unsigned i = 0; i < s->chunks; i++)
        munmap(s->chunk[i], TB_CHUNK_BYTES);
    for (unsigned i = 0; i < s->byte_chunks; i++)
        munmap(s->bytes[i], TB_CHUNK_BYTES);
    g_free(s->chunk);
    g_free(s->bytes);
    *s = (struct tb_store){ 0 };
}
