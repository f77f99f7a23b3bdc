/* Guest RAM blocks on memfds. Called by the main thread at start-up. */
#include "mmu/ram.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "mmu/codepage.h"
#include "mmu/dirty.h"
#include "util/err.h"
#include "util/map.h"

struct ram_block *ram_new(const char *name, u64 size, struct err *e)
{
    size = ALIGN_UP(size, PAGE_SIZE);
    struct ram_block *b = calloc(1, sizeof(*b));
    u64 *grains = calloc(size / PAGE_SIZE, sizeof(*grains));
    u8 *dirty = calloc(1, size / PAGE_SIZE);
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (!b || !grains || !dirty || fd < 0 || ftruncate(fd, (off_t)size) < 0)
        goto fail;
    void *p = map_shared(fd, size, PROT_READ | PROT_WRITE);
    if (p == MAP_FAILED)
        goto fail;
    *b = (struct ram_block){ .name = name, .host = p, .size = size, .fd = fd, .code_grains = grains, .dirty = dirty };
    return b;
fail:
    err_set(e, "cannot get %llu MiB of memory for %s: %s", (unsigned long long)(size / MiB), name, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(grains);
    free(dirty);
    free(b);
    return NULL;
}

void ram_free(struct ram_block *b)
{
    if (!b)
        return;
    munmap(b->host, b->size);
    close(b->fd);
    free(b->code_grains);
    free(b->dirty);
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
    /* A host that cannot (it always can with memfd) keeps the pages: zeroes do as well. */
    if (fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)(end - start)) < 0)
        memset(b->host + start, 0, end - start);
    ram_written(b, start, end - start);
}
