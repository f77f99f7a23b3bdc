/* The SCSI bus of a host adapter: addresses, finding units, what an address without a unit answers, resets. Called by the adapter and, for
 * plugging, by hw/core/device.c; the bus's lock held (plugging: the machine lock). SAM-5, 4.8; SPC-4, 6.4.2 and 6.33. */
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/storage/scsi_impl.h"
#include "util/err.h"

static struct scsi_disk *disk_at(struct scsi_bus *b, unsigned channel, unsigned target, unsigned lun)
{
    for (struct device *d = b->bus.m->devices; d; d = d->next) {
        struct scsi_disk *s = (struct scsi_disk *)d;
        if (d->bus == &b->bus && s->channel == channel && (unsigned)s->id == target && s->lun == lun)
            return s;
    }
    return NULL;
}

struct scsi_lu *scsi_find(struct scsi_bus *b, unsigned channel, unsigned target, unsigned lun)
{
    struct scsi_disk *s = disk_at(b, channel, target, lun);

    return s ? &s->lu : NULL;
}

bool scsi_target_exists(const struct scsi_bus *b, unsigned channel, unsigned target)
{
    for (const struct device *d = b->bus.m->devices; d; d = d->next) {
        const struct scsi_disk *s = (const struct scsi_disk *)d;
        if (d->bus == &b->bus && s->channel == channel && (unsigned)s->id == target)
            return true;
    }
    return false;
}

void scsi_address(const struct scsi_lu *lu, unsigned *channel, unsigned *target, unsigned *lun)
{
    const struct scsi_disk *s = container_of(lu, struct scsi_disk, lu);

    *channel = s->channel;
    *target = s->id;
    *lun = s->lun;
}

/* -- plugging ----------------------------------------------------------------------------------------------------------- */

static int bus_attach(struct bus *bus, struct device *d, struct err *e)
{
    struct scsi_bus *b = container_of(bus, struct scsi_bus, bus);
    struct scsi_disk *s = (struct scsi_disk *)d;

    if (s->channel >= b->channels)
        return err_set(e, "%s: channel=%u: bus '%s' has channels 0 to %u", d->cls->name, s->channel, bus->name, b->channels - 1);
    if (s->lun >= b->luns)
        return err_set(e, "%s: lun=%u: bus '%s' has units 0 to %u", d->cls->name, s->lun, bus->name, b->luns - 1);
    if (s->id >= (i64)b->targets || s->id < -1)
        return err_set(e, "%s: scsi-id=%d: bus '%s' has targets 0 to %u", d->cls->name, s->id, bus->name, b->targets - 1);
    if (s->id < 0) {
        unsigned id = 0;
        while (id < b->targets && disk_at(b, s->channel, id, s->lun))
            id++;
        if (id == b->targets)
            return err_set(e, "%s: bus '%s' has no free scsi-id", d->cls->name, bus->name);
        s->id = id;
    } else if (disk_at(b, s->channel, s->id, s->lun)) {
        return err_set(e, "%s: channel=%u,scsi-id=%d,lun=%u of bus '%s' is taken", d->cls->name, s->channel, s->id, s->lun, bus->name);
    }
    return 0;
}

static int bus_plugged(struct bus *bus, struct device *d, struct err *e)
{
    struct scsi_bus *b = container_of(bus, struct scsi_bus, bus);

    if (b->ops && b->ops->plugged)
        b->ops->plugged(b, &((struct scsi_disk *)d)->lu);
    return 0;
}

static int bus_unplug(struct bus *bus, struct device *d, struct err *e)
{
    struct scsi_bus *b = container_of(bus, struct scsi_bus, bus);

    if (b->ops && b->ops->unplugged)
        b->ops->unplugged(b, &((struct scsi_disk *)d)->lu);
    device_unplugged(d);
    return 0;
}

static const struct bus_ops scsi_plug_ops = { .attach = bus_attach, .plugged = bus_plugged, .unplug_request = bus_unplug };

void scsi_bus_init(struct scsi_bus *b, struct device *owner, const struct scsi_bus_ops *ops, struct lock *lock, unsigned channels,
                   unsigned targets, unsigned luns)
{
    bus_init(&b->bus, owner->m, "SCSI", NULL, owner, &scsi_plug_ops, 0);
    b->ops = ops;
    b->lock = lock;
    b->channels = channels;
    b->targets = targets;
    b->luns = luns;
}

void scsi_bus_fini(struct scsi_bus *b)
{
    bus_free_devices(&b->bus);
    bus_fini(&b->bus);
}

/* -- resets ------------------------------------------------------------------------------------------------------------- */

static void reset_units(struct scsi_bus *b, bool all, unsigned channel, unsigned target)
{
    for (struct device *d = b->bus.m->devices; d; d = d->next) {
        struct scsi_disk *s = (struct scsi_disk *)d;
        if (d->bus == &b->bus && (all || (s->channel == channel && (unsigned)s->id == target)))
            scsi_lu_reset(&s->lu);
    }
}

void scsi_reset_target(struct scsi_bus *b, unsigned channel, unsigned target)
{
    reset_units(b, false, channel, target);
}

void scsi_reset_bus(struct scsi_bus *b)
{
    reset_units(b, true, 0, 0);
}

/* -- REPORT LUNS and addresses without a unit ----------------------------------------------------------------------------- */

static u32 list_luns(const struct scsi_bus *b, unsigned channel, unsigned target, u8 *p, u32 size)
{
    u32 n = 0;

    /* LUN 0 comes first, whether or not there is a unit */
    memset(p, 0, 8);
    n += 8;
    for (struct device *d = b->bus.m->devices; d; d = d->next) {
        const struct scsi_disk *s = (const struct scsi_disk *)d;
        if (d->bus != &b->bus || s->channel != channel || (unsigned)s->id != target || !s->lun || n + 8 > size)
            continue;
        memset(p + n, 0, 8);
        if (s->lun < 256)
            p[n + 1] = s->lun;
        else
            put_be16(p + n, 0x4000 | s->lun); /* flat space addressing */
        n += 8;
    }
    return n;
}

u32 scsi_list_luns(const struct scsi_lu *lu, u8 *p, u32 size)
{
    const struct scsi_disk *s = container_of(lu, struct scsi_disk, lu);

    if (lu->atapi) { /* a drive by itself */
        memset(p, 0, 8);
        return 8;
    }
    return list_luns(container_of(s->dev.bus, struct scsi_bus, bus), s->channel, s->id, p, size);
}

/* A request without a unit has its data phase here: at once, from buf. */
static void absent_reply(struct scsi_req *r, u32 len, u32 alloc)
{
    r->len = r->buf_len = MIN_OF(len, alloc);
    r->dir = SCSI_DATA_IN;
    r->phase = SCSI_DATA;
    if (r->len)
        r->ops->data(r);
    else
        r->ops->done(r);
}

void scsi_start_absent(struct scsi_bus *b, unsigned channel, unsigned target, struct scsi_req *r)
{
    r->lu = NULL;
    r->dir = SCSI_NO_DATA;
    r->status = SCSI_GOOD;
    r->sense_len = r->buf_len = r->phase = 0;
    r->len = r->moved = 0;
    memset(r->buf, 0, 36);
    switch (r->cdb[0]) {
    case 0x12: /* INQUIRY: no device of any type */
        if ((r->cdb[1] & 3) || r->cdb[2])
            break;
        r->buf[0] = 0x7f;
        r->buf[2] = 5;
        r->buf[3] = 2;
        r->buf[4] = 31;
        absent_reply(r, 36, be16(r->cdb + 3));
        return;
    case 0xa0: {
        u32 n = r->cdb[2] == 1 ? 0 : list_luns(b, channel, target, r->buf + 8, sizeof(r->buf) - 8);
        put_be32(r->buf, n);
        absent_reply(r, 8 + n, be32(r->cdb + 6));
        return;
    }
    case 0x03:
        scsi_sense_fill(r->buf, SENSE_NO_LUN);
        absent_reply(r, SCSI_SENSE_SIZE, r->cdb[4]);
        return;
    }
    r->status = SCSI_CHECK_CONDITION;
    r->sense_len = SCSI_SENSE_SIZE;
    scsi_sense_fill(r->sense, r->cdb[0] == 0x12 ? SENSE_BAD_CDB : SENSE_NO_LUN);
    r->ops->done(r);
}
