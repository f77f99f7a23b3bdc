/* Tests hw/net/e1000*.c: EEPROM and PHY, both kinds of transmit descriptors with checksums, VLAN tags and segmentation against a model,
 * receive filters, buffers and checksum status, interrupts and their moderation, statistics, save and load, and misuse. */
#include "hw/net/e1000.h"
#include "tests/lib/nic_rig.h"
#include "util/inet_sum.h"

enum { TX_RING = 0x10000, RX_RING = 0x20000, TX_DATA = 0x100000, RX_DATA = 0x200000, DESCS = 32, RX_BUF = 2048 };

static u32 rd(struct nic_rig *r, u32 off) { return fm_read(r->f, RIG_MMIO + off, 4); }
static void wr(struct nic_rig *r, u32 off, u32 val) { fm_write(r->f, RIG_MMIO + off, val, 4); }

/* Rings set up, both directions on, all interrupts on. */
static struct nic_rig *start(u32 rctl, unsigned peer_caps)
{
    struct nic_rig *r = nic_rig_new("e1000", peer_caps);
    u8 desc[DESC_SIZE] = { 0 };

    for (unsigned i = 0; i < DESCS; i++) {
        st64(desc, RX_DATA + i * RX_BUF);
        nic_rig_put(r, RX_RING + i * DESC_SIZE, desc, DESC_SIZE);
    }
    wr(r, TDBAL, TX_RING);
    wr(r, TDLEN, DESCS * DESC_SIZE);
    wr(r, TCTL, TCTL_EN | TCTL_PSP);
    wr(r, RDBAL, RX_RING);
    wr(r, RDLEN, DESCS * DESC_SIZE);
    wr(r, RDT, DESCS - 1);
    wr(r, RCTL, RCTL_EN | rctl);
    wr(r, IMS, ICR_ALL);
    rd(r, ICR);
    return r;
}

/* Puts a descriptor at the tail without telling the card. */
static void add(struct nic_rig *r, u32 *tail, u64 addr, u32 lower, u32 upper)
{
    u8 d[DESC_SIZE];

    st64(d, addr);
    st32(d + 8, lower);
    st32(d + 12, upper);
    nic_rig_put(r, TX_RING + *tail * DESC_SIZE, d, DESC_SIZE);
    *tail = (*tail + 1) % DESCS;
}

static void go(struct nic_rig *r, u32 tail)
{
    wr(r, TDT, tail);
    nic_rig_run(r);
}

static void rx_desc(struct nic_rig *r, unsigned i, u8 d[DESC_SIZE]) { nic_rig_get(r, RX_RING + i * DESC_SIZE, d, DESC_SIZE); }

/* -- EEPROM, PHY ----------------------------------------------------------------------------------------------------- */

static u16 eerd(struct nic_rig *r, unsigned word)
{
    wr(r, EERD, EERD_START | word << 8);
    g_assert_cmphex(rd(r, EERD) & EERD_DONE, ==, EERD_DONE);
    return rd(r, EERD) >> 16;
}

static void ee_bit(struct nic_rig *r, bool di)
{
    u32 base = EECD_REQ | EECD_CS | (di ? EECD_DI : 0);

    wr(r, EECD, base);
    wr(r, EECD, base | EECD_SK);
}

/* A whole Microwire command of n bits. */
static void ee_command(struct nic_rig *r, u32 bits, unsigned n)
{
    wr(r, EECD, EECD_REQ);
    while (n--)
        ee_bit(r, bits >> n & 1);
}

static u16 ee_read(struct nic_rig *r, unsigned word)
{
    u16 v = 0;

    ee_command(r, 0x180 | word, 9);
    g_assert_cmphex(rd(r, EECD) & EECD_DO, ==, 0); /* the zero before the data */
    for (unsigned i = 0; i < 16; i++) {
        ee_bit(r, 0);
        v = v << 1 | !!(rd(r, EECD) & EECD_DO);
    }
    wr(r, EECD, EECD_REQ);
    return v;
}

static void test_eeprom(void)
{
    struct nic_rig *r = nic_rig_new("e1000", 0);
    u16 sum = 0;

    for (unsigned i = 0; i < 64; i++) {
        g_assert_cmphex(ee_read(r, i), ==, eerd(r, i));
        sum += eerd(r, i);
    }
    g_assert_cmphex(sum, ==, 0xbaba);
    g_assert_cmphex(eerd(r, 0), ==, 0x5452);
    g_assert_cmphex(eerd(r, 2), ==, 0x5634);
    g_assert_cmphex(rd(r, RAL0), ==, 0x12005452);
    g_assert_cmphex(rd(r, RAH0), ==, 0x80005634);
    wr(r, EECD, EECD_REQ);
    g_assert_cmphex(rd(r, EECD) & (EECD_GNT | EECD_PRES), ==, EECD_GNT | EECD_PRES);
    /* Writing needs to be enabled first. */
    ee_command(r, 0x140 << 16 | 5 << 16 | 0xbeef, 25);
    wr(r, EECD, EECD_REQ);
    g_assert_cmphex(eerd(r, 5), ==, 0);
    ee_command(r, 0x130, 9);
    ee_command(r, 0x140 << 16 | 5 << 16 | 0xbeef, 25);
    wr(r, EECD, EECD_REQ);
    g_assert_cmphex(eerd(r, 5), ==, 0xbeef);
    ee_command(r, 0x1c0 | 5, 9);
    wr(r, EECD, EECD_REQ);
    g_assert_cmphex(ee_read(r, 5), ==, 0xffff);
    nic_rig_free(r);
}

static u32 phy_read(struct nic_rig *r, unsigned reg)
{
    wr(r, MDIC, 2u << 26 | 1 << 21 | reg << 16);
    g_assert_cmphex(rd(r, MDIC) & (MDIC_READY | MDIC_ERROR), ==, MDIC_READY);
    return rd(r, MDIC) & 0xffff;
}

static void test_phy(void)
{
    struct nic_rig *r = start(0, 0);
    struct err e;

    g_assert_cmphex(phy_read(r, 2), ==, 0x0141);
    g_assert_cmphex(phy_read(r, 3) & 0xfff0, ==, 0x0c20);
    g_assert_cmphex(phy_read(r, 1) & 0x24, ==, 0x24); /* negotiated, link */
    g_assert_cmphex(phy_read(r, 17) & 0xe400, ==, 0xa400);
    g_assert_cmphex(rd(r, STATUS) & 0xc3, ==, 0x83);
    wr(r, MDIC, 1u << 26 | 1 << 21 | 4 << 16 | 0x01e1);
    g_assert_cmphex(phy_read(r, 4), ==, 0x01e1);
    wr(r, MDIC, 1u << 26 | 1 << 21 | 2 << 16 | 0xffff); /* read-only */
    g_assert_cmphex(phy_read(r, 2), ==, 0x0141);
    wr(r, MDIC, 2u << 26 | 5 << 21); /* nobody there */
    g_assert_cmphex(rd(r, MDIC) & MDIC_ERROR, ==, MDIC_ERROR);
    wr(r, MDIC, MDIC_INT | 2u << 26 | 1 << 21);
    g_assert_cmphex(rd(r, ICR), ==, ICR_MDAC);

    g_assert_cmpint(net_set_link("dev", false, &e), ==, 0);
    g_assert_cmphex(rd(r, STATUS) & STATUS_LU, ==, 0);
    g_assert_cmphex(phy_read(r, 1) & 4, ==, 0);
    g_assert_cmpint(r->pirq, ==, 1);
    g_assert_cmphex(rd(r, ICR), ==, ICR_LSC);
    g_assert_cmpint(r->pirq, ==, 0);
    g_assert_cmpint(net_set_link("dev", true, &e), ==, 0);
    g_assert_cmphex(phy_read(r, 1) & 4, ==, 4);
    wr(r, CTRL, CTRL_RST);
    g_assert_cmphex(rd(r, STATUS) & STATUS_LU, ==, STATUS_LU);
    nic_rig_free(r);
}

/* -- transmit ------------------------------------------------------------------------------------------------------- */

enum { D_EOP = 1u << 24, D_IFCS = 2u << 24, D_TSE = 4u << 24, D_RS = 8u << 24, D_DEXT = 0x20u << 24, D_VLE = 0x40u << 24, D_DATA = 1u << 20 };

static void test_legacy(void)
{
    struct nic_rig *r = start(0, 0);
    u8 f[1000], d[DESC_SIZE];
    unsigned len = rig_ip4_frame(f, 6, 500);
    u32 tail = 0;

    nic_rig_put(r, TX_DATA, f, len);
    add(r, &tail, TX_DATA, 100, 0); /* in three pieces, the last of which asks for a report */
    add(r, &tail, TX_DATA + 100, 1, 0);
    add(r, &tail, TX_DATA + 101, (len - 101) | D_EOP | D_RS, 0);
    go(r, 2); /* the end is not there yet */
    g_assert_cmpuint(r->got->len, ==, 0);
    g_assert_cmpuint(rd(r, TDH), ==, 0);
    rd(r, ICR);
    go(r, tail);
    g_assert_cmpmem(nic_rig_frame(r, 0)->data, nic_rig_frame(r, 0)->len, f, len);
    g_assert_cmpuint(rd(r, TDH), ==, 3);
    nic_rig_get(r, TX_RING + 2 * DESC_SIZE, d, DESC_SIZE);
    g_assert_cmphex(d[12] & STA_DD, ==, STA_DD);
    nic_rig_get(r, TX_RING, d, DESC_SIZE);
    g_assert_cmphex(d[12] & STA_DD, ==, 0);
    g_assert_cmpint(r->pirq, ==, 1);
    g_assert_cmphex(rd(r, ICR), ==, ICR_TXDW | ICR_TXQE);
    g_assert_cmpint(r->pirq, ==, 0);
    /* A short frame is padded. */
    add(r, &tail, TX_DATA, 20 | D_EOP, 0);
    go(r, tail);
    g_assert_cmpuint(nic_rig_frame(r, 1)->len, ==, 60);
    g_assert_cmpuint(nic_rig_frame(r, 1)->data[20], ==, 0);
    /* A checksum by the legacy descriptor: from CSS to the end, put at CSO. */
    st16(f + 50, 0);
    for (unsigned i = 0; i < 8; i += 2) /* pseudo header in its place */
        st16(f + 50, inet_sum(f + 26, 8, (u64)(6 << 8) + __builtin_bswap16((u16)(len - 34))));
    nic_rig_put(r, TX_DATA, f, len);
    add(r, &tail, TX_DATA, len | 50 << 16 | D_EOP | 4u << 24, 34 << 8);
    go(r, tail);
    g_assert_true(rig_csums_good(nic_rig_frame(r, 2)->data, len));
    g_assert_cmpuint(rd(r, TPT), ==, 3);
    g_assert_cmpuint(rd(r, TPT), ==, 0);
    nic_rig_free(r);
}

static void add_context(struct nic_rig *r, u32 *tail, u8 tucmd, u8 hdrlen, u16 mss, bool tcp, bool tse)
{
    u64 low = 14 | 24 << 8 | 33u << 16 | (u64)34 << 32 | (u64)(tcp ? 50 : 40) << 40;

    add(r, tail, low, D_DEXT | (u32)(tucmd | (tse ? CMD_TSE : 0)) << 24, (u32)hdrlen << 8 | (u32)mss << 16);
}

static void test_checksum(void)
{
    for (unsigned tcp = 0; tcp < 2; tcp++) {
        struct nic_rig *r = start(0, 0);
        u8 f[1000];
        u32 tail = 0;
        unsigned len = rig_ip4_frame(f, tcp ? 6 : 17, 333), at = tcp ? 50 : 40;
        st16(f + 24, 0xffff);
        st16(f + at, inet_pseudo_sum(f + 14, true, f[23], len - 34));
        nic_rig_put(r, TX_DATA, f, len);
        add_context(r, &tail, TUCMD_IP | (tcp ? TUCMD_TCP : 0), 0, 0, tcp, false);
        add(r, &tail, TX_DATA, 40 | D_DEXT | D_DATA, (POPTS_IXSM | POPTS_TXSM) << 8);
        add(r, &tail, TX_DATA + 40, (len - 40) | D_EOP | D_DEXT | D_DATA | D_RS, 0);
        go(r, tail);
        g_assert_cmpuint(nic_rig_frame(r, 0)->len, ==, len);
        g_assert_true(rig_csums_good(nic_rig_frame(r, 0)->data, len));
        nic_rig_free(r);
    }
}

/* What the card must put on the wire, by the manual's 3.5: headers copied, lengths, identification, sequence numbers and flags adapted. */
static void check_segment(const GByteArray *s, const u8 *whole, unsigned hdr, unsigned off, unsigned n, unsigned i, bool last)
{
    const u8 *p = s->data;

    g_assert_true(s->len == hdr + n || (s->len == 60 && hdr + n < 60));
    g_assert_cmpmem(p + hdr, n, whole + hdr + off, n);
    g_assert_cmpuint(p[16] << 8 | p[17], ==, hdr + n - 14);
    g_assert_cmphex(p[18] << 8 | p[19], ==, 0x1234 + i);
    g_assert_true(rig_csums_good(p, s->len));
    g_assert_cmphex(__builtin_bswap32(ld32(p + 38)), ==, 0xfff00000u + off);
    g_assert_cmphex(p[47], ==, last ? 0x18 : 0x10); /* PSH only at the end */
    g_assert_cmpmem(p, 12, whole, 12);
    g_assert_cmpmem(p + 48, 2, whole + 48, 2);
}

static void test_segmentation(void)
{
    u8 *f = g_malloc(64 * KiB);

    for (unsigned round = 0; round < 60; round++) {
        struct nic_rig *r = start(0, 0);
        unsigned payload = g_test_rand_int_range(1, 65000), mss = g_test_rand_int_range(100, 1461), hdr = 54, off = 0, i = 0;
        unsigned len = rig_ip4_frame(f, 6, payload);
        u32 tail = 0, at = 0;
        /* As drivers leave it: no length, no IP checksum, a pseudo header without length. */
        st16(f + 16, 0);
        st16(f + 24, 0);
        st16(f + 50, inet_pseudo_sum(f + 14, true, 6, 0));
        nic_rig_put(r, TX_DATA, f, len);
        add_context(r, &tail, TUCMD_IP | TUCMD_TCP, hdr, mss, true, true);
        while (at < len) {
            unsigned n = g_test_rand_int_range(54, 16384);
            if (tail == DESCS - 2 || n > len - at)
                n = len - at;
            add(r, &tail, TX_DATA + at, n | D_DEXT | D_DATA | D_TSE | (at + n == len ? D_EOP | D_RS : 0), (POPTS_IXSM | POPTS_TXSM) << 8);
            at += n;
        }
        go(r, tail);
        g_test_message("%u bytes, mss %u, %u descriptors", len, mss, tail);
        for (; off < len - hdr; i++) {
            unsigned n = MIN_OF(mss, len - hdr - off);
            check_segment(nic_rig_frame(r, i), f, hdr, off, n, i, off + n == len - hdr);
            off += n;
        }
        g_assert_cmpuint(r->got->len, ==, i);
        nic_rig_free(r);
    }
    g_free(f);
}

/* To a peer that can segment the packet goes whole, with a request. */
static void test_segmentation_passed_on(void)
{
    struct nic_rig *r = start(0, NET_CAN_ALL);
    u8 *f = g_malloc(64 * KiB);
    unsigned len = rig_ip4_frame(f, 6, 20000);
    u32 tail = 0;

    nic_rig_put(r, TX_DATA, f, len);
    add_context(r, &tail, TUCMD_IP | TUCMD_TCP, 54, 1460, true, true);
    add(r, &tail, TX_DATA, len | D_EOP | D_DEXT | D_DATA | D_TSE, (POPTS_IXSM | POPTS_TXSM) << 8);
    go(r, tail);
    const struct net_offload *o = &g_array_index(r->offloads, struct net_offload, 0);
    g_assert_cmpuint(r->got->len, ==, 1);
    g_assert_cmpuint(nic_rig_frame(r, 0)->len, ==, len);
    g_assert_cmpuint(o->gso_type, ==, NET_GSO_TCPV4);
    g_assert_cmpuint(o->gso_size, ==, 1460);
    g_assert_cmpuint(o->csum_start, ==, 34);
    g_assert_cmphex(ld16(nic_rig_frame(r, 0)->data + 50), ==, inet_pseudo_sum(nic_rig_frame(r, 0)->data + 14, true, 6, len - 34));
    g_free(f);
    nic_rig_free(r);
}

static void test_vlan(void)
{
    struct nic_rig *r = start(RCTL_VFE, 0);
    u8 f[200], d[DESC_SIZE], tagged[204];
    unsigned len = rig_ip4_frame(f, 17, 100);
    u32 tail = 0;

    wr(r, CTRL, rd(r, CTRL) | CTRL_VME);
    nic_rig_put(r, TX_DATA, f, len);
    add(r, &tail, TX_DATA, len | D_EOP | D_VLE, 0x2064u << 16);
    go(r, tail);
    memcpy(tagged, f, 12);
    memcpy(tagged + 12, "\x81\x00\x20\x64", 4);
    memcpy(tagged + 16, f + 12, len - 12);
    g_assert_cmpmem(nic_rig_frame(r, 0)->data, nic_rig_frame(r, 0)->len, tagged, len + 4);

    nic_rig_send(r, tagged, len + 4, 0);
    g_assert_cmpuint(rd(r, RDH), ==, 0); /* VLAN 100 is filtered out */
    wr(r, VFTA + 4 * (0x64 >> 5), 1u << (0x64 & 31));
    nic_rig_send(r, tagged, len + 4, 0);
    rx_desc(r, 0, d);
    g_assert_cmphex(d[12] & (RXD_DD | RXD_EOP | RXD_VP), ==, RXD_DD | RXD_EOP | RXD_VP);
    g_assert_cmphex(ld16(d + 14), ==, 0x2064);
    g_assert_cmpuint(ld16(d + 8), ==, len + 4); /* the tag is gone, the CRC is there */
    u8 got[200];
    nic_rig_get(r, RX_DATA, got, len);
    g_assert_cmpmem(got, len, f, len);
    nic_rig_free(r);
}

/* -- receive -------------------------------------------------------------------------------------------------------- */

static bool received(struct nic_rig *r, const u8 *da, u32 rctl)
{
    u8 f[60] = { [12] = 0x88, 0xb5 };
    u32 before = rd(r, RDH);

    wr(r, RCTL, RCTL_EN | rctl);
    wr(r, RDT, (before + DESCS - 1) % DESCS);
    memcpy(f, da, 6);
    nic_rig_send(r, f, sizeof(f), 0);
    return rd(r, RDH) != before;
}

static void test_filters(void)
{
    static const u8 me[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, other[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x57 };
    static const u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, group[6] = { 0x01, 0x00, 0x5e, 0x01, 0xab, 0xcd };
    static const u16 hash[4] = { 0xcda, 0x9b5, 0x36a, 0xdab }; /* of the group address, by RCTL.MO */
    struct nic_rig *r = start(0, 0);

    g_assert_true(received(r, me, 0));
    g_assert_false(received(r, other, 0));
    g_assert_true(received(r, other, RCTL_UPE));
    g_assert_false(received(r, all, 0));
    g_assert_true(received(r, all, RCTL_BAM));
    g_assert_false(received(r, group, RCTL_BAM));
    g_assert_true(received(r, group, RCTL_MPE));
    wr(r, RAL0 + 8, ld32(other));
    wr(r, RAH0 + 8, ld16(other + 4));
    g_assert_false(received(r, other, 0)); /* not valid */
    wr(r, RAH0 + 8, RAH_AV | ld16(other + 4));
    g_assert_true(received(r, other, 0));
    for (unsigned mo = 0; mo < 4; mo++) {
        g_assert_false(received(r, group, mo << 12));
        wr(r, MTA + 4 * (hash[mo] >> 5), 1u << (hash[mo] & 31));
        g_assert_true(received(r, group, mo << 12));
        wr(r, MTA + 4 * (hash[mo] >> 5), 0);
    }
    wr(r, RCTL, 0);
    g_assert_cmpuint(rd(r, MPRC), ==, 5);
    g_assert_cmpuint(rd(r, BPRC), ==, 1);
    nic_rig_free(r);
}

/* A frame longer than a buffer takes several descriptors; without descriptors frames wait; what is too long is lost. */
static void test_buffers(void)
{
    struct nic_rig *r = start(3u << 16 /* 256 bytes */, 0);
    u8 f[1600], d[DESC_SIZE], got[1600];
    unsigned len = rig_ip4_frame(f, 6, 800), off = 0;

    nic_rig_send(r, f, len, 0);
    for (unsigned i = 0; i < 4; i++, off += 256) {
        rx_desc(r, i, d);
        g_assert_cmphex(d[12] & (RXD_DD | RXD_EOP), ==, i == 3 ? RXD_DD | RXD_EOP : RXD_DD);
        g_assert_cmpuint(ld16(d + 8), ==, i == 3 ? len + 4 - 768 : 256);
        nic_rig_get(r, RX_DATA + i * RX_BUF, got + off, ld16(d + 8));
    }
    g_assert_cmpmem(got, len, f, len);
    g_assert_cmphex(rd(r, ICR), ==, ICR_RXT0);

    rig_ip4_frame(f, 6, 1500 - 20);
    nic_rig_send(r, f, 1534, 0);
    g_assert_cmpuint(rd(r, RDH), ==, 4);
    g_assert_cmpuint(rd(r, ROC), ==, 1);

    rig_ip4_frame(f, 6, 1000);
    wr(r, RDT, 8); /* room for 1024 bytes: too little for a frame */
    nic_rig_send(r, f, len, 0);
    g_assert_cmpuint(rd(r, RDH), ==, 4);
    wr(r, RDT, 20);
    nic_rig_run(r);
    g_assert_cmpuint(rd(r, RDH), ==, 8);
    g_assert_cmpuint(rd(r, GPRC), ==, 2);
    g_assert_cmpuint(rd(r, GORCL), ==, 2 * (len + 4));
    rd(r, GORCL + 4);
    g_assert_cmpuint(rd(r, GORCL), ==, 0);
    nic_rig_free(r);
}

static void test_rx_checksum(void)
{
    struct nic_rig *r = start(0, 0);
    u8 f[400], d[DESC_SIZE];
    unsigned len = rig_ip4_frame(f, 6, 101), n = 0;

    nic_rig_send(r, f, len, 0);
    rx_desc(r, n++, d);
    g_assert_cmphex(d[12] & (RXD_IPCS | RXD_TCPCS), ==, 0); /* RXCSUM is off */
    wr(r, RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL | 14);
    nic_rig_send(r, f, len, 0);
    rx_desc(r, n++, d);
    g_assert_cmphex(d[12] & (RXD_IXSM | RXD_IPCS | RXD_TCPCS), ==, RXD_IPCS | RXD_TCPCS);
    g_assert_cmphex(d[13], ==, 0);
    g_assert_cmphex(ld16(d + 10), ==, inet_sum(f + 14, len - 14, 0));
    f[100] ^= 1;
    nic_rig_send(r, f, len, 0);
    rx_desc(r, n++, d);
    g_assert_cmphex(d[13], ==, RXD_TCPE);
    nic_rig_send(r, f, len, NET_F_DATA_VALID); /* the link knows better */
    rx_desc(r, n++, d);
    g_assert_cmphex(d[13], ==, 0);
    f[100] ^= 1;
    f[24] ^= 1;
    nic_rig_send(r, f, len, 0);
    rx_desc(r, n++, d);
    g_assert_cmphex(d[13], ==, RXD_IPE);
    f[12] = 0x12;
    nic_rig_send(r, f, len, 0);
    rx_desc(r, n++, d);
    g_assert_cmphex(d[12] & RXD_IXSM, ==, RXD_IXSM);
    nic_rig_free(r);
}

/* ITR: after an interrupt the next one comes no sooner than so many times 256 ns. */
static void test_moderation(void)
{
    struct nic_rig *r = start(0, 0);

    fm_step(r->f, 1000000);
    wr(r, ITR, 1000);
    wr(r, ICS, ICR_RXT0);
    g_assert_cmpint(r->pirq, ==, 1);
    rd(r, ICR);
    g_assert_cmpint(r->pirq, ==, 0);
    wr(r, ICS, ICR_RXT0);
    fm_step(r->f, 255999);
    g_assert_cmpint(r->pirq, ==, 0);
    fm_step(r->f, 1);
    g_assert_cmpint(r->pirq, ==, 1);
    rd(r, ICR);
    wr(r, ICS, ICR_RXT0);
    wr(r, IMC, ICR_RXT0); /* masked meanwhile */
    fm_step(r->f, 1000000);
    g_assert_cmpint(r->pirq, ==, 0);
    g_assert_cmphex(rd(r, ICR), ==, ICR_RXT0);
    g_assert_cmpuint(r->interrupts, ==, 2);
    nic_rig_free(r);
}

static void receive(struct nic_rig *r, u32 at)
{
    u8 f[300];

    nic_rig_send(r, f, rig_ip4_frame(f, 6, 200), 0);
    g_assert_cmphex(rd(r, ICS) & ICR_RXT0, ==, at); /* ICS reads as ICR without clearing it */
}

/* RDTR: each frame puts the interrupt off; RADV: but not for ever. In units of 1.024 us. */
static void test_rx_delay(void)
{
    struct nic_rig *r = start(RCTL_UPE, 0);

    fm_step(r->f, 1000000);
    wr(r, RDTR, 100);
    wr(r, RADV, 250);
    receive(r, 0);
    fm_step(r->f, 102399);
    g_assert_cmpint(r->pirq, ==, 0);
    receive(r, 0);
    fm_step(r->f, 102399);
    g_assert_cmpint(r->pirq, ==, 0);
    receive(r, 0);
    fm_step(r->f, 256000 - 2 * 102399 - 1);
    g_assert_cmpint(r->pirq, ==, 0);
    fm_step(r->f, 1);
    g_assert_cmpint(r->pirq, ==, 1);
    g_assert_cmphex(rd(r, ICR), ==, ICR_RXT0);
    fm_step(r->f, 1000000); /* it comes once */
    g_assert_cmphex(rd(r, ICR), ==, 0);
    receive(r, 0);
    wr(r, RDTR, 100 | RDTR_FPD);
    g_assert_cmphex(rd(r, ICR), ==, ICR_RXT0);
    g_assert_cmphex(rd(r, RDTR), ==, 100);
    wr(r, RSRPD, 300); /* a small frame is told at once, and the delay goes on */
    receive(r, 0);
    g_assert_cmphex(rd(r, ICR), ==, ICR_SRPD);
    fm_step(r->f, 102400);
    g_assert_cmphex(rd(r, ICR), ==, ICR_RXT0);
    wr(r, RDTR, 0);
    receive(r, ICR_RXT0);
    nic_rig_free(r);
}

/* TIDV and TADV delay the cause of descriptors that allow it. */
static void test_tx_delay(void)
{
    struct nic_rig *r = start(0, 0);
    u32 tail = 0;

    fm_step(r->f, 1000000);
    wr(r, TIDV, 100);
    wr(r, TADV, 150);
    rd(r, ICR);
    add(r, &tail, TX_DATA, 100 | D_EOP | D_RS | (u32)CMD_IDE << 24, 0);
    go(r, tail);
    g_assert_cmphex(rd(r, ICR) & ICR_TXDW, ==, 0);
    fm_step(r->f, 100000);
    add(r, &tail, TX_DATA, 100 | D_EOP | D_RS | (u32)CMD_IDE << 24, 0);
    go(r, tail);
    fm_step(r->f, 53599);
    g_assert_cmphex(rd(r, ICR) & ICR_TXDW, ==, 0);
    fm_step(r->f, 1);
    g_assert_cmphex(rd(r, ICR) & ICR_TXDW, ==, ICR_TXDW);
    add(r, &tail, TX_DATA, 100 | D_EOP | D_RS | (u32)CMD_IDE << 24, 0);
    add(r, &tail, TX_DATA, 100 | D_EOP | D_RS, 0);
    go(r, tail); /* one that is in a hurry takes the others along */
    g_assert_cmphex(rd(r, ICR) & ICR_TXDW, ==, ICR_TXDW);
    fm_step(r->f, 1000000);
    g_assert_cmphex(rd(r, ICR) & ICR_TXDW, ==, 0);
    nic_rig_free(r);
}

/* Loopback in the MAC and in the PHY: a frame comes back, with its checksum, and does not leave. */
static void test_loopback(void)
{
    for (unsigned phy = 0; phy <= 1; phy++) {
        struct nic_rig *r = start(RCTL_UPE | (phy ? 0 : 1u << 6), 0);
        u8 f[300], back[300], d[DESC_SIZE];
        unsigned len = rig_ip4_frame(f, 6, 200);
        u32 tail = 0;
        if (phy)
            wr(r, MDIC, 1u << 26 | 1 << 21 | 0x4140);
        st16(f + 50, inet_pseudo_sum(f + 14, true, 6, len - 34));
        nic_rig_put(r, TX_DATA, f, len);
        add(r, &tail, TX_DATA, len | 50 << 16 | D_EOP | 4u << 24, 34 << 8); /* sum from 34, to 50 */
        go(r, tail);
        rx_desc(r, 0, d);
        g_assert_cmphex(d[12] & (RXD_DD | RXD_EOP), ==, RXD_DD | RXD_EOP);
        nic_rig_get(r, RX_DATA, back, len);
        g_assert_true(rig_csums_good(back, len));
        g_assert_cmpmem(back, 50, f, 50);
        g_assert_cmpuint(r->got->len, ==, 0);
        nic_rig_free(r);
    }
}

static void test_masks(void)
{
    struct nic_rig *r = start(0, 0);

    wr(r, RAL0 + 8, 0xffffffff);
    wr(r, RAH0 + 8, 0xffffffff);
    g_assert_cmphex(rd(r, RAL0 + 8), ==, 0xffffffff);
    g_assert_cmphex(rd(r, RAH0 + 8), ==, 0x8003ffff);
    nic_rig_free(r);
}

/* The I/O BAR reaches the same registers. */
static void test_io(void)
{
    struct nic_rig *r = nic_rig_new("e1000", 0);

    fm_out(r->f, RIG_IO, VET, 4);
    g_assert_cmphex(fm_in(r->f, RIG_IO + 4, 4), ==, 0x8100);
    fm_out(r->f, RIG_IO + 4, 0x88a8, 4);
    g_assert_cmphex(rd(r, VET), ==, 0x88a8);
    fm_out(r->f, RIG_IO, 0xfffffffc, 4);
    g_assert_cmphex(fm_in(r->f, RIG_IO + 4, 4), ==, 0);
    nic_rig_free(r);
}

/* A state saved with a frame half queued and an interrupt held back goes on in another card. */
static void test_save(void)
{
    struct nic_rig *a = start(0, 0);
    GByteArray *state = g_byte_array_new(), *again = g_byte_array_new();
    struct err e = { "" };
    u8 f[300];
    unsigned len = rig_ip4_frame(f, 6, 200);
    u32 tail = 0;

    wr(a, ITR, 1000);
    wr(a, ICS, ICR_RXT0);
    rd(a, ICR);
    wr(a, ICS, ICR_TXDW);
    add_context(a, &tail, TUCMD_IP | TUCMD_TCP, 0, 0, true, false);
    add(a, &tail, TX_DATA, 40 | D_DEXT | D_DATA, (POPTS_IXSM | POPTS_TXSM) << 8);
    go(a, tail);
    lock_acquire(&a->f->m.lock);
    device_save(a->nic, state);
    lock_release(&a->f->m.lock);
    nic_rig_free(a);

    struct nic_rig *b = nic_rig_new("e1000", 0);
    st16(f + 50, inet_pseudo_sum(f + 14, true, 6, len - 34));
    nic_rig_put(b, TX_DATA, f, len);
    tail = 1;
    add(b, &tail, TX_DATA, 40 | D_DEXT | D_DATA, (POPTS_IXSM | POPTS_TXSM) << 8);
    add(b, &tail, TX_DATA + 40, (len - 40) | D_EOP | D_DEXT | D_DATA, 0);
    lock_acquire(&b->f->m.lock);
    g_assert_cmpint(device_load(b->nic, state->data, state->len, &e), ==, state->len);
    device_save(b->nic, again);
    lock_release(&b->f->m.lock);
    g_assert_cmpmem(again->data, again->len, state->data, state->len);
    g_assert_cmpint(b->pirq, ==, 0);
    fm_step(b->f, 256000);
    g_assert_cmpint(b->pirq, ==, 1);
    go(b, tail);
    g_assert_true(rig_csums_good(nic_rig_frame(b, 0)->data, len));
    nic_rig_free(b);
    g_byte_array_unref(state);
    g_byte_array_unref(again);
}

/* Whatever a guest writes and puts into its rings. */
static void test_misuse(void)
{
    static const u16 hot[] = { TDBAL, TDLEN, TDH, TDT, TCTL, RDBAL, RDLEN, RDH, RDT, RCTL, CTRL, ICR, IMS, ICS, ITR, MDIC, EECD, EERD, RXCSUM };
    struct nic_rig *r = start(RCTL_UPE | RCTL_BAM, 0);
    u8 f[1600];

    for (unsigned i = 0; i < 10000; i++) {
        u32 off = g_test_rand_bit() ? hot[g_test_rand_int_range(0, ARRAY_LEN(hot))] : (u32)g_test_rand_int_range(0, 0x6000) & ~3u;
        u32 val = g_test_rand_int();
        if (g_test_rand_bit())
            val &= g_test_rand_bit() ? 0xff : 0x3ffff;
        if (off == TDLEN || off == RDLEN) /* long rings only take longer */
            val &= i % 4 ? 0xfff : 0xffffff;
        if (off == CTRL)
            val &= ~CTRL_RST | (i % 64 ? 0 : CTRL_RST);
        if (g_test_rand_bit())
            wr(r, off, val);
        else
            rd(r, off);
        if (i % 8 == 0) {
            for (unsigned k = 0; k < DESC_SIZE; k++)
                f[k] = g_test_rand_int();
            nic_rig_put(r, (g_test_rand_bit() ? TX_RING : RX_RING) + g_test_rand_int_range(0, DESCS) * DESC_SIZE, f, DESC_SIZE);
        }
        if (i % 16 == 0)
            nic_rig_send(r, f, rig_ip4_frame(f, 6, g_test_rand_int_range(0, 1400)), 0);
        if (i % 1000 == 0) {
            nic_rig_run(r);
            nic_rig_forget(r);
            fm_step(r->f, 1000000);
        }
    }
    nic_rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_main_context_acquire(NULL);
    g_test_add_func("/e1000/eeprom", test_eeprom);
    g_test_add_func("/e1000/phy", test_phy);
    g_test_add_func("/e1000/tx/legacy", test_legacy);
    g_test_add_func("/e1000/tx/checksum", test_checksum);
    g_test_add_func("/e1000/tx/segmentation", test_segmentation);
    g_test_add_func("/e1000/tx/segmentation-passed-on", test_segmentation_passed_on);
    g_test_add_func("/e1000/vlan", test_vlan);
    g_test_add_func("/e1000/rx/filters", test_filters);
    g_test_add_func("/e1000/rx/buffers", test_buffers);
    g_test_add_func("/e1000/rx/checksum", test_rx_checksum);
    g_test_add_func("/e1000/moderation", test_moderation);
    g_test_add_func("/e1000/loopback", test_loopback);
    g_test_add_func("/e1000/masks", test_masks);
    g_test_add_func("/e1000/rx-delay", test_rx_delay);
    g_test_add_func("/e1000/tx-delay", test_tx_delay);
    g_test_add_func("/e1000/io", test_io);
    g_test_add_func("/e1000/save", test_save);
    g_test_add_func("/e1000/misuse", test_misuse);
    return g_test_run();
}
