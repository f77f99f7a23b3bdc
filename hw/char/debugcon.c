/* isa-debugcon: one port whose writes go to a character back end and whose reads give a fixed value, by which firmware
 * finds it. vCPU threads, machine lock held. Specification: Bochs' port 0xe9, QEMU's device of that name. */
#include "hw/char/debugcon.h"
#include "hw/backend/chr.h"
#include "hw/core/machine.h"

struct debugcon {
    struct device dev;
    u32 iobase, readback;
    struct chr *chr;
    struct region io;
};

static u64 debugcon_read(void *opaque, u64 off, unsigned size)
{
    return ((struct debugcon *)opaque)->readback;
}

static void debugcon_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct debugcon *s = opaque;
    u8 byte = val;
    chr_write(s->chr, &byte, 1);
}

static const struct region_ops debugcon_ops = { debugcon_read, debugcon_write, 1, 1 };

static int debugcon_realize(struct device *d, struct err *e)
{
    struct debugcon *s = container_of(d, struct debugcon, dev);
    if (!s->chr)
        return err_set(e, "isa-debugcon: give it a back end with chardev=ID");
    if (s->iobase > 0xffff)
        return err_set(e, "isa-debugcon: iobase 0x%x is no port", s->iobase);
    region_init_io(&s->io, "isa-debugcon", 1, &debugcon_ops, s, &d->m->lock);
    region_add(&d->m->io_root, s->iobase, &s->io, 0);
    return 0;
}

static void debugcon_unrealize(struct device *d)
{
    region_del(&container_of(d, struct debugcon, dev)->io);
}

struct device *debugcon_new(struct machine *m, u16 iobase, struct chr *chr, struct err *e)
{
    struct device *d = device_alloc(m, "isa-debugcon", e);
    if (!d)
        return NULL;
    struct debugcon *s = container_of(d, struct debugcon, dev);
    s->iobase = iobase;
    s->chr = chr;
    return device_realize(d, e) < 0 ? NULL : d;
}

static const struct prop debugcon_props[] = {
    { "iobase", PROP_U32, offsetof(struct debugcon, iobase), 0xe9, NULL, "port" },
    { "readback", PROP_U32, offsetof(struct debugcon, readback), 0xe9, NULL, "value that reads return" },
    { "chardev", PROP_CHR, offsetof(struct debugcon, chr), 0, NULL, "id of the character back end" },
    PROP_DONE,
};
static const struct snap_field debugcon_fields[] = { SNAP_DONE };

const struct dev_class isa_debugcon_class = {
    .name = "isa-debugcon",
    .desc = "debug console port",
    .state_size = sizeof(struct debugcon),
    .user_creatable = true,
    .props = debugcon_props,
    .fields = debugcon_fields,
    .snap_version = 1,
    .realize = debugcon_realize,
    .unrealize = debugcon_unrealize,
};
