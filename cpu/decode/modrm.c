/* Prefixes, VEX, EVEX, ModRM and SIB of an instruction. Pure functions, any thread; called by decode.c.
 * Source: SDM vol. 2 sections 2.1 to 2.3 and 2.7. */
#include "cpu/decode/modrm.h"

/* One legacy prefix byte; false if b is none. */
static bool legacy_prefix(struct insn *in, struct dec_prefix *p, u8 b)
{
    static const u8 seg_of[] = { S_ES, S_CS, S_SS, S_DS };
    switch (b) {
    case 0x66: in->p66 = true; return true;
    case 0x67: p->a67 = true; return true;
    case 0xf0: in->lock = true; return true;
    case 0xf2: in->repne = true; in->rep = false; return true;
    case 0xf3: in->rep = true; in->repne = false; return true;
    case 0x26: case 0x2e: case 0x36: case 0x3e:
        if (in->bits != 64) /* in 64-bit mode they are nothing, and leave an earlier FS or GS override alone */
            p->seg = seg_of[b >> 3 & 3];
        return true;
    case 0x64: p->seg = S_FS; return true;
    case 0x65: p->seg = S_GS; return true;
    default: return false;
    }
}

/* The two or three bytes after C5 / C4. */
static void vex_prefix(struct insn *in, struct dec_prefix *p, struct dec_cursor *c, bool three, bool pe)
{
    static const u8 sel[] = { PNP, P66, PF3, PF2 };
    u8 b1 = (u8)dec_take(c, 1), b2 = b1;
    unsigned map = 1;
    if (three) {
        b2 = (u8)dec_take(c, 1);
        map = b1 & 31;
        p->rex_x = b1 & 0x40 ? 0 : 8;
        p->rex_b = b1 & 0x20 || in->bits != 64 ? 0 : 8;
        p->w = b2 >> 7;
    }
    if (c->err != DEC_OK)
        return;
    in->vex = true;
    p->rex_r = b1 & 0x80 ? 0 : 8;
    in->vex_vvvv = ~(b2 >> 3) & (in->bits == 64 ? 15 : 7);
    p->vvvv_unused = (b2 & 0x78) == 0x78;
    in->vex_l = b2 >> 2 & 1;
    p->sel = sel[b2 & 3];
    if (map < 1 || map > 3 || !pe || in->rex || in->p66 || in->rep || in->repne || in->lock) {
        c->err = DEC_UD;
        return;
    }
    p->map = (u8)(VX1 + map - 1);
    in->opcode = (u8)dec_take(c, 1);
}

/* The three bytes after 62. */
static void evex_prefix(struct insn *in, struct dec_prefix *p, struct dec_cursor *c, bool pe)
{
    static const u8 sel[] = { PNP, P66, PF3, PF2 };
    u8 b0 = (u8)dec_take(c, 1), b1 = (u8)dec_take(c, 1), b2 = (u8)dec_take(c, 1);
    unsigned map = b0 & 7;
    bool is64 = in->bits == 64;
    if (c->err != DEC_OK)
        return;
    in->vex = in->evex = true;
    p->rex_r = b0 & 0x80 ? 0 : 8;
    p->rex_x = b0 & 0x40 ? 0 : 8;
    p->rex_b = b0 & 0x20 || !is64 ? 0 : 8;
    p->evex_r = b0 & 0x10 || !is64 ? 0 : 16;
    p->evex_v = b2 & 8 ? 0 : 16;
    p->w = b1 >> 7;
    in->vex_vvvv = ~(b1 >> 3) & (is64 ? 15 : 7);
    p->vvvv_unused = (b1 & 0x78) == 0x78;
    p->sel = sel[b1 & 3];
    in->evex_aaa = b2 & 7;
    in->evex_z = b2 >> 7;
    in->evex_b = b2 >> 4 & 1;
    in->evex_ll = in->vex_l = b2 >> 5 & 3;
    if (map < 1 || map > 3 || b0 & 8 || !(b1 & 4) || !pe || in->rex || in->p66 || in->rep || in->repne || in->lock) {
        c->err = DEC_UD;
        return;
    }
    p->map = (u8)(EV1 + map - 1);
    in->opcode = (u8)dec_take(c, 1);
}

/* After the opcode's first byte 0F. */
static void escape(struct insn *in, struct dec_prefix *p, struct dec_cursor *c)
{
    p->map = M0F;
    in->opcode = (u8)dec_take(c, 1);
    if (in->opcode == 0x38 || in->opcode == 0x3a) {
        p->map = in->opcode == 0x38 ? M38 : M3A;
        in->opcode = (u8)dec_take(c, 1);
    }
}

void dec_prefixes(struct insn *in, struct dec_prefix *p, struct dec_cursor *c, bool pe)
{
    *p = (struct dec_prefix){ .map = M1, .seg = S_NONE };
    u8 b = (u8)dec_take(c, 1);
    while (c->err == DEC_OK) {
        if (legacy_prefix(in, p, b))
            in->rex = 0; /* REX counts only right before the opcode */
        else if (in->bits == 64 && (b & 0xf0) == 0x40)
            in->rex = b;
        else
            break;
        b = (u8)dec_take(c, 1);
    }
    if (c->err != DEC_OK)
        return;
    in->opcode = b;
    p->sel = in->rep ? PF3 : in->repne ? PF2 : in->p66 ? P66 : PNP;
    p->w = in->rex >> 3 & 1;
    p->rex_r = (in->rex & 4) << 1;
    p->rex_x = (in->rex & 2) << 2;
    p->rex_b = (in->rex & 1) << 3;
    if (b == 0xc4 || b == 0xc5 || b == 0x62) {
        /* Outside 64-bit mode these are LES, LDS and BOUND unless the next byte would be a register form. */
        if (in->bits != 64) {
            struct dec_cursor peek = *c;
            u8 next = (u8)dec_take(&peek, 1);
            if (peek.err != DEC_OK) {
                c->err = peek.err;
                return;
            }
            if (next < 0xc0)
                return;
        }
        if (b == 0x62)
            evex_prefix(in, p, c, pe);
        else
            vex_prefix(in, p, c, b == 0xc4, pe);
    } else if (b == 0x0f) {
        escape(in, p, c);
    }
}

static void mem16(struct insn *in, struct dec_cursor *c, unsigned scale8)
{
    static const i8 base[8] = { R_BX, R_BX, R_BP, R_BP, R_SI, R_DI, R_BP, R_BX };
    static const i8 index[8] = { R_SI, R_DI, R_SI, R_DI, -1, -1, -1, -1 };
    struct insn_mem *m = &in->mem;
    unsigned rm = in->modrm & 7;
    m->base = base[rm];
    m->index = index[rm];
    if (in->mod == 0 && rm == 6) {
        m->base = -1;
        m->disp = (i64)dec_take(c, 2);
    } else if (in->mod == 1) {
        m->disp = (i8)dec_take(c, 1) * (i64)scale8;
    } else if (in->mod == 2) {
        m->disp = (i16)dec_take(c, 2);
    }
}

static void mem32(struct insn *in, const struct dec_prefix *p, struct dec_cursor *c, bool vsib, unsigned scale8)
{
    struct insn_mem *m = &in->mem;
    unsigned rm = in->modrm & 7, base = rm;
    bool disp32 = in->mod == 2;
    if (rm == 4) {
        u8 sib = (u8)dec_take(c, 1);
        unsigned index = (sib >> 3 & 7) | p->rex_x;
        base = sib & 7;
        m->scale = sib >> 6;
        m->index = vsib ? (i8)(index | p->evex_v) : index == 4 ? -1 : (i8)index;
    }
    m->base = (i8)(base | p->rex_b);
    if (in->mod == 0 && base == 5) {
        disp32 = true;
        m->base = rm == 5 && in->bits == 64 ? -2 : -1;
    }
    if (disp32)
        m->disp = (i32)dec_take(c, 4);
    else if (in->mod == 1)
        m->disp = (i8)dec_take(c, 1) * (i64)scale8;
}

bool dec_mem(struct insn *in, const struct dec_prefix *p, struct dec_cursor *c, bool vsib, unsigned scale8)
{
    struct insn_mem *m = &in->mem;
    if (vsib && ((in->modrm & 7) != 4 || in->asize == 2))
        return false;
    if (in->asize == 2)
        mem16(in, c, scale8);
    else
        mem32(in, p, c, vsib, scale8);
    bool stack = m->base == R_BP || m->base == R_SP;
    m->seg = p->seg != S_NONE ? p->seg : stack ? S_SS : S_DS;
    return true;
}
