/* Character back ends on plain descriptors: stdio, file, pipe, pty and serial lines of the host. Main thread, from chr.c. The terminal's modes are
 * process-wide, and so is the one piece of state here that remembers them. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "hw/backend/chr_impl.h"
#include "util/fdset.h"

#define PTY_POLL_MS 250 /* how soon a program that opens the pty is noticed while the guest is silent */

/* --- stdio --- */

/* What the process changed on its standard descriptors, to be undone at exit. [main] */
static struct {
    bool in_use, term_saved, flags_saved, atexit_set;
    struct termios term;
    int out_flags;
} tty;

void chr_stdio_restore(void)
{
    if (tty.term_saved)
        tcsetattr(STDIN_FILENO, TCSANOW, &tty.term);
    if (tty.flags_saved)
        fcntl(STDOUT_FILENO, F_SETFL, tty.out_flags);
    tty.term_saved = tty.flags_saved = tty.in_use = false;
}

static void set_raw(bool signals)
{
    struct termios t;

    if (tcgetattr(STDIN_FILENO, &t) < 0)
        return; /* not a terminal */
    tty.term = t;
    tty.term_saved = true;
    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_oflag |= OPOST;
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals)
        t.c_lflag &= ~(tcflag_t)ISIG;
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

/* A descriptor for standard output that never blocks, and whose flag no other process sees: a new open of the same
 * terminal or pipe where the host allows it. Regular files never block; sockets are written with MSG_DONTWAIT. */
static int stdout_nonblocking(bool *own)
{
    struct stat st;
    int fd;

    *own = false;
    if (fstat(STDOUT_FILENO, &st) < 0)
        return -1; /* closed */
    if (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode))
        return STDOUT_FILENO;
    fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        *own = true;
        return fd;
    }
    tty.out_flags = fcntl(STDOUT_FILENO, F_GETFL);
    tty.flags_saved = tty.out_flags >= 0 && !fcntl(STDOUT_FILENO, F_SETFL, tty.out_flags | O_NONBLOCK);
    return STDOUT_FILENO;
}

static int stdio_open(struct chr *c, struct opts *o, struct err *e)
{
    bool own, signals;
    int wfd;

    if (opts_bool(o, "signal", true, &signals, e) < 0)
        return -1;
    if (tty.in_use)
        return err_set(e, "stdio can be used by one character device only (mon:stdio shares it with the monitor)");
    tty.in_use = true;
    c->priv = &tty;
    if (!tty.atexit_set)
        atexit(chr_stdio_restore);
    tty.atexit_set = true;
    set_raw(signals);
    wfd = stdout_nonblocking(&own);
    chr_connect(c, STDIN_FILENO, wfd, false);
    c->own_wfd = own;
    return 0;
}

static void stdio_close(struct chr *c)
{
    if (c->priv)
        chr_stdio_restore();
}

static const char *const stdio_options[] = { "signal", NULL };
const struct chr_kind chr_stdio = {
    .name = "stdio", .options = stdio_options, .halves = true, .open = stdio_open, .close = stdio_close,
};

/* --- file --- */

static int file_open(struct chr *c, struct opts *o, struct err *e)
{
    const char *path = opts_get(o, "path"), *in_path = opts_get(o, "input-path");
    int fd, in = -1;
    bool append;

    if (!path || !*path)
        return err_set(e, "file: path=PATH is missing");
    if (opts_bool(o, "append", false, &append, e) < 0)
        return -1;
    if (in_path && (in = host_open(in_path, O_RDONLY | O_NONBLOCK, 0)) < 0)
        return err_set(e, "cannot open '%s' for reading: %s", in_path, strerror(errno));
    fd = host_open(path, O_WRONLY | O_CREAT | O_NONBLOCK | (append ? O_APPEND : O_TRUNC), 0666);
    if (fd < 0) {
        err_set(e, "cannot open '%s' for writing: %s", path, strerror(errno));
        if (in >= 0)
            close(in);
        return -1;
    }
    chr_connect(c, in, fd, true);
    return 0;
}

static const char *const file_options[] = { "path", "append", "input-path", NULL };
const struct chr_kind chr_file = { .name = "file", .options = file_options, .halves = true, .open = file_open };

/* --- pipe --- */

/* Opened for both directions, so that neither end waits for the other and end-of-file never comes. An ordinary file is left alone. */
static int fifo_open(const char *path, const char *suffix)
{
    char *name = g_strconcat(path, suffix, NULL);
    int fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    g_free(name);
    if (fd >= 0 && (fstat(fd, &st) < 0 || S_ISREG(st.st_mode))) {
        close(fd);
        errno = ENOTSUP;
        return -1;
    }
    return fd;
}

static int pipe_open(struct chr *c, struct opts *o, struct err *e)
{
    const char *path = opts_get(o, "path");
    int in, out;

    if (!path || !*path)
        return err_set(e, "pipe: path=PATH is missing");
    in = fifo_open(path, ".in");
    out = fifo_open(path, ".out");
    if (in < 0 || out < 0) {
        if (in >= 0)
            close(in);
        if (out >= 0)
            close(out);
        in = out = fifo_open(path, "");
        if (in < 0)
            return err_set(e, "cannot open the pipes '%s.in' and '%s.out', nor '%s': %s; make them with mkfifo", path,
                           path, path, strerror(errno));
    }
    chr_connect(c, in, out, true);
    return 0;
}

static const char *const path_options[] = { "path", NULL };
const struct chr_kind chr_pipe = { .name = "pipe", .options = path_options, .halves = true, .open = pipe_open };

/* --- pty --- */

struct pty {
    int master;
    guint timer;
};

static gboolean pty_check(gpointer opaque)
{
    struct chr *c = opaque;
    struct pty *p = c->priv;
    struct pollfd pfd = { .fd = p->master, .events = POLLIN };

    if (poll(&pfd, 1, 0) < 0 || pfd.revents & POLLHUP)
        return G_SOURCE_CONTINUE;
    p->timer = 0;
    chr_connect(c, p->master, p->master, false);
    return G_SOURCE_REMOVE;
}

static void pty_disconnected(struct chr *c)
{
    struct pty *p = c->priv;

    if (!p->timer)
        p->timer = g_timeout_add(PTY_POLL_MS, pty_check, c);
}

static int pty_open(struct chr *c, struct opts *o, struct err *e)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char name[64];
    struct termios t;
    struct pty *p;
    int slave;

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, sizeof(name)))
        return err_set(e, "cannot make a pty: %s", strerror(errno));
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0) {
        if (!tcgetattr(slave, &t)) {
            cfmakeraw(&t);
            tcsetattr(slave, TCSANOW, &t);
        }
        close(slave); /* from now on the master reports a hang-up until somebody opens the pty */
    }
    fcntl(master, F_SETFL, O_NONBLOCK);
    p = g_new0(struct pty, 1);
    p->master = master;
    c->priv = p;
    chr_set_filename(c, "pty:%s", name);
    fprintf(stderr, "char device redirected to %s (label %s)\n", name, c->id);
    pty_disconnected(c);
    return 0;
}

static void pty_close(struct chr *c)
{
    struct pty *p = c->priv;

    if (!p)
        return;
    if (p->timer)
        g_source_remove(p->timer);
    close(p->master);
    g_free(p);
}

const struct chr_kind chr_pty = {
    .name = "pty", .open = pty_open, .disconnected = pty_disconnected, .close = pty_close,
};

/* --- serial lines of the host --- */

/* 115200 8N1 without flow control or echo; what the guest sets on its UART is not passed on. */
static int serial_open(struct chr *c, struct opts *o, struct err *e)
{
    const char *path = opts_get(o, "path");
    struct termios t;
    int fd;

    if (!path || !*path)
        return err_set(e, "serial: path=PATH is missing");
    fd = host_open(path, O_RDWR | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return err_set(e, "cannot open '%s': %s", path, strerror(errno));
    if (tcgetattr(fd, &t) < 0) {
        close(fd);
        return err_set(e, "'%s' is not a terminal", path);
    }
    cfmakeraw(&t);
    t.c_cflag |= CLOCAL | CREAD;
    t.c_cflag &= ~(tcflag_t)CRTSCTS;
    cfsetspeed(&t, B115200);
    tcsetattr(fd, TCSANOW, &t);
    chr_connect(c, fd, fd, true);
    return 0;
}

const struct chr_kind chr_serial = { .name = "serial", .alias = "tty", .options = path_options, .open = serial_open };
