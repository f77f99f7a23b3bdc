/* Encodes carried host instructions: legacy SSE/MMX, VEX, EVEX and x87, bytes only. Called by the baseline backend and by carry_exec.c on a vCPU or
 * compile thread. Source: SDM vol. 2 chapter 2 (instruction format, REX, VEX, EVEX). */
#include "cpu/help/carry.h"

struct bytes {
    u8 *p;
    unsigned n;
};

static void put(struct bytes *b, unsigned v)
{
    b->p[b->n++] = (u8)v;
}

/* Host number of an operand field: guest numbers are host numbers, except for GPRs. */
static unsigned host_number(unsigned cls, unsigned num, const struct carry_place *p)
{
    switch (cls) {
    case CC_GPR:
        assert(p->gpr >= 0);
        return (unsigned)p->gpr;
    case CC_MMX:
        return num & 7;
    case CC_MEM:
        return (unsigned)p->base;
    default:
        return num;
    }
}

/* ModRM, SIB and displacement of the memory operand. EVEX: a displacement is one of four bytes, so that none needs a scale. */
static void put_mem(struct bytes *b, unsigned reg, const struct carry_place *p, bool evex)
{
    int base = p->base, index = p->index;
    unsigned r = (reg & 7) << 3, m = (unsigned)base & 7;
    bool small = evex ? p->disp == 0 : p->disp == (i8)p->disp;
    unsigned mod = p->disp == 0 && m != 5 ? 0 : small ? 0x40 : 0x80; /* rBP, r13: no form without displacement */
    assert(base >= 0 && index != R_SP);
    if (index >= 0) {
        put(b, mod | r | 4);
        put(b, ((unsigned)index & 7) << 3 | m);
    } else {
        put(b, mod | r | m);
        if (m == 4) { /* rSP, r12 */
            put(b, 0x24);
        }
    }
    for (unsigned i = 0; mod && i < (small ? 1u : 4u); i++) {
        put(b, (u32)p->disp >> (8 * i));
    }
}

static void put_modrm(struct bytes *b, const struct carry *k, unsigned reg, unsigned rm, const struct carry_place *p)
{
    if (k->rm_class == CC_MEM) {
        put_mem(b, reg, p, k->enc == 3);
    } else {
        put(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
    }
}

static unsigned pp_field(const struct carry *k)
{
    return k->pp == 0x66 ? 1 : k->pp == 0xf3 ? 2 : k->pp == 0xf2 ? 3 : 0;
}

static void put_vex(struct bytes *b, const struct carry *k, unsigned reg, unsigned rm, unsigned index)
{
    unsigned v = k->vvvv_class == CC_NONE ? 0 : k->vvvv;
    unsigned low = (~v & 15) << 3 | (k->l & 1u) << 2 | pp_field(k);
    if (rm < 8 && index < 8 && !k->w && k->map == 1) {
        put(b, 0xc5);
        put(b, (reg < 8 ? 0x80u : 0) | low);
    } else {
        put(b, 0xc4);
        put(b, (reg < 8 ? 0x80u : 0) | (index < 8 ? 0x40u : 0) | (rm < 8 ? 0x20u : 0) | k->map);
        put(b, (k->w ? 0x80u : 0) | low);
    }
}

/* R, X, B, V and R' are stored inverted; X is the fifth bit of a vector register in ModRM.rm. */
static void put_evex(struct bytes *b, const struct carry *k, unsigned reg, unsigned rm, unsigned index)
{
    unsigned v = k->vvvv_class == CC_NONE ? 0 : k->vvvv, x = k->rm_class == CC_MEM ? index >> 3 : rm >> 4;
    put(b, 0x62);
    put(b, (~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~rm >> 3 & 1) << 5 | (~reg >> 4 & 1) << 4 | k->map);
    put(b, (k->w ? 0x80u : 0) | (~v & 15) << 3 | 4 | pp_field(k));
    put(b, (k->z ? 0x80u : 0) | (k->l & 3u) << 5 | (k->b ? 0x10u : 0) | (~v >> 4 & 1) << 3 | k->aaa);
}

static void put_rex(struct bytes *b, unsigned w, unsigned reg, unsigned rm, unsigned index)
{
    unsigned rex = (w ? 8u : 0) | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (rm >> 3 & 1);
    if (rex) {
        put(b, 0x40 | rex);
    }
}

static unsigned encode_x87(struct bytes *b, const struct carry *k, const struct carry_place *p)
{
    if (k->rm_class != CC_MEM) {
        put(b, k->op);
        if (!k->no_modrm) {
            put(b, k->modrm);
        }
        return b->n;
    }
    put_rex(b, 0, 0, (unsigned)p->base, p->index < 0 ? 0 : (unsigned)p->index);
    put(b, k->op);
    put_mem(b, k->modrm >> 3 & 7, p, false);
    return b->n;
}

unsigned carry_encode(u8 *buf, const struct carry *k, const struct carry_place *p)
{
    struct bytes b = { buf, 0 };
    if (k->enc == 2) {
        return encode_x87(&b, k, p);
    }
    assert(k->vvvv_class != CC_GPR);
    unsigned reg = host_number(k->reg_class, k->reg, p);
    unsigned rm = host_number(k->rm_class, k->rm, p);
    unsigned index = k->rm_class == CC_MEM && p->index >= 0 ? (unsigned)p->index : 0;
    if (k->enc == 1) {
        put_vex(&b, k, reg, rm, index);
    } else if (k->enc == 3) {
        put_evex(&b, k, reg, rm, index);
    } else {
        if (k->pp) {
            put(&b, k->pp);
        }
        put_rex(&b, k->w, reg, rm, index);
        put(&b, 0x0f);
        if (k->map > 1) {
            put(&b, k->map == 2 ? 0x38 : 0x3a);
        }
    }
    put(&b, k->op);
    if (!k->no_modrm) {
        put_modrm(&b, k, reg, rm, p);
    }
    if (k->has_imm) {
        put(&b, k->imm);
    }
    return b.n;
}
