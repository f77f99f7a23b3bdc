/* The two parts of the code cache's memory. Called by the backend and the translator under the translation lock. */
#include "accel/dbt/codebuf.h"

int codebuf_init(struct codebuf *cb, size_t size, struct err *e)
{
    *cb = (struct codebuf){ 0 };
    if (exec_mem_init(&cb->mem, size, NULL, e) < 0)
        return -1;
    cb->part[CODE_HOT].end = cb->part[CODE_COLD].start = size / 2;
    cb->part[CODE_COLD].end = size;
    for (unsigned i = 0; i < CODE_PARTS; i++)
        cb->part[i].backed = cb->part[i].start;
    codebuf_reset(cb);
    return 0;
}

void codebuf_fini(struct codebuf *cb)
{
    exec_mem_fini(&cb->mem);
    *cb = (struct codebuf){ 0 };
}

#define BACK_STEP (256 * KiB)

/* Memory for many pages at once costs half of what it does page by page. */
static void part_back(struct codebuf *cb, enum codebuf_part part, size_t to)
{
    while (cb->part[part].backed < to) {
        size_t at = cb->part[part].backed, n = MIN_OF(BACK_STEP, cb->part[part].end - at);
        exec_mem_back(&cb->mem, at, n);
        cb->part[part].backed = at + n;
    }
}

u8 *codebuf_reserve(struct codebuf *cb, enum codebuf_part part, size_t n, size_t align)
{
    size_t at = ALIGN_UP(cb->part[part].used, align);
    if (at + n > cb->part[part].end)
        return NULL;
    part_back(cb, part, at + n);
    return cb->mem.rw + at;
}

void codebuf_commit(struct codebuf *cb, enum codebuf_part part, const u8 *end)
{
    size_t at = (size_t)(end - cb->mem.rw);
    assert(at >= cb->part[part].used && at <= cb->part[part].end);
    cb->part[part].used = at;
}

void codebuf_keep(struct codebuf *cb)
{
    cb->fixed = cb->part[CODE_HOT].used;
}

void codebuf_reset(struct codebuf *cb)
{
    cb->part[CODE_HOT].used = cb->fixed;
    cb->part[CODE_COLD].used = cb->part[CODE_COLD].start;
}
