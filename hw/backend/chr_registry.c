/* Which character back ends there are: the kinds, the options that all of them take, the registry by id, and who has which as a front
 * end. Main thread: command line, QMP, monitor, device properties. */
#include <fcntl.h>
#include <unistd.h>
#include "hw/backend/chr_impl.h"
#include "util/fdset.h"

/* The back ends of the process, which its front ends find by id. [main] */
static struct chr *chr_list;

static const struct chr_kind *const kinds[] = {
    &chr_null, &chr_stdio, &chr_file, &chr_pipe, &chr_pty, &chr_socket, &chr_udp, &chr_ringbuf, &chr_serial,
};

/* Names that QEMU knows and Gemel does not have. */
static const char *const refused[] = {
    "braille", "msmouse", "parallel", "parport", "qemu-vdagent", "spiceport", "spicevmc", "testdev", "wctablet", NULL,
};

static const char *const common_options[] = { "backend", "id", "mux", "logfile", "logappend", NULL };

static bool listed(const char *const *list, const char *word)
{
    for (; list && *list; list++)
        if (!strcmp(*list, word))
            return true;
    return false;
}

const char *chr_kind_nth(unsigned i)
{
    return i < ARRAY_LEN(kinds) ? kinds[i]->name : NULL;
}

static const struct chr_kind *kind_find(const char *name, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i]->name, name) || (kinds[i]->alias && !strcmp(kinds[i]->alias, name)))
            return kinds[i];
    if (!strcmp(name, "vc"))
        err_set(e, "'vc': there are no text consoles in the display; use stdio, pty or a socket");
    else if (listed(refused, name))
        err_set(e, "the character device '%s' is not available here", name);
    else
        err_set(e, "'%s' is not a valid char driver; there are null, stdio, file, pipe, pty, socket, udp, ringbuf, serial", name);
    return NULL;
}

static int check_options(const struct chr_kind *kind, struct opts *o, struct err *e)
{
    for (unsigned i = 0; i < opts_count(o); i++) {
        const char *name = opts_name(o, i);
        if (!listed(common_options, name) && !listed(kind->options, name))
            return err_set(e, "%s: option '%s' is not available here", kind->name, name);
    }
    return 0;
}

/* --- the registry --- */

void chr_link(struct chr *c)
{
    c->next = chr_list;
    chr_list = c;
}

void chr_unlink(struct chr *c)
{
    for (struct chr **p = &chr_list; *p; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            return;
        }
}

struct chr *chr_find(const char *id)
{
    for (struct chr *c = chr_list; c; c = c->next)
        if (!strcmp(c->id, id))
            return c;
    return NULL;
}

struct chr *chr_next(struct chr *c)
{
    return c ? c->next : chr_list;
}

void chr_free_all(void)
{
    struct chr *c = chr_list;

    while (c) { /* a multiplexer frees what is under it */
        struct chr *next = c->next;
        if (chr_is_mux(c)) {
            chr_free(c);
            next = chr_list;
        }
        c = next;
    }
    while (chr_list)
        chr_free(chr_list);
    chr_stdio_restore();
}

int chr_remove(const char *id, struct err *e)
{
    struct chr *c = chr_find(id);

    if (!c)
        return err_set(e, "Chardev '%s' not found", id);
    if (c->claimed || c->read)
        return err_set(e, "Chardev '%s' is busy", id);
    chr_free(c);
    return 0;
}

/* --- making one --- */

struct chr *chr_open(const char *id, const struct chr_kind *kind, struct opts *o, struct err *e)
{
    struct chr *c = chr_alloc(id, kind);

    if (kind->open(c, o, e) < 0) {
        chr_free(c);
        return NULL;
    }
    chr_link(c);
    return c;
}

static int open_log(struct opts *o, int *fd, struct err *e)
{
    const char *path = opts_get(o, "logfile");
    bool append;

    *fd = -1;
    if (opts_bool(o, "logappend", false, &append, e) < 0)
        return -1;
    if (!path)
        return opts_has(o, "logappend") ? err_set(e, "logappend= needs logfile=") : 0;
    *fd = host_open(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0666);
    return *fd < 0 ? err_set(e, "cannot open the log file '%s': %s", path, strerror(errno)) : 0;
}

static struct chr *open_kind(const char *id, const struct chr_kind *kind, struct opts *o, bool mux, struct err *e)
{
    char *under_id = mux ? g_strdup_printf("%s-base", id) : g_strdup(id);
    struct chr *c = NULL;
    int log_fd;

    if (chr_find(under_id) || chr_find(id))
        err_set(e, "there is a character device '%s' already", chr_find(id) ? id : under_id);
    else if (open_log(o, &log_fd, e) == 0) {
        c = chr_open(under_id, kind, o, e);
        if (c)
            c->log_fd = log_fd;
        else if (log_fd >= 0)
            close(log_fd);
    }
    g_free(under_id);
    return c && mux ? chr_mux_new(id, c) : c;
}

struct chr *chr_new_opts(struct opts *o, struct err *e)
{
    const char *name = opts_get(o, "backend"), *id = opts_get(o, "id");
    const struct chr_kind *kind;
    bool mux;

    if (!id || !*id) {
        err_set(e, "id=ID is missing");
        return NULL;
    }
    if (!name || !*name) {
        err_set(e, "the kind of character device is missing");
        return NULL;
    }
    kind = id_check(id, e) == 0 ? kind_find(name, e) : NULL;
    if (!kind || check_options(kind, o, e) < 0 || opts_bool(o, "mux", false, &mux, e) < 0)
        return NULL;
    return open_kind(id, kind, o, mux, e);
}

struct chr *chr_new(const char *id, const char *spec, struct err *e)
{
    struct opts *o = chr_parse_spec(id, spec, e);
    struct chr *c = o ? chr_new_opts(o, e) : NULL;

    opts_free(o);
    return c;
}

/* --- front ends --- */

struct chr *chr_claim(struct chr *c, struct err *e)
{
    if (chr_is_mux(c))
        return chr_mux_claim(c, e);
    if (c->claimed) {
        err_set(e, "character device '%s' is in use", c->id);
        return NULL;
    }
    c->claimed = true;
    return c;
}

void chr_release(struct chr *c)
{
    if (!c)
        return;
    if (chr_is_mux_port(c)) {
        chr_mux_release(c);
        return;
    }
    chr_attach(c, NULL, NULL, NULL, NULL);
    c->claimed = false;
}

static int null_open(struct chr *c, struct opts *o, struct err *e)
{
    return 0;
}

const struct chr_kind chr_null = { .name = "null", .open = null_open };
