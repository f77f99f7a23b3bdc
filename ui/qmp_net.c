/* QMP commands about networks. Main thread, from ui/qmp.c and, through it, the monitor. */
#include <stdio.h>
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

/* --- what cards let in --- */

static void add_mac(JsonBuilder *b, const char *member, const u8 *m)
{
    char text[18];

    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    json_str(b, member, text);
}

static void add_table(JsonBuilder *b, const char *member, const u8 table[][6], unsigned n)
{
    json_open_array(b, member);
    for (unsigned i = 0; i < n; i++)
        add_mac(b, NULL, table[i]);
    json_close_array(b);
}

static void add_vlans(JsonBuilder *b, const struct net_rx_filter *f)
{
    json_open_array(b, "vlan-table");
    for (unsigned i = 0; i < NET_VLANS && f->vlan == NET_RX_NORMAL; i++)
        if (f->vlans[i / 8] >> i % 8 & 1)
            json_int(b, NULL, i);
    json_close_array(b);
}

static void add_rx_filter(JsonBuilder *b, const char *name, const struct net_rx_filter *f)
{
    static const char *const modes[] = { [NET_RX_NONE] = "none", [NET_RX_NORMAL] = "normal", [NET_RX_ALL] = "all" };

    json_open(b, NULL);
    json_bool(b, "promiscuous", f->promisc);
    json_str(b, "name", name);
    add_mac(b, "main-mac", f->main_mac);
    json_str(b, "unicast", modes[f->unicast]);
    json_str(b, "multicast", modes[f->multicast]);
    json_str(b, "vlan", modes[f->vlan]);
    add_vlans(b, f);
    add_table(b, "unicast-table", f->uni, f->n_uni);
    add_table(b, "multicast-table", f->multi, f->n_multi);
    json_bool(b, "unicast-overflow", f->uni_overflow);
    json_bool(b, "multicast-overflow", f->multi_overflow);
    json_bool(b, "broadcast-allowed", f->broadcast);
    json_close(b);
}

/* Cards that do not tell are passed over, unless one is asked for by name. */
int qmp_query_rx_filter(struct qmp_call *c)
{
    const char *name = qmp_str(c, "name");
    JsonBuilder *b = json_builder_new();
    struct net_rx_filter f;
    unsigned found = 0;
    int r = 0;

    json_open_array(b, NULL);
    for (struct net *n = (struct net *)net_next(NULL); n; n = (struct net *)net_next(n)) {
        const char *nic = net_nic_name(n);
        if (!nic || (name && strcmp(name, nic)))
            continue;
        found++;
        if (net_rx_filter(n, &f))
            add_rx_filter(b, nic, &f);
        else if (name)
            r = err_set(&c->err, "net client(%s) doesn't support rx-filter querying", name);
    }
    json_close_array(b);
    c->ret = json_take(b);
    if (name && !found)
        r = net_find(name) ? err_set(&c->err, "net client(%s) isn't a NIC", name) : err_set(&c->err, "invalid net client name: %s", name);
    return r;
}
