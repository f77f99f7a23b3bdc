/* An IDE channel: task-file registers of two ATA devices and the bus-master DMA engine. Port accesses come from vCPU threads, machine
 * lock held; hw/storage/ide_pci.c embeds it. ATA/ATAPI-7 volume 2, chapters 4 and 5; Programming Interface for Bus Master IDE Controller
 * 1.0. */
#include "hw/storage/ide.h"
#include "hw/backend/blk.h"
#include "hw/core/machine.h"
#include "mmu/dma.h"
#include "util/log.h"

enum { CTL_NIEN = 0x02, CTL_SRST = 0x04, CTL_HOB = 0x80 };
enum { R_DATA, R_ERROR, R_COUNT, R_LBA_LOW, R_LBA_MID, R_LBA_HIGH, R_DEVICE, R_STATUS, R_FEATURES = R_ERROR, R_COMMAND = R_STATUS };
enum { BM_START = 0x01, BM_TO_MEMORY = 0x08, BMS_ACTIVE = 0x01, BMS_ERROR = 0x02, BMS_INTR = 0x04, BMS_DRIVES = 0x60 };
enum { PRD_MAX = 8192 /* a table is within 64 KiB */, PRD_LAST = 0x80 };

static struct ide_channel *channel_of(const struct ata_dev *d)
{
    return container_of(d->bus, struct ide_channel, ata);
}

static struct ata_dev *selected(const struct ide_channel *c)
{
    return c->ata.dev[!!(c->device & ATA_DEV_SLAVE)];
}

static bool channel_empty(const struct ide_channel *c)
{
    return !c->ata.dev[0] && !c->ata.dev[1];
}

static void irq_update(struct ide_channel *c)
{
    irq_set(&c->irq, c->intrq && !(c->ctl & CTL_NIEN));
}

static void irq_raise(struct ide_channel *c)
{
    c->intrq = 1;
    c->bm_status |= BMS_INTR;
    irq_update(c);
}

static void irq_clear(struct ide_channel *c)
{
    c->intrq = 0;
    irq_update(c);
}

/* -- bus master -------------------------------------------------------------------------------------------------------------- */

enum prd_result { PRD_OK, PRD_SHORT, PRD_ERROR };

/* Collects `len` bytes of guest memory from the descriptor table. */
static enum prd_result collect_prds(struct ide_channel *c, u64 len, bool write)
{
    u32 prd = c->bm_prdt;

    sg_begin(&c->sg, c->m->mem, write);
    for (unsigned i = 0; i < PRD_MAX; i++, prd += 8) {
        u8 e[8];
        if (dma_read(c->m->mem, prd, e, sizeof(e)) < 0)
            return PRD_ERROR;
        u32 size = ld16(e + 4) & 0xfffe;
        u64 n = size ? size : 0x10000, used = MIN_OF(n, len - c->sg.len);
        if (sg_add(&c->sg, ld32(e) & ~1u, used) < 0)
            return PRD_ERROR;
        if (c->sg.len == len) {
            c->prd_full = (e[7] & PRD_LAST) && used == n;
            return PRD_OK;
        }
        if (e[7] & PRD_LAST)
            break;
    }
    return PRD_SHORT;
}

static void dma_error(struct ide_channel *c, struct ata_dev *d)
{
    c->bm_status = (c->bm_status & ~BMS_ACTIVE) | BMS_ERROR;
    ata_dma_fail(d);
}

/* Runs the device's waiting DMA command, once the guest has started the bus master. */
static void dma_try(struct ide_channel *c, struct ata_dev *d)
{
    if (!d || d->phase != ATA_DMA || !(c->bm_cmd & BM_START) || !(c->bm_status & BMS_ACTIVE))
        return;
    if (!c->is_master(c) || !(c->bm_cmd & BM_TO_MEMORY) != !d->to_guest) {
        GUEST_ERROR("ide: DMA with bus mastering off or in the wrong direction");
        dma_error(c, d);
        return;
    }
    switch (collect_prds(c, d->dma_len, d->to_guest)) {
    case PRD_OK:
        c->dma = d;
        ata_dma_run(d, c->sg.iov, c->sg.n_iov);
        return;
    case PRD_SHORT: /* the bus master stops, the drive goes on waiting */
        GUEST_ERROR("ide: descriptor table shorter than the transfer");
        c->bm_status &= ~BMS_ACTIVE;
        return;
    case PRD_ERROR:
        dma_error(c, d);
        return;
    }
}

/* What the transfer had is the guest's again. */
static void dma_release(struct ide_channel *c, struct ata_dev *d)
{
    if (c->dma != d)
        return;
    c->dma = NULL;
    sg_end(&c->sg);
    if (c->prd_full) /* with memory left over it stays active until it is stopped */
        c->bm_status &= ~BMS_ACTIVE;
}

u8 ide_bm_read(const struct ide_channel *c, unsigned reg)
{
    switch (reg) {
    case 0: return c->bm_cmd;
    case 2: return c->bm_status;
    case 4: case 5: case 6: case 7: return c->bm_prdt >> (8 * (reg - 4));
    default: return 0xff;
    }
}

static void bm_command(struct ide_channel *c, u8 v)
{
    struct blk *blk = selected(c) ? selected(c)->blk : NULL;
    bool was = c->bm_cmd & BM_START;

    if (!(v & BM_START)) {
        if (c->dma && c->dma->phase == ATA_DISK) /* stopped in the middle: memory is left alone from now on */
            blk_drain(c->dma->blk);
        else if (c->dma && c->dma->phase == ATA_SCSI)
            blk_drain(c->dma->lu.blk);
        c->bm_status &= ~BMS_ACTIVE;
    } else if (!was) {
        c->bm_status |= BMS_ACTIVE;
    }
    c->bm_cmd = v & (BM_START | BM_TO_MEMORY);
    blk_plug(blk);
    dma_try(c, selected(c));
    blk_unplug(blk);
}

void ide_bm_write(struct ide_channel *c, unsigned reg, u8 v)
{
    switch (reg) {
    case 0:
        bm_command(c, v);
        break;
    case 2: /* drives' DMA-capable bits are kept; error and interrupt are cleared by writing 1 */
        c->bm_status = (c->bm_status & ~BMS_DRIVES & ~(v & (BMS_ERROR | BMS_INTR))) | (v & BMS_DRIVES);
        break;
    case 4: case 5: case 6: case 7:
        c->bm_prdt = (c->bm_prdt & ~(0xffu << (8 * (reg - 4)))) | (u32)v << (8 * (reg - 4));
        c->bm_prdt &= ~3u;
        break;
    }
}

/* -- what devices ask ---------------------------------------------------------------------------------------------------------- */

static void host_pio(struct ata_dev *d, bool irq)
{
    struct ide_channel *c = channel_of(d);

    dma_release(c, d);
    if (irq)
        irq_raise(c);
}

static void host_dma(struct ata_dev *d)
{
    struct ide_channel *c = channel_of(d);

    dma_release(c, d);
    dma_try(c, d);
}

static void host_done(struct ata_dev *d, bool irq)
{
    struct ide_channel *c = channel_of(d);

    dma_release(c, d);
    if (irq)
        irq_raise(c);
}

static const struct ata_host_ops ide_host_ops = { host_pio, host_dma, host_done };

/* -- task file ------------------------------------------------------------------------------------------------------------------ */

/* What is not there reads as zeros: BSY is pulled down on the cable, so that nobody waits for an absent drive. */
enum { ABSENT = 0 };

static u8 reg_read(struct ide_channel *c, unsigned reg)
{
    const struct ata_dev *d = selected(c);
    bool hob = c->ctl & CTL_HOB;

    if (!d)
        return reg == R_DEVICE && !channel_empty(c) ? c->device | 0xa0 : ABSENT;
    switch (reg) {
    case R_ERROR:
        return hob ? d->r.features[1] : d->r.error;
    case R_COUNT:
        return d->r.count[hob];
    case R_LBA_LOW: case R_LBA_MID: case R_LBA_HIGH:
        return d->r.lba[reg - R_LBA_LOW][hob];
    case R_DEVICE:
        return (c->device & ATA_DEV_SLAVE) | (d->r.device & ~ATA_DEV_SLAVE) | 0xa0;
    case R_STATUS:
        irq_clear(c);
        return d->r.status;
    default:
        return 0;
    }
}

static void shift_in(u8 reg[2], u8 v)
{
    reg[1] = reg[0];
    reg[0] = v;
}

/* Both drives see what is written. */
static void reg_write_dev(struct ata_dev *d, unsigned reg, u8 v)
{
    switch (reg) {
    case R_FEATURES:
        shift_in(d->r.features, v);
        break;
    case R_COUNT:
        shift_in(d->r.count, v);
        break;
    case R_DEVICE:
        d->r.device = v & ~0xa0;
        break;
    default:
        shift_in(d->r.lba[reg - R_LBA_LOW], v);
    }
}

/* Ends what both drives do; what they moved to memory is there. */
static void reset_devices(struct ide_channel *c, u8 or_status)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!c->ata.dev[i])
            continue;
        ata_reset(c->ata.dev[i], false);
        c->ata.dev[i]->r.status |= or_status;
    }
    if (c->dma)
        sg_end(&c->sg);
    c->dma = NULL;
    c->device = 0;
}

static void command_write_reg(struct ide_channel *c, u8 v)
{
    struct ata_dev *d = selected(c);

    if (c->ctl & CTL_SRST)
        return;
    if (v == 0x90 && !channel_empty(c)) { /* EXECUTE DEVICE DIAGNOSTIC: both drives, the first one answers */
        reset_devices(c, 0);
        irq_raise(c);
        return;
    }
    if (!d)
        return;
    irq_clear(c);
    ata_execute(d, v);
}

static void reg_write(struct ide_channel *c, unsigned reg, u8 v)
{
    c->ctl &= ~CTL_HOB;
    if (reg == R_COMMAND) {
        command_write_reg(c, v);
        return;
    }
    if (reg == R_DEVICE)
        c->device = v & ~0xa0;
    for (unsigned i = 0; i < 2; i++)
        if (c->ata.dev[i] && !(c->ata.dev[i]->r.status & ATA_BSY))
            reg_write_dev(c->ata.dev[i], reg, v);
}

/* Bytes of the PIO block that can be moved now in that direction. */
static u32 data_room(const struct ata_dev *d, bool to_guest)
{
    return d && d->phase == ATA_PIO && d->to_guest == to_guest ? d->block_end - d->pos : 0;
}

static u64 data_read(struct ide_channel *c, unsigned size)
{
    struct ata_dev *d = selected(c);
    u32 n = MIN_OF(data_room(d, true), size);
    u64 v = n ? 0 : ~0ull;

    if (!d)
        return zext(channel_empty(c) ? ~0ull : 0, size);
    if (n) {
        memcpy(&v, d->buf + d->pos, n);
        ata_pio_moved(d, n);
    }
    return zext(v, size);
}

static void data_write(struct ide_channel *c, u64 v, unsigned size)
{
    struct ata_dev *d = selected(c);
    u32 n = MIN_OF(data_room(d, false), size);

    if (!n)
        return;
    memcpy(d->buf + d->pos, &v, n);
    ata_pio_moved(d, n);
}

static u64 command_read(void *opaque, u64 off, unsigned size)
{
    struct ide_channel *c = opaque;
    u64 v = 0;

    if (off == R_DATA)
        return data_read(c, size);
    for (unsigned i = 0; i < size && off + i <= R_STATUS; i++)
        v |= (u64)reg_read(c, off + i) << (8 * i);
    return v;
}

static void command_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ide_channel *c = opaque;

    if (off == R_DATA) {
        data_write(c, val, size);
        return;
    }
    for (unsigned i = 0; i < size && off + i <= R_STATUS; i++)
        reg_write(c, off + i, val >> (8 * i));
}

static u32 data_read_string(void *opaque, u64 off, unsigned size, void *buf, u32 n)
{
    struct ide_channel *c = opaque;
    struct ata_dev *d = selected(c);

    n = off == R_DATA ? MIN_OF(n, data_room(d, true) / size) : 0;
    if (n) {
        memcpy(buf, d->buf + d->pos, n * size);
        ata_pio_moved(d, n * size);
    }
    return n;
}

static u32 data_write_string(void *opaque, u64 off, unsigned size, const void *buf, u32 n)
{
    struct ide_channel *c = opaque;
    struct ata_dev *d = selected(c);

    n = off == R_DATA ? MIN_OF(n, data_room(d, false) / size) : 0;
    if (n) {
        memcpy(d->buf + d->pos, buf, n * size);
        ata_pio_moved(d, n * size);
    }
    return n;
}

static u64 control_read(void *opaque, u64 off, unsigned size)
{
    struct ide_channel *c = opaque;
    const struct ata_dev *d = selected(c);

    return d ? d->r.status : ABSENT; /* alternate status */
}

static void control_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ide_channel *c = opaque;
    bool was_reset = c->ctl & CTL_SRST;

    c->ctl = val & (CTL_NIEN | CTL_SRST | CTL_HOB);
    if (c->ctl & CTL_SRST) {
        reset_devices(c, ATA_BSY);
        c->intrq = 0;
    } else if (was_reset) {
        reset_devices(c, 0);
    }
    irq_update(c);
}

static const struct region_ops command_ops = { command_read, command_write, 1, 4 };
static const struct region_strings command_strings = { data_read_string, data_write_string };
static const struct region_ops control_ops = { control_read, control_write, 1, 1 };

/* -- life ------------------------------------------------------------------------------------------------------------------------ */

void ide_channel_init(struct ide_channel *c, struct device *owner, unsigned index, struct irq_line irq, u16 command_port, u16 control_port)
{
    struct machine *m = owner->m;

    c->m = m;
    c->irq = irq;
    ata_bus_init(&c->ata, owner, NULL, &ide_host_ops, index, 2, false);
    region_init_io(&c->command, "ide-command", 8, &command_ops, c, &m->lock);
    c->command.strings = &command_strings;
    region_init_io(&c->control, "ide-control", 1, &control_ops, c, &m->lock);
    c->command.enabled = c->control.enabled = false;
    region_add(&m->io_root, command_port, &c->command, 0);
    region_add(&m->io_root, control_port, &c->control, 0);
}

void ide_channel_fini(struct ide_channel *c)
{
    ata_bus_fini(&c->ata);
    region_del(&c->command);
    region_del(&c->control);
    sg_free(&c->sg);
}

/* The devices are reset by themselves; what they do for this channel ends here. */
void ide_channel_reset(struct ide_channel *c)
{
    reset_devices(c, 0);
    c->ctl = c->bm_cmd = c->bm_status = 0;
    c->bm_prdt = 0;
    irq_clear(c);
}

void ide_channel_post_load(struct ide_channel *c)
{
    c->dma = NULL;
    c->bm_prdt &= ~3u;
    irq_update(c);
}

const struct snap_field ide_channel_fields[] = {
    SNAP_U(struct ide_channel, ctl), SNAP_U(struct ide_channel, device), SNAP_U(struct ide_channel, intrq),
    SNAP_U(struct ide_channel, bm_cmd), SNAP_U(struct ide_channel, bm_status), SNAP_U(struct ide_channel, bm_prdt), SNAP_DONE
};
