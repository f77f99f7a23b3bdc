/* QMP commands on internal snapshots of drives' images, and what queries tell of them. Main thread, from ui/qmp.c and, through it, the
 * monitor. */
#include "hw/backend/blk_front.h"
#include "hw/backend/blk_media.h"
#include "hw/backend/blk_snapshot.h"
#include "ui/qmp_block.h"

/* The image of the drive, or the node, that "device" names. */
static struct blk_node *image_arg(struct qmp_call *c)
{
    const char *device = qmp_str(c, "device");
    struct blk *b = blk_find_id(device);
    struct blk_node *n = b ? b->root : node_find(device);

    if (b && !n)
        err_set(&c->err, "Device '%s' has no medium", device);
    else if (!n)
        err_set(&c->err, "Cannot find device='%s' nor node-name='%s'", device, device);
    return n;
}

void qmp_add_snapshot(JsonBuilder *b, const struct blk_snapshot *s)
{
    json_open(b, NULL);
    json_int(b, "vm-clock-nsec", (i64)(s->vm_clock_nsec % 1000000000));
    json_str(b, "name", s->name);
    json_int(b, "date-sec", s->date_sec);
    json_int(b, "date-nsec", s->date_nsec);
    json_int(b, "vm-clock-sec", (i64)(s->vm_clock_nsec / 1000000000));
    json_str(b, "id", s->id);
    json_int(b, "vm-state-size", (i64)s->vm_state_size);
    if (s->icount != ~0ull)
        json_int(b, "icount", (i64)s->icount);
    json_close(b);
}

/* The number of the snapshot that has that id and that name (NULL: any), or -1. */
static int find(const struct blk_node *n, const char *id, const char *name)
{
    struct blk_snapshot s;

    for (unsigned i = 0; i < node_snapshot_count(n); i++) {
        node_snapshot_nth(n, i, &s);
        if ((!id || !strcmp(s.id, id)) && (!name || !strcmp(s.name, name)))
            return (int)i;
    }
    return -1;
}

int qmp_blockdev_snapshot_internal_sync(struct qmp_call *c)
{
    const char *device = qmp_str(c, "device"), *name = qmp_str(c, "name");
    struct blk_node *n = image_arg(c);

    if (!n)
        return -1;
    if (!node_has_snapshots(n))
        return err_set(&c->err, "Block format '%s' used by device '%s' does not support internal snapshots", n->drv->name, device);
    if (!*name)
        return err_set(&c->err, "Name is empty");
    if (find(n, NULL, name) >= 0)
        return err_set(&c->err, "Snapshot with name '%s' already exists on device '%s'", name, device);
    struct blk *b = node_quiesce(n);
    int r = node_snapshot_create(n, name, &c->err);
    node_resume(b);
    return r;
}

int qmp_blockdev_snapshot_delete_internal_sync(struct qmp_call *c)
{
    const char *device = qmp_str(c, "device"), *id = qmp_str(c, "id"), *name = qmp_str(c, "name");
    struct blk_node *n = image_arg(c);
    struct blk_snapshot s;
    struct blk *user;
    JsonBuilder *b;
    int i, r;

    if (!n)
        return -1;
    if (!id && !name)
        return err_set(&c->err, "Name or id must be provided");
    i = find(n, id, name);
    if (i < 0)
        return err_set(&c->err, "Snapshot with id '%s' and name '%s' does not exist on device '%s'", id ? id : "null", name ? name : "null", device);
    node_snapshot_nth(n, (unsigned)i, &s);
    b = json_builder_new();
    qmp_add_snapshot(b, &s);
    c->ret = json_take(b);
    user = node_quiesce(n);
    r = node_snapshot_delete_nth(n, (unsigned)i, &c->err);
    node_resume(user);
    return r;
}
