/* QMP commands about the program and the session: version, lists of commands and options, the schema, descriptors handed over, monitor
 * commands. Main thread, from ui/qmp.c. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "config.h"
#include "hw/backend/chr.h"
#include "ui/monitor.h"
#include "ui/options.h"
#include "ui/qmp_cmd.h"
#include "ui/qmp_schema.h"
#include "util/fdset.h"

int qmp_query_version(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    char **v = g_strsplit(GEMEL_VERSION, ".", 3);
    unsigned n = g_strv_length(v);

    json_open(b, NULL);
    json_open(b, "qemu");
    json_int(b, "micro", n > 2 ? atoi(v[2]) : 0);
    json_int(b, "minor", n > 1 ? atoi(v[1]) : 0);
    json_int(b, "major", n > 0 ? atoi(v[0]) : 0);
    json_close(b);
    json_str(b, "package", "Gemel " GEMEL_VERSION);
    json_close(b);
    c->ret = json_take(b);
    g_strfreev(v);
    return 0;
}

int qmp_query_commands(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    const struct qmp_def *d;

    json_open_array(b, NULL);
    for (unsigned i = 0; (d = qmp_def_nth(i)); i++) {
        if (d->kind != QMP_COMMAND)
            continue;
        json_open(b, NULL);
        json_str(b, "name", d->name);
        json_close(b);
    }
    json_close_array(b);
    return qmp_answer(c, b);
}

int qmp_query_qmp_schema(struct qmp_call *c)
{
    c->ret = qmp_introspect();
    return 0;
}

/* Lines end as on a terminal, as QEMU's do. */
int qmp_human_monitor_command(struct qmp_call *c)
{
    unsigned cpu = (unsigned)qmp_int(c, "cpu-index", 0);
    GString *out = g_string_new(NULL);

    if (cpu >= vm_cpu_count(c->vm)) {
        g_string_free(out, TRUE);
        return err_set(&c->err, "Parameter 'cpu-index' expects a CPU number");
    }
    monitor_run(c->ui, &cpu, qmp_str(c, "command-line"), out);
    g_string_replace(out, "\n", "\r\n", 0);
    c->ret = json_string_node(out->str);
    g_string_free(out, TRUE);
    return 0;
}

/* Words of an option's placeholder: "[size=]N[,sockets=N]" gives size and sockets. */
static void add_parameters(JsonBuilder *b, const char *arg)
{
    json_open_array(b, "parameters");
    while (arg && *arg) {
        size_t n = strspn(arg, "abcdefghijklmnopqrstuvwxyz-_0123456789");
        if (n && arg[n] == '=') {
            char *name = g_strndup(arg, n);
            json_open(b, NULL);
            json_str(b, "name", name);
            json_str(b, "type", "string");
            json_close(b);
            g_free(name);
        }
        arg += n ? n : 1;
    }
    json_close_array(b);
}

int qmp_query_command_line_options(struct qmp_call *c)
{
    const char *only = qmp_str(c, "option");
    JsonBuilder *b = json_builder_new();
    unsigned found = 0;

    json_open_array(b, NULL);
    for (const struct option *t = option_table; t->name; t++) {
        /* QEMU's name of an option group may differ: "smp-opts". */
        bool group = only && g_str_has_suffix(only, "-opts") && strlen(only) == strlen(t->name) + 5 && g_str_has_prefix(only, t->name);
        if (only && strcmp(only, t->name) && !group)
            continue;
        found++;
        json_open(b, NULL);
        json_str(b, "option", only ? only : t->name);
        add_parameters(b, t->arg);
        json_close(b);
    }
    json_close_array(b);
    c->ret = json_take(b);
    return found || !only ? 0 : err_set(&c->err, "invalid option name: %s", only);
}

/* --- descriptors --- */

static int take_fd(struct qmp_call *c)
{
    int fd = c->chr ? chr_take_fd(c->chr) : -1;

    return fd < 0 ? err_set(&c->err, "No file descriptor supplied via SCM_RIGHTS") : fd;
}

int qmp_getfd(struct qmp_call *c)
{
    int fd = take_fd(c);

    if (fd < 0)
        return -1;
    if (fdname_add(qmp_str(c, "fdname"), fd, &c->err) < 0) {
        close(fd);
        return -1;
    }
    return 0;
}

int qmp_closefd(struct qmp_call *c)
{
    return fdname_close(qmp_str(c, "fdname"), &c->err);
}

int qmp_add_fd(struct qmp_call *c)
{
    JsonBuilder *b;
    i64 set = qmp_int(c, "fdset-id", -1);
    int fd;

    if (qmp_has(c, "fdset-id") && set < 0)
        return err_set(&c->err, "Parameter 'fdset-id' expects a non-negative value");
    fd = take_fd(c);
    if (fd < 0)
        return -1;
    set = fdset_add(set, fd, qmp_str(c, "opaque"), &c->err);
    if (set < 0) {
        close(fd);
        return -1;
    }
    b = json_builder_new();
    json_open(b, NULL);
    json_int(b, "fdset-id", set);
    json_int(b, "fd", fd);
    json_close(b);
    return qmp_answer(c, b);
}

int qmp_remove_fd(struct qmp_call *c)
{
    return fdset_remove(qmp_int(c, "fdset-id", -1), (int)qmp_int(c, "fd", -1), &c->err);
}

int qmp_query_fdsets(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    struct fdset_info f;
    i64 set = -1;

    json_open_array(b, NULL);
    for (unsigned i = 0; fdset_nth(i, &f); i++) {
        if (f.set != set) {
            if (set >= 0) {
                json_close_array(b);
                json_close(b);
            }
            json_open(b, NULL);
            json_int(b, "fdset-id", set = f.set);
            json_open_array(b, "fds");
        }
        json_open(b, NULL);
        json_int(b, "fd", f.fd);
        if (f.opaque)
            json_str(b, "opaque", f.opaque);
        json_close(b);
    }
    if (set >= 0) {
        json_close_array(b);
        json_close(b);
    }
    json_close_array(b);
    return qmp_answer(c, b);
}
