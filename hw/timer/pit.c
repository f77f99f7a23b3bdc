/* The 8254 programmable interval timer: three counters, of which 0 drives IRQ 0 and 2 the speaker, and the speaker control
 * port 0x61. vCPU threads and timer callbacks, machine lock held. Specification: Intel 8254 data sheet (231164); PIIX NMI
 * status and control register. Counters are not stepped: values are derived from the VM clock when somebody looks. */
#include "hw/timer/pit.h"
#include "hw/core/machine.h"
#include "util/log.h"

#define PIT_HZ 1193182ull

struct pit_channel {
    u32 count;        /* initial count, 1..65536 (in BCD mode 1..10000) as a binary number */
    u16 latched;      /* output latch */
    u8 latch_state;   /* bytes of the latch still to be read: 0 none, else as RW */
    u8 status;        /* latched status byte */
    bool status_latched;
    u8 rw;            /* 1 low, 2 high, 3 low then high */
    u8 mode;          /* 0..5 */
    bool bcd;
    bool read_high, write_high; /* next byte of a two-byte access */
    u8 write_low;     /* low byte waiting for its high byte */
    bool gate;
    bool null_count;  /* written, not yet loaded */
    bool loaded;      /* counting since `start` (modes 1 and 5: triggered) */
    bool pending;     /* modes 2 and 3: `next` is loaded at the end of this period */
    u32 next;
    i64 start;        /* PIT tick at which the counter was loaded */
    i64 frozen;       /* ticks counted when the gate closed; -1 if running */
};

struct pit {
    struct device dev;
    struct irq_line irq0;
    struct pit_channel ch[3];
    u8 speaker;       /* port 0x61, bits 0..3 */
    struct timer timer;
    struct region io, speaker_io;
};

static i64 ns_to_ticks(i64 ns)
{
    return (i64)((i128)ns * PIT_HZ / NS_PER_SEC);
}

/* First ns at which the tick counter reads t. */
static i64 ticks_to_ns(i64 t)
{
    return (i64)(((i128)t * NS_PER_SEC + PIT_HZ - 1) / PIT_HZ);
}

static i64 ticks_now(struct pit *s)
{
    return ns_to_ticks(clock_ns(s->dev.m->clock));
}

static bool is_periodic(const struct pit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Ticks since the load at time t. */
static i64 elapsed(const struct pit_channel *c, i64 t)
{
    i64 n = c->frozen >= 0 ? c->frozen : t - c->start;
    return n < 0 ? 0 : n;
}

/* Periodic modes: makes the period that covers t the current one; a new count takes effect at a period's end. */
static void channel_advance(struct pit_channel *c, i64 t)
{
    if (!c->loaded || !is_periodic(c) || c->frozen >= 0)
        return;
    i64 periods = (t - c->start) / c->count;
    if (periods > 0 && c->pending) {
        c->start += c->count;
        c->count = c->next;
        c->pending = c->null_count = false;
        periods = (t - c->start) / c->count;
    }
    if (periods > 0)
        c->start += periods * c->count;
}

static bool channel_out(struct pit_channel *c, i64 t)
{
    channel_advance(c, t);
    i64 n = elapsed(c, t);
    switch (c->mode) {
    case 0:
        return c->loaded && n >= c->count;
    case 1:
        return !c->loaded || n >= c->count;
    case 2:
        return !c->loaded || !c->gate || n < c->count - 1;
    case 3:
        return !c->loaded || !c->gate || n < (c->count + 1) / 2;
    default: /* 4 and 5: low for one tick when the count runs out */
        return !c->loaded || n != c->count;
    }
}

/* The counting element as a binary number. */
static u32 channel_value(struct pit_channel *c, i64 t)
{
    u32 wrap = c->bcd ? 10000 : 65536;
    channel_advance(c, t);
    if (!c->loaded)
        return c->count % wrap;
    i64 n = elapsed(c, t);
    if (c->mode == 3) { /* counts by two, each half of the wave from the top */
        u32 half = (c->count + 1) / 2;
        u32 into = n < half ? n : n - half;
        return ((c->count & ~1u) - 2 * into) % wrap;
    }
    if (c->mode == 2)
        return (c->count - n) % wrap;
    return (u32)((((i64)c->count - n) % wrap + wrap) % wrap);
}

/* The tick after t at which IRQ 0 must be driven again, or -1. An interrupt controller takes OUT's rising edge, so the
 * periodic modes are given that edge only, as a short pulse: half the timer callbacks. */
static i64 channel_next_edge(struct pit_channel *c, i64 t)
{
    channel_advance(c, t);
    if (!c->loaded || c->frozen >= 0)
        return -1;
    i64 n = elapsed(c, t);
    if (is_periodic(c) || n < c->count)
        return c->start + c->count;
    return c->mode >= 4 && n == c->count ? c->start + c->count + 1 : -1;
}

/* Drives IRQ 0 from channel 0's output and arms the timer for its next edge. */
static void irq_update(struct pit *s)
{
    struct pit_channel *c = &s->ch[0];
    i64 t = ticks_now(s);
    irq_set(&s->irq0, is_periodic(c) || channel_out(c, t));
    i64 edge = channel_next_edge(c, t);
    if (edge < 0)
        timer_cancel(&s->timer);
    else
        timer_set(&s->timer, ticks_to_ns(edge));
}

static void pit_timer(void *opaque)
{
    struct pit *s = opaque;
    struct pit_channel *c = &s->ch[0];
    if (is_periodic(c)) {
        irq_set(&s->irq0, 0);
    } else if (c->mode >= 4) { /* the strobe, however late the timer runs */
        irq_set(&s->irq0, channel_out(c, ns_to_ticks(s->timer.deadline)));
    }
    irq_update(s);
}

/* Starts counting at tick t. The load itself takes the next clock pulse; that tick is not modelled. */
static void channel_start(struct pit_channel *c, i64 t)
{
    c->start = t;
    c->frozen = c->gate || c->mode == 1 || c->mode == 5 ? -1 : 0;
    c->loaded = true;
    c->null_count = false;
    c->pending = false;
}

static u32 count_from_reg(const struct pit_channel *c, u16 reg)
{
    if (!c->bcd)
        return reg ? reg : 65536;
    u32 v = (reg >> 12) * 1000 + (reg >> 8 & 15) * 100 + (reg >> 4 & 15) * 10 + (reg & 15);
    return v ? v : 10000;
}

static u16 value_to_reg(const struct pit_channel *c, u32 v)
{
    if (!c->bcd)
        return v;
    return (v / 1000 % 10) << 12 | (v / 100 % 10) << 8 | (v / 10 % 10) << 4 | v % 10;
}

/* The whole count register has been written. */
static void channel_load(struct pit *s, struct pit_channel *c, u16 reg)
{
    i64 t = ticks_now(s);
    u32 count = count_from_reg(c, reg);
    channel_advance(c, t);
    c->null_count = true;
    if (is_periodic(c) && count == 1) {
        GUEST_ERROR("pit: count 1 is illegal in mode %u", c->mode);
        count = 2;
    }
    if (c->loaded && is_periodic(c) && c->gate) {
        c->next = count;
        c->pending = true;
        return;
    }
    c->count = count;
    if (c->mode == 1 || c->mode == 5)
        return; /* waits for (or goes on until) a trigger on the gate */
    channel_start(c, t);
}

static void channel_set_gate(struct pit *s, struct pit_channel *c, bool gate)
{
    i64 t = ticks_now(s);
    bool rise = gate && !c->gate;
    if (gate == c->gate)
        return;
    channel_advance(c, t);
    if (c->loaded && !gate && (c->mode == 0 || c->mode == 4 || is_periodic(c)))
        c->frozen = elapsed(c, t);
    c->gate = gate;
    if (!rise)
        return;
    if (c->mode == 1 || c->mode == 5) {
        channel_start(c, t);
    } else if (c->loaded && is_periodic(c)) {
        if (c->pending)
            c->count = c->next;
        channel_start(c, t); /* the gate's rising edge reloads */
    } else if (c->loaded && c->frozen >= 0) {
        c->start = t - c->frozen;
        c->frozen = -1;
    }
}

static void latch_count(struct pit *s, struct pit_channel *c)
{
    if (c->latch_state)
        return; /* an unread latch stays */
    c->latched = value_to_reg(c, channel_value(c, ticks_now(s)));
    c->latch_state = c->rw;
}

static void latch_status(struct pit *s, struct pit_channel *c)
{
    if (c->status_latched)
        return;
    bool out = channel_out(c, ticks_now(s));
    c->status = out << 7 | c->null_count << 6 | c->rw << 4 | c->mode << 1 | c->bcd;
    c->status_latched = true;
}

static void write_control(struct pit *s, u8 val)
{
    unsigned n = val >> 6, rw = val >> 4 & 3;
    if (n == 3) { /* read-back; both select bits are active low */
        for (unsigned i = 0; i < 3; i++) {
            if (!(val & 2 << i))
                continue;
            if (!(val & 0x20))
                latch_count(s, &s->ch[i]);
            if (!(val & 0x10))
                latch_status(s, &s->ch[i]);
        }
        return;
    }
    struct pit_channel *c = &s->ch[n];
    if (rw == 0) {
        latch_count(s, c);
        return;
    }
    unsigned mode = val >> 1 & 7;
    c->mode = mode > 5 ? mode - 4 : mode; /* 6 and 7 are 2 and 3 */
    c->rw = rw;
    c->bcd = val & 1;
    c->read_high = c->write_high = false;
    c->latch_state = 0;
    c->status_latched = false;
    c->loaded = c->pending = false;
    c->frozen = -1;
    c->null_count = true;
    if (n == 0)
        irq_update(s);
}

static void pit_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pit *s = opaque;
    if (off == 3) {
        write_control(s, val);
        return;
    }
    struct pit_channel *c = &s->ch[off];
    if (c->rw == 1) {
        channel_load(s, c, val);
    } else if (c->rw == 2) {
        channel_load(s, c, val << 8);
    } else if (!c->write_high) {
        c->write_low = val;
        c->write_high = true;
        if (c->mode == 0)
            c->loaded = false; /* the first byte stops the counter and lowers OUT */
    } else {
        c->write_high = false;
        channel_load(s, c, val << 8 | c->write_low);
    }
    if (off == 0)
        irq_update(s);
}

static u64 pit_read(void *opaque, u64 off, unsigned size)
{
    struct pit *s = opaque;
    if (off == 3)
        return 0xff; /* the control word register cannot be read */
    struct pit_channel *c = &s->ch[off];
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    u16 v;
    unsigned rw;
    if (c->latch_state) {
        v = c->latched;
        rw = c->latch_state;
        c->latch_state = rw == 3 ? 2 : 0;
        return rw == 2 ? v >> 8 : v & 0xff;
    }
    v = value_to_reg(c, channel_value(c, ticks_now(s)));
    rw = c->rw == 3 ? (c->read_high ? 2 : 1) : c->rw;
    if (c->rw == 3)
        c->read_high = !c->read_high;
    return rw == 2 ? v >> 8 : v & 0xff;
}

/* Port 0x61: bit 0 gate of counter 2, 1 speaker data, 2 and 3 parity and channel check enables (kept), 4 toggles with each
 * refresh (counter 1, 15.085 us), 5 OUT of counter 2. */
static u64 speaker_read(void *opaque, u64 off, unsigned size)
{
    struct pit *s = opaque;
    i64 t = ticks_now(s);
    return s->speaker | (t / 18 & 1) << 4 | channel_out(&s->ch[2], t) << 5;
}

static void speaker_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pit *s = opaque;
    s->speaker = val & 0x0f;
    channel_set_gate(s, &s->ch[2], val & 1);
}

static const struct region_ops pit_ops = { pit_read, pit_write, 1, 1 };
static const struct region_ops speaker_ops = { speaker_read, speaker_write, 1, 1 };

static int pit_realize(struct device *d, struct err *e)
{
    struct pit *s = container_of(d, struct pit, dev);
    timer_init(&s->timer, d->m->clock, pit_timer, s);
    region_init_io(&s->io, "pit", 4, &pit_ops, s, &d->m->lock);
    region_init_io(&s->speaker_io, "speaker", 1, &speaker_ops, s, &d->m->lock);
    region_add(&d->m->io_root, 0x40, &s->io, 0);
    region_add(&d->m->io_root, 0x61, &s->speaker_io, 0);
    return 0;
}

static void pit_unrealize(struct device *d)
{
    struct pit *s = container_of(d, struct pit, dev);
    timer_cancel(&s->timer);
    region_del(&s->io);
    region_del(&s->speaker_io);
}

static void pit_reset(struct device *d)
{
    struct pit *s = container_of(d, struct pit, dev);
    for (unsigned i = 0; i < 3; i++)
        s->ch[i] = (struct pit_channel){
            .count = 65536, .next = 65536, .rw = 3, .mode = 3, .gate = i != 2, .null_count = true, .frozen = -1,
        };
    s->speaker = 0;
    irq_update(s);
}

/* Keeps a damaged snapshot from dividing by zero. */
static void pit_post_load(struct device *d)
{
    struct pit *s = container_of(d, struct pit, dev);
    for (unsigned i = 0; i < 3; i++) {
        struct pit_channel *c = &s->ch[i];
        c->count = MAX_OF(c->count, 1u);
        c->next = MAX_OF(c->next, 1u);
        c->mode %= 6;
    }
}

struct device *pit_new(struct machine *m, struct irq_line irq0, struct err *e)
{
    struct device *d = device_alloc(m, "isa-pit", e);
    if (!d)
        return NULL;
    container_of(d, struct pit, dev)->irq0 = irq0;
    return device_realize(d, e) < 0 ? NULL : d;
}

static const struct snap_field channel_fields[] = {
    SNAP_U(struct pit_channel, count),
    SNAP_U(struct pit_channel, latched),
    SNAP_U(struct pit_channel, latch_state),
    SNAP_U(struct pit_channel, status),
    SNAP_U(struct pit_channel, status_latched),
    SNAP_U(struct pit_channel, rw),
    SNAP_U(struct pit_channel, mode),
    SNAP_U(struct pit_channel, bcd),
    SNAP_U(struct pit_channel, read_high),
    SNAP_U(struct pit_channel, write_high),
    SNAP_U(struct pit_channel, write_low),
    SNAP_U(struct pit_channel, gate),
    SNAP_U(struct pit_channel, null_count),
    SNAP_U(struct pit_channel, loaded),
    SNAP_U(struct pit_channel, pending),
    SNAP_U(struct pit_channel, next),
    SNAP_U(struct pit_channel, start),
    SNAP_U(struct pit_channel, frozen),
    SNAP_DONE,
};
static const struct snap_field pit_fields[] = {
    SNAP_AS(struct pit, ch, channel_fields),
    SNAP_U(struct pit, speaker),
    SNAP_T(struct pit, timer),
    SNAP_DONE,
};

const struct dev_class isa_pit_class = {
    .name = "isa-pit",
    .desc = "8254 interval timer",
    .state_size = sizeof(struct pit),
    .fields = pit_fields,
    .snap_version = 1,
    .realize = pit_realize,
    .reset = pit_reset,
    .unrealize = pit_unrealize,
    .post_load = pit_post_load,
};
