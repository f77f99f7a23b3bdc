/* Media, trays, sizes and limits of drives, changed by the user; see blk_media.h. Main thread; the device's lock is taken here. A tray is
 * the device's (blk_dev_ops.tray_open); a device that has none, a floppy drive, changes its medium at once. */
#include "hw/backend/blk_media.h"
#include "hw/backend/blk_commit.h"
#include "hw/backend/blk_front.h"
#include "util/event.h"

bool blk_is_removable(struct blk *b)
{
    bool r;

    blk_dev_lock(b);
    r = b->ops ? b->ops->media_changed != NULL : b->removable;
    blk_dev_unlock(b);
    return r;
}

/* Lock held. */
static bool has_tray(const struct blk *b)
{
    return b->ops && b->ops->tray_open;
}

bool blk_tray_is_open(struct blk *b)
{
    bool r;

    blk_dev_lock(b);
    r = has_tray(b) ? b->ops->tray_open(b->opaque) : b->tray_open;
    blk_dev_unlock(b);
    return r;
}

bool blk_is_locked(struct blk *b)
{
    bool r;

    blk_dev_lock(b);
    r = b->ops && b->ops->tray_locked && b->ops->tray_locked(b->opaque);
    blk_dev_unlock(b);
    return r;
}

static int need_removable(struct blk *b, const char *name, struct err *e)
{
    return blk_is_removable(b) ? 0 : err_set(e, "Device '%s' is not removable", name);
}

static void emit_moved(struct blk *b, const char *name, bool open)
{
    const struct event_member members[] = { EVENT_STR("device", b->id), EVENT_STR("id", name), EVENT_BOOL("tray-open", open), EVENT_DONE };

    event_emit("DEVICE_TRAY_MOVED", members);
}

/* The device hears that there is a medium, or none, any more. */
static void tell(struct blk *b, bool loaded)
{
    blk_dev_lock(b);
    if (b->ops && b->ops->media_changed)
        b->ops->media_changed(b->opaque, loaded);
    blk_dev_unlock(b);
}

int blk_open_tray(struct blk *b, const char *name, bool force, struct err *e)
{
    bool locked, tray;

    if (need_removable(b, name, e) < 0)
        return -1;
    if (blk_tray_is_open(b))
        return 0;
    locked = blk_is_locked(b);
    blk_dev_lock(b);
    tray = has_tray(b);
    if (locked && b->ops->eject_request)
        b->ops->eject_request(b->opaque, force);
    if (!tray)
        b->tray_open = !b->ops; /* nobody moves a tray that is not there */
    blk_dev_unlock(b);
    if (locked && !force)
        return err_set(e, "Device '%s' is locked and force was not specified, wait for tray to open and try again", name);
    if (tray) {
        tell(b, false);
        emit_moved(b, name, true);
    }
    return 0;
}

int blk_close_tray(struct blk *b, const char *name, struct err *e)
{
    bool tray;

    if (need_removable(b, name, e) < 0)
        return -1;
    if (!blk_tray_is_open(b))
        return 0;
    blk_dev_lock(b);
    tray = has_tray(b);
    b->tray_open = false;
    blk_dev_unlock(b);
    if (tray) {
        tell(b, true);
        emit_moved(b, name, false);
    }
    return 0;
}

/* Exchanges what is in the drive; n's reference is taken over. */
static void set_root(struct blk *b, struct blk_node *n)
{
    struct blk_node *old;

    blk_dev_lock(b);
    blk_drain(b);
    old = b->root;
    b->root = n;
    blk_dev_unlock(b);
    if (!n)
        node_release(&b->user);
    node_put(old);
}

static bool tray_matters(struct blk *b)
{
    bool r;

    blk_dev_lock(b);
    r = has_tray(b);
    blk_dev_unlock(b);
    return r;
}

int blk_remove_medium(struct blk *b, const char *name, struct err *e)
{
    if (need_removable(b, name, e) < 0)
        return -1;
    if (tray_matters(b) && !blk_tray_is_open(b))
        return err_set(e, "Tray of device '%s' is not open", name);
    if (!b->root)
        return 0;
    set_root(b, NULL);
    if (!tray_matters(b))
        tell(b, false);
    return 0;
}

int blk_insert_medium(struct blk *b, const char *name, struct blk_node *n, struct err *e)
{
    if (need_removable(b, name, e) < 0)
        return -1;
    if (tray_matters(b) && !blk_tray_is_open(b))
        return err_set(e, "Tray of device '%s' is not open", name);
    if (b->root)
        return err_set(e, "There already is a medium in device '%s'", name);
    if (node_size(n) < 512)
        return err_set(e, "'%s' has %u bytes, less than one disk sector", n->filename, (unsigned)node_size(n));
    if (blk_claim(b, n, e) < 0)
        return -1;
    set_root(b, node_get(n));
    if (!tray_matters(b))
        tell(b, true);
    return 0;
}

static struct blk_node *open_medium(struct blk *b, const char *file, const char *format, enum blk_change_mode mode, struct err *e)
{
    struct opts *o = opts_new();
    unsigned flags = b->open_flags | NODE_PROBE;
    struct blk_node *n;

    if (format)
        opts_set(o, "driver", format);
    if (mode != BLK_RETAIN)
        flags = mode == BLK_READ_ONLY ? flags & ~(unsigned)(NODE_RDWR | NODE_AUTO_RO) : (flags & ~(unsigned)NODE_AUTO_RO) | NODE_RDWR;
    n = node_open(file, o, flags, e);
    opts_free(o);
    return n;
}

int blk_change_medium(struct blk *b, const char *name, const char *file, const char *format, enum blk_change_mode mode, bool force,
                      struct err *e)
{
    struct blk_node *n;
    int r;

    if (need_removable(b, name, e) < 0)
        return -1;
    n = open_medium(b, file, format, mode, e);
    if (!n)
        return -1;
    r = blk_open_tray(b, name, force, e);
    if (r == 0)
        r = blk_remove_medium(b, name, e);
    if (r == 0)
        r = blk_insert_medium(b, name, n, e);
    if (r == 0)
        r = blk_close_tray(b, name, e);
    node_put(n);
    return r;
}

int blk_eject(struct blk *b, const char *name, bool force, struct err *e)
{
    return blk_open_tray(b, name, force, e) < 0 ? -1 : blk_remove_medium(b, name, e);
}

struct blk *blk_of_node(const struct blk_node *n)
{
    struct blk *found = NULL;

    for (struct blk *b = blk_first(); b; b = b->next)
        if (b->root == n && (!found || (b->attached && !found->attached)))
            found = b;
    return found;
}

/* All devices have one lock, the machine's (docs/threads.md). */
struct blk *node_quiesce(const struct blk_node *n)
{
    struct blk *user = blk_of_node(n);

    if (user)
        blk_dev_lock(user);
    for (struct blk *b = user ? blk_first() : NULL; b; b = b->next)
        if (b->root == n)
            blk_drain(b);
    return user;
}

void node_resume(struct blk *b)
{
    if (b)
        blk_dev_unlock(b);
}

int node_resize(struct blk_node *n, u64 size, struct err *e)
{
    struct node_user resizer = { 0 };
    struct blk *user;
    int r;

    if (n->readonly)
        return err_set(e, "Image is read-only");
    if (node_claim(n, &resizer, (struct node_rights){ RIGHT_RESIZE, 0 }, e) < 0)
        return -1;
    user = node_quiesce(n);
    r = node_truncate(n, size, "off", e);
    for (struct blk *b = r == 0 ? blk_first() : NULL; b; b = b->next)
        if (b->root == n && b->ops && b->ops->resized)
            b->ops->resized(b->opaque);
    node_resume(user);
    node_release(&resizer);
    return r < 0 ? -1 : 0;
}

int blk_resize(struct blk *b, u64 size, struct err *e)
{
    return b->root ? node_resize(b->root, size, e) : err_set(e, "Device '%s' has no medium", blk_id(b));
}

int blk_commit(struct blk *b, struct err *e)
{
    struct blk *user;
    int r;

    if (!b->root)
        return err_set(e, "Device '%s' has no medium", blk_id(b));
    user = node_quiesce(b->root);
    r = node_commit(b->root, false, NULL, NULL, e);
    node_resume(user);
    return r;
}

void blk_set_limits(struct blk *b, const struct blk_limits *l)
{
    blk_dev_lock(b);
    throttle_free(b->throttle);
    b->throttle = l && throttle_wanted(l) ? throttle_new(l) : NULL;
    blk_io_unthrottle(b);
    blk_dev_unlock(b);
}

int node_del(const char *name, struct err *e)
{
    struct blk_node *n = node_find(name);

    if (!n)
        return err_set(e, "Failed to find node with node-name='%s'", name);
    if (!n->users_own)
        return err_set(e, "Node %s is not owned by the monitor", name);
    for (struct blk *b = blk_first(), *next; b; b = next) { /* what a device that is gone has left */
        next = b->next;
        if (b->anonymous && b->root == n && !b->attached)
            blk_close(b);
    }
    if (n->refs > 1)
        return err_set(e, "Block device %s is in use", name);
    n->users_own = false;
    node_put(n);
    return 0;
}
