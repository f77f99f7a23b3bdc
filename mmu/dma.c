/* Devices' and loaders' access to guest RAM and ROM. Any thread. */
#include "mmu/dma.h"
#include "mmu/aspace.h"
#include "mmu/ram.h"

enum dir { DMA_READ, DMA_WRITE, DMA_WRITE_ROM };

static int transfer_translated(struct aspace *as, gpa_t gpa, u8 *buf, u64 len, enum dir dir);

static int transfer(struct aspace *as, gpa_t gpa, u8 *buf, u64 len, enum dir dir)
{
    int ret = 0;
    if (UNLIKELY(aspace_is_translated(as)))
        return transfer_translated(as, gpa, buf, len, dir);
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

/* Piece by piece; what may not be accessed is as what is not there. */
static int transfer_translated(struct aspace *as, gpa_t gpa, u8 *buf, u64 len, enum dir dir)
{
    int ret = 0;
    u64 n;

    for (; len; gpa += n, buf += n, len -= n) {
        struct aspace *to = as;
        gpa_t at = gpa;
        n = len;
        if (aspace_translate(&to, &at, &n, dir != DMA_READ)) {
            ret |= transfer(to, at, buf, n, dir);
            continue;
        }
        ret = -1;
        n = MIN_OF(len, PAGE_SIZE - (gpa & (PAGE_SIZE - 1)));
        if (dir == DMA_READ)
            memset(buf, 0xff, n);
    }
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

    if (!aspace_translate(&as, &gpa, len, write))
        return NULL;
    aspace_thread_online();
    f = aspace_find(as, gpa);
    if (f && f->host && !(write && f->readonly)) {
        host = f->host + (gpa - f->start);
        *len = MIN_OF(*len, f->end - gpa);
    }
    aspace_thread_offline();
    return host;
}

static void written_translated(struct aspace *as, gpa_t gpa, u64 len)
{
    u64 n;

    for (; len; gpa += n, len -= n) {
        struct aspace *to = as;
        gpa_t at = gpa;
        n = len;
        if (aspace_translate(&to, &at, &n, true))
            dma_written(to, at, n);
        else
            n = MIN_OF(len, PAGE_SIZE - (gpa & (PAGE_SIZE - 1)));
    }
}

void dma_written(struct aspace *as, gpa_t gpa, u64 len)
{
    if (UNLIKELY(aspace_is_translated(as))) {
        written_translated(as, gpa, len);
        return;
    }
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

int dma_discard(struct aspace *as, gpa_t gpa, u64 len)
{
    int ret = 0;

    aspace_thread_online();
    while (len) {
        const struct frange *f = aspace_find(as, gpa);
        u64 n = f ? MIN_OF(len, f->end - gpa) : MIN_OF(len, PAGE_SIZE - (gpa & (PAGE_SIZE - 1)));
        if (f && f->host && !f->readonly)
            ram_discard(f->ram, f->ram_off + (gpa - f->start), n);
        else
            ret = -1;
        gpa += n;
        len -= n;
    }
    aspace_thread_offline();
    return ret;
}

/* -- windows ---------------------------------------------------------------------------------------------------------- */

static void window_take(struct dma_window *w, const struct frange *f)
{
    w->start = f->start;
    w->end = f->end;
    w->host = f->host;
    w->ram = f->ram;
    w->ram_off = f->ram_off;
    w->readonly = f->readonly;
}

/* Adds a neighbour that goes on where the window ends on the host, too: firmware's area below 1 MiB is many small pieces. */
static bool window_grow(struct dma_window *w, const struct frange *f)
{
    if (!f || !f->host || f->ram != w->ram || f->readonly != w->readonly || f->ram_off != w->ram_off + (w->end - w->start))
        return false;
    w->end = f->end;
    return true;
}

/* True if the window now covers gpa. */
static bool window_find(struct aspace *as, struct dma_window *w, gpa_t gpa)
{
    const struct frange *f;

    *w = (struct dma_window){ .generation = aspace_generation(as) };
    aspace_thread_online();
    f = aspace_find(as, gpa);
    if (f && f->host) {
        window_take(w, f);
        while (window_grow(w, aspace_find(as, w->end)))
            ;
    }
    aspace_thread_offline();
    return w->host;
}

static bool window_covers(const struct aspace *as, const struct dma_window *w, gpa_t gpa)
{
    return gpa >= w->start && gpa < w->end && w->generation == aspace_generation(as);
}

void *dma_window_map(struct aspace *as, struct dma_window *w, gpa_t gpa, u64 *len, bool write)
{
    if (!aspace_translate(&as, &gpa, len, write))
        return NULL;
    if (UNLIKELY(!window_covers(as, w, gpa)) && !window_find(as, w, gpa))
        return NULL;
    if (write && w->readonly)
        return NULL;
    *len = MIN_OF(*len, w->end - gpa);
    return w->host + (gpa - w->start);
}

void dma_window_written(struct aspace *as, struct dma_window *w, gpa_t gpa, u64 len)
{
    if (LIKELY(!aspace_is_translated(as) && window_covers(as, w, gpa)) && len <= w->end - gpa)
        ram_written(w->ram, w->ram_off + (gpa - w->start), len);
    else
        dma_written(as, gpa, len);
}
