/* Floppy drives: the medium's format by its size, the disk change line; device `floppy` on the controller's bus. Made by the machine or
 * -device on the main thread, machine lock held; media change on the main thread. */
#include <glib.h>
#include <stdio.h>
#include "hw/backend/blk.h"
#include "hw/core/machine.h"
#include "hw/storage/fdc.h"
#include "util/err.h"

enum { TYPE_NONE = 0, TYPE_120 = 2, TYPE_144 = 4, TYPE_288 = 5 };
enum { RATE_500 = 0, RATE_300 = 1, RATE_250 = 2, RATE_1000 = 3 };

/* The first of a size is what a medium of that size is. */
const struct floppy_format floppy_formats[] = {
    { TYPE_144, 80, 2, 18, RATE_500 },  /* 1.44 MB */
    { TYPE_144, 80, 2, 20, RATE_500 }, { TYPE_144, 80, 2, 21, RATE_500 }, { TYPE_144, 82, 2, 21, RATE_500 }, { TYPE_144, 83, 2, 21, RATE_500 },
    { TYPE_288, 80, 2, 36, RATE_1000 }, /* 2.88 MB */
    { TYPE_144, 80, 2, 9, RATE_250 },   /* 720 KB */
    { TYPE_144, 80, 2, 10, RATE_250 },
    { TYPE_120, 80, 2, 15, RATE_500 },  /* 1.2 MB */
    { TYPE_120, 40, 2, 9, RATE_300 },   /* 360 KB */
    { TYPE_120, 40, 1, 9, RATE_300 }, { TYPE_120, 40, 2, 8, RATE_300 }, { TYPE_120, 40, 1, 8, RATE_300 },
    { 0 }
};

static u32 format_sectors(const struct floppy_format *f)
{
    return f->tracks * f->heads * f->sectors;
}

static bool drive_reads(u8 drive, u8 medium)
{
    return drive == medium || (drive == TYPE_288 && medium == TYPE_144);
}

/* The format of exactly that size, else the smallest that holds it, of those that the drive reads (any, if it has no type yet). */
static const struct floppy_format *format_find(u64 size, u8 drive)
{
    const struct floppy_format *best = NULL;

    for (const struct floppy_format *f = floppy_formats; f->tracks; f++) {
        u64 n = (u64)format_sectors(f) * FDC_SECTOR;
        if ((drive && !drive_reads(drive, f->type)) || n < size)
            continue;
        if (n == size)
            return f;
        if (!best || format_sectors(f) < format_sectors(best))
            best = f;
    }
    return best;
}

static void find_format(struct floppy *f)
{
    f->format = f->blk && blk_present(f->blk) ? format_find(blk_size(f->blk), f->type) : NULL;
}

struct floppy *fdc_drive(const struct fdc *s, unsigned n)
{
    return n < FDC_DRIVES ? s->drive[n] : NULL;
}

bool floppy_readonly(const struct floppy *f)
{
    return blk_readonly(f->blk);
}

u8 fdc_cmos_type(const struct device *fdc, unsigned drive)
{
    const struct floppy *f = fdc ? fdc_drive((const struct fdc *)fdc, drive) : NULL;

    return f ? f->type : TYPE_NONE;
}

/* -- the medium ------------------------------------------------------------------------------------------------------------- */

static void on_media_changed(void *opaque, bool loaded)
{
    struct floppy *f = opaque;

    find_format(f);
    f->changed = 1;
}

static void on_resized(void *opaque)
{
    on_media_changed(opaque, true);
}

/* No tray: a medium is put in or out at once. */
static const struct blk_dev_ops floppy_ops = { .resized = on_resized, .media_changed = on_media_changed };

/* -- the device --------------------------------------------------------------------------------------------------------------- */

/* auto: what the medium needs, 1.44 MB without one. */
static u8 choose_type(const struct floppy *f)
{
    static const struct { const char *name; u8 type; } names[] = { { "120", TYPE_120 }, { "144", TYPE_144 }, { "288", TYPE_288 } };
    const struct floppy_format *m;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(f->type_name, names[i].name))
            return names[i].type;
    m = f->blk && blk_present(f->blk) ? format_find(blk_size(f->blk), 0) : NULL;
    return m ? m->type : TYPE_144;
}

static int floppy_realize(struct device *d, struct err *e)
{
    struct floppy *f = (struct floppy *)d;

    if (f->blk && blk_present(f->blk) && blk_size(f->blk) > FDC_TRACK_MAX * 80)
        return err_set(e, "floppy: '%s' has %llu KiB, more than a floppy disk", blk_path(f->blk),
                       (unsigned long long)blk_size(f->blk) / 1024);
    f->type = choose_type(f);
    if (f->blk && blk_attach(f->blk, &floppy_ops, f, &d->m->lock, BLK_WRITES | BLK_FIXED_SIZE | (f->share_rw ? BLK_SHARE_RW : 0), e) < 0)
        return -1;
    find_format(f);
    f->fdc->drive[f->unit] = f;
    return 0;
}

static void floppy_unrealize(struct device *d)
{
    struct floppy *f = (struct floppy *)d;

    f->fdc->drive[f->unit] = NULL;
    blk_detach(f->blk);
}

static void floppy_reset(struct device *d)
{
    struct floppy *f = (struct floppy *)d;

    f->track = 0;
    f->id = 1;
    f->changed = 1;
}

static void floppy_post_load(struct device *d)
{
    struct floppy *f = (struct floppy *)d;

    f->track = MIN_OF(f->track, 84);
    f->id = MIN_OF(MAX_OF(f->id, 1), 36);
    find_format(f);
    if (f->fdc->phase == FDC_DISK && (f->fdc->cmd[1] & 3) == f->unit)
        fdc_cmd_post_load(f->fdc);
}

static void floppy_fw_name(const struct device *d, char *buf, unsigned size)
{
    snprintf(buf, size, "floppy@%x", ((const struct floppy *)d)->unit);
}

#define P(x) offsetof(struct floppy, x)
static const struct prop floppy_props[] = {
    { "drive", PROP_DRIVE, P(blk), 0, NULL, "back end: a -drive id or -blockdev node name" },
    BLK_SHARE_PROP(P(share_rw)),
    { "unit", PROP_I32, P(unit), (u32)-1, NULL, "0: A, 1: B; default: the first free one" },
    { "drive-type", PROP_ENUM, P(type_name), 0, "auto", "auto|120|144|288: MB; auto: what the medium needs" },
    { "bootindex", PROP_I32, P(bootindex), (u32)-1, NULL, "place in the firmware's boot order" },
    PROP_DONE
};

static const struct snap_field floppy_fields[] = {
    SNAP_U(struct floppy, track), SNAP_U(struct floppy, changed), SNAP_U(struct floppy, id), SNAP_DONE
};

const struct dev_class floppy_class = {
    .name = "floppy",
    .desc = "floppy disk drive",
    .state_size = sizeof(struct floppy),
    .user_creatable = true,
    .bus_type = "floppy-bus",
    .props = floppy_props,
    .fields = floppy_fields,
    .snap_version = 1,
    .realize = floppy_realize,
    .reset = floppy_reset,
    .unrealize = floppy_unrealize,
    .post_load = floppy_post_load,
    .fw_name = floppy_fw_name,
};
