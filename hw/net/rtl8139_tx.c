/* The RTL8139's transmit side: four descriptor registers (C mode), or two rings with checksum and segmentation offload (C+ mode). In the
 * thread of the vCPU that started it, or the main thread when the link has room again; machine lock held. */
#include "hw/net/rtl8139.h"
#include "mmu/dma.h"
#include "util/inet_sum.h"
#include "util/log.h"

enum { VLAN_TYPE = 0x8100, MIN_FRAME = 60, TSD_COUNT = 4 };

static bool link_full(struct rtl8139 *s)
{
    s->tx_waiting = s->net && !net_can_send(s->net);
    return s->tx_waiting;
}

/* A frame of `len` bytes in s->buf; tag >= 0: goes in behind the addresses. */
static void send_frame(struct rtl8139 *s, u32 len, int tag, struct net_offload *o)
{
    u8 vlan[4] = { VLAN_TYPE >> 8, VLAN_TYPE & 0xff, tag >> 8, tag };
    struct iovec iov[3] = { { s->buf, 12 }, { vlan, tag >= 0 ? 4 : 0 }, { s->buf + 12, len - 12 } };
    u8 *copy;

    if (tag >= 0 && o->flags)
        o->csum_start += 4;
    if ((*rtl_reg32(s, TCR) & TCR_LOOPBACK) == TCR_LOOPBACK) {
        copy = s->buf; /* the receiver puts nothing into it */
        rtl_receive(s, copy, MIN_OF(len, 1514u), &(struct net_offload){ 0 });
    } else if (s->net) {
        net_send(s->net, iov, 3, o);
    }
    s->tally.tx_ok++;
}

/* -- C mode --------------------------------------------------------------------------------------------------------- */

static void send_tsd(struct rtl8139 *s, unsigned i)
{
    u32 len = s->tsd[i] & TSD_SIZE;
    struct net_offload o = { 0 };

    dma_read(s->pci.dma, ld32(s->reg + TSAD0 + 4 * i), s->buf, len);
    if (len < 14) {
        GUEST_ERROR("rtl8139: a frame of %u bytes is not sent", len);
    } else {
        if (len < MIN_FRAME)
            memset(s->buf + len, 0, MIN_FRAME - len);
        send_frame(s, MAX_OF(len, (u32)MIN_FRAME), -1, &o);
    }
    s->tsd[i] |= TSD_OWN | TSD_TOK;
}

void rtl_tx_run(struct rtl8139 *s)
{
    if (!(s->reg[CR] & CR_TE) || !pci_is_master(&s->pci))
        return;
    for (unsigned n = 0; n < TSD_COUNT && !(s->tsd[s->tx_next] & TSD_OWN); n++) {
        if (link_full(s))
            return;
        send_tsd(s, s->tx_next);
        s->tx_next = (s->tx_next + 1) % TSD_COUNT;
        rtl_cause(s, ISR_TOK);
    }
}

/* -- C+ mode -------------------------------------------------------------------------------------------------------- */

struct descriptor {
    u32 opts1, opts2;
    u64 addr;
};

static u64 ring_base(const struct rtl8139 *s, bool high)
{
    return ld64(s->reg + (high ? THPDS : TNPDS)) & ~0xffull;
}

/* What is not in memory is not owned by the card. */
static void read_desc(struct rtl8139 *s, u64 base, unsigned i, struct descriptor *d)
{
    if (dma_read(s->pci.dma, base + 16 * i, d, sizeof(*d)) < 0)
        d->opts1 = D_EOR;
}

static unsigned next_index(unsigned i, const struct descriptor *d)
{
    return (d->opts1 & D_EOR) || i + 1 == RTL_DESCS ? 0 : i + 1;
}

/* Where the headers of an untagged IP packet are; 0: it is none. */
static u32 l4_offset(const u8 *p, u32 len, bool *v4)
{
    u16 type = p[12] << 8 | p[13];

    *v4 = type == 0x0800;
    if (*v4 && len >= 34 && p[14] >> 4 == 4 && (p[14] & 15) >= 5)
        return 14 + (p[14] & 15) * 4u;
    return type == 0x86dd && len >= 54 ? 54 : 0;
}

/* What the first descriptor asks for. False: drop it. */
static bool offload(struct rtl8139 *s, const struct descriptor *d, u32 len, struct net_offload *o)
{
    bool v4, tcp = d->opts1 & TD_TCPCS;
    u32 l4 = l4_offset(s->buf, len, &v4), at = tcp ? 16 : 6;

    if (d->opts1 & TD_LGSEN) {
        u32 hdr = l4 && l4 + 20 <= len ? l4 + (s->buf[l4 + 12] >> 4) * 4u : 0;
        return hdr && nic_ask_segments(s->buf, len, 14, l4, hdr, v4, true, d->opts1 >> 16 & 0x7ff, o);
    }
    if (!l4 || l4 > len)
        return true;
    if (v4 && (d->opts1 & TD_IPCS)) {
        st16(s->buf + 24, 0);
        st16(s->buf + 24, (u16)~inet_sum(s->buf + 14, l4 - 14, 0));
    }
    if ((d->opts1 & (TD_TCPCS | TD_UDPCS)) && l4 + at + 2 <= len) {
        u32 l4_len = v4 ? (u32)(s->buf[16] << 8 | s->buf[17]) - (l4 - 14) : (u32)(s->buf[18] << 8 | s->buf[19]);
        if (l4_len > len - l4 || l4_len < at + 2)
            return true;
        st16(s->buf + l4 + at, inet_pseudo_sum(s->buf + 14, v4, tcp ? 6 : 17, l4_len));
        *o = (struct net_offload){ .flags = NET_F_NEEDS_CSUM, .csum_start = l4, .csum_offset = at };
    }
    return true;
}

/* Gives n descriptors back. (What was sent in loopback may have changed the ring.) False: they cannot be written. */
static bool write_back(struct rtl8139 *s, u64 base, unsigned from, unsigned n)
{
    struct descriptor d;

    while (n--) {
        read_desc(s, base, from, &d);
        d.opts1 &= D_EOR | D_FS | D_LS | 0xffff;
        if (dma_write(s->pci.dma, base + 16 * from, &d.opts1, 4) < 0)
            return false;
        from = next_index(from, &d);
    }
    return true;
}

/* Sends the packet at the ring's index. False: there is none, or its end is not there yet. */
static bool send_packet(struct rtl8139 *s, u64 base, u8 *index)
{
    struct descriptor d, head = { 0 };
    struct net_offload o = { 0 };
    unsigned i = *index, n = 0;
    u32 len = 0;
    bool too_long = false;

    for (bool end = false; !end;) {
        read_desc(s, base, i, &d);
        if (!(d.opts1 & D_OWN))
            return false;
        if (!n)
            head = d;
        u32 part = d.opts1 & 0xffff;
        too_long |= part > RTL_FRAME_MAX - len;
        if (!too_long) {
            dma_read(s->pci.dma, d.addr, s->buf + len, part);
            len += part;
        }
        i = next_index(i, &d);
        n++;
        end = d.opts1 & D_LS;
        if (!end && (n == RTL_DESCS || i == *index))
            too_long = end = true; /* a whole ring without an end */
    }
    if (too_long || len < 14 || !offload(s, &head, len, &o)) {
        GUEST_ERROR("rtl8139: a packet of %u bytes is not sent", len);
        s->tally.tx_err++;
    } else {
        if (len < MIN_FRAME && !o.flags) {
            memset(s->buf + len, 0, MIN_FRAME - len);
            len = MIN_FRAME;
        }
        send_frame(s, len, head.opts2 & TD_TAGC ? __builtin_bswap16((u16)head.opts2) : -1, &o);
    }
    bool ok = write_back(s, base, *index, n);
    *index = i;
    return ok;
}

void rtl_tx_poll(struct rtl8139 *s, bool high)
{
    u64 base = ring_base(s, high);
    unsigned n = 0;

    if (!(s->reg[CR] & CR_TE) || !(*rtl_reg16(s, CPCR) & CPCR_TX) || !pci_is_master(&s->pci))
        return;
    while (n < RTL_DESCS && !link_full(s) && send_packet(s, base, &s->tx_index[high]))
        n++;
    if (n)
        rtl_cause(s, ISR_TOK | ISR_TDU);
}
