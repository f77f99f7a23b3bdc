/* The high precision event timers: a 64-bit 100 MHz counter and three comparators. vCPU threads and timer callbacks, machine
 * lock held. Specification: IA-PC HPET (High Precision Event Timers) 1.0a. */
#include "hw/timer/hpet.h"
#include "hw/core/machine.h"
#include "util/log.h"

#define TIMERS 3
#define TICK_NS 10
#define ROUTES 0x00f00000u /* GSI 20..23 */
#define MIN_PERIOD_NS 50000

/* Capabilities: period in fs, vendor, legacy routing, 64 bits, number of timers, revision. */
#define CAPS ((u64)TICK_NS * 1000000 << 32 | 0x8086ull << 16 | BIT(15) | BIT(13) | (TIMERS - 1) << 8 | 1)
#define CFG_ENABLE BIT64(0)
#define CFG_LEGACY BIT64(1)

#define T_LEVEL BIT64(1)
#define T_ENABLE BIT64(2)
#define T_PERIODIC BIT64(3)
#define T_SET_VALUE BIT64(6)
#define T_32BIT BIT64(8)
#define T_ROUTE(c) ((c) >> 9 & 31)
#define T_FSB BIT64(14)
#define T_WRITABLE 0x7f4eull /* 1..3, 6, 8..14; timers without periodic capability less 3 */
#define T_CAPS ((u64)ROUTES << 32 | BIT64(15) | BIT64(5) | BIT64(4)) /* routes, FSB, 64 bits, periodic */

struct hpet_timer {
    u64 config;
    u64 comparator;
    u64 period;  /* last value written as a period */
    u64 fsb;     /* address in the high half, data in the low half */
    struct timer timer;
    struct hpet *hpet;
    u8 index;
};

struct hpet {
    struct device dev;
    u64 config, status;
    u64 counter;   /* while halted; else the counter at VM time `start` */
    i64 start;
    struct hpet_timer t[TIMERS];
    u8 legacy_in;  /* levels of the PIT's and RTC's outputs */
    struct region mem;
};

static u64 counter_now(struct hpet *s)
{
    if (!(s->config & CFG_ENABLE))
        return s->counter;
    return s->counter + (u64)(clock_ns(s->dev.m->clock) - s->start) / TICK_NS;
}

static u64 timer_mask(const struct hpet_timer *t)
{
    return t->config & T_32BIT ? 0xffffffffull : ~0ull;
}

/* GSI that the timer drives, or -1. */
static int timer_gsi(const struct hpet_timer *t)
{
    if ((t->hpet->config & CFG_LEGACY) && t->index < 2)
        return t->index ? 8 : 0;
    return ROUTES >> T_ROUTE(t->config) & 1 ? (int)T_ROUTE(t->config) : -1;
}

static void timer_lower(struct hpet_timer *t)
{
    int gsi = timer_gsi(t);
    if (gsi >= 0)
        irq_set(&t->hpet->dev.m->gsi[gsi], 0);
}

/* The comparator has matched. */
static void timer_raise(struct hpet_timer *t)
{
    struct hpet *s = t->hpet;
    struct machine *m = s->dev.m;
    int gsi = timer_gsi(t);
    if (t->config & T_LEVEL)
        s->status |= BIT64(t->index);
    if (!(t->config & T_ENABLE))
        return;
    if (t->config & T_FSB) {
        msi_send(&m->msi, &(struct msi){ .addr = t->fsb >> 32, .data = (u32)t->fsb, .source = MSI_SOURCE_HPET, .platform = true });
    } else if (gsi >= 0) {
        irq_set(&m->gsi[gsi], 1);
        if (!(t->config & T_LEVEL))
            irq_set(&m->gsi[gsi], 0);
    }
}

/* Arms the host timer for the next match. */
static void timer_arm(struct hpet_timer *t)
{
    struct hpet *s = t->hpet;
    u64 mask = timer_mask(t);
    if (!(s->config & CFG_ENABLE) || (!(t->config & T_ENABLE) && !(t->config & T_LEVEL))) {
        timer_cancel(&t->timer);
        return;
    }
    i64 now = clock_ns(s->dev.m->clock);
    u64 ahead = (t->comparator - counter_now(s)) & mask;
    if (ahead == 0) /* a match with the present value was the last one */
        ahead = mask;
    if (ahead > (u64)INT64_MAX / (2 * TICK_NS)) { /* centuries */
        timer_cancel(&t->timer);
        return;
    }
    i64 ns = ahead * TICK_NS - (now - s->start) % TICK_NS;
    if ((t->config & T_PERIODIC) && t->period < MIN_PERIOD_NS / TICK_NS)
        ns = MAX_OF(ns, MIN_PERIOD_NS);
    timer_set(&t->timer, now + ns);
}

/* Moves a periodic comparator past the counter. */
static void timer_advance(struct hpet_timer *t)
{
    u64 mask = timer_mask(t), now = counter_now(t->hpet);
    u64 late = (now - t->comparator) & mask;
    if ((t->config & T_PERIODIC) && t->period)
        t->comparator = (t->comparator + (late / t->period + 1) * t->period) & mask;
}

static void hpet_timer_fire(void *opaque)
{
    struct hpet_timer *t = opaque;
    timer_raise(t);
    timer_advance(t);
    timer_arm(t);
}

static void hpet_legacy_set(void *opaque, int n, int level)
{
    struct hpet *s = opaque;
    s->legacy_in = level ? s->legacy_in | BIT(n) : s->legacy_in & ~BIT(n);
    if (!(s->config & CFG_LEGACY))
        irq_set(&s->dev.m->gsi[n ? 8 : 0], level);
}

struct irq_line hpet_legacy_in(struct device *d, unsigned n)
{
    assert(n < 2);
    return (struct irq_line){ hpet_legacy_set, container_of(d, struct hpet, dev), n };
}

static void write_config(struct hpet *s, u64 val)
{
    u64 changed = (s->config ^ val) & (CFG_ENABLE | CFG_LEGACY);
    if (changed & CFG_ENABLE)
        s->counter = counter_now(s);
    if (changed & CFG_LEGACY)
        for (unsigned i = 0; i < 2; i++)
            timer_lower(&s->t[i]);
    s->config = val & (CFG_ENABLE | CFG_LEGACY);
    if (changed & CFG_ENABLE)
        s->start = clock_ns(s->dev.m->clock);
    if (changed & CFG_LEGACY)
        for (unsigned i = 0; i < 2; i++)
            irq_set(&s->dev.m->gsi[i ? 8 : 0], !(s->config & CFG_LEGACY) && (s->legacy_in & BIT(i)));
    for (unsigned i = 0; i < TIMERS; i++)
        timer_arm(&s->t[i]);
}

static void write_status(struct hpet *s, u64 val)
{
    for (unsigned i = 0; i < TIMERS; i++)
        if (val & s->status & BIT64(i))
            timer_lower(&s->t[i]);
    s->status &= ~val;
}

static void write_timer_config(struct hpet_timer *t, u64 val)
{
    struct hpet *s = t->hpet;
    u64 old = t->config;
    timer_lower(t);
    t->config = val & T_WRITABLE;
    if ((t->config & T_32BIT) && !(old & T_32BIT)) {
        t->comparator = (u32)t->comparator;
        t->period = (u32)t->period;
    }
    if (!(t->config & T_LEVEL))
        s->status &= ~BIT64(t->index);
    else if ((s->status & BIT64(t->index)) && (t->config & T_ENABLE) && !(t->config & T_FSB) && timer_gsi(t) >= 0)
        irq_set(&s->dev.m->gsi[timer_gsi(t)], 1);
    timer_arm(t);
}

/* In periodic mode a write sets the period and, if SET_VALUE was written before, first the comparator itself. */
static void write_comparator(struct hpet_timer *t, u64 val, u64 mask)
{
    u64 width = timer_mask(t);
    if (!(t->config & T_PERIODIC) || (t->config & T_SET_VALUE))
        t->comparator = ((t->comparator & ~mask) | (val & mask)) & width;
    if (t->config & T_PERIODIC)
        t->period = ((t->period & ~mask) | (val & mask)) & width;
    if (mask >> 32 || (t->config & T_32BIT))
        t->config &= ~T_SET_VALUE;
    timer_arm(t);
}

static u64 merge(u64 old, u64 val, u64 mask)
{
    return (old & ~mask) | (val & mask);
}

static u64 reg_read(struct hpet *s, u64 reg)
{
    if (reg >= 0x100 && reg < 0x100 + 0x20 * TIMERS) {
        const struct hpet_timer *t = &s->t[(reg - 0x100) / 0x20];
        switch (reg & 0x1f) {
        case 0x00: return t->config | T_CAPS;
        case 0x08: return t->comparator;
        case 0x10: return t->fsb;
        }
        return 0;
    }
    switch (reg) {
    case 0x000: return CAPS;
    case 0x010: return s->config;
    case 0x020: return s->status;
    case 0x0f0: return counter_now(s);
    }
    return 0;
}

/* mask: the bits that the access covers; val has zeros elsewhere. */
static void reg_write(struct hpet *s, u64 reg, u64 val, u64 mask)
{
    if (reg >= 0x100 && reg < 0x100 + 0x20 * TIMERS) {
        struct hpet_timer *t = &s->t[(reg - 0x100) / 0x20];
        switch (reg & 0x1f) {
        case 0x00: write_timer_config(t, merge(t->config, val, mask)); break;
        case 0x08: write_comparator(t, val, mask); break;
        case 0x10: t->fsb = merge(t->fsb, val, mask); break;
        }
        return;
    }
    switch (reg) {
    case 0x010:
        write_config(s, merge(s->config, val, mask));
        break;
    case 0x020:
        write_status(s, val);
        break;
    case 0x0f0:
        if (s->config & CFG_ENABLE)
            GUEST_ERROR("hpet: write of the running main counter");
        s->counter = merge(counter_now(s), val, mask);
        s->start = clock_ns(s->dev.m->clock);
        for (unsigned i = 0; i < TIMERS; i++)
            timer_arm(&s->t[i]);
        break;
    }
}

static u64 hpet_read(void *opaque, u64 off, unsigned size)
{
    return zext(reg_read(opaque, off & ~7ull) >> (off & 7) * 8, size);
}

static void hpet_write(void *opaque, u64 off, u64 val, unsigned size)
{
    unsigned shift = (off & 7) * 8;
    reg_write(opaque, off & ~7ull, val << shift, MASK64(size * 8) << shift);
}

static const struct region_ops hpet_ops = { hpet_read, hpet_write, 4, 8 };

static int hpet_realize(struct device *d, struct err *e)
{
    struct hpet *s = container_of(d, struct hpet, dev);
    for (unsigned i = 0; i < TIMERS; i++) {
        s->t[i].hpet = s;
        s->t[i].index = i;
        timer_init(&s->t[i].timer, d->m->clock, hpet_timer_fire, &s->t[i]);
    }
    region_init_io(&s->mem, "hpet", 1024, &hpet_ops, s, &d->m->lock);
    region_add(&d->m->mem_root, HPET_BASE, &s->mem, 1);
    return 0;
}

static void hpet_unrealize(struct device *d)
{
    struct hpet *s = container_of(d, struct hpet, dev);
    for (unsigned i = 0; i < TIMERS; i++)
        timer_cancel(&s->t[i].timer);
    region_del(&s->mem);
}

static void hpet_reset(struct device *d)
{
    struct hpet *s = container_of(d, struct hpet, dev);
    for (unsigned i = 0; i < TIMERS; i++) {
        struct hpet_timer *t = &s->t[i];
        timer_lower(t);
        timer_cancel(&t->timer);
        t->config = t->period = t->fsb = 0;
        t->comparator = ~0ull;
    }
    s->config = s->status = s->counter = 0;
    s->start = 0;
}

struct device *hpet_new(struct machine *m, struct err *e)
{
    return device_create(m, "hpet", NULL, NULL, e);
}

static const struct snap_field hpet_timer_fields[] = {
    SNAP_U(struct hpet_timer, config),
    SNAP_U(struct hpet_timer, comparator),
    SNAP_U(struct hpet_timer, period),
    SNAP_U(struct hpet_timer, fsb),
    SNAP_T(struct hpet_timer, timer),
    SNAP_DONE,
};
static const struct snap_field hpet_fields[] = {
    SNAP_U(struct hpet, config),
    SNAP_U(struct hpet, status),
    SNAP_U(struct hpet, counter),
    SNAP_U(struct hpet, start),
    SNAP_AS(struct hpet, t, hpet_timer_fields),
    SNAP_U(struct hpet, legacy_in),
    SNAP_DONE,
};

const struct dev_class hpet_class = {
    .name = "hpet",
    .desc = "high precision event timers",
    .state_size = sizeof(struct hpet),
    .fields = hpet_fields,
    .snap_version = 1,
    .realize = hpet_realize,
    .reset = hpet_reset,
    .unrealize = hpet_unrealize,
};
