/* Virtio over memory-mapped registers: the virtio-mmio transport, and the devices on its bus. Linux finds it by its parameter
 * virtio_mmio.device=512@ADDR:IRQ. Register accesses on vCPU threads, machine lock held. VIRTIO 1.2, 4.2.2. */
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/virtio/virtio_pci.h"
#include "util/log.h"

enum mmio_reg {
    MAGIC = 0x000, VERSION = 0x004, DEVICE_ID = 0x008, VENDOR_ID = 0x00c, DEVICE_FEATURES = 0x010, DEVICE_FEATURES_SEL = 0x014,
    DRIVER_FEATURES = 0x020, DRIVER_FEATURES_SEL = 0x024, QUEUE_SEL = 0x030, QUEUE_NUM_MAX = 0x034, QUEUE_NUM = 0x038,
    QUEUE_READY = 0x044, QUEUE_NOTIFY = 0x050, INTERRUPT_STATUS = 0x060, INTERRUPT_ACK = 0x064, STATUS = 0x070,
    QUEUE_DESC = 0x080, QUEUE_DRIVER = 0x090, QUEUE_DEVICE = 0x0a0, SHM_LEN = 0x0b0, SHM_END = 0x0c0, QUEUE_RESET = 0x0c0,
    CONFIG_GENERATION = 0x0fc, CONFIG = 0x100,
};
enum { INT_QUEUE = 1, INT_CONFIG = 2 };

struct mmio {
    struct device dev;
    u64 addr;             /* properties */
    u32 irq;
    struct bus bus;
    struct region regs;
    struct virtio *v;     /* the device on the bus, or NULL */
};

static struct mmio *mmio_of(struct virtio *v) { return (struct mmio *)v->pci.dev.bus->owner; }

static void line_update(struct virtio *v) { irq_set(&virtio_machine(v)->gsi[mmio_of(v)->irq], v->isr != 0); }

static void mmio_interrupt(struct virtio *v, struct virtq *q)
{
    v->isr |= q ? INT_QUEUE : INT_CONFIG;
    line_update(v);
}

static const struct virtio_transport mmio_transport = { .interrupt = mmio_interrupt };

/* -- registers ------------------------------------------------------------------------------------------------------------ */

static u64 mmio_read(void *opaque, u64 off, unsigned size)
{
    struct mmio *s = opaque;
    struct virtio *v = s->v;
    struct virtq *q = v ? virtio_queue(v, v->queue_sel) : NULL;

    if (off >= CONFIG)
        return v ? virtio_config_load(v, off - CONFIG, size) : 0;
    if (size != 4)
        return 0;
    switch (off) {
    case MAGIC: return 0x74726976;
    case VERSION: return 2;
    case DEVICE_ID: return v ? v->type->id : 0;
    case VENDOR_ID: return 0x554d4551;
    }
    if (!v)
        return 0;
    switch (off) {
    case DEVICE_FEATURES: return v->features_sel < 2 ? (u32)(virtio_offered(v, false) >> (32 * v->features_sel)) : 0;
    case QUEUE_NUM_MAX: return q ? q->size_max : 0;
    case QUEUE_READY: return q ? q->enabled : 0;
    case INTERRUPT_STATUS: return v->isr;
    case STATUS: return v->status;
    case CONFIG_GENERATION: return v->config_generation;
    default: return off >= SHM_LEN && off < SHM_END ? 0xffffffff : 0;
    }
}

static void queue_write(struct virtq *q, u64 off, u32 val)
{
    u64 *area = off < QUEUE_DRIVER ? &q->desc : off < QUEUE_DEVICE ? &q->avail : &q->used;
    unsigned shift = off & 4 ? 32 : 0;

    switch (off) {
    case QUEUE_NUM:
        virtq_set_size(q, val);
        break;
    case QUEUE_READY:
        val & 1 ? virtq_enable(q) : virtq_reset(q);
        break;
    case QUEUE_RESET:
        if ((val & 1) && virtio_has(q->v, VIRTIO_F_RING_RESET))
            virtq_reset(q);
        break;
    case QUEUE_DESC: case QUEUE_DESC + 4: case QUEUE_DRIVER: case QUEUE_DRIVER + 4: case QUEUE_DEVICE: case QUEUE_DEVICE + 4:
        if (!q->enabled)
            *area = (*area & ~(0xffffffffull << shift)) | (u64)val << shift;
        break;
    default:
        GUEST_ERROR("virtio-mmio: write of register 0x%llx", (unsigned long long)off);
    }
}

static void mmio_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct mmio *s = opaque;
    struct virtio *v = s->v;
    struct virtq *q = v ? virtio_queue(v, v->queue_sel) : NULL;

    if (!v)
        return;
    if (off >= CONFIG) {
        virtio_config_store(v, off - CONFIG, val, size);
        return;
    }
    if (size != 4) {
        GUEST_ERROR("virtio-mmio: write of %u bytes at 0x%llx", size, (unsigned long long)off);
        return;
    }
    switch (off) {
    case DEVICE_FEATURES_SEL: v->features_sel = val; break;
    case DRIVER_FEATURES_SEL: v->driver_features_sel = val; break;
    case DRIVER_FEATURES:
        if (v->driver_features_sel < 2 && !(v->status & VIRTIO_FEATURES_OK))
            ((u32 *)&v->driver_features)[v->driver_features_sel] = val;
        break;
    case QUEUE_SEL: v->queue_sel = MIN_OF(val, 0xffffu); break;
    case QUEUE_NOTIFY: virtq_kick(v, val & 0xffff); break;
    case INTERRUPT_ACK:
        v->isr &= ~val;
        line_update(v);
        break;
    case STATUS:
        virtio_set_status(v, val);
        line_update(v);
        break;
    default:
        if (q)
            queue_write(q, off, val);
    }
}

static const struct region_ops mmio_ops = { mmio_read, mmio_write, 1, 4 };

/* -- the transport ----------------------------------------------------------------------------------------------------------- */

static int mmio_realize(struct device *d, struct err *e)
{
    struct mmio *s = (struct mmio *)d;

    if (!s->addr || s->addr % VIRTIO_MMIO_SIZE || s->addr >= 4 * GiB)
        return err_set(e, "virtio-mmio: addr=0x%llx must be a multiple of 512 below 4 GiB, where there is no RAM", (unsigned long long)s->addr);
    if (s->irq >= ARRAY_LEN(d->m->gsi))
        return err_set(e, "virtio-mmio: irq=%u: there are interrupts 0 to %u", s->irq, (unsigned)ARRAY_LEN(d->m->gsi) - 1);
    bus_init(&s->bus, d->m, "virtio-bus", NULL, d, NULL, 1);
    region_init_io(&s->regs, "virtio-mmio", VIRTIO_MMIO_SIZE, &mmio_ops, s, &d->m->lock);
    region_add(&d->m->mem_root, s->addr, &s->regs, 0);
    return 0;
}

static void mmio_unrealize(struct device *d)
{
    struct mmio *s = (struct mmio *)d;

    region_del(&s->regs);
    bus_free_devices(&s->bus);
    bus_fini(&s->bus);
}

static const struct prop mmio_props[] = {
    { "addr", PROP_U64, offsetof(struct mmio, addr), 0, NULL, "physical address of its 512 bytes of registers" },
    { "irq", PROP_U32, offsetof(struct mmio, irq), 5, NULL, "global system interrupt" },
    PROP_DONE
};

const struct dev_class virtio_mmio_class = {
    .name = "virtio-mmio",
    .desc = "memory-mapped virtio transport with a virtio-bus for one device",
    .state_size = sizeof(struct mmio),
    .user_creatable = true,
    .props = mmio_props,
    .snap_version = 1,
    .realize = mmio_realize,
    .unrealize = mmio_unrealize,
};

/* -- devices on its bus ------------------------------------------------------------------------------------------------------- */

int virtio_bus_realize(struct device *d, struct err *e)
{
    struct virtio *v = virtio_of(d);
    const struct virtio_class *k = d->cls->data;

    v->type = k->type;
    v->transport = &mmio_transport;
    if (virtio_realize(v, e) < 0)
        return -1;
    mmio_of(v)->v = v;
    return 0;
}

void virtio_bus_unrealize(struct device *d)
{
    struct virtio *v = virtio_of(d);

    mmio_of(v)->v = NULL;
    virtio_unrealize(v);
}

void virtio_bus_reset(struct device *d)
{
    struct virtio *v = virtio_of(d);

    virtio_reset(v);
    line_update(v);
}

void virtio_bus_pre_save(struct device *d) { virtio_pre_save(virtio_of(d)); }

void virtio_bus_post_load(struct device *d)
{
    struct virtio *v = virtio_of(d);

    line_update(v);
    virtio_post_load(v);
}
