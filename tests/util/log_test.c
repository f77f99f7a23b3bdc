/* Tests util/log.c: item lists, the log file, whole lines from several threads, the rate limit. */
#include "util/log.h"
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <unistd.h>
#include "util/err.h"

static char *log_path;

static char *log_text(void)
{
    char *text = NULL;

    g_assert_true(g_file_get_contents(log_path, &text, NULL, NULL));
    return text;
}

/* A new, empty log. */
static void restart(const char *items)
{
    struct err e;

    g_assert_cmpint(log_parse(items, &e), ==, 0);
    g_assert_cmpint(log_open(log_path, &e), ==, 0);
}

static void test_parse(void)
{
    struct err e;

    g_assert_cmpint(log_parse("int,cpu_reset,", &e), ==, 0);
    g_assert_cmphex(log_mask, ==, LOG_INT | LOG_RESET);
    g_assert_cmpint(log_parse("in_asm,frobs", &e), ==, -1);
    g_assert_nonnull(strstr(e.msg, "frobs"));
    g_assert_cmphex(log_mask, ==, LOG_INT | LOG_RESET);
    g_assert_cmpint(log_parse("in_as", &e), ==, -1);
    g_assert_cmpint(log_parse("all", &e), ==, 0);
    g_assert_cmphex(log_mask & LOG_DEV, ==, LOG_DEV);
    g_assert_cmpint(log_parse("none", &e), ==, 0);
    g_assert_cmphex(log_mask, ==, 0);
    g_assert_cmpint(log_open("/nonexistent/folder/log", &e), ==, -1);
}

static void test_names(void)
{
    const char *help;
    unsigned n = 0;

    for (; log_item_name(n, &help); n++)
        g_assert_cmpuint(strlen(help), >, 10);
    g_assert_cmpuint(n, ==, 13);
}

static void test_lines(void)
{
    char *text, *big = g_strnfill(5000, 'x');

    restart("int");
    LOG(LOG_INT, "one %d", 1);
    LOG(LOG_MMU, "not wanted");
    LOG(LOG_INT, "two\n");
    LOG(LOG_INT, "%s", big);
    text = log_text();
    g_assert_true(g_str_has_prefix(text, "one 1\ntwo\nxxx"));
    g_assert_cmpuint(strlen(text), ==, 10 + 5001);
    g_free(text);
    g_free(big);
}

static void *writer(void *arg)
{
    for (unsigned i = 0; i < 500; i++)
        log_print("line of thread %s", (const char *)arg);
    return NULL;
}

static void test_threads(void)
{
    GThread *t[3];
    char **lines, *text;

    restart("in_asm"); /* traces are not limited */
    for (unsigned i = 0; i < 3; i++)
        t[i] = g_thread_new("w", writer, (void *)"abc");
    for (unsigned i = 0; i < 3; i++)
        g_thread_join(t[i]);
    text = log_text();
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 1501);
    for (unsigned i = 0; i < 1500; i++)
        g_assert_cmpstr(lines[i], ==, "line of thread abc");
    g_strfreev(lines);
    g_free(text);
}

static void test_rate_limit(void)
{
    char *text;

    restart("guest_errors");
    for (unsigned i = 0; i < 20000; i++)
        GUEST_ERROR("again");
    text = log_text();
    /* 1000 a second; the loop may cross a second or two on a slow host. */
    g_assert_cmpuint(strlen(text), >=, 1000 * 6);
    g_assert_cmpuint(strlen(text), <, 15000 * 6);
    g_free(text);
}

int main(int argc, char **argv)
{
    int r, fd = g_file_open_tmp("gemel-log-XXXXXX", &log_path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/parse", test_parse);
    g_test_add_func("/log/names", test_names);
    g_test_add_func("/log/lines", test_lines);
    g_test_add_func("/log/threads", test_threads);
    g_test_add_func("/log/rate-limit", test_rate_limit);
    r = g_test_run();
    g_unlink(log_path);
    g_free(log_path);
    return r;
}
