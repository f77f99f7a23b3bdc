/* An AHCI port: fetches commands from guest memory, gives them to the ATA device or, queued ones, to the block layer, and posts FISes.
 * Called by register writes (hw/storage/ahci.c) on vCPU threads and by completions on the main thread, machine lock held. AHCI 1.3.1,
 * chapters 4 and 5; Serial ATA 3.0, 10.3 (FIS types), 13.6 (native command queuing). */
#include "hw/backend/blk.h"
#include "hw/core/machine.h"
#include "hw/storage/ahci_impl.h"
#include "mmu/dma.h"
#include "util/log.h"

enum { FIS_H2D = 0x27, FIS_D2H = 0x34, FIS_SDB = 0xa1, FIS_PIO = 0x5f, FIS_INTERRUPT = 0x40, FIS_TO_HOST = 0x20 };
enum { AREA_PIO = 0x20, AREA_D2H = 0x40, AREA_SDB = 0x58 };
enum { HDR_WRITE = 0x40, TABLE_ACMD = 0x40, TABLE_PRDT = 0x80, PRD_SIZE = 16, PRD_BATCH = 64 };
enum { CMD_READ_FPDMA = 0x60, CMD_WRITE_FPDMA = 0x61, SRST = 4 };

static struct ahci_port *port_of(const struct ata_dev *d)
{
    return container_of(d->bus, struct ahci_port, ata);
}

static struct aspace *mem_of(const struct ahci_port *p)
{
    return p->hba->pci.dma;
}

/* -- FISes to the guest ----------------------------------------------------------------------------------------------------- */

static void post(struct ahci_port *p, unsigned area, const u8 *fis, unsigned len)
{
    if (p->cmd & PORT_CMD_FRE)
        dma_write(mem_of(p), ((u64)p->fbu << 32 | p->fb) + area, fis, len);
}

/* Task file in the layout that D2H and PIO Setup share. */
static void put_registers(const struct ata_dev *d, u8 *fis)
{
    fis[2] = d->r.status;
    fis[3] = d->r.error;
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = d->r.lba[i][0];
        fis[8 + i] = d->r.lba[i][1];
    }
    fis[7] = d->r.device;
    fis[12] = d->r.count[0];
    fis[13] = d->r.count[1];
}

static void post_d2h(struct ahci_port *p, bool irq)
{
    const struct ata_dev *d = ahci_dev(p);
    u8 fis[20] = { FIS_D2H, irq ? FIS_INTERRUPT : 0 };

    put_registers(d, fis);
    post(p, AREA_D2H, fis, sizeof(fis));
    p->tfd = d->r.error << 8 | d->r.status;
    ahci_port_raise(p, (irq ? PORT_IS_DHRS : 0) | (d->r.status & ATA_ERR ? PORT_IS_TFES : 0));
}

static void post_pio(struct ahci_port *p, bool irq, bool last, u16 len)
{
    const struct ata_dev *d = ahci_dev(p);
    u8 fis[20] = { FIS_PIO, (irq ? FIS_INTERRUPT : 0) | (d->to_guest ? FIS_TO_HOST : 0) };

    put_registers(d, fis);
    fis[15] = last ? ATA_DRDY | ATA_DSC : ATA_BSY | ATA_DSC;
    st16(fis + 16, len);
    post(p, AREA_PIO, fis, sizeof(fis));
    p->tfd = d->r.error << 8 | fis[15];
    if (irq)
        ahci_port_raise(p, PORT_IS_PSS);
}

static void post_sdb(struct ahci_port *p, u8 status, u8 error, u32 done)
{
    u8 fis[8] = { FIS_SDB, FIS_INTERRUPT, status & 0x77, error };

    st32(fis + 4, done);
    post(p, AREA_SDB, fis, sizeof(fis));
    p->sact &= ~done;
    p->tfd = error << 8 | (p->tfd & 0x88) | (status & 0x77);
    ahci_port_raise(p, PORT_IS_SDBS | (status & ATA_ERR ? PORT_IS_TFES : 0));
}

/* -- the command list --------------------------------------------------------------------------------------------------------- */

struct header {
    u8 flags;
    u16 prdtl;
    u64 addr, table;
};

static int read_header(const struct ahci_port *p, unsigned slot, struct header *h)
{
    u8 b[32];

    h->addr = ((u64)p->clbu << 32 | p->clb) + 32 * slot;
    if (dma_read(mem_of(p), h->addr, b, sizeof(b)) < 0)
        return -1;
    h->flags = b[0];
    h->prdtl = ld16(b + 2);
    h->table = ld64(b + 8) & ~0x7full;
    return 0;
}

enum prd_result { PRD_OK, PRD_SHORT, PRD_ERROR };

/* Collects bytes [skip, skip + len) of the memory that the header's table describes. */
static enum prd_result collect(const struct ahci_port *p, const struct header *h, struct sglist *sg, u64 skip, u64 len, bool write)
{
    u8 prds[PRD_BATCH * PRD_SIZE];

    sg_begin(sg, mem_of(p), write);
    for (unsigned i = 0; i < h->prdtl && sg->len < len; i++) {
        const u8 *e = prds + i % PRD_BATCH * PRD_SIZE;
        if (i % PRD_BATCH == 0 &&
            dma_read(mem_of(p), h->table + TABLE_PRDT + i * PRD_SIZE, prds, MIN_OF(PRD_BATCH, h->prdtl - i) * PRD_SIZE) < 0)
            return PRD_ERROR;
        u64 addr = ld64(e) & ~1ull, n = (ld32(e + 12) & 0x3fffff) + 1;
        if (skip >= n) {
            skip -= n;
            continue;
        }
        if (sg_add(sg, addr + skip, MIN_OF(n - skip, len - sg->len)) < 0)
            return PRD_ERROR;
        skip = 0;
    }
    return sg->len == len ? PRD_OK : PRD_SHORT;
}

/* -- what the device asks ------------------------------------------------------------------------------------------------------- */

static void table_error(struct ahci_port *p, enum prd_result why)
{
    GUEST_ERROR("ahci: descriptor table %s", why == PRD_SHORT ? "shorter than the transfer" : "outside of memory");
    ahci_port_raise(p, why == PRD_SHORT ? PORT_IS_OFS : PORT_IS_HBDS);
}

/* The command packet is beside the table; other PIO data go through it. */
static void move_block(struct ahci_port *p, struct ata_dev *d, u32 n)
{
    struct header h;
    enum prd_result r;

    if (read_header(p, p->slot, &h) < 0)
        return;
    if (d->packet_out) {
        dma_read(mem_of(p), h.table + TABLE_ACMD, d->buf, n);
        return;
    }
    r = collect(p, &h, &p->sg, p->moved, n, d->to_guest);
    if (r != PRD_OK)
        table_error(p, r);
    p->moved += sg_copy(&p->sg, 0, d->buf + d->pos, n);
    sg_end(&p->sg);
}

static void host_pio(struct ata_dev *d, bool irq)
{
    struct ahci_port *p = port_of(d);
    u32 n = d->block_end - d->pos;
    bool last = d->to_guest && d->block_end == d->end && !d->left && !(d->command == 0xa0);

    if (p->slot < 0)
        return;
    move_block(p, d, n);
    post_pio(p, irq && !d->packet_out, last, n);
    ata_pio_moved(d, n);
}

/* The memory of a DMA piece is the guest's again. */
static void release(struct ahci_port *p, bool good)
{
    if (good)
        p->moved += p->sg.len;
    sg_end(&p->sg);
}

static void host_dma(struct ata_dev *d)
{
    struct ahci_port *p = port_of(d);
    struct header h;
    enum prd_result r = PRD_ERROR;

    release(p, true);
    if (p->slot >= 0 && read_header(p, p->slot, &h) == 0)
        r = collect(p, &h, &p->sg, p->moved, d->dma_len, d->to_guest);
    if (r != PRD_OK) {
        if (p->slot >= 0)
            table_error(p, r);
        ata_dma_fail(d);
        return;
    }
    ata_dma_run(d, p->sg.iov, p->sg.n_iov);
}

static void host_done(struct ata_dev *d, bool irq)
{
    struct ahci_port *p = port_of(d);
    bool failed = d->r.status & ATA_ERR;
    struct header h;
    u8 count[4];

    release(p, !failed);
    if (p->slot < 0)
        return;
    if (read_header(p, p->slot, &h) == 0) {
        st32(count, p->moved);
        dma_write(mem_of(p), h.addr + 4, count, sizeof(count)); /* PRDBC */
    }
    if (failed)
        p->halted = true; /* its bit in PxCI stays for the driver to see */
    else
        p->ci &= ~BIT(p->slot);
    p->slot = -1;
    if (irq)
        post_d2h(p, true);
    else
        p->tfd = d->r.error << 8 | d->r.status;
    ahci_port_run(p);
}

const struct ata_host_ops ahci_host_ops = { host_pio, host_dma, host_done };

/* -- queued commands ------------------------------------------------------------------------------------------------------------- */

static void ncq_fail(struct ahci_port *p, unsigned tag, u64 lba, u8 error)
{
    struct ata_dev *d = ahci_dev(p);

    memset(d->ncq_error, 0, sizeof(d->ncq_error));
    d->ncq_error[0] = tag;
    d->ncq_error[2] = ATA_DRDY | ATA_DSC | ATA_ERR;
    d->ncq_error[3] = error;
    for (unsigned i = 0; i < 3; i++) {
        d->ncq_error[4 + i] = lba >> (8 * i);
        d->ncq_error[8 + i] = lba >> (24 + 8 * i);
    }
    d->ncq_error[7] = ATA_DEV_LBA;
    p->halted = true;
    post_sdb(p, ATA_DRDY | ATA_DSC | ATA_ERR, error, 0);
}

static void ncq_done(void *opaque, int ret)
{
    struct ahci_ncq *q = opaque;
    struct ahci_port *p = q->port;

    q->busy = false;
    sg_end(&q->sg);
    if (q->aborted || p->halted) /* a failure ends all that is queued */
        return;
    if (ret < 0)
        ncq_fail(p, q->tag, q->lba, q->write ? ATA_E_ABRT : ATA_E_UNC);
    else
        post_sdb(p, ATA_DRDY | ATA_DSC, 0, BIT(q->tag));
    ahci_port_run(p);
}

static bool ncq_any(const struct ahci_port *p)
{
    for (unsigned i = 0; i < AHCI_SLOTS; i++)
        if (p->ncq[i].busy)
            return true;
    return false;
}

static void ncq_start(struct ahci_port *p, unsigned slot, const struct header *h, const u8 *fis)
{
    struct ata_dev *d = ahci_dev(p);
    struct ahci_ncq *q = &p->ncq[slot];
    u32 count = fis[11] << 8 | fis[3];
    u64 lba = (u64)fis[10] << 40 | (u64)fis[9] << 32 | (u64)fis[8] << 24 | fis[6] << 16 | fis[5] << 8 | fis[4];
    bool write = fis[2] == CMD_WRITE_FPDMA;
    enum prd_result r;

    count = count ? count : 65536;
    if (fis[12] >> 3 != (u8)slot || q->busy || d->cdrom || (write && blk_readonly(d->blk))) {
        ncq_fail(p, slot, lba, ATA_E_ABRT);
        return;
    }
    if (!ata_range_ok(d, lba, count)) {
        ncq_fail(p, slot, lba, ATA_E_ABRT | ATA_E_IDNF);
        return;
    }
    r = collect(p, h, &q->sg, 0, (u64)count * ATA_SECTOR, !write);
    if (r != PRD_OK) {
        table_error(p, r);
        sg_begin(&q->sg, mem_of(p), false);
        ncq_fail(p, slot, lba, ATA_E_ABRT);
        return;
    }
    q->port = p;
    q->tag = slot;
    q->lba = lba;
    q->write = write;
    q->busy = true;
    q->aborted = false;
    p->ci &= ~BIT(slot); /* accepted; PxSACT says that it runs */
    blk_submit(d->blk, write ? BLK_WRITE : BLK_READ, lba * ATA_SECTOR, q->sg.iov, q->sg.n_iov, 0,
               write && (!d->wcache || (fis[7] & 0x80)) ? BLK_FUA : 0, ncq_done, q);
}

/* -- taking commands ---------------------------------------------------------------------------------------------------------------- */

static void load_registers(struct ata_dev *d, const u8 *fis)
{
    d->r.features[0] = fis[3];
    d->r.features[1] = fis[11];
    d->r.count[0] = fis[12];
    d->r.count[1] = fis[13];
    for (unsigned i = 0; i < 3; i++) {
        d->r.lba[i][0] = fis[4 + i];
        d->r.lba[i][1] = fis[8 + i];
    }
    d->r.device = fis[7] & ~ATA_DEV_SLAVE;
}

/* A FIS that writes the device control register: software reset. */
static void control_fis(struct ahci_port *p, unsigned slot, const u8 *fis)
{
    bool srst = fis[15] & SRST;

    p->ci &= ~BIT(slot);
    if (p->srst && !srst) {
        ata_reset(ahci_dev(p), false);
        post_d2h(p, true);
    }
    p->srst = srst;
}

/* The command in a slot. */
static void start_slot(struct ahci_port *p, unsigned slot)
{
    struct ata_dev *d = ahci_dev(p);
    struct header h;
    u8 fis[20];

    if (read_header(p, slot, &h) < 0 || dma_read(mem_of(p), h.table, fis, sizeof(fis)) < 0 || fis[0] != FIS_H2D) {
        GUEST_ERROR("ahci: no command FIS in slot %u", slot);
        p->halted = true;
        ahci_port_raise(p, PORT_IS_HBDS);
        return;
    }
    p->cmd = (p->cmd & ~PORT_CMD_CCS) | slot << 8;
    if (!(fis[1] & 0x80)) {
        control_fis(p, slot, fis);
    } else if (fis[2] == CMD_READ_FPDMA || fis[2] == CMD_WRITE_FPDMA) {
        ncq_start(p, slot, &h, fis);
    } else {
        p->slot = slot;
        p->moved = 0;
        p->tfd = ATA_BSY | ATA_DSC;
        load_registers(d, fis);
        ata_execute(d, fis[2]);
    }
}

static bool slot_is_ncq(const struct ahci_port *p, unsigned slot)
{
    return p->sact & BIT(slot);
}

void ahci_port_run(struct ahci_port *p)
{
    struct blk *blk = ahci_dev(p) ? ahci_dev(p)->blk : NULL;

    if (p->running || !ahci_dev(p))
        return;
    p->running = true; /* completions inside start_slot come back here */
    blk_plug(blk);
    for (unsigned i = 0; i < AHCI_SLOTS; i++) {
        if (!(p->ci & BIT(i)))
            continue;
        if (!(p->cmd & PORT_CMD_ST) || p->halted || p->slot >= 0 || !pci_is_master(&p->hba->pci) || (!slot_is_ncq(p, i) && ncq_any(p)))
            break;
        start_slot(p, i);
    }
    p->running = false;
    blk_unplug(blk);
}

void ahci_port_drain(struct ahci_port *p)
{
    if (ahci_dev(p) && ahci_dev(p)->blk)
        blk_drain(ahci_dev(p)->blk);
}

/* -- resets -------------------------------------------------------------------------------------------------------------------------- */

void ahci_port_announce(struct ahci_port *p)
{
    const struct ata_dev *d = ahci_dev(p);

    if (!d || p->announced || !(p->cmd & PORT_CMD_FRE))
        return;
    p->announced = true;
    p->sig = (u32)d->r.lba[2][0] << 24 | d->r.lba[1][0] << 16 | d->r.lba[0][0] << 8 | d->r.count[0];
    post_d2h(p, false);
}

void ahci_port_reset(struct ahci_port *p)
{
    struct ata_dev *d = ahci_dev(p);

    for (unsigned i = 0; i < AHCI_SLOTS; i++)
        p->ncq[i].aborted = true;
    p->slot = -1;
    if (d) {
        ahci_port_drain(p);
        ata_reset(d, true);
        sg_end(&p->sg);
    }
    p->slot = -1;
    p->sact = p->ci = p->moved = 0;
    p->halted = p->srst = p->announced = false;
    p->ssts = d ? 0x123 : 0; /* connected, 3 Gb/s, active */
    p->tfd = d ? ATA_BSY | 0x7f : 0x7f;
    p->sig = 0xffffffff;
    ahci_port_announce(p);
}

/* Queued commands that the block layer had are given to it again: their slots still hold them. */
void ahci_port_post_load(struct ahci_port *p)
{
    struct header h;
    u8 fis[20];

    p->running = false;
    if (p->slot >= AHCI_SLOTS || p->slot < -1)
        p->slot = -1;
    for (unsigned i = 0; i < AHCI_SLOTS && ahci_dev(p) && !p->halted; i++)
        if ((p->sact & ~p->ci & BIT(i)) && read_header(p, i, &h) == 0 && dma_read(mem_of(p), h.table, fis, sizeof(fis)) == 0)
            ncq_start(p, i, &h, fis);
}

const struct snap_field ahci_port_fields[] = {
    SNAP_U(struct ahci_port, clb), SNAP_U(struct ahci_port, clbu), SNAP_U(struct ahci_port, fb), SNAP_U(struct ahci_port, fbu),
    SNAP_U(struct ahci_port, is), SNAP_U(struct ahci_port, ie), SNAP_U(struct ahci_port, cmd), SNAP_U(struct ahci_port, tfd),
    SNAP_U(struct ahci_port, sig), SNAP_U(struct ahci_port, ssts), SNAP_U(struct ahci_port, sctl), SNAP_U(struct ahci_port, serr),
    SNAP_U(struct ahci_port, sact), SNAP_U(struct ahci_port, ci), SNAP_U(struct ahci_port, halted), SNAP_U(struct ahci_port, srst),
    SNAP_U(struct ahci_port, announced), SNAP_U(struct ahci_port, slot), SNAP_U(struct ahci_port, moved), SNAP_DONE
};
