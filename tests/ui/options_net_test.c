/* Tests ui/options_net.c: which cards and back ends -netdev, -nic, -net and their absence make, and that what is wrong is refused. */
#include <glib.h>
#include "config.h"
#include "hw/backend/net.h"
#include "ui/options.h"
#include "util/opts.h"

static enum options_result parse(const char *text, struct options *o, struct err *e)
{
    char *line = g_strconcat("gemel -kernel /dev/null", *text ? " " : "", text, NULL);
    char **argv = g_strsplit(line, " ", -1);
    enum options_result r;

    e->msg[0] = 0;
    r = options_parse(o, g_strv_length(argv), argv, e);
    for (unsigned i = 0; argv[i]; i++)
        g_ptr_array_add(o->strings, argv[i]);
    g_free(argv);
    g_free(line);
    return r;
}

/* "type/id/hubid/netdev" of each back end in turn, absent words empty. */
static char *netdevs(const struct options *o)
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < o->netdevs->len; i++) {
        const struct opts *n = ((struct net_option *)o->netdevs->pdata[i])->opts;
        const char *type = opts_peek(n, "type"), *id = opts_peek(n, "id"), *hub = opts_peek(n, "hubid"), *nd = opts_peek(n, "netdev");
        g_string_append_printf(s, "%s%s/%s/%s/%s", i ? " " : "", type, id, hub ? hub : "", nd ? nd : "");
    }
    return g_string_free(s, FALSE);
}

static void test_made(void)
{
    static const struct { const char *text, *nets; const char *devices[3]; } t[] = {
        { "-nodefaults", "", { NULL } },
        { "-nic none", "", { NULL } },
        { "-net none", "", { NULL } },
        { "-nic user", "user/#nic0//", { "e1000,netdev=#nic0" } },
        { "-nic user,id=a,model=virtio,mac=52:54:00:00:00:01,net=10.1.0.0/24", "user/a//",
          { "virtio-net-pci,netdev=a,mac=52:54:00:00:00:01" } },
        { "-nic model=e1000", "user/#nic0//", { "e1000,netdev=#nic0" } },
        { "-nic socket,listen=:1 -nic user,addr=7 -device pc-testdev", "socket/#nic0// user/#nic1//",
          { "e1000,netdev=#nic0", "e1000,netdev=#nic1,addr=7", "pc-testdev" } },
        { "-netdev user,id=n -device e1000,netdev=n", "user/n//", { "e1000,netdev=n" } },
        { "-netdev {\"type\":\"user\",\"id\":\"j\"}", "user/j//", { NULL } },
        { "-net nic -net user", "hubport/hub0port0/0/ user/user.1// hubport/hub0port1/0/user.1", { "e1000,netdev=hub0port0" } },
        { "-net nic,macaddr=52:54:00:00:00:02,netdev=n -netdev user,id=n", "user/n//", { "e1000,netdev=n,mac=52:54:00:00:00:02" } },
#if HAVE_SLIRP
        { "", "user/#nic0//", { "e1000,netdev=#nic0" } },
        { "-device pc-testdev", "user/#nic0//", { "e1000,netdev=#nic0", "pc-testdev" } },
#endif
    };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct options o;
        struct err e;
        char *nets;
        unsigned n = 0;
        g_test_message("%s", t[i].text);
        if (parse(t[i].text, &o, &e) != OPTIONS_RUN)
            g_error("%s: %s", t[i].text, e.msg);
        nets = netdevs(&o);
        g_assert_cmpstr(nets, ==, t[i].nets);
        for (; n < 3 && t[i].devices[n]; n++)
            g_assert_cmpstr(n < o.machine.n_devices ? o.machine.devices[n] : "", ==, t[i].devices[n]);
        g_assert_cmpuint(o.machine.n_devices, ==, n);
        g_free(nets);
        options_free(&o);
    }
}

/* At parsing, or when the back ends are opened. */
static void test_refused(void)
{
    static const char *const t[][2] = {
        { "-netdev nonsense,id=x", "nonsense" }, { "-netdev user", "id" }, { "-netdev =", "name" }, { "-nic model=nosuch", "nosuch" },
        { "-nic hubport,hubid=x", "hubid" }, { "-net dump", "filter-dump" }, { "-net nic,color=red", "color" }, { "-net vde", "vde" },
        { "-object filter-dump,id=x", "netdev" }, { "-object filter-dump,id=x,netdev=y,file=z", "y" },
        { "-netdev hubport,id=h,hubid=1 -netdev hubport,id=h,hubid=1", "already" },
        { "-nic tap,vhost=on", "vhost" }, { "-netdev socket,id=a", "listen" }, { "-object nothing", "nothing" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct options o;
        struct err e;
        int r = parse(t[i][0], &o, &e);
        g_test_message("%s: %s", t[i][0], e.msg);
        if (r == OPTIONS_RUN)
            r = nets_open(&o, &e);
        if (r == OPTIONS_RUN)
            r = objects_open(&o, true, &e);
        g_assert_cmpint(r, ==, -1);
        g_assert_nonnull(strstr(e.msg, t[i][1]));
        g_assert_true(strchr(t[i][0], ' ') && !strncmp(e.msg, t[i][0], strcspn(t[i][0], " ")));
        net_free_all();
        options_free(&o);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_main_context_acquire(NULL);
    g_test_add_func("/options-net/made", test_made);
    g_test_add_func("/options-net/refused", test_refused);
    return g_test_run();
}
