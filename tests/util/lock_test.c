/* Tests util/lock.c: ownership, rank checks, timed waits, threads. */
#include "util/lock.h"
#include <glib.h>
#include <signal.h>

static struct lock a, b;

static void test_owner(void)
{
    g_assert_false(lock_is_mine(&a));
    lock_acquire(&a);
    g_assert_true(lock_is_mine(&a));
    g_assert_false(lock_is_mine(&b));
    lock_acquire(&b);
    lock_release(&a); /* any order of release is fine */
    g_assert_true(lock_is_mine(&b));
    lock_release(&b);
    g_assert_false(lock_is_mine(&b));
    lock_acquire(&a); /* and leaves nothing behind */
    lock_release(&a);
}

static void test_wrong_order(void)
{
#ifndef NDEBUG
    if (g_test_subprocess()) {
        signal(SIGABRT, SIG_DFL);
        lock_acquire(&b);
        lock_acquire(&a);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*lock order: taking outer*while holding inner*");
#endif
}

static void test_wait_timeout(void)
{
    pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    lock_acquire(&a);
    g_assert_false(lock_wait_ns(&a, &c, 1000000));
    g_assert_true(lock_is_mine(&a));
    g_assert_false(lock_wait_ns(&a, &c, -5));
    lock_release(&a);
}

struct meeting {
    pthread_cond_t c;
    int turn;
    char name[16];
    bool int_blocked, segv_blocked, outsider_owns;
};

static void *partner(void *arg)
{
    struct meeting *m = arg;
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    lock_acquire(&a);
    m->int_blocked = sigismember(&set, SIGINT);
    m->segv_blocked = sigismember(&set, SIGSEGV);
    m->outsider_owns = lock_is_mine(&b);
    pthread_getname_np(pthread_self(), m->name, sizeof(m->name));
    m->turn = 1;
    pthread_cond_broadcast(&m->c);
    while (m->turn != 2)
        lock_wait(&a, &m->c);
    lock_release(&a);
    return m;
}

static void test_thread(void)
{
    struct meeting m = { .c = PTHREAD_COND_INITIALIZER };
    pthread_t t;
    void *ret;
    lock_acquire(&a);
    lock_acquire(&b);
    g_assert_cmpint(thread_start(&t, "partner", partner, &m), ==, 0);
    lock_release(&b);
    while (m.turn != 1)
        g_assert_true(lock_wait_ns(&a, &m.c, 60 * NS_PER_SEC));
    m.turn = 2;
    pthread_cond_broadcast(&m.c);
    lock_release(&a);
    pthread_join(t, &ret);
    g_assert_true(ret == &m);
    g_assert_cmpstr(m.name, ==, "partner");
    g_assert_true(m.int_blocked);
    g_assert_false(m.segv_blocked);
    g_assert_false(m.outsider_owns);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    lock_init(&a, "outer", RANK_MACHINE);
    lock_init(&b, "inner", RANK_CLOCK);
    g_test_add_func("/lock/owner", test_owner);
    g_test_add_func("/lock/wrong-order", test_wrong_order);
    g_test_add_func("/lock/wait-timeout", test_wait_timeout);
    g_test_add_func("/lock/thread", test_thread);
    return g_test_run();
}
