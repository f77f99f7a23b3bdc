/* The VM clock and its timer list. clock_ns() is lock-free from any thread; timers run on the main loop's thread (a timerfd
 * source of the default GLib context) or, for a manual clock, inside clock_step(). */
#include "util/clock.h"
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "util/lock.h"

#define NEVER INT64_MAX
#define RUN_BATCH 256                        /* timers run before the main loop gets a turn */
#define TURN_NS 100000                       /* timers that are due so soon after others let the main loop go first, once */
#define MANUAL_EPOCH (1000000000ll * NS_PER_SEC) /* 2001-09-09 01:46:40 UTC */

struct clock {
    struct lock lock;      /* guards head, armed and changes of the time base */
    struct lock *run_lock; /* held around callbacks; NULL if manual */
    bool manual;
    struct timer *head;    /* by deadline, earliest first */
    i64 armed;             /* VM deadline that the timerfd is set to, or NEVER */
    int tfd;
    GSource *source;
    struct clock_base now;
    i64 made; /* host time at which it was made; CLOCK_BOOTTIME */
};

struct clock_source {
    GSource source;
    struct clock *clock;
    GPollFD poll; /* the timerfd */
    i64 ran;      /* host time when timers last ran; 0: what else the main loop has to do has had its turn since */
};

static i64 host_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* Lock held. Readers see either the old or the new pair. */
static void base_set(struct clock *c, bool running, i64 base)
{
    u32 seq = c->now.seq;
    __atomic_store_n(&c->now.seq, seq + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&c->now.running, running, __ATOMIC_RELAXED);
    __atomic_store_n(&c->now.base, base, __ATOMIC_RELAXED);
    __atomic_store_n(&c->now.seq, seq + 2, __ATOMIC_RELEASE);
}

i64 clock_ns(struct clock *c)
{
    for (;;) {
        u32 seq = __atomic_load_n(&c->now.seq, __ATOMIC_ACQUIRE);
        bool running = __atomic_load_n(&c->now.running, __ATOMIC_RELAXED);
        i64 base = __atomic_load_n(&c->now.base, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(seq & 1) && __atomic_load_n(&c->now.seq, __ATOMIC_RELAXED) == seq)
            return running ? host_ns(CLOCK_MONOTONIC) + base : base;
    }
}

const struct clock_base *clock_base(struct clock *c) { return !c->manual && clock_light_init() ? &c->now : NULL; }

bool clock_running(struct clock *c)
{
    return c->manual || __atomic_load_n(&c->now.running, __ATOMIC_ACQUIRE);
}

i64 clock_real_ns(struct clock *c)
{
    return c->manual ? clock_ns(c) : host_ns(CLOCK_BOOTTIME) - c->made;
}

i64 clock_wall_ns(struct clock *c)
{
    return c->manual ? MANUAL_EPOCH + clock_ns(c) : host_ns(CLOCK_REALTIME);
}

/* Lock held: programs the timerfd if the earliest deadline (or whether time runs) has changed. */
static void rearm(struct clock *c)
{
    i64 want = c->now.running && c->head ? c->head->deadline : NEVER;
    struct itimerspec its = { 0 };
    if (c->manual || want == c->armed)
        return;
    c->armed = want;
    if (want != NEVER) {
        i64 host = want - c->now.base;
        if (host < 1)
            host = 1;
        its.it_value.tv_sec = host / NS_PER_SEC;
        its.it_value.tv_nsec = host % NS_PER_SEC;
    }
    timerfd_settime(c->tfd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* Lock held. */
static struct timer *pop_due(struct clock *c, i64 now)
{
    struct timer *t = c->head;
    if (!t || t->deadline > now)
        return NULL;
    c->head = t->next;
    t->pending = false;
    return t;
}

static void run_due(struct clock *c)
{
    lock_acquire(c->run_lock);
    for (unsigned i = 0; i < RUN_BATCH; i++) {
        lock_acquire(&c->lock);
        struct timer *t = c->now.running ? pop_due(c, clock_ns(c)) : NULL;
        lock_release(&c->lock);
        if (!t)
            break;
        t->fn(t->opaque);
    }
    lock_release(c->run_lock);
    lock_acquire(&c->lock);
    rearm(c);
    lock_release(&c->lock);
}

/* Without turns a guest whose timer has a period of a microsecond would keep the main loop, which prefers this source, from the monitor. */
static gboolean source_check(GSource *source)
{
    struct clock_source *s = (struct clock_source *)source;
    if (!(s->poll.revents & G_IO_IN))
        return FALSE;
    bool soon = s->ran && host_ns(CLOCK_MONOTONIC) - s->ran < TURN_NS;
    s->ran = 0;
    return !soon;
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
    struct clock *c = ((struct clock_source *)source)->clock;
    u64 expirations;
    if (read(c->tfd, &expirations, sizeof(expirations)) == sizeof(expirations)) {
        lock_acquire(&c->lock);
        c->armed = NEVER; /* it has fired: the next rearm must program it */
        lock_release(&c->lock);
        run_due(c);
    }
    ((struct clock_source *)source)->ran = host_ns(CLOCK_MONOTONIC);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { .check = source_check, .dispatch = source_dispatch };

struct clock *clock_new_real(struct lock *run_lock)
{
    struct clock *c = g_new0(struct clock, 1);
    lock_init(&c->lock, "clock", RANK_CLOCK);
    c->run_lock = run_lock;
    c->made = host_ns(CLOCK_BOOTTIME);
    c->armed = NEVER;
    c->tfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (c->tfd < 0) {
        fprintf(stderr, "gemel: no timer from the host: %s\n", strerror(errno));
        exit(1);
    }
    c->source = g_source_new(&source_funcs, sizeof(struct clock_source));
    struct clock_source *s = (struct clock_source *)c->source;
    s->clock = c;
    s->poll = (GPollFD){ .fd = c->tfd, .events = G_IO_IN };
    g_source_add_poll(c->source, &s->poll);
    g_source_set_priority(c->source, G_PRIORITY_HIGH);
    g_source_set_can_recurse(c->source, TRUE); /* it does not; but GLib would make system calls at each event to prevent it */
    g_source_attach(c->source, NULL);
    return c;
}

struct clock *clock_new_manual(void)
{
    struct clock *c = g_new0(struct clock, 1);
    lock_init(&c->lock, "clock", RANK_CLOCK);
    c->manual = true;
    c->armed = NEVER;
    c->tfd = -1;
    return c;
}

void clock_free(struct clock *c)
{
    if (!c)
        return;
    if (c->source) {
        g_source_destroy(c->source);
        g_source_unref(c->source);
        close(c->tfd);
    }
    lock_fini(&c->lock);
    g_free(c);
}

void clock_start(struct clock *c)
{
    lock_acquire(&c->lock);
    if (!c->now.running && !c->manual) {
        base_set(c, true, c->now.base - host_ns(CLOCK_MONOTONIC));
        rearm(c);
    }
    lock_release(&c->lock);
}

void clock_stop(struct clock *c)
{
    lock_acquire(&c->lock);
    if (c->now.running) {
        base_set(c, false, c->now.base + host_ns(CLOCK_MONOTONIC));
        rearm(c);
    }
    lock_release(&c->lock);
}

void clock_set_ns(struct clock *c, i64 ns)
{
    lock_acquire(&c->lock);
    assert(!c->now.running);
    base_set(c, false, ns);
    lock_release(&c->lock);
}

void clock_step(struct clock *c, i64 ns)
{
    assert(c->manual);
    i64 end = clock_ns(c) + ns;
    for (;;) {
        lock_acquire(&c->lock);
        struct timer *t = pop_due(c, end);
        i64 now = clock_ns(c);
        base_set(c, false, t ? MAX_OF(t->deadline, now) : end);
        lock_release(&c->lock);
        if (!t)
            break;
        t->fn(t->opaque);
    }
}

void timer_init(struct timer *t, struct clock *c, void (*fn)(void *), void *opaque)
{
    *t = (struct timer){ .clock = c, .fn = fn, .opaque = opaque };
}

/* Lock held. */
static void unlink_timer(struct clock *c, struct timer *t)
{
    if (!t->pending)
        return;
    struct timer **p = &c->head;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->pending = false;
}

void timer_set(struct timer *t, i64 deadline_ns)
{
    struct clock *c = t->clock;
    lock_acquire(&c->lock);
    unlink_timer(c, t);
    t->deadline = deadline_ns;
    t->pending = true;
    struct timer **p = &c->head;
    while (*p && (*p)->deadline <= deadline_ns)
        p = &(*p)->next;
    t->next = *p;
    *p = t;
    rearm(c);
    lock_release(&c->lock);
}

void timer_cancel(struct timer *t)
{
    struct clock *c = t->clock;
    if (!c)
        return;
    lock_acquire(&c->lock);
    unlink_timer(c, t);
    rearm(c);
    lock_release(&c->lock);
}
