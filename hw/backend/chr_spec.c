/* The short syntax of -serial, -monitor, -qmp and -gdb ("mon:stdio", "tcp::4444,server=on") as options of -chardev. Main thread. */
#include "hw/backend/chr_impl.h"

/* Adds "OPTION,OPTION=VALUE..." behind an address; `nowait`, `nodelay` and the like are old forms of wait=off and nodelay=on. */
static int add_options(struct opts *o, const char *text, struct err *e)
{
    struct opts *more = opts_parse(text, NULL, e);

    if (!more)
        return -1;
    for (unsigned i = 0; i < opts_count(more); i++) {
        const char *name = opts_name(more, i);
        if (!strcmp(name, "nowait"))
            opts_set(o, "wait", "off");
        else if (!strcmp(name, "noserver"))
            opts_set(o, "server", "off");
        else
            opts_set(o, name, opts_value(more, i));
    }
    opts_free(more);
    return 0;
}

/* HOST:PORT or [HOST]:PORT into two options. */
static int add_address(struct opts *o, const char *what, const char *addr, const char *host_opt, const char *port_opt, struct err *e)
{
    const char *colon = strrchr(addr, ':');
    char *host;

    if (!colon || !colon[1])
        return err_set(e, "%s: needs HOST:PORT, got '%s'", what, addr);
    host = addr[0] == '[' && colon > addr + 1 && colon[-1] == ']' ? g_strndup(addr + 1, colon - addr - 2) : g_strndup(addr, colon - addr);
    if (*host)
        opts_set(o, host_opt, host);
    opts_set(o, port_opt, colon + 1);
    g_free(host);
    return 0;
}

/* HOST:PORT[,OPTION]... */
static int parse_tcp(struct opts *o, const char *arg, struct err *e)
{
    size_t n = strcspn(arg, ",");
    char *addr = g_strndup(arg, n);
    int r = add_address(o, "tcp", addr, "host", "port", e);

    opts_set(o, "backend", "socket");
    g_free(addr);
    return r < 0 ? r : add_options(o, arg[n] ? arg + n + 1 : "", e);
}

static int parse_telnet(struct opts *o, const char *arg, struct err *e)
{
    opts_set(o, "telnet", "on");
    return parse_tcp(o, arg, e);
}

static int parse_websocket(struct opts *o, const char *arg, struct err *e)
{
    opts_set(o, "websocket", "on");
    return parse_tcp(o, arg, e);
}

/* PATH[,OPTION]...; a comma in the path is doubled. */
static int parse_unix(struct opts *o, const char *arg, struct err *e)
{
    GString *path = g_string_new(NULL);
    int r;

    for (; *arg && (*arg != ',' || arg[1] == ','); arg++) {
        arg += *arg == ',';
        g_string_append_c(path, *arg);
    }
    opts_set(o, "backend", "socket");
    opts_set(o, "path", path->str);
    r = path->len ? add_options(o, *arg ? arg + 1 : "", e) : err_set(e, "unix: needs a path");
    g_string_free(path, TRUE);
    return r;
}

/* [RHOST]:RPORT[@[LHOST]:LPORT] */
static int parse_udp(struct opts *o, const char *arg, struct err *e)
{
    const char *at = strchr(arg, '@');
    char *remote = at ? g_strndup(arg, at - arg) : g_strdup(arg);
    int r = add_address(o, "udp", remote, "host", "port", e);

    opts_set(o, "backend", "udp");
    g_free(remote);
    return r == 0 && at ? add_address(o, "udp", at + 1, "localaddr", "localport", e) : r;
}

static int parse_file(struct opts *o, const char *arg, struct err *e)
{
    opts_set(o, "path", arg);
    return 0;
}

/* "NAME:ARGUMENT". The kind is the name where parse does not set another. */
static const struct {
    const char *name;
    int (*parse)(struct opts *o, const char *arg, struct err *e);
} forms[] = {
    { "file", parse_file }, { "pipe", parse_file }, { "unix", parse_unix }, { "tcp", parse_tcp }, { "telnet", parse_telnet },
    { "websocket", parse_websocket }, { "udp", parse_udp },
};

static int parse_form(struct opts *o, const char *spec, struct err *e)
{
    size_t len = strcspn(spec, ":");

    if (spec[0] == '/') {
        opts_set(o, "backend", "serial");
        opts_set(o, "path", spec);
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_LEN(forms); i++)
        if (spec[len] && strlen(forms[i].name) == len && !strncmp(spec, forms[i].name, len)) {
            opts_set(o, "backend", forms[i].name);
            return forms[i].parse(o, spec + len + 1, e);
        }
    if (strchr(spec, ':'))
        return err_set(e, "'%s' is not a character device that Gemel has; use stdio, mon:stdio, file:PATH, pipe:PATH, pty, "
                       "unix:PATH[,OPTION]..., tcp:HOST:PORT[,OPTION]..., telnet:HOST:PORT[,OPTION]..., websocket:HOST:PORT[,OPTION]..., udp:HOST:PORT, /dev/TTY or null", spec);
    opts_set(o, "backend", spec);
    return 0;
}

struct opts *chr_parse_spec(const char *id, const char *spec, struct err *e)
{
    struct opts *o = opts_new();
    bool mon = !strncmp(spec, "mon:", 4);

    if (mon)
        spec += 4;
    if (parse_form(o, spec, e) < 0) {
        opts_free(o);
        return NULL;
    }
    opts_set(o, "id", id);
    if (mon) {
        opts_set(o, "mux", "on");
        if (!strcmp(spec, "stdio"))
            opts_set(o, "signal", "off");
    }
    return o;
}
