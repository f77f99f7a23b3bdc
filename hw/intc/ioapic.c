/* The I/O APIC: turns levels of 24 pins into APIC messages as its redirection table says. vCPU threads and timer callbacks,
 * machine lock held. Specification: Intel 82093AA data sheet (290566); EOI register: ICH I/O APIC version 0x20. Lines carry
 * "asserted", so the polarity bits only are kept. */
#include "hw/intc/ioapic.h"
#include "hw/core/machine.h"
#include "util/log.h"

#define VERSION 0x20u
#define RTE_MODE(e) ((e) >> 8 & 7)
#define RTE_LOGICAL BIT64(11)
#define RTE_REMOTE_IRR BIT64(14) /* read-only */
#define RTE_LEVEL BIT64(15)
#define RTE_MASKED BIT64(16)
#define RTE_WRITABLE 0xffff00000001afffull /* destination with the extension of ICH9, mask, trigger, polarity, mode, vector */
#define MODE_LOWEST 1

struct ioapic {
    struct device dev;
    u8 select;
    u32 id;     /* register 0: bits 24..27 */
    u32 lines;  /* levels of the pins */
    u64 rte[IOAPIC_PINS];
    u64 counts[IOAPIC_PINS]; /* of rising pins: statistics, not saved */
    struct region mem;
};

/* Only fixed and lowest-priority messages can be level triggered; NMI and the like are edges whatever the table says. */
static bool rte_is_level(u64 e)
{
    return (e & RTE_LEVEL) && RTE_MODE(e) <= MODE_LOWEST;
}

static void ioapic_send(struct ioapic *s, unsigned pin)
{
    u64 e = s->rte[pin];
    /* Bits 63:48 are the destination and what an IOMMU makes of the rest: VT-d specification, section 5.1.5.1. */
    u64 addr = 0xfee00000ull | (e >> 48) << 4 | (e & RTE_LOGICAL ? 4 : 0);
    u32 data = (e & 0x7ff) | 1u << 14 | (rte_is_level(e) ? 1u << 15 : 0);
    msi_send(&s->dev.m->msi, &(struct msi){ .addr = addr, .data = data, .source = MSI_SOURCE_IOAPIC, .platform = true });
}

/* A level-triggered pin speaks while its line is up and its last message has been answered. */
static void service_level(struct ioapic *s, unsigned pin)
{
    u64 e = s->rte[pin];
    if (!rte_is_level(e) || (e & (RTE_MASKED | RTE_REMOTE_IRR)) || !(s->lines & BIT(pin)))
        return;
    s->rte[pin] |= RTE_REMOTE_IRR;
    ioapic_send(s, pin);
}

static void ioapic_set_irq(void *opaque, int n, int level)
{
    struct ioapic *s = opaque;
    bool rise = level && !(s->lines & BIT(n));
    s->counts[n] += rise;
    s->lines = level ? s->lines | BIT(n) : s->lines & ~BIT(n);
    if (rte_is_level(s->rte[n]))
        service_level(s, n);
    else if (rise && !(s->rte[n] & RTE_MASKED)) /* an edge at a masked pin is lost */
        ioapic_send(s, n);
}

struct irq_line ioapic_line(struct device *d, unsigned pin)
{
    assert(pin < IOAPIC_PINS);
    return (struct irq_line){ ioapic_set_irq, container_of(d, struct ioapic, dev), pin };
}

void ioapic_eoi(struct device *d, u8 vector)
{
    struct ioapic *s = container_of(d, struct ioapic, dev);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        if ((s->rte[i] & 0xff) != vector || !(s->rte[i] & RTE_REMOTE_IRR))
            continue;
        s->rte[i] &= ~RTE_REMOTE_IRR;
        service_level(s, i);
    }
}

static u32 reg_read(struct ioapic *s, u8 reg)
{
    switch (reg) {
    case 0:
        return s->id;
    case 1:
        return (IOAPIC_PINS - 1) << 16 | VERSION;
    case 2:
        return s->id; /* arbitration ID: loaded with the ID */
    }
    if (reg >= 0x10 && reg < 0x10 + 2 * IOAPIC_PINS)
        return s->rte[(reg - 0x10) / 2] >> (reg & 1 ? 32 : 0);
    return 0;
}

static void rte_write(struct ioapic *s, unsigned pin, bool high, u32 val)
{
    u64 old = s->rte[pin];
    u64 wanted = high ? (old & 0xffffffff) | (u64)val << 32 : (old & ~0xffffffffull) | val;
    u64 e = (wanted & RTE_WRITABLE) | (old & RTE_REMOTE_IRR);
    if (!rte_is_level(e))
        e &= ~RTE_REMOTE_IRR; /* going through edge mode is the old way to end a stuck level interrupt */
    s->rte[pin] = e;
    service_level(s, pin);
}

static void reg_write(struct ioapic *s, u8 reg, u32 val)
{
    if (reg == 0)
        s->id = val & 0x0f000000;
    else if (reg >= 0x10 && reg < 0x10 + 2 * IOAPIC_PINS)
        rte_write(s, (reg - 0x10) / 2, reg & 1, val);
    else
        GUEST_ERROR("ioapic: write of 0x%x to register 0x%02x", val, reg);
}

static u64 ioapic_read(void *opaque, u64 off, unsigned size)
{
    struct ioapic *s = opaque;
    u64 v = 0;
    if ((off & 0xff0) == 0x00)
        v = s->select;
    else if ((off & 0xff0) == 0x10)
        v = reg_read(s, s->select);
    return zext(v >> (off & 3) * 8, size);
}

static void ioapic_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ioapic *s = opaque;
    switch (off & 0xfff) {
    case 0x00:
        s->select = val;
        break;
    case 0x10:
        if (size == 4)
            reg_write(s, s->select, val);
        else
            GUEST_ERROR("ioapic: write of %u bytes to the data window", size);
        break;
    case 0x40:
        ioapic_eoi(&s->dev, val);
        break;
    default:
        GUEST_ERROR("ioapic: write at offset 0x%llx", (unsigned long long)off);
    }
}

static const struct region_ops ioapic_ops = { ioapic_read, ioapic_write, 1, 4 };

static int ioapic_realize(struct device *d, struct err *e)
{
    struct ioapic *s = container_of(d, struct ioapic, dev);
    d->irq_counts = s->counts;
    d->n_irqs = ARRAY_LEN(s->counts);
    region_init_io(&s->mem, "ioapic", PAGE_SIZE, &ioapic_ops, s, &d->m->lock);
    region_add(&d->m->mem_root, IOAPIC_BASE, &s->mem, 1);
    return 0;
}

static void ioapic_unrealize(struct device *d)
{
    region_del(&container_of(d, struct ioapic, dev)->mem);
}

static void ioapic_reset(struct device *d)
{
    struct ioapic *s = container_of(d, struct ioapic, dev);
    s->select = 0;
    s->id = 0;
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        s->rte[i] = RTE_MASKED;
}

struct device *ioapic_new(struct machine *m, struct err *e)
{
    return device_create(m, "ioapic", NULL, NULL, e);
}

static const struct snap_field ioapic_fields[] = {
    SNAP_U(struct ioapic, select),
    SNAP_U(struct ioapic, id),
    SNAP_U(struct ioapic, lines),
    SNAP_A(struct ioapic, rte),
    SNAP_DONE,
};

const struct dev_class ioapic_class = {
    .name = "ioapic",
    .desc = "I/O APIC with 24 pins",
    .state_size = sizeof(struct ioapic),
    .fields = ioapic_fields,
    .snap_version = 1,
    .realize = ioapic_realize,
    .reset = ioapic_reset,
    .unrealize = ioapic_unrealize,
};
