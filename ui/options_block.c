/* The command-line options of disks: -drive, -blockdev, -hda and the other short forms, -snapshot. Main thread: collected while the command
 * line is read, opened by main.c before the machine is built. */
#include "hw/backend/blk_int.h"
#include "hw/backend/drive.h"
#include "ui/options.h"
#include "util/opts.h"

typedef enum options_result result;

struct drive_option {
    struct opts *o;
    char *text;          /* as the user wrote it, for messages */
    char *id;
    enum drive_if iface;
    bool cdrom;
    unsigned bus, unit;
    struct blk *blk;
};

static const char *const if_names[] = { "none", "ide", "scsi", "floppy", "pflash", "virtio", NULL };

/* -- collecting ------------------------------------------------------------------------------------------------------- */

static void drive_option_free(gpointer p)
{
    struct drive_option *d = p;

    opts_free(d->o);
    g_free(d->text);
    g_free(d->id);
    g_free(d);
}

void options_block_init(struct options *o)
{
    o->drives = g_ptr_array_new_with_free_func(drive_option_free);
    o->blockdevs = g_ptr_array_new();
}

void options_block_free(struct options *o)
{
    g_ptr_array_unref(o->drives);
    g_ptr_array_unref(o->blockdevs);
}

static struct drive_option *add_drive(struct options *o, const char *option, const char *arg, const char *implied, struct err *e)
{
    struct opts *l = opts_parse(arg, implied, e);
    struct drive_option *d;

    if (!l) {
        err_prefix(e, "%s %s", option, arg);
        return NULL;
    }
    d = g_new0(struct drive_option, 1);
    d->o = l;
    d->text = g_strdup_printf("%s %s", option, arg);
    g_ptr_array_add(o->drives, d);
    return d;
}

/* The old names of some keys of -drive. */
static const struct { const char *old, *name; } aliases[] = {
    { "readonly", "read-only" },
    { "bps", "throttling.bps-total" }, { "bps_max", "throttling.bps-total-max" },
    { "bps_rd", "throttling.bps-read" }, { "bps_rd_max", "throttling.bps-read-max" },
    { "bps_wr", "throttling.bps-write" }, { "bps_wr_max", "throttling.bps-write-max" },
    { "iops", "throttling.iops-total" }, { "iops_max", "throttling.iops-total-max" },
    { "iops_rd", "throttling.iops-read" }, { "iops_rd_max", "throttling.iops-read-max" },
    { "iops_wr", "throttling.iops-write" }, { "iops_wr_max", "throttling.iops-write-max" },
    { "iops_size", "throttling.iops-size" },
};

/* Keys given more than once, as QEMU 7.2 takes them: the last counts; of the id and of old names the first; cache= is refused, as are both
 * names of a key. */
static int check_repeats(struct opts *l, struct err *e)
{
    opts_keep_first(l, "id");
    for (unsigned i = 0; i < ARRAY_LEN(aliases); i++)
        if (opts_keep_first(l, aliases[i].old) && opts_peek(l, aliases[i].name))
            return err_set(e, "'%s' and its alias '%s' can't be used at the same time", aliases[i].name, aliases[i].old);
    return opts_keep_first(l, "cache") > 1 ? err_set(e, "cache= is given more than once") : 0;
}

static result opt_drive(struct options *o, const char *arg, struct err *e)
{
    struct drive_option *d = add_drive(o, "-drive", arg, NULL, e);

    if (!d)
        return OPTIONS_ERROR;
    if (check_repeats(d->o, e) < 0) {
        err_prefix(e, "%s", d->text);
        return OPTIONS_ERROR;
    }
    return OPTIONS_RUN;
}

/* A short form: the file's name as it is, and what -drive would say besides. */
static result add_short(struct options *o, const char *option, const char *path, const char *rest, struct err *e)
{
    struct drive_option *d = add_drive(o, option, rest, NULL, e);

    if (!d)
        return OPTIONS_ERROR;
    opts_set(d->o, "file", path);
    g_free(d->text);
    d->text = g_strdup_printf("%s %s", option, path);
    return OPTIONS_RUN;
}

static result opt_hda(struct options *o, const char *arg, struct err *e) { return add_short(o, "-hda", arg, "index=0,media=disk", e); }
static result opt_hdb(struct options *o, const char *arg, struct err *e) { return add_short(o, "-hdb", arg, "index=1,media=disk", e); }
static result opt_hdc(struct options *o, const char *arg, struct err *e) { return add_short(o, "-hdc", arg, "index=2,media=disk", e); }
static result opt_hdd(struct options *o, const char *arg, struct err *e) { return add_short(o, "-hdd", arg, "index=3,media=disk", e); }
static result opt_cdrom(struct options *o, const char *arg, struct err *e) { return add_short(o, "-cdrom", arg, "index=2,media=cdrom", e); }
static result opt_fda(struct options *o, const char *arg, struct err *e) { return add_short(o, "-fda", arg, "index=0,if=floppy", e); }
static result opt_fdb(struct options *o, const char *arg, struct err *e) { return add_short(o, "-fdb", arg, "index=1,if=floppy", e); }
static result opt_pflash(struct options *o, const char *arg, struct err *e) { return add_short(o, "-pflash", arg, "if=pflash", e); }

static result opt_sd(struct options *o, const char *arg, struct err *e)
{
    return err_set(e, "-sd %s: SD cards are not available", arg);
}

static result opt_mtdblock(struct options *o, const char *arg, struct err *e)
{
    return err_set(e, "-mtdblock %s: MTD flash is not available", arg);
}

static result opt_blockdev(struct options *o, const char *arg, struct err *e)
{
    g_ptr_array_add(o->blockdevs, (char *)arg);
    return OPTIONS_RUN;
}

static result opt_snapshot(struct options *o, const char *arg, struct err *e)
{
    o->snapshot = true;
    return OPTIONS_RUN;
}

const struct option block_options[] = {
    { "drive", "[file=FILE][,if=KIND][,format=F][,...]", opt_drive, "a disk: if=ide|virtio|floppy|pflash|none, media=disk|cdrom, index=, cache=, ..." },
    { "blockdev", "driver=D,node-name=N[,...]", opt_blockdev, "a block node for -device ...,drive=N; JSON too" },
    { "hda", "FILE", opt_hda, "first disk image (-hdb, -hdc, -hdd: the next ones)" },
    { "hdb", "FILE", opt_hdb, "second" },
    { "hdc", "FILE", opt_hdc, "third (where -cdrom is, too)" },
    { "hdd", "FILE", opt_hdd, "fourth" },
    { "cdrom", "FILE", opt_cdrom, "CD-ROM image" },
    { "fda", "FILE", opt_fda, "floppy image (-fdb: the second)" },
    { "fdb", "FILE", opt_fdb, "second floppy" },
    { "pflash", "FILE", opt_pflash, "flash memory with firmware" },
    { "sd", "FILE", opt_sd, "refused: there are no SD cards" },
    { "mtdblock", "FILE", opt_mtdblock, "refused: there is no MTD flash" },
    { "snapshot", NULL, opt_snapshot, "write to temporary files instead of the disk images" },
    { NULL, NULL, NULL, NULL },
};

/* -- places ----------------------------------------------------------------------------------------------------------- */

static unsigned units_of(enum drive_if i)
{
    return i == DRIVE_IDE ? drives_ide_units() : i == DRIVE_SCSI ? 7 : 0;
}

static const struct drive_option *at_place(const struct options *o, const struct drive_option *me, unsigned bus, unsigned unit)
{
    for (unsigned i = 0; i < o->drives->len; i++) {
        const struct drive_option *d = o->drives->pdata[i];
        if (d == me)
            break;
        if (d->iface == me->iface && d->bus == bus && d->unit == unit)
            return d;
    }
    return NULL;
}

static bool place_is_free(const struct options *o, const struct drive_option *me, unsigned bus, unsigned unit)
{
    return !at_place(o, me, bus, unit);
}

/* index= counts all places, bus= and unit= name one; without them it is the first that is free. */
static int choose_place(const struct options *o, struct drive_option *d, struct err *e)
{
    unsigned per_bus = units_of(d->iface);
    bool fixed = opts_peek(d->o, "index") || opts_peek(d->o, "unit");
    u64 index, bus, unit;

    if (opts_peek(d->o, "index") && (opts_peek(d->o, "bus") || opts_peek(d->o, "unit")))
        return err_set(e, "index cannot be used with bus and unit");
    if (opts_uint(d->o, "index", 0, 0, 255, &index, e) < 0 || opts_uint(d->o, "bus", 0, 0, 255, &bus, e) < 0 ||
        opts_uint(d->o, "unit", 0, 0, 255, &unit, e) < 0)
        return -1;
    if (opts_peek(d->o, "index")) {
        bus = per_bus ? index / per_bus : 0;
        unit = per_bus ? index % per_bus : index;
    }
    if (per_bus && unit >= per_bus)
        return err_set(e, "unit %u too big (max is %u)", (unsigned)unit, per_bus - 1);
    d->bus = bus;
    d->unit = unit;
    while (!fixed && !place_is_free(o, d, d->bus, d->unit)) {
        if (per_bus && ++d->unit >= per_bus) {
            d->unit = 0;
            d->bus++;
        } else if (!per_bus) {
            d->unit++;
        }
    }
    const struct drive_option *there = d->iface == DRIVE_NONE ? NULL : at_place(o, d, d->bus, d->unit);
    return there ? err_set(e, "drive with bus=%u, unit=%u exists (%s)", d->bus, d->unit, there->text) : 0;
}

static int choose_id(struct drive_option *d, struct err *e)
{
    const char *id = opts_get(d->o, "id"), *kind = d->cdrom ? "cd" : "hd";

    if (id && id_check(id, e) < 0)
        return -1;
    if (id)
        d->id = g_strdup(id);
    else if (d->iface == DRIVE_IDE || d->iface == DRIVE_SCSI)
        d->id = g_strdup_printf("%s%u-%s%u", if_names[d->iface], d->bus, kind, d->unit);
    else
        d->id = g_strdup_printf("%s%u", if_names[d->iface], d->unit);
    return 0;
}

static int place_drive(struct options *o, struct drive_option *d, struct err *e)
{
    static const char *const media[] = { "disk", "cdrom", NULL };
    int i, m;

    if (opts_peek(d->o, "if") && !strcmp(opts_peek(d->o, "if"), "sd"))
        return err_set(e, "if=sd: SD cards are not available");
    if (opts_enum(d->o, "if", if_names, DRIVE_IDE, &i, e) < 0 || opts_enum(d->o, "media", media, 0, &m, e) < 0)
        return -1;
    d->iface = i;
    d->cdrom = m == 1;
    if (!opts_has(d->o, "file") && !opts_has(d->o, "driver") && !d->cdrom && d->iface != DRIVE_FLOPPY && d->iface != DRIVE_NONE)
        return err_set(e, "file=FILE is missing");
    if (choose_place(o, d, e) < 0 || choose_id(d, e) < 0)
        return -1;
    if (o->snapshot && !d->cdrom && !opts_peek(d->o, "snapshot"))
        opts_set(d->o, "snapshot", "on");
    if (d->iface == DRIVE_VIRTIO) {
        char *dev = g_strdup_printf("virtio-blk-pci,drive=%s", d->id);
        g_ptr_array_add(o->strings, dev);
        g_ptr_array_add(o->devices, dev);
    }
    return 0;
}

int options_place_drives(struct options *o, struct err *e)
{
    const char *type = o->machine.type;

    drives_configure(!strcmp(type, "q35") || g_str_has_prefix(type, "pc-q35") ? 1 : 2, o->snapshot);
    for (unsigned i = 0; i < o->drives->len; i++) {
        struct drive_option *d = o->drives->pdata[i];
        if (place_drive(o, d, e) < 0)
            return err_prefix(e, "%s", d->text);
    }
    return 0;
}

/* -- opening ---------------------------------------------------------------------------------------------------------- */

static int open_drive(struct drive_option *d, struct err *e)
{
    d->blk = blk_open_opts(d->id, d->o, d->cdrom, e);
    if (!d->blk)
        return -1;
    if (d->iface == DRIVE_NONE || d->iface == DRIVE_VIRTIO) /* their devices find them by id */
        return 0;
    return drive_add(d->iface, d->bus, d->unit, d->cdrom, d->blk, d->text, e);
}

static int open_blockdev(const char *arg, struct err *e)
{
    struct opts *l = opts_parse(arg, "driver", e);
    struct blk_node *n = NULL;

    if (l) /* QEMU's defaults: writable, no locks taken from others */
        n = node_open_blockdev(l, NODE_RDWR, e);
    opts_free(l);
    return n ? 0 : err_prefix(e, "-blockdev %s", arg);
}

int options_open_drives(struct options *o, struct err *e)
{
    for (unsigned i = 0; i < o->blockdevs->len; i++)
        if (open_blockdev(o->blockdevs->pdata[i], e) < 0)
            return -1;
    for (unsigned i = 0; i < o->drives->len; i++) {
        struct drive_option *d = o->drives->pdata[i];
        if (open_drive(d, e) < 0)
            return err_prefix(e, "%s", d->text);
    }
    return 0;
}
