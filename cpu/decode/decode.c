/* The decoder: looks an opcode up in the instruction table and resolves the row's operands. Pure functions over constant
 * tables, any thread; called by cpu/lift/, disas/ and the tests. Source: SDM vol. 2 chapter 2 and appendix A. */
#include "cpu/decode/decode.h"
#include "cpu/cpuid.h"
#include "cpu/decode/modrm.h"

static const struct insn_row insn_rows[] = {
#define I(map, opcode, prefix, modrm, mnem, o1, o2, o3, o4, modes, feat, attr, flr, flw, flu, exc, rule) \
    { map, opcode, prefix, modrm, #mnem, { O_##o1, O_##o2, O_##o3, O_##o4 }, modes, FEAT_##feat, attr, flr, flw, flu, exc, #rule },
#include "cpu/decode/insn.def"
#undef I
};
#define N_ROWS ARRAY_LEN(insn_rows)
#define N_SLOTS (MAP_COUNT * 256)

enum opnd_src {
    SRC_NONE, SRC_E, SRC_M, SRC_R, SRC_G, SRC_Z, SRC_F, SRC_B, SRC_I, SRC_IS, SRC_K, SRC_J, SRC_A, SRC_O, SRC_S, SRC_T, SRC_C, SRC_D,
    SRC_X, SRC_Y, SRC_V, SRC_W, SRC_U, SRC_H, SRC_L, SRC_VF, SRC_P, SRC_Q, SRC_N, SRC_ST, SRC_STF, SRC_KG, SRC_KH, SRC_KR, SRC_KE,
};
enum opnd_size {
    SZ_none, SZ_b, SZ_w, SZ_d, SZ_q, SZ_t, SZ_dq, SZ_qq, SZ_v, SZ_z, SZ_y, SZ_far, SZ_dt, SZ_pair, SZ_x, SZ_xh, SZ_xq, SZ_xe, SZ_dup,
    SZ_env, SZ_state, SZ_fx, SZ_wv, SZ_db, SZ_dw, SZ_n,
};
static const struct {
    u8 src, reg, size;
} opnd_codes[OPND_CODE_COUNT] = {
#define O(name, source, reg, size) [O_##name] = { SRC_##source, reg, SZ_##size },
#include "cpu/decode/opnd.def"
#undef O
};

/* Candidates of slot s (map * 256 + opcode) are cands[slot_first[s]] .. cands[slot_first[s + 1] - 1], rows with a specific prefix first. */
static u16 slot_first[N_SLOTS + 1];
static u16 cands[N_ROWS * 8];
static bool slot_modrm[N_SLOTS];

static unsigned row_slot(const struct insn_row *r) { return r->map * 256u + r->opcode; }
static unsigned row_slots(const struct insn_row *r) { return r->attr & A_PLUSR ? 8 : 1; }

/* Puts the rows with or without a specific prefix behind what next[] says of their slots. */
static void place_rows(u16 *next, bool any_prefix)
{
    for (unsigned i = 0; i < N_ROWS; i++) {
        const struct insn_row *r = &insn_rows[i];
        for (unsigned s = row_slot(r); (r->prefix == PANY) == any_prefix && s < row_slot(r) + row_slots(r); s++) {
            cands[next[s]++] = (u16)i;
            slot_modrm[s] = slot_modrm[s] || (r->modrm & MRM);
        }
    }
}

void insn_table_init(void)
{
    u16 next[N_SLOTS];
    if (slot_first[N_SLOTS])
        return;
    for (unsigned i = 0; i < N_ROWS; i++)
        for (unsigned n = 0; n < row_slots(&insn_rows[i]); n++)
            slot_first[row_slot(&insn_rows[i]) + n + 1]++;
    for (unsigned s = 0; s < N_SLOTS; s++)
        slot_first[s + 1] = (u16)(slot_first[s + 1] + slot_first[s]);
    memcpy(next, slot_first, sizeof(next));
    place_rows(next, false);
    place_rows(next, true);
}

const struct insn_row *insn_row_nth(unsigned i) { return i < N_ROWS ? &insn_rows[i] : NULL; }
unsigned insn_row_index(const struct insn_row *r) { return (unsigned)(r - insn_rows); }

static bool modrm_fits(const struct insn_row *r, const struct insn *in, const struct dec_prefix *p)
{
    u32 m = r->modrm;
    if (m & RB0 && p->rex_b)
        return false;
    if ((m & (VL0 | VL1 | VL2) && !(m & VL0 << in->vex_l)) || (m & VW0 && p->w) || (m & VW1 && !p->w))
        return false;
    if (!(m & MRM))
        return true;
    if ((m & 2 && (in->modrm >> 3 & 7u) != (m >> 8 & 7)) || (m & 0x10 && (in->modrm & 7u) != (m >> 12 & 7)))
        return false;
    return !((m & 4 && in->mod == 3) || (m & 8 && in->mod != 3));
}

bool insn_opnd_scales(const struct insn_row *r, unsigned i)
{
    unsigned size = opnd_codes[r->op[i]].size;
    return size == SZ_x || size == SZ_xh || size == SZ_xq || size == SZ_xe || size == SZ_dup;
}

static bool has_feat(const u64 *feat, unsigned f) { return feat[f / 64] >> (f % 64) & 1; }

/* The row's feature, and what else an EVEX form needs. */
static bool row_offered(const struct insn_row *r, const struct insn *in, const u64 *feat)
{
    if (!feat)
        return true;
    if (r->feat != FEAT_NONE && !has_feat(feat, r->feat))
        return false;
    if (!in->evex || (has_feat(feat, FEAT_AVX512F) && (in->vex_l == 2 || has_feat(feat, FEAT_AVX512VL))))
        return true;
    for (unsigned i = 0; i < 4; i++)
        if (insn_opnd_scales(r, i))
            return false;
    return has_feat(feat, FEAT_AVX512F);
}

static const struct insn_row *row_find(const struct insn *in, const struct dec_prefix *p, unsigned slot, bool pe, const u64 *feat)
{
    for (unsigned i = slot_first[slot]; i < slot_first[slot + 1]; i++) {
        const struct insn_row *r = &insn_rows[cands[i]];
        if ((r->modes == I64 && in->bits == 64) || (r->modes == O64 && in->bits != 64))
            continue;
        if (r->prefix != PANY && r->prefix != p->sel)
            continue;
        if (!row_offered(r, in, feat))
            continue;
        if ((r->attr & A_PE && !pe) || !modrm_fits(r, in, p))
            continue;
        return r;
    }
    return NULL;
}

static void sizes_set(struct insn *in, const struct dec_prefix *p)
{
    u32 attr = in->row->attr;
    if (in->bits == 64) {
        in->osize = p->w ? 8 : in->p66 ? 2 : 4;
        if (attr & A_F64 || (attr & A_D64 && in->osize == 4))
            in->osize = 8;
    } else {
        in->osize = (in->bits == 32) != in->p66 ? 4 : 2;
    }
}

/* Outside 64-bit mode a VEX.W that only says how wide a GPR or its memory operand is does not count. */
static bool w_is_gpr_width(const struct insn_row *r)
{
    for (unsigned i = 0; i < 4; i++)
        if (opnd_codes[r->op[i]].size == SZ_y)
            return true;
    return r->modes == I64 && r->modrm & VW1;
}

/* What of the EVEX prefix does not depend on the operands' kinds: vector length, rounding, broadcast, masking. */
static bool evex_fits(const struct insn *in)
{
    u32 m = in->row->modrm;
    bool mem = in->mod != 3, masked = row_mask_grain(in->row) || in->row->attr & A_VSIB;
    if (in->evex_b && !(mem ? m & EBC : m & (ERC | ESAE)))
        return false;
    if (in->vex_l == 3 || (in->evex_aaa && !masked) || (in->evex_z && !in->evex_aaa))
        return false;
    return in->evex_aaa || !(in->row->attr & A_VSIB);
}

static unsigned opnd_bytes(const struct insn *in, enum opnd_size sz, bool mem)
{
    unsigned vl = 16u << in->vex_l;
    switch (sz) {
    case SZ_none: return 0;
    case SZ_b: return 1;
    case SZ_w: return 2;
    case SZ_d: return 4;
    case SZ_q: return 8;
    case SZ_t: return 10;
    case SZ_dq: return 16;
    case SZ_qq: return 32;
    case SZ_v: return in->osize;
    case SZ_z: return MIN_OF(in->osize, 4);
    case SZ_y: return in->vex_w ? 8 : 4;
    case SZ_n: return in->bits == 64 ? 8 : 4;
    case SZ_far: return in->osize + 2u;
    case SZ_dt: return in->bits == 64 ? 10 : 6;
    case SZ_pair: return in->osize * 2u;
    case SZ_x: return vl;
    case SZ_xh: return vl / 2;
    case SZ_xq: return vl / 4;
    case SZ_xe: return vl / 8;
    case SZ_dup: return in->vex_l ? vl : 8;
    case SZ_env: return in->osize == 2 ? 14 : 28;
    case SZ_state: return in->osize == 2 ? 94 : 108;
    case SZ_fx: return 512;
    case SZ_wv: return mem ? 2 : in->osize;
    case SZ_db: return mem ? 1 : 4;
    case SZ_dw: return mem ? 2 : 4;
    }
    return 0;
}

static void opnd_gpr(const struct insn *in, struct opnd *o, unsigned reg)
{
    o->kind = OK_GPR;
    o->reg = (u8)reg;
    if (o->size == 1 && reg >= 4 && reg < 8 && !in->rex && !in->vex) {
        o->kind = OK_GPRH;
        o->reg = (u8)(reg - 4);
    }
}
/* The unit of a disp8: what the memory operand accesses, or one element. */
static unsigned evex_scale8(const struct insn *in)
{
    const struct insn_row *r = in->row;
    if (!in->evex)
        return 1;
    if (in->evex_b)
        return in->vex_w ? 8 : 4;
    if (r->modrm & EELEM)
        return row_mask_grain(r);
    for (unsigned i = 0; i < 4; i++) {
        unsigned src = opnd_codes[r->op[i]].src;
        if (src == SRC_E || src == SRC_M || src == SRC_W)
            return opnd_bytes(in, opnd_codes[r->op[i]].size, true);
    }
    return 1;
}

static void opnd_reg(struct opnd *o, enum opnd_kind kind, unsigned reg)
{
    o->kind = kind;
    o->reg = (u8)reg;
}

/* An immediate goes to imm, a second one (ENTER) to imm2. */
static void opnd_imm(struct insn *in, struct opnd *o, struct dec_cursor *c, bool sign)
{
    u64 v = dec_take(c, o->size);
    if (sign)
        v = sext(v, o->size);
    if (o != in->op && o[-1].kind == OK_IMM)
        in->imm2 = v;
    else
        in->imm = v;
    o->kind = OK_IMM;
}

/* Operands that need no immediate bytes. False: no such register. */
static bool opnd_regs(struct insn *in, const struct dec_prefix *p, struct opnd *o, enum opnd_src src, unsigned fixed)
{
    bool mem = in->has_modrm && in->mod != 3;
    unsigned rm_vec = in->rm | (in->evex ? (unsigned)p->rex_x << 1 : 0);
    switch (src) {
    case SRC_E: case SRC_M: case SRC_R:
        mem ? opnd_reg(o, OK_MEM, 0) : opnd_gpr(in, o, in->rm);
        return mem ? src != SRC_R : src != SRC_M;
    case SRC_W: mem ? opnd_reg(o, OK_MEM, 0) : opnd_reg(o, OK_VEC, rm_vec); return true;
    case SRC_Q: mem ? opnd_reg(o, OK_MEM, 0) : opnd_reg(o, OK_MMX, in->rm & 7); return true;
    case SRC_U: opnd_reg(o, OK_VEC, rm_vec); return !mem;
    case SRC_N: opnd_reg(o, OK_MMX, in->rm & 7); return !mem;
    case SRC_ST: opnd_reg(o, OK_ST, in->rm & 7); return !mem;
    case SRC_G: opnd_gpr(in, o, in->reg); return !p->evex_r;
    case SRC_Z: opnd_gpr(in, o, (in->opcode & 7u) | p->rex_b); return true;
    case SRC_F: opnd_reg(o, OK_GPR, fixed); return true;
    case SRC_B: opnd_gpr(in, o, in->vex_vvvv); return true;
    case SRC_S: opnd_reg(o, OK_SEG, in->reg & 7); return o->reg < SEG_COUNT && !(o->wr && o->reg == S_CS);
    case SRC_T: opnd_reg(o, OK_SEG, fixed); return true;
    case SRC_C:
        opnd_reg(o, OK_CR, in->lock ? in->reg | 8u : in->reg);
        return o->reg == 0 || (o->reg >= 2 && o->reg <= 4) || o->reg == 8;
    case SRC_D: opnd_reg(o, OK_DR, in->reg); return o->reg < 8;
    case SRC_X: opnd_reg(o, OK_STRSRC, R_SI); return true;
    case SRC_Y: opnd_reg(o, OK_STRDST, R_DI); return true;
    case SRC_V: opnd_reg(o, OK_VEC, in->reg | p->evex_r); return true;
    case SRC_H: opnd_reg(o, OK_VEC, in->vex_vvvv | p->evex_v); return in->bits == 64 || !p->evex_v;
    case SRC_KG: opnd_reg(o, OK_MASK, in->reg); return in->reg < 8 && !p->evex_r;
    case SRC_KH: opnd_reg(o, OK_MASK, in->vex_vvvv); return in->vex_vvvv < 8;
    case SRC_KR: opnd_reg(o, OK_MASK, in->rm & 7); return !mem;
    case SRC_KE: mem ? opnd_reg(o, OK_MEM, 0) : opnd_reg(o, OK_MASK, in->rm & 7); return true;
    case SRC_VF: opnd_reg(o, OK_VEC, fixed); return true;
    case SRC_P: opnd_reg(o, OK_MMX, in->reg & 7); return true;
    case SRC_STF: opnd_reg(o, OK_ST, fixed); return true;
    default: return true;
    }
}

/* Operands made of immediate bytes, in the order of the operands. */
static void opnd_bytes_take(struct insn *in, struct opnd *o, struct dec_cursor *c, enum opnd_src src, unsigned fixed)
{
    switch (src) {
    case SRC_I: opnd_imm(in, o, c, false); break;
    case SRC_IS: opnd_imm(in, o, c, true); break;
    case SRC_K:
        o->kind = OK_IMM;
        o->size = 1;
        in->imm = fixed;
        break;
    case SRC_J:
        o->kind = OK_REL;
        in->imm = sext(dec_take(c, o->size), o->size); /* made absolute when the length is known */
        break;
    case SRC_A:
        o->kind = OK_FAR;
        in->imm = dec_take(c, in->osize);
        in->imm2 = dec_take(c, 2);
        break;
    case SRC_O:
        o->kind = OK_MOFFS;
        in->mem.disp = (i64)dec_take(c, in->asize);
        break;
    case SRC_L:
        o->kind = OK_VEC;
        in->imm = dec_take(c, 1);
        o->reg = in->imm >> 4 & (in->bits == 64 ? 15 : 7);
        break;
    default: break;
    }
}

static bool operands(struct insn *in, const struct dec_prefix *p, struct dec_cursor *c)
{
    const struct insn_row *r = in->row;
    bool mem = in->has_modrm && in->mod != 3, vvvv = r->attr & A_VEXNDS;
    const u32 rd[] = { A_R1, A_R2, 0, 0 }, wr[] = { A_W1, A_W2, A_W3, 0 };
    for (unsigned i = 0; i < 4 && r->op[i] != O___; i++) {
        unsigned src = opnd_codes[r->op[i]].src, fixed = opnd_codes[r->op[i]].reg;
        struct opnd *o = &in->op[i];
        in->nop = (u8)(i + 1);
        o->wr = r->attr & wr[i];
        o->rd = i == 0 ? r->attr & A_R1 : i == 1 && o->wr ? r->attr & rd[i] : true;
        o->size = (u16)opnd_bytes(in, opnd_codes[r->op[i]].size, mem);
        vvvv = vvvv || src == SRC_H || src == SRC_B || src == SRC_KH;
        if (!opnd_regs(in, p, o, src, fixed))
            return false;
        if (in->evex_b && o->kind == OK_MEM)
            o->size = in->vex_w ? 8 : 4;
        opnd_bytes_take(in, o, c, src, fixed);
    }
    if (in->evex_z && (in->op[0].kind != OK_VEC || r->attr & A_VSIB))
        return false;
    return !in->vex || vvvv || (p->vvvv_unused && (!p->evex_v || r->attr & A_VSIB));
}

/* LOCK needs a row that allows it and a memory destination; with MOV CR0 it means CR8 where the CPU says so. */
static bool lock_ok(const struct insn *in, const u64 *feat)
{
    if (!in->lock)
        return true;
    if (in->op[0].kind == OK_CR || in->op[1].kind == OK_CR)
        return in->op[in->op[0].kind == OK_CR ? 0 : 1].reg == 8 && !(in->reg & 8) &&
               (!feat || feat[FEAT_CR8LEGACY / 64] >> (FEAT_CR8LEGACY % 64) & 1);
    return in->row->attr & A_LOCK && in->op[0].kind == OK_MEM;
}

/* What needs the length: branch targets and RIP-relative addresses. */
static void length_set(struct insn *in, unsigned len)
{
    in->len = (u8)len;
    u64 next = in->pc + len;
    if (in->op[0].kind == OK_REL)
        in->imm += next;
    if (in->has_modrm && in->mod != 3 && in->mem.base == -2)
        in->mem.disp = (i64)zext((u64)in->mem.disp + next, in->asize);
}

enum dec_result insn_decode(struct insn *in, const u8 *bytes, unsigned n, unsigned bits, bool pe, u64 pc, const u64 *feat)
{
    struct dec_cursor c = { bytes, n, 0, DEC_OK };
    struct dec_prefix p;
    *in = (struct insn){ .pc = pc, .bits = (u8)bits, .mem = { .base = -1, .index = -1 } };
    dec_prefixes(in, &p, &c, pe);
    in->asize = bits == 64 ? (p.a67 ? 4 : 8) : (bits == 32) != p.a67 ? 4 : 2;
    in->vex_w = p.w;
    in->mem.seg = p.seg != S_NONE ? p.seg : S_DS;
    in->mem.asize = in->asize;
    unsigned slot = p.map * 256u + in->opcode;
    in->len = (u8)c.pos;
    if (c.err != DEC_OK)
        return c.err;
    if (slot_first[slot] == slot_first[slot + 1])
        return DEC_UD;
    if (slot_modrm[slot]) {
        in->has_modrm = true;
        in->modrm = (u8)dec_take(&c, 1);
        in->mod = insn_rows[cands[slot_first[slot]]].attr & A_MOD3 ? 3 : in->modrm >> 6;
        in->reg = (in->modrm >> 3 & 7) | p.rex_r;
        in->rm = (in->modrm & 7) | p.rex_b;
    }
    in->len = (u8)c.pos;
    if (c.err != DEC_OK)
        return c.err;
    if (in->evex_b && in->mod == 3)
        in->vex_l = 2; /* L'L is the rounding mode */
    in->row = row_find(in, &p, slot, pe, feat);
    if (!in->row || (in->evex && !evex_fits(in)))
        return DEC_UD;
    sizes_set(in, &p);
    if (bits != 64 && w_is_gpr_width(in->row))
        in->vex_w = 0;
    if (in->has_modrm && in->mod != 3 && !dec_mem(in, &p, &c, in->row->attr & A_VSIB, evex_scale8(in)))
        return DEC_UD;
    if (!operands(in, &p, &c) || (c.err == DEC_OK && !lock_ok(in, feat)))
        return DEC_UD;
    length_set(in, c.pos);
    return c.err;
}
