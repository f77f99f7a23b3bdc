/* Paths of unix sockets: free ones, abandoned ones, those in use, other files. */
#include "util/unix_path.h"
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int bind_at(const char *path, int type)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type, 0);

    strcpy(un.sun_path, path);
    g_assert_cmpint(bind(fd, (void *)&un, sizeof(un)), ==, 0);
    return fd;
}

static int listen_at(const char *path)
{
    int fd = bind_at(path, SOCK_STREAM);

    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

static void test_claim(void)
{
    char *dir = g_dir_make_tmp("gemel-XXXXXX", NULL), *before = g_get_current_dir(), *path, *long_path = g_strnfill(200, 'x');
    struct err e;
    int fd;

    g_assert_cmpint(chdir(dir), ==, 0);
    path = unix_path_claim("s", SOCK_STREAM, &e);
    g_assert_true(g_path_is_absolute(path));
    fd = listen_at("s");
    g_assert_null(unix_path_claim("s", SOCK_STREAM, &e));
    g_assert_nonnull(strstr(e.msg, "another program"));
    close(fd);
    g_free(path);
    path = unix_path_claim("s", SOCK_STREAM, &e); /* its server is gone */
    g_assert_nonnull(path);
    g_assert_false(g_file_test("s", G_FILE_TEST_EXISTS));
    close(listen_at("s"));
    g_assert_cmpint(chdir("/"), ==, 0);
    unix_path_remove(path); /* wherever we are by now */
    g_assert_cmpint(chdir(dir), ==, 0);
    g_assert_false(g_file_test("s", G_FILE_TEST_EXISTS));
    g_assert_true(g_file_set_contents("file", "x", 1, NULL));
    g_assert_null(unix_path_claim("file", SOCK_STREAM, &e));
    g_assert_nonnull(strstr(e.msg, "no socket"));
    g_assert_true(g_file_test("file", G_FILE_TEST_EXISTS));
    fd = bind_at("d", SOCK_DGRAM);
    g_assert_null(unix_path_claim("d", SOCK_DGRAM, &e));
    g_assert_null(unix_path_claim("d", SOCK_STREAM, &e)); /* whatever it is, somebody has it */
    close(fd);
    path = unix_path_claim("d", SOCK_DGRAM, &e);
    g_assert_nonnull(path);
    g_assert_false(g_file_test("d", G_FILE_TEST_EXISTS));
    g_free(path);
    g_assert_null(unix_path_claim("", SOCK_STREAM, &e));
    g_assert_null(unix_path_claim(long_path, SOCK_STREAM, &e));
    g_assert_nonnull(strstr(e.msg, "107"));
    unix_path_remove(NULL);
    g_unlink("file");
    g_assert_cmpint(chdir(before), ==, 0);
    g_rmdir(dir);
    g_free(long_path);
    g_free(before);
    g_free(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/unix-path/claim", test_claim);
    return g_test_run();
}
