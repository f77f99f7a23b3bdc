/* Tests util/clock.c: the manual clock's order and exactness, and the real clock's timers, stop and start. */
#include "util/clock.h"
#include <glib.h>
#include "util/lock.h"

struct record {
    struct timer t;
    struct clock *c;
    struct lock *lock;
    char name;
    i64 ran_at;
    unsigned runs;
    i64 again; /* re-arms itself this much later, `left` times */
    unsigned left;
};

static char order[16];
static unsigned order_len;

static void fire(void *opaque)
{
    struct record *r = opaque;
    if (r->lock)
        g_assert_true(lock_is_mine(r->lock));
    r->ran_at = clock_ns(r->c);
    r->runs++;
    if (order_len < sizeof(order) - 1)
        order[order_len++] = r->name;
    if (r->left) {
        r->left--;
        timer_set(&r->t, r->t.deadline + r->again);
    }
}

static void record_init(struct record *r, struct clock *c, char name)
{
    *r = (struct record){ .c = c, .name = name };
    timer_init(&r->t, c, fire, r);
}

static void test_manual(void)
{
    struct clock *c = clock_new_manual();
    struct record r[3];
    memset(order, 0, sizeof(order));
    order_len = 0;
    for (unsigned i = 0; i < 3; i++)
        record_init(&r[i], c, 'a' + i);
    g_assert_cmpint(clock_ns(c), ==, 0);
    g_assert_cmpint(clock_real_ns(c), ==, 0);
    i64 wall = clock_wall_ns(c);
    timer_set(&r[0].t, 300);
    timer_set(&r[1].t, 100);
    timer_set(&r[2].t, 200);
    r[1].again = 150;
    r[1].left = 2;
    clock_step(c, 99);
    g_assert_cmpuint(order_len, ==, 0);
    clock_step(c, 1);
    g_assert_cmpstr(order, ==, "b");
    g_assert_cmpint(r[1].ran_at, ==, 100);
    timer_set(&r[0].t, 260); /* moved forward */
    clock_step(c, 900);
    g_assert_cmpstr(order, ==, "bcbab");
    g_assert_cmpint(r[0].ran_at, ==, 260);
    g_assert_cmpint(r[1].ran_at, ==, 400);
    g_assert_cmpint(clock_ns(c), ==, 1000);
    g_assert_cmpint(clock_wall_ns(c) - wall, ==, 1000);
    g_assert_cmpint(clock_real_ns(c), ==, 1000);
    timer_set(&r[0].t, 10); /* past: at the next step, and time does not run backwards */
    clock_step(c, 0);
    g_assert_cmpint(r[0].ran_at, ==, 1000);
    timer_set(&r[0].t, 1500);
    timer_cancel(&r[0].t);
    timer_cancel(&r[0].t);
    clock_step(c, 1000);
    g_assert_cmpuint(r[0].runs, ==, 2);
    g_assert_false(r[0].t.pending);
    clock_free(c);
}

static void test_same_deadline(void)
{
    struct clock *c = clock_new_manual();
    struct record r[3];
    memset(order, 0, sizeof(order));
    order_len = 0;
    for (unsigned i = 0; i < 3; i++) {
        record_init(&r[i], c, 'a' + i);
        timer_set(&r[i].t, 50);
    }
    timer_cancel(&r[1].t);
    timer_set(&r[1].t, 50);
    clock_step(c, 50);
    g_assert_cmpstr(order, ==, "acb"); /* in the order of arming */
    clock_free(c);
}

static void test_real(void)
{
    struct lock l;
    struct record r;
    lock_init(&l, "machine", RANK_MACHINE);
    struct clock *c = clock_new_real(&l);
    record_init(&r, c, 'r');
    r.lock = &l;
    g_assert_cmpint(clock_ns(c), ==, 0);
    timer_set(&r.t, 1);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(r.runs, ==, 0); /* stopped: no time passes */
    clock_start(c);
    while (!r.runs)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpint(r.ran_at, >=, 1);
    i64 due = clock_ns(c) + 2000000;
    r.left = 3;
    r.again = 300000;
    timer_set(&r.t, due);
    while (r.runs < 5)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpint(r.ran_at, >=, due + 900000);
    clock_stop(c);
    i64 stopped = clock_ns(c);
    g_assert_cmpint(clock_ns(c), ==, stopped);
    timer_set(&r.t, stopped);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(r.runs, ==, 5);
    clock_set_ns(c, 1000 * NS_PER_SEC);
    g_assert_cmpint(clock_ns(c), ==, 1000 * NS_PER_SEC);
    clock_start(c);
    while (r.runs < 6)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpint(r.ran_at, >=, 1000 * NS_PER_SEC);
    g_assert_cmpint(r.ran_at, <, 1100 * NS_PER_SEC);
    clock_free(c);
    lock_fini(&l);
}

/* The way without vector registers says what the other one does. */
static void test_light(void)
{
    struct lock l;
    lock_init(&l, "machine", RANK_MACHINE);
    struct clock *c = clock_new_manual();
    g_assert_null(clock_base(c));
    clock_free(c);
    c = clock_new_real(&l);
    const struct clock_base *b = clock_base(c);
    g_assert_nonnull(b); /* every Linux has it */
    clock_set_ns(c, 12345);
    g_assert_cmpint(clock_base_ns(b), ==, 12345);
    clock_start(c);
    for (unsigned i = 0; i < 1000; i++) {
        i64 before = clock_ns(c), light = clock_base_ns(b), after = clock_ns(c);
        g_assert_true(before <= light && light <= after);
    }
    clock_stop(c);
    i64 stopped = clock_base_ns(b);
    g_assert_cmpint(stopped, >, 12345);
    g_assert_cmpint(clock_ns(c), ==, stopped);
    clock_free(c);
    lock_fini(&l);
}

static void *arm_from_thread(void *opaque)
{
    struct record *r = opaque;
    timer_set(&r->t, clock_ns(r->c) + 100000);
    return NULL;
}

static void test_other_thread(void)
{
    struct lock l;
    struct record r;
    pthread_t t;
    lock_init(&l, "machine", RANK_MACHINE);
    struct clock *c = clock_new_real(&l);
    record_init(&r, c, 't');
    clock_start(c);
    timer_set(&r.t, clock_ns(c) + 3600 * NS_PER_SEC);
    g_assert_cmpint(thread_start(&t, "armer", arm_from_thread, &r), ==, 0);
    while (!r.runs)
        g_main_context_iteration(NULL, TRUE);
    pthread_join(t, NULL);
    clock_free(c);
    lock_fini(&l);
}

static gboolean on_idle(gpointer opaque)
{
    *(bool *)opaque = true;
    return G_SOURCE_REMOVE;
}

static void busy_fire(void *opaque)
{
    struct timer *t = opaque;
    timer_set(t, t->deadline + 1);
}

/* A timer that is always due does not keep the main loop from everything else. */
static void test_busy(void)
{
    struct lock l;
    lock_init(&l, "machine", RANK_MACHINE);
    struct clock *c = clock_new_real(&l);
    struct timer t;
    bool idle = false;
    timer_init(&t, c, busy_fire, &t);
    timer_set(&t, 0);
    clock_start(c);
    g_idle_add(on_idle, &idle);
    for (unsigned i = 0; i < 1000 && !idle; i++)
        g_main_context_iteration(NULL, TRUE);
    g_assert_true(idle);
    timer_cancel(&t);
    clock_free(c);
    lock_fini(&l);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clock/manual", test_manual);
    g_test_add_func("/clock/same-deadline", test_same_deadline);
    g_test_add_func("/clock/real", test_real);
    g_test_add_func("/clock/light", test_light);
    g_test_add_func("/clock/busy", test_busy);
    g_test_add_func("/clock/other-thread", test_other_thread);
    return g_test_run();
}
