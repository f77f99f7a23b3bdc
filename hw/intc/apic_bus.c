/* The bus between local APICs, I/O APIC and MSI writers: who receives a message. vCPU threads, the main loop and I/O threads,
 * machine lock held. Specification: Intel SDM vol. 3A 11.6 (interprocessor interrupts), 11.11 (MSI), 11.12 (x2APIC). */
#include "hw/core/machine.h"
#include "hw/intc/lapic.h"
#include "hw/intc/lapic_state.h"
#include "mmu/dma.h"
#include "util/log.h"

#define ICR_LOGICAL BIT64(11)
#define ICR_ASSERT BIT64(14)
#define ICR_LEVEL BIT64(15)
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)
enum { SHORT_NONE, SHORT_SELF, SHORT_ALL, SHORT_OTHERS };

#define MSI_LOGICAL BIT64(2)
#define MSI_REDIRECT BIT64(3)

/* Of the matching CPUs that can take an interrupt the one with the lowest processor priority; ties go round. */
static struct lapic *lowest_priority(struct apic_bus *bus, u32 dest, bool logical, bool wide)
{
    struct lapic *best = NULL;
    for (unsigned i = 1; i <= bus->count; i++) {
        struct lapic *s = bus->cpu[(bus->last + i) % bus->count];
        if (!(s->svr & SVR_ENABLE) || !lapic_matches(s, dest, logical, wide))
            continue;
        if (!best || lapic_ppr(s) >> 4 < lapic_ppr(best) >> 4)
            best = s;
    }
    return best;
}

void apic_bus_deliver(struct apic_bus *bus, u32 dest, bool logical, bool wide, enum apic_mode mode, u8 vector, bool level)
{
    if (mode == MODE_LOWEST) {
        struct lapic *s = lowest_priority(bus, dest, logical, wide);
        if (!s)
            return;
        bus->last = s->cpu;
        lapic_deliver(s, MODE_FIXED, vector, level);
        return;
    }
    for (unsigned i = 0; i < bus->count; i++)
        if (lapic_matches(bus->cpu[i], dest, logical, wide))
            lapic_deliver(bus->cpu[i], mode, vector, level);
}

void apic_bus_ipi(struct apic_bus *bus, struct lapic *src, u64 icr)
{
    enum apic_mode mode = LVT_MODE(icr);
    bool wide = lapic_is_x2(src), level = (icr & ICR_LEVEL) && mode == MODE_FIXED;
    u8 vector = icr;
    if (mode == MODE_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
        return; /* INIT level de-assert: a no-operation since the Pentium 4 */
    if ((mode == MODE_FIXED || mode == MODE_LOWEST) && vector < 16) {
        lapic_error(src, ESR_SEND_ILLEGAL);
        return;
    }
    switch (ICR_SHORTHAND(icr)) {
    case SHORT_NONE:
        apic_bus_deliver(bus, wide ? icr >> 32 : icr >> 56, icr & ICR_LOGICAL, wide, mode, vector, level);
        break;
    case SHORT_SELF:
        lapic_deliver(src, mode == MODE_LOWEST ? MODE_FIXED : mode, vector, level);
        break;
    case SHORT_ALL:
    case SHORT_OTHERS:
        if (mode == MODE_LOWEST)
            mode = MODE_FIXED;
        for (unsigned i = 0; i < bus->count; i++)
            if (lapic_enabled(bus->cpu[i]) && (ICR_SHORTHAND(icr) == SHORT_ALL || bus->cpu[i] != src))
                lapic_deliver(bus->cpu[i], mode, vector, level);
        break;
    }
}

static void apic_bus_message(void *opaque, const struct msi *msg)
{
    struct apic_bus *bus = opaque;
    u64 addr = msg->addr;
    u32 data = msg->data;
    enum apic_mode mode = LVT_MODE(data);
    bool logical = addr & MSI_LOGICAL;
    if (addr >> 20 != 0xfee) { /* a message to elsewhere is an ordinary memory write */
        dma_write(bus->dev.m->mem, addr, &data, sizeof(data));
        return;
    }
    if ((addr & MSI_REDIRECT) && logical && mode == MODE_FIXED)
        mode = MODE_LOWEST;
    if (mode == MODE_SIPI || mode == MODE_RESERVED) {
        GUEST_ERROR("apic: message with reserved delivery mode %u", mode);
        return;
    }
    bool level = (data & ICR_LEVEL) && (mode == MODE_FIXED || mode == MODE_LOWEST);
    if (level && !(data & ICR_ASSERT))
        return;
    apic_bus_deliver(bus, msg->wide ? msg->dest : addr >> 12 & 0xff, logical, msg->wide, mode, data, level);
}

static void lint_set(void *opaque, int n, int level)
{
    struct apic_bus *bus = opaque;
    for (unsigned i = 0; i < bus->count; i++)
        lapic_set_lint(bus->cpu[i], n, level);
}

struct irq_line apic_bus_lint(struct device *d, unsigned lint)
{
    assert(lint < 2);
    return (struct irq_line){ lint_set, container_of(d, struct apic_bus, dev), lint };
}

void apic_bus_connect(struct device *d, struct device *pic, struct device *ioapic)
{
    struct apic_bus *bus = container_of(d, struct apic_bus, dev);
    bus->pic = pic;
    bus->ioapic = ioapic;
}

static struct lapic *lapic_new(struct apic_bus *bus, unsigned cpu, struct err *e)
{
    struct device *d = device_alloc(bus->dev.m, "apic", e);
    if (!d)
        return NULL;
    struct lapic *s = container_of(d, struct lapic, dev);
    s->bus = bus;
    s->cpu = cpu;
    return device_realize(d, e) < 0 ? NULL : s;
}

struct device *apic_bus_new(struct machine *m, struct err *e)
{
    if (m->cfg.cpus < 1 || m->cfg.cpus > APIC_CPUS_MAX) {
        err_set(e, "-smp %u: this machine has 1 to %u CPUs", m->cfg.cpus, APIC_CPUS_MAX);
        return NULL;
    }
    struct device *d = device_create(m, "apic-bus", NULL, NULL, e);
    if (!d)
        return NULL;
    struct apic_bus *bus = container_of(d, struct apic_bus, dev);
    m->lapic_ops = &lapic_ops;
    m->msi = (struct msi_sink){ apic_bus_message, bus };
    for (; bus->count < m->cfg.cpus; bus->count++) {
        struct lapic *s = lapic_new(bus, bus->count, e);
        if (!s)
            return NULL;
        m->lapic[bus->count] = bus->cpu[bus->count] = s;
    }
    return d;
}

static const struct snap_field apic_bus_fields[] = {
    SNAP_U(struct apic_bus, last),
    SNAP_DONE,
};

const struct dev_class apic_bus_class = {
    .name = "apic-bus",
    .desc = "bus of the local APICs",
    .state_size = sizeof(struct apic_bus),
    .fields = apic_bus_fields,
    .snap_version = 1,
};
