/* Tests ui/screendump.c and sendkey.c: files byte by byte, formats, errors that leave nothing behind; names of keys. */
#include "ui/screendump.h"
#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>
#include "config.h"
#include "tests/lib/fake_screen.h"
#include "ui/sendkey.h"

struct fixture {
    struct fake_machine *f;
    struct fake_screen *s;
    char *dir, *path;
    struct err e;
};

static struct fixture *start(const char *name)
{
    struct fixture *x = g_new0(struct fixture, 1);
    x->f = fake_machine_new(1);
    x->s = fake_screen_new(x->f, 5, 3);
    x->s->color = 0xff0000;
    x->s->dot.x = 4, x->s->dot.y = 2, x->s->dot.color = 0x01a2b3;
    x->dir = g_dir_make_tmp("gemel-dump-XXXXXX", NULL);
    x->path = g_build_filename(x->dir, name, NULL);
    return x;
}

static void end(struct fixture *x)
{
    g_unlink(x->path);
    g_assert_cmpint(g_rmdir(x->dir), ==, 0);
    fake_screen_free(x->s);
    fake_machine_free(x->f);
    g_free(x->dir);
    g_free(x->path);
    g_free(x);
}

static void test_ppm(void)
{
    struct fixture *x = start("a.ppm");
    char *data;
    gsize n;
    g_assert_cmpint(screendump(&x->f->m, x->path, NULL, NULL, &x->e), ==, 0);
    g_assert_true(g_file_get_contents(x->path, &data, &n, NULL));
    g_assert_cmpuint(n, ==, 11 + 45);
    g_assert_cmpmem(data, 11, "P6\n5 3\n255\n", 11);
    for (unsigned i = 0; i < 14; i++)
        g_assert_cmpmem(data + 11 + 3 * i, 3, "\xff\0\0", 3);
    g_assert_cmpmem(data + 11 + 42, 3, "\x01\xa2\xb3", 3);
    g_assert_false(x->s->watched);
    g_free(data);
    end(x);
}

static void test_png(void)
{
    struct fixture *x = start("a.png");
    char *data;
    gsize n;
    if (!HAVE_PNG) {
        g_assert_cmpint(screendump(&x->f->m, x->path, NULL, NULL, &x->e), ==, -1);
        end(x);
        return;
    }
    g_assert_cmpint(screendump(&x->f->m, x->path, NULL, NULL, &x->e), ==, 0);
    g_assert_true(g_file_get_contents(x->path, &data, &n, NULL));
    g_assert_cmpmem(data, 8, "\x89PNG\r\n\x1a\n", 8);
    g_assert_cmpmem(data + 12, 14, "IHDR\0\0\0\x05\0\0\0\x03\x08\x02", 14); /* 5 x 3, 8 bits, colours */
    g_assert_cmpmem(data + n - 8, 4, "IEND", 4);
    g_free(data);
    g_assert_cmpint(screendump(&x->f->m, x->path, "ppm", NULL, &x->e), ==, 0); /* the format is said, not the name's */
    g_assert_true(g_file_get_contents(x->path, &data, &n, NULL));
    g_assert_cmpmem(data, 2, "P6", 2);
    g_free(data);
    end(x);
}

static void test_errors(void)
{
    struct fixture *x = start("a.ppm");
    g_assert_cmpint(screendump(&x->f->m, "/nonexistent/a.ppm", NULL, NULL, &x->e), ==, -1);
    g_assert_nonnull(strstr(x->e.msg, "/nonexistent/a.ppm"));
    g_assert_cmpint(screendump(&x->f->m, x->path, "gif", NULL, &x->e), ==, -1);
    g_assert_nonnull(strstr(x->e.msg, "gif"));
    g_assert_cmpint(screendump(&x->f->m, x->path, NULL, "nobody", &x->e), ==, -1);
    g_assert_nonnull(strstr(x->e.msg, "nobody"));
    g_assert_cmpint(screendump(&x->f->m, "/dev/full", "ppm", NULL, &x->e), ==, -1);
    g_assert_nonnull(strstr(x->e.msg, "/dev/full"));
    g_assert_cmpint(g_access(x->path, F_OK), ==, -1);
    end(x);
}

static void test_sendkey(void)
{
    struct fixture *x = start("a.ppm");
    g_assert_cmpint(sendkey(&x->f->m, "ctrl-alt-delete", 0, &x->e), ==, 0);
    g_assert_cmpuint(x->s->n_keys, ==, 3);
    g_assert_cmphex(x->s->key[2].code, ==, 0xe053);
    fm_step(x->f, 100000000);
    g_assert_cmpuint(x->s->n_keys, ==, 6);
    g_assert_cmpint(sendkey(&x->f->m, "0x1e", 1, &x->e), ==, 0);
    g_assert_cmphex(x->s->key[6].code, ==, 0x1e);
    g_assert_cmpint(sendkey(&x->f->m, "ctrl-nosuch", 0, &x->e), ==, -1);
    g_assert_nonnull(strstr(x->e.msg, "nosuch"));
    g_assert_cmpint(sendkey(&x->f->m, "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q", 0, &x->e), ==, -1);
    fm_step(x->f, 100000000);
    end(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ui/screendump/ppm", test_ppm);
    g_test_add_func("/ui/screendump/png", test_png);
    g_test_add_func("/ui/screendump/errors", test_errors);
    g_test_add_func("/ui/screendump/sendkey", test_sendkey);
    return g_test_run();
}
