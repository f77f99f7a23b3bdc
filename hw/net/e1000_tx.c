/* The e1000's transmit side: descriptors to frames, with checksums, VLAN tags and TCP segmentation passed on as requests to the link. In the
 * thread of the vCPU that wrote TDT, or the main thread when the link has room again; machine lock held. 8254x manual, 3.3 to 3.5. */
#include "hw/net/e1000.h"
#include "mmu/dma.h"
#include "util/inet_sum.h"
#include "util/log.h"

enum { PACKET_DESCS = 1024 /* more than any packet has */, LOOP_MAX = 16 * 1024 };

/* A packet while its descriptors are read. */
struct packet {
    u32 len;
    bool too_long, started;
    u8 popts;     /* of the first data descriptor */
    u8 cmd;       /* of the last */
    bool tse, legacy;
    u8 css, cso;  /* legacy checksum */
    bool ic;
    u16 special;
};

static void load_context(struct e1000 *s, const u8 *d)
{
    u8 tucmd = d[11];
    struct e1000_context *c = tucmd & CMD_TSE ? &s->tso : &s->csum;

    *c = (struct e1000_context){
        .ipcss = d[0], .ipcso = d[1], .ipcse = ld16(d + 2), .tucss = d[4], .tucso = d[5], .tucse = ld16(d + 6),
        .tucmd = tucmd, .hdrlen = d[13], .mss = ld16(d + 14),
    };
}

/* The bytes of one descriptor. */
static void add_data(struct e1000 *s, struct packet *p, u64 addr, u32 len)
{
    if (p->too_long || len > E1000_FRAME_MAX - p->len) {
        p->too_long = true;
        return;
    }
    dma_read(s->pci.dma, addr, s->buf + p->len, len);
    p->len += len;
}

static void add_descriptor(struct e1000 *s, struct packet *p, const u8 *d)
{
    u8 cmd = d[11];
    bool dext = cmd & CMD_DEXT;

    if (!p->started) {
        p->started = true;
        p->legacy = !dext;
        p->popts = dext ? d[13] : 0;
        p->tse = dext && (cmd & CMD_TSE);
        p->css = d[13];
        p->cso = d[10];
        p->ic = !dext && (cmd & CMD_IC);
    }
    p->cmd = cmd;
    p->special = ld16(d + 14);
    add_data(s, p, ld64(d), ld32(d + 8) & (dext ? 0xfffff : 0xffff));
}

/* -- checksums ------------------------------------------------------------------------------------------------------ */

/* Sums [start, end] (end 0: to the end of the packet) and stores the complement at `at`, what is there included. */
static void put_csum(struct e1000 *s, const struct packet *p, u32 start, u32 at, u32 end)
{
    u32 stop = end && end + 1 < p->len ? end + 1 : p->len;

    if (at + 2 <= p->len && start < stop)
        st16(s->buf + at, (u16)~inet_sum(s->buf + start, stop - start, 0));
}

static void put_ip_csum(struct e1000 *s, const struct packet *p, const struct e1000_context *c)
{
    if (c->ipcso + 2u > p->len)
        return;
    st16(s->buf + c->ipcso, 0);
    put_csum(s, p, c->ipcss, c->ipcso, c->ipcse);
}

/* The checksum goes to the link as a request if it is of the form that requests have. */
static void ask_csum(struct e1000 *s, const struct packet *p, u32 start, u32 at, u32 end, struct net_offload *o)
{
    if (end || at < start || at + 2 > p->len) {
        put_csum(s, p, start, at, end);
        return;
    }
    o->flags = NET_F_NEEDS_CSUM;
    o->csum_start = start;
    o->csum_offset = at - start;
}

/* Checksums that can be done once and for all are, the rest becomes a request. False: drop the packet. */
static bool offload(struct e1000 *s, const struct packet *p, struct net_offload *o)
{
    if (p->legacy) {
        if (p->ic)
            ask_csum(s, p, p->css, p->cso, 0, o);
        return true;
    }
    if (p->tse) {
        const struct e1000_context *c = &s->tso;
        return nic_ask_segments(s->buf, p->len, c->ipcss, c->tucss, c->hdrlen, c->tucmd & TUCMD_IP, c->tucmd & TUCMD_TCP, c->mss, o);
    }
    if (p->popts & POPTS_IXSM)
        put_ip_csum(s, p, &s->csum);
    if (p->popts & POPTS_TXSM)
        ask_csum(s, p, s->csum.tucss, s->csum.tucso, s->csum.tucse, o);
    return true;
}

/* -- sending -------------------------------------------------------------------------------------------------------- */

static void count_sent(struct e1000 *s, const struct packet *p, u32 len)
{
    e1000_count(s, TPT, 1);
    e1000_count(s, GPTC, 1);
    e1000_count64(s, TOTL, len + 4);
    e1000_count64(s, GOTCL, len + 4);
    e1000_count_size(s, PTC64, len + 4);
    if (s->buf[0] & 1)
        e1000_count(s, memcmp(s->buf, "\xff\xff\xff\xff\xff\xff", 6) ? MPTC : BPTC, 1);
    if (p->tse)
        e1000_count(s, TSCTC, 1);
}

/* Gives the frame back to our own receiver. The segmentation unit has done its work by then. */
static void loop_back(struct e1000 *s, const struct iovec *iov, unsigned n_iov, const struct net_offload *o)
{
    static const struct net_offload none;
    u8 frame[LOOP_MAX];
    u32 len = 0, at = o->csum_start + o->csum_offset;

    for (unsigned i = 0; i < n_iov; len += iov[i++].iov_len) {
        if (iov[i].iov_len > sizeof(frame) - len || o->gso_type) {
            GUEST_ERROR("e1000: a packet of several segments in loopback");
            return;
        }
        memcpy(frame + len, iov[i].iov_base, iov[i].iov_len);
    }
    if (o->flags && at + 2 <= len)
        st16(frame + at, (u16)~inet_sum(frame + o->csum_start, len - o->csum_start, 0));
    if (e1000_can_receive(s))
        e1000_receive(s, frame, len, &none);
}

static void send_packet(struct e1000 *s, struct packet *p)
{
    struct net_offload o = { 0 };
    struct iovec iov[3] = { { s->buf, 12 }, { NULL, 0 } };
    u8 tag[4];
    u32 tag_len = (p->cmd & CMD_VLE) && (*e1000_reg(s, CTRL) & CTRL_VME) ? 4 : 0;

    if (p->too_long || p->len < 14 || !offload(s, p, &o)) {
        GUEST_ERROR("e1000: a packet of %s%u bytes is not sent", p->too_long ? "more than " : "", p->len);
        return;
    }
    if ((*e1000_reg(s, TCTL) & TCTL_PSP) && p->len < 60) {
        memset(s->buf + p->len, 0, 60 - p->len);
        p->len = 60;
    }
    st16(tag, __builtin_bswap16((u16)*e1000_reg(s, VET)));
    st16(tag + 2, __builtin_bswap16(p->special));
    iov[1] = (struct iovec){ tag, tag_len };
    iov[2] = (struct iovec){ s->buf + 12, p->len - 12 };
    if (o.flags)
        o.csum_start += tag_len;
    if (o.hdr_len)
        o.hdr_len += tag_len;
    count_sent(s, p, p->len + tag_len);
    if (e1000_loops_back(s))
        loop_back(s, iov, 3, &o);
    else if (s->net)
        net_send(s->net, iov, 3, &o);
}

/* The descriptors [from, to) are done: says so in those that ask for it. Returns ICR_TXDW if one does not allow a delay of that cause;
 * *delayed: one does. */
static u32 write_back(struct e1000 *s, const struct e1000_ring *r, u32 from, u32 to, bool *delayed)
{
    u32 causes = 0;
    u8 d[DESC_SIZE];

    for (u32 i = from; i != to; i = i + 1 == r->count ? 0 : i + 1) {
        e1000_ring_read(s, r, i, d);
        if (!(d[11] & CMD_RS))
            continue;
        d[12] |= STA_DD;
        e1000_ring_write(s, r, i, d);
        if (d[11] & CMD_IDE)
            *delayed = true;
        else
            causes |= ICR_TXDW;
    }
    return causes;
}

/* Sends the packet that begins at TDH. Returns the index behind it, or count if its end is not there yet. What has no end in sight is
 * skipped. */
static u32 take_packet(struct e1000 *s, const struct e1000_ring *r, u32 head, u32 tail)
{
    struct packet p = { .len = 0 };
    u8 d[DESC_SIZE];
    u32 i = head;

    for (unsigned n = 0; n < PACKET_DESCS; n++) {
        if (i == tail)
            return r->count;
        e1000_ring_read(s, r, i, d);
        i = i + 1 == r->count ? 0 : i + 1;
        if ((d[11] & CMD_DEXT) && !(d[10] >> 4)) { /* DTYP 0 */
            load_context(s, d);
            if (!p.started)
                return i;
            continue;
        }
        add_descriptor(s, &p, d);
        if (d[11] & CMD_EOP) {
            send_packet(s, &p);
            return i;
        }
    }
    GUEST_ERROR("e1000: a packet of more than %u descriptors is not sent", PACKET_DESCS);
    return i;
}

void e1000_tx_run(struct e1000 *s)
{
    u32 *tdh = e1000_reg(s, TDH), from = *tdh, tail = *e1000_reg(s, TDT), causes = 0, low = *e1000_reg(s, TXDCTL) >> 25;
    struct e1000_ring r;
    bool delayed = false;

    if (!(*e1000_reg(s, TCTL) & TCTL_EN) || !pci_is_master(&s->pci))
        return;
    e1000_ring_open(s, &r, TDBAL, TDLEN);
    if (*tdh >= r.count || tail >= r.count) {
        if (*tdh != tail)
            GUEST_ERROR("e1000: TDH %u or TDT %u is outside of the ring of %u descriptors", *tdh, tail, r.count);
        return;
    }
    for (u32 budget = r.count; *tdh != tail && budget; budget--) {
        s->tx_waiting = s->net && !net_can_send(s->net);
        if (s->tx_waiting)
            break;
        u32 next = take_packet(s, &r, *tdh, tail);
        if (next == r.count) {
            if ((tail + 1) % r.count != *tdh)
                break; /* the rest of the packet comes with a later TDT */
            GUEST_ERROR("e1000: the whole transmit ring holds no end of packet");
            next = tail;
        }
        causes |= write_back(s, &r, *tdh, next, &delayed);
        *tdh = next;
    }
    if (*tdh == from)
        return;
    if (*tdh == tail)
        causes |= ICR_TXQE;
    if (low && (tail + r.count - *tdh) % r.count <= low * 8)
        causes |= ICR_TXD_LOW;
    if (delayed && !(causes & ICR_TXDW))
        e1000_cause_tx_delayed(s);
    if (causes)
        e1000_cause(s, causes);
}
