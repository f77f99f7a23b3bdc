/* Tests ui/vnc*.c: sessions of a small client written from RFC 6143 over a unix socket: picture, updates, a change of size, keys, pointer,
 * passwords, sharing, a websocket handshake, and clients that send nonsense. */
#include "ui/vnc.h"
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "config.h"
#include "tests/lib/fake_screen.h"
#include "ui/display.h"
#include "ui/json.h"

#if HAVE_VNC
#include <arpa/inet.h>
#include <rfb/rfb.h>

struct fixture {
    struct fake_machine *f;
    struct fake_screen *s;
    struct ui ui;
    struct display_options o;
    struct display d;
    char *dir, *path;
    struct err e;
};

static struct fixture *start(const char *options)
{
    struct fixture *x = g_new0(struct fixture, 1);
    char *arg;
    x->dir = g_dir_make_tmp("gemel-vnc-XXXXXX", NULL);
    x->path = g_build_filename(x->dir, "vnc", NULL);
    x->f = fake_machine_new(1);
    x->s = fake_screen_new(x->f, 320, 200);
    x->s->color = 0x102030;
    x->o.vnc = g_ptr_array_new_with_free_func(g_free);
    arg = g_strdup_printf("unix:%s%s", x->path, options);
    g_ptr_array_add(x->o.vnc, arg);
    if (display_start(&x->d, &x->ui, &x->f->m, &x->o, &x->e) < 0)
        g_error("%s", x->e.msg);
    return x;
}

static void end(struct fixture *x)
{
    display_stop(&x->d);
    g_assert_false(x->s->watched);
    g_assert_cmpint(g_access(x->path, F_OK), ==, -1);
    fake_screen_free(x->s);
    fake_machine_free(x->f);
    g_ptr_array_unref(x->o.vnc);
    g_rmdir(x->dir);
    g_free(x->dir);
    g_free(x->path);
    g_free(x);
}

/* -- the client ------------------------------------------------------------------------------------------------------- */

struct client {
    struct fixture *x;
    int fd;
    bool closed;
    u8 security;
    int width, height;
    u32 *fb;
    unsigned rects;
    bool ext_keys, resized;
};

/* Runs the main loop until n bytes are there; false if the server has hung up. Fails after 10 s. */
static bool get(struct client *c, void *buf, size_t n)
{
    i64 until = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;
    for (size_t have = 0; have < n;) {
        ssize_t r = recv(c->fd, (u8 *)buf + have, n - have, MSG_DONTWAIT);
        if (r > 0) {
            have += (size_t)r;
            continue;
        }
        if (r == 0 || (errno != EAGAIN && errno != EINTR)) {
            c->closed = true;
            return false;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        if (!g_main_context_iteration(NULL, FALSE))
            poll(&(struct pollfd){ .fd = c->fd, .events = POLLIN }, 1, 1);
    }
    return true;
}

static void put(struct client *c, const void *buf, size_t n) { g_assert_cmpint(send(c->fd, buf, n, MSG_NOSIGNAL), ==, n); }

static u16 get16(struct client *c)
{
    u16 v = 0;
    g_assert_true(get(c, &v, 2));
    return ntohs(v);
}

static u32 get32(struct client *c)
{
    u32 v = 0;
    g_assert_true(get(c, &v, 4));
    return ntohl(v);
}

static struct client *connect_raw(struct fixture *x)
{
    struct client *c = g_new0(struct client, 1);
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    c->x = x;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(a.sun_path, x->path, sizeof(a.sun_path));
    g_assert_cmpint(connect(c->fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
    return c;
}

static void hang_up(struct client *c)
{
    close(c->fd);
    g_free(c->fb);
    g_free(c);
}

/* Protocol version and security type; with a password, the answer. Returns the server's verdict. */
static u32 authenticate(struct client *c, const char *password)
{
    char version[12], challenge[16], key[9] = "";
    u8 n, types[16];
    g_assert_true(get(c, version, 12));
    g_assert_cmpmem(version, 12, "RFB 003.008\n", 12);
    put(c, version, 12);
    g_assert_true(get(c, &n, 1));
    g_assert_cmpuint(n, ==, 1);
    g_assert_true(get(c, types, n));
    c->security = types[0];
    put(c, types, 1);
    if (c->security == 2) {
        g_assert_true(get(c, challenge, 16));
        g_strlcpy(key, password ? password : "", sizeof(key));
        rfbEncryptBytes((u8 *)challenge, key);
        put(c, challenge, 16);
    }
    return get32(c);
}

static void client_init(struct client *c)
{
    static const u8 shared = 1, encodings[] = { 2, 0, 0, 3, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xff, 0xff, 0xfe, 0xfe };
    u8 format[16];
    u32 n;
    char name[64] = "";
    put(c, &shared, 1);
    c->width = get16(c);
    c->height = get16(c);
    g_assert_true(get(c, format, 16));
    g_assert_cmpuint(format[0], ==, 32);
    n = get32(c);
    g_assert_true(get(c, name, n));
    g_assert_cmpstr(name, ==, "Gemel");
    c->fb = g_new0(u32, c->width * c->height);
    put(c, encodings, sizeof(encodings)); /* raw, DesktopSize (-223), extended keys (-258) */
}

static struct client *client_new(struct fixture *x)
{
    struct client *c = connect_raw(x);
    g_assert_cmpuint(authenticate(c, NULL), ==, 0);
    client_init(c);
    return c;
}

static void ask(struct client *c, u8 incremental)
{
    const u8 m[10] = { 3, incremental, 0, 0, 0, 0, c->width >> 8, c->width, c->height >> 8, c->height };
    put(c, m, sizeof(m));
}

static void rect(struct client *c)
{
    u16 px = get16(c), py = get16(c), w = get16(c), h = get16(c);
    i32 encoding = get32(c);
    c->rects++;
    if (encoding == 0) {
        g_assert_true(px + w <= c->width && py + h <= c->height);
        for (unsigned y = 0; y < h; y++)
            g_assert_true(get(c, c->fb + (py + y) * c->width + px, 4 * w));
    } else if (encoding == -223) {
        c->resized = true;
        c->width = w;
        c->height = h;
        c->fb = g_renew(u32, c->fb, w * h);
    } else {
        g_assert_cmpint(encoding, ==, -258);
        c->ext_keys = true;
    }
}

static void take_update(struct client *c)
{
    u8 head[2];
    g_assert_true(get(c, head, 2));
    g_assert_cmpuint(head[0], ==, 0);
    for (u16 n = get16(c); n; n--)
        rect(c);
}

/* Asks for updates until the dot has the colour. */
static void until(struct client *c, int px, int py, u32 color)
{
    for (unsigned i = 0; i < 20; i++) {
        if (px < c->width && py < c->height && (c->fb[py * c->width + px] & 0xffffff) == color)
            return;
        ask(c, 1);
        take_update(c);
    }
    g_assert_cmphex(c->fb[py * c->width + px] & 0xffffff, ==, color);
}

static void key(struct client *c, u32 sym, u8 down)
{
    const u8 m[8] = { 4, down, 0, 0, sym >> 24, sym >> 16, sym >> 8, sym };
    put(c, m, sizeof(m));
}

static gboolean on_late(gpointer late)
{
    *(bool *)late = true;
    return G_SOURCE_CONTINUE;
}

static void wait_keys(struct fixture *x, unsigned n)
{
    bool late = false;
    guint limit = g_timeout_add_seconds(10, on_late, &late);
    while (x->s->n_keys < n) {
        g_assert_false(late);
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(limit);
}

/* -- tests ------------------------------------------------------------------------------------------------------------ */

static void test_picture(void)
{
    struct fixture *x = start("");
    g_assert_false(x->s->watched); /* nobody looks, nothing is drawn */
    g_assert_cmpuint(x->s->updates, ==, 0);
    struct client *c = client_new(x);
    g_assert_true(x->s->watched);
    g_assert_cmpint(c->width, ==, 320);
    g_assert_cmpint(c->height, ==, 200);
    until(c, 319, 199, 0x102030);
    c->rects = 0;
    x->s->dot.x = 100, x->s->dot.y = 50, x->s->dot.color = 0xabcdef;
    until(c, 100, 50, 0xabcdef);
    g_assert_cmphex(c->fb[50 * 320 + 101] & 0xffffff, ==, 0x102030);
    g_assert_cmpuint(c->rects, <=, 2);
    x->s->width = 400, x->s->height = 300, x->s->color = 0x445566;
    c->resized = false;
    while (!c->resized) {
        ask(c, 1);
        take_update(c);
    }
    ask(c, 0);
    until(c, 399, 299, 0x445566);
    g_assert_cmpint(c->width, ==, 400);
    hang_up(c);
    while (x->s->watched)
        g_main_context_iteration(NULL, TRUE);
    end(x);
}

/* What the guest gets of `sym` pressed and released, in a row of codes with bit 15 for releases. */
static void check_typed(struct fixture *x, struct client *c, u32 sym, const u16 *want, unsigned n)
{
    unsigned first = x->s->n_keys;

    key(c, sym, 1);
    key(c, sym, 0);
    wait_keys(x, first + n);
    for (unsigned i = 0; i < n; i++)
        g_assert_cmphex(x->s->key[first + i].code | (x->s->key[first + i].down ? 0 : 0x8000), ==, want[i]);
    g_assert_cmpuint(x->s->n_keys, ==, first + n);
}

/* Clients that send symbols without the Shift keys that they need. */
static void test_shift(void)
{
    static const u16 plain_a[] = { 0x1e, 0x801e }, shift_a[] = { 0x2a, 0x1e, 0x802a, 0x801e }, bang[] = { 0x2a, 0x02, 0x802a, 0x8002 },
                     caps[] = { 0x3a, 0x803a }, keypad_7[] = { 0x47, 0x8047 };
    enum { SHIFT_R = 0xffe2, CAPS_LOCK = 0xffe5, KP_7 = 0xffb7 };
    struct fixture *x = start("");
    struct client *c = client_new(x);
    unsigned n;

    check_typed(x, c, 'A', shift_a, 4);
    check_typed(x, c, 'a', plain_a, 2);
    check_typed(x, c, '!', bang, 4);
    check_typed(x, c, KP_7, keypad_7, 2);
    n = x->s->n_keys;
    key(c, SHIFT_R, 1);
    wait_keys(x, n + 1);
    check_typed(x, c, 'A', plain_a, 2);
    key(c, SHIFT_R, 0);
    wait_keys(x, n + 4);
    check_typed(x, c, CAPS_LOCK, caps, 2);
    check_typed(x, c, 'A', plain_a, 2);
    check_typed(x, c, '!', bang, 4);
    check_typed(x, c, CAPS_LOCK, caps, 2);
    check_typed(x, c, 'A', shift_a, 4);
    hang_up(c);
    end(x);
}

static void test_input(void)
{
    struct fixture *x = start("");
    struct client *c = client_new(x);
    static const u8 ext[2][12] = { { 255, 0, 0, 1, 0, 0, 0xff, 0x52, 0, 0, 0, 0xc8 }, { 255, 0, 0, 0, 0, 0, 0xff, 0x52, 0, 0, 0, 0xc8 } };
    static const u8 move[] = { 5, 0, 0, 10, 0, 20, 5, 1, 0, 15, 0, 40, 5, 9, 0, 15, 0, 40, 5, 0, 0, 15, 0, 40 };
    until(c, 0, 0, 0x102030);
    g_assert_true(c->ext_keys);
    key(c, 'a', 1);
    key(c, 'a', 0);
    put(c, ext, sizeof(ext)); /* 0xe0 0x48: up */
    wait_keys(x, 4);
    g_assert_cmphex(x->s->key[0].code, ==, 0x1e);
    g_assert_true(x->s->key[0].down && !x->s->key[1].down);
    g_assert_cmphex(x->s->key[2].code, ==, 0xe048);
    put(c, move, sizeof(move));
    key(c, 'b', 1);
    wait_keys(x, 5);
    g_assert_cmpint(x->s->dx, ==, 15);
    g_assert_cmpint(x->s->dy, ==, 40);
    g_assert_cmpint(x->s->wheel, ==, 1);
    g_assert_cmpuint(x->s->buttons, ==, 0);
    fake_screen_absolute(x->s);
    static const u8 corner[] = { 5, 4, 319 >> 8, 319 & 255, 0, 199 };
    put(c, corner, sizeof(corner));
    hang_up(c); /* releases b */
    wait_keys(x, 6);
    g_assert_cmphex(x->s->key[5].code, ==, 0x30);
    g_assert_false(x->s->key[5].down);
    g_assert_cmpint(x->s->abs_x, ==, INPUT_ABS_MAX);
    g_assert_cmpint(x->s->abs_y, ==, INPUT_ABS_MAX);
    g_assert_cmpuint(x->s->buttons, ==, INPUT_RIGHT);
    end(x);
}

static void test_password(void)
{
    struct fixture *x = start(",password=on");
    struct vnc *v = display_vnc(&x->d, NULL);
    struct client *c = connect_raw(x);
    g_assert_cmpuint(authenticate(c, ""), ==, 1); /* none set: nobody gets in */
    g_assert_cmpuint(c->security, ==, 2);
    hang_up(c);
    g_assert_cmpint(vnc_set_password(v, "secret", &x->e), ==, 0);
    c = connect_raw(x);
    g_assert_cmpuint(authenticate(c, "wrong"), ==, 1);
    hang_up(c);
    c = connect_raw(x);
    g_assert_cmpuint(authenticate(c, "secret"), ==, 0);
    hang_up(c);
    vnc_expire_password(v, 1);
    c = connect_raw(x);
    g_assert_cmpuint(authenticate(c, "secret"), ==, 1);
    hang_up(c);
    end(x);
    x = start("");
    g_assert_cmpint(vnc_set_password(display_vnc(&x->d, NULL), "a", &x->e), ==, -1);
    end(x);
}

static void test_two_clients(void)
{
    struct fixture *x = start("");
    struct client *a = client_new(x), *b = client_new(x);
    JsonBuilder *builder = json_builder_new();
    JsonNode *n;
    x->s->color = 0x123456;
    until(a, 5, 5, 0x123456);
    until(b, 5, 5, 0x123456);
    vnc_describe(display_vnc(&x->d, NULL), builder);
    n = json_take(builder);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(json_node_get_object(n), "clients")), ==, 2);
    json_node_unref(n);
    hang_up(a);
    x->s->color = 0x654321;
    until(b, 5, 5, 0x654321);
    hang_up(b);
    end(x);
}

/* Messages of random kinds and contents: the server must hang up or go on, and let the next client in. */
static void test_nonsense(void)
{
    struct fixture *x = start("");
    for (unsigned i = 0; i < 60; i++) {
        struct client *c = connect_raw(x);
        u8 junk[256];
        unsigned n = g_test_rand_int_range(1, sizeof(junk));
        for (unsigned k = 0; k < n; k++)
            junk[k] = g_test_rand_int();
        if (i % 3) {
            g_assert_cmpuint(authenticate(c, NULL), ==, 0);
            client_init(c);
            junk[0] = i % 3 == 1 ? g_test_rand_int_range(0, 12) : 255;
        }
        if (send(c->fd, junk, n, MSG_NOSIGNAL) == (ssize_t)n)
            shutdown(c->fd, SHUT_WR);
        while (get(c, junk, 1))
            continue;
        hang_up(c);
    }
    struct client *c = client_new(x);
    until(c, 1, 1, 0x102030);
    hang_up(c);
    end(x);
}

static void test_websocket(void)
{
    struct fixture *x = start("");
    struct client *c = connect_raw(x);
    static const char hello[] = "GET /websockify HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Protocol: binary\r\nOrigin: http://localhost\r\n\r\n";
    GString *answer = g_string_new(NULL);
    u8 frame[14];
    char ch;
    put(c, hello, strlen(hello));
    while (!strstr(answer->str, "\r\n\r\n") && get(c, &ch, 1))
        g_string_append_c(answer, ch);
    g_assert_nonnull(strstr(answer->str, "101 Switching Protocols"));
    g_assert_nonnull(strstr(answer->str, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    g_assert_true(get(c, frame, sizeof(frame))); /* a binary frame of 12 bytes */
    g_assert_cmphex(frame[0], ==, 0x82);
    g_assert_cmpuint(frame[1], ==, 12);
    g_assert_cmpmem(frame + 2, 12, "RFB 003.008\n", 12);
    g_string_free(answer, TRUE);
    hang_up(c);
    end(x);
}

static void refused(const char *arg, const char *why)
{
    struct fixture *x = start("");
    struct err e = { "" };
    g_assert_null(vnc_new(&x->d, arg, &e));
    g_assert_nonnull(strstr(e.msg, why));
    end(x);
}

/* Servers without an id are told apart. */
static void test_ids(void)
{
    struct fixture *x = start("");
    char *second = g_strdup_printf("unix:%s2", x->path), *third = g_strdup_printf("unix:%s3,id=default", x->path);
    struct vnc *v = vnc_new(&x->d, second, &x->e);
    g_assert_nonnull(v);
    g_assert_cmpstr(vnc_id(display_vnc(&x->d, NULL)), ==, "default");
    g_assert_cmpstr(vnc_id(v), ==, "vnc2");
    vnc_free(v);
    g_assert_null(vnc_new(&x->d, third, &x->e));
    g_assert_nonnull(strstr(x->e.msg, "Duplicate ID 'default'"));
    g_free(second);
    g_free(third);
    end(x);
}

static void test_options(void)
{
    refused("", "missing");
    refused("banana", "banana");
    refused("localhost:70000", "70000");
    refused("localhost:1,tls-creds=x", "tls-creds");
    refused("localhost:1,sasl=on", "sasl");
    refused("unix:/nonexistent/x", "/nonexistent/x");
    refused("unix:/tmp/x-never,share=sometimes", "share");
    refused("unix:/tmp/x-never,lossy=on", "lossy");
    refused("unix:/tmp/x-never,colour=red", "colour");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_main_context_acquire(NULL);
    g_test_add_func("/ui/vnc/picture", test_picture);
    g_test_add_func("/ui/vnc/input", test_input);
    g_test_add_func("/ui/vnc/shift", test_shift);
    g_test_add_func("/ui/vnc/password", test_password);
    g_test_add_func("/ui/vnc/two-clients", test_two_clients);
    g_test_add_func("/ui/vnc/websocket", test_websocket);
    g_test_add_func("/ui/vnc/nonsense", test_nonsense);
    g_test_add_func("/ui/vnc/ids", test_ids);
    g_test_add_func("/ui/vnc/options", test_options);
    return g_test_run();
}
#else
int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    return g_test_run();
}
#endif
