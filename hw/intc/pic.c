/* The two cascaded 8259A interrupt controllers of a PC with their edge/level control registers (ports 0x4d0, 0x4d1).
 * vCPU threads and timer callbacks, machine lock held. Specification: Intel 8259A data sheet (231468); ELCR: EISA, PIIX. */
#include "hw/intc/pic.h"
#include "hw/core/machine.h"
#include "util/log.h"

#define CASCADE 2 /* master input that the slave drives */

struct pic_chip {
    u8 irr, isr, imr;
    u8 lines;        /* levels of the inputs */
    u8 elcr;         /* 1: level triggered */
    u8 base;         /* ICW2: vector of IR0 */
    u8 lowest;       /* input with the lowest priority */
    u8 init;         /* 0: ready; 2, 3, 4: next initialisation word expected */
    bool single;     /* ICW1.SNGL: no ICW3 */
    bool icw4;       /* ICW1.IC4: ICW4 follows */
    bool aeoi, rotate_aeoi, sfnm, smm, read_isr, poll;
};

struct pic {
    struct device dev;
    struct irq_line out;
    struct pic_chip chip[2]; /* master, slave */
    u64 counts[16];          /* of rising inputs: statistics, not saved */
    struct region io[2], elcr_io;
};

static const u8 elcr_mask[2] = { 0xf8, 0xde }; /* 0, 1, 2, 8 and 13 are edge for ever */

/* The input that would be delivered, or -1. */
static int chip_pending(const struct pic_chip *c, bool master)
{
    u8 want = c->irr & ~c->imr, busy = c->isr;
    if (c->smm)
        busy &= ~c->imr;
    if (master && c->sfnm)
        busy &= ~BIT(CASCADE);
    for (unsigned i = 1; i <= 8; i++) {
        unsigned n = (c->lowest + i) & 7;
        if (busy & BIT(n))
            return -1;
        if (want & BIT(n))
            return n;
    }
    return -1;
}

static void chip_line(struct pic_chip *c, unsigned n, int level)
{
    u8 bit = BIT(n);
    if (c->elcr & bit)
        c->irr = level ? c->irr | bit : c->irr & ~bit;
    else if (level && !(c->lines & bit))
        c->irr |= bit;
    c->lines = level ? c->lines | bit : c->lines & ~bit;
}

/* Recomputes the slave's output, then the master's. */
static void pic_update(struct pic *s)
{
    struct pic_chip *master = &s->chip[0];
    /* The cascade behaves as a level input: the slave keeps INT up for as long as it has something to say. */
    if (chip_pending(&s->chip[1], false) >= 0)
        master->irr |= BIT(CASCADE);
    else
        master->irr &= ~BIT(CASCADE);
    irq_set(&s->out, chip_pending(master, true) >= 0);
}

static void pic_set_irq(void *opaque, int n, int level)
{
    struct pic *s = opaque;
    s->counts[n] += level && !(s->chip[n >> 3].lines & BIT(n & 7));
    chip_line(&s->chip[n >> 3], n & 7, level);
    pic_update(s);
}

struct irq_line pic_line(struct device *d, unsigned irq)
{
    assert(irq < 16 && irq != CASCADE);
    return (struct irq_line){ pic_set_irq, container_of(d, struct pic, dev), irq };
}

bool pic_has_intr(struct device *d)
{
    return chip_pending(&container_of(d, struct pic, dev)->chip[0], true) >= 0;
}

static void chip_ack(struct pic_chip *c, unsigned n)
{
    if (!c->aeoi)
        c->isr |= BIT(n);
    else if (c->rotate_aeoi)
        c->lowest = n;
    if (!(c->elcr & BIT(n)))
        c->irr &= ~BIT(n);
}

u8 pic_inta(struct device *d)
{
    struct pic *s = container_of(d, struct pic, dev);
    struct pic_chip *master = &s->chip[0], *slave = &s->chip[1];
    int n = chip_pending(master, true);
    u8 vector;
    if (n < 0) {
        vector = master->base + 7; /* the request went away before INTA: IR7 without an ISR bit */
    } else if (n == CASCADE) {
        chip_ack(master, n);
        int k = chip_pending(slave, false);
        if (k >= 0)
            chip_ack(slave, k);
        vector = slave->base + (k < 0 ? 7 : k);
    } else {
        chip_ack(master, n);
        vector = master->base + n;
    }
    pic_update(s);
    return vector;
}

/* Input with the highest priority among those in service, or -1: what a non-specific EOI ends. */
static int chip_highest_isr(const struct pic_chip *c)
{
    u8 isr = c->smm ? c->isr & ~c->imr : c->isr;
    for (unsigned i = 1; i <= 8; i++)
        if (isr & BIT((c->lowest + i) & 7))
            return (c->lowest + i) & 7;
    return -1;
}

static void chip_icw1(struct pic_chip *c, u8 val)
{
    c->irr &= c->elcr & c->lines; /* edges must come anew */
    c->isr = c->imr = 0;
    c->lowest = 7;
    c->smm = c->read_isr = c->poll = c->rotate_aeoi = false;
    c->single = val & 0x02;
    c->icw4 = val & 0x01;
    if (!c->icw4)
        c->aeoi = c->sfnm = false;
    c->init = 2;
}

static void chip_ocw2(struct pic_chip *c, u8 val)
{
    unsigned cmd = val >> 5;
    bool rotate = cmd & 4, specific = cmd & 2, eoi = cmd & 1;
    if (eoi) {
        int n = specific ? val & 7 : chip_highest_isr(c);
        if (n >= 0) {
            c->isr &= ~BIT(n);
            if (rotate)
                c->lowest = n;
        }
    } else if (specific) {
        if (rotate)
            c->lowest = val & 7; /* 110: set priority; 010 is a no-operation */
    } else {
        c->rotate_aeoi = rotate;
    }
}

static void chip_ocw3(struct pic_chip *c, u8 val)
{
    if (val & 0x40)
        c->smm = val & 0x20;
    c->poll = val & 0x04;
    if (!c->poll && (val & 0x02))
        c->read_isr = val & 0x01;
}

static void chip_write_data(struct pic_chip *c, u8 val)
{
    switch (c->init) {
    case 0:
        c->imr = val;
        break;
    case 2:
        c->base = val & 0xf8;
        c->init = !c->single ? 3 : c->icw4 ? 4 : 0;
        break;
    case 3: /* ICW3: the cascade of a PC is fixed */
        c->init = c->icw4 ? 4 : 0;
        break;
    case 4:
        c->sfnm = val & 0x10;
        c->aeoi = val & 0x02;
        if (!(val & 0x01))
            GUEST_ERROR("pic: ICW4 0x%02x asks for MCS-80 mode", val);
        c->init = 0;
        break;
    }
}

static void pic_write(struct pic *s, unsigned n, u64 off, u8 val)
{
    struct pic_chip *c = &s->chip[n];
    if (off == 1)
        chip_write_data(c, val);
    else if (val & 0x10)
        chip_icw1(c, val);
    else if (val & 0x08)
        chip_ocw3(c, val);
    else
        chip_ocw2(c, val);
    pic_update(s);
}

static u64 pic_read(struct pic *s, unsigned n, u64 off)
{
    struct pic_chip *c = &s->chip[n];
    if (c->poll) {
        int irq = chip_pending(c, n == 0);
        c->poll = false;
        if (irq < 0)
            return 0;
        chip_ack(c, irq);
        pic_update(s);
        return 0x80 | irq;
    }
    return off ? c->imr : c->read_isr ? c->isr : c->irr;
}

static u64 master_read(void *opaque, u64 off, unsigned size) { return pic_read(opaque, 0, off); }
static u64 slave_read(void *opaque, u64 off, unsigned size) { return pic_read(opaque, 1, off); }
static void master_write(void *opaque, u64 off, u64 val, unsigned size) { pic_write(opaque, 0, off, val); }
static void slave_write(void *opaque, u64 off, u64 val, unsigned size) { pic_write(opaque, 1, off, val); }

static u64 elcr_read(void *opaque, u64 off, unsigned size)
{
    return ((struct pic *)opaque)->chip[off].elcr;
}

static void elcr_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pic *s = opaque;
    struct pic_chip *c = &s->chip[off];
    c->elcr = val & elcr_mask[off];
    c->irr = (c->irr & ~c->elcr) | (c->lines & c->elcr);
    pic_update(s);
}

static const struct region_ops master_ops = { master_read, master_write, 1, 1 };
static const struct region_ops slave_ops = { slave_read, slave_write, 1, 1 };
static const struct region_ops elcr_ops = { elcr_read, elcr_write, 1, 1 };

static int pic_realize(struct device *d, struct err *e)
{
    struct pic *s = container_of(d, struct pic, dev);
    struct machine *m = d->m;
    d->irq_counts = s->counts;
    d->n_irqs = ARRAY_LEN(s->counts);
    region_init_io(&s->io[0], "pic-master", 2, &master_ops, s, &m->lock);
    region_init_io(&s->io[1], "pic-slave", 2, &slave_ops, s, &m->lock);
    region_init_io(&s->elcr_io, "pic-elcr", 2, &elcr_ops, s, &m->lock);
    region_add(&m->io_root, 0x20, &s->io[0], 0);
    region_add(&m->io_root, 0xa0, &s->io[1], 0);
    region_add(&m->io_root, 0x4d0, &s->elcr_io, 0);
    return 0;
}

static void pic_unrealize(struct device *d)
{
    struct pic *s = container_of(d, struct pic, dev);
    region_del(&s->io[0]);
    region_del(&s->io[1]);
    region_del(&s->elcr_io);
}

/* The chips' own power-up state is undefined; the vectors are those that firmware gives them, for guests booted without. */
static void pic_reset(struct device *d)
{
    struct pic *s = container_of(d, struct pic, dev);
    for (unsigned i = 0; i < 2; i++) {
        u8 lines = s->chip[i].lines; /* owned by the devices that drive them */
        s->chip[i] = (struct pic_chip){ .lowest = 7, .lines = lines, .base = i ? 0x70 : 0x08 };
    }
    pic_update(s);
}

static void pic_post_load(struct device *d)
{
    struct pic *s = container_of(d, struct pic, dev);
    for (unsigned i = 0; i < 2; i++)
        s->chip[i].lowest &= 7;
    pic_update(s);
}

struct device *pic_new(struct machine *m, struct irq_line out, struct err *e)
{
    struct device *d = device_alloc(m, "isa-pic", e);
    if (!d)
        return NULL;
    container_of(d, struct pic, dev)->out = out;
    return device_realize(d, e) < 0 ? NULL : d;
}

static const struct snap_field chip_fields[] = {
    SNAP_U(struct pic_chip, irr),
    SNAP_U(struct pic_chip, isr),
    SNAP_U(struct pic_chip, imr),
    SNAP_U(struct pic_chip, lines),
    SNAP_U(struct pic_chip, elcr),
    SNAP_U(struct pic_chip, base),
    SNAP_U(struct pic_chip, lowest),
    SNAP_U(struct pic_chip, init),
    SNAP_U(struct pic_chip, single),
    SNAP_U(struct pic_chip, icw4),
    SNAP_U(struct pic_chip, aeoi),
    SNAP_U(struct pic_chip, rotate_aeoi),
    SNAP_U(struct pic_chip, sfnm),
    SNAP_U(struct pic_chip, smm),
    SNAP_U(struct pic_chip, read_isr),
    SNAP_U(struct pic_chip, poll),
    SNAP_DONE,
};
static const struct snap_field pic_fields[] = {
    SNAP_AS(struct pic, chip, chip_fields),
    SNAP_DONE,
};

const struct dev_class isa_pic_class = {
    .name = "isa-pic",
    .desc = "pair of 8259A interrupt controllers",
    .state_size = sizeof(struct pic),
    .fields = pic_fields,
    .snap_version = 1,
    .realize = pic_realize,
    .reset = pic_reset,
    .unrealize = pic_unrealize,
    .post_load = pic_post_load,
};
