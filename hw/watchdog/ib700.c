/* The watchdog timer of the iBASE IB700 single-board computer: a write to one port starts it, a write to another stops it. vCPU threads and
 * the clock, machine lock held. What its end leads to is -watchdog-action's. The board's manual as quoted by drivers: ports 0x441 and 0x443. */
#include "hw/core/machine.h"

enum { PORT_STOP = 0x441, PORT_START = 0x443 };

struct ib700 {
    struct device dev;
    struct region stop, start;
    struct timer timer;
};

static void ib700_timeout(void *opaque)
{
    struct ib700 *w = opaque;

    w->dev.m->request(w->dev.m, REQ_WATCHDOG, 0);
}

static void ib700_stop(void *opaque, u64 off, u64 val, unsigned size)
{
    timer_cancel(&((struct ib700 *)opaque)->timer);
}

/* The low four bits choose 30, 28 ... 0 seconds. */
static void ib700_start(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ib700 *w = opaque;

    timer_set(&w->timer, clock_ns(w->dev.m->clock) + (15 - (val & 15)) * 2 * NS_PER_SEC);
}

static const struct region_ops stop_ops = { NULL, ib700_stop, 1, 1 };
static const struct region_ops start_ops = { NULL, ib700_start, 1, 1 };

static int ib700_realize(struct device *d, struct err *e)
{
    struct ib700 *w = (struct ib700 *)d;

    timer_init(&w->timer, d->m->clock, ib700_timeout, w);
    region_init_io(&w->stop, "ib700-stop", 1, &stop_ops, w, &d->m->lock);
    region_init_io(&w->start, "ib700-start", 1, &start_ops, w, &d->m->lock);
    region_add(&d->m->io_root, PORT_STOP, &w->stop, 0);
    region_add(&d->m->io_root, PORT_START, &w->start, 0);
    return 0;
}

static void ib700_unrealize(struct device *d)
{
    struct ib700 *w = (struct ib700 *)d;

    timer_cancel(&w->timer);
    region_del(&w->stop);
    region_del(&w->start);
}

static void ib700_reset(struct device *d)
{
    timer_cancel(&((struct ib700 *)d)->timer);
}

static const struct snap_field ib700_fields[] = { SNAP_T(struct ib700, timer), SNAP_DONE };

const struct dev_class ib700_class = {
    .name = "ib700",
    .desc = "iBASE 700 watchdog timer",
    .user_creatable = true,
    .state_size = sizeof(struct ib700),
    .fields = ib700_fields,
    .snap_version = 1,
    .realize = ib700_realize,
    .reset = ib700_reset,
    .unrealize = ib700_unrealize,
};
