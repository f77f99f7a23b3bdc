/* Tests hw/backend/chr*.c: every kind of back end with a real peer, backpressure, the multiplexer's keys. */
#include "hw/backend/chr.h"
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "util/fdset.h"
#include "util/opts.h"

/* A front end that takes `room` bytes and keeps them. */
struct front {
    GString *got;
    unsigned room, opened, closed, breaks, mux_in, mux_out;
};

static char *dir;

static unsigned front_can_read(void *opaque)
{
    return ((struct front *)opaque)->room;
}

static void front_read(void *opaque, const u8 *buf, unsigned len)
{
    struct front *f = opaque;

    g_assert_cmpuint(len, <=, f->room);
    f->room -= len;
    g_string_append_len(f->got, (const char *)buf, len);
}

static void front_event(void *opaque, enum chr_event ev)
{
    struct front *f = opaque;

    f->opened += ev == CHR_OPENED;
    f->closed += ev == CHR_CLOSED;
    f->breaks += ev == CHR_BREAK;
    f->mux_in += ev == CHR_MUX_IN;
    f->mux_out += ev == CHR_MUX_OUT;
}

static struct front *front_new(struct chr *c, unsigned room)
{
    struct front *f = g_new0(struct front, 1);

    f->got = g_string_new(NULL);
    f->room = room;
    chr_attach(c, front_can_read, front_read, front_event, f);
    return f;
}

static void front_free(struct front *f)
{
    g_string_free(f->got, TRUE);
    g_free(f);
}

/* Runs the main loop until the condition holds; 10 seconds at most. */
#define UNTIL(cond)                                                              \
    do {                                                                         \
        gint64 end_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;              \
        while (!(cond)) {                                                        \
            g_main_context_iteration(NULL, FALSE);                               \
            g_assert_cmpint(g_get_monotonic_time(), <, end_);                    \
        }                                                                        \
    } while (0)

/* Lets everything that is due happen. */
static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static char *path_of(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

static struct chr *make(const char *id, const char *fmt, ...) PRINTF(2, 3);
static struct chr *make(const char *id, const char *fmt, ...)
{
    struct err e = { "" };
    va_list ap;
    char *spec;
    struct chr *c;

    va_start(ap, fmt);
    spec = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    c = chr_new(id, spec, &e);
    g_assert_cmpstr(e.msg, ==, "");
    g_assert_nonnull(c);
    g_free(spec);
    return c;
}

static int unix_connect(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(sa.sun_path, path, sizeof(sa.sun_path));
    g_assert_cmpint(connect(fd, (void *)&sa, sizeof(sa)), ==, 0);
    return fd;
}

static void write_text(struct chr *c, const char *s)
{
    g_assert_cmpuint(chr_write(c, (const u8 *)s, (unsigned)strlen(s)), ==, strlen(s));
}

static void expect(int fd, const char *s)
{
    char buf[256];
    size_t n = 0;

    while (n < strlen(s)) {
        ssize_t r = read(fd, buf + n, sizeof(buf) - 1 - n);
        g_assert_cmpint(r, >, 0);
        n += (size_t)r;
    }
    buf[n] = 0;
    g_assert_cmpstr(buf, ==, s);
}

static void test_refused(void)
{
    static const char *const specs[] = {
        "vc", "telepathy", "file:", "file:/nonexistent/x/y", "unix:", "unix:/nonexistent/socket", "tcp:1234", "tcp:localhost:",
        "pipe:/nonexistent/pipe", "null:x", "pty:x", "unix:/tmp/x,websocket=on",
        "unix:/tmp/x,server=maybe", "unix:/tmp/x,colour=red", "unix:/tmp/x,wait=off", "udp:1234", "/dev/null", "tcp::1,reconnect=x", "mon:vc", "",
    };

    for (unsigned i = 0; i < ARRAY_LEN(specs); i++) {
        struct err e = { "" };
        g_assert_null(chr_new("x", specs[i], &e));
        g_assert_cmpuint(strlen(e.msg), >, 10);
        g_assert_null(chr_find("x"));
    }
}

static void test_registry(void)
{
    struct chr *c = make("serial0", "null");
    struct err e;

    g_assert_true(chr_find("serial0") == c);
    g_assert_null(chr_new("serial0", "null", &e));
    write_text(c, "into the void");
    g_assert_cmpuint(chr_pending(c), ==, 0);
    chr_free(c);
    g_assert_null(chr_find("serial0"));
    chr_free(NULL);
}

static void test_file(void)
{
    char *path = path_of("file"), *text;
    struct chr *c = make("f", "file:%s", path);

    write_text(c, "hello ");
    write_text(c, "file\n");
    chr_free_all();
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "hello file\n");
    g_free(text);
    g_unlink(path);
    g_free(path);
}

static void test_unix_server(void)
{
    char *path = path_of("sock");
    struct chr *c = make("s", "unix:%s,server,nowait", path);
    struct front *f = front_new(c, 4);
    int fd;

    write_text(c, "nobody hears this");
    fd = unix_connect(path);
    UNTIL(f->opened == 1);
    write_text(c, "welcome");
    expect(fd, "welcome");
    /* The front end takes four bytes; the rest waits until it wants more. */
    g_assert_cmpint(write(fd, "abcdefgh", 8), ==, 8);
    UNTIL(f->got->len == 4);
    settle();
    g_assert_cmpstr(f->got->str, ==, "abcd");
    f->room = 100;
    chr_accept_input(c);
    UNTIL(f->got->len == 8);
    close(fd);
    UNTIL(f->closed == 1);
    fd = unix_connect(path); /* the next one */
    UNTIL(f->opened == 2);
    g_assert_cmpint(write(fd, "!", 1), ==, 1);
    UNTIL(f->got->len == 9);
    close(fd);
    chr_free_all();
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    front_free(f);
    g_free(path);
}

static void *writer(void *opaque)
{
    static u8 block[1000];

    for (unsigned i = 0; i < 1000; i++) {
        memset(block, 'a' + i % 26, sizeof(block));
        chr_write(opaque, block, sizeof(block));
    }
    return NULL;
}

/* A megabyte to a peer that reads late, from another thread: nothing blocks, nothing is lost, order is kept. */
static void test_backpressure(void)
{
    char *path = path_of("sock");
    struct chr *c = make("s", "unix:%s,server=on,wait=off", path);
    struct front *f = front_new(c, 0);
    int fd = unix_connect(path);
    unsigned total = 0;
    GThread *t;

    UNTIL(f->opened == 1);
    t = g_thread_new("writer", writer, c);
    g_thread_join(t);
    g_assert_cmpuint(chr_pending(c), >, 100000);
    while (total < 1000000) {
        u8 buf[4096];
        ssize_t n;
        g_main_context_iteration(NULL, FALSE);
        n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++)
            g_assert_cmpint(buf[i], ==, 'a' + (total + i) / 1000 % 26);
        total += n > 0 ? (unsigned)n : 0;
    }
    g_assert_cmpuint(chr_pending(c), ==, 0);
    close(fd);
    chr_free_all();
    front_free(f);
    g_free(path);
}

static void test_tcp(void)
{
    struct chr *server = NULL;
    struct front *fs, *fc;
    struct err e;
    char spec[64];
    int port;

    for (port = 20000 + getpid() % 20000; !server; port++) {
        g_snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d,server=on,wait=off,nodelay=on", port);
        server = chr_new("server", spec, &e);
    }
    struct chr *client = make("client", "tcp:127.0.0.1:%d", port - 1);
    fs = front_new(server, 100);
    fc = front_new(client, 100);
    UNTIL(fs->opened && fc->opened);
    write_text(client, "ping");
    UNTIL(fs->got->len == 4);
    write_text(server, "pong");
    UNTIL(fc->got->len == 4);
    chr_free(server);
    UNTIL(fc->closed == 1);
    chr_free_all();
    front_free(fs);
    front_free(fc);
}

static void test_pipe(void)
{
    char *path = path_of("fifo"), *in = g_strconcat(path, ".in", NULL), *out = g_strconcat(path, ".out", NULL);
    struct front *f;
    struct chr *c;
    int wfd, rfd;

    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    c = make("p", "pipe:%s", path);
    f = front_new(c, 100);
    wfd = open(in, O_WRONLY);
    rfd = open(out, O_RDONLY);
    g_assert_cmpint(write(wfd, "x", 1), ==, 1);
    UNTIL(f->got->len == 1);
    close(wfd);
    settle();
    write_text(c, "still there");
    expect(rfd, "still there");
    wfd = open(in, O_WRONLY);
    g_assert_cmpint(write(wfd, "y", 1), ==, 1);
    UNTIL(f->got->len == 2);
    close(wfd);
    close(rfd);
    chr_free_all();
    front_free(f);
    g_unlink(in);
    g_unlink(out);
    g_free(in);
    g_free(out);
    g_free(path);
}

/* The path of the pty is only told on standard error: run the back end in a child, read that, and talk to it. */
static void test_pty(void)
{
    int err_pipe[2], saved = dup(STDERR_FILENO), fd;
    char line[128] = "", *end;
    struct front *f;
    struct chr *c;

    g_assert_cmpint(pipe(err_pipe), ==, 0);
    dup2(err_pipe[1], STDERR_FILENO);
    c = make("serial0", "pty");
    dup2(saved, STDERR_FILENO);
    close(saved);
    g_assert_cmpint(read(err_pipe[0], line, sizeof(line) - 1), >, 0);
    close(err_pipe[0]);
    close(err_pipe[1]);
    g_assert_true(g_str_has_prefix(line, "char device redirected to /dev/pts/"));
    g_assert_true(g_str_has_suffix(line, " (label serial0)\n"));
    end = strstr(line, " (label");
    *end = 0;
    f = front_new(c, 100);
    settle();
    g_assert_cmpuint(f->opened, ==, 0);
    for (unsigned round = 1; round <= 2; round++) { /* it can be closed and opened again */
        fd = open(line + strlen("char device redirected to "), O_RDWR | O_NOCTTY);
        g_assert_cmpint(fd, >=, 0);
        UNTIL(f->opened == round);
        write_text(c, "raw\n");
        expect(fd, "raw\n");
        g_assert_cmpint(write(fd, "in\r", 3), ==, 3);
        UNTIL(f->got->len == 3 * round);
        close(fd);
        UNTIL(f->closed == round);
    }
    g_assert_cmpstr(f->got->str, ==, "in\rin\r");
    chr_free_all();
    front_free(f);
}

static unsigned exits;

static void on_exit_key(void *opaque)
{
    exits++;
}

static void test_mux(void)
{
    char *path = path_of("sock");
    struct err e;
    struct chr *mux = make("serial0", "mon:unix:%s,server=on,wait=off", path), *guest = chr_claim(mux, &e), *mon = chr_claim(mux, &e);
    struct front *fg = front_new(guest, 100), *fm = front_new(mon, 100);
    int fd = unix_connect(path);

    g_assert_nonnull(guest);
    g_assert_nonnull(mon);
    g_assert_true(guest != mux && guest != mon);
    chr_set_exit_handler(on_exit_key, NULL);
    UNTIL(fg->opened == 1 && fm->opened == 1);
    g_assert_cmpuint(fg->mux_in, ==, 1);
    g_assert_cmpuint(fm->mux_in, ==, 0);
    g_assert_cmpint(write(fd, "ls\r\1\1", 5), ==, 5); /* Ctrl-a Ctrl-a is one Ctrl-a */
    UNTIL(fg->got->len == 4);
    g_assert_cmpstr(fg->got->str, ==, "ls\r\1");
    g_assert_cmpint(write(fd, "\1binfo\1cstop\1cx", 15), ==, 15);
    UNTIL(fg->got->len == 9);
    g_assert_cmpuint(fg->breaks, ==, 1);
    g_assert_cmpstr(fg->got->str, ==, "ls\r\1infox");
    g_assert_cmpstr(fm->got->str, ==, "stop");
    g_assert_cmpuint(fm->mux_in, ==, 1);
    g_assert_cmpuint(fm->mux_out, ==, 1);
    write_text(guest, "login: ");
    expect(fd, "login: ");
    write_text(mon, "(gemel) ");
    expect(fd, "(gemel) ");
    g_assert_cmpint(write(fd, "\1h", 2), ==, 2);
    settle();
    /* A front end that takes nothing does not stop the keys from being seen. */
    fg->room = 0;
    g_assert_cmpint(write(fd, "typed ahead\1x", 13), ==, 13);
    UNTIL(exits == 1);
    g_assert_cmpuint(fg->got->len, ==, 9);
    fg->room = 100;
    chr_accept_input(guest);
    UNTIL(fg->got->len == 20);
    g_assert_true(g_str_has_suffix(fg->got->str, "typed ahead"));
    close(fd);
    chr_set_exit_handler(NULL, NULL);
    chr_free_all();
    front_free(fg);
    front_free(fm);
    g_free(path);
}

/* --- options of -chardev --- */

static struct chr *make_opts(const char *text)
{
    struct err e = { "" };
    struct opts *o = opts_parse(text, "backend", &e);
    struct chr *c = chr_new_opts(o, &e);

    g_assert_cmpstr(e.msg, ==, "");
    g_assert_nonnull(c);
    opts_free(o);
    return c;
}

static void test_options_refused(void)
{
    static const char *const texts[] = {
        "null", "null,id=", "id=x", "null,id=x,size=3", "file,id=x", "socket,id=x", "socket,id=x,path=/tmp/x,port=3",
        "socket,id=x,path=/tmp/x,tls-creds=t", "ringbuf,id=x,size=1000", "ringbuf,id=x,size=1T", "vc,id=x", "spicevmc,id=x",
        "socket,id=x,fd=nobody", "socket,id=x,fd=987", "udp,id=x,host=localhost", "null,id=x,logfile=/nonexistent/x", "pipe,id=x",
        "null,id=x,logappend=on", "null,id=x,mux=perhaps", "serial,id=x,path=/dev/null",
    };

    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        struct err e = { "" };
        struct opts *o = opts_parse(texts[i], "backend", &e);
        g_assert_null(chr_new_opts(o, &e));
        g_assert_cmpuint(strlen(e.msg), >, 10);
        g_assert_null(chr_next(NULL));
        opts_free(o);
    }
}

static void test_claim(void)
{
    struct chr *c = make_opts("null,id=n"), *m = make_opts("null,id=m,mux=on"), *port[4];
    struct err e;

    g_assert_true(chr_claim(c, &e) == c);
    g_assert_null(chr_claim(c, &e));
    g_assert_nonnull(strstr(e.msg, "in use"));
    g_assert_cmpint(chr_remove("n", &e), <, 0);
    chr_release(c);
    g_assert_cmpint(chr_remove("n", &e), ==, 0);
    g_assert_cmpint(chr_remove("n", &e), <, 0);
    for (unsigned i = 0; i < 4; i++)
        g_assert_nonnull(port[i] = chr_claim(m, &e));
    g_assert_null(chr_claim(m, &e));
    chr_release(port[2]);
    g_assert_nonnull(chr_claim(m, &e));
    g_assert_nonnull(chr_find("m-base"));
    chr_free_all();
    g_assert_null(chr_next(NULL));
}

static void test_ringbuf(void)
{
    struct chr *c = make_opts("ringbuf,id=r,size=8"), *n = make_opts("null,id=n");
    u8 buf[16];

    write_text(c, "0123456789");
    g_assert_cmpint(chr_ring_read(c, buf, 3), ==, 3);
    g_assert_cmpint(memcmp(buf, "234", 3), ==, 0);
    g_assert_cmpint(chr_ring_write(c, (const u8 *)"ab", 2), ==, 2);
    g_assert_cmpint(chr_ring_read(c, buf, sizeof(buf)), ==, 7);
    g_assert_cmpint(memcmp(buf, "56789ab", 7), ==, 0);
    g_assert_cmpint(chr_ring_read(c, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(chr_ring_read(n, buf, sizeof(buf)), <, 0);
    chr_free_all();
}

static void test_log(void)
{
    char *log = path_of("log"), *in = path_of("in"), *out = path_of("out"), *spec, *text;
    struct front *f;
    struct chr *c;

    g_assert_true(g_file_set_contents(in, "typed", -1, NULL));
    g_assert_true(g_file_set_contents(out, "old ", -1, NULL));
    spec = g_strdup_printf("file,id=f,path=%s,append=on,input-path=%s,logfile=%s", out, in, log);
    c = make_opts(spec);
    f = front_new(c, 100);
    UNTIL(f->got->len == 5);
    write_text(c, "new");
    chr_free_all();
    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "new");
    g_free(text);
    g_assert_true(g_file_get_contents(out, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "old new");
    g_free(text);
    front_free(f);
    g_unlink(log);
    g_unlink(in);
    g_unlink(out);
    g_free(log);
    g_free(in);
    g_free(out);
    g_free(spec);
}

/* Commands are taken out of the stream, a doubled 255 is data, BREAK is a break. */
static void test_telnet(void)
{
    static const char sent[] = "a\xff\xfd\x01" "b\xff\xfa\x18\x00xx\xff\xf0" "c\xff\xff" "d\xff\xf3" "e";
    char *path = path_of("sock");
    struct chr *c = make("s", "unix:%s,server=on,wait=off,telnet=on", path);
    struct front *f = front_new(c, 100);
    int fd = unix_connect(path);
    char hello[12];

    UNTIL(f->opened == 1);
    g_assert_cmpint(recv(fd, hello, sizeof(hello), MSG_WAITALL), ==, 12);
    g_assert_cmpint(memcmp(hello, "\xff\xfb\x01\xff\xfb\x03", 6), ==, 0);
    for (unsigned i = 0; i < sizeof(sent) - 1; i++) { /* byte by byte: commands may be cut anywhere */
        g_assert_cmpint(write(fd, sent + i, 1), ==, 1);
        g_main_context_iteration(NULL, TRUE);
    }
    UNTIL(f->got->len == 6);
    g_assert_cmpstr(f->got->str, ==, "abc\xff" "de");
    g_assert_cmpuint(f->breaks, ==, 1);
    close(fd);
    chr_free_all();
    front_free(f);
    g_free(path);
}

static void test_reconnect(void)
{
    char *path = path_of("sock"), *spec = g_strdup_printf("socket,id=c,path=%s,reconnect=1", path);
    struct chr *client = make_opts(spec), *server;
    struct front *f = front_new(client, 100);

    settle();
    g_assert_cmpuint(f->opened, ==, 0);
    g_assert_true(g_str_has_prefix(chr_filename(client), "disconnected:unix:"));
    for (unsigned round = 1; round <= 2; round++) {
        server = make("s", "unix:%s,server=on,wait=off", path);
        UNTIL(f->opened == round);
        g_assert_true(g_str_has_prefix(chr_filename(client), "unix:"));
        write_text(server, "x");
        UNTIL(f->got->len == round);
        chr_free(server);
        UNTIL(f->closed == round);
    }
    chr_free_all();
    front_free(f);
    g_free(spec);
    g_free(path);
}

/* Both ends handed over as descriptors, one by name; and a descriptor passed along on the way. */
static void test_fd(void)
{
    int pair[2], null = open("/dev/null", O_RDONLY), got;
    struct err e;
    char *spec;
    struct front *f;
    struct chr *c;
    union {
        struct cmsghdr h;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { (char[]){ "!" }, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    g_assert_cmpint(fdname_add("2nd", pair[1], &e), <, 0);
    g_assert_cmpint(fdname_add("second", pair[1], &e), ==, 0);
    spec = g_strdup_printf("socket,id=c,fd=second");
    c = make_opts(spec);
    f = front_new(c, 100);
    UNTIL(f->opened == 1);
    write_text(c, "hi");
    expect(pair[0], "hi");
    control.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.h), &null, sizeof(int));
    g_assert_cmpint(chr_take_fd(c), ==, -1);
    g_assert_cmpint(sendmsg(pair[0], &msg, 0), ==, 1);
    UNTIL(f->got->len == 1);
    got = chr_take_fd(c);
    g_assert_cmpint(got, >=, 0);
    g_assert_cmpint(chr_take_fd(c), ==, -1);
    g_assert_true(got != null);
    close(got);
    close(null);
    close(pair[0]);
    UNTIL(f->closed == 1);
    chr_free_all();
    front_free(f);
    g_free(spec);
}

static int udp_bound(struct sockaddr_in *sa)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof(*sa);

    *sa = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    g_assert_cmpint(bind(fd, (void *)sa, sizeof(*sa)), ==, 0);
    g_assert_cmpint(getsockname(fd, (void *)sa, &len), ==, 0);
    return fd;
}

static void test_udp(void)
{
    struct sockaddr_in sa, from;
    socklen_t len = sizeof(from);
    int fd = udp_bound(&sa);
    struct chr *c = make("u", "udp:127.0.0.1:%d", ntohs(sa.sin_port));
    struct front *f = front_new(c, 3);
    char buf[16];

    write_text(c, "out");
    g_assert_cmpint(recvfrom(fd, buf, sizeof(buf), 0, (void *)&from, &len), ==, 3);
    g_assert_cmpint(sendto(fd, "abcdef", 6, 0, (void *)&from, len), ==, 6);
    UNTIL(f->got->len == 3); /* the rest of the datagram is kept */
    settle();
    f->room = 10;
    chr_accept_input(c);
    UNTIL(f->got->len == 6);
    g_assert_cmpint(sendto(fd, "ghi", 3, 0, (void *)&from, len), ==, 3);
    UNTIL(f->got->len == 9);
    g_assert_cmpstr(f->got->str, ==, "abcdefghi");
    close(fd);
    chr_free_all();
    front_free(f);
}

/* A set's descriptor takes the place of a path. */
static void test_fdset(void)
{
    char *path = path_of("file"), *text;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    struct err e;
    struct fdset_info info;

    g_assert_cmpint(fdset_add(-1, fd, "note", &e), ==, 0);
    g_assert_cmpint(fdset_add(7, dup(fd), NULL, &e), ==, 7);
    g_assert_cmpint(fdset_add(-1, dup(fd), NULL, &e), ==, 1);
    g_assert_true(fdset_nth(2, &info) && info.set == 7 && !fdset_nth(3, &info));
    write_text(make_opts("file,id=f,path=/dev/fdset/7"), "by hand");
    chr_free_all();
    g_assert_cmpint(host_open("/dev/fdset/7", O_RDONLY, 0), <, 0);
    g_assert_cmpint(host_open("/dev/fdset/9", O_WRONLY, 0), <, 0);
    g_assert_cmpint(fdset_remove(7, -1, &e), ==, 0);
    g_assert_cmpint(fdset_remove(7, -1, &e), <, 0);
    fdset_free_all();
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "by hand");
    g_free(text);
    g_unlink(path);
    g_free(path);
}

int main(int argc, char **argv)
{
    int r;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("gemel-chr-XXXXXX", NULL);
    g_test_add_func("/chr/refused", test_refused);
    g_test_add_func("/chr/registry", test_registry);
    g_test_add_func("/chr/file", test_file);
    g_test_add_func("/chr/unix-server", test_unix_server);
    g_test_add_func("/chr/backpressure", test_backpressure);
    g_test_add_func("/chr/tcp", test_tcp);
    g_test_add_func("/chr/pipe", test_pipe);
    g_test_add_func("/chr/pty", test_pty);
    g_test_add_func("/chr/mux", test_mux);
    g_test_add_func("/chr/options-refused", test_options_refused);
    g_test_add_func("/chr/claim", test_claim);
    g_test_add_func("/chr/ringbuf", test_ringbuf);
    g_test_add_func("/chr/log", test_log);
    g_test_add_func("/chr/telnet", test_telnet);
    g_test_add_func("/chr/reconnect", test_reconnect);
    g_test_add_func("/chr/fd", test_fd);
    g_test_add_func("/chr/udp", test_udp);
    g_test_add_func("/chr/fdset", test_fdset);
    r = g_test_run();
    g_rmdir(dir);
    g_free(dir);
    return r;
}
