/* The two reset ports of a PC: the reset control register 0xcf9 and system control port A, 0x92 (fast A20 and fast reset).
 * vCPU threads, machine lock held. Specification: Intel PIIX3 data sheet (290550), TRC and port 92 registers. */
#include "hw/core/machine.h"
#include "hw/timer/pm.h"

#define TRC_RESET 0x04
#define TRC_WRITABLE 0x0a /* system reset, full reset: kept */
#define P92_RESET 0x01
#define P92_A20 0x02

struct reset_ctl {
    struct device dev;
    u8 trc;
    struct region io;
};

struct port92 {
    struct device dev;
    struct irq_line a20;
    u8 val;
    struct region io;
};

static u64 reset_ctl_read(void *opaque, u64 off, unsigned size)
{
    return ((struct reset_ctl *)opaque)->trc;
}

/* The reset happens when RCPU goes from 0 to 1. */
static void reset_ctl_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct reset_ctl *s = opaque;
    bool reset = val & ~s->trc & TRC_RESET;
    s->trc = val & (TRC_WRITABLE | TRC_RESET);
    if (reset)
        s->dev.m->request(s->dev.m, REQ_RESET, 0);
}

static const struct region_ops reset_ctl_ops = { reset_ctl_read, reset_ctl_write, 1, 1 };

static int reset_ctl_realize(struct device *d, struct err *e)
{
    struct reset_ctl *s = container_of(d, struct reset_ctl, dev);
    region_init_io(&s->io, "reset-ctl", 1, &reset_ctl_ops, s, &d->m->lock);
    region_add(&d->m->io_root, 0xcf9, &s->io, 1); /* above the PCI configuration address 0xcf8..0xcfb */
    return 0;
}

static void reset_ctl_unrealize(struct device *d)
{
    region_del(&container_of(d, struct reset_ctl, dev)->io);
}

static void reset_ctl_reset(struct device *d)
{
    container_of(d, struct reset_ctl, dev)->trc = 0;
}

struct device *reset_ctl_new(struct machine *m, struct err *e)
{
    return device_create(m, "reset-ctl", NULL, NULL, e);
}

static u64 port92_read(void *opaque, u64 off, unsigned size)
{
    return ((struct port92 *)opaque)->val;
}

static void port92_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct port92 *s = opaque;
    bool reset = val & ~s->val & P92_RESET;
    s->val = val;
    irq_set(&s->a20, (val & P92_A20) != 0);
    if (reset)
        s->dev.m->request(s->dev.m, REQ_RESET, 0);
}

static const struct region_ops port92_ops = { port92_read, port92_write, 1, 1 };

static int port92_realize(struct device *d, struct err *e)
{
    struct port92 *s = container_of(d, struct port92, dev);
    region_init_io(&s->io, "port92", 1, &port92_ops, s, &d->m->lock);
    region_add(&d->m->io_root, 0x92, &s->io, 0);
    return 0;
}

static void port92_unrealize(struct device *d)
{
    region_del(&container_of(d, struct port92, dev)->io);
}

static void port92_reset(struct device *d)
{
    struct port92 *s = container_of(d, struct port92, dev);
    s->val = 0; /* A20 is then the keyboard controller's alone */
    irq_set(&s->a20, 0);
}

static void port92_post_load(struct device *d)
{
    struct port92 *s = container_of(d, struct port92, dev);
    irq_set(&s->a20, (s->val & P92_A20) != 0);
}

struct device *port92_new(struct machine *m, struct irq_line a20, struct err *e)
{
    struct device *d = device_alloc(m, "port92", e);
    if (!d)
        return NULL;
    container_of(d, struct port92, dev)->a20 = a20;
    return device_realize(d, e) < 0 ? NULL : d;
}

static const struct snap_field reset_ctl_fields[] = { SNAP_U(struct reset_ctl, trc), SNAP_DONE };
static const struct snap_field port92_fields[] = { SNAP_U(struct port92, val), SNAP_DONE };

const struct dev_class reset_ctl_class = {
    .name = "reset-ctl",
    .desc = "reset control register 0xcf9",
    .state_size = sizeof(struct reset_ctl),
    .fields = reset_ctl_fields,
    .snap_version = 1,
    .realize = reset_ctl_realize,
    .reset = reset_ctl_reset,
    .unrealize = reset_ctl_unrealize,
};

const struct dev_class port92_class = {
    .name = "port92",
    .desc = "system control port A: fast A20 and reset",
    .state_size = sizeof(struct port92),
    .fields = port92_fields,
    .snap_version = 1,
    .realize = port92_realize,
    .reset = port92_reset,
    .unrealize = port92_unrealize,
    .post_load = port92_post_load,
};
