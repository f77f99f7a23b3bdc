/* Fuzz target: VNC clients: what one sends after the connection, after authentication, or after the whole handshake, in pieces. */
#include <glib.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "config.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_screen.h"
#include "ui/display.h"

#if HAVE_VNC
static struct fake_machine *f;
static struct fake_screen *screen;
static struct display display;
static struct ui ui;
static struct display_options options;
static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e = { "" };
    char *dir = g_dir_make_tmp("gemel-fuzz-XXXXXX", NULL);
    g_main_context_acquire(NULL);
    f = fake_machine_new(1);
    screen = fake_screen_new(f, 64, 48);
    g_snprintf(path, sizeof(path), "%s/v", dir);
    options.vnc = g_ptr_array_new();
    g_ptr_array_add(options.vnc, g_strdup_printf("unix:%s", path));
    g_assert_cmpint(display_start(&display, &ui, &f->m, &options, &e), ==, 0);
    g_free(dir);
    return 0;
}

/* Reads what has come, for at most so many ms, until the server hangs up; false then. */
static bool drain(int fd, unsigned ms, size_t until)
{
    i64 end = g_get_monotonic_time() + ms * 1000;
    size_t got = 0;
    char buf[4096];
    while (g_get_monotonic_time() < end) {
        ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        got += n > 0 ? (size_t)n : 0;
        if (until && got >= until)
            return true;
        screen->n_keys = 0;
        if (n < 0 && !g_main_context_iteration(NULL, FALSE))
            poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 1);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    u8 how = size ? data[0] : 0;
    g_strlcpy(a.sun_path, path, sizeof(a.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
    if ((how & 3) && drain(fd, 2000, 12) && send(fd, "RFB 003.008\n\1", 13, MSG_NOSIGNAL) == 13 && (how & 2) && drain(fd, 2000, 6))
        send(fd, "\1", 1, MSG_NOSIGNAL);
    for (size_t at = 1, n; at < size; at += n) {
        n = how & 4 ? MIN_OF(size - at, (size_t)(how >> 3) + 1) : size - at;
        if (send(fd, data + at, n, MSG_NOSIGNAL) < 0 || !drain(fd, 1, 0))
            break;
    }
    shutdown(fd, SHUT_WR);
    g_assert_false(drain(fd, 8000, 0)); /* the server hangs up */
    close(fd);
    return 0;
}
#else
int LLVMFuzzerInitialize(int *argc, char ***argv) { return 0; }
int LLVMFuzzerTestOneInput(const u8 *data, size_t size) { return 0; }
#endif
