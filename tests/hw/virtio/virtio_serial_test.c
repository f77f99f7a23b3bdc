/* virtio-serial: ports by the control queue, output and input of consoles and named ports, flow control against a slow peer, plugging,
 * drivers without MULTIPORT, saving with input and messages that wait. */
#include <glib.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mmu/dma.h"
#include "tests/lib/fake_chr.h"
#include "tests/lib/virtio_driver.h"

enum { C_RX = 2, C_TX = 3 };
enum { READY = 0, ADD = 1, REMOVE = 2, PORT_READY = 3, CONSOLE = 4, OPEN = 6, NAME = 7 };
#define ALL (~0ull & ~VDRV_F(VDRV_PACKED))

struct fixture {
    struct fake_machine *f;
    struct vdrv *d;
    struct chr *con, *ser;
    u64 control[4096];
};

static void setup(struct fixture *x, u64 want, const char *props)
{
    memset(x, 0, sizeof(*x));
    x->f = fake_machine_new(1);
    x->con = fake_chr_new("con");
    x->ser = fake_chr_new("ser");
    x->d = vdrv_new(x->f, 0, "virtio-serial-device", props);
    fake_device(x->f, "virtconsole", "chardev=con");
    fake_device(x->f, "virtserialport", "chardev=ser,name=org.example");
    vdrv_start(x->d, want, 8, 32);
}

static void teardown(struct fixture *x)
{
    vdrv_free(x->d);
    fake_machine_free(x->f);
    chr_free_all();
}

static void turn(struct fixture *x)
{
    for (unsigned i = 0; i < 3; i++) {
        while (g_main_context_iteration(NULL, FALSE))
            ;
        fm_step(x->f, 1000);
    }
}

static void say(struct fixture *x, u32 id, u16 event, u16 value)
{
    struct { u32 id; u16 event, value; } m = { id, event, value };
    struct vbuf b = { vdrv_put(x->d, &m, 8), 8, false };
    u16 got;
    u32 len;

    vdrv_add(x->d, C_TX, &b, 1, false);
    vdrv_kick(x->d, C_TX);
    g_assert_true(vdrv_used(x->d, C_TX, &got, &len));
    turn(x);
}

static void give(struct fixture *x, unsigned queue, u32 len)
{
    struct vbuf b = { vdrv_alloc(x->d, len), len, true };
    u16 id = vdrv_add(x->d, queue, &b, 1, false);

    x->control[queue * 64 + id] = b.gpa;
    vdrv_kick(x->d, queue);
    turn(x);
}

/* The next filled buffer of the queue, as text. NULL: there is none. */
static char *take(struct fixture *x, unsigned queue)
{
    u16 id;
    u32 len;

    if (!vdrv_used(x->d, queue, &id, &len))
        return NULL;
    char *s = g_malloc0(len + 1);
    dma_read(x->f->m.mem, x->control[queue * 64 + id], s, len);
    return s;
}

static void expect_control(struct fixture *x, u32 id, u16 event, u16 value, const char *name)
{
    char *m = take(x, C_RX);

    g_assert_nonnull(m);
    g_assert_cmpuint(ld32(m), ==, id);
    g_assert_cmpuint(ld16(m + 4), ==, event);
    g_assert_cmpuint(ld16(m + 6), ==, value);
    g_assert_cmpstr(m + 8, ==, name ? name : "");
    g_free(m);
}

static void expect_input(struct fixture *x, unsigned queue, const char *text)
{
    char *got = take(x, queue);

    g_assert_cmpstr(got, ==, text);
    g_free(got);
}

static void output(struct fixture *x, unsigned queue, const char *text)
{
    unsigned half = strlen(text) / 2;
    u64 at = vdrv_put(x->d, text, strlen(text));
    struct vbuf b[2] = { { at, half, false }, { at + half, strlen(text) - half, false } };
    u16 id;
    u32 len;

    vdrv_add(x->d, queue, b, 2, false);
    vdrv_kick(x->d, queue);
    g_assert_true(vdrv_used(x->d, queue, &id, &len));
}

static void introduce(struct fixture *x)
{
    for (unsigned i = 0; i < 16; i++)
        give(x, C_RX, 64);
    say(x, 0, READY, 1);
    expect_control(x, 0, ADD, 1, NULL);
    expect_control(x, 1, ADD, 1, NULL);
    say(x, 0, PORT_READY, 1);
    expect_control(x, 0, CONSOLE, 1, NULL);
    expect_control(x, 0, OPEN, 1, NULL);
    say(x, 1, PORT_READY, 1);
    expect_control(x, 1, NAME, 1, "org.example");
    expect_control(x, 1, OPEN, 1, NULL);
    g_assert_null(take(x, C_RX));
}

static void test_ports(void)
{
    static const u64 flavours[] = { VDRV_F(1), ALL };
    for (unsigned k = 0; k < ARRAY_LEN(flavours); k++) {
        struct fixture x;
        setup(&x, flavours[k], NULL);
        g_assert_cmpuint(vdrv_config(x.d, 4, 4), ==, 31);
        introduce(&x);
        output(&x, 1, "on the console");
        g_assert_cmpstr(fake_chr_output(x.con), ==, "on the console");
        output(&x, 5, "on the port");
        g_assert_cmpstr(fake_chr_output(x.ser), ==, "on the port");
        give(&x, 0, 8);
        give(&x, 4, 4);
        g_assert_cmpuint(fake_chr_input(x.con, "too early"), ==, 0); /* nobody has opened it */
        say(&x, 0, OPEN, 1);
        say(&x, 1, OPEN, 1);
        g_assert_cmpuint(fake_chr_input(x.con, "keys"), ==, 4);
        expect_input(&x, 0, "keys");
        g_assert_cmpuint(fake_chr_input(x.con, "no buffer"), ==, 0);
        g_assert_cmpuint(fake_chr_input(x.ser, "0123456789"), ==, 10); /* more than the buffer holds */
        expect_input(&x, 4, "0123");
        g_assert_cmpuint(fake_chr_input(x.ser, "x"), ==, 0);
        vdrv_restore(x.d);
        give(&x, 4, 4);
        expect_input(&x, 4, "4567");
        give(&x, 4, 4);
        give(&x, 4, 4);
        expect_input(&x, 4, "89");
        g_assert_cmpuint(fake_chr_input(x.ser, "more"), ==, 4);
        expect_input(&x, 4, "more");
        say(&x, 1, OPEN, 0);
        give(&x, 4, 4);
        g_assert_cmpuint(fake_chr_input(x.ser, "closed"), ==, 0);
        teardown(&x);
    }
}

static void test_peer_comes_and_goes(void)
{
    struct fixture x;
    setup(&x, ALL, NULL);
    introduce(&x);
    fake_chr_event(x.ser, CHR_CLOSED);
    expect_control(&x, 1, OPEN, 0, NULL);
    fake_chr_event(x.ser, CHR_OPENED);
    expect_control(&x, 1, OPEN, 1, NULL);
    fake_chr_event(x.con, CHR_CLOSED); /* a console is always there */
    g_assert_null(take(&x, C_RX));
    teardown(&x);
}

/* Messages wait for buffers, and survive a save. */
static void test_waiting_messages(void)
{
    struct fixture x;
    setup(&x, ALL, NULL);
    say(&x, 0, READY, 1);
    vdrv_restore(x.d);
    give(&x, C_RX, 64);
    expect_control(&x, 0, ADD, 1, NULL);
    g_assert_null(take(&x, C_RX));
    give(&x, C_RX, 64);
    expect_control(&x, 1, ADD, 1, NULL);
    for (unsigned i = 0; i < 20000; i++)
        say(&x, 0, READY, 1); /* a driver that asks and does not listen */
    g_assert_cmphex(vdrv_status(x.d), ==, 15);
    teardown(&x);
}

static void test_without_multiport(void)
{
    struct fixture x;
    setup(&x, 0, NULL);
    give(&x, 0, 64);
    g_assert_cmpuint(fake_chr_input(x.con, "keys"), ==, 4);
    expect_input(&x, 0, "keys");
    output(&x, 1, "out");
    g_assert_cmpstr(fake_chr_output(x.con), ==, "out");
    vdrv_config_set(x.d, 8, '!', 4);
    g_assert_cmpstr(fake_chr_output(x.con), ==, "!");
    vdrv_config_set(x.d, 4, '!', 4);
    teardown(&x);
}

static void test_nonsense(void)
{
    struct fixture x;
    setup(&x, ALL, NULL);
    introduce(&x);
    say(&x, 0xffffffff, PORT_READY, 1);
    say(&x, 31, OPEN, 1);
    say(&x, 2, OPEN, 1);
    say(&x, 1, 77, 1);
    say(&x, 1, ADD, 1);
    say(&x, 1, PORT_READY, 0);
    u16 id;
    u32 len;
    struct vbuf b = { vdrv_alloc(x.d, 16), 3, false };
    vdrv_add(x.d, C_TX, &b, 1, false); /* a short message */
    vdrv_kick(x.d, C_TX);
    g_assert_true(vdrv_used(x.d, C_TX, &id, &len));
    b.write = true;
    vdrv_add(x.d, 1, &b, 1, false); /* output that is writable */
    vdrv_kick(x.d, 1);
    g_assert_true(vdrv_used(x.d, 1, &id, &len));
    for (unsigned i = 0; i < 20; i++)
        output(&x, 7, "a port that is not there");
    g_assert_null(take(&x, C_RX));
    g_assert_cmphex(vdrv_status(x.d), ==, 15);
    teardown(&x);
}

static void test_plugging(void)
{
    struct fixture x;
    struct err e;
    setup(&x, ALL, NULL);
    introduce(&x);
    struct device *p = fake_device(x.f, "virtserialport", "nr=2,name=late");
    lock_acquire(&x.f->m.lock);
    g_assert_cmpint(p->bus->ops->plugged(p->bus, p, &e), ==, 0);
    lock_release(&x.f->m.lock);
    expect_control(&x, 2, ADD, 1, NULL);
    say(&x, 2, PORT_READY, 1);
    expect_control(&x, 2, NAME, 1, "late");
    g_assert_null(take(&x, C_RX)); /* it has no back end to be open */
    p->user_made = true;
    lock_acquire(&x.f->m.lock);
    g_assert_cmpint(device_del(p, &e), ==, 0);
    lock_release(&x.f->m.lock);
    expect_control(&x, 2, REMOVE, 1, NULL);
    static const struct { const char *cls, *props, *text; } bad[] = {
        { "virtserialport", "nr=0", "*reserved for virtconsole*" }, { "virtserialport", "nr=31", "*ports 0 to 30*" },
        { "virtserialport", "nr=1", "*taken*" }, { "virtserialport", "name=org.example", "*exists already*" },
        { "virtconsole", "nr=0", "*taken*" },
    };
    lock_acquire(&x.f->m.lock);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        g_assert_null(device_create(&x.f->m, bad[i].cls, NULL, bad[i].props, &e));
        g_assert_true(g_pattern_match_simple(bad[i].text, e.msg));
    }
    for (unsigned i = 2; i < 31; i++)
        g_assert_nonnull(device_create(&x.f->m, "virtserialport", NULL, NULL, &e));
    g_assert_null(device_create(&x.f->m, "virtserialport", NULL, NULL, &e));
    g_assert_true(g_pattern_match_simple("*no free port*", e.msg));
    lock_release(&x.f->m.lock);
    teardown(&x);
}

/* A pipe that nobody reads: the driver's buffers, chains of one piece with `size` bytes, stay with the device until there is room. */
static void slow_peer(unsigned size, unsigned chains)
{
    struct fake_machine *f = fake_machine_new(1);
    char *dir = g_dir_make_tmp("gemel-serial-XXXXXX", NULL), *path = g_build_filename(dir, "pipe", NULL), *spec = g_strdup_printf("pipe:%s", path);
    struct err e = { "" };
    u64 total = (u64)size * chains, got = 0;
    unsigned used = 0;
    u8 *data = g_malloc(size), back[4096];
    u16 id;
    u32 len;
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    int fd = open(path, O_RDWR | O_NONBLOCK);
    struct chr *slow = chr_new("slow", spec, &e);
    g_assert_nonnull(slow);
    struct vdrv *d = vdrv_new(f, 0, "virtio-serial-device", NULL);
    fake_device(f, "virtconsole", "chardev=slow");
    vdrv_start(d, 0, 2, 128);
    for (unsigned i = 0; i < size; i++)
        data[i] = i * 13 + (i >> 8);
    struct vbuf b = { vdrv_put(d, data, size), size, false };
    for (unsigned i = 0; i < chains; i++) {
        vdrv_add(d, 1, &b, 1, false);
        vdrv_kick(d, 1);
    }
    while (vdrv_used(d, 1, &id, &len))
        used++;
    g_assert_cmpuint(used, <, chains); /* 64 KiB in the pipe, not much more in the back end, the rest waits */
    g_assert_cmpuint(chr_pending(slow), <=, 128 * KiB);
    i64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    while (got < total && g_get_monotonic_time() < end) {
        ssize_t n = read(fd, back, sizeof(back));
        for (ssize_t i = 0; i < n; i++)
            g_assert_cmphex(back[i], ==, data[(got + i) % size]);
        got += n > 0 ? n : 0;
        g_main_context_iteration(NULL, FALSE);
        fm_step(f, 1000);
        while (vdrv_used(d, 1, &id, &len))
            used++;
    }
    g_assert_cmpuint(got, ==, total);
    g_assert_cmpuint(used, ==, chains);
    vdrv_free(d);
    fake_machine_free(f);
    chr_free_all();
    close(fd);
    unlink(path);
    rmdir(dir);
    g_free(data);
    g_free(spec);
    g_free(path);
    g_free(dir);
}

static void test_slow_peer(void)
{
    slow_peer(4096, 100);
    slow_peer(700 * KiB, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-serial/ports", test_ports);
    g_test_add_func("/virtio-serial/peer", test_peer_comes_and_goes);
    g_test_add_func("/virtio-serial/waiting-messages", test_waiting_messages);
    g_test_add_func("/virtio-serial/without-multiport", test_without_multiport);
    g_test_add_func("/virtio-serial/nonsense", test_nonsense);
    g_test_add_func("/virtio-serial/plugging", test_plugging);
    g_test_add_func("/virtio-serial/slow-peer", test_slow_peer);
    return g_test_run();
}
