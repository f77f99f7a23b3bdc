/* isa-debug-exit: a port by which a test guest ends the emulator with exit status (value << 1) | 1. The smallest device:
 * read it first. vCPU threads, machine lock held. Specification: the device of that name in QEMU's manual. */
#include "hw/core/machine.h"

struct debug_exit {
    struct device dev;
    u32 iobase, iosize;
    struct region io;
};

static u64 debug_exit_read(void *opaque, u64 off, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct debug_exit *s = opaque;
    s->dev.m->request(s->dev.m, REQ_EXIT, (int)((u32)val << 1 | 1));
}

static const struct region_ops debug_exit_ops = { debug_exit_read, debug_exit_write, 1, 4 };

static int debug_exit_realize(struct device *d, struct err *e)
{
    struct debug_exit *s = container_of(d, struct debug_exit, dev);
    if (s->iosize < 1 || s->iosize > 4 || s->iobase + (u64)s->iosize > 0x10000)
        return err_set(e, "isa-debug-exit: iobase 0x%x with iosize %u is no range of 1 to 4 ports", s->iobase, s->iosize);
    region_init_io(&s->io, "isa-debug-exit", s->iosize, &debug_exit_ops, s, &d->m->lock);
    region_add(&d->m->io_root, s->iobase, &s->io, 0);
    return 0;
}

static void debug_exit_unrealize(struct device *d)
{
    region_del(&container_of(d, struct debug_exit, dev)->io);
}

static const struct prop debug_exit_props[] = {
    { "iobase", PROP_U32, offsetof(struct debug_exit, iobase), 0x501, NULL, "first port" },
    { "iosize", PROP_U32, offsetof(struct debug_exit, iosize), 2, NULL, "number of ports, 1 to 4" },
    PROP_DONE,
};
static const struct snap_field debug_exit_fields[] = { SNAP_DONE };

const struct dev_class isa_debug_exit_class = {
    .name = "isa-debug-exit",
    .desc = "ends the emulator with an exit status chosen by the guest",
    .state_size = sizeof(struct debug_exit),
    .user_creatable = true,
    .props = debug_exit_props,
    .fields = debug_exit_fields,
    .snap_version = 1,
    .realize = debug_exit_realize,
    .unrealize = debug_exit_unrealize,
};
