/* Random encodings of table rows: builds bytes that ought to fit and keeps those which decode to the row. Test thread. */
#include "tests/lib/insn_gen.h"

u64 insn_gen_random(struct insn_gen *g)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return g->seed * 0x2545f4914f6cdd1dull >> 8;
}

static bool one_in(struct insn_gen *g, unsigned n) { return insn_gen_random(g) % n == 0; }

static unsigned put_prefixes(struct insn_gen *g, const struct insn_row *r, u8 *p)
{
    static const u8 segs[] = { 0x26, 0x2e, 0x36, 0x3e, 0x65, 0x64 };
    unsigned n = 0;
    bool vex = r->map >= VX1;
    if (one_in(g, 8))
        p[n++] = segs[insn_gen_random(g) % (g->no_fs ? 5 : 6)];
    if (!g->no_a67 && one_in(g, 8))
        p[n++] = 0x67;
    if (vex)
        return n;
    if (r->prefix == P66 || (r->prefix != PNP && one_in(g, 4)))
        p[n++] = 0x66;
    if (r->attr & A_LOCK && one_in(g, 4))
        p[n++] = 0xf0;
    if (r->prefix == PF3 || (r->attr & A_REP && one_in(g, 3)))
        p[n++] = 0xf3;
    else if (r->prefix == PF2 || (r->attr & A_REP && one_in(g, 3)))
        p[n++] = 0xf2;
    bool w = r->modrm & VW1;
    if (g->bits == 64 && (w || one_in(g, 2)))
        p[n++] = (u8)(0x40 | (w ? 8 : r->modrm & VW0 ? 0 : insn_gen_random(g) & 8) | (insn_gen_random(g) & 7));
    return n;
}

/* VEX bytes; W, L, R, X, B and vvvv are random where the row leaves them free. */
static unsigned put_vex(struct insn_gen *g, const struct insn_row *r, u8 *p)
{
    static const u8 pp[] = { [PANY] = 0, [PNP] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3 };
    unsigned rnd = (unsigned)insn_gen_random(g);
    unsigned w = r->modrm & VW1 ? 1 : r->modrm & VW0 ? 0 : rnd & 1;
    unsigned l = r->modrm & VL1 ? 1 : r->modrm & VL0 ? 0 : rnd >> 1 & 1;
    unsigned vvvv = rnd & 4 ? 15 : rnd >> 3 & 15, rxb = g->bits == 64 ? rnd >> 7 & 7 : 7;
    unsigned last = vvvv << 3 | l << 2 | pp[r->prefix];
    if (r->map == VX1 && !w && (rxb & 3) == 3 && rnd & 0x400) {
        p[0] = 0xc5;
        p[1] = (u8)((rxb & 4) << 5 | last);
        return 2;
    }
    p[0] = 0xc4;
    p[1] = (u8)(rxb << 5 | (r->map - VX1 + 1));
    p[2] = (u8)(w << 7 | last);
    return 3;
}

/* EVEX bytes, likewise; what the row does not allow is rare, so that most attempts decode. */
static unsigned put_evex(struct insn_gen *g, const struct insn_row *r, u8 *p)
{
    static const u8 pp[] = { [PANY] = 0, [PNP] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3 };
    u64 rnd = insn_gen_random(g);
    unsigned w = r->modrm & VW1 ? 1 : r->modrm & VW0 ? 0 : rnd & 1, l = (rnd >> 1) % 3;
    unsigned vvvv = rnd & 8 ? 15 : rnd >> 4 & 15, rxbr = g->bits == 64 ? rnd >> 8 & 15 : 15, v = rnd & 0x3000 ? 1 : 0;
    unsigned aaa = row_mask_grain(r) ? rnd >> 14 & 7 : 0, z = aaa && rnd & 0x20000;
    unsigned b = r->modrm & (EBC | ERC | ESAE) ? rnd >> 18 & 1 : 0;
    if (b && rnd & 0x80000)
        l = rnd >> 20 & 3; /* a rounding mode */
    p[0] = 0x62;
    p[1] = (u8)(rxbr << 4 | (unsigned)(r->map - EV1 + 1));
    p[2] = (u8)(w << 7 | vvvv << 3 | 4 | pp[r->prefix]);
    p[3] = (u8)(z << 7 | l << 5 | b << 4 | v << 3 | aaa);
    return 4;
}

static unsigned put_opcode(struct insn_gen *g, const struct insn_row *r, u8 *p)
{
    unsigned n = 0;
    if (r->map >= EV1)
        n = put_evex(g, r, p);
    else if (r->map >= VX1)
        n = put_vex(g, r, p);
    else if (r->map != M1)
        p[n++] = 0x0f;
    if (r->map == M38 || r->map == M3A)
        p[n++] = r->map == M38 ? 0x38 : 0x3a;
    p[n++] = (u8)(r->opcode + (r->attr & A_PLUSR ? insn_gen_random(g) & 7 : 0));
    return n;
}

static u8 random_modrm(struct insn_gen *g, const struct insn_row *r)
{
    u32 m = r->modrm;
    unsigned v = (unsigned)insn_gen_random(g) & 0xff;
    if (m & 2)
        v = (v & ~0x38u) | (m >> 8 & 7) << 3;
    if (m & 8)
        v |= 0xc0;
    if (m & 0x10)
        v = (v & ~7u) | (m >> 12 & 7);
    if (m & 4 && v >= 0xc0)
        v -= 0x40;
    if (r->attr & A_VSIB)
        v = (v & ~7u) | 4;
    return (u8)v;
}

unsigned insn_gen(struct insn_gen *g, const struct insn_row *row, u64 pc, u8 *buf, struct insn *in)
{
    for (unsigned try = 0; try < 400; try++) {
        unsigned n = put_prefixes(g, row, buf);
        n += put_opcode(g, row, buf + n);
        if (row->modrm & MRM)
            buf[n++] = random_modrm(g, row);
        while (n < 32)
            buf[n++] = (u8)insn_gen_random(g);
        if (insn_decode(in, buf, 15, g->bits, true, pc, NULL) != DEC_OK || in->row != row)
            continue;
        bool mem = in->has_modrm && in->mod != 3;
        if (g->no_rip && mem && in->mem.base < 0)
            continue;
        return in->len;
    }
    return 0;
}
