/* Tests hw/backend/net*.c: links and their queues, offloads done in software, every kind of back end with a real peer, options that are
 * refused, the pcap filter. */
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>
#include "config.h"
#include "hw/backend/net.h"
#include "hw/backend/net_impl.h"
#include "util/opts.h"

/* A device that keeps what it gets. */
struct sink {
    struct net *net;
    struct lock lock;
    bool closed;      /* can_receive says no */
    unsigned frames, link_changes, ready;
    bool link;
    GByteArray *last;
    struct net_offload o;
    GPtrArray *all;   /* GByteArray of each frame */
};

static bool sink_can_receive(void *opaque) { return !((struct sink *)opaque)->closed; }

static void sink_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o)
{
    struct sink *s = opaque;

    g_assert_true(lock_is_mine(&s->lock));
    s->frames++;
    s->o = *o;
    s->last = g_byte_array_new();
    g_byte_array_append(s->last, frame, len);
    g_ptr_array_add(s->all, s->last);
}

static void sink_link(void *opaque, bool up)
{
    struct sink *s = opaque;

    s->link_changes++;
    s->link = up;
}

static void sink_ready(void *opaque) { ((struct sink *)opaque)->ready++; }

static const struct net_dev_ops sink_ops = {
    .can_receive = sink_can_receive, .receive = sink_receive, .link_changed = sink_link, .send_ready = sink_ready,
};

static struct net *open_net(const char *text)
{
    struct err e = { "" };
    struct opts *o = opts_parse(text, "type", &e);
    struct net *n = o ? net_new(o, &e) : NULL;

    if (!n)
        g_error("%s: %s", text, e.msg);
    opts_free(o);
    return n;
}

static void sink_open(struct sink *s, const char *text)
{
    struct err e;

    memset(s, 0, sizeof(*s));
    s->net = open_net(text);
    s->all = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    lock_init(&s->lock, "sink", RANK_MACHINE);
    lock_acquire(&s->lock);
    g_assert_cmpint(net_attach(s->net, &sink_ops, s, &s->lock, &e), ==, 0);
    lock_release(&s->lock);
}

static void sink_close(struct sink *s)
{
    lock_acquire(&s->lock);
    net_detach(s->net);
    lock_release(&s->lock);
    net_free(s->net);
    g_ptr_array_unref(s->all);
    lock_fini(&s->lock);
}

static bool send_o(struct sink *s, const void *p, unsigned len, const struct net_offload *o)
{
    struct iovec iov[2] = { { (void *)(uintptr_t)p, 10 }, { (u8 *)(uintptr_t)p + 10, len - 10 } };
    bool ok;

    lock_acquire(&s->lock);
    ok = net_send(s->net, iov, 2, o);
    lock_release(&s->lock);
    return ok;
}

static gboolean set_flag(gpointer p)
{
    *(bool *)p = true;
    return G_SOURCE_REMOVE;
}

/* Runs the main loop until *count is at least n; fails after ten seconds. */
static void wait_for(const unsigned *count, unsigned n)
{
    bool late = false;
    guint id = g_timeout_add_seconds(10, set_flag, &late);

    while (*count < n && !late)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(*count, >=, n);
    g_source_remove(id);
}

static void run_loop(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void fill(u8 *p, unsigned len, unsigned seed)
{
    for (unsigned i = 0; i < len; i++)
        p[i] = seed + i * 7;
}

/* -- offloads ------------------------------------------------------------------------------------------------------- */

enum { HDR = 14 + 20 + 20 };

/* A slow and simple checksum to compare with. */
static u16 model_csum(const u8 *p, unsigned len, u32 sum)
{
    for (unsigned i = 0; i < len; i++)
        sum += i & 1 ? p[i] : p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* True if the TCP or UDP checksum of an IPv4 frame is right. */
static bool l4_good(const u8 *f, unsigned len)
{
    u32 pseudo = model_csum(f + 26, 8, f[23]) + (len - 34);

    return model_csum(f + 34, len - 34, pseudo) == 0xffff;
}

static void tcp4(u8 *f, unsigned payload)
{
    static const u8 head[HDR] = {
        0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x52, 0x55, 10, 0, 2, 2, 8, 0,
        0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2,
        0x30, 0x39, 0, 80, 0xff, 0xff, 0xff, 0x00, 0, 0, 0, 1, 0x50, 0x99 /* CWR, ACK, PSH, FIN */, 0x20, 0, 0, 0, 0, 0,
    };

    memcpy(f, head, HDR);
    f[16] = (40 + payload) >> 8;
    f[17] = 40 + payload;
    fill(f + HDR, payload, 3);
}

static void test_tso(void)
{
    enum { PAYLOAD = 40000, MSS = 1460 };
    struct net_frame *f = net_frame_new(HDR + PAYLOAD), *next;
    unsigned off = 0, n = 0;
    u8 *whole = g_malloc(PAYLOAD);

    tcp4(f->data, PAYLOAD);
    memcpy(whole, f->data + HDR, PAYLOAD);
    f->o = (struct net_offload){ NET_F_NEEDS_CSUM, NET_GSO_TCPV4, HDR, MSS, 34, 16 };
    g_assert_true(net_needs_finish(f, NET_CAN_CSUM | NET_CAN_TSO6));
    g_assert_false(net_needs_finish(f, NET_CAN_CSUM | NET_CAN_TSO4));
    for (struct net_frame *s = net_finish(f); s; s = next, n++) {
        const u8 *p = s->data;
        unsigned len = s->len - HDR;
        bool last = off + len == PAYLOAD;
        next = s->next;
        g_assert_cmpuint(len, ==, MIN_OF(MSS, PAYLOAD - off));
        g_assert_cmpmem(p + HDR, len, whole + off, len);
        g_assert_cmpuint(p[16] << 8 | p[17], ==, s->len - 14);
        g_assert_cmphex(p[18] << 8 | p[19], ==, 0x1234 + n);
        g_assert_cmphex(model_csum(p + 14, 20, 0), ==, 0xffff);
        g_assert_true(l4_good(p, s->len));
        g_assert_cmphex(__builtin_bswap32(ld32(p + 38)), ==, 0xffffff00u + off);
        g_assert_cmphex(p[47], ==, 0x10 | (n == 0 ? 0x80 : 0) | (last ? 9 : 0));
        g_assert_cmphex(s->o.flags & NET_F_NEEDS_CSUM, ==, 0);
        off += len;
        net_frame_free(s);
    }
    g_assert_cmpuint(off, ==, PAYLOAD);
    g_free(whole);
}

static void test_csum(void)
{
    for (unsigned payload = 0; payload < 70; payload++) {
        struct net_frame *f = net_frame_new(HDR + payload);
        struct net_headers h;
        tcp4(f->data, payload);
        g_assert_true(net_parse(f->data, f->len, &h));
        g_assert_cmpuint(h.payload, ==, HDR);
        st16(f->data + 50, net_pseudo_csum(f->data, &h, 20 + payload));
        f->o = (struct net_offload){ .flags = NET_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 };
        f = net_finish(f);
        g_assert_nonnull(f);
        g_assert_true(l4_good(f->data, f->len));
        net_frame_free(f);
    }
}

/* A large complete frame becomes a request to segment it, and the segments are what they would have been. */
static void test_make_gso(void)
{
    struct net_frame *f = net_frame_new(HDR + 10000), *next;
    unsigned n = 0;

    tcp4(f->data, 10000);
    g_assert_true(net_make_gso(f, 1500));
    g_assert_cmpuint(f->o.gso_size, ==, 1460);
    g_assert_cmpuint(f->o.gso_type, ==, NET_GSO_TCPV4);
    for (struct net_frame *s = net_finish(f); s; s = next, n++) {
        next = s->next;
        g_assert_cmpuint(s->len, <=, 1514);
        g_assert_true(l4_good(s->data, s->len));
        net_frame_free(s);
    }
    g_assert_cmpuint(n, ==, 7);
}

/* UDP fragments put together again are the datagram, with its checksum. */
static void test_ufo(void)
{
    enum { PAYLOAD = 5000 };
    struct net_frame *f = net_frame_new(42 + PAYLOAD), *next;
    u8 *whole = g_malloc0(42 + PAYLOAD);
    unsigned got = 0;

    tcp4(f->data, PAYLOAD - 12);
    f->data[23] = 17;
    f->data[20] = 0;
    f->data[16] = (28 + PAYLOAD) >> 8;
    f->data[17] = (u8)(28 + PAYLOAD);
    f->data[38] = (8 + PAYLOAD) >> 8;
    f->data[39] = (u8)(8 + PAYLOAD);
    struct net_headers h = { .l3 = 14, .l4 = 34, .proto = 17 };
    st16(f->data + 40, net_pseudo_csum(f->data, &h, 8 + PAYLOAD));
    f->o = (struct net_offload){ NET_F_NEEDS_CSUM, NET_GSO_UDP, 42, 1480, 34, 6 };
    for (struct net_frame *s = net_finish(f); s; s = next) {
        unsigned frag = s->data[20] << 8 | s->data[21], off = (frag & 0x1fff) * 8;
        next = s->next;
        g_assert_cmphex(model_csum(s->data + 14, 20, 0), ==, 0xffff);
        g_assert_cmpuint(s->len - 34, <=, 1480);
        g_assert_cmpint(!!(frag & 0x2000), ==, next != NULL);
        memcpy(whole + 34 + off, s->data + 34, s->len - 34);
        memcpy(whole, s->data, 34);
        got += s->len - 34;
        net_frame_free(s);
    }
    g_assert_cmpuint(got, ==, 8 + PAYLOAD);
    g_assert_true(l4_good(whole, 42 + PAYLOAD));
    g_free(whole);
}

/* Headers of 10 KiB are not repeated for each of a thousand segments. */
static void test_long_headers(void)
{
    for (unsigned headers = 1; headers <= 5; headers += 4) {
        unsigned l4 = 14 + 40 + headers * (headers > 1 ? 2048 : 8), n = 0;
        struct net_frame *f = net_frame_new(60000), *next;
        memset(f->data, 0, f->len);
        st16(f->data + 12, 0xdd86);
        f->data[14] = 0x60;
        for (unsigned i = 0; i < headers; i++) /* destination options: next header, length */
            f->data[54 + i * 2048 + 1] = headers > 1 ? 255 : 0;
        f->data[20] = 60;
        for (unsigned i = 0; i < headers; i++)
            f->data[54 + i * 2048] = i + 1 < headers ? 60 : 6;
        f->data[l4 + 12] = 0x50;
        f->o = (struct net_offload){ NET_F_NEEDS_CSUM, NET_GSO_TCPV6, l4 + 20, 32, l4, 16 };
        for (struct net_frame *s = net_finish(f); s; s = next, n++) {
            next = s->next;
            net_frame_free(s);
        }
        g_assert_cmpuint(n, ==, headers > 1 ? 0 : (60000 - l4 - 20 + 31) / 32);
    }
}

/* Anything a guest may ask for: refused or done, nothing outside the frame is touched (the sanitizer's part). */
static void test_malformed(void)
{
    for (unsigned i = 0; i < 200000; i++) {
        unsigned len = g_test_rand_int_range(14, 200), n = 0;
        struct net_frame *f = net_frame_new(len), *next;
        if (len >= HDR && g_test_rand_bit())
            tcp4(f->data, len - HDR);
        else
            fill(f->data, len, i);
        for (unsigned k = g_test_rand_int_range(0, 6); k; k--)
            f->data[g_test_rand_int_range(0, len)] = g_test_rand_int_range(0, 256);
        f->o = (struct net_offload){
            g_test_rand_int_range(0, 4), g_test_rand_int_range(0, 7) | (g_test_rand_bit() ? 0x80 : 0), g_test_rand_int_range(0, 300),
            g_test_rand_int_range(0, 100), g_test_rand_int_range(0, g_test_rand_bit() ? 220 : 65536), g_test_rand_int_range(0, 100),
        };
        for (struct net_frame *s = net_finish(f); s; s = next, n++) {
            next = s->next;
            net_frame_free(s);
        }
        g_assert_cmpuint(n, <=, 200);
    }
    for (unsigned i = 0; i < 20000; i++) {
        unsigned len = g_test_rand_int_range(21, 3000);
        struct net_frame *f = net_frame_new(len), *next;
        fill(f->data, len, i);
        st16(f->data + 12, i & 1 ? 0x0008 : 0xdd86);
        f->data[14] = i & 1 ? 0x45 : 0x60;
        f->data[20] = i & 1 ? 0 : g_test_rand_int_range(0, 64);
        for (struct net_frame *s = net_fragment(f, 600); s; s = next) {
            next = s->next;
            g_assert_cmpuint(s->len, <=, 614);
            net_frame_free(s);
        }
    }
}

/* -- links ---------------------------------------------------------------------------------------------------------- */

struct pair {
    struct sink a, b;
    char *dir;
};

static void pair_open(struct pair *p, const char *fmt_a, const char *fmt_b)
{
    p->dir = g_dir_make_tmp("gemel-net-XXXXXX", NULL);
    char **sa = g_strsplit(fmt_a, "@", -1), **sb = g_strsplit(fmt_b, "@", -1);
    char *a = g_strjoinv(p->dir, sa), *b = g_strjoinv(p->dir, sb);
    sink_open(&p->a, a);
    sink_open(&p->b, b);
    g_strfreev(sa);
    g_strfreev(sb);
    g_free(a);
    g_free(b);
}

static void pair_close(struct pair *p)
{
    sink_close(&p->b);
    sink_close(&p->a);
    g_assert_cmpint(g_rmdir(p->dir), ==, 0); /* nothing was left in it */
    g_free(p->dir);
}

static void exchange(struct pair *p)
{
    u8 f[1514];

    for (unsigned i = 0; i < 300; i++) {
        unsigned len = 14 + i * 5;
        fill(f, len, i);
        g_assert_true(send_o(&p->a, f, len, NULL));
        wait_for(&p->b.frames, i + 1);
        g_assert_cmpmem(p->b.last->data, p->b.last->len, f, len);
        g_assert_true(send_o(&p->b, f, len, NULL));
        wait_for(&p->a.frames, i + 1);
        g_assert_cmpmem(p->a.last->data, p->a.last->len, f, len);
    }
}

/* A frame to segment goes over a link that knows nothing of that. */
static void exchange_large(struct pair *p)
{
    u8 *f = g_malloc(HDR + 30000);
    const struct net_offload o = { NET_F_NEEDS_CSUM, NET_GSO_TCPV4, HDR, 1000, 34, 16 };

    tcp4(f, 30000);
    p->b.frames = 0;
    g_ptr_array_set_size(p->b.all, 0);
    g_assert_true(send_o(&p->a, f, HDR + 30000, &o));
    wait_for(&p->b.frames, 30);
    for (unsigned i = 0; i < 30; i++) {
        GByteArray *s = p->b.all->pdata[i];
        g_assert_cmpuint(s->len, ==, HDR + 1000);
        g_assert_cmpmem(s->data + HDR, 1000, f + HDR + i * 1000, 1000);
        g_assert_true(l4_good(s->data, s->len));
    }
    g_free(f);
}

static void test_stream(void)
{
    struct pair p;

    pair_open(&p, "stream,id=a,server=on,addr.type=unix,addr.path=@/s", "stream,id=b,addr.type=unix,addr.path=@/s");
    wait_for(&p.a.link_changes, 1);
    g_assert_true(p.a.link);
    exchange(&p);
    exchange_large(&p);
    pair_close(&p);
}

/* The client goes and comes again; the server's device sees its cable pulled and plugged. */
static void test_reconnect(void)
{
    struct pair p;
    u8 f[60];

    pair_open(&p, "stream,id=a,server=on,addr.type=unix,addr.path=@/s", "stream,id=b,addr.type=unix,addr.path=@/s");
    wait_for(&p.a.link_changes, 1);
    sink_close(&p.b);
    wait_for(&p.a.link_changes, 2);
    g_assert_false(p.a.link);
    char *again = g_strdup_printf("stream,id=b,addr.type=unix,addr.path=%s/s", p.dir);
    sink_open(&p.b, again);
    g_free(again);
    wait_for(&p.a.link_changes, 3);
    fill(f, sizeof(f), 1);
    send_o(&p.a, f, sizeof(f), NULL);
    wait_for(&p.b.frames, 1);
    pair_close(&p);
}

/* A peer that sends nonsense is disconnected. */
static void test_bad_peer(void)
{
    int fds[2];
    struct sink s;
    u8 junk[64];
    char *text;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    text = g_strdup_printf("socket,id=a,fd=%d", fds[0]);
    sink_open(&s, text);
    memset(junk, 0xff, sizeof(junk));
    g_assert_cmpint(write(fds[1], junk, sizeof(junk)), ==, sizeof(junk));
    wait_for(&s.link_changes, 1);
    g_assert_false(s.link);
    g_assert_cmpuint(s.frames, ==, 0);
    g_free(text);
    close(fds[1]);
    sink_close(&s);
}

static void test_dgram(void)
{
    struct pair p;

    pair_open(&p, "dgram,id=a,local.type=unix,local.path=@/a,remote.type=unix,remote.path=@/b",
              "dgram,id=b,local.type=unix,local.path=@/b,remote.type=unix,remote.path=@/a");
    exchange(&p);
    exchange_large(&p);
    pair_close(&p);
}

static unsigned free_udp_port(void)
{
    struct sockaddr_in sin = { .sin_family = AF_INET };
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&sin, &len), ==, 0);
    close(fd);
    return ntohs(sin.sin_port);
}

/* Members of a group on one host hear each other, and nobody hears himself. */
static void test_mcast(void)
{
    const char *format = "socket,id=%s,mcast=230.0.0.1:%u,localaddr=127.0.0.1";
    unsigned port = free_udp_port();
    char *a = g_strdup_printf(format, "a", port), *b = g_strdup_printf(format, "b", port);
    struct pair p;

    pair_open(&p, a, b);
    exchange(&p);
    g_assert_cmpuint(p.a.frames, ==, 300);
    g_assert_cmpuint(p.b.frames, ==, 300);
    pair_close(&p);
    g_free(a);
    g_free(b);
}

static void test_hub(void)
{
    struct sink s[3];
    u8 f[100];

    for (unsigned i = 0; i < 3; i++) {
        char text[40];
        snprintf(text, sizeof(text), "hubport,id=p%u,hubid=%u", i, 7u);
        sink_open(&s[i], text);
    }
    struct sink other;
    sink_open(&other, "hubport,id=q,hubid=8");
    fill(f, sizeof(f), 5);
    send_o(&s[1], f, sizeof(f), NULL);
    wait_for(&s[0].frames, 1);
    wait_for(&s[2].frames, 1);
    run_loop();
    g_assert_cmpuint(s[1].frames, ==, 0);
    g_assert_cmpuint(other.frames, ==, 0);
    g_assert_cmpmem(s[2].last->data, s[2].last->len, f, sizeof(f));
    sink_close(&other);
    for (unsigned i = 0; i < 3; i++)
        sink_close(&s[i]);
}

/* A device that is not ready loses nothing; one whose cable is pulled gets nothing. */
static void test_queue(void)
{
    struct sink a, b;
    struct err e;
    u8 f[100];

    sink_open(&a, "hubport,id=a,hubid=1");
    sink_open(&b, "hubport,id=b,hubid=1");
    fill(f, sizeof(f), 9);
    b.closed = true;
    for (unsigned i = 0; i < 200; i++)
        g_assert_true(send_o(&a, f, sizeof(f), NULL));
    run_loop();
    g_assert_cmpuint(b.frames, ==, 0);
    b.closed = false;
    lock_acquire(&b.lock);
    net_receive_ready(b.net);
    lock_release(&b.lock);
    wait_for(&b.frames, 200);

    g_assert_cmpint(net_set_link("b", false, &e), ==, 0);
    g_assert_false(b.link);
    g_assert_false(net_link_up(b.net));
    send_o(&a, f, sizeof(f), NULL);
    run_loop();
    g_assert_cmpuint(b.frames, ==, 200);
    g_assert_false(send_o(&b, f, sizeof(f), NULL));
    g_assert_cmpint(net_set_link("b", true, &e), ==, 0);
    g_assert_cmpint(net_set_link("nobody", true, &e), ==, -1);
    send_o(&a, f, sizeof(f), NULL);
    wait_for(&b.frames, 201);

    /* The queue is bounded, and says when it has room again. */
    unsigned sent = 0;
    while (send_o(&a, f, sizeof(f), NULL))
        sent++;
    g_assert_cmpuint(sent, <, 10000);
    lock_acquire(&a.lock);
    g_assert_false(net_can_send(a.net));
    lock_release(&a.lock);
    wait_for(&a.ready, 1);
    wait_for(&b.frames, 201 + sent);
    sink_close(&a);
    sink_close(&b);
}

/* While the VM is stopped its devices get nothing; what came meanwhile arrives when it goes on. */
static void test_stopped(void)
{
    struct lock vm;
    struct clock *c;
    struct sink a, b;
    u8 f[100] = { 0 };

    lock_init(&vm, "vm-lock", RANK_MACHINE);
    c = clock_new_real(&vm);
    sink_open(&a, "hubport,id=a,hubid=1");
    net_set_clock(c);
    sink_open(&b, "hubport,id=b,hubid=1");
    for (unsigned i = 1; i <= 3; i++) {
        send_o(&a, f, sizeof(f), NULL);
        run_loop();
        g_assert_cmpuint(b.frames, ==, i - 1);
        clock_start(c);
        wait_for(&b.frames, i);
        clock_stop(c);
    }
    net_set_clock(NULL);
    clock_free(c);
    sink_close(&a);
    sink_close(&b);
    lock_fini(&vm);
}

/* netdev_del under a device: the cable is pulled, the device may go on and let go later. */
static void test_delete(void)
{
    struct sink a;
    struct err e;
    u8 f[100] = { 0 };

    sink_open(&a, "hubport,id=a,hubid=1");
    g_assert_cmpint(net_del("a", &e), ==, 0);
    g_assert_cmpuint(a.link_changes, ==, 1);
    g_assert_null(net_find("a"));
    g_assert_false(send_o(&a, f, sizeof(f), NULL));
    run_loop();
    lock_acquire(&a.lock);
    net_detach(a.net);
    lock_release(&a.lock);
    run_loop();
    g_ptr_array_unref(a.all);
    lock_fini(&a.lock);
    g_assert_cmpint(net_del("a", &e), ==, -1);
}

/* -- filter-dump ---------------------------------------------------------------------------------------------------- */

static void test_dump(void)
{
    struct sink a, b;
    struct err e = { "" };
    char *path = g_build_filename(g_get_tmp_dir(), "gemel-dump-XXXXXX", NULL), *text, *data;
    u8 f[100];
    gsize len;

    close(g_mkstemp(path));
    sink_open(&a, "hubport,id=a,hubid=1");
    sink_open(&b, "hubport,id=b,hubid=1");
    text = g_strdup_printf("id=d0,netdev=a,file=%s,maxlen=40", path);
    struct opts *o = opts_parse(text, NULL, &e);
    if (net_filter_add(o, &e) < 0)
        g_error("%s", e.msg);
    g_assert_cmpint(net_filter_add(o, &e), ==, -1); /* the id is taken */
    opts_free(o);
    fill(f, sizeof(f), 2);
    send_o(&a, f, 30, NULL);
    wait_for(&b.frames, 1);
    send_o(&b, f, 100, NULL);
    wait_for(&a.frames, 1);
    g_assert_cmpint(net_filter_del("d0", &e), ==, 0);
    g_assert_cmpint(net_filter_del("d0", &e), ==, -1);
    g_assert_true(g_file_get_contents(path, &data, &len, NULL));
    g_assert_cmpuint(len, ==, 24 + 16 + 30 + 16 + 40);
    g_assert_cmphex(ld32(data), ==, 0xa1b2c3d4);
    g_assert_cmpuint(ld32(data + 24 + 8), ==, 30);
    g_assert_cmpmem(data + 40, 30, f, 30);
    g_assert_cmpuint(ld32(data + 70 + 8), ==, 40);
    g_assert_cmpuint(ld32(data + 70 + 12), ==, 100);
    unlink(path);
    g_free(data);
    g_free(path);
    g_free(text);
    sink_close(&a);
    sink_close(&b);
}

/* -- user ----------------------------------------------------------------------------------------------------------- */

static const u8 guest_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

static void test_user_arp(void)
{
    struct sink s;
    u8 f[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };

    if (!HAVE_SLIRP) {
        g_test_skip("no libslirp");
        return;
    }
    sink_open(&s, "user,id=u,net=10.7.0.0/16,host=10.7.3.4");
    memcpy(f + 6, guest_mac, 6);
    memcpy(f + 22, guest_mac, 6);
    memcpy(f + 28, (const u8[]){ 10, 7, 0, 15 }, 4);
    memcpy(f + 38, (const u8[]){ 10, 7, 3, 4 }, 4);
    send_o(&s, f, sizeof(f), NULL);
    for (bool found = false; !found;) {
        wait_for(&s.frames, s.frames + 1);
        found = s.last->len >= 42 && s.last->data[12] == 8 && s.last->data[13] == 6 && s.last->data[21] == 2;
    }
    g_assert_cmpmem(s.last->data + 28, 4, f + 38, 4);
    g_assert_cmpmem(s.last->data + 32, 6, guest_mac, 6);
    char *info = net_info(s.net);
    g_assert_cmpstr(info, ==, "type=user,net=10.7.0.0,restrict=off");
    g_free(info);
    sink_close(&s);
}

/* A forwarded port is taken while the back end is there, and can be given back and taken again. */
static void test_user_hostfwd(void)
{
    struct sink s;
    struct err e = { "" };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct net_addr any, got;
    socklen_t len = sizeof(got.sa);
    char *rule, *other;
    GString *text = g_string_new(NULL);

    if (!HAVE_SLIRP) {
        g_test_skip("no libslirp");
        return;
    }
    g_assert_cmpint(net_addr_parse("127.0.0.1:0", true, SOCK_STREAM, &any, &e), ==, 0);
    g_assert_cmpint(bind(fd, (void *)&any.sa, any.len), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    g_assert_cmpint(getsockname(fd, (void *)&got.sa, &len), ==, 0);
    got.len = len;
    got.fd = -1;
    net_addr_print(&got, text);
    rule = g_strdup_printf("tcp:%s-:22", text->str);
    other = g_strdup_printf("tcp:%s", text->str);
    sink_open(&s, "user,id=u");
    g_assert_cmpint(net_user_hostfwd_add(NULL, rule, &e), ==, -1);
    g_assert_nonnull(strstr(e.msg, "Address already in use"));
    close(fd);
    g_assert_cmpint(net_user_hostfwd_add("u", rule, &e), ==, 0);
    g_assert_cmpint(net_user_hostfwd_add("u", rule, &e), ==, -1);
    char *info = net_user_info();
    g_assert_nonnull(strstr(info, "HOST_FORWARD"));
    g_free(info);
    g_assert_cmpint(net_user_hostfwd_remove("u", other, &e), ==, 0);
    g_assert_cmpint(net_user_hostfwd_remove("u", other, &e), ==, -1);
    g_free(rule);
    g_free(other);
    g_string_free(text, TRUE);
    sink_close(&s);
}

/* -- options -------------------------------------------------------------------------------------------------------- */

static void test_refused(void)
{
    static const char *const bad[] = {
        "vde,id=x", "l2tpv3,id=x", "vhost-user,id=x", "netmap,id=x", "bridge,id=x", "nonsense,id=x", "user", "user,id=",
        "socket,id=x", "socket,id=x,listen=:0,connect=:1", "socket,id=x,udp=127.0.0.1:1", "socket,id=x,connect=nowhere",
        "socket,id=x,listen=:0,fun=1", "socket,id=x,listen=:99999", "socket,id=x,fd=9999", "socket,id=x,fd=no",
        "stream,id=x", "stream,id=x,addr.type=what", "stream,id=x,addr.type=unix", "stream,id=x,addr.type=unix,addr.path=/nonexistent/s",
        "stream,id=x,server=on,reconnect=1,addr.type=unix,addr.path=/nonexistent/s", "stream,id=x,addr.type=inet,addr.host=127.0.0.1",
        "dgram,id=x", "dgram,id=x,local.type=unix,local.path=/nonexistent/s", "hubport,id=x", "hubport,id=x,hubid=0,netdev=y",
        "hubport,id=x,hubid=-1", "tap,id=x,vhost=on", "tap,id=x,br=br0", "tap,id=x,ifname=anamethatismuchtoolong",
        "tap,id=x,fd=9999", "tap,id=x,fd=0,ifname=y", "tap,id=x,queues=1000",
#if HAVE_SLIRP
        "user,id=x,net=300.1.1.1", "user,id=x,net=10.0.0.0/33", "user,id=x,host=11.0.0.1", "user,id=x,dns=10.0.2.2",
        "user,id=x,hostfwd=tcp:1-2", "user,id=x,hostfwd=tcp::99999-:22", "user,id=x,hostfwd=sctp::22-:22", "user,id=x,hostfwd=tcp::0-:0",
        "user,id=x,guestfwd=tcp:10.0.2.100:1", "user,id=x,guestfwd=udp:10.0.2.100:1-null", "user,id=x,guestfwd=tcp:10.0.2.100:1-chardev:no",
        "user,id=x,smb=/tmp", "user,id=x,tftp=/nonexistent/dir", "user,id=x,ipv4=off,ipv6=off", "user,id=x,restrict=maybe",
        "user,id=x,ipv6-prefix=1.2.3.4", "user,id=x,whatever=1",
#endif
    };

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = { "" };
        struct opts *o = opts_parse(bad[i], "type", &e);
        struct net *n = net_new(o, &e);
        if (n)
            g_error("'%s' was accepted", bad[i]);
        g_assert_cmpstr(e.msg, !=, "");
        g_assert_null(strchr(e.msg, '\n'));
        opts_free(o);
    }
    g_assert_null(net_next(NULL));
}

static void test_macs(void)
{
    u8 a[6] = { 0 }, b[6] = { 0 }, c[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x58 }, d[6] = { 0 };

    net_mac_claim(a);
    net_mac_claim(b);
    net_mac_claim(c);
    net_mac_claim(d);
    g_assert_cmpmem(a, 6, guest_mac, 6);
    g_assert_cmphex(b[5], ==, 0x57);
    g_assert_cmphex(d[5], ==, 0x59);
    net_mac_release(a);
    memset(a, 0, 6);
    net_mac_claim(a);
    g_assert_cmphex(a[5], ==, 0x56);
    net_mac_release(a);
    net_mac_release(b);
    net_mac_release(c);
    net_mac_release(d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_main_context_acquire(NULL);
    g_test_add_func("/net/offload/tso", test_tso);
    g_test_add_func("/net/offload/csum", test_csum);
    g_test_add_func("/net/offload/make-gso", test_make_gso);
    g_test_add_func("/net/offload/long-headers", test_long_headers);
    g_test_add_func("/net/offload/ufo", test_ufo);
    g_test_add_func("/net/offload/malformed", test_malformed);
    g_test_add_func("/net/stream", test_stream);
    g_test_add_func("/net/stream/reconnect", test_reconnect);
    g_test_add_func("/net/stream/bad-peer", test_bad_peer);
    g_test_add_func("/net/dgram", test_dgram);
    g_test_add_func("/net/mcast", test_mcast);
    g_test_add_func("/net/hub", test_hub);
    g_test_add_func("/net/queue", test_queue);
    g_test_add_func("/net/stopped", test_stopped);
    g_test_add_func("/net/delete", test_delete);
    g_test_add_func("/net/dump", test_dump);
    g_test_add_func("/net/user/arp", test_user_arp);
    g_test_add_func("/net/user/hostfwd", test_user_hostfwd);
    g_test_add_func("/net/refused", test_refused);
    g_test_add_func("/net/macs", test_macs);
    return g_test_run();
}
