/* QMP commands about VNC servers: who listens and who looks, and passwords. Main thread, from ui/qmp.c and, through it, the monitor. */
#include <time.h>
#include "ui/display.h"
#include "ui/qmp_cmd.h"
#include "ui/vnc.h"

int qmp_query_vnc_servers(struct qmp_call *c)
{
    struct display *d = c->ui->display;
    JsonBuilder *b = json_builder_new();

    json_open_array(b, NULL);
    for (unsigned i = 0; d && i < d->n_vnc; i++)
        vnc_describe(d->vnc[i], b);
    json_close_array(b);
    return qmp_answer(c, b);
}

/* The older form, about the first server alone. */
int qmp_query_vnc(struct qmp_call *c)
{
    static const char *const members[] = { "host", "service", "family" };
    JsonObject *o = json_object_new(), *v, *at;
    JsonArray *all;

    qmp_query_vnc_servers(c);
    all = json_node_get_array(c->ret);
    json_object_set_boolean_member(o, "enabled", json_array_get_length(all) != 0);
    if (json_array_get_length(all)) {
        v = json_array_get_object_element(all, 0);
        at = json_array_get_object_element(json_object_get_array_member(v, "server"), 0);
        for (unsigned i = 0; i < ARRAY_LEN(members); i++)
            json_object_set_string_member(o, members[i], json_object_get_string_member(at, members[i]));
        json_object_set_string_member(o, "auth", json_object_get_string_member(v, "auth"));
        json_object_set_member(o, "clients", json_node_copy(json_object_get_member(v, "clients")));
    }
    json_node_unref(c->ret);
    c->ret = json_object_node(o);
    json_object_unref(o);
    return 0;
}

/* --- VNC passwords --- */

static struct vnc *vnc_arg(struct qmp_call *c)
{
    struct vnc *v = NULL;

    if (strcmp(qmp_str(c, "protocol"), "vnc"))
        qmp_fail(c, "DeviceNotActive", "SPICE is not in use");
    else if (!c->ui->display || !(v = display_vnc(c->ui->display, qmp_str(c, "display"))))
        err_set(&c->err, "There is no VNC server%s%s", qmp_has(c, "display") ? " with id " : "", qmp_has(c, "display") ? qmp_str(c, "display") : "");
    return v;
}

int qmp_set_password(struct qmp_call *c)
{
    const char *connected = qmp_str(c, "connected");
    struct vnc *v = vnc_arg(c);

    if (!v)
        return -1;
    if (connected && strcmp(connected, "keep"))
        return err_set(&c->err, "parameter 'connected' must be 'keep' when 'protocol' is 'vnc'");
    return vnc_set_password(v, qmp_str(c, "password"), &c->err);
}

int qmp_expire_password(struct qmp_call *c)
{
    const char *t = qmp_str(c, "time");
    struct vnc *v = vnc_arg(c);
    char *end;
    i64 n;

    if (!v)
        return -1;
    n = g_ascii_strtoll(t + (*t == '+'), &end, 10);
    if (strcmp(t, "now") && strcmp(t, "never") && (*end || end == t))
        return err_set(&c->err, "Parameter 'time' expects now, never, +SECONDS or seconds");
    vnc_expire_password(v, !strcmp(t, "now") ? 0 : !strcmp(t, "never") ? G_MAXINT64 : *t == '+' ? (i64)time(NULL) + n : n);
    return 0;
}
