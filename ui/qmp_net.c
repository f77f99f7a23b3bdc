/* QMP commands about networks. Main thread, from ui/qmp.c and, through it, the monitor. */
#include "hw/backend/net.h"
#include "ui/qmp_cmd.h"
#include "util/opts.h"

int qmp_netdev_add(struct qmp_call *c)
{
    struct opts *o = qmp_opts(c);
    struct net *n = net_new(o, &c->err);

    opts_free(o);
    return n ? 0 : -1;
}

int qmp_netdev_del(struct qmp_call *c)
{
    const char *id = qmp_str(c, "id");

    if (!net_find(id))
        return qmp_no_device(c, id);
    return net_del(id, &c->err);
}

int qmp_set_link(struct qmp_call *c)
{
    const char *name = qmp_str(c, "name");

    return net_set_link(name, qmp_bool(c, "up", true), &c->err) < 0 ? qmp_no_device(c, name) : 0;
}
