/* The timer of a local APIC: one-shot, periodic and TSC-deadline modes. vCPU threads and timer callbacks, machine lock held.
 * Specification: Intel SDM vol. 3A 11.5.4. The bus clock is 1 GHz, as KVM's, so that a guest calibrates alike on each engine. */
#include "hw/core/machine.h"
#include "hw/intc/lapic_state.h"

#define MIN_PERIOD_NS 50000 /* callbacks of a periodic timer come no faster; the count stays exact */

static i64 now_ns(struct lapic *s)
{
    return clock_ns(s->dev.m->clock);
}

static unsigned timer_mode(const struct lapic *s)
{
    return LVT_TIMER_MODE(s->lvt[LVT_TIMER]);
}

static i64 period_ns(const struct lapic *s)
{
    return (i64)s->timer_init * lapic_divisor(s);
}

/* If the host timer is late, the interrupt comes now, under the present LVT entry: before the registers are changed, and before the guest reads
 * that the time is over. */
static void catch_up(struct lapic *s, i64 now)
{
    if (s->timer.pending && s->timer.deadline <= now) {
        timer_cancel(&s->timer);
        lapic_timer_fire(s);
    }
}

static u32 count_at(const struct lapic *s, i64 now)
{
    i64 period = period_ns(s), t = now - s->timer_start;
    if (!s->timer_running)
        return 0;
    if (t >= period) {
        if (timer_mode(s) == TIMER_ONESHOT)
            return 0;
        t %= period;
    }
    return s->timer_init - t / lapic_divisor(s);
}

u32 lapic_timer_count(struct lapic *s)
{
    i64 now = now_ns(s);
    catch_up(s, now);
    return count_at(s, now);
}

u64 lapic_timer_deadline(struct lapic *s)
{
    catch_up(s, now_ns(s));
    return s->tsc_deadline;
}

void lapic_timer_arm(struct lapic *s)
{
    struct machine *m = s->dev.m;
    i64 period = period_ns(s), t = now_ns(s) - s->timer_start;
    if (timer_mode(s) == TIMER_DEADLINE) {
        u64 now = m->tsc_now(m->tsc_opaque, s->cpu);
        if (!s->tsc_deadline || (s->tsc_deadline > now && s->tsc_deadline - now >= BIT64(60))) /* or years away */
            timer_cancel(&s->timer);
        else if (s->tsc_deadline <= now)
            timer_set(&s->timer, now_ns(s));
        else
            timer_set(&s->timer, m->tsc_to_ns(m->tsc_opaque, s->cpu, s->tsc_deadline));
    } else if (!s->timer_running || (timer_mode(s) == TIMER_PERIODIC && (s->lvt[LVT_TIMER] & LVT_MASKED))) {
        timer_cancel(&s->timer);
    } else if (timer_mode(s) == TIMER_PERIODIC) {
        i64 next = s->timer_start + (t / period + 1) * period;
        timer_set(&s->timer, MAX_OF(next, now_ns(s) + (period < MIN_PERIOD_NS ? MIN_PERIOD_NS : 0)));
    } else {
        timer_set(&s->timer, s->timer_start + period);
    }
}

void lapic_timer_fire(void *opaque)
{
    struct lapic *s = opaque;
    struct machine *m = s->dev.m;
    if (timer_mode(s) == TIMER_DEADLINE) {
        if (!s->tsc_deadline)
            return;
        if (s->tsc_deadline > m->tsc_now(m->tsc_opaque, s->cpu)) { /* rounded down: not quite yet */
            timer_set(&s->timer, now_ns(s) + 1);
            return;
        }
        s->tsc_deadline = 0;
    } else if (timer_mode(s) == TIMER_ONESHOT) {
        s->timer_running = false; /* stays at zero, also in periodic mode, until a new count is written */
    }
    lapic_local_event(s, LVT_TIMER);
    if (timer_mode(s) == TIMER_PERIODIC)
        lapic_timer_arm(s);
}

void lapic_timer_set_count(struct lapic *s, u32 val)
{
    if (timer_mode(s) == TIMER_DEADLINE)
        return; /* ignored in this mode */
    i64 now = now_ns(s);
    catch_up(s, now);
    s->timer_init = val;
    s->timer_running = val != 0;
    s->timer_start = now;
    lapic_timer_arm(s);
}

void lapic_timer_set_divide(struct lapic *s, u32 val)
{
    i64 now = now_ns(s);
    catch_up(s, now);
    u32 gone = s->timer_init - count_at(s, now);
    s->timer_divide = val & 0x0b;
    s->timer_start = now - (i64)gone * lapic_divisor(s);
    lapic_timer_arm(s);
}

void lapic_timer_set_lvt(struct lapic *s, u32 val)
{
    unsigned old_mode = timer_mode(s), mode = LVT_TIMER_MODE(val);
    i64 now = now_ns(s);
    catch_up(s, now);
    if (old_mode == TIMER_PERIODIC && mode == TIMER_ONESHOT && s->timer_running) /* this period is the last */
        s->timer_start = now - (i64)(s->timer_init - count_at(s, now)) * lapic_divisor(s);
    s->lvt[LVT_TIMER] = val;
    if ((old_mode == TIMER_DEADLINE) != (mode == TIMER_DEADLINE)) { /* entering or leaving deadline mode disarms */
        s->timer_running = false;
        s->timer_init = 0;
        s->tsc_deadline = 0;
    }
    lapic_timer_arm(s);
}

void lapic_timer_set_deadline(struct lapic *s, u64 tsc)
{
    struct machine *m = s->dev.m;
    if (timer_mode(s) != TIMER_DEADLINE)
        return;
    catch_up(s, now_ns(s));
    s->tsc_deadline = tsc;
    if (tsc && tsc <= m->tsc_now(m->tsc_opaque, s->cpu)) {
        timer_cancel(&s->timer);
        lapic_timer_fire(s);
    } else {
        lapic_timer_arm(s);
    }
}
