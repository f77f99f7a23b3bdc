/* The PIIX3 IDE function: two channels of ATA disks with programmed I/O and bus-master DMA. Port accesses come from vCPU
 * threads, machine lock held; hw/machine/pc.c makes it. Disks are read-only: write commands end with the write-protect
 * error. ATA/ATAPI-6 (T13/1410D), chapters 7 to 9; Programming Interface for Bus Master IDE Controller 1.0; Intel 82371SB
 * (290550), section 2.3. */
#include <glib.h>
#include <stdio.h>
#include "hw/backend/blk.h"
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "hw/storage/ide.h"
#include "mmu/dma.h"
#include "util/log.h"

enum { SECTOR = 512, MULTIPLE_MAX = 16, BUF_SIZE = MULTIPLE_MAX * SECTOR, HEADS = 16, TRACK_SECTORS = 63 };
enum { ST_ERR = 0x01, ST_DRQ = 0x08, ST_DSC = 0x10, ST_DF = 0x20, ST_DRDY = 0x40, ST_BSY = 0x80 };
enum { ER_ABRT = 0x04, ER_IDNF = 0x10, ER_UNC = 0x40, ER_WP = 0x40 };
enum { CTL_NIEN = 0x02, CTL_SRST = 0x04, CTL_HOB = 0x80, DEV_LBA = 0x40, DEV_SLAVE = 0x10 };
enum { R_DATA, R_ERROR, R_COUNT, R_LBA_LOW, R_LBA_MID, R_LBA_HIGH, R_DEVICE, R_STATUS, R_FEATURES = R_ERROR,
       R_COMMAND = R_STATUS };
enum { BM_START = 0x01, BM_TO_MEMORY = 0x08, BMS_ACTIVE = 0x01, BMS_ERROR = 0x02, BMS_INTR = 0x04 };
enum { IDETIM = 0x40, IDETIM_DECODE = 0x80 };

struct ide_drive {
    struct blk *blk;
    u64 sectors;
    u8 multiple;      /* sectors a READ MULTIPLE block has; 0: not enabled */
    u8 dma_mode;      /* selected multiword DMA mode */
    u8 heads, spt;    /* current translation (INITIALIZE DEVICE PARAMETERS) */
};

struct ide_channel {
    struct piix3_ide *ide;
    struct irq_line irq;
    struct region command, control; /* 0x1f0, 0x3f6 or 0x170, 0x376 */
    struct ide_drive drive[2];
    u8 error, features, status, ctl, device;
    u8 reg[4], hob[4];    /* count, LBA low, mid, high; hob: what was written before */
    u8 hob_features;
    u8 intrq;             /* the drive's interrupt request, before nIEN */
    /* data in progress: buf[pos, end) goes out by PIO, then `left` sectors from `lba` */
    u32 pos, end;
    u64 lba;
    u32 left;
    u8 block;             /* sectors of a PIO block */
    u8 dma_pending;       /* a DMA command waits for the bus master */
    /* bus master */
    u8 bm_cmd, bm_status;
    u32 bm_prdt;
    u8 buf[BUF_SIZE];
};

struct piix3_ide {
    struct pci_device pci;
    struct region bm;
    struct ide_channel ch[2];
};

static struct ide_drive *ide_selected(struct ide_channel *c)
{
    struct ide_drive *d = &c->drive[!!(c->device & DEV_SLAVE)];

    return d->blk ? d : NULL;
}

static void ide_irq_update(struct ide_channel *c)
{
    irq_set(&c->irq, c->intrq && !(c->ctl & CTL_NIEN));
}

static void ide_irq_raise(struct ide_channel *c)
{
    c->intrq = 1;
    c->bm_status |= BMS_INTR;
    ide_irq_update(c);
}

static void ide_irq_clear(struct ide_channel *c)
{
    c->intrq = 0;
    ide_irq_update(c);
}

/* -- command completion -------------------------------------------------------------------------------------------- */

static void ide_done(struct ide_channel *c)
{
    c->status = ST_DRDY | ST_DSC;
    c->error = 0;
    ide_irq_raise(c);
}

static void ide_fail(struct ide_channel *c, u8 error)
{
    c->status = ST_DRDY | ST_DSC | ST_ERR;
    c->error = error;
    c->left = 0;
    c->pos = c->end = 0;
    c->dma_pending = 0;
    ide_irq_raise(c);
}

/* Device signature and register values after power-on, SRST and EXECUTE DEVICE DIAGNOSTIC. */
static void ide_set_signature(struct ide_channel *c)
{
    c->error = 1; /* device 0 passed */
    c->reg[0] = c->reg[1] = 1;
    c->reg[2] = c->reg[3] = 0;
    memset(c->hob, 0, sizeof(c->hob));
    c->device = 0;
    c->status = c->drive[0].blk || c->drive[1].blk ? ST_DRDY | ST_DSC : 0;
    c->left = c->pos = c->end = 0;
    c->block = 1;
    c->dma_pending = 0;
}

/* -- data in ------------------------------------------------------------------------------------------------------- */

static void ide_pio_out(struct ide_channel *c, u32 len)
{
    c->pos = 0;
    c->end = len;
    c->status = ST_DRDY | ST_DSC | ST_DRQ;
    ide_irq_raise(c);
}

/* Fills the buffer with the next PIO block. */
static void ide_pio_next(struct ide_channel *c)
{
    struct ide_drive *d = ide_selected(c);
    u32 n = MIN_OF(c->left, c->block);

    if (blk_pread(d->blk, c->lba * SECTOR, c->buf, n * SECTOR) < 0) {
        ide_fail(c, ER_UNC);
        return;
    }
    c->lba += n;
    c->left -= n;
    ide_pio_out(c, n * SECTOR);
}

static u32 ide_data_read(struct ide_channel *c, unsigned size)
{
    u32 v = 0;

    if (!(c->status & ST_DRQ) || c->pos + size > c->end)
        return zext(~0ull, size);
    memcpy(&v, c->buf + c->pos, size);
    c->pos += size;
    if (c->pos == c->end) {
        c->status &= ~ST_DRQ;
        if (c->left)
            ide_pio_next(c);
        else
            c->reg[0] = 0;
    }
    return v;
}

/* Start of the transfer that the registers describe. False: the address is off the disk. */
static bool ide_address(struct ide_channel *c, const struct ide_drive *d, bool ext)
{
    const u8 *r = c->reg, *h = c->hob;

    c->left = ext ? h[0] << 8 | r[0] : r[0];
    if (!c->left)
        c->left = ext ? 65536 : 256;
    if (ext) {
        c->lba = (u64)h[3] << 40 | (u64)h[2] << 32 | (u64)h[1] << 24 | r[3] << 16 | r[2] << 8 | r[1];
    } else if (c->device & DEV_LBA) {
        c->lba = (u32)(c->device & 15) << 24 | r[3] << 16 | r[2] << 8 | r[1];
    } else {
        if (!r[1] || r[1] > d->spt || (c->device & 15) >= d->heads)
            return false;
        c->lba = ((u32)(r[3] << 8 | r[2]) * d->heads + (c->device & 15)) * d->spt + r[1] - 1;
    }
    return c->lba <= d->sectors && c->left <= d->sectors - c->lba;
}

/* -- bus master DMA ------------------------------------------------------------------------------------------------ */

/* Copies the rest of the transfer to [addr, addr + len). Returns bytes copied, or -1 on a disk or bus error. */
static i64 ide_dma_piece(struct ide_channel *c, const struct ide_drive *d, u32 addr, u32 len)
{
    u32 done = 0;

    while (done < len && (c->pos < c->end || c->left)) {
        if (c->pos == c->end) {
            u32 n = MIN_OF(c->left, MULTIPLE_MAX);
            if (blk_pread(d->blk, c->lba * SECTOR, c->buf, n * SECTOR) < 0)
                return -1;
            c->lba += n;
            c->left -= n;
            c->pos = 0;
            c->end = n * SECTOR;
        }
        u32 n = MIN_OF(len - done, c->end - c->pos);
        if (dma_write(c->ide->pci.dev.m->mem, addr + done, c->buf + c->pos, n) < 0)
            return -1;
        c->pos += n;
        done += n;
    }
    return done;
}

static void ide_dma_error(struct ide_channel *c)
{
    c->bm_status = (c->bm_status & ~BMS_ACTIVE) | BMS_ERROR;
    ide_fail(c, ER_ABRT);
}

/* Runs the waiting DMA command through the descriptor table, once the guest has started the bus master. */
static void ide_dma_run(struct ide_channel *c)
{
    struct ide_drive *d = ide_selected(c);
    u32 prd = c->bm_prdt;
    bool last = false, full = false;

    if (!c->dma_pending || !(c->bm_cmd & BM_START) || !d)
        return;
    if (!pci_is_master(&c->ide->pci) || !(c->bm_cmd & BM_TO_MEMORY)) {
        GUEST_ERROR("ide: DMA read with bus mastering off or in the wrong direction");
        ide_dma_error(c);
        return;
    }
    for (unsigned i = 0; i < 8192 && !last && (c->left || c->pos < c->end); i++, prd += 8) {
        u8 e[8];
        if (dma_read(c->ide->pci.dev.m->mem, prd, e, sizeof(e)) < 0) {
            ide_dma_error(c);
            return;
        }
        u32 len = ld16(e + 4) & 0xfffe;
        i64 done = ide_dma_piece(c, d, ld32(e) & ~1u, len ? len : 0x10000);
        if (done < 0) {
            ide_dma_error(c);
            return;
        }
        last = e[7] & 0x80;
        full = done == (len ? len : 0x10000);
    }
    if (c->left || c->pos < c->end) { /* table too short: the bus master stops, the drive goes on waiting */
        c->bm_status &= ~BMS_ACTIVE;
        return;
    }
    if (last && full) /* with memory left over it stays active until it is stopped */
        c->bm_status &= ~BMS_ACTIVE;
    c->dma_pending = 0;
    c->reg[0] = 0;
    ide_done(c);
}

/* -- commands ------------------------------------------------------------------------------------------------------ */

static void id_string(u8 *p, const char *s, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        p[i ^ 1] = *s ? *s++ : ' ';
}

static void cmd_identify(struct ide_channel *c, struct ide_drive *d)
{
    u8 *b = c->buf;
    u32 cyls = MIN_OF(d->sectors / (HEADS * TRACK_SECTORS), 16383), chs;
    char serial[21];

#define W(n, v) st16(b + 2 * (n), v)
    memset(b, 0, SECTOR);
    W(0, 0x0040);                  /* not removable */
    W(1, cyls);
    W(3, HEADS);
    W(6, TRACK_SECTORS);
    snprintf(serial, sizeof(serial), "GM%05u", (unsigned)(c - c->ide->ch) * 2 + (unsigned)(d - c->drive) + 1);
    id_string(b + 20, serial, 20);
    id_string(b + 46, "1.0", 8);
    id_string(b + 54, "GEMEL HARDDISK", 40);
    W(47, 0x8000 | MULTIPLE_MAX);
    W(48, 1);                      /* 32-bit data port */
    W(49, 0x0b00);                 /* IORDY, LBA, DMA */
    W(50, 0x4000);
    W(51, 0x0200);
    W(53, 0x0003);                 /* words 54-58 and 64-70 are valid */
    cyls = MIN_OF(d->sectors / (d->heads * d->spt), 65535);
    chs = cyls * d->heads * d->spt;
    W(54, cyls);
    W(55, d->heads);
    W(56, d->spt);
    st32(b + 57 * 2, chs);
    W(59, d->multiple ? 0x100 | d->multiple : 0);
    st32(b + 60 * 2, MIN_OF(d->sectors, 0x0fffffff));
    W(63, 0x0007 | 0x100 << d->dma_mode);
    W(64, 0x0003);                 /* PIO modes 3 and 4 */
    for (unsigned i = 65; i <= 68; i++)
        W(i, 120);                 /* ns a cycle */
    W(80, 0x0070);                 /* ATA-4, -5, -6 */
    W(82, 0x4000);                 /* NOP */
    W(83, 0x7400);                 /* FLUSH CACHE (EXT), 48-bit addresses */
    W(84, 0x4000);
    W(85, 0x4000);
    W(86, 0x3400);
    W(87, 0x4000);
    st64(b + 100 * 2, d->sectors);
#undef W
    c->left = 0;
    ide_pio_out(c, SECTOR);
}

static void cmd_read_pio(struct ide_channel *c, struct ide_drive *d, bool ext, u8 block)
{
    if (!ide_address(c, d, ext)) {
        ide_fail(c, ER_IDNF);
        return;
    }
    c->block = block;
    ide_pio_next(c);
}

static void cmd_read_dma(struct ide_channel *c, struct ide_drive *d, bool ext)
{
    if (!ide_address(c, d, ext)) {
        ide_fail(c, ER_IDNF);
        return;
    }
    c->pos = c->end = 0;
    c->dma_pending = 1;
    c->status = ST_DRDY | ST_DSC | ST_DRQ;
    ide_dma_run(c);
}

static void cmd_verify(struct ide_channel *c, struct ide_drive *d, bool ext)
{
    bool ok = ide_address(c, d, ext);

    c->left = 0;
    if (ok)
        ide_done(c);
    else
        ide_fail(c, ER_IDNF);
}

static void cmd_set_features(struct ide_channel *c, struct ide_drive *d)
{
    u8 mode = c->reg[0];

    switch (c->features) {
    case 0x03: /* transfer mode: PIO default and 0..4, multiword DMA 0..2 */
        if (mode >> 3 == 4 && (mode & 7) <= 2)
            d->dma_mode = mode & 7;
        else if (mode > 1 && !(mode >> 3 == 1 && (mode & 7) <= 4))
            break;
        ide_done(c);
        return;
    case 0x02: case 0x82: /* write cache */
    case 0x55: case 0xaa: /* look-ahead */
    case 0x66: case 0xcc: /* keep or revert to defaults at reset */
        ide_done(c);
        return;
    }
    ide_fail(c, ER_ABRT);
}

static void cmd_native_max(struct ide_channel *c, struct ide_drive *d, bool ext)
{
    u64 last = d->sectors - 1;

    if (!ext)
        last = MIN_OF(last, 0x0ffffffe);
    for (unsigned i = 0; i < 3; i++) {
        c->reg[1 + i] = last >> (8 * i);
        c->hob[1 + i] = ext ? last >> (24 + 8 * i) : 0;
    }
    if (!ext)
        c->device = (c->device & 0xf0) | (last >> 24 & 15);
    ide_done(c);
}

static void cmd_set_multiple(struct ide_channel *c, struct ide_drive *d)
{
    u8 n = c->reg[0];

    if (n > MULTIPLE_MAX || (n & (n - 1))) {
        ide_fail(c, ER_ABRT);
        return;
    }
    d->multiple = n;
    ide_done(c);
}

static void cmd_init_params(struct ide_channel *c, struct ide_drive *d)
{
    if (!c->reg[0]) {
        ide_fail(c, ER_ABRT);
        return;
    }
    d->spt = c->reg[0];
    d->heads = (c->device & 15) + 1;
    ide_done(c);
}

static void ide_command(struct ide_channel *c, u8 cmd)
{
    struct ide_drive *d = ide_selected(c);

    if (cmd == 0x90 && (c->drive[0].blk || c->drive[1].blk)) { /* EXECUTE DEVICE DIAGNOSTIC: both drives */
        ide_set_signature(c);
        ide_irq_raise(c);
        return;
    }
    if (!d)
        return;
    c->left = c->pos = c->end = 0;
    c->dma_pending = 0;
    ide_irq_clear(c);
    switch (cmd) {
    case 0x20: case 0x21: cmd_read_pio(c, d, false, 1); break;
    case 0x24: cmd_read_pio(c, d, true, 1); break;
    case 0xc4: case 0x29: /* READ MULTIPLE (EXT) */
        if (d->multiple)
            cmd_read_pio(c, d, cmd == 0x29, d->multiple);
        else
            ide_fail(c, ER_ABRT);
        break;
    case 0xc8: case 0xc9: cmd_read_dma(c, d, false); break;
    case 0x25: cmd_read_dma(c, d, true); break;
    case 0x40: case 0x41: cmd_verify(c, d, false); break;
    case 0x42: cmd_verify(c, d, true); break;
    case 0x30: case 0x31: case 0x34: case 0xc5: case 0x39: case 0xca: case 0xcb: case 0x35: case 0x3d: case 0xce:
        ide_fail(c, ER_ABRT | ER_WP); /* every WRITE */
        break;
    case 0xec: cmd_identify(c, d); break;
    case 0xef: cmd_set_features(c, d); break;
    case 0xc6: cmd_set_multiple(c, d); break;
    case 0x91: cmd_init_params(c, d); break;
    case 0xf8: cmd_native_max(c, d, false); break;
    case 0x27: cmd_native_max(c, d, true); break;
    case 0xe5: case 0x98: /* CHECK POWER MODE: active */
        c->reg[0] = 0xff;
        ide_done(c);
        break;
    case 0x10: case 0x70:                                        /* RECALIBRATE, SEEK */
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe6:       /* standby, idle, sleep */
    case 0x94: case 0x95: case 0x96: case 0x97: case 0x99:
    case 0xe7: case 0xea:                                        /* FLUSH CACHE (EXT): nothing is ever dirty */
        ide_done(c);
        break;
    default: /* NOP and IDENTIFY PACKET DEVICE included */
        ide_fail(c, ER_ABRT);
    }
}

/* -- ports --------------------------------------------------------------------------------------------------------- */

/* A channel without drives floats; an absent drive beside a present one reads as zeros. */
static bool ide_absent(struct ide_channel *c, u8 *v)
{
    if (ide_selected(c))
        return false;
    *v = c->drive[0].blk || c->drive[1].blk ? 0 : 0xff;
    return true;
}

static u8 ide_reg_read(struct ide_channel *c, unsigned reg)
{
    bool hob = c->ctl & CTL_HOB;
    u8 v;

    if (ide_absent(c, &v))
        return reg == R_DEVICE && v == 0 ? c->device : v;
    switch (reg) {
    case R_ERROR:
        return hob ? c->hob_features : c->error;
    case R_DEVICE:
        return c->device | 0xa0;
    case R_STATUS:
        ide_irq_clear(c);
        return c->status;
    default:
        return hob ? c->hob[reg - R_COUNT] : c->reg[reg - R_COUNT];
    }
}

static void ide_reg_write(struct ide_channel *c, unsigned reg, u8 v)
{
    c->ctl &= ~CTL_HOB;
    switch (reg) {
    case R_FEATURES:
        c->hob_features = c->features;
        c->features = v;
        break;
    case R_DEVICE:
        c->device = v & ~0xa0;
        break;
    case R_COMMAND:
        if (!(c->ctl & CTL_SRST))
            ide_command(c, v);
        break;
    default:
        c->hob[reg - R_COUNT] = c->reg[reg - R_COUNT];
        c->reg[reg - R_COUNT] = v;
    }
}

static u64 command_read(void *opaque, u64 off, unsigned size)
{
    struct ide_channel *c = opaque;
    u8 absent;
    u64 v = 0;

    if (off == R_DATA) {
        if (ide_absent(c, &absent))
            return zext(absent ? ~0ull : 0, size);
        return ide_data_read(c, size);
    }
    for (unsigned i = 0; i < size && off + i <= R_STATUS; i++)
        v |= (u64)ide_reg_read(c, off + i) << (8 * i);
    return v;
}

static void command_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ide_channel *c = opaque;

    if (off == R_DATA)
        return; /* no command takes data in: writes are refused before their data phase */
    for (unsigned i = 0; i < size && off + i <= R_STATUS; i++)
        ide_reg_write(c, off + i, val >> (8 * i));
}

static u64 control_read(void *opaque, u64 off, unsigned size)
{
    struct ide_channel *c = opaque;
    u8 v;

    return ide_absent(c, &v) ? v : c->status; /* alternate status */
}

static void control_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ide_channel *c = opaque;
    bool was_reset = c->ctl & CTL_SRST;

    c->ctl = val & (CTL_NIEN | CTL_SRST | CTL_HOB);
    if (c->ctl & CTL_SRST) {
        c->status = ST_BSY | ST_DSC;
        c->intrq = 0;
    } else if (was_reset) {
        ide_set_signature(c);
    }
    ide_irq_update(c);
}

static u64 bm_read(void *opaque, u64 off, unsigned size)
{
    struct piix3_ide *ide = opaque;
    struct ide_channel *c = &ide->ch[off >> 3 & 1];
    u8 regs[8] = { c->bm_cmd, 0xff, c->bm_status, 0xff };

    st32(regs + 4, c->bm_prdt);
    off &= 7;
    u64 v = 0;
    memcpy(&v, regs + off, MIN_OF(size, 8 - off));
    return v;
}

static void bm_reg_write(struct ide_channel *c, unsigned reg, u8 v)
{
    switch (reg) {
    case 0:
        if ((v & BM_START) && !(c->bm_cmd & BM_START))
            c->bm_status |= BMS_ACTIVE;
        if (!(v & BM_START))
            c->bm_status &= ~BMS_ACTIVE;
        c->bm_cmd = v & (BM_START | BM_TO_MEMORY);
        ide_dma_run(c);
        break;
    case 2: /* drives' DMA-capable bits are kept; error and interrupt are cleared by writing 1 */
        c->bm_status = (c->bm_status & ~0x60 & ~(v & (BMS_ERROR | BMS_INTR))) | (v & 0x60);
        break;
    case 4: case 5: case 6: case 7:
        c->bm_prdt = (c->bm_prdt & ~(0xffu << (8 * (reg - 4)))) | (u32)v << (8 * (reg - 4));
        c->bm_prdt &= ~3u;
        break;
    }
}

static void bm_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct piix3_ide *ide = opaque;

    for (unsigned i = 0; i < size; i++)
        bm_reg_write(&ide->ch[(off + i) >> 3 & 1], (off + i) & 7, val >> (8 * i));
}

static const struct region_ops command_ops = { command_read, command_write, 1, 4 };
static const struct region_ops control_ops = { control_read, control_write, 1, 1 };
static const struct region_ops bm_ops = { bm_read, bm_write, 1, 4 };

/* -- the PCI function ---------------------------------------------------------------------------------------------- */

static void ide_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct piix3_ide *ide = container_of(d, struct piix3_ide, pci);
    bool io = ld16(d->config + PCI_COMMAND) & PCI_CMD_IO;

    region_txn_begin();
    for (unsigned i = 0; i < 2; i++) {
        bool on = io && (d->config[IDETIM + 2 * i + 1] & IDETIM_DECODE);
        region_set_enabled(&ide->ch[i].command, on);
        region_set_enabled(&ide->ch[i].control, on);
    }
    region_txn_commit();
}

static const struct pci_ops ide_pci_ops = { .config_changed = ide_config_changed };

static void ide_channel_init(struct piix3_ide *ide, unsigned i)
{
    static const u16 command_port[2] = { 0x1f0, 0x170 }, control_port[2] = { 0x3f6, 0x376 };
    struct ide_channel *c = &ide->ch[i];
    struct machine *m = ide->pci.dev.m;

    c->ide = ide;
    c->irq = m->gsi[14 + i];
    for (unsigned n = 0; n < 2; n++)
        if (c->drive[n].blk)
            c->drive[n].sectors = (blk_size(c->drive[n].blk) + SECTOR - 1) / SECTOR;
    region_init_io(&c->command, "ide-command", 8, &command_ops, c, &m->lock);
    region_init_io(&c->control, "ide-control", 1, &control_ops, c, &m->lock);
    c->command.enabled = c->control.enabled = false;
    region_add(&m->io_root, command_port[i], &c->command, 0);
    region_add(&m->io_root, control_port[i], &c->control, 0);
}

static int piix3_ide_realize(struct device *d, struct err *e)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;
    static const struct pci_id id = { 0x8086, 0x7010, 0x0101, 0x80, 0, 0, 0, 0 };

    if (pci_attach(&ide->pci, &id, e) < 0)
        return -1;
    ide->pci.ops = &ide_pci_ops;
    memset(ide->pci.wmask + IDETIM, 0xff, 4);
    ide->pci.wmask[0x44] = 0xff; /* SIDETIM */
    region_init_io(&ide->bm, "ide-bus-master", 16, &bm_ops, ide, &d->m->lock);
    pci_bar_init(&ide->pci, 4, &ide->bm, PCI_BAR_IO);
    ide_channel_init(ide, 0);
    ide_channel_init(ide, 1);
    return 0;
}

static void piix3_ide_unrealize(struct device *d)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;

    for (unsigned i = 0; i < 2; i++) {
        region_del(&ide->ch[i].command);
        region_del(&ide->ch[i].control);
    }
    pci_detach(&ide->pci);
}

static void piix3_ide_reset(struct device *d)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;

    for (unsigned i = 0; i < 2; i++) {
        struct ide_channel *c = &ide->ch[i];
        for (unsigned n = 0; n < 2; n++) {
            c->drive[n].multiple = MULTIPLE_MAX;
            c->drive[n].dma_mode = 2;
            c->drive[n].heads = HEADS;
            c->drive[n].spt = TRACK_SECTORS;
        }
        c->features = c->hob_features = c->ctl = 0;
        c->bm_cmd = c->bm_status = 0;
        c->bm_prdt = 0;
        ide_set_signature(c);
        ide_irq_clear(c);
    }
    pci_reset(&ide->pci);
}

/* Saved numbers come from a file: keep every index within its buffer and disk. */
static void piix3_ide_post_load(struct device *d)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;

    for (unsigned i = 0; i < 2; i++) {
        struct ide_channel *c = &ide->ch[i];
        for (unsigned n = 0; n < 2; n++) {
            c->drive[n].heads = MIN_OF(MAX_OF(c->drive[n].heads, 1), HEADS);
            c->drive[n].spt = MAX_OF(c->drive[n].spt, 1);
            c->drive[n].multiple = MIN_OF(c->drive[n].multiple, MULTIPLE_MAX);
            c->drive[n].dma_mode = MIN_OF(c->drive[n].dma_mode, 2);
        }
        c->end = MIN_OF(c->end, BUF_SIZE);
        c->pos = MIN_OF(c->pos, c->end);
        c->block = MIN_OF(MAX_OF(c->block, 1), MULTIPLE_MAX);
        if (!ide_selected(c))
            c->left = c->pos = c->end = 0;
        ide_irq_update(c);
    }
    pci_post_load(&ide->pci);
}

static const struct prop piix3_ide_props[] = { PCI_PROPS_AT("1.1"), PROP_DONE };

static const struct snap_field ide_drive_fields[] = {
    SNAP_U(struct ide_drive, multiple), SNAP_U(struct ide_drive, dma_mode), SNAP_U(struct ide_drive, heads),
    SNAP_U(struct ide_drive, spt), SNAP_DONE
};
static const struct snap_field ide_channel_fields[] = {
    SNAP_AS(struct ide_channel, drive, ide_drive_fields), SNAP_U(struct ide_channel, error),
    SNAP_U(struct ide_channel, features), SNAP_U(struct ide_channel, status), SNAP_U(struct ide_channel, ctl),
    SNAP_U(struct ide_channel, device), SNAP_B(struct ide_channel, reg), SNAP_B(struct ide_channel, hob),
    SNAP_U(struct ide_channel, hob_features), SNAP_U(struct ide_channel, intrq), SNAP_U(struct ide_channel, pos),
    SNAP_U(struct ide_channel, end), SNAP_U(struct ide_channel, lba), SNAP_U(struct ide_channel, left),
    SNAP_U(struct ide_channel, block), SNAP_U(struct ide_channel, dma_pending), SNAP_U(struct ide_channel, bm_cmd),
    SNAP_U(struct ide_channel, bm_status), SNAP_U(struct ide_channel, bm_prdt), SNAP_B(struct ide_channel, buf), SNAP_DONE
};
static const struct snap_field piix3_ide_fields[] = {
    PCI_SNAP, SNAP_AS(struct piix3_ide, ch, ide_channel_fields), SNAP_DONE
};

const struct dev_class piix3_ide_class = {
    .name = "piix3-ide",
    .desc = "PIIX3 IDE controller with read-only ATA disks",
    .state_size = sizeof(struct piix3_ide),
    .props = piix3_ide_props,
    .fields = piix3_ide_fields,
    .snap_version = 1,
    .realize = piix3_ide_realize,
    .reset = piix3_ide_reset,
    .unrealize = piix3_ide_unrealize,
    .post_load = piix3_ide_post_load,
};

struct device *piix3_ide_new(struct machine *m, struct blk *const disk[4], struct err *e)
{
    struct device *d = device_alloc(m, "piix3-ide", e);

    if (!d)
        return NULL;
    for (unsigned i = 0; i < 4; i++)
        ((struct piix3_ide *)d)->ch[i / 2].drive[i % 2].blk = disk[i];
    return device_realize(d, e) < 0 ? NULL : d;
}

void piix3_ide_enable(struct device *d)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;

    pci_config_write(ide->pci.bus, ide->pci.devfn, IDETIM, 0x80008000, 4);
}
