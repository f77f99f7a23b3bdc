/* Fuzz target: the decoder, on any bytes in any mode. Its result does not depend on what follows the instruction, no instruction is longer than 15 bytes,
 * and Capstone's length is the same where both know the instruction. Source of the rules: SDM vol. 2 chapter 2. */
#include "tests/fuzz/fuzz.h"
#include <glib.h>
#include "cpu/cpuid.h"
#include "tests/lib/capstone.h"

#define PC 0x1000ull
enum { INSN_MAX = 15 };

static void check_prefix(const u8 *b, const struct insn *in, bool pe, const u64 *feat)
{
    u8 other[INSN_MAX + 1];
    struct insn again;
    for (unsigned n = 0; n < in->len; n++)
        g_assert_cmpint(insn_decode(&again, b, n, in->bits, pe, PC, feat), ==, DEC_MORE);
    memcpy(other, b, in->len);
    memset(other + in->len, 0xa5, sizeof(other) - in->len);
    g_assert_cmpint(insn_decode(&again, other, INSN_MAX, in->bits, pe, PC, feat), ==, DEC_OK);
    g_assert_cmpuint(again.len, ==, in->len);
    g_assert_true(again.row == in->row);
}

/* Registers that an operand of this kind may name. */
static unsigned registers(const struct insn *in, unsigned kind)
{
    if (kind == OK_VEC && in->evex && in->bits == 64)
        return 32;
    return kind == OK_MASK ? 8 : 16;
}

static void check_insn(const struct insn *in, unsigned n)
{
    g_assert_nonnull(in->row);
    g_assert_cmpuint(in->len, >, 0);
    g_assert_cmpuint(in->len, <=, MIN_OF(n, INSN_MAX));
    g_assert_cmpuint(in->nop, <=, ARRAY_LEN(in->op));
    g_assert_true(in->osize == 2 || in->osize == 4 || in->osize == 8);
    g_assert_true(in->asize == 2 || in->asize == 4 || in->asize == 8);
    for (unsigned i = 0; i < in->nop; i++)
        g_assert_cmpuint(in->op[i].reg, <, registers(in, in->op[i].kind));
}

static void check_capstone(const struct insn *in, const u8 *b, unsigned n)
{
    unsigned theirs = capstone_insn_len(in->bits, PC, b, n);
    if (theirs && theirs != in->len && !capstone_length_wrong(in))
        g_error("%u-bit %s: length %u, Capstone: %u", in->bits, in->row->mnem, in->len, theirs);
}

/* The first byte: mode, protection, some features off; then the code. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u8 modes[] = { 64, 32, 16, 64 };
    u64 feat[FEAT_WORDS];
    struct insn in;
    if (!size)
        return 0;
    unsigned bits = modes[data[0] & 3], n = (unsigned)MIN_OF(size - 1, 32);
    bool pe = bits == 64 || !(data[0] & 4);
    const u8 *b = data + 1;
    insn_table_init();
    memset(feat, 0xff, sizeof(feat));
    if (data[0] >> 3)
        feat[0] = feat[1] = 0x5555555555555555ull * (data[0] >> 3);
    enum dec_result r = insn_decode(&in, b, n, bits, pe, PC, feat);
    if (r == DEC_MORE)
        g_assert_cmpuint(n, <, INSN_MAX);
    if (r != DEC_OK)
        return 0;
    check_insn(&in, n);
    check_prefix(b, &in, pe, feat);
    if (pe && !(data[0] >> 3))
        check_capstone(&in, b, n);
    return 0;
}
