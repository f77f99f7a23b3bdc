/* The parts of decoding that do not depend on the table: a cursor over the bytes, prefixes, VEX, EVEX, ModRM and SIB. Private to cpu/decode/. */
#ifndef CPU_DECODE_MODRM_H
#define CPU_DECODE_MODRM_H
#include "cpu/decode/decode.h"

#define INSN_LEN_MAX 15

struct dec_cursor {
    const u8 *bytes;
    unsigned n, pos;
    enum dec_result err; /* first failure; DEC_OK while all is well */
};
/* Next n bytes (1, 2, 4, 8) as an unsigned little-endian value; 0 with c->err set if they are not there. */
static inline u64 dec_take(struct dec_cursor *c, unsigned n)
{
    const u8 *p = c->bytes + c->pos;
    if (c->err != DEC_OK)
        return 0;
    if (UNLIKELY(c->pos + n > MIN_OF(c->n, (unsigned)INSN_LEN_MAX))) {
        c->err = c->pos + n > INSN_LEN_MAX && c->n >= INSN_LEN_MAX ? DEC_TOOLONG : DEC_MORE;
        return 0;
    }
    c->pos += n;
    return n == 1 ? *p : n == 2 ? ld16(p) : n == 4 ? ld32(p) : ld64(p);
}

struct dec_prefix {
    u8 map;        /* of the opcode that follows */
    u8 sel;        /* PNP, P66, PF3, PF2: what selects rows */
    u8 rex_r, rex_x, rex_b; /* 0 or 8 */
    u8 evex_r, evex_v; /* EVEX.R' and V': 0 or 16 */
    bool w;        /* REX.W or VEX.W as encoded */
    bool vvvv_unused; /* VEX.vvvv is 1111b as encoded (outside 64-bit mode operands ignore its top bit) */
    u8 seg;        /* override that counts, or S_NONE */
    bool a67;
};
/* Consumes prefixes, escape bytes and the opcode; fills in->lock, rep, repne, p66, rex, vex*, evex*, opcode. */
void dec_prefixes(struct insn *in, struct dec_prefix *p, struct dec_cursor *c, bool pe);
/* Consumes SIB and displacement of a memory operand (in->modrm is set); fills in->mem. A disp8 counts in units of scale8 bytes. False: not a valid
 * form (VSIB without SIB). */
bool dec_mem(struct insn *in, const struct dec_prefix *p, struct dec_cursor *c, bool vsib, unsigned scale8);

#endif
