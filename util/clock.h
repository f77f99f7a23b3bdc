/* The VM clock and its timers: the only source of time for devices. One instance for a machine (a struct clock), real or
 * stepped by hand in tests. Real: timers run on the main loop's thread (timerfd), with the clock's `run_lock` (the machine
 * lock) held. Manual: timers run inside clock_step(). Nondeterminism door: record/replay hooks clock_ns(). */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H
#include "util/base.h"

struct lock;
struct clock;
struct timer {
    struct clock *clock;
    void (*fn)(void *opaque);
    void *opaque;
    i64 deadline; /* ns of VM time; valid while pending */
    bool pending;
    struct timer *next;
};

struct clock *clock_new_real(struct lock *run_lock);   /* attaches to the default GLib main context; starts stopped */
struct clock *clock_new_manual(void);                  /* at 0, runs only in clock_step */
void clock_free(struct clock *c);
/* VM time in ns since machine start; stands still while the VM is stopped. Any thread, no lock needed. */
i64 clock_ns(struct clock *c);
/* What clock_ns() makes of the host's monotonic clock, read under the sequence count: running: that + base; stopped: base. */
struct clock_base {
    u32 seq;
    bool running;
    i64 base;
};
/* For clock_base_ns(); NULL: there is no way but clock_ns(), with a manual clock. Good while the clock is. */
const struct clock_base *clock_base(struct clock *c);
/* As clock_ns(), by code that leaves vector registers alone (util/clock_light.c). */
i64 clock_base_ns(const struct clock_base *b);
bool clock_light_init(void); /* for clock_base() */
/* Real time in ns since the clock was made: it goes on while the VM is stopped. Manual clocks: VM time. Any thread. */
i64 clock_real_ns(struct clock *c);
/* Host wall-clock time in ns since 1970 for the RTC (plus the -rtc offset); manual clocks count from a fixed date. */
i64 clock_wall_ns(struct clock *c);
void clock_start(struct clock *c);
void clock_stop(struct clock *c);
/* False while the VM is stopped; a manual clock always runs. Any thread. */
bool clock_running(struct clock *c);
/* Sets the VM time of a stopped (or manual) clock: restoring a snapshot. Pending timers keep their deadlines. */
void clock_set_ns(struct clock *c, i64 ns);
/* Manual clock only: advances by ns, running each timer at its exact deadline in order. */
void clock_step(struct clock *c, i64 ns);

void timer_init(struct timer *t, struct clock *c, void (*fn)(void *), void *opaque);
/* Arms (or re-arms) for an absolute VM time. Any thread. */
void timer_set(struct timer *t, i64 deadline_ns);
void timer_cancel(struct timer *t);

#endif
