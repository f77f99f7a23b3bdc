/* Encoders of x86-64 host instructions: bytes only. Called by the x64 backend on the translating thread. */
#include "accel/dbt/x64/enc.h"

/* ModRM, SIB, displacement. */
static void put_rm(struct enc *e, unsigned reg, struct rm m)
{
    unsigned r = (reg & 7) << 3;
    if (rm_is_reg(m)) {
        enc_b(e, 0xc0 | r | ((unsigned)m.reg & 7));
        return;
    }
    if (m.base == R_NONE) { /* [index << scale + disp32] or [disp32] */
        enc_b(e, r | 4);
        enc_b(e, (unsigned)m.scale << 6 | (m.index == R_NONE ? 4u : (unsigned)m.index & 7) << 3 | 5);
        enc_d(e, (u32)m.disp);
        return;
    }
    unsigned b = (unsigned)m.base & 7;
    unsigned mod = m.disp == 0 && b != 5 ? 0 : fits8(m.disp) ? 0x40 : 0x80;
    assert(m.index != RSP);
    if (m.index != R_NONE || b == 4) {
        enc_b(e, mod | r | 4);
        enc_b(e, (unsigned)m.scale << 6 | (m.index == R_NONE ? 4u : (unsigned)m.index & 7) << 3 | b);
    } else {
        enc_b(e, mod | r | b);
    }
    if (mod == 0x40)
        enc_b(e, (unsigned)m.disp);
    else if (mod == 0x80)
        enc_d(e, (u32)m.disp);
}

static unsigned rm_rex(struct rm m)
{
    if (rm_is_reg(m))
        return (unsigned)m.reg >> 3;
    return (m.base != R_NONE ? (unsigned)m.base >> 3 : 0) | (m.index != R_NONE ? (unsigned)m.index >> 3 << 1 : 0);
}

void enc_op(struct enc *e, unsigned size, u32 op, unsigned reg, struct rm m, unsigned how)
{
    unsigned rex = rm_rex(m) | (reg >> 3) << 2 | (size == 8 ? 8u : 0);
    if (how & E_DIGIT)
        rex &= ~4u;
    bool need = ((how & E_REGB) && !(how & E_DIGIT) && reg >= 4) || ((how & E_RMB) && rm_is_reg(m) && m.reg >= 4);
    if (how & E_LOCK)
        enc_b(e, 0xf0);
    if (size == 2)
        enc_b(e, 0x66);
    if (op >> 16)
        enc_b(e, op >> 16);
    if (rex || need)
        enc_b(e, 0x40 | rex);
    unsigned map = op >> 8 & 3;
    if (map)
        enc_b(e, 0x0f);
    if (map > 1)
        enc_b(e, map == 2 ? 0x38 : 0x3a);
    enc_b(e, op);
    put_rm(e, reg, m);
}

void enc_vex(struct enc *e, unsigned size, unsigned pp, unsigned map, unsigned op, unsigned reg, unsigned vvvv, struct rm m)
{
    unsigned rex = rm_rex(m) | (reg >> 3) << 2;
    enc_b(e, 0xc4);
    enc_b(e, (~rex & 7) << 5 | map);
    enc_b(e, (size == 8 ? 0x80u : 0) | (~vvvv & 15) << 3 | pp);
    enc_b(e, op);
    put_rm(e, reg, m);
}

void enc_mov_rr(struct enc *e, unsigned size, unsigned d, unsigned s)
{
    enc_store(e, size, rm_reg((int)d), s);
}

void enc_mov_ri(struct enc *e, unsigned d, u64 imm)
{
    if (imm == (u32)imm) {
        if (d >= 8)
            enc_b(e, 0x41);
        enc_b(e, 0xb8 | (d & 7));
        enc_d(e, (u32)imm);
    } else if (fits32((i64)imm)) {
        enc_op(e, 8, OP1(0xc7), 0, rm_reg((int)d), E_DIGIT);
        enc_d(e, (u32)imm);
    } else {
        enc_mov_ri64(e, d, imm);
    }
}

void enc_mov_ri64(struct enc *e, unsigned d, u64 imm)
{
    enc_b(e, d >= 8 ? 0x49 : 0x48);
    enc_b(e, 0xb8 | (d & 7));
    enc_q(e, imm);
}

void enc_mov_mi(struct enc *e, unsigned size, struct rm m, u32 imm)
{
    enc_op(e, size, size == 1 ? OP1(0xc6) : OP1(0xc7), 0, m, E_DIGIT | (size == 1 ? E_RMB : 0));
    if (size == 1) {
        enc_b(e, imm);
    } else if (size == 2) {
        enc_b(e, imm);
        enc_b(e, imm >> 8);
    } else {
        enc_d(e, imm);
    }
}

void enc_movzx(struct enc *e, unsigned d, unsigned size, struct rm m)
{
    if (size >= 4)
        enc_load(e, size, d, m);
    else
        enc_op(e, 4, size == 1 ? OP0F(0xb6) : OP0F(0xb7), d, m, size == 1 ? E_RMB : 0);
}

void enc_movzx_high(struct enc *e, unsigned d, unsigned s)
{
    assert(d < 8 && s < 4);
    enc_b(e, 0x0f);
    enc_b(e, 0xb6);
    enc_b(e, 0xc0 | d << 3 | 4 | s);
}

void enc_mov_high(struct enc *e, unsigned d, unsigned s)
{
    assert(d < 4 && s < 4);
    enc_b(e, 0x88);
    enc_b(e, 0xc0 | s << 3 | 4 | d);
}

void enc_alu_rm(struct enc *e, unsigned size, unsigned n, unsigned d, struct rm s)
{
    enc_op(e, size, n << 3 | (size == 1 ? 2 : 3), d, s, size == 1 ? E_REGB | E_RMB : 0);
}

void enc_alu_mr(struct enc *e, unsigned size, unsigned n, struct rm d, unsigned s, bool lock)
{
    enc_op(e, size, n << 3 | (size == 1 ? 0 : 1), s, d, (size == 1 ? E_REGB | E_RMB : 0) | (lock ? E_LOCK : 0));
}

void enc_alu_mi(struct enc *e, unsigned size, unsigned n, struct rm d, i32 imm, bool lock)
{
    unsigned how = E_DIGIT | (lock ? E_LOCK : 0);
    if (size == 2)
        imm = (i16)imm;
    if (size == 1) {
        enc_op(e, 1, OP1(0x80), n, d, how | E_RMB);
        enc_b(e, (unsigned)imm);
    } else if (fits8(imm)) {
        enc_op(e, size, OP1(0x83), n, d, how);
        enc_b(e, (unsigned)imm);
    } else {
        enc_op(e, size, OP1(0x81), n, d, how);
        enc_b(e, (unsigned)imm);
        enc_b(e, (unsigned)imm >> 8);
        if (size > 2) {
            enc_b(e, (unsigned)imm >> 16);
            enc_b(e, (unsigned)imm >> 24);
        }
    }
}

void enc_grp(struct enc *e, unsigned size, u32 op8, unsigned digit, struct rm m, bool lock)
{
    enc_op(e, size, size == 1 ? op8 : op8 | 1, digit, m, E_DIGIT | (size == 1 ? E_RMB : 0) | (lock ? E_LOCK : 0));
}

void enc_flags_save(struct enc *e)
{
    enc_b(e, 0x9f); /* LAHF */
    enc_op(e, 1, OP0F(0x90), 0, rm_reg(RAX), E_DIGIT | E_RMB); /* SETO AL */
}

void enc_flags_restore(struct enc *e)
{
    enc_b(e, 0x04); /* ADD AL, 7F: OF = old bit 0 */
    enc_b(e, 0x7f);
    enc_b(e, 0x9e); /* SAHF */
}

u8 *enc_jmp(struct enc *e)
{
    enc_b(e, 0xe9);
    enc_d(e, 0);
    return e->p - 4;
}

u8 *enc_jcc(struct enc *e, unsigned cc)
{
    enc_b(e, 0x0f);
    enc_b(e, 0x80 | cc);
    enc_d(e, 0);
    return e->p - 4;
}

u8 *enc_jmp8(struct enc *e)
{
    enc_b(e, 0xeb);
    enc_b(e, 0);
    return e->p - 1;
}

u8 *enc_jrcxz(struct enc *e)
{
    enc_b(e, 0xe3);
    enc_b(e, 0);
    return e->p - 1;
}

void enc_bind32(struct enc *e, u8 *site)
{
    if (e->relocs && site < e->part)
        reloc_add(e->relocs, RELOC_REL, site, 0);
    st32(site, (u32)(e->p - (site + 4)));
}

void enc_bind8(struct enc *e, u8 *site)
{
    i64 d = e->p - (site + 1);
    assert(fits8(d));
    *site = (u8)d;
}

static void put_rel32(struct enc *e, const u8 *target)
{
    i64 d = target - (e->p + 4);
    assert(fits32(d));
    if (e->relocs && target < e->part)
        reloc_add(e->relocs, RELOC_REL, e->p, 0);
    enc_d(e, (u32)d);
}

void enc_jmp_to(struct enc *e, const u8 *target_rw)
{
    enc_b(e, 0xe9);
    put_rel32(e, target_rw);
}

void enc_call_to(struct enc *e, const u8 *target_rw)
{
    enc_b(e, 0xe8);
    put_rel32(e, target_rw);
}

void enc_nop(struct enc *e, unsigned n)
{
    static const u8 form[10][9] = {
        { 0 }, { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40, 0 }, { 0x0f, 0x1f, 0x44, 0, 0 },
        { 0x66, 0x0f, 0x1f, 0x44, 0, 0 }, { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
        { 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
    };
    while (n) {
        unsigned k = MIN_OF(n, 9u);
        memcpy(e->p, form[k], k);
        e->p += k;
        n -= k;
    }
}
