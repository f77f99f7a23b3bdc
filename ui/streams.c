/* From -serial, -debugcon, -monitor and -chardev to open character back ends. Main thread, from main.c, before the machine
 * is built. */
#include "ui/streams.h"
#include <stdio.h>
#include "hw/backend/chr.h"

/* What -chardev's options say; the spec for chr_new is put together from them. */
struct chardev {
    char *kind, *id, *path, *host, *port;
    bool mux, server, wait;
};

static void chardev_clear(struct chardev *d)
{
    g_free(d->kind);
    g_free(d->id);
    g_free(d->path);
    g_free(d->host);
    g_free(d->port);
}

static bool is_on(const char *v)
{
    return !strcmp(v, "on") || !strcmp(v, "yes") || !*v;
}

static int chardev_option(struct chardev *d, const char *name, const char *v, struct err *e)
{
    if (!strcmp(name, "id"))
        d->id = g_strdup(v);
    else if (!strcmp(name, "path"))
        d->path = g_strdup(v);
    else if (!strcmp(name, "host"))
        d->host = g_strdup(v);
    else if (!strcmp(name, "port"))
        d->port = g_strdup(v);
    else if (!strcmp(name, "mux"))
        d->mux = is_on(v);
    else if (!strcmp(name, "server"))
        d->server = is_on(v);
    else if (!strcmp(name, "wait"))
        d->wait = is_on(v);
    else if (!strcmp(name, "nowait"))
        d->wait = false;
    else if (strcmp(name, "signal") || is_on(v) == d->mux)
        return err_set(e, "-chardev %s: option '%s' is not available here", d->kind, name);
    return 0;
}

static int chardev_parse(struct chardev *d, const char *arg, struct err *e)
{
    char **parts = g_strsplit(arg, ",", -1);
    int r = 0;

    *d = (struct chardev){ .kind = g_strdup(parts[0] ? parts[0] : ""), .wait = true };
    for (unsigned i = 1; parts[0] && parts[i] && !r; i++) {
        char *v = strchr(parts[i], '=');
        if (v)
            *v++ = 0;
        r = chardev_option(d, parts[i], v ? v : "", e);
    }
    g_strfreev(parts);
    if (!r && (!d->id || !*d->id))
        r = err_set(e, "-chardev %s: id=ID is missing", arg);
    return r;
}

/* The same thing in -serial's syntax; NULL with e set if the kind or a needed option is missing. */
static char *chardev_spec(const struct chardev *d, struct err *e)
{
    const char *mon = d->mux ? "mon:" : "", *opts = !d->server ? "" : d->wait ? ",server=on" : ",server=on,wait=off";

    if (!strcmp(d->kind, "stdio") || !strcmp(d->kind, "pty") || !strcmp(d->kind, "null"))
        return g_strdup_printf("%s%s", mon, d->kind);
    if ((!strcmp(d->kind, "file") || !strcmp(d->kind, "pipe")) && d->path)
        return g_strdup_printf("%s%s:%s", mon, d->kind, d->path);
    if (!strcmp(d->kind, "socket") && d->path)
        return g_strdup_printf("%sunix:%s%s", mon, d->path, opts);
    if (!strcmp(d->kind, "socket") && d->port)
        return g_strdup_printf("%stcp:%s:%s%s", mon, d->host ? d->host : "", d->port, opts);
    err_set(e, "-chardev %s: use stdio, pty, null, file,path=P, pipe,path=P, socket,path=P or socket,host=H,port=N",
            d->kind);
    return NULL;
}

/* Notes the monitor's side of a multiplexer. */
static void add_monitor(struct streams *s, struct chr *c)
{
    if (c && s->n_monitors < MONITORS_MAX)
        s->monitor[s->n_monitors++] = c;
}

static int open_chardev(struct streams *s, const char *arg, struct err *e)
{
    struct chardev d;
    struct chr *c = NULL;
    char *spec = NULL;

    if (!chardev_parse(&d, arg, e))
        spec = chardev_spec(&d, e);
    if (spec)
        c = chr_new(d.id, spec, e);
    if (c)
        add_monitor(s, chr_monitor_port(c));
    else if (spec)
        err_prefix(e, "-chardev %s", arg);
    g_free(spec);
    chardev_clear(&d);
    return c ? 0 : -1;
}

/* One -OPT SPEC; "none" gives NULL and success, "chardev:ID" what -chardev made. */
static int open_spec(struct streams *s, const char *opt, const char *id, const char *spec, struct chr **out, struct err *e)
{
    *out = NULL;
    if (!strcmp(spec, "none"))
        return 0;
    if (!strncmp(spec, "chardev:", 8)) {
        *out = chr_find(spec + 8);
        return *out ? 0 : err_set(e, "-%s %s: there is no -chardev with this id", opt, spec);
    }
    *out = chr_new(id, spec, e);
    if (!*out)
        return err_prefix(e, "-%s", opt);
    add_monitor(s, chr_monitor_port(*out));
    return 0;
}

int streams_open(struct options *o, struct streams *s, struct err *e)
{
    struct chr *c;
    char id[24];

    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < o->chardevs->len; i++)
        if (open_chardev(s, o->chardevs->pdata[i], e) < 0)
            return -1;
    for (unsigned i = 0; i < o->n_serial; i++) {
        snprintf(id, sizeof(id), "serial%u", i);
        if (open_spec(s, "serial", id, o->serial[i], &o->machine.serial_chr[i], e) < 0)
            return -1;
        o->machine.serial[i] = o->serial[i];
    }
    if (o->debugcon && open_spec(s, "debugcon", "debugcon", o->debugcon, &o->machine.debugcon_chr, e) < 0)
        return -1;
    if (o->monitor) {
        if (open_spec(s, "monitor", "monitor", o->monitor, &c, e) < 0)
            return -1;
        if (c && !chr_monitor_port(c))
            add_monitor(s, c);
    }
    return 0;
}
