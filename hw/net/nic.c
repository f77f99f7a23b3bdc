/* What network cards have in common, see nic.h. Machine lock. RFC 791, 768, 9293; the EEPROM: 93C46 data sheets (Microchip DS20001749). */
#include "hw/net/nic.h"
#include "util/inet_sum.h"

int nic_plug(struct device *d, struct net *n, u8 mac[6], const struct net_dev_ops *ops, struct lock *lock, struct err *e)
{
    if (n && net_attach(n, ops, d, lock, e) < 0)
        return -1;
    net_mac_claim(mac);
    if (n)
        net_set_nic(n, d->id, d->cls->name, mac);
    return 0;
}

void nic_unplug(struct net *n, const u8 mac[6])
{
    net_detach(n);
    net_mac_release(mac);
}

static u16 be16(const u8 *p) { return p[0] << 8 | p[1]; }

void nic_check_csum(const u8 *frame, u32 len, bool known_good, struct nic_csum *c)
{
    const u8 *ip = frame + 14;
    u32 hlen, total, l4_len;

    *c = (struct nic_csum){ .ip4 = false };
    if (len < 34 || be16(frame + 12) != 0x0800)
        return;
    hlen = (ip[0] & 15) * 4u;
    total = be16(ip + 2);
    if (ip[0] >> 4 != 4 || hlen < 20 || total < hlen || total > len - 14)
        return;
    c->ip4 = true;
    c->ip_bad = !known_good && inet_sum(ip, hlen, 0) != 0xffff;
    l4_len = total - hlen;
    if ((ip[9] != 6 && ip[9] != 17) || (be16(ip + 6) & 0x3fff) || l4_len < (ip[9] == 6 ? 20 : 8))
        return;
    if (ip[9] == 17 && !ld16(ip + hlen + 6)) /* a datagram without checksum */
        return;
    c->proto = ip[9];
    c->l4_bad = !known_good && inet_sum(ip + hlen, l4_len, inet_pseudo_sum(ip, true, ip[9], l4_len)) != 0xffff;
}

bool nic_ask_segments(u8 *p, u32 len, u32 l3, u32 l4, u32 hdr_len, bool v4, bool tcp, u16 mss, struct net_offload *o)
{
    u32 ip_min = v4 ? 20 : 40, l4_min = tcp ? 20 : 8, at = tcp ? 16 : 6;
    u8 *ip = p + l3;

    if (!mss || l3 + ip_min > l4 || l4 + l4_min > hdr_len || hdr_len > len)
        return false;
    st16(ip + (v4 ? 2 : 4), __builtin_bswap16((u16)(len - l3 - (v4 ? 0 : 40))));
    if (v4) {
        st16(ip + 10, 0);
        st16(ip + 10, (u16)~inet_sum(ip, l4 - l3, 0));
    }
    if (!tcp)
        st16(p + l4 + 4, __builtin_bswap16((u16)(len - l4)));
    st16(p + l4 + at, inet_pseudo_sum(ip, v4, tcp ? 6 : 17, len - l4));
    *o = (struct net_offload){
        .flags = NET_F_NEEDS_CSUM, .gso_type = !tcp ? NET_GSO_UDP_L4 : v4 ? NET_GSO_TCPV4 : NET_GSO_TCPV6, .hdr_len = hdr_len,
        .gso_size = mss, .csum_start = l4, .csum_offset = at,
    };
    if (len <= hdr_len + mss) /* one segment */
        o->gso_type = o->gso_size = 0;
    return true;
}

/* -- EEPROM --------------------------------------------------------------------------------------------------------- */

enum { COMMAND_BITS = 9 /* start bit, operation, six bits of address */, DATA_BITS = 16 };
enum { OP_CONTROL = 0, OP_WRITE = 1, OP_READ = 2, OP_ERASE = 3 };
enum { CONTROL_DISABLE = 0, CONTROL_WRITE_ALL = 1, CONTROL_ERASE_ALL = 2, CONTROL_ENABLE = 3 }; /* upper address bits of OP_CONTROL */

const struct snap_field eeprom93_fields[] = {
    SNAP_A(struct eeprom93, word),
    SNAP_U(struct eeprom93, in),
    SNAP_U(struct eeprom93, bits),
    SNAP_U(struct eeprom93, out_bits),
    SNAP_U(struct eeprom93, addr),
    SNAP_U(struct eeprom93, cs),
    SNAP_U(struct eeprom93, sk),
    SNAP_U(struct eeprom93, write_enabled),
    SNAP_DONE
};

/* The command, which is the first nine bits. */
static unsigned command(const struct eeprom93 *p)
{
    return p->bits < COMMAND_BITS ? 0 : p->in >> (p->bits - COMMAND_BITS) & 0x1ff;
}

static unsigned operation(const struct eeprom93 *p) { return command(p) >> 6 & 3; }

static void set_all(struct eeprom93 *p, u16 v)
{
    for (unsigned i = 0; i < EEPROM93_WORDS; i++)
        p->word[i] = v;
}

/* CS falls: what was shifted in is done. */
static void execute(struct eeprom93 *p)
{
    unsigned addr = command(p) & 63, control = addr >> 4;
    bool data = p->bits == COMMAND_BITS + DATA_BITS;

    if (p->bits < COMMAND_BITS)
        return;
    if (operation(p) == OP_CONTROL && (control == CONTROL_ENABLE || control == CONTROL_DISABLE))
        p->write_enabled = control == CONTROL_ENABLE;
    if (!p->write_enabled)
        return;
    if (operation(p) == OP_WRITE && data)
        p->word[addr] = p->in;
    else if (operation(p) == OP_ERASE)
        p->word[addr] = 0xffff;
    else if (operation(p) == OP_CONTROL && control == CONTROL_ERASE_ALL)
        set_all(p, 0xffff);
    else if (operation(p) == OP_CONTROL && control == CONTROL_WRITE_ALL && data)
        set_all(p, p->in);
}

/* A rising edge of SK while CS is high. A read sends a zero behind the address, then words with the highest bit first, one after the
 * other. */
static void clock_edge(struct eeprom93 *p, bool di)
{
    if (p->bits >= COMMAND_BITS && operation(p) == OP_READ) {
        if (p->out_bits == DATA_BITS) {
            p->out_bits = 0;
            p->addr = (p->addr + 1) % EEPROM93_WORDS;
        }
        p->out_bits++;
        return;
    }
    if (p->bits == COMMAND_BITS + DATA_BITS || (!p->bits && !di)) /* waits for the start bit */
        return;
    p->in = p->in << 1 | di;
    if (++p->bits == COMMAND_BITS) {
        p->addr = command(p) & 63;
        p->out_bits = 0;
    }
}

void eeprom93_drive(struct eeprom93 *p, bool cs, bool sk, bool di)
{
    if (p->cs && !cs)
        execute(p);
    if (!cs) {
        p->in = 0;
        p->bits = p->out_bits = 0;
    } else if (sk && !p->sk) {
        clock_edge(p, di);
    }
    p->cs = cs;
    p->sk = sk;
}

bool eeprom93_out(const struct eeprom93 *p)
{
    if (operation(p) != OP_READ || p->bits < COMMAND_BITS)
        return true; /* ready */
    return p->out_bits && (p->word[p->addr] >> (DATA_BITS - p->out_bits) & 1);
}

void eeprom93_reset(struct eeprom93 *p)
{
    p->in = 0;
    p->bits = p->out_bits = p->addr = p->cs = p->sk = p->write_enabled = 0;
}

void eeprom93_post_load(struct eeprom93 *p)
{
    p->addr %= EEPROM93_WORDS;
    p->bits = MIN_OF(p->bits, COMMAND_BITS + DATA_BITS);
    p->out_bits = MIN_OF(p->out_bits, DATA_BITS);
}
