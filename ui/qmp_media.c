/* QMP commands on drives: media and trays, size, I/O limits. Main thread, from ui/qmp.c and, through it, the monitor. */
#include "hw/backend/blk_front.h"
#include "hw/backend/blk_media.h"
#include "ui/qmp_block.h"
#include "util/opts.h"

/* What the user called it. */
static const char *name_arg(struct qmp_call *c)
{
    return qmp_has(c, "id") ? qmp_str(c, "id") : qmp_str(c, "device");
}

int qmp_block_resize(struct qmp_call *c)
{
    const char *device = qmp_str(c, "device"), *node = qmp_str(c, "node-name");
    struct blk *b = device ? blk_find_id(device) : NULL;
    struct blk_node *n = node && !device ? node_find(node) : NULL;

    if (n)
        b = blk_of_node(n);
    if (!b && !n)
        return err_set(&c->err, "Cannot find device='%s' nor node-name='%s'", device ? device : "", node ? node : "");
    if (qmp_int(c, "size", 0) < 0)
        return err_set(&c->err, "Parameter 'size' expects a >0 size");
    if (!b) /* nobody uses it yet: resize it as it is */
        return node_resize(n, (u64)qmp_int(c, "size", 0), &c->err);
    return blk_resize(b, (u64)qmp_int(c, "size", 0), &c->err);
}

int qmp_eject(struct qmp_call *c)
{
    struct blk *b = qmp_blk_arg(c);

    return b ? blk_eject(b, name_arg(c), qmp_bool(c, "force", false), &c->err) : -1;
}

int qmp_blockdev_open_tray(struct qmp_call *c)
{
    struct blk *b = qmp_blk_arg(c);

    return b ? blk_open_tray(b, name_arg(c), qmp_bool(c, "force", false), &c->err) : -1;
}

int qmp_blockdev_close_tray(struct qmp_call *c)
{
    struct blk *b = qmp_blk_arg(c);

    return b ? blk_close_tray(b, name_arg(c), &c->err) : -1;
}

int qmp_blockdev_remove_medium(struct qmp_call *c)
{
    struct blk *b = qmp_blk_arg(c);

    return b ? blk_remove_medium(b, name_arg(c), &c->err) : -1;
}

int qmp_blockdev_insert_medium(struct qmp_call *c)
{
    struct blk *b = qmp_blk_arg(c);
    struct blk_node *n = b ? node_find(qmp_str(c, "node-name")) : NULL;

    if (!b)
        return -1;
    if (!n)
        return err_set(&c->err, "Node '%s' not found", qmp_str(c, "node-name"));
    return blk_insert_medium(b, name_arg(c), n, &c->err);
}

int qmp_blockdev_change_medium(struct qmp_call *c)
{
    static const char *const modes[] = { "retain", "read-only", "read-write" };
    const char *mode = qmp_str(c, "read-only-mode");
    struct blk *b = qmp_blk_arg(c);
    unsigned m = 0;

    if (!b)
        return -1;
    while (mode && strcmp(modes[m], mode))
        m++;
    return blk_change_medium(b, name_arg(c), qmp_str(c, "filename"), qmp_str(c, "format"), m, qmp_bool(c, "force", false), &c->err);
}

int qmp_block_set_io_throttle(struct qmp_call *c)
{
    struct blk *b = qmp_blk_arg(c);
    struct blk_limits l = { 0 };
    struct opts *o;
    int r;

    if (!b)
        return -1;
    o = qmp_opts(c);
    r = throttle_parse(o, &l, &c->err);
    opts_free(o);
    if (r < 0)
        return -1;
    blk_set_limits(b, &l);
    return 0;
}
