/* Bits that mark grains of RAM holding translated code, and the call to the translator when one is written. Any thread. */
#include "mmu/codepage.h"

static code_write_fn *listener; /* these: set once, before vCPU threads start */
static code_clear_fn *clearer;
static void *listener_opaque;

void codepage_set_listener(code_write_fn *written, code_clear_fn *clear, void *opaque)
{
    listener = written;
    clearer = clear;
    listener_opaque = opaque;
}

u64 codepage_set(struct ram_block *b, u64 off, u64 grains)
{
    return __atomic_fetch_or(&b->code_grains[off >> PAGE_BITS], grains, __ATOMIC_SEQ_CST);
}

void codepage_clear(struct ram_block *b, u64 off, u64 grains)
{
    __atomic_fetch_and(&b->code_grains[off >> PAGE_BITS], ~grains, __ATOMIC_SEQ_CST);
}

void codepage_written(struct ram_block *b, u64 off, u64 len)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the write itself comes first: see codepage.h */
    while (len) {
        u64 n = MIN_OF(len, PAGE_SIZE - (off & (PAGE_SIZE - 1)));
        if (codepage_get(b, off) & codepage_grains(off, n) && listener)
            listener(listener_opaque, b, off, n);
        off += n;
        len -= n;
    }
}

bool codepage_make_way(struct ram_block *b, u64 off, u64 len, const u8 *running)
{
    return clearer && clearer(listener_opaque, b, off, len, running);
}
