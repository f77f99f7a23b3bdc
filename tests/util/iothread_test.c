/* Tests util/iothread.c: sources run in their thread, ending waits for users, and sync for what is running. */
#include "util/iothread.h"
#include <unistd.h>

static int seen_tid;

static gboolean note_tid(gpointer opaque)
{
    __atomic_store_n(&seen_tid, (int)gettid(), __ATOMIC_SEQ_CST);
    return G_SOURCE_REMOVE;
}

static void test_life(void)
{
    struct err e = { "" };
    struct iothread *t = iothread_new("io0", &e);

    g_assert_nonnull(t);
    g_assert_null(iothread_new("io0", &e));
    g_assert_true(iothread_find("io0") == t);
    g_assert_null(iothread_find("io1"));
    g_assert_true(iothread_nth(0) == t);
    g_assert_null(iothread_nth(1));
    GSource *s = g_idle_source_new();
    g_source_set_callback(s, note_tid, NULL, NULL);
    g_source_attach(s, iothread_context(t));
    g_source_unref(s);
    iothread_sync(t);
    g_assert_cmpint(__atomic_load_n(&seen_tid, __ATOMIC_SEQ_CST), ==, iothread_tid(t));
    g_assert_cmpint(iothread_tid(t), !=, gettid());
    iothread_get(t);
    g_assert_cmpint(iothread_free("io0", &e), ==, -1);
    iothread_put(t);
    g_assert_cmpint(iothread_free("io0", &e), ==, 0);
    g_assert_cmpint(iothread_free("io0", &e), ==, -1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/iothread/life", test_life);
    return g_test_run();
}
