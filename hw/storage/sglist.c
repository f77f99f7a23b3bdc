/* Scatter/gather lists, see sglist.h. Called by the IDE and AHCI controllers, machine lock held. */
#include "hw/storage/sglist.h"
#include <glib.h>
#include "mmu/aspace.h"
#include "mmu/dma.h"

void sg_begin(struct sglist *s, struct aspace *as, bool write)
{
    s->n_iov = s->n_range = 0;
    s->len = 0;
    s->as = as;
    s->write = write;
}

static void add_iov(struct sglist *s, void *host, u64 len)
{
    struct iovec *last = s->n_iov ? &s->iov[s->n_iov - 1] : NULL;

    if (last && (u8 *)last->iov_base + last->iov_len == host) {
        last->iov_len += len;
        return;
    }
    if (s->n_iov == s->iov_room) {
        s->iov_room = s->iov_room ? 2 * s->iov_room : 64;
        s->iov = g_renew(struct iovec, s->iov, s->iov_room);
    }
    s->iov[s->n_iov++] = (struct iovec){ host, len };
}

static void add_range(struct sglist *s, gpa_t gpa, u64 len)
{
    struct sg_range *last = s->n_range ? &s->range[s->n_range - 1] : NULL;

    if (last && last->gpa + last->len == gpa) {
        last->len += len;
        return;
    }
    if (s->n_range == s->range_room) {
        s->range_room = s->range_room ? 2 * s->range_room : 64;
        s->range = g_renew(struct sg_range, s->range, s->range_room);
    }
    s->range[s->n_range++] = (struct sg_range){ gpa, len };
}

int sg_add(struct sglist *s, gpa_t gpa, u64 len)
{
    while (len) {
        struct aspace *as = s->as;
        u64 n = len, at = gpa;
        void *host = aspace_translate(&as, &at, &n, s->write) ? dma_map(as, at, &n, s->write) : NULL;
        if (!host)
            return -1;
        s->target = as;
        add_iov(s, host, n);
        add_range(s, at, n);
        s->len += n;
        gpa += n;
        len -= n;
    }
    return 0;
}

void sg_end(struct sglist *s)
{
    for (unsigned i = 0; i < s->n_range && s->write; i++)
        dma_written(s->target, s->range[i].gpa, s->range[i].len);
    s->n_iov = s->n_range = 0;
    s->len = 0;
}

void sg_free(struct sglist *s)
{
    g_free(s->iov);
    g_free(s->range);
    *s = (struct sglist){ 0 };
}

u32 sg_copy(struct sglist *s, u64 at, u8 *buf, u32 n)
{
    u32 done = 0;

    for (unsigned i = 0; i < s->n_iov && done < n; i++) {
        u64 len = s->iov[i].iov_len;
        if (at >= len) {
            at -= len;
            continue;
        }
        u32 k = MIN_OF(len - at, n - done);
        u8 *host = (u8 *)s->iov[i].iov_base + at;
        if (s->write)
            memcpy(host, buf + done, k);
        else
            memcpy(buf + done, host, k);
        done += k;
        at = 0;
    }
    return done;
}
