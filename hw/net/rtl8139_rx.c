/* The RTL8139's receive side: address filter, and frames into a byte ring (C mode) or into descriptors (C+ mode). Main thread (a link's
 * delivery) or, in loopback, the transmitting vCPU's thread; machine lock held. */
#include "hw/net/rtl8139.h"
#include "mmu/dma.h"

enum { RX_POLL_NS = 1000000, FRAME_MAX = 1518, FRAME_MIN = 60, HEADER = 4, VLAN_TYPE = 0x8100, DESC_SIZE = 16 };

/* -- filter --------------------------------------------------------------------------------------------------------- */

/* The upper six bits of the Ethernet CRC, taken with the first bit of each byte lowest. */
static unsigned multicast_hash(const u8 *da)
{
    u32 crc = 0xffffffff;

    for (unsigned i = 0; i < 48; i++) {
        u32 bit = (crc >> 31) ^ (da[i / 8] >> (i % 8) & 1);
        crc = crc << 1 ^ (bit ? 0x04c11db7 : 0);
    }
    return crc >> 26;
}

/* The status of a frame that passes (RX_BAR, RX_MAR, RX_PAM or 0 in promiscuous mode), -1: it does not. */
static int filter(struct rtl8139 *s, const u8 *da)
{
    u32 rcr = *rtl_reg32(s, RCR);
    unsigned hash;

    if (!(da[0] & 1)) {
        if (!memcmp(da, s->reg + IDR0, 6) && (rcr & (RCR_APM | RCR_AAP)))
            return RX_PAM;
        return rcr & RCR_AAP ? 0 : -1;
    }
    if (!memcmp(da, "\xff\xff\xff\xff\xff\xff", 6))
        return rcr & (RCR_AB | RCR_AAP) ? RX_BAR : -1;
    hash = multicast_hash(da);
    return (rcr & RCR_AAP) || ((rcr & RCR_AM) && (s->reg[MAR0 + hash / 8] >> (hash % 8) & 1)) ? RX_MAR : -1;
}

static bool enabled(struct rtl8139 *s)
{
    return (s->reg[CR] & CR_RE) && pci_is_master(&s->pci);
}

static bool plus_mode(struct rtl8139 *s) { return *rtl_reg16(s, CPCR) & CPCR_RX; }

/* -- C mode: a ring of bytes ---------------------------------------------------------------------------------------- */

static u32 ring_size(struct rtl8139 *s)
{
    return 8192u << (*rtl_reg32(s, RCR) >> 11 & 3);
}

/* Bytes that may be written; the ring is never filled completely. */
static u32 ring_room(struct rtl8139 *s)
{
    u32 size = ring_size(s), read = (*rtl_reg16(s, CAPR) + 16u) % size, write = *rtl_reg16(s, CBR) % size;

    return (read + size - write - 1) % size;
}

void rtl_rx_update(struct rtl8139 *s)
{
    u32 size = ring_size(s);
    bool empty = (*rtl_reg16(s, CAPR) + 16u) % size == *rtl_reg16(s, CBR) % size;

    s->reg[CR] = (s->reg[CR] & ~CR_BUFE) | (empty ? CR_BUFE : 0);
}

/* Appends to the ring, around its end unless the guest wants frames in one piece. */
static void ring_put(struct rtl8139 *s, u32 *at, const void *p, u32 len)
{
    u32 size = ring_size(s), first = len;
    u64 base = *rtl_reg32(s, RBSTART);
    bool whole = (*rtl_reg32(s, RCR) & RCR_WRAP) && size < 65536;

    if (!whole)
        first = *at < size ? MIN_OF(len, size - *at) : 0;
    dma_write(s->pci.dma, base + *at, p, first);
    if (len > first)
        dma_write(s->pci.dma, base, (const u8 *)p + first, len - first);
    *at = len > first ? len - first : *at + first;
    if (!whole && *at == size)
        *at = 0;
}

static void put_ring(struct rtl8139 *s, const u8 *frame, u32 len, u16 status)
{
    static const u8 zeros[FRAME_MIN + RTL_CRC];
    u32 total = MAX_OF(len, (u32)FRAME_MIN), at = *rtl_reg16(s, CBR) % ring_size(s);
    u8 head[HEADER];

    if (ALIGN_UP(HEADER + total + RTL_CRC, 4) > ring_room(s)) {
        s->tally.missed++;
        *rtl_reg32(s, MPC) = (*rtl_reg32(s, MPC) + 1) & 0xffffff;
        rtl_cause(s, ISR_RXOVW);
        return;
    }
    st16(head, status | RX_ROK);
    st16(head + 2, total + RTL_CRC);
    ring_put(s, &at, head, HEADER);
    ring_put(s, &at, frame, len);
    ring_put(s, &at, zeros, total - len + RTL_CRC);
    *rtl_reg16(s, CBR) = ALIGN_UP(at, 4) % ring_size(s);
    rtl_rx_update(s);
    rtl_cause(s, ISR_ROK);
}

/* -- C+ mode: descriptors ------------------------------------------------------------------------------------------- */

struct descriptor {
    u32 opts1, opts2;
    u64 addr;
};

static u64 desc_addr(struct rtl8139 *s, unsigned i)
{
    return (ld64(s->reg + RDSAR) & ~0xffull) + DESC_SIZE * i;
}

/* Whether the descriptors from the current one on hold n bytes. */
static bool descs_hold(struct rtl8139 *s, u32 n)
{
    unsigned i = s->rx_index;
    struct descriptor d;

    for (unsigned k = 0; k < RTL_DESCS; k++) {
        if (dma_read(s->pci.dma, desc_addr(s, i), &d, sizeof(d)) < 0 || !(d.opts1 & D_OWN))
            return false;
        if ((d.opts1 & 0x1fff) >= n)
            return true;
        n -= d.opts1 & 0x1fff;
        i = (d.opts1 & D_EOR) || i + 1 == RTL_DESCS ? 0 : i + 1;
    }
    return false;
}

/* Status bits of the last descriptor for what the checksum unit found. */
static u32 csum_status(struct rtl8139 *s, const u8 *frame, u32 len, bool known_good)
{
    struct nic_csum c;

    if (!(*rtl_reg16(s, CPCR) & CPCR_RXCHKSUM))
        return 0;
    nic_check_csum(frame, len, known_good, &c);
    if (!c.ip4)
        return 0;
    return (c.proto == 6 ? RD_PID_TCP : c.proto == 17 ? RD_PID_UDP : RD_PID_IP) | (c.ip_bad ? RD_IPF : 0) |
           (c.l4_bad ? c.proto == 6 ? RD_TCPF : RD_UDPF : 0);
}

static u32 filter_status(u16 status)
{
    return (status & RX_BAR ? RD_BAR : 0) | (status & RX_PAM ? RD_PAM : 0) | (status & RX_MAR ? RD_MAR : 0);
}

/* Writes [off, off + n) of a frame whose end is padding and CRC. */
static void copy_out(struct rtl8139 *s, u64 addr, const u8 *frame, u32 len, u32 off, u32 n)
{
    static const u8 zeros[FRAME_MIN + RTL_CRC];
    u32 data = off < len ? MIN_OF(n, len - off) : 0;

    dma_write(s->pci.dma, addr, frame + off, data);
    if (n > data)
        dma_write(s->pci.dma, addr + data, zeros, n - data);
}

static void put_descs(struct rtl8139 *s, const u8 *frame, u32 len, u16 status, bool known_good)
{
    u32 total = MAX_OF(len, (u32)FRAME_MIN) + RTL_CRC, off = 0, tag = 0, bits;
    struct descriptor d;

    if ((*rtl_reg16(s, CPCR) & CPCR_RXVLAN) && len >= 18 && (frame[12] << 8 | frame[13]) == VLAN_TYPE) {
        tag = RD_TAVA | frame[15] << 8 | frame[14];
        memmove(s->buf, frame, 12); /* in loopback the frame is there already */
        memmove(s->buf + 12, frame + 16, len - 16);
        frame = s->buf;
        len -= 4;
        total = MAX_OF(len, (u32)FRAME_MIN) + RTL_CRC;
    }
    if (!descs_hold(s, total)) {
        s->tally.missed++;
        *rtl_reg32(s, MPC) = (*rtl_reg32(s, MPC) + 1) & 0xffffff;
        rtl_cause(s, ISR_RXOVW);
        return;
    }
    bits = csum_status(s, frame, len, known_good) | filter_status(status);
    for (unsigned k = 0; off < total && k < RTL_DESCS; k++) {
        dma_read(s->pci.dma, desc_addr(s, s->rx_index), &d, sizeof(d));
        u32 n = MIN_OF(d.opts1 & 0x1fff, total - off), eor = d.opts1 & D_EOR;
        copy_out(s, d.addr, frame, len, off, n);
        d.opts1 = eor | (off ? 0 : D_FS) | (off + n == total ? D_LS | bits | total : n);
        d.opts2 = tag;
        dma_write(s->pci.dma, desc_addr(s, s->rx_index) + 4, &d.opts2, 4);
        dma_write(s->pci.dma, desc_addr(s, s->rx_index), &d.opts1, 4);
        s->rx_index = eor || s->rx_index + 1 == RTL_DESCS ? 0 : s->rx_index + 1;
        off += n;
    }
    rtl_cause(s, ISR_ROK);
}

/* -- what the link calls -------------------------------------------------------------------------------------------- */

/* While receiving is off frames come and are dropped; while there is no room they wait. */
bool rtl_can_receive(void *opaque)
{
    struct rtl8139 *s = opaque;

    if (!enabled(s))
        return true;
    s->rx_starved = plus_mode(s) ? !descs_hold(s, FRAME_MAX + RTL_CRC) : ring_room(s) < FRAME_MAX + RTL_CRC + HEADER + 4;
    if (s->rx_starved && plus_mode(s) && !s->rx_timer.pending)
        timer_set(&s->rx_timer, clock_ns(s->pci.dev.m->clock) + RX_POLL_NS);
    return !s->rx_starved;
}

void rtl_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o)
{
    struct rtl8139 *s = opaque;
    int status;

    if (!enabled(s) || len > FRAME_MAX || (status = filter(s, frame)) < 0)
        return;
    s->tally.rx_ok++;
    s->tally.rx_unicast += !(frame[0] & 1);
    s->tally.rx_broadcast += status == RX_BAR;
    s->tally.rx_multicast += status == RX_MAR;
    if (plus_mode(s))
        put_descs(s, frame, len, status, o->flags & NET_F_DATA_VALID);
    else
        put_ring(s, frame, len, status);
}
