/* -netdev, -nic and -net: what they say, turned into back ends (opened by nets_open) and devices. Main thread, from
 * options.c while the command line is read and from main.c before the machine is built. */
#include <stdio.h>
#include "config.h"
#include "hw/backend/net.h"
#include "ui/options.h"
#include "util/opts.h"

#define DEFAULT_MODEL "e1000"

/* Words of -nic and -net nic that are the device's, not the back end's. */
static const char *const nic_words[] = { "model", "mac", "macaddr", "addr", "vectors", "bootindex", "romfile" };

static void take_netdev(struct options *o, struct opts *n, const char *option)
{
    struct net_option *t = g_new(struct net_option, 1);

    *t = (struct net_option){ n, g_strdup(option) };
    g_ptr_array_add(o->netdevs, t);
}

void net_option_free(gpointer p)
{
    struct net_option *t = p;

    opts_free(t->opts);
    g_free(t->option);
    g_free(t);
}

enum options_result options_netdev(struct options *o, const char *arg, struct err *e)
{
    const char *name;
    struct opts *n;
    char *option;

    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        puts("Available netdev backend types:");
        for (unsigned i = 0; (name = net_kind_nth(i)); i++)
            puts(name);
        return OPTIONS_DONE;
    }
    n = opts_parse(arg, "type", e);
    if (!n)
        return err_prefix(e, "-netdev %s", arg);
    o->net_given = true;
    option = g_strdup_printf("-netdev %s", arg);
    take_netdev(o, n, option);
    g_free(option);
    return OPTIONS_RUN;
}

/* -- NICs ----------------------------------------------------------------------------------------------------------- */

static const char *model_class(const char *model)
{
    static const char *const alias[][2] = { { "virtio", "virtio-net-pci" }, { "virtio-net", "virtio-net-pci" } };

    for (unsigned i = 0; i < ARRAY_LEN(alias); i++)
        if (!strcmp(model, alias[i][0]))
            return alias[i][1];
    return model;
}

/* A device that has "netdev" and "mac" is a NIC. */
static bool is_nic(const struct dev_class *cls)
{
    bool netdev = false, mac = false;

    for (const struct prop *p = cls->props; p && p->kind != PROP_END; p++) {
        netdev |= !strcmp(p->name, "netdev");
        mac |= !strcmp(p->name, "mac");
    }
    return netdev && mac && cls->user_creatable;
}

static enum options_result print_models(void)
{
    const struct dev_class *cls;

    puts("Available NIC models:");
    for (unsigned i = 0; (cls = dev_class_nth(i)); i++)
        if (is_nic(cls))
            puts(cls->name);
    return OPTIONS_DONE;
}

/* Moves the device's words out of `from` and adds the device before those of -device. netdev: its back end's id; id: its own, or NULL. */
static enum options_result add_nic(struct options *o, struct opts *from, const char *netdev, const char *id, const char *option, struct err *e)
{
    const char *model = opts_get(from, "model"), *mac = opts_get(from, "mac");
    const struct dev_class *cls;
    GString *s;

    if (model && (!strcmp(model, "help") || !strcmp(model, "?")))
        return print_models();
    cls = dev_class_find(model_class(model ? model : DEFAULT_MODEL));
    if (!cls || !is_nic(cls))
        return err_set(e, "%s: unsupported NIC model '%s' (-nic model=help lists them)", option, model ? model : DEFAULT_MODEL);
    s = g_string_new(cls->name);
    g_string_append_printf(s, ",netdev=%s", netdev);
    if (id)
        g_string_append_printf(s, ",id=%s", id);
    if (!mac)
        mac = opts_get(from, "macaddr");
    if (mac)
        g_string_append_printf(s, ",mac=%s", mac);
    for (unsigned i = 3; i < ARRAY_LEN(nic_words); i++)
        if (opts_peek(from, nic_words[i]))
            g_string_append_printf(s, ",%s=%s", nic_words[i], opts_get(from, nic_words[i]));
    for (unsigned i = 0; i < ARRAY_LEN(nic_words); i++)
        opts_unset(from, nic_words[i]);
    g_ptr_array_add(o->strings, s->str);
    g_ptr_array_insert(o->devices, o->n_nics++, s->str);
    g_string_free(s, FALSE);
    return OPTIONS_RUN;
}

static enum options_result nic_from_opts(struct options *o, struct opts *n, const char *option, struct err *e)
{
    char id[24];

    if (!opts_peek(n, "type"))
        opts_set(n, "type", "user");
    if (!opts_peek(n, "id")) {
        snprintf(id, sizeof(id), "#nic%u", o->n_nics);
        opts_set(n, "id", id);
    }
    return add_nic(o, n, opts_peek(n, "id"), NULL, option, e);
}

enum options_result options_nic(struct options *o, const char *arg, struct err *e)
{
    struct opts *n;
    char *option;
    enum options_result r;

    o->net_given = true;
    if (!strcmp(arg, "none"))
        return OPTIONS_RUN;
    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        return print_models();
    n = opts_parse(arg, strchr(arg, '=') && strcspn(arg, "=") < strcspn(arg, ",") ? NULL : "type", e);
    if (!n)
        return err_prefix(e, "-nic %s", arg);
    option = g_strdup_printf("-nic %s", arg);
    r = nic_from_opts(o, n, option, e);
    if (r == OPTIONS_RUN)
        take_netdev(o, n, option);
    else
        opts_free(n);
    g_free(option);
    return r;
}

/* -- -net: everything on hub 0 -------------------------------------------------------------------------------------- */

/* The next port of the hub; netdev: the back end behind it, or NULL. Its id is in o->strings. */
static const char *add_hub_port(struct options *o, const char *netdev, const char *option)
{
    char *id = g_strdup_printf("hub0port%u", o->n_hub_ports++);
    struct opts *n = opts_new();

    g_ptr_array_add(o->strings, id);
    opts_set(n, "type", "hubport");
    opts_set(n, "id", id);
    opts_set(n, "hubid", "0");
    if (netdev)
        opts_set(n, "netdev", netdev);
    take_netdev(o, n, option);
    return id;
}

static enum options_result net_from_opts(struct options *o, struct opts *n, const char *option, struct err *e)
{
    const char *type = opts_peek(n, "type");
    char *id;

    if (!strcmp(type, "dump"))
        return err_set(e, "%s: use -object filter-dump,id=ID,netdev=ID,file=FILE instead", option);
    if (!strcmp(type, "nic")) {
        const char *netdev = opts_get(n, "netdev"), *name = opts_peek(n, "id") ? opts_peek(n, "id") : opts_peek(n, "name");
        enum options_result r = add_nic(o, n, netdev ? netdev : add_hub_port(o, NULL, option), name, option, e);
        opts_unset(n, "netdev");
        opts_unset(n, "type");
        opts_unset(n, "id");
        opts_unset(n, "name");
        return r != OPTIONS_RUN ? r : opts_all_used(n, e) < 0 ? err_prefix(e, "%s", option) : OPTIONS_RUN;
    }
    id = g_strdup(opts_peek(n, "id") ? opts_peek(n, "id") : opts_peek(n, "name"));
    if (!id)
        id = g_strdup_printf("%s.%u", type, o->n_hub_ports);
    opts_unset(n, "name");
    opts_set(n, "id", id);
    take_netdev(o, opts_copy(n), option);
    add_hub_port(o, id, option);
    g_free(id);
    return OPTIONS_RUN;
}

enum options_result options_net(struct options *o, const char *arg, struct err *e)
{
    struct opts *n;
    char *option;
    enum options_result r;

    o->net_given = true;
    if (!strcmp(arg, "none"))
        return OPTIONS_RUN;
    n = opts_parse(arg, "type", e);
    if (!n || !opts_peek(n, "type")) {
        if (n)
            err_set(e, "the type is missing");
        opts_free(n);
        return err_prefix(e, "-net %s", arg);
    }
    option = g_strdup_printf("-net %s", arg);
    r = net_from_opts(o, n, option, e);
    g_free(option);
    opts_free(n);
    return r;
}

/* -- the rest ------------------------------------------------------------------------------------------------------- */

/* With no word about networks there is one NIC on a user network. */
enum options_result options_net_default(struct options *o, struct err *e)
{
    if (o->net_given || o->machine.nodefaults || !HAVE_SLIRP || !dev_class_find(DEFAULT_MODEL))
        return OPTIONS_RUN;
    return options_nic(o, "user", e);
}

int nets_open(struct options *o, struct err *e)
{
    for (unsigned i = 0; i < o->netdevs->len; i++) {
        struct net_option *t = o->netdevs->pdata[i];
        if (!net_new(t->opts, e))
            return err_prefix(e, "%s", t->option);
    }
    return 0;
}
