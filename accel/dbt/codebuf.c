/* The code cache's memory as reserve - emit - commit transactions. Called by the backend and the translator under the translation lock. */
#include "accel/dbt/codebuf.h"

int codebuf_init(struct codebuf *cb, size_t size, struct err *e)
{
    *cb = (struct codebuf){ 0 };
    return exec_mem_init(&cb->mem, size, NULL, e);
}

void codebuf_fini(struct codebuf *cb)
{
    exec_mem_fini(&cb->mem);
    *cb = (struct codebuf){ 0 };
}

u8 *codebuf_reserve(struct codebuf *cb, size_t n, size_t align, size_t skew)
{
    assert(!cb->reserved && n && skew < align);
    size_t at = ALIGN_UP(cb->used + align - skew, align) - align + skew;
    if (at + n > cb->mem.size) {
        return NULL;
    }
    cb->used = at;
    cb->reserved = n;
    return cb->mem.rw + at;
}

void codebuf_commit(struct codebuf *cb, const u8 *end)
{
    size_t at = (size_t)(end - cb->mem.rw);
    assert(cb->reserved && at >= cb->used && at <= cb->used + cb->reserved);
    cb->used = at;
    cb->reserved = 0;
}

void codebuf_abort(struct codebuf *cb)
{
    cb->reserved = 0;
}

void codebuf_keep(struct codebuf *cb)
{
    assert(!cb->reserved);
    cb->fixed = cb->used;
}

void codebuf_reset(struct codebuf *cb)
{
    assert(!cb->reserved);
    cb->used = cb->fixed;
}
