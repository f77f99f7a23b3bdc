/* Intel 82540EM Gigabit Ethernet: registers and the device; e1000_intr.c, e1000_tx.c, e1000_rx.c and e1000_phy.c do the rest. vCPU threads
 * (registers) and the main thread (frames, timer, link), machine lock held. 8254x Software Developer's Manual (317453), chapter 13. */
#include "hw/net/e1000.h"
#include <stdio.h>
#include "mmu/dma.h"
#include "util/log.h"

enum { VENDOR_INTEL = 0x8086, DEVICE_82540EM = 0x100e, SUBVENDOR = 0x1af4, SUBSYS = 0x1100, CLASS_ETHERNET = 0x0200 };
enum { MMIO_SIZE = 128 * 1024, IO_SIZE = 64, IOADDR = 0, IODATA = 4 };

/* -- rings ---------------------------------------------------------------------------------------------------------- */

void e1000_ring_open(struct e1000 *s, struct e1000_ring *r, u32 bal, u32 len)
{
    u64 size;

    r->base = *e1000_reg(s, bal) | (u64)*e1000_reg(s, bal + 4) << 32;
    r->count = *e1000_reg(s, len) / DESC_SIZE;
    size = r->count * (u64)DESC_SIZE;
    r->host = r->count ? dma_map(s->pci.dma, r->base, &size, true) : NULL;
    if (size != r->count * (u64)DESC_SIZE)
        r->host = NULL;
}

void e1000_ring_read(struct e1000 *s, const struct e1000_ring *r, u32 i, u8 desc[DESC_SIZE])
{
    if (r->host)
        memcpy(desc, r->host + i * (u64)DESC_SIZE, DESC_SIZE);
    else
        dma_read(s->pci.dma, r->base + i * (u64)DESC_SIZE, desc, DESC_SIZE);
}

void e1000_ring_write(struct e1000 *s, const struct e1000_ring *r, u32 i, const u8 desc[DESC_SIZE])
{
    u64 at = i * (u64)DESC_SIZE + 8;

    if (!r->host) {
        dma_write(s->pci.dma, r->base + at, desc + 8, 8);
        return;
    }
    __atomic_store_n((u64 *)(void *)(r->host + at), ld64(desc + 8), __ATOMIC_RELEASE);
    dma_written(s->pci.dma, r->base + at, 8);
}

/* -- statistics (13.7) ---------------------------------------------------------------------------------------------- */

void e1000_count(struct e1000 *s, u32 off, u32 n)
{
    u32 *r = e1000_reg(s, off);

    *r = *r + n < *r ? UINT32_MAX : *r + n;
}

void e1000_count64(struct e1000 *s, u32 off, u32 n)
{
    u64 was = *e1000_reg(s, off) | (u64)*e1000_reg(s, off + 4) << 32, v = was + n < was ? UINT64_MAX : was + n;

    *e1000_reg(s, off) = (u32)v;
    *e1000_reg(s, off + 4) = (u32)(v >> 32);
}

void e1000_count_size(struct e1000 *s, u32 off, u32 len)
{
    unsigned i = len <= 64 ? 0 : len < 128 ? 1 : len < 256 ? 2 : len < 512 ? 3 : len < 1024 ? 4 : 5;

    e1000_count(s, off + 4 * i, 1);
}

/* -- registers with effects ----------------------------------------------------------------------------------------- */

static void reset_mac(struct e1000 *s);

static void write_ctrl(struct e1000 *s, u32 off, u32 val)
{
    if (val & CTRL_RST) {
        reset_mac(s);
        return;
    }
    *e1000_reg(s, CTRL) = val & ~CTRL_PHY_RST;
    if (val & CTRL_PHY_RST)
        e1000_phy_reset(s);
}

static void receive_again(struct e1000 *s)
{
    s->rx_starved = false;
    if (s->net)
        net_receive_ready(s->net);
}

static void write_rctl(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, RCTL) = val & 0x06dfb3fe;
    receive_again(s);
}

static void write_rdt(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, RDT) = val & 0xffff;
    if (s->rx_starved)
        receive_again(s);
}

static void write_tdt(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, TDT) = val & 0xffff;
    e1000_tx_run(s);
}

static void write_tctl(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, TCTL) = val & 0x017ffffa;
    e1000_tx_run(s);
}

/* Pairs of the address's low and high part. */
static void write_ra(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, off) = off & 4 ? val & RAH_MASK : val;
}

/* Counters clear when read; those of 64 bits when their upper half is. */
static u32 read_count(struct e1000 *s, u32 off)
{
    static const u16 pairs[] = { GORCL, GOTCL, TORL, TOTL };
    u32 v = *e1000_reg(s, off);

    for (unsigned i = 0; i < ARRAY_LEN(pairs); i++) {
        if (off == pairs[i])
            return v;
        if (off == pairs[i] + 4u)
            *e1000_reg(s, pairs[i]) = 0;
    }
    *e1000_reg(s, off) = 0;
    return v;
}

/* What exists: writable bits and reset value, or functions in their place. */
struct reg_row {
    u16 off, count;
    u32 wmask, reset;
    u32 (*read)(struct e1000 *s, u32 off);
    void (*write)(struct e1000 *s, u32 off, u32 val);
};

static const struct reg_row rows[] = {
    { CTRL, 1, 0, CTRL_FD | CTRL_SLU | CTRL_SPEED_1000 | 1u << 18 | 1u << 20, NULL, write_ctrl },
    { CTRL + 4, 1, 0, 0, NULL, write_ctrl }, /* CTRL's second address */
    { STATUS, 1, 0, STATUS_FD | STATUS_SPEED_1000 | STATUS_ASDV_1000 | STATUS_MTXCKOK, NULL, NULL },
    { EECD, 1, 0, EECD_PRES, e1000_read_eecd, e1000_write_eecd },
    { EERD, 1, 0, 0, NULL, e1000_write_eerd },
    { CTRL_EXT, 1, 0xffffffff, 0, NULL, NULL },
    { MDIC, 1, 0, MDIC_READY, NULL, e1000_write_mdic },
    { FCAL, 1, 0xffffffff, 0x00c28001, NULL, NULL },
    { FCAH, 1, 0xffff, 0x0100, NULL, NULL },
    { FCT, 1, 0xffff, 0x8808, NULL, NULL },
    { VET, 1, 0xffff, 0x8100, NULL, NULL },
    { ICR, 1, 0, 0, e1000_read_icr, e1000_write_icr },
    { ITR, 1, 0xffff, 0, NULL, NULL },
    { ICS, 1, 0, 0, NULL, e1000_write_ics },
    { IMS, 1, 0, 0, NULL, e1000_write_ims },
    { IMC, 1, 0, 0, NULL, e1000_write_imc },
    { RCTL, 1, 0, 0, NULL, write_rctl },
    { FCTTV, 1, 0xffff, 0, NULL, NULL },
    { TXCW, 1, 0xffffffff, 0, NULL, NULL },
    { RXCW, 1, 0, 0, NULL, NULL },
    { TCTL, 1, 0, 0, NULL, write_tctl },
    { TIPG, 1, 0x3fffffff, 0x00602008, NULL, NULL },
    { AIFS, 1, 0xffff, 0, NULL, NULL },
    { LEDCTL, 1, 0xffffffff, 0x07061302, NULL, NULL },
    { PBA, 1, 0xffff, 0x00100030, NULL, NULL },
    { FCRTL, 1, 0x8000fff8, 0, NULL, NULL },
    { FCRTH, 1, 0x8000fff8, 0, NULL, NULL },
    { RDBAL, 1, 0xfffffff0, 0, NULL, NULL },
    { RDBAH, 1, 0xffffffff, 0, NULL, NULL },
    { RDLEN, 1, 0x000fff80, 0, NULL, NULL },
    { RDH, 1, 0xffff, 0, NULL, NULL },
    { RDT, 1, 0, 0, NULL, write_rdt },
    { RDTR, 1, 0, 0, NULL, e1000_write_rdtr },
    { RXDCTL, 1, 0xffffffff, 0x00010000, NULL, NULL },
    { RADV, 1, 0xffff, 0, NULL, NULL },
    { RSRPD, 1, 0xfff, 0, NULL, NULL },
    { TXDMAC, 1, 0xffffffff, 0, NULL, NULL },
    { TDBAL, 1, 0xfffffff0, 0, NULL, NULL },
    { TDBAH, 1, 0xffffffff, 0, NULL, NULL },
    { TDLEN, 1, 0x000fff80, 0, NULL, NULL },
    { TDH, 1, 0xffff, 0, NULL, NULL },
    { TDT, 1, 0, 0, NULL, write_tdt },
    { TIDV, 1, 0xffff, 0, NULL, NULL },
    { TXDCTL, 1, 0xffffffff, 0, NULL, NULL },
    { TADV, 1, 0xffff, 0, NULL, NULL },
    { TSPMT, 1, 0xffffffff, 0x01000400, NULL, NULL },
    { STATS, (STATS_END - STATS) / 4, 0, 0, read_count, NULL },
    { RXCSUM, 1, 0x3ff, 0, NULL, NULL },
    { MTA, 128, 0xffffffff, 0, NULL, NULL },
    { RAL0, 32, 0, 0, NULL, write_ra },
    { VFTA, 128, 0xffffffff, 0, NULL, NULL },
    { WUC, 1, 0xf, 0, NULL, NULL },
    { WUFC, 1, 0xffffffff, 0, NULL, NULL },
    { WUS, 1, 0xffffffff, 0, NULL, NULL },
    { MANC, 1, 0xffffffff, 0, NULL, NULL },
};

static void map_rows(struct e1000 *s)
{
    static_assert(ARRAY_LEN(rows) < 255, "row numbers fit a byte");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned n = 0; n < rows[i].count; n++)
            s->row[rows[i].off / 4 + n] = i + 1;
}

static u64 mmio_read(void *opaque, u64 off, unsigned size)
{
    struct e1000 *s = opaque;
    unsigned n = off < REG_END ? s->row[off / 4] : 0;

    if (!n) {
        LOG(LOG_UNIMP, "e1000: read of 0x%llx", (unsigned long long)off);
        return 0;
    }
    if (off == CTRL + 4)
        off = CTRL;
    if (off == ICS || off == IMC) /* write-only */
        return off == IMC ? 0 : *e1000_reg(s, ICR);
    return rows[n - 1].read ? rows[n - 1].read(s, off) : *e1000_reg(s, off);
}

static void mmio_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct e1000 *s = opaque;
    unsigned n = off < REG_END ? s->row[off / 4] : 0;
    const struct reg_row *r;

    if (!n) {
        LOG(LOG_UNIMP, "e1000: write of 0x%llx to 0x%llx", (unsigned long long)val, (unsigned long long)off);
        return;
    }
    r = &rows[n - 1];
    if (r->write)
        r->write(s, off, val);
    else
        *e1000_reg(s, off) = (*e1000_reg(s, off) & ~r->wmask) | (val & r->wmask);
}

static const struct region_ops mmio_ops = { mmio_read, mmio_write, 4, 4 };

/* The same registers through an address and a data port (13.3). */
static u64 io_read(void *opaque, u64 off, unsigned size)
{
    struct e1000 *s = opaque;

    return off == IOADDR ? s->io_addr : off == IODATA ? mmio_read(s, s->io_addr & (MMIO_SIZE - 4), 4) : 0;
}

static void io_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct e1000 *s = opaque;

    if (off == IOADDR)
        s->io_addr = val;
    else if (off == IODATA)
        mmio_write(s, s->io_addr & (MMIO_SIZE - 4), val, 4);
}

static const struct region_ops io_ops = { io_read, io_write, 4, 4 };

/* -- life ----------------------------------------------------------------------------------------------------------- */

static void reset_mac(struct e1000 *s)
{
    bool up = *e1000_reg(s, STATUS) & STATUS_LU;

    memset(s->reg, 0, sizeof(s->reg));
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned n = 0; n < rows[i].count; n++)
            s->reg[rows[i].off / 4 + n] = rows[i].reset;
    *e1000_reg(s, RAL0) = s->eeprom.word[0] | (u32)s->eeprom.word[1] << 16;
    *e1000_reg(s, RAH0) = s->eeprom.word[2] | RAH_AV;
    s->csum = s->tso = (struct e1000_context){ 0 };
    s->rx_starved = s->tx_waiting = false;
    e1000_intr_reset(s);
    e1000_set_link(s, up);
    receive_again(s);
}

static void link_changed(void *opaque, bool up)
{
    struct e1000 *s = opaque;

    e1000_set_link(s, up);
    e1000_cause(s, ICR_LSC);
    receive_again(s);
}

static void send_ready(void *opaque)
{
    struct e1000 *s = opaque;

    if (s->tx_waiting)
        e1000_tx_run(s);
}

static const struct net_dev_ops net_ops = {
    .can_receive = e1000_can_receive, .receive = e1000_receive, .link_changed = link_changed, .send_ready = send_ready,
};

static int e1000_realize(struct device *d, struct err *e)
{
    static const struct pci_id id = { VENDOR_INTEL, DEVICE_82540EM, CLASS_ETHERNET, 0, 3, 1, SUBVENDOR, SUBSYS };
    struct e1000 *s = (struct e1000 *)d;

    if (pci_attach(&s->pci, &id, e) < 0)
        return -1;
    if (nic_plug(d, s->net, s->mac, &net_ops, &d->m->lock, e) < 0) {
        pci_detach(&s->pci);
        return -1;
    }
    map_rows(s);
    e1000_eeprom_init(s, DEVICE_82540EM);
    e1000_intr_init(s);
    region_init_io(&s->mmio, "e1000-mmio", MMIO_SIZE, &mmio_ops, s, &d->m->lock);
    region_init_io(&s->io, "e1000-io", IO_SIZE, &io_ops, s, &d->m->lock);
    pci_bar_init(&s->pci, 0, &s->mmio, PCI_BAR_MEM32);
    pci_bar_init(&s->pci, 1, &s->io, PCI_BAR_IO);
    return 0;
}

static void e1000_unrealize(struct device *d)
{
    struct e1000 *s = (struct e1000 *)d;

    e1000_intr_fini(s);
    nic_unplug(s->net, s->mac);
    pci_detach(&s->pci);
}

static void e1000_reset(struct device *d)
{
    struct e1000 *s = (struct e1000 *)d;

    pci_reset(&s->pci);
    s->io_addr = 0;
    eeprom93_reset(&s->eeprom);
    *e1000_reg(s, STATUS) = s->net && net_link_up(s->net) ? STATUS_LU : 0;
    reset_mac(s);
    e1000_phy_reset(s);
}

static void e1000_post_load(struct device *d)
{
    struct e1000 *s = (struct e1000 *)d;

    eeprom93_post_load(&s->eeprom);
    pci_post_load(&s->pci);
    s->tx_waiting = true; /* the ring may have been waiting for room */
    receive_again(s);
}

static void e1000_fw_name(const struct device *d, char *buf, unsigned size)
{
    snprintf(buf, size, "ethernet@%x", PCI_SLOT(((const struct e1000 *)d)->pci.devfn));
}

static const struct prop e1000_props[] = {
    { "netdev", PROP_NET, offsetof(struct e1000, net), 0, NULL, "id of a -netdev" },
    { "mac", PROP_MAC, offsetof(struct e1000, mac), 0, NULL, "address, 52:54:00:12:34:56 and up if not given" },
    { "bootindex", PROP_I32, offsetof(struct e1000, bootindex), (u32)-1, NULL, "place in the boot order" },
    { "mitigation", PROP_BOOL, offsetof(struct e1000, mitigation), 1, NULL, "interrupts are delayed as the guest asks" },
    PCI_PROPS_ROM("pxe-e1000.rom"),
    PROP_DONE
};

static const struct snap_field context_fields[] = {
    SNAP_U(struct e1000_context, ipcss), SNAP_U(struct e1000_context, ipcso), SNAP_U(struct e1000_context, ipcse),
    SNAP_U(struct e1000_context, tucss), SNAP_U(struct e1000_context, tucso), SNAP_U(struct e1000_context, tucse),
    SNAP_U(struct e1000_context, tucmd), SNAP_U(struct e1000_context, hdrlen), SNAP_U(struct e1000_context, mss),
    SNAP_DONE
};

static const struct snap_field delay_fields[] = {
    SNAP_U(struct e1000_delay, due), SNAP_U(struct e1000_delay, limit), SNAP_T(struct e1000_delay, timer), SNAP_DONE
};

static const struct snap_field e1000_fields[] = {
    PCI_SNAP,
    SNAP_B(struct e1000, mac),
    SNAP_A(struct e1000, reg),
    SNAP_U(struct e1000, io_addr),
    SNAP_A(struct e1000, phy),
    SNAP_S(struct e1000, eeprom, eeprom93_fields),
    SNAP_S(struct e1000, csum, context_fields),
    SNAP_S(struct e1000, tso, context_fields),
    SNAP_U(struct e1000, intr_next),
    SNAP_U(struct e1000, intr_line),
    SNAP_T(struct e1000, itr_timer),
    SNAP_S(struct e1000, rx_delay, delay_fields),
    SNAP_S(struct e1000, tx_delay, delay_fields),
    SNAP_DONE
};

const struct dev_class e1000_class = {
    .name = "e1000",
    .desc = "Intel Gigabit Ethernet (82540EM)",
    .state_size = sizeof(struct e1000),
    .user_creatable = true,
    .bus_type = "PCI",
    .props = e1000_props,
    .fields = e1000_fields,
    .snap_version = 2,
    .realize = e1000_realize,
    .reset = e1000_reset,
    .unrealize = e1000_unrealize,
    .post_load = e1000_post_load,
    .fw_name = e1000_fw_name,
};
