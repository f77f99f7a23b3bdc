/* Devices' and loaders' access to guest RAM and ROM. Any thread. */
#include "mmu/dma.h"
#include "mmu/aspace.h"
#include "mmu/ram.h"

enum dir { DMA_READ, DMA_WRITE, DMA_WRITE_ROM };

static int transfer(struct aspace *as, gpa_t gpa, u8 *buf, u64 len, enum dir dir)
{
    int ret = 0;
    aspace_thread_online();
    while (len) {
        const struct frange *f = aspace_find(as, gpa);
        u64 n = f ? MIN_OF(len, f->end - gpa) : MIN_OF(len, PAGE_SIZE - (gpa & (PAGE_SIZE - 1)));
        bool ok = f && f->host && (dir != DMA_WRITE || !f->readonly);
        if (ok && dir == DMA_READ) {
            memcpy(buf, f->host + (gpa - f->start), n);
        } else if (ok) {
            memcpy(f->host + (gpa - f->start), buf, n);
            ram_written(f->ram, f->ram_off + (gpa - f->start), n);
        } else {
            ret = -1;
            if (dir == DMA_READ)
                memset(buf, 0xff, n);
        }
        gpa += n;
        buf += n;
        len -= n;
    }
    aspace_thread_offline();
    return ret;
}

int dma_read(struct aspace *as, gpa_t gpa, void *buf, u64 len) { return transfer(as, gpa, buf, len, DMA_READ); }

int dma_write(struct aspace *as, gpa_t gpa, const void *buf, u64 len)
{
    return transfer(as, gpa, (u8 *)(uintptr_t)buf, len, DMA_WRITE);
}

int dma_write_rom(struct aspace *as, gpa_t gpa, const void *buf, u64 len)
{
    return transfer(as, gpa, (u8 *)(uintptr_t)buf, len, DMA_WRITE_ROM);
}

void *dma_map(struct aspace *as, gpa_t gpa, u64 *len, bool write)
{
    const struct frange *f;
    void *host = NULL;

    aspace_thread_online();
    f = aspace_find(as, gpa);
    if (f && f->host && !(write && f->readonly)) {
        host = f->host + (gpa - f->start);
        *len = MIN_OF(*len, f->end - gpa);
    }
    aspace_thread_offline();
    return host;
}

void dma_written(struct aspace *as, gpa_t gpa, u64 len)
{
    aspace_thread_online();
    while (len) {
        const struct frange *f = aspace_find(as, gpa);
        u64 n = f ? MIN_OF(len, f->end - gpa) : MIN_OF(len, PAGE_SIZE - (gpa & (PAGE_SIZE - 1)));
        if (f && f->host)
            ram_written(f->ram, f->ram_off + (gpa - f->start), n);
        gpa += n;
        len -= n;
    }
    aspace_thread_offline();
}
