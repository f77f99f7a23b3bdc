/* The e1000's receive side: address and VLAN filters, checksum verification, frames into descriptors. Main thread (a link's delivery) or, in
 * loopback, the transmitting vCPU's thread; machine lock held. 8254x manual, 3.2, 9 (VLANs), 13.4.22 (RCTL). */
#include "hw/net/e1000.h"
#include "mmu/dma.h"
#include "util/inet_sum.h"

enum { FRAME_MAX = 1518, FRAME_MAX_LONG = 16384 - 4, FRAME_MIN = 60, CRC_LEN = 4 };

static u32 buffer_size(const struct e1000 *s)
{
    u32 rctl = s->reg[RCTL / 4], shift = (rctl >> 16) & 3;

    if (rctl & RCTL_BSEX)
        return shift ? 32768u >> shift : 2048;
    return 2048u >> shift;
}

static u32 ring_free(const struct e1000 *s, u32 count)
{
    u32 rdh = s->reg[RDH / 4], rdt = s->reg[RDT / 4];

    return rdh < count && rdt < count ? (rdt + count - rdh) % count : 0;
}

static bool rx_enabled(const struct e1000 *s)
{
    return (s->reg[RCTL / 4] & RCTL_EN) && pci_is_master(&s->pci) && (s->reg[STATUS / 4] & STATUS_LU);
}

/* While receiving is off frames come and are dropped; while the ring is empty they wait. */
bool e1000_can_receive(void *opaque)
{
    struct e1000 *s = opaque;
    u32 count = s->reg[RDLEN / 4] / DESC_SIZE;
    u32 want = s->reg[RCTL / 4] & RCTL_LPE ? FRAME_MAX_LONG + CRC_LEN : FRAME_MAX + CRC_LEN;
    u32 size = buffer_size(s), bufs = (want + size - 1) / size;

    if (!rx_enabled(s) || count < 2)
        return true;
    s->rx_starved = ring_free(s, count) < MIN_OF(bufs, count - 1);
    return !s->rx_starved;
}

/* -- filters -------------------------------------------------------------------------------------------------------- */

static bool exact_match(const struct e1000 *s, const u8 *da)
{
    for (unsigned i = 0; i < 16; i++) {
        u32 ral = s->reg[RAL0 / 4 + 2 * i], rah = s->reg[RAH0 / 4 + 2 * i];
        if ((rah & RAH_AV) && ral == ld32(da) && (u16)rah == ld16(da + 4))
            return true;
    }
    return false;
}

static bool address_passes(const struct e1000 *s, const u8 *da)
{
    static const u8 hash_shift[] = { 4, 3, 2, 0 };
    u32 rctl = s->reg[RCTL / 4], hash;

    if (!(da[0] & 1))
        return (rctl & RCTL_UPE) || exact_match(s, da);
    if (!memcmp(da, "\xff\xff\xff\xff\xff\xff", 6) && (rctl & RCTL_BAM))
        return true;
    if ((rctl & RCTL_MPE) || exact_match(s, da))
        return true;
    hash = (u32)(da[5] << 8 | da[4]) >> hash_shift[(rctl >> 12) & 3] & 0xfff;
    return s->reg[MTA / 4 + (hash >> 5)] >> (hash & 31) & 1;
}

static bool is_tagged(const struct e1000 *s, const u8 *frame)
{
    return (frame[12] << 8 | frame[13]) == (u16)s->reg[VET / 4];
}

static bool vlan_passes(const struct e1000 *s, const u8 *frame, unsigned len)
{
    u32 vid;

    if (!(s->reg[RCTL / 4] & RCTL_VFE) || !is_tagged(s, frame))
        return true;
    vid = len >= 16 ? (u32)(frame[14] << 8 | frame[15]) & 0xfff : 0;
    return s->reg[VFTA / 4 + (vid >> 5)] >> (vid & 31) & 1;
}

/* -- checksums ------------------------------------------------------------------------------------------------------ */

/* Status and errors by what RXCSUM asks for. */
static void put_csum_status(const struct e1000 *s, const struct nic_csum *c, u8 *status, u8 *errors)
{
    u32 ofl = s->reg[RXCSUM / 4];

    if (!c->ip4)
        return;
    *status &= ~RXD_IXSM;
    if (ofl & RXCSUM_IPOFL) {
        *status |= RXD_IPCS;
        *errors |= c->ip_bad ? RXD_IPE : 0;
    }
    if ((ofl & RXCSUM_TUOFL) && c->proto) {
        *status |= RXD_TCPCS;
        *errors |= c->l4_bad ? RXD_TCPE : 0;
    }
}

/* -- descriptors ---------------------------------------------------------------------------------------------------- */

struct rx_frame {
    const u8 *p;
    u32 len;       /* without CRC */
    u32 total;     /* what the guest gets */
    u8 status, errors;
    u16 special, csum;
};

/* Copies [off, off + n) of the frame, whose last bytes may be padding and CRC. */
static void copy_out(struct e1000 *s, const struct rx_frame *f, u64 addr, u32 off, u32 n)
{
    static const u8 zeros[FRAME_MIN + CRC_LEN];
    u32 data = off < f->len ? MIN_OF(n, f->len - off) : 0;

    dma_write(s->pci.dma, addr, f->p + off, data);
    if (n > data)
        dma_write(s->pci.dma, addr + data, zeros, n - data);
}

/* False: the ring is too short for the frame, which is lost. */
static bool put_frame(struct e1000 *s, const struct e1000_ring *r, const struct rx_frame *f)
{
    u32 *rdh = e1000_reg(s, RDH), size = buffer_size(s), off = 0;
    u8 d[DESC_SIZE];

    if ((f->total + size - 1) / size > ring_free(s, r->count))
        return false;
    while (off < f->total) {
        u32 n = MIN_OF(size, f->total - off);
        bool last = off + n == f->total;
        e1000_ring_read(s, r, *rdh, d);
        if (ld64(d)) /* a null address is a descriptor without a buffer */
            copy_out(s, f, ld64(d), off, n);
        st16(d + 8, n);
        st16(d + 10, f->csum);
        d[12] = RXD_DD | (last ? RXD_EOP | f->status : f->status & RXD_VP);
        d[13] = last ? f->errors : 0;
        st16(d + 14, f->special);
        e1000_ring_write(s, r, *rdh, d);
        *rdh = *rdh + 1 == r->count ? 0 : *rdh + 1;
        off += n;
    }
    return true;
}

static void count_received(struct e1000 *s, const u8 *da, u32 len)
{
    e1000_count(s, GPRC, 1);
    e1000_count64(s, GORCL, len + CRC_LEN);
    e1000_count_size(s, PRC64, len + CRC_LEN);
    if (da[0] & 1)
        e1000_count(s, memcmp(da, "\xff\xff\xff\xff\xff\xff", 6) ? MPRC : BPRC, 1);
}

/* Describes the frame as the guest gets it; a tag that is taken out moves the addresses up in s->buf. */
static void prepare(struct e1000 *s, struct rx_frame *f, const u8 *frame, unsigned len, bool known_good)
{
    u32 pcss = s->reg[RXCSUM / 4] & 0xff;
    struct nic_csum c;

    *f = (struct rx_frame){ .p = frame, .len = len, .status = RXD_IXSM };
    if ((frame[0] & 1) && memcmp(frame, "\xff\xff\xff\xff\xff\xff", 6) && !exact_match(s, frame))
        f->status |= RXD_PIF; /* only the hash has let it pass */
    if (len >= 18 && (s->reg[CTRL / 4] & CTRL_VME) && is_tagged(s, frame)) {
        f->special = frame[14] << 8 | frame[15];
        f->status |= RXD_VP;
        f->len = len - 4;
        memcpy(s->buf, frame, 12);
        memcpy(s->buf + 12, frame + 16, len - 16);
        f->p = s->buf;
    }
    nic_check_csum(f->p, f->len, known_good, &c);
    put_csum_status(s, &c, &f->status, &f->errors);
    f->csum = pcss < f->len ? inet_sum(f->p + pcss, f->len - pcss, 0) : 0;
    f->total = MAX_OF(f->len, FRAME_MIN) + (s->reg[RCTL / 4] & RCTL_SECRC ? 0 : CRC_LEN);
}

static void receive_causes(struct e1000 *s, const struct e1000_ring *r, u32 len)
{
    u32 threshold = r->count >> (1 + MIN_OF((s->reg[RCTL / 4] >> 8) & 3, 2u));
    u32 at_once = (ring_free(s, r->count) <= threshold ? ICR_RXDMT0 : 0) | (len <= s->reg[RSRPD / 4] ? ICR_SRPD : 0);

    e1000_cause_rx(s);
    if (at_once)
        e1000_cause(s, at_once);
}

void e1000_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o)
{
    struct e1000 *s = opaque;
    struct e1000_ring r;
    struct rx_frame f;

    if (!rx_enabled(s))
        return;
    e1000_count(s, TPR, 1);
    e1000_count64(s, TORL, len + CRC_LEN);
    if (len > (s->reg[RCTL / 4] & RCTL_LPE ? FRAME_MAX_LONG : FRAME_MAX)) {
        e1000_count(s, ROC, 1);
        return;
    }
    if (!address_passes(s, frame) || !vlan_passes(s, frame, len))
        return;
    e1000_ring_open(s, &r, RDBAL, RDLEN);
    prepare(s, &f, frame, len, o->flags & NET_F_DATA_VALID);
    if (!put_frame(s, &r, &f)) {
        e1000_count(s, MPC, 1);
        e1000_count(s, RNBC, 1);
        e1000_cause(s, ICR_RXO);
        return;
    }
    count_received(s, frame, len);
    receive_causes(s, &r, f.total);
}
