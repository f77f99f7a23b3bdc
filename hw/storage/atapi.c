/* The PACKET command: carries SCSI commands to the logical unit of a CD-ROM drive (hw/storage/scsi*.c) and their data through the ATA
 * device's PIO buffer or DMA. Called by hw/storage/ata.c and by the unit, machine lock held. ATA/ATAPI-7 volume 2, 5.8 and 5.9. */
#include "hw/storage/ata.h"

/* Interrupt reason, in the sector count register: what the next bytes are. */
enum { REASON_COMMAND = 1, REASON_TO_HOST = 2, REASON_STATUS = REASON_COMMAND | REASON_TO_HOST };

static void set_byte_count(struct ata_dev *d, u32 n)
{
    d->r.lba[1][0] = n;
    d->r.lba[2][0] = n >> 8;
}

static void finish(struct ata_dev *d)
{
    d->r.count[0] = REASON_STATUS;
    d->packet_dma = false;
    if (d->req.status == SCSI_GOOD)
        ata_done(d, true);
    else
        ata_fail(d, d->req.sense[2] << 4 | ATA_E_ABRT);
}

/* The device's registers while the unit works. */
static void working(struct ata_dev *d)
{
    d->phase = ATA_SCSI;
    d->r.status = ATA_BSY | ATA_DSC;
}

/* How much the next block moves: what the host's byte count register allows. */
static u32 next_block(const struct ata_dev *d)
{
    u32 limit = d->dma_len; /* the limit, kept when the command was given */

    return MIN_OF(d->req.len - d->req.moved, MIN_OF(limit, ATA_BUF));
}

static void show_block(struct ata_dev *d, bool to_guest, u32 n)
{
    set_byte_count(d, n);
    d->r.count[0] = to_guest ? REASON_TO_HOST : 0;
    if (to_guest)
        ata_pio_reply(d, n, n);
    else
        ata_pio_ask(d, n, n, true);
}

static void fill_block(struct ata_dev *d)
{
    struct iovec iov = { d->buf, next_block(d) };

    d->end = iov.iov_len; /* what is shown when the unit calls back */
    working(d);
    scsi_data(&d->req, &iov, 1);
}

static void on_data(struct scsi_req *r)
{
    struct ata_dev *d = r->opaque;

    if (d->packet_dma) {
        d->dma_len = r->len - r->moved;
        d->to_guest = r->dir == SCSI_DATA_IN;
        d->phase = ATA_DMA;
        d->r.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        d->bus->ops->dma(d);
    } else if (r->dir == SCSI_DATA_OUT) {
        show_block(d, false, next_block(d));
    } else if (d->end) {
        show_block(d, true, d->end);
    } else {
        fill_block(d);
    }
}

static void on_done(struct scsi_req *r)
{
    struct ata_dev *d = r->opaque;

    if (r->status == SCSI_GOOD && r->dir == SCSI_DATA_IN && !d->packet_dma && d->end)
        show_block(d, true, d->end); /* the last one; status follows when the host has it */
    else
        finish(d);
}

const struct scsi_req_ops atapi_req_ops = { on_data, on_done };

static void start_packet(struct ata_dev *d)
{
    memset(d->req.cdb, 0, sizeof(d->req.cdb));
    memcpy(d->req.cdb, d->buf, ATA_PACKET);
    d->packet_out = false;
    d->pos = d->block_end = d->end = 0;
    working(d);
    scsi_start(&d->req);
}

void atapi_packet(struct ata_dev *d)
{
    u32 limit = d->r.lba[2][0] << 8 | d->r.lba[1][0];

    if (d->r.features[0] & 2) { /* overlapped */
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    d->packet_dma = d->r.features[0] & 1;
    d->packet_out = true;
    limit = limit == 0xffff ? 0xfffe : limit;
    d->dma_len = limit > 1 ? limit & ~1u : 0xfffe; /* blocks but the last are even */
    d->r.count[0] = REASON_COMMAND;
    ata_pio_ask(d, ATA_PACKET, ATA_PACKET, false);
}

void atapi_block_moved(struct ata_dev *d)
{
    u32 n = d->end;

    if (d->packet_out) {
        start_packet(d);
        return;
    }
    d->pos = d->block_end = d->end = 0;
    if (!d->to_guest) {
        struct iovec iov = { d->buf, n };
        working(d);
        scsi_data(&d->req, &iov, 1);
    } else if (d->req.phase == 0) {
        finish(d);
    } else {
        fill_block(d);
    }
}

void atapi_dma_run(struct ata_dev *d, const struct iovec *iov, unsigned n_iov)
{
    working(d);
    scsi_data(&d->req, iov, n_iov);
}

void atapi_post_load(struct ata_dev *d)
{
    if (d->packet_out) {
        if (d->phase != ATA_PIO || d->end != ATA_PACKET || d->to_guest)
            ata_fail(d, ATA_E_ABRT);
        return;
    }
    if (d->phase == ATA_PIO) { /* the unit is done, or waits until the host has moved the block */
        if (d->req.phase && !scsi_resume(&d->req))
            ata_fail(d, ATA_E_ABRT);
        return;
    }
    d->end = 0;
    working(d);
    if (!scsi_post_load(&d->req))
        ata_fail(d, ATA_E_ABRT);
}
