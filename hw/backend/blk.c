/* Block back ends as devices find them: opened from options, registered by name, attached to one device. Main thread, unless blk.h says
 * otherwise. Requests are in blk_io.c, the layers of images in blk_node.c, what users do to them while they run in blk_media.c. */
#include "hw/backend/blk_front.h"

static struct blk *first; /* registry */

/* -- options ---------------------------------------------------------------------------------------------------------- */

/* cache= names three switches. */
static int read_cache(struct opts *o, unsigned *flags, bool *writethrough, struct err *e)
{
    static const char *const words[] = { "writeback", "writethrough", "none", "directsync", "unsafe", NULL };
    static const struct { unsigned flags; bool writethrough; } modes[] = {
        { 0, false }, { 0, true }, { NODE_DIRECT, false }, { NODE_DIRECT, true }, { NODE_NO_FLUSH, false },
    };
    bool wb;
    int c;

    if (opts_enum(o, "cache", words, 0, &c, e) < 0 || opts_bool(o, "cache.writeback", !modes[c].writethrough, &wb, e) < 0)
        return -1;
    *writethrough = !wb;
    *flags |= modes[c].flags;
    return 0;
}

static int read_aio(struct opts *o, unsigned *flags, struct err *e)
{
    static const char *const words[] = { "threads", "native", "io_uring", NULL };
    int a;

    if (opts_enum(o, "aio", words, 2, &a, e) < 0)
        return -1;
    if (a == 1 && !(*flags & NODE_DIRECT) && !opts_peek(o, "cache.direct"))
        return err_set(e, "aio=native was specified, but it requires cache.direct=on, which was not specified.");
    if (a == 0)
        *flags |= NODE_THREADS;
    return 0;
}

static const char *const on_error_words[] = { "report", "ignore", "stop", "enospc", NULL };

static int read_errors(struct opts *o, struct blk *b, struct err *e)
{
    int r, w;

    if (opts_enum(o, "rerror", on_error_words, BLK_ON_ERROR_REPORT, &r, e) < 0 ||
        opts_enum(o, "werror", on_error_words, BLK_ON_ERROR_ENOSPC, &w, e) < 0)
        return -1;
    if (r == BLK_ON_ERROR_ENOSPC)
        return err_set(e, "rerror=enospc: a read never fails for want of space");
    b->on_error[0] = r;
    b->on_error[1] = w;
    return 0;
}

/* What concerns the front; the rest of o is for nodes. */
static int read_front(struct opts *o, struct blk *b, bool cdrom, unsigned *flags, struct err *e)
{
    struct blk_limits limits = { 0 };
    bool cor, ro, snapshot;
    const char *format = opts_get(o, "format");

    if (opts_bool(o, "copy-on-read", false, &cor, e) < 0 || opts_bool(o, "snapshot", false, &snapshot, e) < 0 ||
        opts_bool(o, "readonly", cdrom, &ro, e) < 0 || opts_bool(o, "read-only", ro, &ro, e) < 0 ||
        read_cache(o, flags, &b->writethrough, e) < 0 || read_aio(o, flags, e) < 0 || read_errors(o, b, e) < 0 ||
        throttle_parse(o, &limits, e) < 0)
        return -1;
    if (cor)
        return err_set(e, "copy-on-read=on: not available");
    if (format) {
        if (opts_peek(o, "driver"))
            return err_set(e, "format= and driver= say the same thing; leave one of them out");
        opts_set(o, "driver", format);
    }
    opts_unset(o, "read-only");
    *flags |= NODE_PROBE | (ro ? 0 : NODE_RDWR) | (snapshot ? NODE_SNAPSHOT : 0);
    if (!ro && !opts_peek(o, "auto-read-only"))
        *flags |= NODE_AUTO_RO;
    b->readonly = ro;
    b->open_flags = *flags & ~NODE_SNAPSHOT;
    if (throttle_wanted(&limits))
        b->throttle = throttle_new(&limits);
    return 0;
}

/* -- opening ---------------------------------------------------------------------------------------------------------- */

static struct blk *blk_new(const char *id, struct err *e)
{
    struct blk *b = g_new0(struct blk, 1);

    if (blk_io_init(b, e) < 0) {
        g_free(b);
        return NULL;
    }
    b->id = g_strdup(id ? id : "");
    b->on_error[1] = BLK_ON_ERROR_ENOSPC;
    b->next = first;
    first = b;
    return b;
}

static int open_root(struct blk *b, const char *file, struct opts *o, bool cdrom, unsigned flags, struct err *e)
{
    if (read_front(o, b, cdrom, &flags, e) < 0)
        return -1;
    opts_unset(o, "file");
    if (*file || opts_has(o, "file") || opts_has(o, "driver") || opts_has(o, "filename")) {
        b->root = node_open(*file ? file : NULL, o, flags, e);
        if (!b->root || blk_claim(b, b->root, e) < 0)
            return -1;
    }
    if (opts_all_used(o, e) < 0)
        return -1;
    if (b->root && node_size(b->root) < 512)
        return err_set(e, "'%s' has %u bytes, less than one disk sector", b->root->filename, (unsigned)node_size(b->root));
    if (b->root && !(flags & NODE_QUIET))
        node_warn_guessed(b->root);
    return 0;
}

static struct blk *open_with_flags(const char *id, struct opts *o, bool cdrom, unsigned flags, struct err *e)
{
    const char *given = opts_get(o, "file");
    char *file;
    struct blk *b;
    int r;

    if (id && *id && (blk_find_id(id) || node_find(id))) {
        err_set(e, "Duplicate ID '%s' for drive", id);
        return NULL;
    }
    b = blk_new(id, e);
    if (!b)
        return NULL;
    b->removable = cdrom;
    file = g_strdup(given ? given : "");
    r = open_root(b, file, o, cdrom, flags, e);
    g_free(file);
    if (r == 0)
        return b;
    blk_close(b);
    return NULL;
}

struct blk *blk_open_opts(const char *id, struct opts *o, bool cdrom, struct err *e)
{
    return open_with_flags(id, o, cdrom, 0, e);
}

struct blk *blk_open_image(struct opts *o, bool cdrom, struct err *e)
{
    return open_with_flags(NULL, o, cdrom, NODE_QUIET, e);
}

struct blk *blk_open(const char *id, const char *option, const char *path, bool readonly, struct err *e)
{
    struct opts *o = opts_new();
    struct blk *b;

    opts_set(o, "file", path);
    opts_set(o, "format", "raw");
    opts_set(o, "readonly", readonly ? "on" : "off");
    b = blk_open_opts(id, o, false, e);
    if (!b)
        err_prefix(e, "%s", option);
    opts_free(o);
    return b;
}

void blk_close(struct blk *b)
{
    struct blk **p = &first;

    if (!b)
        return;
    assert(!b->attached);
    blk_drain(b);
    while (*p != b)
        p = &(*p)->next;
    *p = b->next;
    blk_io_fini(b);
    node_release(&b->user);
    node_put(b->root);
    g_free(b->id);
    g_free(b);
}

void blk_close_all(void)
{
    while (first)
        blk_close(first);
    nodes_release();
}

struct blk *blk_first(void)
{
    return first;
}

struct blk *blk_find_id(const char *id)
{
    for (struct blk *b = first; b; b = b->next)
        if (*id && !strcmp(b->id, id))
            return b;
    return NULL;
}

struct blk *blk_find(const char *id)
{
    struct blk *b = first;
    struct blk_node *n;
    struct err e;

    while (b && (!*id || strcmp(b->id, id) || (b->anonymous && b->attached)))
        b = b->next;
    n = b ? NULL : node_find(id);
    if (!n)
        return b;
    b = blk_new(id, &e);
    if (!b) {
        err_report(&e);
        return NULL;
    }
    b->anonymous = true;
    b->root = node_get(n);
    b->readonly = n->readonly;
    b->open_flags = n->flags | NODE_PROBE;
    return b;
}

/* -- what devices ask ------------------------------------------------------------------------------------------------- */

const char *blk_id(const struct blk *b) { return b->id; }
const char *blk_path(const struct blk *b) { return b->root ? b->root->filename : ""; }
u64 blk_size(const struct blk *b) { return b->root ? node_size(b->root) : 0; }
bool blk_readonly(const struct blk *b) { return b->root ? b->root->readonly : b->readonly; }
bool blk_present(const struct blk *b) { return b->root != NULL; }

int blk_claim(struct blk *b, struct blk_node *n, struct err *e)
{
    struct node_rights r = { b->anonymous ? 0 : RIGHT_READ, 0 };

    if (b->attached) {
        r.need = RIGHT_READ | (b->how & BLK_WRITES && !n->readonly ? RIGHT_WRITE : 0);
        r.deny = (b->how & BLK_SHARE_RW ? 0 : RIGHT_WRITE) | (b->how & BLK_FIXED_SIZE ? RIGHT_RESIZE : 0);
    }
    return node_claim(n, &b->user, r, e);
}

int blk_attach(struct blk *b, const struct blk_dev_ops *ops, void *opaque, struct lock *lock, unsigned how, struct err *e)
{
    if (b->attached)
        return err_set(e, "drive '%s' is used by another device already", blk_id(b));
    b->attached = true;
    b->how = how;
    if (b->root && blk_claim(b, b->root, e) < 0) {
        b->attached = false;
        return -1;
    }
    b->ops = ops;
    b->opaque = opaque;
    b->dev_lock = lock;
    return 0;
}

void blk_set_on_error(struct blk *b, const char *rerror, const char *werror)
{
    for (unsigned i = 0; b && on_error_words[i]; i++) {
        if (rerror && !strcmp(rerror, on_error_words[i]))
            b->on_error[0] = i;
        if (werror && !strcmp(werror, on_error_words[i]))
            b->on_error[1] = i;
    }
}

void blk_detach(struct blk *b)
{
    if (!b || !b->attached)
        return;
    blk_drain(b);
    blk_set_iothread(b, NULL);
    b->attached = false;
    b->ops = NULL;
    if (b->root)
        blk_claim(b, b->root, NULL);
}
