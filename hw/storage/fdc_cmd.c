/* The floppy disk controller's commands. Called by hw/storage/fdc.c when a command's bytes or its data are complete, and by completions of
 * the block layer, machine lock held. Intel 82077AA (290166), chapters 5 and 6. */
#include "hw/backend/blk.h"
#include "hw/storage/fdc.h"
#include "util/log.h"

enum { CMD_MT = 0x80, CMD_MFM = 0x40, CMD_HEAD = 0x04, CMD_DRIVE = 0x03, CONFIG_EIS = 0x40, CONFIG_NO_FIFO = 0x20 };
enum { ST0_ABNORMAL = 0x40, ST0_SEEK_END = 0x20, ST0_CHECK = 0x10, INVALID = 0x80 };
enum { ST1_MA = 0x01, ST1_NW = 0x02, ST1_ND = 0x04, ST1_DE = 0x20, ST1_EN = 0x80, ST2_WC = 0x10, ST2_DD = 0x20 };
enum { ST3_WP = 0x40, ST3_READY = 0x20, ST3_TRACK0 = 0x10, ST3_TWO_SIDES = 0x08 };
enum { SIZE_512 = 2, FORMAT_ID = 4, FORMAT_FILL = 2048 /* where in buf the filler sector is */ };
enum { LOCK_ON = 0x80, TRACKS_MAX = 84 };

struct fdc_cmd {
    u8 value, mask, len;
    void (*execute)(struct fdc *s);
    void (*data_done)(struct fdc *s);   /* after the data phase */
    void (*disk)(struct fdc *s);        /* gives the block layer its part, also after a load */
    void (*disk_done)(struct fdc *s);
};

static const struct fdc_cmd *cmd_find(u8 first);

static const struct fdc_cmd *current(const struct fdc *s)
{
    return cmd_find(s->cmd[0]);
}

static struct floppy *cmd_drive(const struct fdc *s)
{
    return fdc_drive(s, s->cmd[1] & CMD_DRIVE);
}

static unsigned cmd_head(const struct fdc *s)
{
    return !!(s->cmd[1] & CMD_HEAD);
}

unsigned fdc_cmd_length(u8 first)
{
    const struct fdc_cmd *c = cmd_find(first);

    return c ? c->len : 1;
}

bool fdc_cmd_has_data(u8 first)
{
    const struct fdc_cmd *c = cmd_find(first);

    return c && c->data_done;
}

/* -- results -------------------------------------------------------------------------------------------------------------------- */

/* Result of a command that moves sectors; the sector's address is in cmd[2..4]. */
static void transfer_result(struct fdc *s, u8 ic, u8 st1, u8 st2)
{
    const u8 r[7] = { ic | (s->cmd[1] & (CMD_HEAD | CMD_DRIVE)), st1, st2, s->cmd[2], s->cmd[3], s->cmd[4], SIZE_512 };

    fdc_result(s, r, sizeof(r), true);
}

static void transfer_error(struct fdc *s, u8 st1, u8 st2)
{
    transfer_result(s, ST0_ABNORMAL, st1, st2);
}

/* The address in the command moves on by n sectors. */
static void advance(struct fdc *s, const struct floppy *f, u32 n)
{
    u8 *c = s->cmd;

    for (; n; n--) {
        if (c[4]++ < c[6])
            continue;
        c[4] = 1;
        if ((c[0] & CMD_MT) && f->format->heads == 2) {
            c[3] ^= 1;
            c[1] ^= CMD_HEAD;
            if (c[3])
                continue;
        }
        c[2]++;
    }
}

static void finish_transfer(struct fdc *s)
{
    struct floppy *f = cmd_drive(s);
    u32 n = (s->tc_at + FDC_SECTOR - 1) / FDC_SECTOR;

    if (f && f->format) {
        advance(s, f, n);
        f->id = s->cmd[4];
    }
    if (s->tc)
        transfer_result(s, 0, 0, 0);
    else
        transfer_error(s, ST1_EN, 0); /* nobody stopped it at the last sector */
}

/* -- the block layer's part --------------------------------------------------------------------------------------------------------- */

static void on_disk_done(void *opaque, int ret)
{
    struct fdc *s = opaque;

    if (s->aborted)
        return;
    if (ret < 0)
        transfer_error(s, ret == -EACCES || ret == -EROFS ? ST1_NW : ST1_DE, ST2_DD);
    else
        current(s)->disk_done(s);
}

static void submit(struct fdc *s, enum blk_op op, u32 lba, u8 *buf, u32 len)
{
    struct floppy *f = cmd_drive(s);
    struct iovec iov = { buf, len };

    s->phase = FDC_DISK;
    if (f && f->format)
        blk_submit(f->blk, op, (u64)lba * FDC_SECTOR, &iov, 1, 0, 0, on_disk_done, s);
    else
        transfer_error(s, ST1_MA, 0);
}

/* What an image shorter than its format lacks reads as zeros. */
static void disk_read(struct fdc *s)
{
    struct floppy *f = cmd_drive(s);
    u64 off = (u64)s->lba * FDC_SECTOR, size = f && f->blk ? ALIGN_UP(blk_size(f->blk), FDC_SECTOR) : 0;
    u32 want = s->sectors * FDC_SECTOR, have = off < size ? MIN_OF(want, size - off) : 0;

    memset(s->buf + have, 0, want - have);
    if (have)
        submit(s, BLK_READ, s->lba, s->buf, have);
    else
        current(s)->disk_done(s);
}

static void disk_write(struct fdc *s)
{
    submit(s, BLK_WRITE, s->lba, s->buf, ALIGN_UP(MIN_OF(s->tc_at, FDC_TRACK_MAX), FDC_SECTOR));
}

/* -- addressing ------------------------------------------------------------------------------------------------------------------------ */

/* Whether anything can be read under the heads at all. */
static bool track_readable(struct fdc *s, const struct floppy *f)
{
    if (f && f->format && (s->cmd[0] & CMD_MFM) && (s->dsr & 3) == f->format->rate && f->track < f->format->tracks &&
        cmd_head(s) < f->format->heads)
        return true;
    transfer_error(s, ST1_MA, 0);
    return false;
}

/* Finds the sectors that a command names: s->lba and s->sectors, up to its last sector. False: the result is there. */
static bool find_sectors(struct fdc *s, bool write)
{
    struct floppy *f = cmd_drive(s);
    const u8 *c = s->cmd;
    u32 last, n;

    if (f && f->format && (s->config & CONFIG_EIS) && c[2] < f->format->tracks)
        f->track = c[2];
    if (!track_readable(s, f))
        return false;
    if (c[2] != f->track) {
        transfer_error(s, ST1_ND, ST2_WC);
        return false;
    }
    if (c[3] != cmd_head(s) || c[5] != SIZE_512 || !c[4] || c[4] > f->format->sectors) {
        transfer_error(s, ST1_ND, 0);
        return false;
    }
    if (write && floppy_readonly(f)) {
        transfer_error(s, ST1_NW, 0);
        return false;
    }
    last = MIN_OF(c[6], f->format->sectors);
    n = c[4] <= last ? last - c[4] + 1 : 1;
    if ((c[0] & CMD_MT) && !cmd_head(s) && f->format->heads == 2 && last == f->format->sectors)
        n += last;
    s->lba = (f->track * f->format->heads + cmd_head(s)) * f->format->sectors + c[4] - 1;
    s->sectors = n;
    return true;
}

/* -- sectors --------------------------------------------------------------------------------------------------------------------------- */

static void cmd_read(struct fdc *s)
{
    if (find_sectors(s, false))
        disk_read(s);
}

/* READ TRACK: from the first sector on, whatever the command says. */
static void cmd_read_track(struct fdc *s)
{
    s->cmd[4] = 1;
    s->cmd[0] &= ~CMD_MT;
    cmd_read(s);
}

static void read_disk_done(struct fdc *s)
{
    fdc_data(s, false, s->sectors * FDC_SECTOR);
}

static void read_data_done(struct fdc *s)
{
    s->tc_at = s->pos;
    finish_transfer(s);
}

static void cmd_write(struct fdc *s)
{
    if (find_sectors(s, true))
        fdc_data(s, true, s->sectors * FDC_SECTOR);
}

static void write_data_done(struct fdc *s)
{
    s->tc_at = s->pos;
    memset(s->buf + s->pos, 0, ALIGN_UP(s->pos, FDC_SECTOR) - s->pos); /* the rest of a sector that was cut short */
    if (s->pos)
        disk_write(s);
    else
        finish_transfer(s);
}

static void verify_disk_done(struct fdc *s)
{
    s->tc = true;
    s->tc_at = s->sectors * FDC_SECTOR;
    finish_transfer(s);
}

static void cmd_read_id(struct fdc *s)
{
    struct floppy *f = cmd_drive(s);

    s->cmd[2] = s->cmd[3] = s->cmd[4] = 0;
    if (!track_readable(s, f))
        return;
    if (f->id > f->format->sectors)
        f->id = 1;
    s->cmd[2] = f->track;
    s->cmd[3] = cmd_head(s);
    s->cmd[4] = f->id++;
    transfer_result(s, 0, 0, 0);
}

/* -- FORMAT TRACK ------------------------------------------------------------------------------------------------------------------------ */

static void cmd_format(struct fdc *s)
{
    struct floppy *f = cmd_drive(s);
    u8 size = s->cmd[2], sectors = s->cmd[3], fill = s->cmd[5];

    s->cmd[2] = s->cmd[3] = s->cmd[4] = 0;
    if (!track_readable(s, f))
        return;
    if (floppy_readonly(f)) {
        transfer_error(s, ST1_NW, 0);
        return;
    }
    if (size != SIZE_512 || sectors != f->format->sectors) { /* an image keeps its format */
        GUEST_ERROR("fdc: formatting with %u sectors of size code %u, the medium has %u of 2", sectors, size, f->format->sectors);
        transfer_error(s, ST1_ND, 0);
        return;
    }
    memset(s->buf + FORMAT_FILL, fill, FDC_SECTOR);
    fdc_data(s, true, sectors * FORMAT_ID);
}

/* The next sector of the list at buf: cylinder, head, sector, size. s->lba counts entries. */
static void format_disk(struct fdc *s)
{
    struct floppy *f = cmd_drive(s);
    const u8 *id = s->buf + s->lba * FORMAT_ID;

    if (!f || !f->format || s->lba >= f->format->sectors || id[0] != f->track || id[1] != cmd_head(s) || !id[2] ||
        id[2] > f->format->sectors) {
        transfer_error(s, ST1_ND, 0);
        return;
    }
    submit(s, BLK_WRITE, (f->track * f->format->heads + cmd_head(s)) * f->format->sectors + id[2] - 1, s->buf + FORMAT_FILL, FDC_SECTOR);
}

static void format_disk_done(struct fdc *s)
{
    if (++s->lba * FORMAT_ID < s->end)
        format_disk(s);
    else
        transfer_result(s, 0, 0, 0);
}

static void format_data_done(struct fdc *s)
{
    s->lba = 0;
    if (s->pos < s->end)
        transfer_error(s, ST1_EN, 0);
    else
        format_disk(s);
}

/* -- heads ------------------------------------------------------------------------------------------------------------------------------- */

static void seek_done(struct fdc *s, u8 st0)
{
    unsigned n = s->cmd[1] & CMD_DRIVE;

    s->status[n] = st0 | ST0_SEEK_END | n;
    s->pending = BIT(n);
    fdc_result(s, NULL, 0, true);
}

/* A step with a medium in the drive takes the change line back. */
static void step(struct floppy *f, unsigned track)
{
    f->track = MIN_OF(track, TRACKS_MAX);
    f->id = 1;
    if (f->format)
        f->changed = 0;
}

static void cmd_recalibrate(struct fdc *s)
{
    struct floppy *f = cmd_drive(s);

    if (f)
        step(f, 0);
    seek_done(s, f ? 0 : ST0_ABNORMAL | ST0_CHECK);
}

static void cmd_seek(struct fdc *s)
{
    struct floppy *f = cmd_drive(s);

    if (f)
        step(f, s->cmd[2]);
    seek_done(s, s->cmd[1] & CMD_HEAD);
}

static void cmd_relative_seek(struct fdc *s)
{
    struct floppy *f = cmd_drive(s);
    bool in = s->cmd[0] & 0x40;

    if (f)
        step(f, in ? f->track + s->cmd[2] : f->track - MIN_OF(f->track, s->cmd[2]));
    seek_done(s, s->cmd[1] & CMD_HEAD);
}

static void cmd_sense_interrupt(struct fdc *s)
{
    u8 r[2] = { INVALID, 0 };
    unsigned n = 0;

    fdc_irq(s, false);
    if (!s->pending) {
        fdc_result(s, r, 1, false);
        return;
    }
    while (!(s->pending & BIT(n)))
        n++;
    s->pending &= ~BIT(n);
    r[0] = s->status[n];
    r[1] = fdc_drive(s, n) ? fdc_drive(s, n)->track : 0;
    fdc_result(s, r, 2, false);
}

static void cmd_sense_drive(struct fdc *s)
{
    const struct floppy *f = cmd_drive(s);
    u8 st3 = s->cmd[1] & (CMD_HEAD | CMD_DRIVE);

    if (f)
        st3 |= ST3_READY | ST3_TWO_SIDES | (f->track ? 0 : ST3_TRACK0) | (f->format && floppy_readonly(f) ? ST3_WP : 0);
    fdc_result(s, &st3, 1, false);
}

/* -- settings ----------------------------------------------------------------------------------------------------------------------------- */

void fdc_settings_reset(struct fdc *s, bool hard)
{
    if (hard)
        s->lock = s->perpendicular = s->ndma = s->timer[0] = s->timer[1] = 0;
    if (!s->lock) {
        s->config = CONFIG_NO_FIFO;
        s->pretrk = 0;
    }
}

static void cmd_specify(struct fdc *s)
{
    s->timer[0] = s->cmd[1];
    s->timer[1] = s->cmd[2];
    s->ndma = s->cmd[2] & 1;
    fdc_result(s, NULL, 0, false);
}

static void cmd_configure(struct fdc *s)
{
    s->config = s->cmd[2];
    s->pretrk = s->cmd[3];
    fdc_result(s, NULL, 0, false);
}

static void cmd_perpendicular(struct fdc *s)
{
    s->perpendicular = s->cmd[1] & 0x80 ? s->cmd[1] & 0x3f : (s->perpendicular & 0x3c) | (s->cmd[1] & 3);
    fdc_result(s, NULL, 0, false);
}

static void cmd_lock(struct fdc *s)
{
    u8 r;

    s->lock = s->cmd[0] & LOCK_ON;
    r = s->lock >> 3;
    fdc_result(s, &r, 1, false);
}

static void cmd_version(struct fdc *s)
{
    static const u8 enhanced = 0x90;

    fdc_result(s, &enhanced, 1, false);
}

static void cmd_dumpreg(struct fdc *s)
{
    u8 r[10] = { 0 };

    for (unsigned i = 0; i < FDC_DRIVES; i++)
        r[i] = fdc_drive(s, i) ? fdc_drive(s, i)->track : 0;
    r[4] = s->timer[0];
    r[5] = s->timer[1];
    r[6] = s->cmd[6];
    r[7] = s->lock | s->perpendicular;
    r[8] = s->config;
    r[9] = s->pretrk;
    fdc_result(s, r, sizeof(r), false);
}

/* -- the table ---------------------------------------------------------------------------------------------------------------------------- */

static const struct fdc_cmd cmds[] = {
    { 0x02, 0x9f, 9, cmd_read_track, read_data_done, disk_read, read_disk_done },
    { 0x03, 0xff, 3, cmd_specify, NULL, NULL, NULL },
    { 0x04, 0xff, 2, cmd_sense_drive, NULL, NULL, NULL },
    { 0x05, 0x3f, 9, cmd_write, write_data_done, disk_write, finish_transfer },
    { 0x06, 0x1f, 9, cmd_read, read_data_done, disk_read, read_disk_done },
    { 0x07, 0xff, 2, cmd_recalibrate, NULL, NULL, NULL },
    { 0x08, 0xff, 1, cmd_sense_interrupt, NULL, NULL, NULL },
    { 0x0a, 0xbf, 2, cmd_read_id, NULL, NULL, NULL },
    { 0x0d, 0xbf, 6, cmd_format, format_data_done, format_disk, format_disk_done },
    { 0x0e, 0xff, 1, cmd_dumpreg, NULL, NULL, NULL },
    { 0x0f, 0xff, 3, cmd_seek, NULL, NULL, NULL },
    { 0x10, 0xff, 1, cmd_version, NULL, NULL, NULL },
    { 0x12, 0xff, 2, cmd_perpendicular, NULL, NULL, NULL },
    { 0x13, 0xff, 4, cmd_configure, NULL, NULL, NULL },
    { 0x14, 0x7f, 1, cmd_lock, NULL, NULL, NULL },
    { 0x16, 0x1f, 9, cmd_read, NULL, disk_read, verify_disk_done },
    { 0x8f, 0xbf, 3, cmd_relative_seek, NULL, NULL, NULL },
};

static const struct fdc_cmd *cmd_find(u8 first)
{
    for (unsigned i = 0; i < ARRAY_LEN(cmds); i++)
        if ((first & cmds[i].mask) == cmds[i].value)
            return &cmds[i];
    return NULL;
}

void fdc_cmd_execute(struct fdc *s)
{
    const struct fdc_cmd *c = current(s);
    static const u8 invalid = INVALID;

    if (c) {
        c->execute(s);
    } else {
        GUEST_ERROR("fdc: unknown command 0x%02x", s->cmd[0]);
        fdc_result(s, &invalid, 1, false);
    }
}

void fdc_cmd_data_done(struct fdc *s)
{
    current(s)->data_done(s);
}

/* The drive is loaded, too: what the block layer had is done again. */
void fdc_cmd_post_load(struct fdc *s)
{
    const struct fdc_cmd *c = current(s);

    if (c && c->disk && s->lba < 2 * 36 * 85)
        c->disk(s);
    else
        transfer_error(s, ST1_DE, ST2_DD);
}
