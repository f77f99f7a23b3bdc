/* What a frame's receiver leaves to software: checksums, TCP and UDP segmentation, IP fragments. Called by hw/backend/net*.c on the main
 * thread with frames of guests and of the outside world: every length is checked. Virtio 1.2, 5.1.6; RFC 791, 768, 8200, 9293. */
#include "hw/backend/net_impl.h"
#include "util/inet_sum.h"
#include "util/log.h"

enum { ETH_HLEN = 14, ETHERTYPE_IP4 = 0x0800, ETHERTYPE_IP6 = 0x86dd, ETHERTYPE_VLAN = 0x8100, ETHERTYPE_QINQ = 0x88a8 };
enum { PROTO_HOPOPTS = 0, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ROUTING = 43, PROTO_FRAGMENT = 44, PROTO_DSTOPTS = 60 };
enum { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80, IP4_MF = 0x2000 };
/* A guest could ask for 64 Ki frames of one byte, or for each piece to get 16 KiB of IPv6 extension headers. */
enum { GSO_SIZE_MIN = 32, HEADERS_MAX = 512 };

static u16 be16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
static u32 be32(const u8 *p) { return (u32)be16(p) << 16 | be16(p + 2); }

static void put16(u8 *p, unsigned v)
{
    p[0] = v >> 8;
    p[1] = v;
}

static void put32(u8 *p, u32 v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

/* -- checksums ------------------------------------------------------------------------------------------------------ */

u16 net_pseudo_csum(const u8 *frame, const struct net_headers *h, unsigned l4_len)
{
    return inet_pseudo_sum(frame + h->l3, !h->v6, h->proto, l4_len);
}

u16 net_l4_csum(const u8 *frame, const struct net_headers *h, unsigned l4_len)
{
    return (u16)~inet_sum(frame + h->l4, l4_len, net_pseudo_csum(frame, h, l4_len));
}

static void ip4_set_csum(u8 *ip, unsigned hlen)
{
    put16(ip + 10, 0);
    st16(ip + 10, (u16)~inet_sum(ip, hlen, 0));
}

/* NEEDS_CSUM: the field holds the sum of the pseudo header, the rest is summed here. */
bool net_csum_fill(struct net_frame *f)
{
    unsigned start = f->o.csum_start, at = start + f->o.csum_offset;
    u16 sum;

    if (at + 2 > f->len || start > f->len)
        return false;
    sum = (u16)~inet_sum(f->data + start, f->len - start, 0);
    if (!sum && f->o.csum_offset == 6) /* UDP: zero would mean "no checksum" */
        sum = 0xffff;
    st16(f->data + at, sum);
    f->o.flags = NET_F_DATA_VALID;
    return true;
}

/* -- headers -------------------------------------------------------------------------------------------------------- */

/* Offset behind Ethernet header and VLAN tags, 0 if the frame is too short; *type is the Ethertype. */
static unsigned eth_parse(const u8 *p, unsigned len, u16 *type)
{
    unsigned at = 12;

    for (unsigned tags = 0; tags <= 2 && at + 2 <= len; tags++, at += 4) {
        *type = be16(p + at);
        if (*type != ETHERTYPE_VLAN && *type != ETHERTYPE_QINQ)
            return at + 2;
    }
    return 0;
}

/* Skips extension headers that every fragment must have; *next_at is where the following header's type is. */
static unsigned ip6_skip(const u8 *p, unsigned len, unsigned l3, unsigned *next_at)
{
    unsigned at = l3 + 40;

    *next_at = l3 + 6;
    for (unsigned i = 0; i < 8 && at + 8 <= len; i++) {
        u8 next = p[*next_at];
        if (next != PROTO_HOPOPTS && next != PROTO_ROUTING && next != PROTO_DSTOPTS)
            break;
        *next_at = at;
        at += (p[at + 1] + 1) * 8;
    }
    return at;
}

/* Ethernet and IP; l4 is the first byte behind them, not more than HEADERS_MAX. */
static bool ip_parse(const u8 *p, unsigned len, struct net_headers *h, unsigned *next_at)
{
    u16 type;

    h->l3 = eth_parse(p, len, &type);
    if (!h->l3)
        return false;
    h->v6 = type == ETHERTYPE_IP6;
    if (type == ETHERTYPE_IP4) {
        if (h->l3 + 20 > len || p[h->l3] >> 4 != 4 || (p[h->l3] & 15) < 5)
            return false;
        h->l4 = h->l3 + (p[h->l3] & 15) * 4;
        h->proto = p[h->l3 + 9];
    } else if (h->v6) {
        if (h->l3 + 40 > len || p[h->l3] >> 4 != 6)
            return false;
        h->l4 = ip6_skip(p, len, h->l3, next_at);
        h->proto = p[*next_at];
    } else {
        return false;
    }
    return h->l4 <= MIN_OF(len, (unsigned)HEADERS_MAX);
}

/* TCP or UDP over IP, no fragment. */
static bool l4_parse(const u8 *p, unsigned len, struct net_headers *h)
{
    unsigned next_at;

    if (!ip_parse(p, len, h, &next_at) || (!h->v6 && (be16(p + h->l3 + 6) & 0x3fff)))
        return false;
    if (h->proto == PROTO_TCP && h->l4 + 20 <= len)
        h->payload = h->l4 + (p[h->l4 + 12] >> 4) * 4;
    else if (h->proto == PROTO_UDP)
        h->payload = h->l4 + 8;
    else
        return false;
    return h->payload >= h->l4 + 8 && h->payload <= len;
}

bool net_parse(const u8 *frame, unsigned len, struct net_headers *h)
{
    return l4_parse(frame, len, h) && h->proto == PROTO_TCP && h->payload >= h->l4 + 20;
}

/* Lengths and, for IPv4, identification and checksum of a packet that was cut out of a larger one. */
static void ip_fix(u8 *frame, const struct net_headers *h, unsigned len, unsigned id_add)
{
    u8 *ip = frame + h->l3;

    if (h->v6) {
        put16(ip + 4, len - h->l3 - 40);
        return;
    }
    put16(ip + 2, len - h->l3);
    put16(ip + 4, be16(ip + 4) + id_add);
    ip4_set_csum(ip, h->l4 - h->l3);
}

/* -- segmentation --------------------------------------------------------------------------------------------------- */

static void tcp_fix(u8 *frame, const struct net_headers *h, unsigned len, u32 seq_add, bool is_first, bool is_last)
{
    u8 *tcp = frame + h->l4;

    put32(tcp + 4, be32(tcp + 4) + seq_add);
    if (!is_last)
        tcp[13] &= ~(TCP_FIN | TCP_PSH);
    if (!is_first)
        tcp[13] &= ~TCP_CWR;
    put16(tcp + 16, 0);
    st16(tcp + 16, net_l4_csum(frame, h, len - h->l4));
}

static void udp_fix(u8 *frame, const struct net_headers *h, unsigned len)
{
    u8 *udp = frame + h->l4;
    u16 sum;

    put16(udp + 4, len - h->l4);
    put16(udp + 6, 0);
    sum = net_l4_csum(frame, h, len - h->l4);
    st16(udp + 6, sum ? sum : 0xffff);
}

static struct net_frame *segment(struct net_frame *f, const struct net_headers *h)
{
    struct net_frame *list = NULL, **last = &list;
    unsigned total = f->len - h->payload, mss = f->o.gso_size, off = 0, i = 0;

    do {
        unsigned n = MIN_OF(mss, total - off), len = h->payload + n;
        struct net_frame *s = net_frame_new(len);
        memcpy(s->data, f->data, h->payload);
        memcpy(s->data + h->payload, f->data + h->payload + off, n);
        ip_fix(s->data, h, len, i);
        if (h->proto == PROTO_TCP)
            tcp_fix(s->data, h, len, off, off == 0, off + n == total);
        else
            udp_fix(s->data, h, len);
        s->o.flags = NET_F_DATA_VALID;
        *last = s;
        last = &s->next;
        off += n;
        i++;
    } while (off < total);
    net_frame_free(f);
    return list;
}

static struct net_frame *reject(struct net_frame *f)
{
    GUEST_ERROR("net: a frame of %u bytes (gso type %u, size %u, checksum at %u+%u) does not fit its offload request", f->len,
                f->o.gso_type, f->o.gso_size, f->o.csum_start, f->o.csum_offset);
    net_frame_free(f);
    return NULL;
}

/* -- fragments ------------------------------------------------------------------------------------------------------ */

struct cut {
    struct net_headers h;
    unsigned next_at; /* IPv6: where the type of the header behind the fragment header is */
    u32 id;
};

static struct net_frame *fragment_one(const struct net_frame *f, const struct cut *c, unsigned off, unsigned n, bool more)
{
    unsigned extra = c->h.v6 ? 8 : 0, base = c->h.l4;
    struct net_frame *s = net_frame_new(base + extra + n);
    u8 *p = s->data, *ip = p + c->h.l3;

    memcpy(p, f->data, base);
    memcpy(p + base + extra, f->data + base + off, n);
    if (c->h.v6) {
        p[base] = f->data[c->next_at];
        p[base + 1] = 0;
        put16(p + base + 2, off | more);
        put32(p + base + 4, c->id);
        p[c->next_at] = PROTO_FRAGMENT;
    } else {
        put16(ip + 6, off / 8 | (more ? IP4_MF : 0));
    }
    ip_fix(p, &c->h, s->len, 0);
    return s;
}

struct net_frame *net_fragment(struct net_frame *f, unsigned mtu)
{
    struct net_frame *list = NULL, **last = &list;
    struct cut c = { .next_at = 0 };
    unsigned room, total;

    if (!ip_parse(f->data, f->len, &c.h, &c.next_at) || (!c.h.v6 && (be16(f->data + c.h.l3 + 6) & 0x3fff)))
        return reject(f);
    total = f->len - c.h.l4;
    room = c.h.l4 - c.h.l3 + (c.h.v6 ? 8 : 0);
    room = mtu > room ? (mtu - room) & ~7u : 0;
    if (room < GSO_SIZE_MIN)
        return reject(f);
    c.id = (u32)inet_sum(f->data + c.h.l4, MIN_OF(total, 64), be16(f->data + c.h.l3 + 4)) << 16 | total;
    for (unsigned off = 0; off < total; off += room) {
        unsigned n = MIN_OF(room, total - off);
        *last = fragment_one(f, &c, off, n, off + n < total);
        last = &(*last)->next;
    }
    net_frame_free(f);
    return list;
}

/* -- what others call ----------------------------------------------------------------------------------------------- */

bool net_needs_finish(const struct net_frame *f, unsigned caps)
{
    unsigned need = f->o.flags & NET_F_NEEDS_CSUM ? NET_CAN_CSUM : 0;

    switch (f->o.gso_type & ~NET_GSO_ECN) {
    case NET_GSO_NONE: break;
    case NET_GSO_TCPV4: need |= NET_CAN_TSO4; break;
    case NET_GSO_TCPV6: need |= NET_CAN_TSO6; break;
    case NET_GSO_UDP: need |= NET_CAN_UFO; break;
    case NET_GSO_UDP_L4: need |= NET_CAN_USO; break;
    default: return true; /* nobody's type: net_finish refuses it */
    }
    return need & ~caps;
}

struct net_frame *net_finish(struct net_frame *f)
{
    unsigned type = f->o.gso_type & ~NET_GSO_ECN;
    struct net_headers h;
    bool tcp = type == NET_GSO_TCPV4 || type == NET_GSO_TCPV6, fits;

    if (type == NET_GSO_NONE)
        return !(f->o.flags & NET_F_NEEDS_CSUM) || net_csum_fill(f) ? f : reject(f);
    if (type == NET_GSO_UDP) {
        unsigned mtu = f->o.gso_size;
        if (!l4_parse(f->data, f->len, &h) || ((f->o.flags & NET_F_NEEDS_CSUM) && !net_csum_fill(f)))
            return reject(f);
        mtu += h.l4 - h.l3 + (h.v6 ? 8 : 0);
        f->o = (struct net_offload){ 0 };
        return net_fragment(f, mtu);
    }
    if (!tcp && type != NET_GSO_UDP_L4)
        return reject(f);
    fits = l4_parse(f->data, f->len, &h) && h.proto == (tcp ? PROTO_TCP : PROTO_UDP) && (!tcp || h.payload >= h.l4 + 20);
    if (!fits || f->o.gso_size < GSO_SIZE_MIN || (tcp && h.v6 != (type == NET_GSO_TCPV6)))
        return reject(f);
    return segment(f, &h);
}

bool net_make_gso(struct net_frame *f, unsigned mtu)
{
    struct net_headers h;

    if (!net_parse(f->data, f->len, &h) || mtu <= h.payload - h.l3 + GSO_SIZE_MIN)
        return false;
    f->o = (struct net_offload){
        .flags = NET_F_NEEDS_CSUM, .gso_type = h.v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4, .hdr_len = h.payload,
        .gso_size = mtu - (h.payload - h.l3), .csum_start = h.l4, .csum_offset = 16,
    };
    st16(f->data + h.l4 + 16, net_pseudo_csum(f->data, &h, f->len - h.l4));
    return true;
}
