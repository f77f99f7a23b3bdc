/* virtio-net: frames both ways through a hub whose other port the test holds, mergeable buffers, offload headers, the control queue and its
 * filter, link state, saving. */
#include <glib.h>
#include "hw/backend/net.h"
#include "mmu/dma.h"
#include "tests/lib/virtio_driver.h"
#include "util/opts.h"
#include "util/event.h"

enum { RX = 0, TX = 1, CTRL = 2 };
enum { F_GUEST_CSUM = 1, F_OFFLOADS = 2, F_MTU = 3, F_GUEST_TSO4 = 7, F_MRG = 15, F_STATUS = 16, F_CTRL = 17, F_ANNOUNCE = 21, F_MQ = 22 };
#define ALL (~0ull & ~VDRV_F(VDRV_PACKED) & ~VDRV_F(VDRV_EVENT_IDX))

struct fixture {
    struct fake_machine *f;
    struct vdrv *d;
    struct net *near, *far;
    GPtrArray *got;              /* GByteArray: frames that came out of the far port */
    struct net_offload offload;  /* of the last one */
};

static bool far_can_receive(void *opaque) { return true; }

static void far_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o)
{
    struct fixture *x = opaque;
    GByteArray *a = g_byte_array_new();

    g_byte_array_append(a, frame, len);
    g_ptr_array_add(x->got, a);
    x->offload = *o;
}

static const struct net_dev_ops far_ops = { .can_receive = far_can_receive, .receive = far_receive };

static struct net *port(const char *text)
{
    struct err e = { "" };
    struct opts *o = opts_parse(text, "type", &e);
    struct net *n = net_new(o, &e);

    g_assert_cmpstr(e.msg, ==, "");
    opts_free(o);
    return n;
}

static void setup(struct fixture *x, const char *props)
{
    struct err e;

    memset(x, 0, sizeof(*x));
    x->got = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    x->f = fake_machine_new(1);
    x->near = port("hubport,id=near,hubid=0");
    x->far = port("hubport,id=far,hubid=0");
    g_assert_cmpint(net_attach(x->far, &far_ops, x, NULL, &e), ==, 0);
    net_set_receiver_offloads(x->far, NET_CAN_ALL);
    char *all = g_strdup_printf("netdev=near,packed=on%s%s", props ? "," : "", props ? props : "");
    x->d = vdrv_new(x->f, 0, "virtio-net-device", all);
    g_free(all);
}

static void start(struct fixture *x, u64 want)
{
    vdrv_start(x->d, want, 3, 16);
}

static void turn(struct fixture *x)
{
    for (unsigned i = 0; i < 20; i++) {
        while (g_main_context_iteration(NULL, FALSE))
            ;
        fm_step(x->f, 1000);
    }
}

static void teardown(struct fixture *x)
{
    vdrv_free(x->d);
    net_detach(x->far);
    fake_machine_free(x->f);
    net_free(x->near);
    net_free(x->far);
    g_ptr_array_unref(x->got);
}

static unsigned header(struct fixture *x) { return 12; }

static void make_frame(u8 *f, unsigned len, const u8 *to, u8 fill)
{
    memset(f, fill, len);
    memcpy(f, to, 6);
    memcpy(f + 6, "\x52\x54\x00\xaa\xbb\xcc", 6);
    f[12] = 0x88;
    f[13] = 0xb5; /* local experimental */
}

static const u8 broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void far_send(struct fixture *x, const u8 *f, unsigned len, const struct net_offload *o)
{
    struct iovec iov = { (void *)(uintptr_t)f, len };

    g_assert_true(net_send(x->far, &iov, 1, o));
    turn(x);
}

static u64 give_buffer(struct fixture *x, u32 len)
{
    struct vbuf b = { vdrv_alloc(x->d, len), len, true };

    vdrv_add(x->d, RX, &b, 1, false);
    vdrv_kick(x->d, RX);
    turn(x);
    return b.gpa;
}

/* The next received frame is `f`, in one buffer. */
static void expect_frame(struct fixture *x, u64 gpa, const u8 *f, unsigned len)
{
    u8 *got = g_malloc(header(x) + len);
    u16 id;
    u32 n;

    g_assert_true(vdrv_used(x->d, RX, &id, &n));
    g_assert_cmpuint(n, ==, header(x) + len);
    dma_read(x->f->m.mem, gpa, got, n);
    g_assert_cmpuint(ld16(got + 10), ==, 1);
    g_assert_cmpmem(got + header(x), len, f, len);
    g_free(got);
}

static void expect_none(struct fixture *x)
{
    u16 id;
    u32 n;

    g_assert_false(vdrv_used(x->d, RX, &id, &n));
}

static void guest_send(struct fixture *x, const struct net_offload *o, const u8 *f, unsigned len, unsigned pieces)
{
    u8 h[12] = { 0 };
    struct vbuf b[10];
    u16 id;
    u32 n;

    if (o)
        memcpy(h, o, sizeof(*o));
    b[0] = (struct vbuf){ vdrv_put(x->d, h, header(x)), header(x), false };
    u64 at = vdrv_put(x->d, f, len);
    for (unsigned i = 0; i < pieces; i++)
        b[1 + i] = (struct vbuf){ at + len / pieces * i, i + 1 == pieces ? len - len / pieces * i : len / pieces, false };
    vdrv_add(x->d, TX, b, 1 + pieces, false);
    vdrv_kick(x->d, TX);
    g_assert_true(vdrv_used(x->d, TX, &id, &n));
    turn(x);
}

static void test_both_ways(void)
{
    static const u64 flavours[] = { 0, VDRV_F(F_MRG), ALL, ~0ull };
    u8 f[1514];
    for (unsigned k = 0; k < ARRAY_LEN(flavours); k++) {
        struct fixture x;
        setup(&x, NULL);
        start(&x, flavours[k]);
        for (unsigned i = 0; i < 40; i++) {
            unsigned len = 60 + i * 36;
            make_frame(f, len, broadcast, i);
            guest_send(&x, NULL, f, len, 1 + i % 4);
            g_assert_cmpuint(x.got->len, ==, i + 1);
            GByteArray *a = g_ptr_array_index(x.got, i);
            g_assert_cmpmem(a->data, a->len, f, len);
            if (flavours[k] & VDRV_F(F_CTRL)) { /* promiscuous until told otherwise */
                static const u8 other[6] = { 2, 0, 0, 0, 0, 9 };
                make_frame(f, len, other, i);
            }
            u64 gpa = give_buffer(&x, 1526);
            far_send(&x, f, len, NULL);
            expect_frame(&x, gpa, f, len);
            expect_none(&x);
            if (i == 17)
                vdrv_save_load(x.d);
        }
        teardown(&x);
    }
}

/* Frames wait in the back end until there are buffers, and a big one takes several. */
static void test_mergeable(void)
{
    struct fixture x;
    u8 *f = g_malloc(9000), *got = g_malloc0(9012);
    unsigned n = 0, done = 0;
    u64 at[10];
    u16 id;
    u32 len;
    setup(&x, NULL);
    start(&x, ALL);
    make_frame(f, 9000, broadcast, 0);
    for (unsigned i = 14; i < 9000; i++)
        f[i] = i * 7;
    struct net_offload o = { .gso_type = NET_GSO_TCPV4, .flags = NET_F_NEEDS_CSUM, .hdr_len = 54, .gso_size = 1460, .csum_start = 34,
                             .csum_offset = 16 };
    far_send(&x, f, 9000, &o); /* no buffers at all */
    expect_none(&x);
    for (unsigned i = 0; i < 10; i++) {
        expect_none(&x);
        at[i] = give_buffer(&x, 1000);
    }
    while (vdrv_used(x.d, RX, &id, &len)) {
        g_assert_cmpuint(len, ==, n < 9 ? 1000 : 12);
        dma_read(x.f->m.mem, at[n++], got + done, len);
        done += len;
    }
    g_assert_cmpuint(n, ==, 10);
    g_assert_cmpuint(done, ==, 9012);
    g_assert_cmpmem(got, 10, &o, 10);
    g_assert_cmpuint(ld16(got + 10), ==, 10);
    g_assert_cmpmem(got + 12, 9000, f, 9000);
    u64 gpa = give_buffer(&x, 1526);
    far_send(&x, f, 60, NULL);
    expect_frame(&x, gpa, f, 60);
    g_free(f);
    g_free(got);
    teardown(&x);
}

static void test_offloads_out(void)
{
    struct fixture x;
    u8 f[4000];
    struct net_offload o = { .flags = NET_F_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4, .hdr_len = 54, .gso_size = 1000, .csum_start = 34,
                             .csum_offset = 16 };
    setup(&x, NULL);
    start(&x, ALL);
    make_frame(f, sizeof(f), broadcast, 1);
    memcpy(f + 12, "\x08\x00\x45\x00\x0f\x92\x00\x00\x40\x00\x40\x06\x00\x00\x0a\x00\x02\x0f\x0a\x00\x02\x02", 22);
    f[46] = 0x50; /* TCP header of 20 bytes */
    guest_send(&x, &o, f, sizeof(f), 3);
    g_assert_cmpuint(x.got->len, ==, 1);
    g_assert_cmpmem(&x.offload, sizeof(o), &o, sizeof(o));
    teardown(&x);
}

/* -- the control queue -- */

static u8 control(struct fixture *x, u8 class, u8 cmd, const void *data, u32 len)
{
    u8 h[2] = { class, cmd }, ack = 0xee;
    struct vbuf b[3] = { { vdrv_put(x->d, h, 2), 2, false }, { vdrv_put(x->d, data, len), len, false }, { vdrv_put(x->d, &ack, 1), 1, true } };
    u16 id;
    u32 n;

    if (!len)
        b[1] = b[2];
    vdrv_add(x->d, CTRL, b, len ? 3 : 2, false);
    vdrv_kick(x->d, CTRL);
    g_assert_true(vdrv_used(x->d, CTRL, &id, &n));
    g_assert_cmpuint(n, ==, 1);
    dma_read(x->f->m.mem, b[2].gpa, &ack, 1);
    return ack;
}

static bool arrives(struct fixture *x, const u8 to[6], int vlan)
{
    u8 f[64];
    u16 id;
    u32 n;

    make_frame(f, 64, to, 0);
    if (vlan >= 0) {
        f[12] = 0x81;
        f[13] = 0;
        f[14] = vlan >> 8;
        f[15] = vlan;
    }
    give_buffer(x, 1526);
    far_send(x, f, 64, NULL);
    return vdrv_used(x->d, RX, &id, &n);
}

static void test_filter(void)
{
    static const u8 mine[6] = { 0x52, 0x54, 0, 1, 2, 3 }, other[6] = { 0x52, 0x54, 0, 1, 2, 4 }, multi[6] = { 1, 0, 0x5e, 0, 0, 5 };
    struct fixture x;
    setup(&x, "mac=52:54:00:01:02:03");
    start(&x, ALL);
    for (unsigned i = 0; i < 6; i++)
        g_assert_cmpuint(vdrv_config(x.d, i, 1), ==, mine[i]);
    g_assert_true(arrives(&x, other, -1));
    g_assert_cmpuint(control(&x, 0, 0, "\0", 1), ==, 0); /* promiscuous off */
    g_assert_true(arrives(&x, mine, -1));
    g_assert_true(arrives(&x, broadcast, -1));
    g_assert_false(arrives(&x, other, -1));
    g_assert_false(arrives(&x, multi, -1));
    g_assert_false(arrives(&x, mine, 7));
    u16 vlan = 7;
    g_assert_cmpuint(control(&x, 2, 0, &vlan, 2), ==, 0);
    g_assert_true(arrives(&x, mine, 7));
    g_assert_false(arrives(&x, mine, 8));
    g_assert_cmpuint(control(&x, 2, 1, &vlan, 2), ==, 0);
    g_assert_false(arrives(&x, mine, 7));
    u8 table[8 + 12] = { 1, 0, 0, 0 };
    memcpy(table + 4, other, 6);
    table[10] = 1;
    memcpy(table + 14, multi, 6);
    g_assert_cmpuint(control(&x, 1, 0, table, sizeof(table)), ==, 0);
    vdrv_save_load(x.d);
    g_assert_true(arrives(&x, other, -1));
    g_assert_true(arrives(&x, multi, -1));
    g_assert_cmpuint(control(&x, 0, 3, "\1", 1), ==, 0); /* no multicast */
    g_assert_false(arrives(&x, multi, -1));
    g_assert_cmpuint(control(&x, 0, 5, "\1", 1), ==, 0); /* no broadcast */
    g_assert_false(arrives(&x, broadcast, -1));
    g_assert_cmpuint(control(&x, 1, 0, "\0\0\0\0\0\0\0\0", 8), ==, 0);
    g_assert_cmpuint(control(&x, 1, 1, other, 6), ==, 0); /* a new address */
    g_assert_true(arrives(&x, other, -1));
    g_assert_false(arrives(&x, mine, -1));
    u8 *many = g_malloc0(8 + 6 * 100);
    st32(many, 100);
    g_assert_cmpuint(control(&x, 1, 0, many, 8 + 600), ==, 0); /* more than the table holds */
    g_assert_true(arrives(&x, mine, -1));
    g_free(many);
    teardown(&x);
}

static unsigned told; /* NIC_RX_FILTER_CHANGED */

static void on_event(void *opaque, const char *name, const struct event_member *m)
{
    told += !strcmp(name, "NIC_RX_FILTER_CHANGED");
}

/* What query-rx-filter shows, and the event that says when to look. */
static void test_filter_told(void)
{
    static const u8 other[6] = { 0x52, 0x54, 0, 1, 2, 4 };
    struct net_rx_filter flt;
    struct fixture x;
    setup(&x, "mac=52:54:00:01:02:03");
    start(&x, ALL);
    told = 0;
    event_set_sink(on_event, NULL);
    g_assert_false(net_rx_filter(x.far, &flt));
    g_assert_true(net_rx_filter(x.near, &flt));
    g_assert_true(flt.promisc && flt.broadcast);
    g_assert_cmpuint(flt.vlan, ==, NET_RX_NORMAL);
    g_assert_cmpuint(flt.main_mac[5], ==, 3);
    g_assert_cmpuint(control(&x, 0, 0, "\0", 1), ==, 0);
    g_assert_cmpuint(control(&x, 0, 1, "\1", 1), ==, 0);
    g_assert_cmpuint(control(&x, 0, 0x77, "\1", 1), ==, 1); /* refused: nothing changed */
    g_assert_cmpuint(told, ==, 1);
    u8 table[8 + 6] = { 1, 0, 0, 0 };
    u16 vlan = 9;
    memcpy(table + 4, other, 6);
    g_assert_cmpuint(control(&x, 1, 0, table, sizeof(table)), ==, 0);
    g_assert_cmpuint(control(&x, 2, 0, &vlan, 2), ==, 0);
    g_assert_true(net_rx_filter(x.near, &flt));
    g_assert_false(flt.promisc);
    g_assert_cmpuint(flt.multicast, ==, NET_RX_ALL);
    g_assert_cmpuint(flt.unicast, ==, NET_RX_NORMAL);
    g_assert_cmpuint(flt.n_uni, ==, 1);
    g_assert_cmpmem(flt.uni[0], 6, other, 6);
    g_assert_cmphex(flt.vlans[1], ==, 2);
    g_assert_cmpuint(control(&x, 0, 4, "\1", 1), ==, 0); /* no unicast */
    g_assert_cmpuint(told, ==, 2);
    g_assert_true(net_rx_filter(x.near, &flt));
    g_assert_cmpuint(flt.unicast, ==, NET_RX_NONE);
    event_set_sink(NULL, NULL);
    teardown(&x);
}

static void test_bad_commands(void)
{
    static const struct { u8 class, cmd; const char *data; u32 len; } bad[] = {
        { 0, 6, "\1", 1 }, { 0, 0, "", 0 }, { 1, 1, "12345", 5 }, { 1, 1, "1234567", 7 }, { 1, 2, "", 0 }, { 1, 0, "\xff\xff\xff\xff", 4 },
        { 1, 0, "\2\0\0\0abcdef\0\0\0\0", 14 }, { 2, 0, "\0\x10", 2 }, { 2, 2, "\0\0", 2 }, { 2, 0, "\0", 1 }, { 3, 1, "", 0 },
        { 4, 0, "\1\0", 2 } /* there is no MQ */, { 5, 0, "\0\0\0\0", 4 }, { 5, 0, "\xff\xff\xff\xff\xff\xff\xff\xff", 8 }, { 6, 0, "", 0 },
        { 255, 255, "xx", 2 },
    };
    struct fixture x;
    setup(&x, NULL);
    start(&x, ALL);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        g_assert_cmpuint(control(&x, bad[i].class, bad[i].cmd, bad[i].data, bad[i].len), ==, 1);
    g_assert_cmphex(vdrv_status(x.d), ==, 15);
    struct vbuf b = { vdrv_alloc(x.d, 16), 16, true };
    vdrv_add(x.d, CTRL, &b, 1, false);
    vdrv_kick(x.d, CTRL);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    teardown(&x);
}

static void test_link(void)
{
    struct fixture x;
    struct err e;
    setup(&x, "host_mtu=1400");
    start(&x, ALL);
    g_assert_cmpuint(vdrv_config(x.d, 6, 2), ==, 1);
    g_assert_cmpuint(vdrv_config(x.d, 8, 2), ==, 1);
    g_assert_cmpuint(vdrv_config(x.d, 10, 2), ==, 1400);
    vdrv_isr(x.d);
    g_assert_cmpint(net_set_link("near", false, &e), ==, 0);
    g_assert_cmphex(vdrv_isr(x.d), ==, 2);
    g_assert_cmpuint(vdrv_config(x.d, 6, 2), ==, 0);
    g_assert_cmpint(net_set_link("near", true, &e), ==, 0);
    g_assert_cmphex(vdrv_isr(x.d), ==, 2);
    g_assert_cmpuint(vdrv_config(x.d, 6, 2), ==, 3); /* up, and announce yourself */
    g_assert_cmpuint(control(&x, 3, 0, NULL, 0), ==, 0);
    g_assert_cmpuint(vdrv_config(x.d, 6, 2), ==, 1);
    u64 off = 2; /* checksums only */
    g_assert_cmpuint(control(&x, 5, 0, &off, 8), ==, 0);
    teardown(&x);
}

static void test_malformed(void)
{
    struct fixture x;
    u64 mem;
    setup(&x, NULL);
    start(&x, ALL);
    mem = vdrv_alloc(x.d, 4096);
    struct vbuf b[2] = { { mem, 11, false }, { mem + 64, 64, true } };
    vdrv_add(x.d, TX, b, 1, false); /* shorter than a header */
    vdrv_kick(x.d, TX);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    start(&x, ALL);
    b[0].len = 64;
    vdrv_add(x.d, TX, b, 2, false); /* with a writable buffer */
    vdrv_kick(x.d, TX);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    start(&x, ALL);
    b[1].len = 8;
    vdrv_add(x.d, RX, b + 1, 1, false); /* no room for a header */
    for (unsigned i = 0; i < 8; i++)
        give_buffer(&x, 1526);
    u8 f[64];
    make_frame(f, 64, broadcast, 0);
    far_send(&x, f, 64, NULL);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    fm_reset(x.f);
    start(&x, 0);
    u64 gpa = give_buffer(&x, 1526);
    far_send(&x, f, 64, NULL);
    expect_frame(&x, gpa, f, 64);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-net/both-ways", test_both_ways);
    g_test_add_func("/virtio-net/mergeable", test_mergeable);
    g_test_add_func("/virtio-net/offloads-out", test_offloads_out);
    g_test_add_func("/virtio-net/filter", test_filter);
    g_test_add_func("/virtio-net/filter-told", test_filter_told);
    g_test_add_func("/virtio-net/bad-commands", test_bad_commands);
    g_test_add_func("/virtio-net/link", test_link);
    g_test_add_func("/virtio-net/malformed", test_malformed);
    return g_test_run();
}
