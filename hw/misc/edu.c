/* edu: a PCI device to learn writing drivers on: an inverter, factorials, interrupts on demand and a DMA engine. vCPU threads (registers), the
 * main thread (timers), machine lock held. Specification: "EDU device" in QEMU's documentation. */
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "mmu/dma.h"
#include "util/log.h"

enum {
    EDU_ID = 0x00, EDU_LIVE = 0x04, EDU_FACTORIAL = 0x08, EDU_STATUS = 0x20, EDU_IRQ_STATUS = 0x24, EDU_IRQ_RAISE = 0x60, EDU_IRQ_ACK = 0x64,
    EDU_DMA_SRC = 0x80, EDU_DMA_DST = 0x88, EDU_DMA_COUNT = 0x90, EDU_DMA_CMD = 0x98,
};
enum { STATUS_COMPUTING = 1, STATUS_IRQ = 0x80, CMD_START = 1, CMD_TO_RAM = 2, CMD_IRQ = 4, IRQ_FACTORIAL = 1, IRQ_DMA = 0x100 };
enum { EDU_IDENTIFICATION = 0x010000ed, BAR_SIZE = 1 << 20, BUFFER_AT = 0x40000, BUFFER_SIZE = 4096 };
enum { FACTORIAL_NS = 10000, DMA_NS = 100000, FACTORIAL_ZERO = 34 /* the first whose factorial has 32 low zero bits */ };

struct edu {
    struct pci_device pci;
    u64 dma_mask;             /* property */
    u32 live, factorial, status, irq_status;
    u64 src, dst, count, cmd;
    u8 buffer[BUFFER_SIZE];
    struct timer computed, transferred;
    struct region bar;
};

/* -- interrupts ---------------------------------------------------------------------------------------------------------- */

static void edu_update_irq(struct edu *s)
{
    pci_set_intx(&s->pci, s->irq_status && !pci_msi_enabled(&s->pci));
}

static void edu_raise(struct edu *s, u32 bits)
{
    s->irq_status |= bits;
    if (s->irq_status && pci_msi_enabled(&s->pci))
        pci_msi_send(&s->pci, 0);
    edu_update_irq(s);
}

/* -- factorials, DMA ------------------------------------------------------------------------------------------------------ */

static void edu_computed(void *opaque)
{
    struct edu *s = opaque;
    u32 n = s->factorial, f = 1;

    for (u32 i = 2; i <= n && n < FACTORIAL_ZERO; i++)
        f *= i;
    s->factorial = n < FACTORIAL_ZERO ? f : 0;
    s->status &= ~STATUS_COMPUTING;
    if (s->status & STATUS_IRQ)
        edu_raise(s, IRQ_FACTORIAL);
}

static void edu_compute(struct edu *s, u32 n)
{
    if (s->status & STATUS_COMPUTING)
        return;
    s->factorial = n;
    s->status |= STATUS_COMPUTING;
    timer_set(&s->computed, clock_ns(s->pci.dev.m->clock) + FACTORIAL_NS);
}

/* The device's side of a transfer, or NULL if it is not in the buffer. */
static u8 *edu_buffer(struct edu *s, u64 at)
{
    if (at >= BUFFER_AT && at - BUFFER_AT < BUFFER_SIZE && s->count <= BUFFER_SIZE - (at - BUFFER_AT))
        return s->buffer + (at - BUFFER_AT);
    GUEST_ERROR("edu: %llu bytes at 0x%llx are not in the buffer", (unsigned long long)s->count, (unsigned long long)at);
    return NULL;
}

static void edu_transferred(void *opaque)
{
    struct edu *s = opaque;
    bool to_ram = s->cmd & CMD_TO_RAM;
    u64 addr = to_ram ? s->dst : s->src;
    u8 *p = edu_buffer(s, to_ram ? s->src : s->dst);
    int r = 0;

    if (addr & ~s->dma_mask)
        GUEST_ERROR("edu: address 0x%llx does not fit into the DMA mask 0x%llx", (unsigned long long)addr, (unsigned long long)s->dma_mask);
    if (p && pci_is_master(&s->pci))
        r = to_ram ? dma_write(s->pci.dma, addr & s->dma_mask, p, s->count) : dma_read(s->pci.dma, addr & s->dma_mask, p, s->count);
    if (r < 0)
        GUEST_ERROR("edu: DMA at 0x%llx failed", (unsigned long long)addr);
    s->cmd &= ~(u64)CMD_START;
    if (s->cmd & CMD_IRQ)
        edu_raise(s, IRQ_DMA);
}

static void edu_command(struct edu *s, u64 cmd)
{
    s->cmd = cmd & (CMD_START | CMD_TO_RAM | CMD_IRQ);
    if (cmd & CMD_START)
        timer_set(&s->transferred, clock_ns(s->pci.dev.m->clock) + DMA_NS);
}

/* -- registers ------------------------------------------------------------------------------------------------------------ */

/* Only dwords below 0x80, dwords and quadwords behind. */
static bool edu_fits(u64 off, unsigned size)
{
    if (size == 4 || (size == 8 && off >= EDU_DMA_SRC))
        return true;
    GUEST_ERROR("edu: access of %u bytes at 0x%llx", size, (unsigned long long)off);
    return false;
}

static u64 edu_read(void *opaque, u64 off, unsigned size)
{
    const struct edu *s = opaque;

    if (!edu_fits(off, size))
        return MASK64(8 * size);
    switch (off) {
    case EDU_ID: return EDU_IDENTIFICATION;
    case EDU_LIVE: return s->live;
    case EDU_FACTORIAL: return s->factorial;
    case EDU_STATUS: return s->status;
    case EDU_IRQ_STATUS: return s->irq_status;
    case EDU_DMA_SRC: return s->src;
    case EDU_DMA_DST: return s->dst;
    case EDU_DMA_COUNT: return s->count;
    case EDU_DMA_CMD: return s->cmd;
    }
    return MASK64(8 * size);
}

/* The DMA registers stand still during a transfer. */
static void edu_dma_write(struct edu *s, u64 off, u64 val)
{
    u64 *const r[] = { &s->src, &s->dst, &s->count };

    if (s->cmd & CMD_START)
        GUEST_ERROR("edu: DMA register 0x%llx written during a transfer", (unsigned long long)off);
    else if (off == EDU_DMA_CMD)
        edu_command(s, val);
    else
        *r[(off - EDU_DMA_SRC) / 8] = val;
}

static void edu_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct edu *s = opaque;

    if (!edu_fits(off, size))
        return;
    switch (off) {
    case EDU_LIVE: s->live = ~(u32)val; break;
    case EDU_FACTORIAL: edu_compute(s, (u32)val); break;
    case EDU_STATUS: s->status = (s->status & ~STATUS_IRQ) | (val & STATUS_IRQ); break;
    case EDU_IRQ_RAISE: edu_raise(s, (u32)val); break;
    case EDU_IRQ_ACK:
        s->irq_status &= ~(u32)val;
        edu_update_irq(s);
        break;
    case EDU_DMA_SRC: case EDU_DMA_DST: case EDU_DMA_COUNT: case EDU_DMA_CMD: edu_dma_write(s, off, val); break;
    default: GUEST_ERROR("edu: write at 0x%llx", (unsigned long long)off);
    }
}

static const struct region_ops edu_ops = { edu_read, edu_write, 1, 8 };

/* -- the device ------------------------------------------------------------------------------------------------------------ */

static int edu_realize(struct device *d, struct err *e)
{
    struct edu *s = (struct edu *)d;
    static const struct pci_id id = { 0x1234, 0x11e8, 0x00ff, 0, 0x10, 1, 0, 0 };

    if (pci_attach(&s->pci, &id, e) < 0)
        return -1;
    region_init_io(&s->bar, "edu", BAR_SIZE, &edu_ops, s, &d->m->lock);
    pci_bar_init(&s->pci, 0, &s->bar, PCI_BAR_MEM32);
    pci_msi_init(&s->pci, 0);
    timer_init(&s->computed, d->m->clock, edu_computed, s);
    timer_init(&s->transferred, d->m->clock, edu_transferred, s);
    return 0;
}

static void edu_unrealize(struct device *d)
{
    struct edu *s = (struct edu *)d;

    timer_cancel(&s->computed);
    timer_cancel(&s->transferred);
    pci_detach(&s->pci);
}

static void edu_reset(struct device *d)
{
    struct edu *s = (struct edu *)d;

    timer_cancel(&s->computed);
    timer_cancel(&s->transferred);
    s->live = s->factorial = s->status = s->irq_status = 0;
    s->src = s->dst = s->count = s->cmd = 0;
    memset(s->buffer, 0, sizeof(s->buffer));
    pci_reset(&s->pci);
}

static void edu_post_load(struct device *d)
{
    pci_post_load(&((struct edu *)d)->pci);
}

static const struct prop edu_props[] = {
    PCI_PROPS,
    { "dma_mask", PROP_U64, offsetof(struct edu, dma_mask), (1 << 28) - 1, NULL, "bits of DMA addresses that the device has" },
    PROP_DONE,
};

static const struct snap_field edu_fields[] = {
    PCI_SNAP,
    SNAP_U(struct edu, live), SNAP_U(struct edu, factorial), SNAP_U(struct edu, status), SNAP_U(struct edu, irq_status),
    SNAP_U(struct edu, src), SNAP_U(struct edu, dst), SNAP_U(struct edu, count), SNAP_U(struct edu, cmd),
    SNAP_B(struct edu, buffer), SNAP_T(struct edu, computed), SNAP_T(struct edu, transferred),
    SNAP_DONE,
};

const struct dev_class edu_class = {
    .name = "edu",
    .desc = "educational PCI device",
    .bus_type = "PCI",
    .user_creatable = true,
    .state_size = sizeof(struct edu),
    .props = edu_props,
    .fields = edu_fields,
    .snap_version = 1,
    .realize = edu_realize,
    .reset = edu_reset,
    .unrealize = edu_unrealize,
    .post_load = edu_post_load,
};
