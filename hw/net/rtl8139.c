/* Realtek RTL8139C+ Fast Ethernet: registers, interrupts, timer, and the device; rtl8139_tx.c and rtl8139_rx.c do the rest. vCPU threads
 * (registers) and the main thread (frames, timer, link), machine lock held. Realtek's RTL8139C+(L) data sheet, chapters 5 to 9. */
#include "hw/net/rtl8139.h"
#include <stdio.h>
#include "mmu/dma.h"
#include "util/log.h"

enum { VENDOR_REALTEK = 0x10ec, DEVICE_8139 = 0x8139, REVISION_CPLUS = 0x20, SUBVENDOR = 0x1af4, SUBSYS = 0x1100 };
enum { HWVERID = 0x74800000, CONFIG_UNLOCK = 0xc0, EEPROM_MODE = 0x80, EEPROM_SIGNATURE = 0x8129, PCI_CLOCK_HZ = 33000000 };
enum { EE_CS = 8, EE_SK = 4, EE_DI = 2, EE_DO = 1 };

/* -- interrupts ----------------------------------------------------------------------------------------------------- */

static void update_interrupt(struct rtl8139 *s)
{
    pci_set_intx(&s->pci, (*rtl_reg16(s, ISR) & *rtl_reg16(s, IMR)) != 0);
}

void rtl_cause(struct rtl8139 *s, u16 causes)
{
    *rtl_reg16(s, ISR) |= causes;
    update_interrupt(s);
}

/* -- the timer: TCTR counts PCI clocks ------------------------------------------------------------------------------ */

static u64 clocks_to_ns(u64 clocks) { return clocks * 1000 / (PCI_CLOCK_HZ / 1000000); }

static u32 timer_count(struct rtl8139 *s)
{
    u64 ns = (u64)(clock_ns(s->pci.dev.m->clock) - s->timer_base);

    return (u32)((u128)ns * (PCI_CLOCK_HZ / 1000000) / 1000);
}

/* The next time that TCTR passes TimerInt; 0 there means never. */
static void timer_arm(struct rtl8139 *s)
{
    u32 target = *rtl_reg32(s, TIMERINT), now = timer_count(s);
    u64 clocks = (u32)(target - now);

    timer_cancel(&s->timer);
    if (target)
        timer_set(&s->timer, clock_ns(s->pci.dev.m->clock) + (i64)clocks_to_ns(clocks ? clocks : 1ull << 32) + 1);
}

static void on_timer(void *opaque)
{
    struct rtl8139 *s = opaque;

    rtl_cause(s, ISR_TIMEOUT);
    timer_arm(s);
}

/* -- registers with effects ------------------------------------------------------------------------------------------ */

static void soft_reset(struct rtl8139 *s);

static void receive_again(struct rtl8139 *s)
{
    s->rx_starved = false;
    if (s->net)
        net_receive_ready(s->net);
}

static void on_rx_timer(void *opaque)
{
    receive_again(opaque);
}

static void transmit_again(struct rtl8139 *s)
{
    rtl_tx_run(s);
    rtl_tx_poll(s, true);
    rtl_tx_poll(s, false);
}

struct reg_row {
    u8 off, size;    /* one register, or several of the same kind side by side */
    u32 wmask, reset;
    /* In place of storing: the bits in `mask` were written. `off` is the register's. */
    void (*write)(struct rtl8139 *s, unsigned off, u32 val, u32 mask);
    u32 (*read)(struct rtl8139 *s, unsigned off);
    void (*written)(struct rtl8139 *s); /* after storing */
};

static void write_cr(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    if (val & CR_RST) {
        soft_reset(s);
        return;
    }
    s->reg[CR] = (s->reg[CR] & CR_BUFE) | (val & (CR_TE | CR_RE));
    rtl_rx_update(s);
    receive_again(s);
    rtl_tx_run(s);
}

static void write_isr(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    *rtl_reg16(s, ISR) &= ~(val & mask);
    update_interrupt(s);
}

static bool plus_tx(const struct rtl8139 *s) { return ld16(s->reg + CPCR) & CPCR_TX; }

/* C+ mode: the lower half of DTCCR; writing its command bit dumps the counters. C mode: TSD0. */
static void write_tsd(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    unsigned i = (off - TSD0) / 4;

    if (plus_tx(s)) {
        *rtl_reg32(s, off) = (*rtl_reg32(s, off) & ~mask) | (val & mask);
        if (i == 0 && (val & mask & DTCCR_CMD)) {
            dma_write(s->pci.dma, ld64(s->reg + DTCCR) & ~63ull, &s->tally, sizeof(s->tally));
            *rtl_reg32(s, DTCCR) &= ~DTCCR_CMD;
        }
        return;
    }
    s->tsd[i] = (s->tsd[i] & ~mask) | (val & mask & 0x003f3fff);
    if (!(s->tsd[i] & TSD_OWN))
        s->tsd[i] &= ~TSD_TOK;
    rtl_tx_run(s);
}

static u32 read_tsd(struct rtl8139 *s, unsigned off)
{
    return plus_tx(s) ? *rtl_reg32(s, off) : s->tsd[(off - TSD0) / 4];
}

/* Summary of the four TSDs: OWN, abort, underrun, OK in four bits each. */
static u32 read_tsad(struct rtl8139 *s, unsigned off)
{
    u32 v = 0;

    for (unsigned i = 0; i < 4; i++)
        v |= (s->tsd[i] & TSD_OWN ? 1u << i : 0) | (s->tsd[i] & TSD_TUN ? 0x100u << i : 0) | (s->tsd[i] & TSD_TOK ? 0x1000u << i : 0);
    return v;
}

static u32 read_tctr(struct rtl8139 *s, unsigned off) { return timer_count(s); }

static void write_tctr(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    s->timer_base = clock_ns(s->pci.dev.m->clock);
    timer_arm(s);
}

static void write_mpc(struct rtl8139 *s, unsigned off, u32 val, u32 mask) { *rtl_reg32(s, MPC) = 0; }

static void write_9346(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    s->reg[CR9346] = val & 0xce;
    if ((val & CONFIG_UNLOCK) == 0x40) { /* load everything from the EEPROM again */
        for (unsigned i = 0; i < 3; i++)
            st16(s->reg + IDR0 + 2 * i, s->eeprom.word[7 + i]);
        s->reg[CR9346] = 0;
    }
    eeprom93_drive(&s->eeprom, (val & CONFIG_UNLOCK) == EEPROM_MODE && (val & EE_CS), val & EE_SK, val & EE_DI);
}

static u32 read_9346(struct rtl8139 *s, unsigned off)
{
    return s->reg[CR9346] | ((s->reg[CR9346] & CONFIG_UNLOCK) == EEPROM_MODE && eeprom93_out(&s->eeprom) ? EE_DO : 0);
}

static void write_config(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    static const struct { u8 off, wmask; } bits[] = { { CONFIG0, 0 }, { CONFIG1, 0xf1 }, { CONFIG3, 0x61 }, { CONFIG4, 0xb6 },
                                                      { CONFIG5, 0x7f } };

    if ((s->reg[CR9346] & CONFIG_UNLOCK) != CONFIG_UNLOCK) {
        GUEST_ERROR("rtl8139: configuration register 0x%02x is locked", off);
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(bits); i++)
        if (bits[i].off == off)
            s->reg[off] = (s->reg[off] & ~bits[i].wmask) | (val & bits[i].wmask);
}

static void set_link(struct rtl8139 *s, bool up)
{
    s->reg[MSR] = (s->reg[MSR] & ~MSR_LINKB) | (up ? 0 : MSR_LINKB);
    *rtl_reg16(s, BMSR) = (*rtl_reg16(s, BMSR) & ~(BMSR_LINK | BMSR_DONE)) | (up ? BMSR_LINK | BMSR_DONE : 0);
}

/* Reset and restart of negotiation are over at once. */
static void write_bmcr(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    *rtl_reg16(s, BMCR) = val & BMCR_RESET ? 0x3100 : ((*rtl_reg16(s, BMCR) & ~mask) | (val & mask)) & 0x3100;
    if (val & (BMCR_RESET | BMCR_RESTART))
        rtl_cause(s, ISR_LINK);
}

static void write_tppoll(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    if (val & TPPOLL_FSWINT)
        rtl_cause(s, ISR_SWINT);
    if (val & TPPOLL_HPQ)
        rtl_tx_poll(s, true);
    if (val & TPPOLL_NPQ)
        rtl_tx_poll(s, false);
}

/* A new ring begins at its first descriptor. */
static void write_rings(struct rtl8139 *s, unsigned off, u32 val, u32 mask)
{
    *rtl_reg32(s, off) = (*rtl_reg32(s, off) & ~mask) | (val & mask);
    if (off == TNPDS || off == THPDS)
        s->tx_index[off == THPDS] = 0;
    if (off == RDSAR)
        s->rx_index = 0;
}

static const struct reg_row rows[] = {
    { IDR0, 4, 0xffffffff, 0, NULL, NULL, NULL }, { IDR0 + 4, 2, 0xffff, 0, NULL, NULL, NULL },
    { MAR0, 4, 0xffffffff, 0, NULL, NULL, NULL }, { MAR0 + 4, 4, 0xffffffff, 0, NULL, NULL, NULL },
    { TSD0, 4, 0, 0, write_tsd, read_tsd, NULL }, { TSD0 + 4, 4, 0, 0, write_tsd, read_tsd, NULL },
    { TSD0 + 8, 4, 0, 0, write_tsd, read_tsd, NULL }, { TSD0 + 12, 4, 0, 0, write_tsd, read_tsd, NULL },
    { TSAD0, 4, 0, 0, write_rings, NULL, NULL }, { TSAD0 + 4, 4, 0, 0, write_rings, NULL, NULL },
    { TSAD0 + 8, 4, 0, 0, write_rings, NULL, NULL }, { TSAD0 + 12, 4, 0, 0, write_rings, NULL, NULL },
    { RBSTART, 4, 0xffffffff, 0, NULL, NULL, NULL },
    { ERBCR, 2, 0, 0, NULL, NULL, NULL }, { ERSR, 1, 0, 0, NULL, NULL, NULL },
    { CR, 1, 0, CR_BUFE, write_cr, NULL, NULL },
    { CAPR, 2, 0xffff, 0xfff0, NULL, NULL, rtl_rx_update },
    { CBR, 2, 0, 0, NULL, NULL, NULL },
    { IMR, 2, ISR_ALL, 0, NULL, NULL, update_interrupt },
    { ISR, 2, 0, 0, write_isr, NULL, NULL },
    { TCR, 4, 0x030707f0, HWVERID, NULL, NULL, NULL },
    { RCR, 4, 0x0f01ffff, 0, NULL, NULL, receive_again },
    { TCTR, 4, 0, 0, write_tctr, read_tctr, NULL },
    { MPC, 4, 0, 0, write_mpc, NULL, NULL },
    { CR9346, 1, 0, 0, write_9346, read_9346, NULL },
    { CONFIG0, 1, 0, 0, write_config, NULL, NULL }, { CONFIG1, 1, 0, 0x0c, write_config, NULL, NULL },
    { TIMERINT, 4, 0xffffffff, 0, NULL, NULL, timer_arm },
    { MSR, 1, 0xc0, 0x10, NULL, NULL, NULL },
    { CONFIG3, 1, 0, 0x01, write_config, NULL, NULL }, { CONFIG4, 1, 0, 0, write_config, NULL, NULL },
    { MULINT, 2, 0x0fff, 0, NULL, NULL, NULL }, { RERID, 1, 0, 0x10, NULL, NULL, NULL },
    { TSAD, 2, 0, 0, NULL, read_tsad, NULL },
    { BMCR, 2, 0, 0x3100, write_bmcr, NULL, NULL }, { BMSR, 2, 0, 0x7809, NULL, NULL, NULL },
    { ANAR, 2, 0x2de0, 0x05e1, NULL, NULL, NULL }, { ANLPAR, 2, 0, 0x45e1, NULL, NULL, NULL }, { ANER, 2, 0, 0x0001, NULL, NULL, NULL },
    { DIS, 2, 0, 0, NULL, NULL, NULL }, { FCSC, 2, 0, 0, NULL, NULL, NULL }, { NWAYTR, 2, 0x87, 0, NULL, NULL, NULL },
    { REC, 2, 0, 0, NULL, NULL, NULL }, { CSCR, 2, 0xfc34, 0x0074, NULL, NULL, NULL },
    { PHY1_PARM, 4, 0xffffffff, 0, NULL, NULL, NULL }, { TW_PARM, 4, 0xffffffff, 0, NULL, NULL, NULL },
    { PHY2_PARM, 1, 0xff, 0, NULL, NULL, NULL },
    { CONFIG5, 1, 0, 0, write_config, NULL, NULL },
    { TPPOLL, 1, 0, 0, write_tppoll, NULL, NULL },
    { CPCR, 2, 0x007b, 0, NULL, NULL, receive_again },
    { INTRMITIGATE, 2, 0xffff, 0, NULL, NULL, NULL },
    { RDSAR, 4, 0, 0, write_rings, NULL, NULL }, { RDSAR + 4, 4, 0, 0, write_rings, NULL, NULL },
    { ETTHR, 1, 0x3f, 0, NULL, NULL, NULL },
};

static void map_rows(struct rtl8139 *s)
{
    static_assert(ARRAY_LEN(rows) < 255, "row numbers fit a byte");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned n = 0; n < rows[i].size; n++)
            s->row[rows[i].off + n] = i + 1;
}

static u32 row_value(struct rtl8139 *s, const struct reg_row *r)
{
    u32 v = 0;

    memcpy(&v, s->reg + r->off, r->size);
    return v;
}

static void row_write(struct rtl8139 *s, const struct reg_row *r, u32 val, u32 mask)
{
    u32 v;

    if (r->write) {
        r->write(s, r->off, val, mask);
        return;
    }
    v = (row_value(s, r) & ~(mask & r->wmask)) | (val & mask & r->wmask);
    memcpy(s->reg + r->off, &v, r->size);
    if (r->written)
        r->written(s);
}

/* Accesses may cover a part of a register, or several. */
static void reg_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct rtl8139 *s = opaque;

    for (unsigned i = 0; i < size && off + i < RTL_REGS;) {
        unsigned at = off + i, n = s->row[at];
        if (!n) {
            i++;
            continue;
        }
        const struct reg_row *r = &rows[n - 1];
        unsigned part = MIN_OF(r->off + r->size - at, size - i), shift = (at - r->off) * 8;
        u32 mask = (u32)MASK64(part * 8) << shift;
        row_write(s, r, (u32)(val >> (8 * i)) << shift, mask);
        i += part;
    }
    if (s->rx_starved) /* whatever it was, there may be room now */
        receive_again(s);
}

static u64 reg_read(void *opaque, u64 off, unsigned size)
{
    struct rtl8139 *s = opaque;
    u64 v = 0;

    for (unsigned i = 0; i < size && off + i < RTL_REGS;) {
        unsigned at = off + i, n = s->row[at];
        if (!n) {
            i++;
            continue;
        }
        const struct reg_row *r = &rows[n - 1];
        unsigned part = MIN_OF(r->off + r->size - at, size - i);
        u32 val = r->read ? r->read(s, r->off) : row_value(s, r);
        v |= (val >> ((at - r->off) * 8) & MASK64(part * 8)) << (8 * i);
        i += part;
    }
    return v;
}

static const struct region_ops reg_ops = { reg_read, reg_write, 1, 4 };

/* -- life ----------------------------------------------------------------------------------------------------------- */

/* What CR.RST resets: everything but addresses and the multicast filter (5.6), and the C+ rings' places. */
static void soft_reset(struct rtl8139 *s)
{
    u8 keep[TSD0], msr = s->reg[MSR];
    u16 bmsr = *rtl_reg16(s, BMSR);

    memcpy(keep, s->reg, sizeof(keep));
    memset(s->reg, 0, sizeof(s->reg));
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        memcpy(s->reg + rows[i].off, &rows[i].reset, rows[i].size);
    memcpy(s->reg, keep, sizeof(keep));
    set_link(s, bmsr & BMSR_LINK && !(msr & MSR_LINKB));
    for (unsigned i = 0; i < 4; i++)
        s->tsd[i] = TSD_OWN;
    s->tx_next = s->tx_index[0] = s->tx_index[1] = s->rx_index = 0;
    s->rx_starved = s->tx_waiting = false;
    s->timer_base = clock_ns(s->pci.dev.m->clock);
    timer_cancel(&s->timer);
    rtl_rx_update(s);
    update_interrupt(s);
    receive_again(s);
}

static void link_changed(void *opaque, bool up)
{
    struct rtl8139 *s = opaque;

    set_link(s, up);
    rtl_cause(s, ISR_LINK);
}

static void send_ready(void *opaque)
{
    struct rtl8139 *s = opaque;

    if (s->tx_waiting)
        transmit_again(s);
}

static const struct net_dev_ops net_ops = {
    .can_receive = rtl_can_receive, .receive = rtl_receive, .link_changed = link_changed, .send_ready = send_ready,
};

static void eeprom_init(struct rtl8139 *s)
{
    u16 *w = s->eeprom.word;

    w[0] = EEPROM_SIGNATURE;
    w[1] = VENDOR_REALTEK;
    w[2] = DEVICE_8139;
    w[3] = SUBVENDOR;
    w[4] = SUBSYS;
    for (unsigned i = 0; i < 3; i++)
        w[7 + i] = ld16(s->mac + 2 * i);
}

static int rtl_realize(struct device *d, struct err *e)
{
    static const struct pci_id id = { VENDOR_REALTEK, DEVICE_8139, 0x0200, 0, REVISION_CPLUS, 1, SUBVENDOR, SUBSYS };
    struct rtl8139 *s = (struct rtl8139 *)d;

    if (pci_attach(&s->pci, &id, e) < 0)
        return -1;
    if (nic_plug(d, s->net, s->mac, &net_ops, &d->m->lock, e) < 0) {
        pci_detach(&s->pci);
        return -1;
    }
    map_rows(s);
    eeprom_init(s);
    timer_init(&s->timer, d->m->clock, on_timer, s);
    timer_init(&s->rx_timer, d->m->clock, on_rx_timer, s);
    region_init_io(&s->io, "rtl8139-io", RTL_REGS, &reg_ops, s, &d->m->lock);
    region_init_io(&s->mmio, "rtl8139-mmio", RTL_REGS, &reg_ops, s, &d->m->lock);
    pci_bar_init(&s->pci, 0, &s->io, PCI_BAR_IO);
    pci_bar_init(&s->pci, 1, &s->mmio, PCI_BAR_MEM32);
    return 0;
}

static void rtl_unrealize(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;

    timer_cancel(&s->timer);
    timer_cancel(&s->rx_timer);
    nic_unplug(s->net, s->mac);
    pci_detach(&s->pci);
}

static void rtl_reset(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;

    pci_reset(&s->pci);
    eeprom93_reset(&s->eeprom);
    memset(s->reg, 0, sizeof(s->reg));
    for (unsigned i = 0; i < 3; i++)
        st16(s->reg + IDR0 + 2 * i, s->eeprom.word[7 + i]);
    soft_reset(s);
    set_link(s, s->net && net_link_up(s->net));
    s->tally = (struct rtl_tally){ 0 };
}

static void rtl_post_load(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;

    s->tx_next %= 4;
    s->tx_index[0] %= RTL_DESCS;
    s->tx_index[1] %= RTL_DESCS;
    s->rx_index %= RTL_DESCS;
    eeprom93_post_load(&s->eeprom);
    pci_post_load(&s->pci);
    s->tx_waiting = true;
    receive_again(s);
}

static void rtl_fw_name(const struct device *d, char *buf, unsigned size)
{
    snprintf(buf, size, "ethernet@%x", PCI_SLOT(((const struct rtl8139 *)d)->pci.devfn));
}

static const struct prop rtl_props[] = {
    { "netdev", PROP_NET, offsetof(struct rtl8139, net), 0, NULL, "id of a -netdev" },
    { "mac", PROP_MAC, offsetof(struct rtl8139, mac), 0, NULL, "address, 52:54:00:12:34:56 and up if not given" },
    { "bootindex", PROP_I32, offsetof(struct rtl8139, bootindex), (u32)-1, NULL, "place in the boot order" },
    PCI_PROPS_ROM("pxe-rtl8139.rom"),
    PROP_DONE
};

static const struct snap_field tally_fields[] = {
    SNAP_U(struct rtl_tally, tx_ok), SNAP_U(struct rtl_tally, rx_ok), SNAP_U(struct rtl_tally, tx_err), SNAP_U(struct rtl_tally, rx_err),
    SNAP_U(struct rtl_tally, missed), SNAP_U(struct rtl_tally, align), SNAP_U(struct rtl_tally, tx_1col),
    SNAP_U(struct rtl_tally, tx_mcol), SNAP_U(struct rtl_tally, rx_unicast), SNAP_U(struct rtl_tally, rx_broadcast),
    SNAP_U(struct rtl_tally, rx_multicast), SNAP_U(struct rtl_tally, tx_abort), SNAP_U(struct rtl_tally, tx_underrun),
    SNAP_DONE
};

static const struct snap_field rtl_fields[] = {
    PCI_SNAP,
    SNAP_B(struct rtl8139, mac),
    SNAP_B(struct rtl8139, reg),
    SNAP_A(struct rtl8139, tsd),
    SNAP_S(struct rtl8139, eeprom, eeprom93_fields),
    SNAP_S(struct rtl8139, tally, tally_fields),
    SNAP_U(struct rtl8139, tx_next),
    SNAP_A(struct rtl8139, tx_index),
    SNAP_U(struct rtl8139, rx_index),
    SNAP_U(struct rtl8139, timer_base),
    SNAP_T(struct rtl8139, timer),
    SNAP_DONE
};

const struct dev_class rtl8139_class = {
    .name = "rtl8139",
    .desc = "Realtek RTL8139C+ Fast Ethernet",
    .state_size = sizeof(struct rtl8139),
    .user_creatable = true,
    .bus_type = "PCI",
    .props = rtl_props,
    .fields = rtl_fields,
    .snap_version = 1,
    .realize = rtl_realize,
    .reset = rtl_reset,
    .unrealize = rtl_unrealize,
    .post_load = rtl_post_load,
    .fw_name = rtl_fw_name,
};
