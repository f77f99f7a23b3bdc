/* See blk_commit.h. Called by gemel-img and, through blk_media.c, by the monitor. */
#include "hw/backend/blk_commit.h"
#include <glib.h>
#include "hw/backend/qcow2.h"
#include "util/err.h"

#define PIECE (2 * MiB)

static int commit_data(struct blk_node *n, void (*progress)(void *opaque, u64 done, u64 all), void *opaque)
{
    u8 *buf = g_malloc(PIECE);
    struct blk_extent x;
    int r = 0;

    for (u64 off = 0, size = node_size(n); off < size && !r; off += x.len) {
        if (progress)
            progress(opaque, off, size);
        r = node_status(n, off, MIN_OF(PIECE, size - off), &x);
        if (r || !x.allocated)
            continue;
        if (x.zero) {
            r = node_zero(n->backing, off, x.len, BLK_MAY_UNMAP);
        } else {
            r = node_read(n, off, buf, x.len);
            if (!r)
                r = node_write(n->backing, off, buf, x.len);
        }
    }
    g_free(buf);
    return r ? r : node_flush(n->backing);
}

static int commit_into(struct blk_node *n, bool keep, void (*progress)(void *opaque, u64 done, u64 all), void *opaque, struct err *e)
{
    int r;

    if (node_size(n->backing) < node_size(n) && node_truncate(n->backing, node_size(n), NULL, e) < 0)
        return err_prefix(e, "Error while resizing the backing file");
    r = commit_data(n, progress, opaque);
    if (!r && !keep && n->drv == &blk_qcow2 && !n->readonly)
        r = qcow2_make_empty(n);
    return r < 0 ? err_set(e, "Block job failed: %s", g_strerror(-r)) : 0;
}

int node_commit(struct blk_node *n, bool keep, void (*progress)(void *opaque, u64 done, u64 all), void *opaque, struct err *e)
{
    struct blk_node *b = n->backing;
    bool readonly = b && b->readonly;
    unsigned flags = b ? b->flags : 0;
    int r;

    if (!b)
        return err_set(e, "Image does not have a backing file");
    n->commits = true;
    if (node_rights_follow(n, e) < 0 || (readonly && node_reopen(b, true, e) < 0)) {
        n->commits = false;
        node_rights_follow(n, NULL);
        return err_prefix(e, "Could not open backing file for writing");
    }
    b->flags |= NODE_UNMAP;
    r = commit_into(n, keep, progress, opaque, e);
    b->flags = flags;
    if (readonly && node_reopen(b, false, r < 0 ? NULL : e) < 0)
        r = -1;
    n->commits = false;
    node_rights_follow(n, NULL);
    return r;
}
