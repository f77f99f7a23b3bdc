/* -netdev user: a network inside the process, by libslirp: DHCP, DNS and TFTP servers, and connections of the guest as sockets of the
 * host. Main thread only. Between us and libslirp the link has jumbo frames: it takes a guest's segmentation requests whole, and sends
 * TCP segments of up to 64 KiB, which are passed on as a request to cut them, or cut here. */
#include "config.h"
#include "hw/backend/net_user.h"
#if HAVE_SLIRP
#include <arpa/inet.h>
#include <slirp/libslirp.h>
#include "hw/backend/chr.h"
#include "util/log.h"

enum { GUEST_MTU = 1500, SLIRP_MTU = 65521, JUMBO_MSS = 65480 };
enum { TCP_SYN = 2, TCP_OPT_END = 0, TCP_OPT_NOP = 1, TCP_OPT_MSS = 2 };

struct user_poll {
    GPollFD p;
    bool added;
};

struct user_timer {
    struct user_timer *next;
    struct user *u;
    SlirpTimerId id;
    void *opaque;
    struct timer t;   /* t.clock is NULL without a VM */
    i64 deadline;     /* VM time in ns */
    bool pending;
};

struct guestfwd {
    struct guestfwd *next;
    struct user *u;
    struct in_addr addr;
    unsigned port;
    struct chr *chr;
    bool own_chr;
};

struct user {
    struct net *net;
    struct user_config cfg;
    Slirp *slirp;
    GSource *source;
    GHashTable *polls;   /* struct user_poll by descriptor */
    GPtrArray *polled;   /* those of the last fill, by index */
    i64 deadline;        /* host microseconds at which slirp wants to run; INT64_MAX: never */
    struct user_timer *timers;
    struct guestfwd *guestfwds;
};

struct user_source {
    GSource source;
    struct user *u;
};

/* -- frames --------------------------------------------------------------------------------------------------------- */

/* What a TCP option's value is, or NULL. */
static u8 *tcp_mss_option(u8 *frame, const struct net_headers *h)
{
    for (unsigned at = h->l4 + 20; at < h->payload && frame[at] != TCP_OPT_END;) {
        unsigned len = frame[at] == TCP_OPT_NOP ? 1 : at + 1 < h->payload ? frame[at + 1] : 0;
        if (!len || at + len > h->payload)
            return NULL;
        if (frame[at] == TCP_OPT_MSS && len == 4)
            return frame + at + 2;
        at += len;
    }
    return NULL;
}

/* A guest with a whole MTU may be sent large segments: they are cut before it sees them. */
static void raise_mss(struct net_frame *f)
{
    struct net_headers h;
    unsigned l4_len, mss;
    u8 *opt, *tcp;

    if (f->len > 256 || !net_parse(f->data, f->len, &h) || !(f->data[h.l4 + 13] & TCP_SYN) || !(opt = tcp_mss_option(f->data, &h)))
        return;
    mss = opt[0] << 8 | opt[1];
    l4_len = h.v6 ? (unsigned)(f->data[h.l3 + 4] << 8 | f->data[h.l3 + 5]) - (h.l4 - h.l3 - 40)
                  : (unsigned)(f->data[h.l3 + 2] << 8 | f->data[h.l3 + 3]) - (h.l4 - h.l3);
    if (l4_len < h.payload - h.l4 || l4_len > f->len - h.l4 || mss < GUEST_MTU - 20u - (h.v6 ? 40 : 20))
        return;
    opt[0] = JUMBO_MSS >> 8;
    opt[1] = JUMBO_MSS & 0xff;
    tcp = f->data + h.l4;
    if (f->o.flags & NET_F_NEEDS_CSUM)
        return;
    tcp[16] = tcp[17] = 0;
    st16(tcp + 16, net_l4_csum(f->data, &h, l4_len));
}

static bool user_transmit(struct net *n, struct net_frame *f)
{
    struct user *u = n->priv;

    raise_mss(f);
    if ((f->o.flags & NET_F_NEEDS_CSUM) && !net_csum_fill(f))
        return true;
    slirp_input(u->slirp, f->data, f->len);
    return true;
}

/* From libslirp: what is longer than the guest's MTU becomes a segmentation request, or IP fragments. */
static ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
    struct user *u = opaque;
    struct net_frame *f;

    if (len > NET_FRAME_MAX)
        return len;
    f = net_frame_new(len);
    memcpy(f->data, buf, len);
    f->o.flags = NET_F_DATA_VALID;
    if (len <= GUEST_MTU + 14 || net_make_gso(f, GUEST_MTU)) {
        net_deliver(u->net, f);
        return len;
    }
    for (struct net_frame *next, *s = net_fragment(f, GUEST_MTU); s; s = next) {
        next = s->next;
        net_deliver(u->net, s);
    }
    return len;
}

static void on_guest_error(const char *msg, void *opaque)
{
    GUEST_ERROR("net user: %s", msg);
}

/* -- time ----------------------------------------------------------------------------------------------------------- */

static int64_t on_clock(void *opaque)
{
    return net_clock_ns();
}

static void on_timer(void *opaque)
{
    struct user_timer *t = opaque;

    t->pending = false;
    slirp_handle_timer(t->u->slirp, t->id, t->opaque);
}

static void user_timer_arm(struct user_timer *t, struct clock *c)
{
    if (!t->t.clock && c)
        timer_init(&t->t, c, on_timer, t);
    if (t->t.clock && t->pending)
        timer_set(&t->t, t->deadline);
}

static void *on_timer_new(SlirpTimerId id, void *cb_opaque, void *opaque)
{
    struct user_timer *t = g_new0(struct user_timer, 1);

    t->u = opaque;
    t->id = id;
    t->opaque = cb_opaque;
    t->next = t->u->timers;
    t->u->timers = t;
    return t;
}

static void on_timer_free(void *timer, void *opaque)
{
    struct user_timer *t = timer, **p = &t->u->timers;

    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    timer_cancel(&t->t);
    g_free(t);
}

static void on_timer_mod(void *timer, int64_t ms, void *opaque)
{
    struct user_timer *t = timer;

    t->deadline = ms > INT64_MAX / 1000000 ? INT64_MAX : ms * 1000000;
    t->pending = true;
    user_timer_arm(t, net_clock());
}

static void user_clock_changed(struct net *n, struct clock *c)
{
    struct user *u = n->priv;

    for (struct user_timer *t = u->timers; t; t = t->next) {
        timer_cancel(&t->t);
        t->t = (struct timer){ 0 };
        user_timer_arm(t, c);
    }
}

/* -- descriptors: a source of the main loop -------------------------------------------------------------------------- */

static void poll_remove(struct user *u, struct user_poll *p)
{
    if (p->added)
        g_source_remove_poll(u->source, &p->p);
    p->added = false;
}

static void on_register_fd(int fd, void *opaque) {}

static void on_unregister_fd(int fd, void *opaque)
{
    struct user *u = opaque;
    struct user_poll *p = g_hash_table_lookup(u->polls, GINT_TO_POINTER(fd));

    if (!p)
        return;
    poll_remove(u, p);
    for (unsigned i = 0; i < u->polled->len; i++)
        if (u->polled->pdata[i] == p)
            u->polled->pdata[i] = NULL;
    g_hash_table_remove(u->polls, GINT_TO_POINTER(fd));
}

static int add_poll(int fd, int events, void *opaque)
{
    struct user *u = opaque;
    struct user_poll *p = g_hash_table_lookup(u->polls, GINT_TO_POINTER(fd));

    if (!p) {
        p = g_new0(struct user_poll, 1);
        p->p.fd = fd;
        g_hash_table_insert(u->polls, GINT_TO_POINTER(fd), p);
    }
    p->p.events = (events & SLIRP_POLL_IN ? G_IO_IN : 0) | (events & SLIRP_POLL_OUT ? G_IO_OUT : 0) |
                  (events & SLIRP_POLL_PRI ? G_IO_PRI : 0) | (events & SLIRP_POLL_ERR ? G_IO_ERR : 0) |
                  (events & SLIRP_POLL_HUP ? G_IO_HUP : 0);
    g_ptr_array_add(u->polled, p);
    return u->polled->len - 1;
}

static int get_revents(int idx, void *opaque)
{
    struct user *u = opaque;
    struct user_poll *p = idx >= 0 && (unsigned)idx < u->polled->len ? u->polled->pdata[idx] : NULL;
    unsigned r = p ? p->p.revents : 0;

    return (r & G_IO_IN ? SLIRP_POLL_IN : 0) | (r & G_IO_OUT ? SLIRP_POLL_OUT : 0) | (r & G_IO_PRI ? SLIRP_POLL_PRI : 0) |
           (r & G_IO_ERR ? SLIRP_POLL_ERR : 0) | (r & G_IO_HUP ? SLIRP_POLL_HUP : 0);
}

/* A descriptor that slirp has no interest in must not be polled: a hang-up would be reported without end. */
static void polls_settle(struct user *u)
{
    GHashTableIter it;
    gpointer value;

    g_hash_table_iter_init(&it, u->polls);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        struct user_poll *p = value;
        if (p->p.events && !p->added)
            g_source_add_poll(u->source, &p->p);
        else if (!p->p.events && p->added)
            g_source_remove_poll(u->source, &p->p);
        p->added = p->p.events;
        p->p.revents = 0;
    }
}

static gboolean source_prepare(GSource *source, gint *timeout)
{
    struct user *u = ((struct user_source *)source)->u;
    uint32_t ms = UINT32_MAX;
    GHashTableIter it;
    gpointer value;

    g_hash_table_iter_init(&it, u->polls);
    while (g_hash_table_iter_next(&it, NULL, &value))
        ((struct user_poll *)value)->p.events = 0;
    g_ptr_array_set_size(u->polled, 0);
    if (!net_rx_full(u->net)) /* else the guest is behind: what comes waits in the host's sockets */
        slirp_pollfds_fill(u->slirp, &ms, add_poll, u);
    polls_settle(u);
    *timeout = ms > INT32_MAX ? -1 : (gint)ms;
    u->deadline = *timeout < 0 ? INT64_MAX : g_get_monotonic_time() + *timeout * 1000ll;
    return FALSE;
}

static gboolean source_check(GSource *source)
{
    struct user *u = ((struct user_source *)source)->u;

    for (unsigned i = 0; i < u->polled->len; i++)
        if (u->polled->pdata[i] && ((struct user_poll *)u->polled->pdata[i])->p.revents)
            return TRUE;
    return u->deadline != INT64_MAX && g_get_monotonic_time() >= u->deadline;
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
    struct user *u = ((struct user_source *)source)->u;

    slirp_pollfds_poll(u->slirp, 0, get_revents, u);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { .prepare = source_prepare, .check = source_check, .dispatch = source_dispatch };

static void user_rx_resume(struct net *n)
{
    g_main_context_wakeup(NULL); /* prepare runs again */
}

/* -- forwarding ----------------------------------------------------------------------------------------------------- */

static int hostfwd_add(struct user *u, const char *text, struct err *e)
{
    struct user_rule r;

    if (user_hostfwd_parse(text, true, &r, e) < 0)
        return -1;
    if (slirp_add_hostfwd(u->slirp, r.udp, r.addr, r.port, r.guest_addr, r.guest_port) < 0)
        return err_set(e, "could not set up host forwarding rule '%s': %s", text, strerror(errno));
    return 0;
}

static unsigned guestfwd_can_read(void *opaque)
{
    struct guestfwd *g = opaque;

    return slirp_socket_can_recv(g->u->slirp, g->addr, g->port);
}

static void guestfwd_read(void *opaque, const u8 *buf, unsigned len)
{
    struct guestfwd *g = opaque;

    slirp_socket_recv(g->u->slirp, g->addr, g->port, buf, len);
}

static ssize_t guestfwd_write(const void *buf, size_t len, void *opaque)
{
    return chr_write(((struct guestfwd *)opaque)->chr, buf, len);
}

static void on_notify(void *opaque)
{
    struct user *u = opaque;

    for (struct guestfwd *g = u->guestfwds; g; g = g->next)
        chr_accept_input(g->chr);
}

static int guestfwd_open(struct user *u, const struct user_rule *r, const char *text, struct err *e)
{
    struct guestfwd *g = g_new0(struct guestfwd, 1);
    char *id = g_strdup_printf("guestfwd.%s:%u", inet_ntoa(r->addr), r->port);

    g->u = u;
    g->addr = r->addr;
    g->port = r->port;
    g->own_chr = !g_str_has_prefix(r->rest, "chardev:");
    g->chr = g->own_chr ? chr_new(id, r->rest, e) : chr_find(r->rest + 8);
    if (!g->chr && !g->own_chr)
        err_set(e, "there is no -chardev with id '%s'", r->rest + 8);
    g_free(id);
    if (!g->chr) {
        g_free(g);
        return err_prefix(e, "guestfwd=%s", text);
    }
    g->next = u->guestfwds;
    u->guestfwds = g;
    if (slirp_add_guestfwd(u->slirp, guestfwd_write, g, &g->addr, g->port) < 0)
        return err_set(e, "guestfwd=%s: the address or port is in use or outside the guest's network", text);
    chr_attach(g->chr, guestfwd_can_read, guestfwd_read, NULL, g);
    return 0;
}

static int guestfwd_add(struct user *u, const char *text, struct err *e)
{
    struct user_rule r;

    if (user_guestfwd_parse(text, &r, e) < 0)
        return -1;
    if (!g_str_has_prefix(r.rest, "cmd:"))
        return guestfwd_open(u, &r, text, e);
    if (slirp_add_exec(u->slirp, r.rest + 4, &r.addr, r.port) < 0)
        return err_set(e, "guestfwd=%s: the address or port is in use or outside the guest's network", text);
    return 0;
}

static void guestfwds_free(struct user *u)
{
    while (u->guestfwds) {
        struct guestfwd *g = u->guestfwds;
        u->guestfwds = g->next;
        if (g->own_chr)
            chr_free(g->chr);
        else if (chr_find(chr_id(g->chr)) == g->chr)
            chr_attach(g->chr, NULL, NULL, NULL, NULL);
        g_free(g);
    }
}

/* -- the kind ------------------------------------------------------------------------------------------------------- */

static const SlirpCb callbacks = {
    .send_packet = on_packet,
    .guest_error = on_guest_error,
    .clock_get_ns = on_clock,
    .timer_new_opaque = on_timer_new,
    .timer_free = on_timer_free,
    .timer_mod = on_timer_mod,
    .register_poll_fd = on_register_fd,
    .unregister_poll_fd = on_unregister_fd,
    .notify = on_notify,
};

static Slirp *slirp_open(struct user *u)
{
    const struct user_config *c = &u->cfg;
    const SlirpConfig cfg = {
        .version = 4,
        .restricted = c->restricted,
        .in_enabled = c->ip4,
        .vnetwork = c->net, .vnetmask = c->mask, .vhost = c->host, .vdhcp_start = c->dhcp_start, .vnameserver = c->dns,
        .in6_enabled = c->ip6,
        .vprefix_addr6 = c->prefix6, .vprefix_len = c->prefix6_len, .vhost6 = c->host6, .vnameserver6 = c->dns6,
        .vhostname = c->hostname, .tftp_server_name = c->tftp_server, .tftp_path = c->tftp, .bootfile = c->bootfile,
        .vdnssearch = (const char **)c->dnssearch, .vdomainname = c->domainname,
        .if_mtu = SLIRP_MTU, .if_mru = SLIRP_MTU,
    };

    return slirp_new(&cfg, &callbacks, u);
}

static int user_open(struct net *n, struct opts *o, struct err *e)
{
    struct user *u = g_new0(struct user, 1);

    n->priv = u;
    n->tx_caps = NET_CAN_CSUM | NET_CAN_TSO4 | NET_CAN_TSO6;
    u->net = n;
    u->polls = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    u->polled = g_ptr_array_new();
    u->source = g_source_new(&source_funcs, sizeof(struct user_source));
    ((struct user_source *)u->source)->u = u;
    if (user_config_read(&u->cfg, o, e) < 0)
        return -1;
    u->slirp = slirp_open(u);
    if (!u->slirp)
        return err_set(e, "libslirp refuses this configuration");
    for (unsigned i = 0; i < u->cfg.hostfwd->len; i++)
        if (hostfwd_add(u, u->cfg.hostfwd->pdata[i], e) < 0)
            return -1;
    for (unsigned i = 0; i < u->cfg.guestfwd->len; i++)
        if (guestfwd_add(u, u->cfg.guestfwd->pdata[i], e) < 0)
            return -1;
    g_source_attach(u->source, NULL);
    return 0;
}

static void user_info(const struct net *n, GString *out)
{
    const struct user *u = n->priv;

    g_string_append_printf(out, ",net=%s,restrict=%s", inet_ntoa(u->cfg.net), u->cfg.restricted ? "on" : "off");
}

static void user_close(struct net *n)
{
    struct user *u = n->priv;

    if (!u)
        return;
    if (u->slirp)
        slirp_cleanup(u->slirp);
    guestfwds_free(u);
    g_source_destroy(u->source);
    g_source_unref(u->source);
    g_hash_table_unref(u->polls);
    g_ptr_array_unref(u->polled);
    user_config_free(&u->cfg);
    g_free(u);
    n->priv = NULL;
}

/* -- monitor -------------------------------------------------------------------------------------------------------- */

char *net_user_info(void)
{
    GString *s = g_string_new(NULL);

    for (struct net *n = net_next(NULL); n; n = net_next(n)) {
        if (n->kind != &net_user_kind)
            continue;
        char *info = slirp_connection_info(((struct user *)n->priv)->slirp);
        g_string_append_printf(s, "Hub -1 (%s):\n%s", net_id(n), info);
        g_free(info);
    }
    return g_string_free(s, FALSE);
}

static struct user *user_find(const char *netdev, struct err *e)
{
    struct user *found = NULL;

    for (struct net *n = net_next(NULL); n; n = net_next(n)) {
        if (n->kind != &net_user_kind || (netdev && strcmp(netdev, net_id(n))))
            continue;
        if (found)
            return err_set(e, "there are several user netdevs; name one"), NULL;
        found = n->priv;
    }
    if (!found)
        err_set(e, netdev ? "there is no user netdev '%s'" : "there is no user netdev", netdev);
    return found;
}

int net_user_hostfwd_add(const char *netdev, const char *rule, struct err *e)
{
    struct user *u = user_find(netdev, e);

    return u ? hostfwd_add(u, rule, e) : -1;
}

int net_user_hostfwd_remove(const char *netdev, const char *rule, struct err *e)
{
    struct user *u = user_find(netdev, e);
    struct user_rule r;

    if (!u || user_hostfwd_parse(rule, false, &r, e) < 0)
        return -1;
    if (slirp_remove_hostfwd(u->slirp, r.udp, r.addr, r.port) < 0)
        return err_set(e, "host forwarding rule for %s not found", rule);
    return 0;
}

const struct net_kind net_user_kind = {
    .name = "user", .open = user_open, .transmit = user_transmit, .rx_resume = user_rx_resume, .clock_changed = user_clock_changed,
    .info = user_info, .close = user_close,
};

#else

static int user_open(struct net *n, struct opts *o, struct err *e)
{
    return err_set(e, "user networking is not in this build: libslirp was absent or disabled");
}

static bool user_transmit(struct net *n, struct net_frame *f) { return true; }
static void user_info(const struct net *n, GString *out) {}
static void user_close(struct net *n) {}

const struct net_kind net_user_kind = {
    .name = "user", .open = user_open, .transmit = user_transmit, .info = user_info, .close = user_close,
};

char *net_user_info(void) { return g_strdup(""); }

int net_user_hostfwd_add(const char *netdev, const char *rule, struct err *e)
{
    return err_set(e, "user networking is not in this build");
}

int net_user_hostfwd_remove(const char *netdev, const char *rule, struct err *e)
{
    return err_set(e, "user networking is not in this build");
}
#endif
