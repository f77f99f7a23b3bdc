/* The floppy disk controller: registers, the FIFO with its command, data and result phases, DMA. Ports are accessed by vCPU threads,
 * the block layer completes on the main thread, machine lock held; hw/machine/pc.c makes it. Intel 82077AA (290166), AT mode. */
#include "hw/storage/fdc.h"
#include <glib.h>
#include <stdio.h>
#include "hw/backend/blk.h"
#include "hw/backend/drive.h"
#include "hw/core/machine.h"
#include "hw/dma/i8257.h"
#include "util/err.h"
#include "util/log.h"

enum { R_SRA, R_SRB, R_DOR, R_TDR, R_MSR, R_FIFO, R_DIR = 7, R_DSR = R_MSR };
enum { DOR_RESET = 0x04, DOR_DMAGATE = 0x08, DOR_MOTORS = 0x30, DSR_RESET = 0x80, DSR_RATE = 3 };
enum { MSR_BUSY = 0x10, MSR_NDMA = 0x20, MSR_DIO = 0x40, MSR_RQM = 0x80 };
enum { ST0_POLLING = 0xc0 };

/* -- interrupts ------------------------------------------------------------------------------------------------------------- */

static void irq_update(struct fdc *s)
{
    irq_set(&s->irq, s->intr && (s->dor & DOR_DMAGATE));
}

void fdc_irq(struct fdc *s, bool on)
{
    s->intr = on;
    irq_update(s);
}

/* -- phases ------------------------------------------------------------------------------------------------------------------- */

static void command_phase(struct fdc *s)
{
    s->phase = FDC_COMMAND;
    s->cmd_len = 0;
    s->msr = MSR_RQM | (s->msr & 0x0f);
}

void fdc_result(struct fdc *s, const u8 *bytes, unsigned n, bool irq)
{
    if (n)
        memcpy(s->result, bytes, n);
    s->result_len = n;
    s->result_at = 0;
    if (n) {
        s->phase = FDC_RESULT;
        s->msr = MSR_RQM | MSR_DIO | MSR_BUSY | (s->msr & 0x0f);
    } else {
        command_phase(s);
    }
    if (irq)
        fdc_irq(s, true);
}

/* The data phase is over: the FIFO is shut until the command has its result. */
static void data_over(struct fdc *s)
{
    if (s->dma)
        i8257_request(s->dma, s->dma_channel, false);
    s->phase = FDC_DISK;
    s->msr = MSR_BUSY | (s->msr & 0x0f);
    fdc_cmd_data_done(s);
}

/* Moves what the DMA channel takes; called when it is ready. */
static void dma_run(void *opaque)
{
    struct fdc *s = opaque;
    bool tc;

    if (s->phase != FDC_DATA || s->ndma)
        return;
    if (!i8257_ready(s->dma, s->dma_channel))
        return;
    s->pos += i8257_move(s->dma, s->dma_channel, s->buf + s->pos, s->end - s->pos, !s->writes, &tc);
    s->tc = tc;
    if (tc || s->pos == s->end)
        data_over(s);
}

void fdc_data(struct fdc *s, bool writes, u32 end)
{
    s->phase = FDC_DATA;
    s->writes = writes;
    s->pos = 0;
    s->end = end;
    s->tc = false;
    if (s->ndma || !s->dma) {
        s->msr = MSR_RQM | (writes ? 0 : MSR_DIO) | MSR_NDMA | MSR_BUSY | (s->msr & 0x0f);
        fdc_irq(s, true);
        return;
    }
    s->msr = (writes ? 0 : MSR_DIO) | MSR_BUSY | (s->msr & 0x0f);
    i8257_request(s->dma, s->dma_channel, true);
    dma_run(s);
}

/* -- resets ------------------------------------------------------------------------------------------------------------------- */

/* Ends whatever runs. */
static void abandon(struct fdc *s)
{
    if (s->phase == FDC_DISK) {
        s->aborted = true;
        for (unsigned i = 0; i < FDC_DRIVES; i++)
            if (s->drive[i] && s->drive[i]->blk)
                blk_drain(s->drive[i]->blk);
        s->aborted = false;
    }
    if (s->dma)
        i8257_request(s->dma, s->dma_channel, false);
    s->pos = s->end = s->result_len = s->result_at = 0;
    s->pending = 0;
    command_phase(s);
    s->msr = 0;
}

/* Reset ends: the controller polls its drives and says so, four times over. */
static void come_up(struct fdc *s)
{
    command_phase(s);
    for (unsigned i = 0; i < 4; i++)
        s->status[i] = ST0_POLLING | i;
    s->pending = 15;
    fdc_irq(s, true);
}

static void write_dor(struct fdc *s, u8 v)
{
    bool was = s->dor & DOR_RESET, on = v & DOR_RESET;

    s->dor = v;
    if (was && !on) {
        abandon(s);
        fdc_settings_reset(s, false);
        s->intr = 0;
    } else if (!was && on) {
        come_up(s);
    }
    irq_update(s);
}

static void write_dsr(struct fdc *s, u8 v)
{
    s->dsr = v & ~DSR_RESET;
    if ((v & DSR_RESET) && (s->dor & DOR_RESET)) {
        abandon(s);
        fdc_settings_reset(s, false);
        come_up(s);
    }
}

/* -- the FIFO ------------------------------------------------------------------------------------------------------------------- */

static u8 read_result(struct fdc *s)
{
    u8 v = s->result[s->result_at++];

    fdc_irq(s, false);
    if (s->result_at >= s->result_len)
        command_phase(s);
    return v;
}

static u8 read_fifo(struct fdc *s)
{
    u8 v;

    if (!(s->msr & MSR_RQM) || !(s->msr & MSR_DIO)) {
        GUEST_ERROR("fdc: FIFO read out of turn");
        return 0xff;
    }
    if (s->phase == FDC_RESULT)
        return read_result(s);
    v = s->buf[s->pos++];
    if (s->pos % FDC_SECTOR == 0)
        fdc_irq(s, s->pos < s->end);
    if (s->pos == s->end)
        data_over(s);
    return v;
}

static void write_fifo(struct fdc *s, u8 v)
{
    if (!(s->msr & MSR_RQM) || (s->msr & MSR_DIO)) {
        GUEST_ERROR("fdc: FIFO write out of turn");
        return;
    }
    if (s->phase == FDC_DATA) {
        s->buf[s->pos++] = v;
        if (s->pos % FDC_SECTOR == 0)
            fdc_irq(s, s->pos < s->end);
        if (s->pos == s->end)
            data_over(s);
        return;
    }
    if (!s->cmd_len)
        s->cmd_need = fdc_cmd_length(v);
    s->cmd[s->cmd_len++] = v;
    s->msr |= MSR_BUSY;
    if (s->cmd_len < s->cmd_need)
        return;
    s->msr &= ~MSR_RQM;
    fdc_irq(s, false);
    fdc_cmd_execute(s);
}

/* -- ports ------------------------------------------------------------------------------------------------------------------------ */

static u8 read_sra(const struct fdc *s)
{
    const struct floppy *f = fdc_drive(s, s->dor & 3);

    return (s->intr ? 0x80 : 0) | (fdc_drive(s, 1) ? 0 : 0x40) | (f && f->track == 0 ? 0 : 0x10) |
           (f && f->format && !floppy_readonly(f) ? 0x02 : 0);
}

/* Disk change: no medium, or another one since the heads moved last. */
static u8 read_dir(const struct fdc *s)
{
    const struct floppy *f = fdc_drive(s, s->dor & 3);

    return f && (s->dor & 0x10 << f->unit) && (f->changed || !f->format) ? 0x80 : 0;
}

static u64 io_read(void *opaque, u64 off, unsigned size)
{
    struct fdc *s = opaque;

    switch (off) {
    case R_SRA: return read_sra(s);
    case R_SRB: return 0xc0 | (s->dor & 1) << 5 | (s->dor & DOR_MOTORS) >> 4;
    case R_DOR: return s->dor;
    case R_TDR: return s->tdr;
    case R_MSR: return s->msr;
    case R_FIFO: return read_fifo(s);
    default: return 0xff;
    }
}

static void io_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct fdc *s = opaque;

    switch (off) {
    case R_DOR:
        write_dor(s, val);
        break;
    case R_TDR:
        s->tdr = val & 3;
        break;
    case R_DSR:
        write_dsr(s, val);
        break;
    case R_FIFO:
        write_fifo(s, val);
        break;
    }
}

static u64 dir_read(void *opaque, u64 off, unsigned size)
{
    return read_dir(opaque);
}

static void dir_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct fdc *s = opaque;

    s->dsr = (s->dsr & ~DSR_RATE) | (val & DSR_RATE); /* configuration control: the data rate */
}

static const struct region_ops io_ops = { io_read, io_write, 1, 1 };
static const struct region_ops dir_ops = { dir_read, dir_write, 1, 1 };

/* -- the device -------------------------------------------------------------------------------------------------------------------- */

static int fdc_bus_attach(struct bus *b, struct device *d, struct err *e)
{
    struct fdc *s = container_of(b, struct fdc, bus);
    struct floppy *f = (struct floppy *)d;

    if (f->unit < -1 || f->unit >= FDC_DRIVES)
        return err_set(e, "floppy: unit=%d: there are units 0 and 1", f->unit);
    if (f->unit < 0)
        f->unit = s->drive[0] ? 1 : 0;
    if (s->drive[f->unit])
        return err_set(e, "floppy: unit %d of bus '%s' is taken", f->unit, b->name);
    f->fdc = s;
    return 0;
}

static const struct bus_ops fdc_bus_ops = { .attach = fdc_bus_attach };

static int fdc_realize(struct device *d, struct err *e)
{
    struct fdc *s = (struct fdc *)d;
    struct machine *m = d->m;

    if (fdc_find(m))
        return err_set(e, "isa-fdc: the machine has one already");
    if (s->irq_number > 15 || s->dma_channel > 3 || s->iobase > 0xfff8)
        return err_set(e, "isa-fdc: irq is 0 to 15, dma 0 to 3, iobase at most 0xfff8");
    s->irq = m->gsi[s->irq_number];
    s->dma = i8257_find(m);
    if (s->dma)
        i8257_attach(s->dma, s->dma_channel, dma_run, s);
    bus_init(&s->bus, m, "floppy-bus", NULL, d, &fdc_bus_ops, FDC_DRIVES);
    region_init_io(&s->io, "fdc", 6, &io_ops, s, &m->lock);
    region_init_io(&s->dir, "fdc-dir", 1, &dir_ops, s, &m->lock);
    region_add(&m->io_root, s->iobase, &s->io, 0);
    region_add(&m->io_root, s->iobase + R_DIR, &s->dir, 0);
    return 0;
}

static void fdc_unrealize(struct device *d)
{
    struct fdc *s = (struct fdc *)d;

    abandon(s);
    bus_free_devices(&s->bus);
    bus_fini(&s->bus);
    if (s->dma && i8257_find(d->m))
        i8257_attach(s->dma, s->dma_channel, NULL, NULL);
    region_del(&s->io);
    region_del(&s->dir);
}

static void fdc_reset(struct device *d)
{
    struct fdc *s = (struct fdc *)d;

    abandon(s);
    fdc_settings_reset(s, true);
    s->dor = DOR_DMAGATE | DOR_RESET;
    s->tdr = 0;
    s->dsr = 2;
    s->intr = 0;
    command_phase(s);
    irq_update(s);
}

/* Saved numbers come from a file: every index stays within its buffer. */
static void fdc_post_load(struct device *d)
{
    struct fdc *s = (struct fdc *)d;

    s->aborted = false;
    s->end = MIN_OF(s->end, FDC_TRACK_MAX);
    s->pos = MIN_OF(s->pos, s->end);
    s->cmd_len = MIN_OF(s->cmd_len, FDC_FIFO - 1);
    s->result_len = MIN_OF(s->result_len, FDC_FIFO);
    s->sectors = MIN_OF(s->sectors, FDC_TRACK_MAX / FDC_SECTOR);
    if (s->cmd_len)
        s->cmd_need = fdc_cmd_length(s->cmd[0]);
    if (s->phase > FDC_RESULT || (s->phase == FDC_DATA && (!fdc_cmd_has_data(s->cmd[0]) || s->pos == s->end)) ||
        (s->phase == FDC_RESULT && s->result_at >= s->result_len) ||
        (s->phase == FDC_COMMAND && s->cmd_len && s->cmd_len >= s->cmd_need))
        command_phase(s);
    irq_update(s);
}

#define P(x) offsetof(struct fdc, x)
static const struct prop fdc_props[] = {
    { "iobase", PROP_U32, P(iobase), 0x3f0, NULL, "first port" },
    { "irq", PROP_U32, P(irq_number), 6, NULL, "ISA interrupt" },
    { "dma", PROP_U32, P(dma_channel), 2, NULL, "ISA DMA channel" },
    PROP_DONE
};

static const struct snap_field fdc_fields[] = {
    SNAP_U(struct fdc, dor), SNAP_U(struct fdc, tdr), SNAP_U(struct fdc, msr), SNAP_U(struct fdc, dsr), SNAP_U(struct fdc, intr),
    SNAP_U(struct fdc, config), SNAP_U(struct fdc, pretrk), SNAP_U(struct fdc, lock), SNAP_U(struct fdc, perpendicular),
    SNAP_B(struct fdc, timer), SNAP_U(struct fdc, ndma), SNAP_B(struct fdc, cmd), SNAP_U(struct fdc, cmd_len), SNAP_U(struct fdc, cmd_need),
    SNAP_B(struct fdc, result), SNAP_U(struct fdc, result_len), SNAP_U(struct fdc, result_at), SNAP_U(struct fdc, phase),
    SNAP_U(struct fdc, writes), SNAP_B(struct fdc, status), SNAP_U(struct fdc, pending), SNAP_U(struct fdc, pos), SNAP_U(struct fdc, end),
    SNAP_U(struct fdc, tc), SNAP_U(struct fdc, tc_at), SNAP_U(struct fdc, lba), SNAP_U(struct fdc, sectors), SNAP_B(struct fdc, buf), SNAP_DONE
};

static void fdc_fw_name(const struct device *d, char *buf, unsigned size)
{
    snprintf(buf, size, "fdc@03f0");
}

const struct dev_class isa_fdc_class = {
    .name = "isa-fdc",
    .desc = "floppy disk controller",
    .state_size = sizeof(struct fdc),
    .user_creatable = true,
    .props = fdc_props,
    .fields = fdc_fields,
    .snap_version = 1,
    .realize = fdc_realize,
    .reset = fdc_reset,
    .fw_name = fdc_fw_name,
    .unrealize = fdc_unrealize,
    .post_load = fdc_post_load,
};

struct device *fdc_find(struct machine *m)
{
    for (struct device *d = m->devices; d; d = d->next)
        if (d->cls == &isa_fdc_class)
            return d;
    return NULL;
}

struct device *fdc_new(struct machine *m, struct err *e)
{
    struct device *d = device_create(m, "isa-fdc", NULL, NULL, e);

    for (unsigned i = 0; d && i < FDC_DRIVES; i++) {
        struct drive *drive = drive_find(DRIVE_FLOPPY, 0, i);
        struct floppy *f = drive ? (struct floppy *)device_alloc(m, "floppy", e) : NULL;
        if (!drive)
            continue;
        if (!f)
            return NULL;
        f->blk = drive->blk;
        f->unit = i;
        drive->taken = true;
        if (device_set_bus(&f->dev, &((struct fdc *)d)->bus, e) < 0) {
            device_abandon(&f->dev);
            return NULL;
        }
        if (device_realize(&f->dev, e) < 0) {
            err_prefix(e, "%s", drive->option);
            return NULL;
        }
    }
    return d;
}
