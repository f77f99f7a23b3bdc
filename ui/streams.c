/* From -serial, -debugcon, -monitor, -qmp, -mon and -chardev to open character back ends. Main thread, from main.c, before the machine
 * is built. */
#include "ui/streams.h"
#include <stdio.h>
#include "hw/backend/chr.h"
#include "util/opts.h"

static int add_monitor(struct streams *s, struct chr *c, bool qmp, bool pretty, struct err *e)
{
    if (s->n_monitors == MONITORS_MAX)
        return err_set(e, "there are more than %d monitors", MONITORS_MAX);
    s->monitor[s->n_monitors++] = (struct stream_monitor){ c, qmp, pretty };
    return 0;
}

static int open_chardev(const char *arg, struct err *e)
{
    struct opts *o = opts_parse(arg, "backend", e);
    struct chr *c = o ? chr_new_opts(o, e) : NULL;

    opts_free(o);
    return c ? 0 : err_prefix(e, "-chardev %s", arg);
}

static int claim(const char *opt, const char *id, struct chr **out, struct err *e)
{
    struct chr *c = chr_find(id);

    if (!c)
        return err_set(e, "-%s chardev:%s: there is no -chardev with this id", opt, id);
    *out = chr_claim(c, e);
    return *out ? 0 : err_prefix(e, "-%s", opt);
}

int stream_open(const char *opt, const char *id, const char *spec, struct chr **out, struct chr **mon, struct err *e)
{
    bool shared = !strncmp(spec, "mon:", 4);

    *out = NULL;
    if (mon)
        *mon = NULL;
    if (!strcmp(spec, "none"))
        return 0;
    if (!strncmp(spec, "chardev:", 8))
        return claim(opt, spec + 8, out, e);
    if (shared && !mon)
        return err_set(e, "-%s %s: only a serial port can share its stream with a monitor", opt, spec);
    if (!chr_new(id, spec, e))
        return err_prefix(e, "-%s", opt);
    if (claim(opt, id, out, e) < 0)
        return -1;
    return shared ? claim(opt, id, mon, e) : 0;
}

static int open_serial(struct options *o, struct streams *s, unsigned i, struct err *e)
{
    struct chr *mon;
    char id[24];

    snprintf(id, sizeof(id), "serial%u", i);
    o->machine.serial[i] = o->serial[i];
    if (stream_open("serial", id, o->serial[i], &o->machine.serial_chr[i], &mon, e) < 0)
        return -1;
    return mon ? add_monitor(s, mon, false, false, e) : 0;
}

/* -mon [chardev=]ID[,mode=readline|control][,pretty=on|off] */
static int open_mon(struct streams *s, const char *arg, struct err *e)
{
    static const char *const modes[] = { "readline", "control", NULL };
    struct opts *o = opts_parse(arg, "chardev", e);
    const char *id;
    struct chr *c;
    bool pretty;
    int mode, r = -1;

    if (!o)
        return err_prefix(e, "-mon %s", arg);
    id = opts_get(o, "chardev");
    if (opts_enum(o, "mode", modes, 0, &mode, e) < 0 || opts_bool(o, "pretty", false, &pretty, e) < 0 || opts_all_used(o, e) < 0)
        err_prefix(e, "-mon %s", arg);
    else if (!id)
        err_set(e, "-mon %s: chardev=ID is missing", arg);
    else if (pretty && mode == 0)
        err_set(e, "-mon %s: 'pretty' is not compatible with mode=readline", arg);
    else
        r = claim("mon", id, &c, e);
    opts_free(o);
    return r < 0 ? r : add_monitor(s, c, mode == 1, pretty, e);
}

/* -monitor, -qmp, -qmp-pretty SPEC. Back ends are called compat_monitor0 and so on, as in QEMU. */
static int open_monitor(struct streams *s, const struct mon_option *m, unsigned *count, struct err *e)
{
    static const char *const names[] = { [MON_HMP] = "monitor", [MON_QMP] = "qmp", [MON_QMP_PRETTY] = "qmp-pretty" };
    struct chr *c, *other;
    char id[32];

    snprintf(id, sizeof(id), "compat_monitor%u", *count);
    *count += 1;
    if (stream_open(names[m->form], id, m->arg, &c, m->form == MON_HMP ? &other : NULL, e) < 0)
        return -1;
    if (m->form == MON_HMP)
        chr_release(other); /* "mon:stdio": the monitor is the monitor, there is nobody to share with */
    return c ? add_monitor(s, c, m->form != MON_HMP, m->form == MON_QMP_PRETTY, e) : 0;
}

int streams_open(struct options *o, struct streams *s, struct err *e)
{
    unsigned count = 0;

    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < o->chardevs->len; i++)
        if (open_chardev(o->chardevs->pdata[i], e) < 0)
            return -1;
    for (unsigned i = 0; i < o->n_serial; i++)
        if (open_serial(o, s, i, e) < 0)
            return -1;
    if (o->debugcon && stream_open("debugcon", "debugcon", o->debugcon, &o->machine.debugcon_chr, NULL, e) < 0)
        return -1;
    for (unsigned i = 0; i < o->mons->len; i++) {
        const struct mon_option *m = &g_array_index(o->mons, struct mon_option, i);
        if ((m->form == MON_CHARDEV ? open_mon(s, m->arg, e) : open_monitor(s, m, &count, e)) < 0)
            return -1;
    }
    return 0;
}
