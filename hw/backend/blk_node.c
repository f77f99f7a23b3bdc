/* The graph of block nodes: opening images layer by layer from options, finding out formats, names, reference counts, closing. Main
 * thread. Blocking I/O on nodes is in blk_node_io.c. */
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/backend/blk_int.h"

#define CHAIN_MAX 200    /* images in a backing chain, or layers of one */
#define PROBE_BYTES 4096
#define CHILD_FLAGS (NODE_RDWR | NODE_DIRECT | NODE_NO_FLUSH | NODE_UNMAP | NODE_SHARE | NODE_THREADS | NODE_AUTO_RO)
#define BACKING_FLAGS (NODE_DIRECT | NODE_NO_FLUSH | NODE_UNMAP | NODE_SHARE | NODE_THREADS)

static const struct blk_driver *const drivers[] = { &blk_file, &blk_host_device, &blk_raw, &blk_null, &blk_qcow2, &blk_nbd };
static struct blk_node *first; /* registry */
static unsigned next_number;   /* of nodes without a name */
static unsigned depth;         /* of the chain that is being opened */

/* -- drivers ---------------------------------------------------------------------------------------------------------- */

const struct blk_driver *driver_nth(unsigned i)
{
    return i < ARRAY_LEN(drivers) ? drivers[i] : NULL;
}

const struct blk_driver *driver_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(drivers); i++)
        if (!strcmp(drivers[i]->name, name))
            return drivers[i];
    return NULL;
}

static const struct magic {
    const char *format;
    unsigned off, len;
    const char *bytes;
} magics[] = {
    { "qcow2", 0, 8, "QFI\xfb\0\0\0\2" }, { "qcow2", 0, 8, "QFI\xfb\0\0\0\3" }, { "qcow", 0, 8, "QFI\xfb\0\0\0\1" },
    { "vmdk", 0, 4, "KDMV" }, { "vmdk", 0, 4, "COWD" }, { "vmdk", 0, 21, "# Disk DescriptorFile" }, { "vdi", 64, 4, "\x7f\x10\xda\xbe" },
    { "vhdx", 0, 8, "vhdxfile" }, { "vpc", 0, 8, "conectix" }, { "luks", 0, 6, "LUKS\xba\xbe" }, { "qed", 0, 4, "QED\0" },
    { "parallels", 0, 16, "WithoutFreeSpace" }, { "parallels", 0, 16, "WithouFreSpacExt" },
};

const struct blk_driver *driver_probe(const u8 *head, size_t n, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_LEN(magics); i++) {
        const struct magic *m = &magics[i];
        if (m->off + m->len > n || memcmp(head + m->off, m->bytes, m->len))
            continue;
        const struct blk_driver *d = driver_find(m->format);
        if (!d)
            err_set(e, "images of the format %s are not supported; convert it to qcow2 or raw (qemu-img convert)", m->format);
        return d;
    }
    return &blk_raw;
}

/* -- names and references --------------------------------------------------------------------------------------------- */

struct blk_node *node_find(const char *name)
{
    for (struct blk_node *n = first; n; n = n->next)
        if (!strcmp(n->name, name))
            return n;
    return NULL;
}

struct blk_node *node_first(void)
{
    return first;
}

static bool name_is_well_formed(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if (!g_ascii_isalnum(s[i]) && !strchr("-._", s[i]))
            return false;
    return n && n < 32 && g_ascii_isalpha(*s);
}

static struct blk_node *node_new(const struct blk_driver *drv, struct opts *o, unsigned flags, struct err *e)
{
    static const char *const detect[] = { "off", "on", "unmap", NULL };
    const char *name = opts_get(o, "node-name");
    int dz = 0;

    if (name && !name_is_well_formed(name)) {
        err_set(e, "Invalid node-name: '%s'", name);
        return NULL;
    }
    if (name && node_find(name)) {
        err_set(e, "Duplicate nodes with node-name='%s'", name);
        return NULL;
    }
    if (opts_enum(o, "detect-zeroes", detect, 0, &dz, e) < 0)
        return NULL;
    struct blk_node *n = g_new0(struct blk_node, 1);
    n->name = name ? g_strdup(name) : g_strdup_printf("#block%03u", ++next_number);
    n->drv = drv;
    n->flags = flags;
    n->readonly = !(flags & NODE_RDWR);
    n->detect_zeroes = dz;
    n->refs = 1;
    return n;
}

static void node_free(struct blk_node *n)
{
    assert(!n->users);
    node_release(&n->file_user);
    node_release(&n->backing_user);
    node_put(n->file);
    node_put(n->backing);
    g_free(n->name);
    g_free(n->filename);
    g_free(n);
}

/* Opens the driver's part of n, whose children are there, and registers it; frees n on failure. */
static struct blk_node *node_start(struct blk_node *n, struct opts *o, struct err *e)
{
    if ((n->file && node_rights_follow(n, e) < 0) || n->drv->open(n, o, e) < 0) {
        node_free(n);
        return NULL;
    }
    if (n->backing && node_rights_follow(n, e) < 0) {
        n->drv->close(n);
        node_free(n);
        return NULL;
    }
    struct blk_node **tail = &first;
    while (*tail)
        tail = &(*tail)->next;
    *tail = n;
    return n;
}

struct blk_node *node_get(struct blk_node *n)
{
    n->refs++;
    return n;
}

void node_put(struct blk_node *n)
{
    struct blk_node **p = &first;

    if (!n || --n->refs)
        return;
    if (!n->readonly)
        node_flush(n);
    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
    node_release(&n->own);
    n->drv->close(n);
    node_free(n);
}

/* -- options ---------------------------------------------------------------------------------------------------------- */

static int read_flag(struct opts *o, const char *name, unsigned bit, unsigned *flags, struct err *e)
{
    bool on;

    if (opts_bool(o, name, (*flags & bit) != 0, &on, e) < 0)
        return -1;
    *flags = on ? *flags | bit : *flags & ~bit;
    return 0;
}

int node_read_flags(struct opts *o, unsigned *flags, struct err *e)
{
    static const char *const discard[] = { "ignore", "off", "unmap", "on", NULL };
    unsigned ro = *flags & NODE_RDWR ? 0 : 1;
    int d;

    if (read_flag(o, "cache.direct", NODE_DIRECT, flags, e) < 0 || read_flag(o, "cache.no-flush", NODE_NO_FLUSH, flags, e) < 0 ||
        read_flag(o, "force-share", NODE_SHARE, flags, e) < 0 || read_flag(o, "read-only", 1, &ro, e) < 0 ||
        read_flag(o, "auto-read-only", NODE_AUTO_RO, flags, e) < 0 ||
        opts_enum(o, "discard", discard, *flags & NODE_UNMAP ? 2 : 0, &d, e) < 0)
        return -1;
    *flags = d >= 2 ? *flags | NODE_UNMAP : *flags & ~NODE_UNMAP;
    *flags = ro ? *flags & ~NODE_RDWR : *flags | NODE_RDWR;
    if ((*flags & NODE_SHARE) && (*flags & NODE_RDWR))
        return err_set(e, "force-share=on can only be used with read-only images");
    return 0;
}

/* The protocol of a file name: "nbd" or the one for local files; *path is what the driver opens. */
static const struct blk_driver *protocol_of(const char *filename, const char **path, struct err *e)
{
    const char *colon = strchr(filename, ':'), *slash = strchr(filename, '/');
    struct stat st;

    *path = filename;
    if (!strncmp(filename, "nbd:", 4) || !strncmp(filename, "nbd+unix:", 9) || !strncmp(filename, "nbds:", 5)) {
        const struct blk_driver *nbd = driver_find("nbd");
        if (!nbd)
            err_set(e, "'%s': this build has no NBD client (libnbd)", filename);
        return nbd;
    }
    if (!strncmp(filename, "null-co:", 8))
        return &blk_null;
    if (!strncmp(filename, "file:", 5))
        *path = filename + 5;
    else if (!strncmp(filename, "host_device:", 12))
        *path = filename + 12;
    else if (colon && (!slash || colon < slash) && access(filename, F_OK) < 0) {
        err_set(e, "Unknown protocol '%.*s'", (int)(colon - filename), filename);
        return NULL;
    }
    return stat(*path, &st) == 0 && S_ISBLK(st.st_mode) ? &blk_host_device : &blk_file;
}

/* -- opening ---------------------------------------------------------------------------------------------------------- */

static struct blk_node *open_protocol(const struct blk_driver *drv, const char *filename, struct opts *o, unsigned flags, struct err *e)
{
    const char *path = filename, *given = opts_get(o, "filename");
    struct blk_node *n;

    if (given)
        path = filename = given;
    if (filename && !drv) {
        drv = protocol_of(filename, &path, e);
        if (!drv)
            return NULL;
    } else if (filename && (drv == &blk_file || drv == &blk_host_device)) {
        if (!strncmp(filename, "file:", 5))
            path = filename + 5;
    }
    if (!drv || (!path && (drv == &blk_file || drv == &blk_host_device))) {
        err_set(e, drv ? "The '%s' block driver requires a file name" : "Must specify either driver or file%s", drv ? drv->name : "");
        return NULL;
    }
    n = node_new(drv, o, flags, e);
    if (!n)
        return NULL;
    n->filename = g_strdup(path ? path : "");
    return node_start(n, o, e);
}

/* The child "file": a node that exists, a protocol, or layers given as "file.*". */
static struct blk_node *open_file_child(const char *filename, struct opts *o, unsigned flags, struct err *e)
{
    const char *ref = filename ? NULL : opts_get(o, "file");
    struct opts *sub;
    struct blk_node *n = NULL;

    if (ref) {
        n = node_find(ref);
        if (!n)
            err_set(e, "Cannot find device='' nor node-name='%s'", ref);
        else if ((flags & NODE_RDWR) && n->readonly && !(flags & NODE_AUTO_RO))
            err_set(e, "Block node '%s' is read-only", ref);
        else
            return node_get(n);
        return NULL;
    }
    sub = opts_sub(o, "file");
    n = node_open(filename, sub, (flags & CHILD_FLAGS) | NODE_UNMAP, e);
    if (n && opts_all_used(sub, e) < 0) {
        err_prefix(e, "file");
        node_put(n);
        n = NULL;
    }
    opts_free(sub);
    return n;
}

static const struct blk_driver *probe_format(struct blk_node *file, bool *guessed, struct err *e)
{
    u8 head[PROBE_BYTES];
    size_t len = MIN_OF(sizeof(head), node_size(file));
    int r = node_read(file, 0, head, len);

    if (r < 0) {
        err_set(e, "cannot read '%s': %s", file->filename, g_strerror(-r));
        return NULL;
    }
    const struct blk_driver *d = driver_probe(head, len, e);
    *guessed = d == &blk_raw;
    return d;
}

static struct blk_node *open_format(const struct blk_driver *drv, const char *filename, struct opts *o, unsigned flags, struct err *e)
{
    bool guessed = false;
    struct blk_node *file = open_file_child(filename, o, flags, e), *n;

    if (!file)
        return NULL;
    if (!drv)
        drv = probe_format(file, &guessed, e);
    if (file->readonly)
        flags &= ~NODE_RDWR;
    n = drv ? node_new(drv, o, flags, e) : NULL;
    if (!n) {
        node_put(file);
        return NULL;
    }
    n->file = file;
    n->probed_raw = guessed;
    n->filename = g_strdup(file->filename);
    return node_start(n, o, e);
}

static struct blk_node *open_layers(const char *filename, struct opts *o, unsigned flags, struct err *e)
{
    const char *name = opts_get(o, "driver");
    const struct blk_driver *drv = name ? driver_find(name) : NULL;

    if (name && !drv) {
        err_set(e, "Unknown driver '%s'", name);
        return NULL;
    }
    if (node_read_flags(o, &flags, e) < 0)
        return NULL;
    if ((drv && drv->protocol) || (!drv && !(flags & NODE_PROBE) && !opts_has(o, "file")))
        return open_protocol(drv, filename, o, flags, e);
    return open_format(drv, filename, o, flags, e);
}

/* Writes go to a temporary file on top of the image; nobody else ever sees it. */
static struct blk_node *open_snapshot(const char *filename, struct opts *o, unsigned flags, struct err *e)
{
    struct blk_node *base = node_open(filename, o, flags & ~(NODE_SNAPSHOT | NODE_RDWR), e), *top = NULL;
    const struct blk_driver *qcow2 = driver_find("qcow2");
    const char *dir = getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp"; /* it may become large: not where memory is */
    char *path = g_build_filename(dir, "gemel-snapshot-XXXXXX", NULL);
    int fd = base ? g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600) : -1;
    struct opts *t = opts_new();

    if (fd < 0) {
        if (base)
            err_set(e, "snapshot=on: cannot make a temporary file in '%s': %s", dir, g_strerror(errno));
    } else {
        struct blk_create c = { .filename = path, .size = ALIGN_UP(node_size(base), 512), .o = t };
        close(fd);
        if (qcow2->create(&c, e) == 0) {
            opts_set(t, "driver", "qcow2");
            opts_set(t, "backing", base->name);
            top = node_open(path, t, NODE_RDWR | NODE_NO_FLUSH | NODE_UNMAP | (flags & NODE_THREADS), e);
        }
        unlink(path);
    }
    g_free(path);
    opts_free(t);
    node_put(base); /* the overlay holds it now */
    return top;
}

struct blk_node *node_open(const char *filename, struct opts *o, unsigned flags, struct err *e)
{
    struct opts *own = NULL, *json = NULL;
    struct blk_node *n = NULL;

    if (depth >= CHAIN_MAX) {
        err_set(e, "more than %d images on top of each other", CHAIN_MAX);
        return NULL;
    }
    if (!o)
        o = own = opts_new();
    depth++;
    if (filename && !strncmp(filename, "json:", 5)) {
        json = opts_parse(filename + 5, NULL, e);
        if (json) {
            opts_merge(o, NULL, json);
            n = node_open(NULL, o, flags, e);
        }
    } else if (flags & NODE_SNAPSHOT) {
        n = open_snapshot(filename, o, flags, e);
    } else {
        n = open_layers(filename, o, flags, e);
    }
    depth--;
    opts_free(json);
    opts_free(own);
    return n;
}

struct blk_node *node_open_blockdev(struct opts *o, unsigned flags, struct err *e)
{
    struct blk_node *n;

    if (!opts_peek(o, "driver")) {
        err_set(e, "Parameter 'driver' is missing");
        return NULL;
    }
    if (!opts_peek(o, "node-name")) {
        err_set(e, "'node-name' must be specified for the root node");
        return NULL;
    }
    n = node_open(NULL, o, flags, e);
    if (n && opts_all_used(o, e) < 0) {
        node_put(n);
        return NULL;
    }
    if (n)
        n->users_own = true;
    return n;
}

void nodes_release(void)
{
    for (bool again = true; again;) {
        again = false;
        for (struct blk_node *n = first; n && !again; n = n->next) {
            if (n->users_own) {
                n->users_own = false;
                node_put(n);
                again = true;
            }
        }
    }
}

void node_warn_guessed(const struct blk_node *n)
{
    if (n->probed_raw && !n->readonly)
        fprintf(stderr, "WARNING: Image format was not specified for '%s' and probing guessed raw.\n"
                        "         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be "
                        "restricted.\n"
                        "         Specify the 'raw' format explicitly to remove the restrictions.\n", n->filename);
}

/* -- backing files ---------------------------------------------------------------------------------------------------- */

char *node_backing_path(const char *image, const char *backing)
{
    const char *colon = strchr(backing, ':'), *slash = strchr(backing, '/');

    if (*backing == '/' || (colon && (!slash || colon < slash)) || !strrchr(image, '/'))
        return g_strdup(backing);
    if (!strncmp(image, "nbd", 3))
        return g_strdup(backing);
    return g_strdup_printf("%.*s%s", (int)(strrchr(image, '/') + 1 - image), image, backing);
}

int node_open_backing(struct blk_node *n, struct opts *o, const char *name, const char *format, struct err *e)
{
    const char *ref = opts_get(o, "backing");
    unsigned flags = n->flags & BACKING_FLAGS;
    struct opts *sub;
    char *path;

    if (ref) {
        struct blk_node *b = *ref ? node_find(ref) : NULL;
        if (*ref && !b)
            return err_set(e, "backing: there is no node '%s'", ref);
        n->backing = b ? node_get(b) : NULL;
        return 0;
    }
    sub = opts_sub(o, "backing");
    if ((n->flags & NODE_NO_BACKING) || (!name && !opts_count(sub))) {
        opts_free(sub);
        return 0;
    }
    path = opts_has(sub, "file") || opts_has(sub, "filename") || !name ? NULL : node_backing_path(n->filename, name);
    if (format && !opts_peek(sub, "driver"))
        opts_set(sub, "driver", format);
    n->backing = node_open(path, sub, flags | NODE_PROBE | NODE_QUIET, e);
    if (n->backing && opts_all_used(sub, e) < 0) {
        node_put(n->backing);
        n->backing = NULL;
    }
    if (!n->backing)
        err_prefix(e, "Could not open backing file '%s' of '%s'", path ? path : "", n->filename);
    g_free(path);
    opts_free(sub);
    return n->backing ? 0 : -1;
}
