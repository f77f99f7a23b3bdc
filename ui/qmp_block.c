/* QMP's queries about drives and image nodes, and nodes that come and go. Main thread, from ui/qmp.c and, through it, the monitor. */
#include "ui/qmp_block.h"
#include "hw/backend/blk_front.h"
#include "hw/backend/blk_media.h"
#include "hw/backend/blk_snapshot.h"
#include "util/opts.h"

char *qmp_blk_user(struct qmp_call *c, const struct blk *b)
{
    char *path = NULL;

    lock_acquire(&c->m->lock);
    for (const struct device *d = c->m->devices; d && !path; d = d->next)
        for (const struct prop *p = d->cls->props; p && p->kind != PROP_END && !path; p++)
            if (p->kind == PROP_DRIVE && *(struct blk *const *)((const char *)d + p->offset) == b)
                path = device_path(d);
    lock_release(&c->m->lock);
    return path;
}

/* The drive of the device with that id, or NULL. */
static struct blk *drive_of(struct qmp_call *c, const char *id)
{
    struct blk *b = NULL;
    struct device *d;

    lock_acquire(&c->m->lock);
    d = *id == '/' ? NULL : device_find(c->m, id);
    for (const struct prop *p = d ? d->cls->props : NULL; p && p->kind != PROP_END; p++)
        if (p->kind == PROP_DRIVE)
            b = *(struct blk **)((char *)d + p->offset);
    lock_release(&c->m->lock);
    return b;
}

struct blk *qmp_blk_arg(struct qmp_call *c)
{
    const char *device = qmp_str(c, "device"), *id = qmp_str(c, "id");
    struct blk *b;

    if (!device == !id) {
        err_set(&c->err, "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    b = id ? drive_of(c, id) : blk_find_id(device);
    if (!b)
        qmp_no_device(c, id ? id : device);
    return b;
}

/* --- queries --- */

static void add_snapshots(JsonBuilder *b, const struct blk_node *n)
{
    struct blk_snapshot s;

    json_open_array(b, "snapshots");
    for (unsigned i = 0; i < node_snapshot_count(n); i++) {
        node_snapshot_nth(n, i, &s);
        qmp_add_snapshot(b, &s);
    }
    json_close_array(b);
}

/* deep: with its backing image, and that's, and so on. */
static void add_image(JsonBuilder *b, const char *member, struct blk_node *n, bool deep)
{
    struct blk_info i = { 0 };

    node_info(n, &i);
    json_open(b, member);
    json_int(b, "virtual-size", (i64)node_size(n));
    json_str(b, "filename", n->filename);
    if (i.cluster_size)
        json_int(b, "cluster-size", i.cluster_size);
    json_str(b, "format", n->drv->name);
    json_int(b, "actual-size", (i64)node_allocated(n));
    json_bool(b, "dirty-flag", i.dirty);
    if (i.backing_file) {
        char *full = node_backing_path(n->filename, i.backing_file);
        json_str(b, "backing-filename", i.backing_file);
        json_str(b, "full-backing-filename", full);
        g_free(full);
        if (i.backing_format)
            json_str(b, "backing-filename-format", i.backing_format);
    }
    if (node_snapshot_count(n))
        add_snapshots(b, n);
    if (deep && n->backing)
        add_image(b, "backing-image", n->backing, true);
    json_close(b);
}

static void add_limits(JsonBuilder *b, const struct blk *blk)
{
    static const char *const names[THROTTLES] = { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr" };
    const struct blk_limits *l = blk && blk->throttle ? throttle_limits(blk->throttle) : NULL;

    for (unsigned i = 0; i < THROTTLES; i++) {
        char *max = g_strdup_printf("%s_max", names[i]);
        json_int(b, names[i], l ? (i64)l->of[i].avg : 0);
        if (l && l->of[i].max)
            json_int(b, max, (i64)l->of[i].max);
        g_free(max);
    }
    if (l && l->iops_size)
        json_int(b, "iops_size", (i64)l->iops_size);
}

/* blk: the drive, NULL for a node that is looked at by itself. */
static void add_node(JsonBuilder *b, const char *member, struct blk_node *n, const struct blk *blk, bool deep)
{
    static const char *const zeroes[] = { "off", "on", "unmap" };
    unsigned depth = 0;

    for (const struct blk_node *k = n->backing; k; k = k->backing)
        depth++;
    json_open(b, member);
    add_image(b, "image", n, deep);
    add_limits(b, blk);
    json_str(b, "detect_zeroes", zeroes[n->detect_zeroes]);
    json_int(b, "write_threshold", 0);
    json_int(b, "backing_file_depth", depth);
    if (n->backing)
        json_str(b, "backing_file", n->backing->filename);
    json_str(b, "drv", n->drv->name);
    json_bool(b, "ro", n->readonly);
    json_str(b, "node-name", n->name);
    json_str(b, "file", n->filename);
    json_bool(b, "encrypted", false);
    json_open(b, "cache");
    json_bool(b, "no-flush", n->flags & NODE_NO_FLUSH);
    json_bool(b, "direct", n->flags & NODE_DIRECT);
    json_bool(b, "writeback", !blk || !blk->writethrough);
    json_close(b);
    json_close(b);
}

static void add_drive(struct qmp_call *c, JsonBuilder *b, struct blk *k)
{
    bool removable = blk_is_removable(k);
    char *qdev = qmp_blk_user(c, k);

    json_open(b, NULL);
    if (!removable)
        json_str(b, "io-status", !k->io_failed ? "ok" : k->io_nospace ? "nospace" : "failed");
    json_str(b, "device", k->id);
    json_bool(b, "locked", blk_is_locked(k));
    json_bool(b, "removable", removable);
    if (k->root)
        add_node(b, "inserted", k->root, k, true);
    if (qdev)
        json_str(b, "qdev", qdev);
    if (removable)
        json_bool(b, "tray_open", blk_tray_is_open(k));
    json_str(b, "type", "unknown");
    json_close(b);
    g_free(qdev);
}

/* In the order of their making; the registry has the newest first. Free with g_ptr_array_unref. */
static GPtrArray *all_drives(void)
{
    GPtrArray *all = g_ptr_array_new();

    for (struct blk *k = blk_first(); k; k = k->next)
        g_ptr_array_insert(all, 0, k);
    return all;
}

int qmp_query_block(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    GPtrArray *all = all_drives();

    json_open_array(b, NULL);
    for (unsigned i = 0; i < all->len; i++)
        add_drive(c, b, all->pdata[i]);
    json_close_array(b);
    g_ptr_array_unref(all);
    return qmp_answer(c, b);
}

int qmp_query_named_block_nodes(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open_array(b, NULL);
    for (struct blk_node *n = node_first(); n; n = n->next)
        add_node(b, NULL, n, NULL, !qmp_bool(c, "flat", false));
    json_close_array(b);
    return qmp_answer(c, b);
}

static void add_stats(JsonBuilder *b, const struct blk_stats *s)
{
    static const char *const bytes[] = { "rd_bytes", "wr_bytes", NULL, "unmap_bytes" };
    static const char *const ops[] = { "rd_operations", "wr_operations", "flush_operations", "unmap_operations" };
    static const char *const ns[] = { "rd_total_time_ns", "wr_total_time_ns", "flush_total_time_ns", "unmap_total_time_ns" };
    static const char *const failed[] = { "failed_rd_operations", "failed_wr_operations", "failed_flush_operations",
                                          "failed_unmap_operations" };

    json_open(b, "stats");
    for (unsigned i = 0; i < BLK_STATS; i++) {
        if (bytes[i])
            json_int(b, bytes[i], (i64)s->of[i].bytes);
        json_int(b, ops[i], (i64)s->of[i].ops);
        json_int(b, ns[i], (i64)s->of[i].ns);
        json_int(b, failed[i], (i64)s->of[i].failed);
    }
    json_int(b, "wr_highest_offset", (i64)s->highest_write);
    json_close(b);
}

/* k: NULL for a node that no drive uses, which counts nothing. */
static void add_stats_of(struct qmp_call *c, JsonBuilder *b, struct blk *k, const struct blk_node *n)
{
    struct blk_stats s = { 0 };
    char *qdev = k ? qmp_blk_user(c, k) : NULL;

    if (k)
        blk_get_stats(k, &s);
    json_open(b, NULL);
    if (k)
        json_str(b, "device", k->id);
    if (n)
        json_str(b, "node-name", n->name);
    add_stats(b, &s);
    if (qdev)
        json_str(b, "qdev", qdev);
    json_close(b);
    g_free(qdev);
}

int qmp_query_blockstats(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    GPtrArray *all = all_drives();

    json_open_array(b, NULL);
    if (qmp_bool(c, "query-nodes", false)) {
        for (struct blk_node *n = node_first(); n; n = n->next)
            add_stats_of(c, b, blk_of_node(n), n);
    } else {
        for (unsigned i = 0; i < all->len; i++)
            add_stats_of(c, b, all->pdata[i], ((struct blk *)all->pdata[i])->root);
    }
    json_close_array(b);
    g_ptr_array_unref(all);
    return qmp_answer(c, b);
}

/* --- nodes --- */

int qmp_blockdev_add(struct qmp_call *c)
{
    struct opts *o = qmp_opts(c);
    struct blk_node *n = node_open_blockdev(o, NODE_RDWR, &c->err);

    opts_free(o);
    return n ? 0 : -1;
}

int qmp_blockdev_del(struct qmp_call *c)
{
    return node_del(qmp_str(c, "node-name"), &c->err);
}
