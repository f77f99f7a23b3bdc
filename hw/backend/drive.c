/* The list of drives, see drive.h. Main thread: filled by ui/, read by boards. */
#include "hw/backend/drive.h"
#include <glib.h>
#include "util/err.h"
#include "util/opts.h"

#define ISO_MAGIC_AT 0x8001
#define IDE_PLACES 8

static struct drive *first;
static unsigned ide_units = 2;  /* on a channel */
static bool image_snapshot;     /* -snapshot */

struct drive *drives(void)
{
    return first;
}

struct drive *drive_find(enum drive_if iface, unsigned bus, unsigned unit)
{
    for (struct drive *d = first; d; d = d->next)
        if (d->iface == iface && d->bus == bus && d->unit == unit)
            return d;
    return NULL;
}

int drive_add(enum drive_if iface, unsigned bus, unsigned unit, bool cdrom, struct blk *blk, const char *option, struct err *e)
{
    struct drive **tail = &first, *there = iface == DRIVE_NONE ? NULL : drive_find(iface, bus, unit);

    if (there)
        return err_set(e, "%s: bus %u, unit %u is taken by %s already", option, bus, unit, there->option);
    while (*tail)
        tail = &(*tail)->next;
    *tail = g_new0(struct drive, 1);
    **tail = (struct drive){ .iface = iface, .bus = bus, .unit = unit, .cdrom = cdrom, .blk = blk, .option = option };
    return 0;
}

void drives_configure(unsigned units, bool snapshot)
{
    ide_units = units;
    image_snapshot = snapshot;
}

unsigned drives_ide_units(void)
{
    return ide_units;
}

/* ISO 9660: the volume descriptor in sector 16. */
static bool is_iso(struct blk *b)
{
    char magic[5];

    return blk_size(b) > ISO_MAGIC_AT + sizeof(magic) && blk_pread(b, ISO_MAGIC_AT, magic, sizeof(magic)) == 0 &&
           !memcmp(magic, "CD001", sizeof(magic));
}

static struct blk *image_open(const char *path, bool cdrom, struct err *e)
{
    struct opts *o = opts_new();
    struct blk *b;

    opts_set(o, "file", path);
    opts_set(o, "readonly", cdrom ? "on" : "off");
    opts_set(o, "discard", "unmap");
    if (image_snapshot && !cdrom)
        opts_set(o, "snapshot", "on");
    b = blk_open_image(o, cdrom, e);
    opts_free(o);
    return b;
}

/* An ISO image goes where -cdrom does, if that is free; a disk to the first free place. */
int drive_add_image(const char *path, struct err *e)
{
    struct blk *b = image_open(path, true, e);
    bool cdrom = b && is_iso(b);
    unsigned n = cdrom ? 2 : 0;

    if (!b)
        return err_prefix(e, "image");
    if (!cdrom) {
        blk_close(b);
        b = image_open(path, false, e);
        if (!b)
            return err_prefix(e, "image");
    }
    if (drive_find(DRIVE_IDE, n / ide_units, n % ide_units))
        for (n = 0; n < IDE_PLACES && drive_find(DRIVE_IDE, n / ide_units, n % ide_units); n++)
            ;
    return drive_add(DRIVE_IDE, n / ide_units, n % ide_units, cdrom, b, path, e);
}

int drives_check_taken(struct err *e)
{
    static const char *const names[] = { "none", "ide", "scsi", "floppy", "pflash", "virtio" };

    for (struct drive *d = first; d; d = d->next)
        if (d->iface != DRIVE_NONE && !d->taken)
            return err_set(e, "%s: machine type does not support if=%s,bus=%u,unit=%u%s", d->option, names[d->iface], d->bus, d->unit,
                           d->cdrom ? ",media=cdrom" : "");
    return 0;
}

void drives_free(void)
{
    while (first) {
        struct drive *d = first;
        first = d->next;
        g_free(d);
    }
}
