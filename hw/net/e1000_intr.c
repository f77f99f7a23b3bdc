/* The e1000's interrupts: causes, mask, pin, and their moderation by ITR and the delay registers. vCPU threads (registers, frames sent) and the
 * main thread (frames received, timers), machine lock held. 8254x manual, 3.2.7, 3.4.3, 13.4.17 to 13.4.21, 13.4.30 to 13.4.45. */
#include "hw/net/e1000.h"

enum { ITR_UNIT_NS = 256, DELAY_UNIT_NS = 1024 };

static void set_line(struct e1000 *s, bool level)
{
    if (s->intr_line == level)
        return;
    s->intr_line = level;
    pci_set_intx(&s->pci, level);
}

/* The pin follows causes and mask, but rises no more often than ITR allows. */
static void update_interrupt(struct e1000 *s)
{
    i64 now;

    if (!(*e1000_reg(s, ICR) & *e1000_reg(s, IMS))) {
        set_line(s, false);
        timer_cancel(&s->itr_timer);
        return;
    }
    if (s->intr_line || s->itr_timer.pending)
        return;
    now = clock_ns(s->pci.dev.m->clock);
    if (s->mitigation && now < s->intr_next) {
        timer_set(&s->itr_timer, s->intr_next);
        return;
    }
    s->intr_next = now + (i64)(*e1000_reg(s, ITR) & 0xffff) * ITR_UNIT_NS;
    set_line(s, true);
}

static void delay_end(struct e1000_delay *d)
{
    if (d->due)
        timer_cancel(&d->timer);
    d->due = 0;
}

static void on_itr(void *opaque)
{
    struct e1000 *s = opaque;

    s->intr_next = 0;
    update_interrupt(s);
}

void e1000_cause(struct e1000 *s, u32 causes)
{
    if (causes & ICR_RXT0)
        delay_end(&s->rx_delay);
    if (causes & ICR_TXDW)
        delay_end(&s->tx_delay);
    *e1000_reg(s, ICR) |= causes & ICR_ALL;
    update_interrupt(s);
}

/* -- delays (3.2.7.1, 3.4.3.1) -------------------------------------------------------------------------------------- */

/* A timer that runs already is not set anew for a later time: it finds that out itself. */
static void delay_begin(struct e1000 *s, struct e1000_delay *d, u32 delay, u32 absolute, u32 cause)
{
    i64 now;

    if (!delay || !s->mitigation) {
        e1000_cause(s, cause);
        return;
    }
    now = clock_ns(s->pci.dev.m->clock);
    if (!d->due)
        d->limit = absolute ? now + absolute * DELAY_UNIT_NS : INT64_MAX;
    d->due = MIN_OF(now + delay * DELAY_UNIT_NS, d->limit);
    if (!d->timer.pending)
        timer_set(&d->timer, d->due);
}

void e1000_cause_rx(struct e1000 *s)
{
    delay_begin(s, &s->rx_delay, *e1000_reg(s, RDTR), *e1000_reg(s, RADV), ICR_RXT0);
}

void e1000_cause_tx_delayed(struct e1000 *s)
{
    delay_begin(s, &s->tx_delay, *e1000_reg(s, TIDV), *e1000_reg(s, TADV), ICR_TXDW);
}

static void delay_over(struct e1000 *s, struct e1000_delay *d, u32 cause)
{
    if (d->due > clock_ns(s->pci.dev.m->clock))
        timer_set(&d->timer, d->due);
    else if (d->due)
        e1000_cause(s, cause);
}

static void on_rx_delay(void *opaque)
{
    struct e1000 *s = opaque;

    delay_over(s, &s->rx_delay, ICR_RXT0);
}

static void on_tx_delay(void *opaque)
{
    struct e1000 *s = opaque;

    delay_over(s, &s->tx_delay, ICR_TXDW);
}

/* -- registers ------------------------------------------------------------------------------------------------------ */

/* FPD: what waits comes now. */
void e1000_write_rdtr(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, RDTR) = val & 0xffff;
    if ((val & RDTR_FPD) && s->rx_delay.due)
        e1000_cause(s, ICR_RXT0);
}

u32 e1000_read_icr(struct e1000 *s, u32 off)
{
    u32 v = *e1000_reg(s, ICR);

    *e1000_reg(s, ICR) = 0;
    update_interrupt(s);
    return v;
}

void e1000_write_icr(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, ICR) &= ~val;
    update_interrupt(s);
}

void e1000_write_ics(struct e1000 *s, u32 off, u32 val)
{
    e1000_cause(s, val);
}

void e1000_write_ims(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, IMS) |= val & ICR_ALL;
    update_interrupt(s);
}

void e1000_write_imc(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, IMS) &= ~val;
    update_interrupt(s);
}

/* -- life ----------------------------------------------------------------------------------------------------------- */

void e1000_intr_init(struct e1000 *s)
{
    struct clock *c = s->pci.dev.m->clock;

    timer_init(&s->itr_timer, c, on_itr, s);
    timer_init(&s->rx_delay.timer, c, on_rx_delay, s);
    timer_init(&s->tx_delay.timer, c, on_tx_delay, s);
}

void e1000_intr_fini(struct e1000 *s)
{
    timer_cancel(&s->itr_timer);
    timer_cancel(&s->rx_delay.timer);
    timer_cancel(&s->tx_delay.timer);
}

void e1000_intr_reset(struct e1000 *s)
{
    e1000_intr_fini(s);
    s->rx_delay.due = s->tx_delay.due = 0;
    s->intr_next = 0;
    set_line(s, false);
}
