/* Tests hw/backend/chr_ws.c: the RFC's examples, damaged handshakes and frames, frames cut anywhere; and websocket=on of a character socket. */
#include "hw/backend/chr_ws.h"
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw/backend/chr.h"
#include "util/err.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define REST "Host: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"

static void test_handshake(void)
{
    GString *a = g_string_new(NULL);

    g_assert_true(ws_handshake("GET /chat HTTP/1.1\r\n" REST KEY "\r\n", a)); /* RFC 6455, 1.3 */
    g_assert_true(g_str_has_prefix(a->str, "HTTP/1.1 101 "));
    g_assert_nonnull(strstr(a->str, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    g_assert_null(strstr(a->str, "Protocol:"));
    g_assert_true(g_str_has_suffix(a->str, "\r\n\r\n"));
    g_string_truncate(a, 0);
    g_assert_true(ws_handshake("GET / HTTP/1.1\r\n" REST "sec-websocket-protocol:base64 ,binary\r\n" KEY "\r\n", a));
    g_assert_nonnull(strstr(a->str, "\r\nSec-WebSocket-Protocol: binary\r\n"));
    g_string_free(a, TRUE);
}

static void test_bad_handshakes(void)
{
    static const char *const bad[] = {
        "", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n" REST "\r\n", "POST / HTTP/1.1\r\n" REST KEY "\r\n", "GET / HTTP/1.0\r\n" REST KEY "\r\n",
        "GET / HTTP/1.1\r\n" REST "Sec-WebSocket-Key: short\r\n\r\n", "GET / HTTP/1.1\r\n" REST "Sec-WebSocket-Key: ************************\r\n\r\n",
        "GET / HTTP/1.1\r\n" REST KEY "Sec-WebSocket-Protocol: chat\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n" KEY "\r\n",
        "GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" KEY "\r\n",
    };

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        GString *a = g_string_new(NULL);
        g_assert_false(ws_handshake(bad[i], a));
        g_assert_true(g_str_has_prefix(a->str, "HTTP/1.1 400 "));
        g_string_free(a, TRUE);
    }
}

/* A client's frame. */
static void add_frame(GByteArray *out, u8 first, const char *text, u64 len)
{
    static const u8 mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    u8 head[10] = { first, 0x80 };
    unsigned n = 2;

    if (len < 126) {
        head[1] |= (u8)len;
    } else {
        n = len < 65536 ? 4 : 10;
        head[1] |= n == 4 ? 126 : 127;
        for (unsigned i = 2; i < n; i++)
            head[i] = (u8)(len >> (n - 1 - i) * 8);
    }
    g_byte_array_append(out, head, n);
    g_byte_array_append(out, mask, 4);
    for (u64 i = 0; i < len; i++) {
        u8 b = (u8)text[i] ^ mask[i & 3];
        g_byte_array_append(out, &b, 1);
    }
}

static void test_decode(void)
{
    char *big = g_strnfill(70000, 'z');

    for (unsigned step = 1; step <= 100000; step = step < 10 ? step + 1 : step * 10) { /* cut into pieces of that many bytes */
        GByteArray *in = g_byte_array_new(), *got = g_byte_array_new(), *reply = g_byte_array_new();
        struct ws w = { 0 };
        int n = 0;
        add_frame(in, 0x81, "Hello", 5);
        add_frame(in, 0x02, " a", 2); /* a fragmented message with a ping inside */
        add_frame(in, 0x89, "are you there", 13);
        add_frame(in, 0x00, " b", 2);
        add_frame(in, 0x8a, "unasked", 7);
        add_frame(in, 0x80, "", 0);
        add_frame(in, 0x82, big, 300);
        add_frame(in, 0x82, big, 70000);
        for (unsigned at = 0; at < in->len; at += step) {
            u8 *piece = g_memdup2(in->data + at, MIN_OF(step, in->len - at));
            n = ws_decode(&w, piece, MIN_OF(step, in->len - at), reply);
            g_assert_cmpint(n, >=, 0);
            g_byte_array_append(got, piece, (guint)n);
            g_free(piece);
        }
        g_assert_cmpuint(got->len, ==, 9 + 70300);
        g_assert_cmpmem(got->data, 10, "Hello a bz", 10);
        g_assert_cmpmem(reply->data, reply->len, "\x8a\x0d" "are you there", 15);
        u8 close[8];
        g_byte_array_set_size(in, 0);
        add_frame(in, 0x88, "\x03\xe8", 2);
        memcpy(close, in->data, 8);
        g_byte_array_set_size(reply, 0);
        g_assert_cmpint(ws_decode(&w, close, 8, reply), ==, -1);
        g_assert_cmpmem(reply->data, reply->len, "\x88\x02\x03\xe8", 4);
        g_byte_array_unref(in);
        g_byte_array_unref(got);
        g_byte_array_unref(reply);
    }
    g_free(big);
}

static void test_bad_frames(void)
{
    static const struct { const char *bytes; unsigned len; } bad[] = {
        { "\x82\x01x\0\0\0", 6 },                                        /* not masked */
        { "\xc2\x80\0\0\0\0", 6 },                                       /* a reserved bit */
        { "\x83\x80\0\0\0\0", 6 }, { "\x8b\x80\0\0\0\0", 6 },            /* opcodes that are none */
        { "\x80\x80\0\0\0\0", 6 },                                       /* goes on with nothing */
        { "\x09\x80\0\0\0\0", 6 },                                       /* a ping in fragments */
        { "\x89\xfe\0\x7e\0\0\0\0", 8 },                                 /* a ping that is too long */
        { "\x82\xff\x80\0\0\0\0\0\0\1\0\0\0\0", 14 },                    /* a length with its top bit set */
        { "\x02\x80\0\0\0\0\x82\x80\0\0\0\0", 12 },                      /* a message inside of another one */
    };

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        GByteArray *reply = g_byte_array_new();
        u8 *bytes = g_memdup2(bad[i].bytes, bad[i].len);
        struct ws w = { 0 };
        g_assert_cmpint(ws_decode(&w, bytes, bad[i].len, reply), ==, -1);
        g_assert_cmpmem(reply->data, reply->len, "\x88\x02\x03\xea", 4);
        g_byte_array_unref(reply);
        g_free(bytes);
    }
}

static void test_frame(void)
{
    GByteArray *out = g_byte_array_new();
    u8 *big = g_malloc0(70000);

    ws_frame(out, WS_BINARY, (const u8 *)"abc", 3);
    g_assert_cmpmem(out->data, out->len, "\x82\3" "abc", 5);
    g_byte_array_set_size(out, 0);
    ws_frame(out, WS_BINARY, big, 126);
    g_assert_cmpmem(out->data, 4, "\x82\x7e\0\x7e", 4);
    g_byte_array_set_size(out, 0);
    ws_frame(out, WS_BINARY, big, 70000);
    g_assert_cmpmem(out->data, 10, "\x82\x7f\0\0\0\0\0\1\x11\x70", 10);
    g_assert_cmpuint(out->len, ==, 70010);
    g_byte_array_unref(out);
    g_free(big);
}

/* --- a character socket --- */

static GString *got;
static unsigned opened, closed;

static unsigned can_read(void *opaque) { return 3; }
static void on_read(void *opaque, const u8 *buf, unsigned len) { g_string_append_len(got, (const char *)buf, len); }
static void on_event(void *opaque, enum chr_event ev)
{
    opened += ev == CHR_OPENED;
    closed += ev == CHR_CLOSED;
}

#define UNTIL(cond)                                                              \
    do {                                                                         \
        gint64 end_ = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;              \
        while (!(cond)) {                                                        \
            g_main_context_iteration(NULL, FALSE);                               \
            g_assert_cmpint(g_get_monotonic_time(), <, end_);                    \
        }                                                                        \
    } while (0)

static int knock(const char *path, const char *request)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(sa.sun_path, path, sizeof(sa.sun_path));
    g_assert_cmpint(connect(fd, (void *)&sa, sizeof(sa)), ==, 0);
    g_assert_cmpint(send(fd, request, strlen(request), 0), ==, (ssize_t)strlen(request));
    return fd;
}

/* What has come, once it ends with that; the main loop runs meanwhile. */
static void comes(int fd, const char *end, size_t len)
{
    GByteArray *a = g_byte_array_new();
    u8 b;

    UNTIL(recv(fd, &b, 1, MSG_DONTWAIT) == 1 && g_byte_array_append(a, &b, 1)->len >= len && !memcmp(a->data + a->len - len, end, len));
    g_byte_array_unref(a);
}

static void test_socket(void)
{
    char *dir = g_dir_make_tmp("gemel-ws-XXXXXX", NULL), *path = g_build_filename(dir, "s", NULL);
    char *spec = g_strdup_printf("unix:%s,server=on,wait=off,websocket=on", path);
    struct err e = { "" };
    struct chr *c = chr_new("ws", spec, &e);
    GByteArray *in = g_byte_array_new();
    char b;
    int fd;

    g_assert_cmpstr(e.msg, ==, "");
    got = g_string_new(NULL);
    chr_attach(c, can_read, on_read, on_event, NULL);
    fd = knock(path, "GET / HTTP/1.0\r\n\r\n"); /* somebody else's protocol: answered, and the next one may come */
    comes(fd, "\r\n\r\n", 4);
    g_assert_cmpint(recv(fd, &b, 1, 0), ==, 0);
    close(fd);
    g_assert_cmpuint(opened, ==, 0);
    fd = knock(path, "GET / HTTP/1.1\r\n" REST KEY "\r\n");
    comes(fd, "\r\n\r\n", 4);
    UNTIL(opened == 1);
    add_frame(in, 0x82, "hello", 5);
    add_frame(in, 0x89, "x", 1);
    g_assert_cmpint(send(fd, in->data, in->len, 0), ==, (ssize_t)in->len);
    UNTIL(got->len == 5);
    g_assert_cmpstr(got->str, ==, "hello");
    comes(fd, "\x8a\1x", 3);
    chr_write(c, (const u8 *)"answer", 6);
    comes(fd, "\x82\6" "answer", 8);
    g_byte_array_set_size(in, 0);
    add_frame(in, 0x88, "", 0);
    g_assert_cmpint(send(fd, in->data, in->len, 0), ==, (ssize_t)in->len);
    comes(fd, "\x88\2\x03\xe8", 4);
    UNTIL(closed == 1);
    close(fd);
    fd = knock(path, "GET / HTTP/1.1\r\n" REST KEY "\r\n"); /* and again */
    UNTIL(opened == 2);
    close(fd);
    chr_free_all();
    g_assert_null(chr_new("ws", "tcp:127.0.0.1:1,websocket=on", &e));
    g_assert_cmpstr(e.msg, ==, "websocket=on: only a server (server=on) speaks WebSocket here, a client does not");
    g_assert_null(chr_new("ws", "tcp:127.0.0.1:0,server=on,wait=off,websocket=on,telnet=on", &e));
    g_assert_nonnull(strstr(e.msg, "exclude"));
    c = chr_new("ws", "websocket:127.0.0.1:0,server=on,wait=off", &e);
    g_assert_nonnull(strstr(chr_filename(c), "websocket:127.0.0.1:"));
    chr_free_all();
    g_unlink(path);
    g_rmdir(dir);
    g_byte_array_unref(in);
    g_string_free(got, TRUE);
    g_free(spec);
    g_free(path);
    g_free(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chr-ws/handshake", test_handshake);
    g_test_add_func("/chr-ws/bad-handshakes", test_bad_handshakes);
    g_test_add_func("/chr-ws/decode", test_decode);
    g_test_add_func("/chr-ws/bad-frames", test_bad_frames);
    g_test_add_func("/chr-ws/frame", test_frame);
    g_test_add_func("/chr-ws/socket", test_socket);
    return g_test_run();
}
