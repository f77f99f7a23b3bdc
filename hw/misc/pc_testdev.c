/* pc-testdev: what kvm-unit-tests expects of a test machine: an echo register at ports 0xe0..0xe3, a flush port at 0xe4,
 * interrupt lines at ports 0x2000..0x2017 and 64 KiB of memory-mapped bytes at 0xff000000. vCPU threads, machine lock held. */
#include "hw/core/machine.h"
#include "util/log.h"

#define ECHO_PORT 0xe0
#define FLUSH_PORT 0xe4
#define IRQ_PORT 0x2000
#define IRQ_COUNT 24
#define IOMEM_BASE 0xff000000ull
#define IOMEM_SIZE (64 * KiB)

struct pc_testdev {
    struct device dev;
    struct region echo_io, flush_io, irq_io, iomem;
    u32 echo;
    u8 level[IRQ_COUNT];
    u8 mem[2][IOMEM_SIZE / 2]; /* two halves: a saved field holds less than 64 KiB */
};

static u64 echo_read(void *opaque, u64 off, unsigned size)
{
    struct pc_testdev *s = opaque;
    return zext((u64)s->echo >> (off * 8), size);
}

static void echo_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pc_testdev *s = opaque;
    u32 mask = (u32)(MASK64(size * 8) << (off * 8));
    s->echo = (s->echo & ~mask) | ((u32)(val << (off * 8)) & mask);
}

/* The guest names a page whose host mapping is to be dropped, so that its next access goes through the slow path. The
 * mapping is no architectural state and every engine finds it again by itself: there is nothing for a device to do. */
static void flush_write(void *opaque, u64 off, u64 val, unsigned size)
{
    LOG(LOG_DEV, "pc-testdev: flush of page 0x%llx", (unsigned long long)val);
}

static u64 flush_read(void *opaque, u64 off, unsigned size)
{
    return MASK64(size * 8);
}

static u64 irq_read(void *opaque, u64 off, unsigned size)
{
    return ((struct pc_testdev *)opaque)->level[off];
}

static void irq_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pc_testdev *s = opaque;
    s->level[off] = (val & 0xff) != 0;
    irq_set(&s->dev.m->gsi[off], s->level[off]);
}

static u64 iomem_read(void *opaque, u64 off, unsigned size)
{
    struct pc_testdev *s = opaque;
    u64 v = 0;
    memcpy(&v, &s->mem[0][0] + off, size);
    return v;
}

static void iomem_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pc_testdev *s = opaque;
    memcpy(&s->mem[0][0] + off, &val, size);
}

static const struct region_ops echo_ops = { echo_read, echo_write, 1, 4 };
static const struct region_ops flush_ops = { flush_read, flush_write, 1, 4 };
static const struct region_ops irq_ops = { irq_read, irq_write, 1, 1 };
static const struct region_ops iomem_ops = { iomem_read, iomem_write, 1, 8 };

static int pc_testdev_realize(struct device *d, struct err *e)
{
    struct pc_testdev *s = container_of(d, struct pc_testdev, dev);
    struct machine *m = d->m;
    region_init_io(&s->echo_io, "pc-testdev-echo", 4, &echo_ops, s, &m->lock);
    region_init_io(&s->flush_io, "pc-testdev-flush", 4, &flush_ops, s, &m->lock);
    region_init_io(&s->irq_io, "pc-testdev-irq", IRQ_COUNT, &irq_ops, s, &m->lock);
    region_init_io(&s->iomem, "pc-testdev-iomem", IOMEM_SIZE, &iomem_ops, s, &m->lock);
    region_add(&m->io_root, ECHO_PORT, &s->echo_io, 0);
    region_add(&m->io_root, FLUSH_PORT, &s->flush_io, 0);
    region_add(&m->io_root, IRQ_PORT, &s->irq_io, 0);
    region_add(&m->mem_root, IOMEM_BASE, &s->iomem, 1); /* above the PCI hole's catch-all */
    return 0;
}

static void pc_testdev_unrealize(struct device *d)
{
    struct pc_testdev *s = container_of(d, struct pc_testdev, dev);
    region_del(&s->echo_io);
    region_del(&s->flush_io);
    region_del(&s->irq_io);
    region_del(&s->iomem);
}

static void pc_testdev_reset(struct device *d)
{
    struct pc_testdev *s = container_of(d, struct pc_testdev, dev);
    s->echo = 0;
    for (unsigned i = 0; i < IRQ_COUNT; i++) {
        if (s->level[i])
            irq_set(&d->m->gsi[i], 0);
        s->level[i] = 0;
    }
}

static const struct snap_field pc_testdev_fields[] = {
    SNAP_U(struct pc_testdev, echo),
    SNAP_A(struct pc_testdev, level),
    SNAP_B(struct pc_testdev, mem[0]),
    SNAP_B(struct pc_testdev, mem[1]),
    SNAP_DONE,
};

const struct dev_class pc_testdev_class = {
    .name = "pc-testdev",
    .desc = "test device of kvm-unit-tests",
    .state_size = sizeof(struct pc_testdev),
    .user_creatable = true,
    .fields = pc_testdev_fields,
    .snap_version = 1,
    .realize = pc_testdev_realize,
    .reset = pc_testdev_reset,
    .unrealize = pc_testdev_unrealize,
};
