/* Guest RAM blocks: anonymous memory in huge pages where the host has them. Called by the main thread at start-up. */
#include "mmu/ram.h"
#include <stdlib.h>
#include <sys/mman.h>
#include "mmu/codepage.h"
#include "mmu/dirty.h"
#include "util/err.h"

#define HUGE_PAGE (2 * MiB)

/* Memory at a multiple of HUGE_PAGE: the guest's large pages are the host's, and a transfer of a disk meets few pieces. NULL with errno set. */
static u8 *map_aligned(u64 size)
{
    u8 *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    u64 before, after;

    if (p == MAP_FAILED)
        return NULL;
    before = -(u64)(uintptr_t)p & (HUGE_PAGE - 1);
    after = HUGE_PAGE - before;
    if (before)
        munmap(p, before);
    munmap(p + before + size, after);
    madvise(p + before, size, MADV_HUGEPAGE); /* a host that cannot is slower */
    return p + before;
}

struct ram_block *ram_new(const char *name, u64 size, struct err *e)
{
    size = ALIGN_UP(size, PAGE_SIZE);
    struct ram_block *b = calloc(1, sizeof(*b));
    u64 *grains = calloc(size / PAGE_SIZE, sizeof(*grains));
    u8 *dirty = calloc(1, size / PAGE_SIZE), *tagged = calloc(1, size / PAGE_SIZE), *host = NULL;

    if (b && grains && dirty && tagged && (host = map_aligned(size))) {
        *b = (struct ram_block){ .name = name, .host = host, .size = size, .code_grains = grains, .dirty = dirty, .tagged = tagged };
        return b;
    }
    err_set(e, "cannot get %llu MiB of memory for %s: %s", (unsigned long long)(size / MiB), name, strerror(errno));
    free(grains);
    free(dirty);
    free(tagged);
    free(b);
    return NULL;
}

void ram_free(struct ram_block *b)
{
    if (!b)
        return;
    munmap(b->host, b->size);
    free(b->code_grains);
    free(b->dirty);
    free(b->tagged);
    free(b);
}

void ram_no_core(struct ram_block *b)
{
    madvise(b->host, b->size, MADV_DONTDUMP);
}

void ram_written(struct ram_block *b, u64 off, u64 len)
{
    dirty_mark(b, off, len);
    codepage_written(b, off, len);
}

void ram_discard(struct ram_block *b, u64 off, u64 len)
{
    u64 start = ALIGN_UP(off, PAGE_SIZE), end = ALIGN_DOWN(off + len, PAGE_SIZE);

    if (start >= end)
        return;
    /* A host that cannot (pages are locked) keeps them: zeroes do as well. */
    if (madvise(b->host + start, end - start, MADV_DONTNEED) < 0)
        memset(b->host + start, 0, end - start);
    ram_written(b, start, end - start);
}
