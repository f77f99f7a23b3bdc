/* Options about the program itself: what follows on guest requests, running in the background, descriptors handed over, configuration files,
 * and the options of QEMU that Gemel refuses by name. Main thread, from options.c while the command line is read. */
#include <fcntl.h>
#include <stdio.h>
#include "hw/backend/chr.h"
#include "ui/options.h"
#include "util/fdset.h"
#include "util/opts.h"

typedef enum options_result result;

/* --- what follows --- */

/* Index of the word; words.. for messages; -1 with e set. */
static int word_index(const char *option, const char *value, const char *const *words, struct err *e)
{
    char *all;

    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], value))
            return i;
    all = g_strjoinv("|", (gchar **)words);
    err_set(e, "%s '%s': use %s", option, value, all);
    g_free(all);
    return -1;
}

static result opt_action(struct options *o, const char *arg, struct err *e)
{
    static const char *const reboot[] = { "reset", "shutdown", NULL }, *const shutdown[] = { "poweroff", "pause", NULL };
    struct opts *l = opts_parse(arg, NULL, e);
    int r = l ? 0 : -1;

    for (unsigned i = 0; r == 0 && i < opts_count(l); i++) {
        const char *name = opts_name(l, i), *value = opts_value(l, i);
        int w = -1;
        if (!strcmp(name, "reboot") && (w = word_index("-action reboot", value, reboot, e)) >= 0)
            o->accel.no_reboot = w;
        else if (!strcmp(name, "shutdown") && (w = word_index("-action shutdown", value, shutdown, e)) >= 0)
            o->accel.no_shutdown = w;
        else if (!strcmp(name, "panic") && (w = word_index("-action panic", value, panic_action_words, e)) >= 0)
            o->accel.panic_action = w;
        else if (!strcmp(name, "watchdog") && (w = word_index("-action watchdog", value, watchdog_action_words, e)) >= 0)
            o->accel.watchdog_action = w;
        else if (w < 0 && strcmp(name, "reboot") && strcmp(name, "shutdown") && strcmp(name, "panic") && strcmp(name, "watchdog"))
            err_set(e, "-action %s=%s: there are reboot=, shutdown=, panic=, watchdog=", name, value);
        r = w < 0 ? -1 : 0;
    }
    opts_free(l);
    return r < 0 ? OPTIONS_ERROR : OPTIONS_RUN;
}

static result opt_watchdog_action(struct options *o, const char *arg, struct err *e)
{
    int w = word_index("-watchdog-action", arg, watchdog_action_words, e);

    if (w < 0)
        return OPTIONS_ERROR;
    o->accel.watchdog_action = w;
    return OPTIONS_RUN;
}

/* --- the process --- */

static result opt_pidfile(struct options *o, const char *arg, struct err *e)
{
    o->pidfile = arg;
    return *arg ? OPTIONS_RUN : err_set(e, "-pidfile: the name of the file is missing");
}

static result opt_daemonize(struct options *o, const char *arg, struct err *e)
{
    o->daemonize = true;
    return OPTIONS_RUN;
}

static result opt_echr(struct options *o, const char *arg, struct err *e)
{
    char *end;
    u64 n = g_ascii_strtoull(arg, &end, 0);

    if (!g_ascii_isdigit(*arg) || *end || n == 0 || n > 255)
        return err_set(e, "-echr %s: give the code of a character, 1 to 255 (0x01 is Ctrl-a)", arg);
    chr_set_escape((u8)n);
    return OPTIONS_RUN;
}

static result opt_add_fd(struct options *o, const char *arg, struct err *e)
{
    struct opts *l = opts_parse(arg, NULL, e);
    u64 fd, set;
    int r;

    if (!l)
        return err_prefix(e, "-add-fd %s", arg);
    r = opts_uint(l, "fd", ~0ull, 3, 0x7fffffff, &fd, e) < 0 || opts_uint(l, "set", ~0ull, 0, 0x7fffffff, &set, e) < 0 ? -1 : 0;
    if (r == 0 && (fd == ~0ull || set == ~0ull))
        r = err_set(e, "fd=FD and set=N are needed; 0, 1 and 2 are no such descriptors");
    if (r == 0)
        r = fdset_add((i64)set, (int)fd, opts_get(l, "opaque"), e) < 0 ? -1 : opts_all_used(l, e);
    if (r == 0)
        fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    opts_free(l);
    return r < 0 ? err_prefix(e, "-add-fd %s", arg) : OPTIONS_RUN;
}

static result opt_msg(struct options *o, const char *arg, struct err *e)
{
    struct opts *l = opts_parse(arg, "timestamp", e);
    bool stamps = false, guest = false;
    int r = l ? 0 : -1;

    if (r == 0 && (opts_bool(l, "timestamp", false, &stamps, e) < 0 || opts_bool(l, "guest-name", false, &guest, e) < 0 || opts_all_used(l, e) < 0))
        r = -1;
    if (r == 0 && guest)
        r = err_set(e, "guest-name=on is not available");
    opts_free(l);
    if (r < 0)
        return err_prefix(e, "-msg %s", arg);
    err_set_timestamps(stamps);
    return OPTIONS_RUN;
}

/* What the host does about its memory and its CPUs is left to it. */
static result opt_overcommit(struct options *o, const char *arg, struct err *e)
{
    struct opts *l = opts_parse(arg, NULL, e);
    bool lock = false, pm = false;
    int r = l ? 0 : -1;

    if (r == 0 && (opts_bool(l, "mem-lock", false, &lock, e) < 0 || opts_bool(l, "cpu-pm", false, &pm, e) < 0 || opts_all_used(l, e) < 0))
        r = -1;
    if (r == 0 && (lock || pm))
        r = err_set(e, "%s=on is not available", lock ? "mem-lock" : "cpu-pm");
    opts_free(l);
    return r < 0 ? err_prefix(e, "-overcommit %s", arg) : OPTIONS_RUN;
}

static result opt_sandbox(struct options *o, const char *arg, struct err *e)
{
    if (strcmp(arg, "off"))
        return err_set(e, "-sandbox %s: the sandbox is not available; only -sandbox off is accepted", arg);
    return OPTIONS_RUN;
}

/* --- -set and -readconfig --- */

/* The text with commas doubled, as they stand in an option. */
static void append_escaped(GString *s, const char *text)
{
    for (; *text; text++) {
        if (*text == ',')
            g_string_append_c(s, ',');
        g_string_append_c(s, *text);
    }
}

/* True if a -device argument has that id. */
static bool device_has_id(const char *arg, const char *id)
{
    struct opts *l = *arg == '{' ? NULL : opts_parse(arg, "driver", NULL);
    bool yes = l && opts_peek(l, "id") && !strcmp(opts_peek(l, "id"), id);

    opts_free(l);
    return yes;
}

/* device.ID.PROP=VALUE, for a -device before it. */
static result opt_set(struct options *o, const char *arg, struct err *e)
{
    char **part = g_strsplit(arg, ".", 3), *eq = g_strv_length(part) == 3 ? strchr(part[2], '=') : NULL;
    result r = OPTIONS_ERROR;

    if (!eq)
        err_set(e, "-set %s: use -set device.ID.PROPERTY=VALUE", arg);
    else if (strcmp(part[0], "device"))
        err_set(e, "-set %s: only options of -device can be set", arg);
    else
        err_set(e, "-set %s: there is no -device with id '%s' before it", arg, part[1]);
    for (unsigned i = 0; eq && !strcmp(part[0], "device") && i < o->devices->len; i++) {
        if (!device_has_id(o->devices->pdata[i], part[1]))
            continue;
        GString *s = g_string_new(o->devices->pdata[i]);
        g_string_append_printf(s, ",%.*s=", (int)(eq - part[2]), part[2]);
        append_escaped(s, eq + 1);
        o->devices->pdata[i] = g_string_free(s, FALSE);
        g_ptr_array_add(o->strings, o->devices->pdata[i]);
        r = OPTIONS_RUN;
    }
    g_strfreev(part);
    return r;
}

/* Groups of a configuration file whose option has another name. */
static const char *group_option(const char *group)
{
    static const char *const names[][2] = { { "smp-opts", "smp" }, { "memory", "m" }, { "boot-opts", "boot" }, { "action", "action" } };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i][0], group))
            return names[i][1];
    return group;
}

struct section {
    char *group;  /* NULL: before the first */
    GString *arg; /* "id=...,name=value" */
};

static result section_end(struct options *o, struct section *s, struct err *e)
{
    const struct option *t = s->group ? option_find(group_option(s->group)) : NULL;
    result r = OPTIONS_RUN;

    if (s->group && (!t || !t->arg))
        r = err_set(e, "there is no group '%s'", s->group);
    else if (t) {
        char *arg = g_strdup(s->arg->str);
        g_ptr_array_add(o->strings, arg);
        r = t->fn(o, arg, e);
    }
    g_clear_pointer(&s->group, g_free);
    g_string_truncate(s->arg, 0);
    return r;
}

/* [GROUP] or [GROUP "ID"], or NAME = "VALUE". */
static result config_line(struct options *o, struct section *s, char *line, struct err *e)
{
    char group[64], id[256], name[64];
    int n = 0, fields;

    if (!*line || *line == '#')
        return OPTIONS_RUN;
    fields = sscanf(line, "[%63[^] \"] \"%255[^\"]\"]", group, id);
    if (*line == '[' && fields >= 1) {
        if (section_end(o, s, e) != OPTIONS_RUN)
            return OPTIONS_ERROR;
        s->group = g_strdup(group);
        if (fields == 2) {
            g_string_append(s->arg, "id=");
            append_escaped(s->arg, id);
        }
        return OPTIONS_RUN;
    }
    if (!s->group || sscanf(line, "%63[^= ] = \"%n", name, &n) != 1 || !n || line[strlen(line) - 1] != '"' || strlen(line) <= (size_t)n)
        return err_set(e, "neither [GROUP \"ID\"] nor NAME = \"VALUE\": %s", line);
    line[strlen(line) - 1] = 0;
    g_string_append_printf(s->arg, "%s%s=", s->arg->len ? "," : "", name);
    append_escaped(s->arg, line + n);
    return OPTIONS_RUN;
}

/* QEMU's configuration files: each section is an option. */
static result opt_readconfig(struct options *o, const char *arg, struct err *e)
{
    struct section s = { .arg = g_string_new(NULL) };
    result r = OPTIONS_RUN;
    GError *ge = NULL;
    char *text, **lines;

    if (!g_file_get_contents(arg, &text, NULL, &ge)) {
        err_set(e, "-readconfig %s: %s", arg, ge->message);
        g_error_free(ge);
        g_string_free(s.arg, TRUE);
        return OPTIONS_ERROR;
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i] && r == OPTIONS_RUN; i++) {
        r = config_line(o, &s, g_strstrip(lines[i]), e);
        if (r == OPTIONS_ERROR)
            err_prefix(e, "-readconfig %s, line %u", arg, i + 1);
    }
    if (r == OPTIONS_RUN && (r = section_end(o, &s, e)) == OPTIONS_ERROR)
        err_prefix(e, "-readconfig %s", arg);
    g_free(s.group);
    g_string_free(s.arg, TRUE);
    g_strfreev(lines);
    g_free(text);
    return r;
}

const struct option control_options[] = {
    { "action", "reboot=reset|shutdown,shutdown=poweroff|pause,panic=...,watchdog=...", opt_action, "what follows on what the guest does" },
    { "watchdog-action", "reset|shutdown|poweroff|pause|debug|none|inject-nmi", opt_watchdog_action, "the same for a watchdog" },
    { "daemonize", NULL, opt_daemonize, "run in the background once everything is started" },
    { "pidfile", "FILE", opt_pidfile, "write the number of the process to FILE" },
    { "echr", "N", opt_echr, "code of the key that Ctrl-a is on a multiplexer" },
    { "add-fd", "fd=FD,set=N[,opaque=TEXT]", opt_add_fd, "put an inherited descriptor into the set /dev/fdset/N" },
    { "set", "device.ID.PROP=VALUE", opt_set, "set a property of a -device before it" },
    { "readconfig", "FILE", opt_readconfig, "read options from a configuration file" },
    { "msg", "timestamp=on|off", opt_msg, "put the time in front of messages" },
    { "overcommit", "mem-lock=off,cpu-pm=off", opt_overcommit, "accepted: the host decides" },
    { "sandbox", "off", opt_sandbox, "accepted: there is no sandbox" },
    { NULL, NULL, NULL, NULL },
};

/* Options of QEMU 7.2 that do not exist here. */
static const char *const refused[] = {
    "acpitable", "async-teardown", "audio", "audio-help", "audiodev", "chroot", "compat", "dfilter", "dtb", "dump-vmstate",
    "enable-sync-profile", "fsdev", "icount", "incoming", "iscsi", "loadvm", "mem-path", "mem-prealloc", "no-fd-bootchk", "numa",
    "only-migratable", "jitdump", "plugin", "portrait", "preconfig", "qtest", "qtest-log", "rotate", "runas", "seed", "semihosting",
    "semihosting-config", "singlestep", "spice", "tb-size", "tpmdev", "trace", "virtfs", "win2k-hack", "xen-attach", "xen-domid",
    "xen-domid-restrict", "prom-env", "old-param", "alt-grab", "ctrl-grab", "no-quit", "sdl", "curses", "balloon", "soundhw", "bt", "tdf",
};

bool option_is_refused(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(refused); i++)
        if (!strcmp(refused[i], name))
            return true;
    return false;
}
