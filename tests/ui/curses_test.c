/* Tests ui/curses.c on a pseudo-terminal: what the screen shows reaches the terminal, what is typed reaches the guest, and the terminal gets its
 * modes back. The program under test runs in a child. */
#include "ui/curses.h"
#include <glib.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "config.h"
#include "tests/lib/fake_screen.h"
#include "ui/display.h"

#if HAVE_CURSES
#define BEFORE_ESCAPE 14 /* key events */

static bool text(void *opaque, struct console_text *t)
{
    static const char line[] = "hello from the guest", typed[] = "all was typed";
    const struct fake_screen *fs = opaque;
    t->cols = 40;
    t->rows = 10;
    t->cursor = 0;
    for (unsigned i = 0; i < 400; i++)
        t->cell[i] = 0x0720;
    for (unsigned i = 0; i < strlen(line); i++)
        t->cell[80 + i] = 0x1e00 | (u8)line[i];
    t->cell[121] = 0x07db; /* a block */
    for (unsigned i = 0; fs->n_keys >= BEFORE_ESCAPE && i < strlen(typed); i++)
        t->cell[160 + i] = 0x1e00 | (u8)typed[i];
    return true;
}

static void no_update(void *opaque, bool all) {}

/* Leaves when Escape was typed; the status says whether everything before was right. */
static void child(void)
{
    static const struct console_ops ops = { no_update, text, NULL };
    static const struct { u16 code; bool down; } want[] = { { 0x1e, 1 }, { 0x1e, 0 }, { 0x2a, 1 }, { 0x30, 1 }, { 0x30, 0 }, { 0x2a, 0 }, { 0x1d, 1 },
        { 0x2e, 1 }, { 0x2e, 0 }, { 0x1d, 0 }, { 0xe048, 1 }, { 0xe048, 0 }, { 0x1c, 1 }, { 0x1c, 0 }, { 0x01, 1 }, { 0x01, 0 } };
    struct fake_machine *f = fake_machine_new(1);
    struct fake_screen *s = fake_screen_new(f, 8, 8);
    struct display_options o = { .display = "curses", .vnc = g_ptr_array_new() };
    struct display d;
    struct ui ui = { 0 };
    struct err e = { "" };
    lock_acquire(&f->m.lock);
    console_free(s->con);
    s->con = console_new(&f->m, NULL, &ops, s);
    lock_release(&f->m.lock);
    if (display_start(&d, &ui, &f->m, &o, &e) < 0)
        exit(2);
    while (s->n_keys < ARRAY_LEN(want))
        g_main_context_iteration(NULL, TRUE);
    display_stop(&d);
    for (unsigned i = 0; i < ARRAY_LEN(want); i++)
        if (s->key[i].code != want[i].code || s->key[i].down != want[i].down)
            exit(3);
    exit(0);
}

static bool see(int fd, GString *out, const char *what)
{
    i64 until = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;
    char buf[1024];
    while (!strstr(out->str, what)) {
        struct pollfd p = { fd, POLLIN, 0 };
        ssize_t n;
        if (g_get_monotonic_time() > until || poll(&p, 1, 1000) < 0 || (p.revents && (n = read(fd, buf, sizeof(buf))) <= 0))
            return false;
        if (p.revents)
            g_string_append_len(out, buf, n);
    }
    return true;
}

static void test_session(void)
{
    struct winsize size = { .ws_row = 24, .ws_col = 80 };
    GString *out = g_string_new(NULL);
    int fd, status;
    g_setenv("TERM", "xterm", TRUE);
    g_setenv("LC_ALL", "C.UTF-8", TRUE);
    g_test_message("child on a terminal of its own");
    fflush(NULL);
    pid_t pid = forkpty(&fd, NULL, NULL, &size);
    g_assert_cmpint(pid, >=, 0);
    if (!pid)
        child();
    g_assert_true(see(fd, out, "hello from the guest"));
    g_assert_true(see(fd, out, "\xe2\x96\x88"));
    g_assert_cmpint(write(fd, "aB\3\033OA\r", 7), ==, 7);
    g_assert_true(see(fd, out, "all was typed")); /* Escape comes alone: with a key it would be Alt */
    g_assert_cmpint(write(fd, "\033", 1), ==, 1);
    g_assert_true(see(fd, out, "\033[?1049l")); /* the other screen is back */
    while (waitpid(pid, &status, 0) < 0)
        g_assert_cmpint(errno, ==, EINTR);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    close(fd);
    g_string_free(out, TRUE);
}

static void test_refused(void)
{
    struct display d = { 0 };
    struct err e = { "" };
    int in = dup(0), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    g_assert_null(curses_new(&d, "curses", &e));
    g_assert_nonnull(strstr(e.msg, "terminal"));
    g_assert_null(curses_new(&d, "curses,colour=red", &e));
    g_assert_nonnull(strstr(e.msg, "option"));
    dup2(in, 0);
    close(in);
    close(null);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#if HAVE_CURSES
    g_test_add_func("/ui/curses/session", test_session);
    g_test_add_func("/ui/curses/refused", test_refused);
#endif
    return g_test_run();
}
