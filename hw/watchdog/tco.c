/* The ICH9's TCO timer, the chipset's watchdog: it counts down in steps of 0.6 s; the first timeout is noted, the second fires.
 * Port accesses of vCPU threads and the timer, machine lock held; hw/pci/ich9.c places it. Intel ICH9 data sheet (316972), section
 * 13.9. No SMI is raised: there is no firmware handler. */
#include "hw/watchdog/tco.h"
#include "hw/core/machine.h"

enum { TCO_RLD = 0x00, TCO_DAT = 0x02, TCO1_STS = 0x04, TCO2_STS = 0x06, TCO1_CNT = 0x08, TCO2_CNT = 0x0a, TCO_MESSAGE = 0x0c,
       TCO_WDCNT = 0x0e, SW_IRQ_GEN = 0x10, TCO_TMR = 0x12 };
enum { STS1_TIMEOUT = 0x0008, STS1_CLEARED = 0x03fb, STS2_SECOND_TO = 0x0002, STS2_CLEARED = 0x0017 };
enum { CNT1_LOCK = 0x1000, CNT1_HALT = 0x0800, CNT1_WRITABLE = 0x1a00, CNT2_WRITABLE = 0x003e, TMR_MASK = 0x03ff, TMR_MIN = 2 };
#define TICK_NS 600000000ll

struct tco {
    struct device dev;
    struct region io;
    struct timer timer;      /* armed for the end of the count while the timer runs */
    bool (*no_reboot)(void *opaque);
    void *opaque;
    i64 start;               /* VM time at which `count` was loaded or found */
    u16 count;               /* ticks left at `start` */
    u16 dat, sts1, sts2, cnt1, cnt2, message, sw_irq, tmr;
    u8 wdcnt;
};

static bool tco_running(const struct tco *s)
{
    return !(s->cnt1 & CNT1_HALT);
}

/* Ticks left now. */
static u16 tco_left(const struct tco *s)
{
    i64 gone = tco_running(s) ? (clock_ns(s->dev.m->clock) - s->start) / TICK_NS : 0;

    return gone >= s->count ? 0 : s->count - gone;
}

static void tco_load(struct tco *s, u16 count)
{
    s->start = clock_ns(s->dev.m->clock);
    s->count = count;
    if (tco_running(s))
        timer_set(&s->timer, s->start + count * TICK_NS);
    else
        timer_cancel(&s->timer);
}

static void tco_expired(void *opaque)
{
    struct tco *s = opaque;
    struct machine *m = s->dev.m;

    if (s->sts1 & STS1_TIMEOUT) {
        s->sts2 |= STS2_SECOND_TO;
        if (!s->no_reboot(s->opaque))
            m->request(m, REQ_WATCHDOG, 0);
    }
    s->sts1 |= STS1_TIMEOUT;
    tco_load(s, s->tmr);
}

/* -- registers, 16 bits each ------------------------------------------------------------------------------------------ */

static u16 tco_read16(const struct tco *s, unsigned off)
{
    switch (off) {
    case TCO_RLD: return tco_left(s);
    case TCO_DAT: return s->dat;
    case TCO1_STS: return s->sts1;
    case TCO2_STS: return s->sts2;
    case TCO1_CNT: return s->cnt1;
    case TCO2_CNT: return s->cnt2;
    case TCO_MESSAGE: return s->message;
    case TCO_WDCNT: return s->wdcnt;
    case SW_IRQ_GEN: return s->sw_irq;
    case TCO_TMR: return s->tmr;
    }
    return 0;
}

static void tco_write_cnt1(struct tco *s, u16 val)
{
    u16 left = tco_left(s), lock = s->cnt1 & CNT1_LOCK; /* set once until a reset */

    s->cnt1 = (val & CNT1_WRITABLE) | lock;
    tco_load(s, left);
}

static void tco_write16(struct tco *s, unsigned off, u16 val)
{
    switch (off) {
    case TCO_RLD: /* any value: the timer starts anew, and what is to come is a first timeout again */
        s->sts1 &= ~STS1_TIMEOUT;
        tco_load(s, s->tmr);
        break;
    case TCO_DAT: s->dat = val; break;
    case TCO1_STS: s->sts1 &= ~(val & (STS1_CLEARED | STS1_TIMEOUT)); break;
    case TCO2_STS: s->sts2 &= ~(val & STS2_CLEARED); break;
    case TCO1_CNT: tco_write_cnt1(s, val); break;
    case TCO2_CNT: s->cnt2 = val & CNT2_WRITABLE; break;
    case TCO_MESSAGE: s->message = val; break;
    case TCO_WDCNT: s->wdcnt = val; break;
    case SW_IRQ_GEN: s->sw_irq = val & 3; break;
    case TCO_TMR:
        if ((val & TMR_MASK) >= TMR_MIN) /* smaller ones are ignored */
            s->tmr = val & TMR_MASK;
        break;
    }
}

static u64 tco_read(void *opaque, u64 off, unsigned size)
{
    return zext((u64)tco_read16(opaque, off & ~1u) >> (off & 1) * 8, size);
}

static void tco_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct tco *s = opaque;
    unsigned reg = off & ~1u;
    bool clears = reg == TCO1_STS || reg == TCO2_STS; /* the byte that is not written clears nothing */

    if (size == 1) {
        u16 old = clears ? 0 : tco_read16(s, reg);
        val = off & 1 ? (old & 0x00ff) | (val & 0xff) << 8 : (old & 0xff00) | (val & 0xff);
    }
    tco_write16(s, reg, val);
}

static const struct region_ops tco_ops = { tco_read, tco_write, 1, 2 };

/* -- the device ------------------------------------------------------------------------------------------------------- */

static int tco_realize(struct device *d, struct err *e)
{
    struct tco *s = container_of(d, struct tco, dev);

    if (!s->no_reboot)
        return err_set(e, "the TCO timer is part of the ICH9");
    timer_init(&s->timer, d->m->clock, tco_expired, s);
    region_init_io(&s->io, "tco", TCO_SIZE, &tco_ops, s, &d->m->lock);
    s->io.enabled = false;
    region_add(&d->m->io_root, 0, &s->io, 1);
    return 0;
}

static void tco_unrealize(struct device *d)
{
    struct tco *s = container_of(d, struct tco, dev);

    timer_cancel(&s->timer);
    region_del(&s->io);
}

static void tco_reset(struct device *d)
{
    struct tco *s = container_of(d, struct tco, dev);

    s->dat = s->sts1 = s->sts2 = s->cnt2 = s->message = 0;
    s->cnt1 = CNT1_HALT; /* as firmware leaves it */
    s->wdcnt = 0;
    s->sw_irq = 3;
    s->tmr = 4;
    tco_load(s, s->tmr);
}

static const struct snap_field tco_fields[] = {
    SNAP_T(struct tco, timer), SNAP_U(struct tco, start), SNAP_U(struct tco, count), SNAP_U(struct tco, dat),
    SNAP_U(struct tco, sts1), SNAP_U(struct tco, sts2), SNAP_U(struct tco, cnt1), SNAP_U(struct tco, cnt2),
    SNAP_U(struct tco, message), SNAP_U(struct tco, sw_irq), SNAP_U(struct tco, tmr), SNAP_U(struct tco, wdcnt), SNAP_DONE
};

const struct dev_class tco_class = {
    .name = "ICH9-TCO",
    .desc = "ICH9 watchdog timer",
    .state_size = sizeof(struct tco),
    .fields = tco_fields,
    .snap_version = 1,
    .realize = tco_realize,
    .reset = tco_reset,
    .unrealize = tco_unrealize,
};

struct device *tco_new(struct machine *m, bool (*no_reboot)(void *opaque), void *opaque, struct err *e)
{
    struct tco *s = (struct tco *)device_alloc(m, "ICH9-TCO", e);

    if (!s)
        return NULL;
    s->no_reboot = no_reboot;
    s->opaque = opaque;
    return device_realize(&s->dev, e) == 0 ? &s->dev : NULL;
}

void tco_map(struct device *d, u16 base, bool enabled)
{
    struct tco *s = container_of(d, struct tco, dev);

    region_txn_begin();
    region_set_addr(&s->io, base);
    region_set_enabled(&s->io, enabled);
    region_txn_commit();
}
