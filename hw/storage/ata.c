/* The ATA device's protocols: the course of a command through its PIO or DMA data phase and the block layer. Called by the controllers
 * (hw/storage/ide.c, ahci.c) from vCPU threads and by completions of the block layer on the main thread, machine lock held.
 * ATA/ATAPI-7 volume 2, chapter 5 (protocols); ATA8-ACS, chapter 7 (commands: ata_cmd.c). */
#include "hw/storage/ata.h"
#include "hw/backend/blk.h"
#include "util/log.h"

static void job_start(struct ata_dev *d, enum ata_job job);

u64 ata_sectors(const struct ata_dev *d)
{
    return d->blk ? ALIGN_UP(blk_size(d->blk), ATA_SECTOR) / ATA_SECTOR : 0;
}

bool ata_range_ok(const struct ata_dev *d, u64 lba, u32 count)
{
    u64 sectors = ata_sectors(d);

    return lba <= sectors && count <= sectors - lba;
}

const struct ata_cmd *ata_cmd_of(const struct ata_dev *d)
{
    static const struct ata_cmd *const tables[] = { ata_cmds, ata_info_cmds };

    for (unsigned t = 0; t < ARRAY_LEN(tables); t++)
        for (const struct ata_cmd *c = tables[t]; c->fn; c++)
            if (c->op == d->command && (c->flags & (d->cdrom ? ATA_F_CD : ATA_F_DISK)))
                return c;
    return NULL;
}

static u8 flags_of(const struct ata_dev *d)
{
    const struct ata_cmd *c = ata_cmd_of(d);

    return c ? c->flags : 0;
}

/* -- ends --------------------------------------------------------------------------------------------------------------- */

void ata_done(struct ata_dev *d, bool irq)
{
    d->phase = ATA_IDLE;
    d->r.status = ATA_DRDY | ATA_DSC;
    d->r.error = 0;
    d->bus->ops->done(d, irq);
}

void ata_fail(struct ata_dev *d, u8 error)
{
    d->phase = ATA_IDLE;
    d->left = d->pos = d->block_end = d->end = 0;
    d->r.status = ATA_DRDY | ATA_DSC | ATA_ERR;
    d->r.error = error;
    d->bus->ops->done(d, true);
}

void ata_signature(struct ata_dev *d)
{
    d->r.count[0] = d->r.lba[0][0] = 1;
    d->r.lba[1][0] = d->cdrom ? 0x14 : 0;
    d->r.lba[2][0] = d->cdrom ? 0xeb : 0;
    d->r.count[1] = d->r.lba[0][1] = d->r.lba[1][1] = d->r.lba[2][1] = 0;
    d->r.device &= ATA_DEV_SLAVE;
}

static void settings_default(struct ata_dev *d)
{
    d->multiple = ATA_MULTIPLE_MAX;
    d->mwdma = 0;
    d->udma = 6; /* mode 5 */
    d->heads = 16;
    d->spt = 63;
    d->wcache = d->write_cache != AUTO_OFF;
    d->lookahead = true;
    d->keep_settings = false;
    d->smart = true;
}

void ata_reset(struct ata_dev *d, bool hard)
{
    if (d->phase == ATA_DISK) {
        d->aborted = true;
        blk_drain(d->blk);
        d->aborted = false;
    }
    if (d->cdrom)
        scsi_cancel(&d->req);
    d->phase = ATA_IDLE;
    d->packet_dma = d->packet_out = false;
    d->left = d->pos = d->block_end = d->end = 0;
    if (hard || !d->keep_settings)
        settings_default(d);
    d->standby = false;
    if (hard)
        d->r = (struct ata_regs){ .device = d->r.device };
    if (hard && d->cdrom)
        scsi_lu_reset(&d->lu);
    ata_signature(d);
    d->r.device = 0;
    d->r.error = 1; /* diagnostic code: passed */
    d->r.status = d->cdrom ? 0 : ATA_DRDY | ATA_DSC; /* packet devices show DRDY after their first command only */
}

void ata_execute(struct ata_dev *d, u8 command)
{
    const struct ata_cmd *c;

    if ((d->phase == ATA_DISK || d->phase == ATA_SCSI) && !(d->cdrom && command == 0x08)) { /* BSY: only DEVICE RESET comes through */
        GUEST_ERROR("ata: command 0x%02x while 0x%02x runs", command, d->command);
        return;
    }
    if (d->cdrom)
        scsi_cancel(&d->req);
    d->command = command;
    d->phase = ATA_IDLE;
    d->packet_dma = d->packet_out = false;
    d->left = d->pos = d->block_end = d->end = 0;
    d->r.error = 0;
    c = ata_cmd_of(d);
    if (c)
        c->fn(d);
    else
        ata_fail(d, ATA_E_ABRT);
}

/* -- PIO ---------------------------------------------------------------------------------------------------------------- */

/* The next block of buf is to be moved. */
static void pio_block(struct ata_dev *d, bool irq)
{
    d->phase = ATA_PIO;
    d->block_end = MIN_OF(d->pos + d->block, d->end);
    d->r.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    d->bus->ops->pio(d, irq);
}

void ata_pio_reply(struct ata_dev *d, u32 len, u32 block_len)
{
    d->to_guest = true;
    d->pos = 0;
    d->end = len;
    d->block = block_len;
    pio_block(d, true);
}

void ata_pio_ask(struct ata_dev *d, u32 len, u32 block_len, bool irq)
{
    d->to_guest = false;
    d->pos = 0;
    d->end = len;
    d->block = block_len;
    pio_block(d, irq);
}

/* What the buffer takes of the sectors that are left: whole blocks. */
static u32 chunk(const struct ata_dev *d)
{
    u32 most = ATA_BUF / d->block * d->block;

    return MIN_OF((u64)d->left * ATA_SECTOR, most);
}

void ata_pio_moved(struct ata_dev *d, u32 n)
{
    d->pos += n;
    if (d->pos < d->block_end)
        return;
    if (d->command == 0xa0) {
        atapi_block_moved(d);
        return;
    }
    if (d->pos < d->end) {
        pio_block(d, true);
    } else if (!d->to_guest) {
        job_start(d, ATA_JOB_PIO_WRITE);
    } else if (d->left) {
        job_start(d, ATA_JOB_PIO_READ);
    } else {
        ata_done(d, false);
    }
}

/* -- the block layer's part ------------------------------------------------------------------------------------------------ */

static void disk_done(void *opaque, int ret);

static unsigned write_flags(const struct ata_dev *d)
{
    return !d->wcache || (flags_of(d) & ATA_F_FUA) ? BLK_FUA : 0;
}

static void submit(struct ata_dev *d, enum blk_op op, const struct iovec *iov, unsigned n_iov, u64 off, u64 len)
{
    d->phase = ATA_DISK;
    d->r.status = ATA_BSY | ATA_DSC;
    d->job_len = len;
    blk_submit(d->blk, op, off, iov, n_iov, iov ? 0 : len, op == BLK_WRITE ? write_flags(d) : 0, disk_done, d);
}

static void submit_buf(struct ata_dev *d, enum blk_op op, u32 len)
{
    struct iovec iov = { d->buf, len };

    submit(d, op, &iov, 1, d->lba * ATA_SECTOR, len);
}

/* The next range of DATA SET MANAGEMENT's list: LBA in 48 bits, count in 16. Empty entries are skipped. */
static void trim_next(struct ata_dev *d)
{
    for (; d->trim_at + 8 <= d->end; d->trim_at += 8) {
        u64 e = ld64(d->buf + d->trim_at), lba = e & MASK64(48);
        u32 count = e >> 48;
        if (!count)
            continue;
        if (!ata_range_ok(d, lba, count)) {
            ata_fail(d, ATA_E_ABRT | ATA_E_IDNF);
            return;
        }
        submit(d, BLK_DISCARD, NULL, 0, lba * ATA_SECTOR, (u64)count * ATA_SECTOR);
        return;
    }
    ata_done(d, true);
}

static void job_start(struct ata_dev *d, enum ata_job job)
{
    d->job = job;
    switch (job) {
    case ATA_JOB_PIO_READ:
        d->end = chunk(d);
        submit_buf(d, BLK_READ, d->end);
        break;
    case ATA_JOB_PIO_WRITE:
        submit_buf(d, BLK_WRITE, d->end);
        break;
    case ATA_JOB_FLUSH:
        if (d->blk)
            submit(d, BLK_FLUSH, NULL, 0, 0, 0);
        else
            ata_done(d, true);
        break;
    case ATA_JOB_TRIM:
        trim_next(d);
        break;
    case ATA_JOB_DMA: /* begins with ata_dma_run */
    case ATA_JOB_NONE: case ATA_JOBS:
        break;
    }
}

static void disk_failed(struct ata_dev *d, int err)
{
    u8 error = d->job == ATA_JOB_FLUSH || d->job == ATA_JOB_TRIM ? ATA_E_ABRT
               : d->to_guest                                    ? ATA_E_UNC
               : err == EACCES || err == EROFS                  ? ATA_E_WP | ATA_E_ABRT
                                                                : ATA_E_ABRT | ATA_E_IDNF;

    for (unsigned i = 0; i < 3; i++) { /* the first sector of the piece that failed */
        d->r.lba[i][0] = d->lba >> (8 * i);
        d->r.lba[i][1] = d->lba >> (24 + 8 * i);
    }
    ata_fail(d, error);
}

static void disk_done(void *opaque, int ret)
{
    struct ata_dev *d = opaque;
    u32 sectors = d->job_len / ATA_SECTOR;

    if (d->aborted)
        return;
    if (ret < 0) {
        disk_failed(d, -ret);
        return;
    }
    switch ((enum ata_job)d->job) {
    case ATA_JOB_PIO_READ:
        d->lba += sectors;
        d->left -= sectors;
        d->pos = 0;
        pio_block(d, true);
        break;
    case ATA_JOB_PIO_WRITE:
        d->lba += sectors;
        d->left -= sectors;
        if (d->left)
            ata_pio_ask(d, chunk(d), d->block, true);
        else
            ata_done(d, true);
        break;
    case ATA_JOB_TRIM:
        d->trim_at += 8;
        trim_next(d);
        break;
    case ATA_JOB_DMA:
        d->left = 0;
        ata_done(d, true);
        break;
    case ATA_JOB_FLUSH: case ATA_JOB_NONE: case ATA_JOBS:
        ata_done(d, true);
        break;
    }
}

void ata_flush(struct ata_dev *d)
{
    job_start(d, ATA_JOB_FLUSH);
}

/* -- DMA ---------------------------------------------------------------------------------------------------------------- */

static void dma_ask(struct ata_dev *d, bool to_guest, u64 len)
{
    d->to_guest = to_guest;
    d->dma_len = len;
    d->phase = ATA_DMA;
    d->job = ATA_JOB_DMA;
    d->r.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    d->bus->ops->dma(d);
}

static void gather(u8 *buf, const struct iovec *iov, unsigned n, u32 len)
{
    for (; n && len; n--, iov++) {
        u32 k = MIN_OF(iov->iov_len, len);
        memcpy(buf, iov->iov_base, k);
        buf += k;
        len -= k;
    }
}

void ata_dma_run(struct ata_dev *d, const struct iovec *iov, unsigned n_iov)
{
    assert(d->phase == ATA_DMA);
    if (d->command == 0xa0) {
        atapi_dma_run(d, iov, n_iov);
    } else if (d->command == 0x06) {
        d->end = d->dma_len;
        gather(d->buf, iov, n_iov, d->end);
        job_start(d, ATA_JOB_TRIM);
    } else {
        submit(d, d->to_guest ? BLK_READ : BLK_WRITE, iov, n_iov, d->lba * ATA_SECTOR, d->dma_len);
    }
}

void ata_dma_fail(struct ata_dev *d)
{
    if (d->cdrom)
        scsi_cancel(&d->req);
    ata_fail(d, ATA_E_ABRT);
}

/* -- commands that move sectors ---------------------------------------------------------------------------------------------- */

/* Start of the transfer that the registers describe. False: the address is off the disk. */
static bool address(struct ata_dev *d, bool ext)
{
    const struct ata_regs *r = &d->r;
    u32 low = r->lba[2][0] << 16 | r->lba[1][0] << 8 | r->lba[0][0];

    d->left = ext ? r->count[1] << 8 | r->count[0] : r->count[0];
    if (!d->left)
        d->left = ext ? 65536 : 256;
    if (ext) {
        d->lba = (u64)r->lba[2][1] << 40 | (u64)r->lba[1][1] << 32 | (u64)r->lba[0][1] << 24 | low;
    } else if (r->device & ATA_DEV_LBA) {
        d->lba = (u32)(r->device & 15) << 24 | low;
    } else {
        u32 sector = r->lba[0][0], head = r->device & 15;
        if (!sector || sector > d->spt || head >= d->heads)
            return false;
        d->lba = ((low >> 8) * d->heads + head) * d->spt + sector - 1;
    }
    return ata_range_ok(d, d->lba, d->left);
}

static void cmd_transfer(struct ata_dev *d)
{
    u8 flags = flags_of(d);
    bool write = flags & ATA_F_WRITE;

    if ((flags & ATA_F_MULTIPLE) && !d->multiple) {
        ata_fail(d, ATA_E_ABRT);
    } else if (write && blk_readonly(d->blk)) {
        ata_fail(d, ATA_E_ABRT | ATA_E_WP);
    } else if (!address(d, flags & ATA_F_EXT)) {
        ata_fail(d, ATA_E_IDNF);
    } else if (flags & ATA_F_DMA) {
        dma_ask(d, !write, (u64)d->left * ATA_SECTOR);
    } else {
        d->block = (flags & ATA_F_MULTIPLE ? d->multiple : 1) * ATA_SECTOR;
        d->to_guest = !write;
        if (write)
            ata_pio_ask(d, chunk(d), d->block, false);
        else
            job_start(d, ATA_JOB_PIO_READ);
    }
}

static void cmd_verify(struct ata_dev *d)
{
    bool ok = address(d, flags_of(d) & ATA_F_EXT);

    d->left = 0;
    if (ok)
        ata_done(d, true);
    else
        ata_fail(d, ATA_E_IDNF);
}

static void cmd_flush(struct ata_dev *d)
{
    ata_flush(d);
}

/* DATA SET MANAGEMENT: TRIM with its list of ranges, in sectors of data. */
static void cmd_trim(struct ata_dev *d)
{
    u32 sectors = d->r.count[1] << 8 | d->r.count[0];

    d->trim_at = 0;
    if (d->r.features[0] != 1 || !sectors || sectors > ATA_BUF / ATA_SECTOR)
        ata_fail(d, ATA_E_ABRT);
    else if (blk_readonly(d->blk))
        ata_fail(d, ATA_E_ABRT | ATA_E_WP);
    else
        dma_ask(d, false, sectors * ATA_SECTOR);
}

const struct ata_cmd ata_cmds[] = {
    { 0x06, ATA_F_DISK | ATA_F_EXT | ATA_F_DMA | ATA_F_WRITE, cmd_trim },
    { 0x20, ATA_F_DISK, cmd_transfer },                                                  /* READ SECTORS */
    { 0x21, ATA_F_DISK, cmd_transfer },
    { 0x24, ATA_F_DISK | ATA_F_EXT, cmd_transfer },
    { 0x25, ATA_F_DISK | ATA_F_EXT | ATA_F_DMA, cmd_transfer },                          /* READ DMA EXT */
    { 0x29, ATA_F_DISK | ATA_F_EXT | ATA_F_MULTIPLE, cmd_transfer },
    { 0x30, ATA_F_DISK | ATA_F_WRITE, cmd_transfer },                                    /* WRITE SECTORS */
    { 0x31, ATA_F_DISK | ATA_F_WRITE, cmd_transfer },
    { 0x34, ATA_F_DISK | ATA_F_EXT | ATA_F_WRITE, cmd_transfer },
    { 0x35, ATA_F_DISK | ATA_F_EXT | ATA_F_DMA | ATA_F_WRITE, cmd_transfer },            /* WRITE DMA EXT */
    { 0x39, ATA_F_DISK | ATA_F_EXT | ATA_F_WRITE | ATA_F_MULTIPLE, cmd_transfer },
    { 0x3d, ATA_F_DISK | ATA_F_EXT | ATA_F_DMA | ATA_F_WRITE | ATA_F_FUA, cmd_transfer }, /* WRITE DMA FUA EXT */
    { 0x40, ATA_F_DISK, cmd_verify },
    { 0x41, ATA_F_DISK, cmd_verify },
    { 0x42, ATA_F_DISK | ATA_F_EXT, cmd_verify },
    { 0xc4, ATA_F_DISK | ATA_F_MULTIPLE, cmd_transfer },
    { 0xc5, ATA_F_DISK | ATA_F_WRITE | ATA_F_MULTIPLE, cmd_transfer },
    { 0xc8, ATA_F_DISK | ATA_F_DMA, cmd_transfer },
    { 0xc9, ATA_F_DISK | ATA_F_DMA, cmd_transfer },
    { 0xca, ATA_F_DISK | ATA_F_DMA | ATA_F_WRITE, cmd_transfer },
    { 0xcb, ATA_F_DISK | ATA_F_DMA | ATA_F_WRITE, cmd_transfer },
    { 0xce, ATA_F_DISK | ATA_F_EXT | ATA_F_WRITE | ATA_F_MULTIPLE | ATA_F_FUA, cmd_transfer },
    { 0xe7, ATA_F_ANY, cmd_flush },
    { 0xea, ATA_F_DISK | ATA_F_EXT, cmd_flush },
    { 0 }
};

/* What a file says of the command that runs must fit together, or the command is aborted. */
static bool command_sane(const struct ata_dev *d)
{
    const struct ata_cmd *c = ata_cmd_of(d);
    u64 bytes = (u64)d->left * ATA_SECTOR;

    if (!c || d->end > ATA_BUF || d->block_end > d->end || d->pos > d->block_end || d->block > ATA_BUF ||
        !ata_range_ok(d, d->lba, d->left))
        return false;
    if (d->command == 0xa0)
        return true;
    if ((c->flags & ATA_F_DMA) && (d->phase == ATA_DMA || d->job == ATA_JOB_DMA))
        return d->dma_len == bytes || (d->command == 0x06 && d->dma_len <= ATA_BUF);
    if (c->fn == cmd_transfer)
        return d->block && d->block % ATA_SECTOR == 0 && d->end % ATA_SECTOR == 0 && (d->to_guest || d->end <= bytes);
    return true;
}

static void resume_disk(struct ata_dev *d)
{
    if (d->job == ATA_JOB_DMA)
        dma_ask(d, d->to_guest, d->dma_len);
    else
        job_start(d, d->job);
}

/* Called when the controller is loaded already. */
void ata_post_load(struct ata_dev *d)
{
    scsi_forget(&d->req);
    d->aborted = false;
    d->multiple = MIN_OF(d->multiple, ATA_MULTIPLE_MAX);
    d->mwdma = MIN_OF(d->mwdma, 3);
    d->udma = MIN_OF(d->udma, 6);
    d->heads = MIN_OF(MAX_OF(d->heads, 1), 16);
    d->spt = MAX_OF(d->spt, 1);
    d->trim_at = MIN_OF(d->trim_at, ATA_BUF);
    if (d->phase == ATA_IDLE)
        return;
    if (d->phase > ATA_SCSI || d->job >= ATA_JOBS || !command_sane(d) || (d->phase != ATA_PIO && !d->lu.blk && !d->blk))
        ata_fail(d, ATA_E_ABRT);
    else if (d->cdrom && d->command == 0xa0)
        atapi_post_load(d);
    else if (d->phase == ATA_DISK)
        resume_disk(d);
    else if (d->phase == ATA_DMA)
        d->bus->ops->dma(d);
    else if (d->phase == ATA_SCSI)
        ata_fail(d, ATA_E_ABRT);
}

/* -- saving ------------------------------------------------------------------------------------------------------------- */

static const struct snap_field regs_fields[] = {
    SNAP_B(struct ata_regs, features), SNAP_B(struct ata_regs, count), SNAP_B(struct ata_regs, lba), SNAP_U(struct ata_regs, device),
    SNAP_U(struct ata_regs, status), SNAP_U(struct ata_regs, error), SNAP_DONE
};

const struct snap_field ata_fields[] = {
    SNAP_S(struct ata_dev, r, regs_fields), SNAP_U(struct ata_dev, multiple), SNAP_U(struct ata_dev, mwdma), SNAP_U(struct ata_dev, udma),
    SNAP_U(struct ata_dev, heads), SNAP_U(struct ata_dev, spt), SNAP_U(struct ata_dev, wcache), SNAP_U(struct ata_dev, lookahead),
    SNAP_U(struct ata_dev, standby), SNAP_U(struct ata_dev, smart), SNAP_U(struct ata_dev, keep_settings), SNAP_U(struct ata_dev, command),
    SNAP_U(struct ata_dev, phase), SNAP_U(struct ata_dev, job), SNAP_U(struct ata_dev, to_guest), SNAP_U(struct ata_dev, lba),
    SNAP_U(struct ata_dev, left), SNAP_U(struct ata_dev, block), SNAP_U(struct ata_dev, pos), SNAP_U(struct ata_dev, block_end),
    SNAP_U(struct ata_dev, end), SNAP_U(struct ata_dev, dma_len), SNAP_U(struct ata_dev, trim_at), SNAP_U(struct ata_dev, packet_dma),
    SNAP_U(struct ata_dev, packet_out), SNAP_B(struct ata_dev, ncq_error), SNAP_S(struct ata_dev, lu, scsi_lu_fields),
    SNAP_S(struct ata_dev, req, scsi_req_fields), SNAP_B(struct ata_dev, buf), SNAP_DONE
};
