/* Tests hw/net/rtl8139*.c: both transmit and both receive modes, checksum and segmentation offload, filters, ring wrapping, EEPROM and locks,
 * timer, statistics, save and load, and misuse. */
#include "hw/net/rtl8139.h"
#include "tests/lib/nic_rig.h"

enum { RING = 0x20000, TX_RING = 0x10000, RX_RING = 0x11000, TX_DATA = 0x100000, RX_DATA = 0x200000, TALLY = 0x30000, DESCS = 16 };

static u32 in(struct nic_rig *r, u32 off, unsigned size) { return fm_in(r->f, RIG_IO + off, size); }
static void out(struct nic_rig *r, u32 off, u32 val, unsigned size) { fm_out(r->f, RIG_IO + off, val, size); }

/* C mode, both directions on. */
static struct nic_rig *start_c(u32 rcr)
{
    struct nic_rig *r = nic_rig_new("rtl8139", 0);

    out(r, RBSTART, RING, 4);
    out(r, RCR, RCR_APM | RCR_AB | rcr, 4);
    out(r, CR, CR_TE | CR_RE, 1);
    out(r, IMR, 0xffff, 2);
    return r;
}

static void put_rx_descs(struct nic_rig *r, unsigned size)
{
    for (unsigned i = 0; i < DESCS; i++) {
        u32 d[4] = { D_OWN | (i == DESCS - 1 ? D_EOR : 0) | size, 0, RX_DATA + i * 2048, 0 };
        nic_rig_put(r, RX_RING + 16 * i, d, 16);
    }
}

/* C+ mode. */
static struct nic_rig *start_plus(u16 cpcr, unsigned peer_caps)
{
    struct nic_rig *r = nic_rig_new("rtl8139", peer_caps);

    put_rx_descs(r, 2048);
    out(r, CPCR, CPCR_TX | CPCR_RX | cpcr, 2);
    out(r, TNPDS, TX_RING, 4);
    out(r, TNPDS + 4, 0, 4);
    out(r, RDSAR, RX_RING, 4);
    out(r, RDSAR + 4, 0, 4);
    out(r, RCR, RCR_APM | RCR_AB, 4);
    out(r, CR, CR_TE | CR_RE, 1);
    out(r, IMR, 0xffff, 2);
    return r;
}

static void add(struct nic_rig *r, unsigned *i, u64 addr, u32 opts1, u32 opts2)
{
    u32 d[4] = { opts1 | D_OWN | (*i == DESCS - 1 ? D_EOR : 0), opts2, (u32)addr, (u32)(addr >> 32) };

    nic_rig_put(r, TX_RING + 16 * *i, d, 16);
    *i = (*i + 1) % DESCS;
}

static void poll(struct nic_rig *r)
{
    out(r, TPPOLL, TPPOLL_NPQ, 1);
    nic_rig_run(r);
}

/* -- identity ------------------------------------------------------------------------------------------------------- */

static void ee_bit(struct nic_rig *r, bool di)
{
    out(r, CR9346, 0x88 | (di ? 2 : 0), 1);
    out(r, CR9346, 0x8c | (di ? 2 : 0), 1);
}

static u16 ee_read(struct nic_rig *r, unsigned word)
{
    u16 v = 0;

    out(r, CR9346, 0x80, 1);
    for (unsigned n = 9; n--;)
        ee_bit(r, (0x180 | word) >> n & 1);
    for (unsigned i = 0; i < 16; i++) {
        ee_bit(r, 0);
        v = v << 1 | (in(r, CR9346, 1) & 1);
    }
    out(r, CR9346, 0, 1);
    return v;
}

static void test_identity(void)
{
    struct nic_rig *r = nic_rig_new("rtl8139", 0);

    g_assert_cmphex(in(r, IDR0, 4), ==, 0x12005452);
    g_assert_cmphex(in(r, IDR0 + 4, 2), ==, 0x5634);
    g_assert_cmphex(ee_read(r, 0), ==, 0x8129);
    g_assert_cmphex(ee_read(r, 7), ==, 0x5452);
    g_assert_cmphex(ee_read(r, 9), ==, 0x5634);
    g_assert_cmphex(in(r, TCR, 4) & 0x7cc00000, ==, 0x74800000);
    g_assert_cmphex(in(r, CR, 1), ==, CR_BUFE);
    g_assert_cmphex(in(r, BMSR, 2) & 0x24, ==, 0x24);
    g_assert_cmphex(in(r, MSR, 1) & MSR_LINKB, ==, 0);
    /* A part of a register, and two at once. */
    out(r, IDR0 + 3, 0x77, 1);
    g_assert_cmphex(in(r, IDR0 + 2, 2), ==, 0x7700);
    out(r, IDR0 + 4, 0x12345678, 4); /* goes past IDR5, where nothing is */
    g_assert_cmphex(in(r, IDR0 + 4, 2), ==, 0x5678);
    out(r, CR9346, 0x40, 1); /* all back from the EEPROM */
    g_assert_cmphex(in(r, IDR0, 4), ==, 0x12005452);
    /* Configuration registers are locked. */
    out(r, CONFIG4, 0xb6, 1);
    g_assert_cmphex(in(r, CONFIG4, 1), ==, 0);
    out(r, CR9346, 0xc0, 1);
    out(r, CONFIG4, 0xff, 1);
    g_assert_cmphex(in(r, CONFIG4, 1), ==, 0xb6);
    /* The same registers by memory. */
    g_assert_cmphex(fm_read(r->f, RIG_MMIO + CONFIG4, 1), ==, 0xb6);
    out(r, CR, CR_RST, 1);
    g_assert_cmphex(in(r, CR, 1), ==, CR_BUFE);
    g_assert_cmphex(in(r, CONFIG4, 1), ==, 0);
    nic_rig_free(r);
}

static void test_link(void)
{
    struct nic_rig *r = start_c(0);
    struct err e;

    g_assert_cmpint(net_set_link("dev", false, &e), ==, 0);
    g_assert_cmphex(in(r, ISR, 2), ==, ISR_LINK);
    g_assert_cmpint(r->pirq, ==, 1);
    g_assert_cmphex(in(r, MSR, 1) & MSR_LINKB, ==, MSR_LINKB);
    g_assert_cmphex(in(r, BMSR, 2) & 4, ==, 0);
    out(r, ISR, ISR_LINK, 2);
    g_assert_cmpint(r->pirq, ==, 0);
    nic_rig_free(r);
}

/* -- C mode --------------------------------------------------------------------------------------------------------- */

static void test_transmit_c(void)
{
    struct nic_rig *r = start_c(0);
    u8 f[1500];

    for (unsigned i = 0; i < 9; i++) {
        unsigned len = rig_ip4_frame(f, 6, 100 * i), n = i % 4;
        nic_rig_put(r, TX_DATA, f, len);
        g_assert_cmphex(in(r, TSD0 + 4 * n, 4) & TSD_OWN, ==, TSD_OWN);
        out(r, TSAD0 + 4 * n, TX_DATA, 4);
        out(r, TSD0 + 4 * n, len, 4);
        nic_rig_run(r);
        g_assert_cmphex(in(r, TSD0 + 4 * n, 4) & (TSD_OWN | TSD_TOK), ==, TSD_OWN | TSD_TOK);
        g_assert_cmphex(in(r, ISR, 2), ==, ISR_TOK);
        out(r, ISR, ISR_TOK, 2);
        g_assert_cmpmem(nic_rig_frame(r, i)->data, len, f, len);
        g_assert_cmpuint(nic_rig_frame(r, i)->len, ==, MAX_OF(len, 60u));
    }
    g_assert_cmphex(in(r, TSAD, 2), ==, 0xf00f);
    /* Out of turn: waits for its predecessors. */
    out(r, TSD0 + 8, 100, 4);
    nic_rig_run(r);
    g_assert_cmpuint(r->got->len, ==, 9);
    out(r, TSD0 + 4, 100, 4);
    nic_rig_run(r);
    g_assert_cmpuint(r->got->len, ==, 11);
    nic_rig_free(r);
}

/* Reads the frame at CAPR as a driver does; returns its length without CRC. */
static unsigned take(struct nic_rig *r, u8 *f, u16 *status)
{
    u32 size = 8192u << (in(r, RCR, 4) >> 11 & 3), at = (in(r, CAPR, 2) + 16) % size;
    bool whole = in(r, RCR, 4) & RCR_WRAP;
    u8 head[4];

    g_assert_cmphex(in(r, CR, 1) & CR_BUFE, ==, 0);
    nic_rig_get(r, RING + at, head, 4);
    *status = ld16(head);
    for (unsigned i = 0; i < ld16(head + 2); i++)
        nic_rig_get(r, RING + (whole ? at + 4 + i : (at + 4 + i) % size), f + i, 1);
    out(r, CAPR, (u32)ALIGN_UP(at + 4 + ld16(head + 2), 4) % size - 16, 2);
    return ld16(head + 2) - 4;
}

/* Frames go round the ring many times, in one piece and in two. */
static void receive_ring(u32 rcr)
{
    struct nic_rig *r = start_c(rcr);
    u8 f[1600], got[1600];
    u16 status;

    for (unsigned i = 0; i < 120; i++) {
        unsigned len = rig_ip4_frame(f, 17, i * 11);
        nic_rig_send(r, f, len, 0);
        g_assert_cmphex(in(r, ISR, 2), ==, ISR_ROK);
        out(r, ISR, ISR_ROK, 2);
        g_assert_cmpuint(take(r, got, &status), ==, MAX_OF(len, 60u));
        g_assert_cmphex(status, ==, RX_ROK | RX_PAM);
        g_assert_cmpmem(got, len, f, len);
        g_assert_cmphex(in(r, CR, 1) & CR_BUFE, ==, CR_BUFE);
    }
    nic_rig_free(r);
}

static void test_receive_c(void)
{
    receive_ring(0);
    receive_ring(RCR_WRAP);
    receive_ring(1u << 11);
}

/* A full ring keeps the next frames waiting; nothing is lost. */
static void test_full_c(void)
{
    struct nic_rig *r = start_c(0);
    u8 f[1600], got[1600];
    u16 status;
    unsigned len = rig_ip4_frame(f, 6, 1000);

    for (unsigned i = 0; i < 20; i++)
        nic_rig_send(r, f, len, 0);
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpuint(take(r, got, &status), ==, len);
        g_assert_cmpmem(got, len, f, len);
        nic_rig_run(r);
    }
    g_assert_cmphex(in(r, CR, 1) & CR_BUFE, ==, CR_BUFE);
    g_assert_cmpuint(in(r, MPC, 4), ==, 0);
    nic_rig_free(r);
}

static bool received(struct nic_rig *r, const u8 *da, u32 rcr)
{
    u8 f[60] = { [12] = 0x88, 0xb5 }, got[100];
    u16 status;

    out(r, RCR, rcr, 4);
    memcpy(f, da, 6);
    nic_rig_send(r, f, sizeof(f), 0);
    if (in(r, CR, 1) & CR_BUFE)
        return false;
    take(r, got, &status);
    return true;
}

static void test_filters(void)
{
    static const u8 me[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, other[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x57 };
    static const u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, group[6] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };
    struct nic_rig *r = start_c(0);
    unsigned passed = 0;

    g_assert_true(received(r, me, RCR_APM));
    g_assert_false(received(r, me, RCR_AB));
    g_assert_false(received(r, other, RCR_APM));
    g_assert_true(received(r, other, RCR_AAP));
    g_assert_true(received(r, all, RCR_AB));
    g_assert_false(received(r, all, RCR_APM | RCR_AM));
    for (unsigned bit = 0; bit < 64; bit++) { /* exactly one bit of MAR lets a group address pass */
        out(r, MAR0, bit < 32 ? 1u << bit : 0, 4);
        out(r, MAR0 + 4, bit < 32 ? 0 : 1u << (bit - 32), 4);
        if (received(r, group, RCR_AM))
            passed = passed * 100 + bit;
    }
    g_assert_cmpuint(passed, ==, 31); /* 224.0.0.1 */
    g_assert_false(received(r, group, RCR_APM));
    nic_rig_free(r);
}

static void test_loopback(void)
{
    struct nic_rig *r = start_c(0);
    u8 f[200], got[200];
    u16 status;
    unsigned len = rig_ip4_frame(f, 6, 100);

    out(r, TCR, 3u << 17, 4);
    nic_rig_put(r, TX_DATA, f, len);
    out(r, TSAD0, TX_DATA, 4);
    out(r, TSD0, len, 4);
    nic_rig_run(r);
    g_assert_cmpuint(r->got->len, ==, 0);
    g_assert_cmpuint(take(r, got, &status), ==, len);
    g_assert_cmpmem(got, len, f, len);
    nic_rig_free(r);
}

static void test_timer(void)
{
    struct nic_rig *r = start_c(0);

    out(r, TCTR, 0, 4);
    fm_step(r->f, 1000000);
    g_assert_cmpuint(in(r, TCTR, 4), ==, 33000);
    out(r, TIMERINT, 66000, 4);
    fm_step(r->f, 999000);
    g_assert_cmpint(r->pirq, ==, 0);
    fm_step(r->f, 2000);
    g_assert_cmphex(in(r, ISR, 2), ==, ISR_TIMEOUT);
    g_assert_cmpint(r->pirq, ==, 1);
    nic_rig_free(r);
}

/* -- C+ mode -------------------------------------------------------------------------------------------------------- */

static void test_transmit_plus(void)
{
    struct nic_rig *r = start_plus(0, 0);
    u8 f[1500], tagged[1504];
    u32 d[4];
    unsigned i = 0, len = rig_ip4_frame(f, 6, 700);

    nic_rig_put(r, TX_DATA, f, len);
    add(r, &i, TX_DATA, D_FS | 100, 0);
    poll(r);
    g_assert_cmpuint(r->got->len, ==, 0); /* the end is not there yet */
    add(r, &i, TX_DATA + 100, D_LS | (len - 100), 0);
    poll(r);
    g_assert_cmpmem(nic_rig_frame(r, 0)->data, nic_rig_frame(r, 0)->len, f, len);
    nic_rig_get(r, TX_RING, d, 16);
    g_assert_cmphex(d[0] & D_OWN, ==, 0);
    g_assert_cmphex(in(r, ISR, 2), ==, ISR_TOK | ISR_TDU);

    /* Checksums, and a VLAN tag. */
    for (unsigned tcp = 0; tcp < 2; tcp++) {
        len = rig_ip4_frame(f, tcp ? 6 : 17, 345);
        memcpy(tagged, f, len);
        st16(tagged + 24, 0xabcd);
        st16(tagged + (tcp ? 50 : 40), 0x1111);
        nic_rig_put(r, TX_DATA, tagged, len);
        add(r, &i, TX_DATA, D_FS | D_LS | TD_IPCS | (tcp ? TD_TCPCS : TD_UDPCS) | len, 0);
        poll(r);
        g_assert_cmpmem(nic_rig_frame(r, 1 + tcp)->data, nic_rig_frame(r, 1 + tcp)->len, f, len);
    }
    nic_rig_put(r, TX_DATA, f, len);
    add(r, &i, TX_DATA, D_FS | D_LS | len, TD_TAGC | 0x6420);
    poll(r);
    memcpy(tagged, f, 12);
    memcpy(tagged + 12, "\x81\x00\x20\x64", 4);
    memcpy(tagged + 16, f + 12, len - 12);
    g_assert_cmpmem(nic_rig_frame(r, 3)->data, nic_rig_frame(r, 3)->len, tagged, len + 4);
    /* Many packets, around the end of the ring. */
    for (unsigned k = 0; k < 3 * DESCS; k++) {
        add(r, &i, TX_DATA, D_FS | D_LS | len, 0);
        if (k % 5 == 4)
            poll(r);
    }
    poll(r);
    g_assert_cmpuint(r->got->len, ==, 4 + 3 * DESCS);
    nic_rig_free(r);
}

static void test_segmentation(void)
{
    u8 *f = g_malloc(64 * KiB);

    for (unsigned round = 0; round < 30; round++) {
        struct nic_rig *r = start_plus(0, 0);
        unsigned payload = g_test_rand_int_range(1, 60000), mss = g_test_rand_int_range(100, 1461), i = 0, off = 0, n = 0;
        unsigned len = rig_ip4_frame(f, 6, payload), half = MIN_OF(len, 32000u);
        nic_rig_put(r, TX_DATA, f, len);
        add(r, &i, TX_DATA, D_FS | (half == len ? D_LS : 0) | TD_LGSEN | mss << 16 | half, 0);
        if (half < len)
            add(r, &i, TX_DATA + half, D_LS | TD_LGSEN | mss << 16 | (len - half), 0);
        poll(r);
        for (; off < payload; n++) {
            const GByteArray *s = nic_rig_frame(r, n);
            unsigned part = MIN_OF(mss, payload - off);
            g_assert_true(s->len == 54 + part || (s->len == 60 && part < 6));
            g_assert_cmpmem(s->data + 54, part, f + 54 + off, part);
            g_assert_true(rig_csums_good(s->data, s->len));
            g_assert_cmphex(__builtin_bswap32(ld32(s->data + 38)), ==, 0xfff00000u + off);
            off += part;
        }
        g_assert_cmpuint(r->got->len, ==, n);
        nic_rig_free(r);
    }
    g_free(f);
}

static void test_receive_plus(void)
{
    struct nic_rig *r = start_plus(CPCR_RXCHKSUM | CPCR_RXVLAN, 0);
    u8 f[1600], got[1600], tagged[200];
    u32 d[4];
    unsigned len = rig_ip4_frame(f, 6, 900);

    nic_rig_send(r, f, len, 0);
    nic_rig_get(r, RX_RING, d, 16);
    g_assert_cmphex(d[0], ==, D_FS | D_LS | RD_PAM | RD_PID_TCP | (len + 4));
    nic_rig_get(r, RX_DATA, got, len);
    g_assert_cmpmem(got, len, f, len);
    f[500] ^= 4;
    nic_rig_send(r, f, len, 0);
    nic_rig_get(r, RX_RING + 16, d, 16);
    g_assert_cmphex(d[0] & (RD_IPF | RD_UDPF | RD_TCPF), ==, RD_TCPF);
    len = rig_ip4_frame(f, 17, 60);
    memcpy(tagged, f, 12);
    memcpy(tagged + 12, "\x81\x00\x20\x64", 4);
    memcpy(tagged + 16, f + 12, len - 12);
    nic_rig_send(r, tagged, len + 4, 0);
    nic_rig_get(r, RX_RING + 32, d, 16);
    g_assert_cmphex(d[0], ==, D_FS | D_LS | RD_PAM | RD_PID_UDP | (len + 4));
    g_assert_cmphex(d[1], ==, RD_TAVA | 0x6420);
    nic_rig_get(r, RX_DATA + 2 * 2048, got, len);
    g_assert_cmpmem(got, len, f, len);
    nic_rig_free(r);
}

/* Small descriptors hold a frame together; without any, frames wait until some come back, of which nobody tells the card. */
static void test_descriptors_plus(void)
{
    struct nic_rig *r = start_plus(0, 0);
    u8 f[1600], got[1600];
    u32 d[4];
    unsigned len = rig_ip4_frame(f, 6, 1000), off = 0;

    put_rx_descs(r, 256);
    nic_rig_send(r, f, len, 0);
    for (unsigned i = 0; off < len + 4; i++) {
        unsigned n = MIN_OF(256u, len + 4 - off);
        nic_rig_get(r, RX_RING + 16 * i, d, 16);
        g_assert_cmphex(d[0] & (D_OWN | D_FS | D_LS), ==, (i ? 0 : D_FS) | (off + n == len + 4 ? D_LS : 0));
        nic_rig_get(r, RX_DATA + 2048 * i, got + off, n);
        off += n;
    }
    g_assert_cmpmem(got, len, f, len);
    for (unsigned i = 0; i < 6; i++)
        nic_rig_send(r, f, len, 0);
    out(r, ISR, 0xffff, 2);
    nic_rig_run(r);
    g_assert_cmphex(in(r, ISR, 2), ==, 0);
    put_rx_descs(r, 2048);
    fm_step(r->f, 2000000);
    nic_rig_run(r);
    g_assert_cmphex(in(r, ISR, 2), ==, ISR_ROK);
    /* The counters, dumped. */
    out(r, DTCCR + 4, 0, 4);
    out(r, DTCCR, TALLY | DTCCR_CMD, 4);
    g_assert_cmphex(in(r, DTCCR, 4) & DTCCR_CMD, ==, 0);
    u8 tally[64];
    nic_rig_get(r, TALLY, tally, 64);
    g_assert_cmpuint(ld64(tally + 8), ==, 7);
    g_assert_cmpuint(ld64(tally + 40), ==, 7); /* unicast */
    nic_rig_free(r);
}

static void test_save(void)
{
    struct nic_rig *a = start_plus(CPCR_RXCHKSUM, 0), *b;
    GByteArray *state = g_byte_array_new(), *again = g_byte_array_new();
    struct err e = { "" };
    u8 f[300];
    unsigned len = rig_ip4_frame(f, 6, 200), i = 0;
    u32 d[4];

    nic_rig_put(a, TX_DATA, f, len);
    add(a, &i, TX_DATA, D_FS | D_LS | len, 0);
    add(a, &i, TX_DATA, D_FS | 20, 0);
    poll(a);
    nic_rig_send(a, f, len, 0);
    out(a, TIMERINT, 1000000, 4);
    lock_acquire(&a->f->m.lock);
    device_save(a->nic, state);
    lock_release(&a->f->m.lock);
    nic_rig_free(a);

    b = nic_rig_new("rtl8139", 0);
    put_rx_descs(b, 2048);
    nic_rig_put(b, TX_DATA, f, len);
    i = 1;
    add(b, &i, TX_DATA, D_FS | 20, 0);
    add(b, &i, TX_DATA + 20, D_LS | (len - 20), 0);
    lock_acquire(&b->f->m.lock);
    g_assert_cmpint(device_load(b->nic, state->data, state->len, &e), ==, state->len);
    device_save(b->nic, again);
    lock_release(&b->f->m.lock);
    g_assert_cmpmem(again->data, again->len, state->data, state->len);
    g_assert_cmpint(b->pirq, ==, 1);
    poll(b);
    g_assert_cmpmem(nic_rig_frame(b, 0)->data, nic_rig_frame(b, 0)->len, f, len);
    nic_rig_send(b, f, len, 0);
    nic_rig_get(b, RX_RING + 16, d, 16); /* the second descriptor is next */
    g_assert_cmphex(d[0] & D_OWN, ==, 0);
    nic_rig_free(b);
    g_byte_array_unref(state);
    g_byte_array_unref(again);
}

static void test_misuse(void)
{
    struct nic_rig *r = start_plus(CPCR_RXCHKSUM | CPCR_RXVLAN, 0);
    u8 f[1600];

    for (unsigned i = 0; i < 10000; i++) {
        u32 off = g_test_rand_int_range(0, 256), val = g_test_rand_int();
        unsigned size = 1u << g_test_rand_int_range(0, 3);
        if (off <= CR && off + size > CR)
            val = (val & ~(0xffu << 8 * (CR - off))) | (CR_TE | CR_RE) << 8 * (CR - off);
        if (g_test_rand_bit())
            out(r, off, val, size);
        else
            in(r, off, size);
        if (i % 8 == 0) {
            for (unsigned k = 0; k < 16; k++)
                f[k] = g_test_rand_int();
            nic_rig_put(r, TX_RING + g_test_rand_int_range(0, 512) * 16, f, 16);
        }
        if (i % 64 == 0) {
            out(r, TNPDS, TX_RING, 4);
            out(r, RDSAR, RX_RING, 4);
            out(r, RCR, g_test_rand_int() | RCR_AAP, 4);
            out(r, CPCR, g_test_rand_int_range(0, 0x80), 2);
        }
        if (i % 16 == 0)
            nic_rig_send(r, f, rig_ip4_frame(f, 6, g_test_rand_int_range(0, 1400)), 0);
        if (i % 500 == 0) {
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
    g_test_add_func("/rtl8139/identity", test_identity);
    g_test_add_func("/rtl8139/link", test_link);
    g_test_add_func("/rtl8139/c/transmit", test_transmit_c);
    g_test_add_func("/rtl8139/c/receive", test_receive_c);
    g_test_add_func("/rtl8139/c/full", test_full_c);
    g_test_add_func("/rtl8139/c/filters", test_filters);
    g_test_add_func("/rtl8139/c/loopback", test_loopback);
    g_test_add_func("/rtl8139/timer", test_timer);
    g_test_add_func("/rtl8139/plus/transmit", test_transmit_plus);
    g_test_add_func("/rtl8139/plus/segmentation", test_segmentation);
    g_test_add_func("/rtl8139/plus/receive", test_receive_plus);
    g_test_add_func("/rtl8139/plus/descriptors", test_descriptors_plus);
    g_test_add_func("/rtl8139/save", test_save);
    g_test_add_func("/rtl8139/misuse", test_misuse);
    return g_test_run();
}
