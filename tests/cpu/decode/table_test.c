/* Sanity of the instruction table: rows of one opcode can be told apart, columns make sense, and each row can be reached by
 * some encoding. Tests cpu/decode/insn*.def. */
#include <glib.h>
#include "cpu/cpuid.h"
#include "tests/lib/insn_gen.h"

static bool same_slot(const struct insn_row *a, const struct insn_row *b)
{
    unsigned an = a->attr & A_PLUSR ? 8 : 1, bn = b->attr & A_PLUSR ? 8 : 1;
    return a->map == b->map && a->opcode < b->opcode + bn && b->opcode < a->opcode + an;
}

/* Some encoding fits both rows. */
static bool overlap(const struct insn_row *a, const struct insn_row *b)
{
    u32 m = a->modrm, k = b->modrm;
    if ((a->modes == I64 && b->modes == O64) || (a->modes == O64 && b->modes == I64))
        return false;
    if (a->prefix != b->prefix) /* a specific prefix is preferred to PANY; two different ones exclude each other */
        return false;
    if ((m & VL0 && k & VL1) || (m & VL1 && k & VL0) || (m & VW0 && k & VW1) || (m & VW1 && k & VW0))
        return false;
    if ((m & 2) && (k & 2) && (m >> 8 & 7) != (k >> 8 & 7))
        return false;
    if ((m & 4 && k & 8) || (m & 8 && k & 4))
        return false;
    return !(m & 0x10 && k & 0x10 && (m >> 12 & 7) != (k >> 12 & 7));
}

/* Two rows may fit the same bytes only if the first is conditional on a feature or on REX.B, and then falls through to the second. */
static void test_overlap(void)
{
    const struct insn_row *a, *b;
    for (unsigned i = 0; (a = insn_row_nth(i)); i++) {
        for (unsigned j = i + 1; (b = insn_row_nth(j)); j++) {
            if (!same_slot(a, b))
                continue;
            g_assert_cmpint(!(a->modrm & MRM), ==, !(b->modrm & MRM));
            if (!overlap(a, b) || a->modrm & RB0 || (a->feat != FEAT_NONE && b->feat != a->feat))
                continue;
            g_test_message("%s (%s) and %s (%s), map %u opcode %02x", a->mnem, a->rule_name, b->mnem, b->rule_name, a->map, a->opcode);
            g_test_fail();
        }
    }
}

static void test_columns(void)
{
    const struct insn_row *r;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        g_assert_cmpuint(insn_row_index(r), ==, i);
        g_assert_cmpuint(r->map, <, MAP_COUNT);
        g_assert_cmpuint(r->feat, <, FEAT_COUNT);
        if ((r->fl_read | r->fl_write | r->fl_undef) & ~F_ARITH || r->fl_write & r->fl_undef) {
            g_test_message("%s: flag columns %x %x %x", r->mnem, r->fl_read, r->fl_write, r->fl_undef);
            g_test_fail();
        }
        if (r->attr & (A_W1 | A_R1) && r->op[0] == O___) {
            g_test_message("%s: reads or writes an operand that it does not have", r->mnem);
            g_test_fail();
        }
        if (r->map >= VX1 && (r->prefix == PANY || r->attr & A_LOCK)) {
            g_test_message("%s: VEX row with a prefix that cannot be", r->mnem);
            g_test_fail();
        }
    }
}

static void test_reachable(void)
{
    struct insn_gen g = { .seed = 88172645463325252ull };
    const struct insn_row *r;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        for (g.bits = 16; g.bits <= 64; g.bits *= 2) {
            u8 buf[32];
            struct insn in;
            unsigned len = insn_gen(&g, r, 0x1000, buf, &in);
            bool exists = !(r->modes == I64 && g.bits == 64) && !(r->modes == O64 && g.bits != 64);
            if ((len > 0) != exists) {
                g_test_message("%s (map %u opcode %02x %s) in %u-bit mode", r->mnem, r->map, r->opcode, r->rule_name, g.bits);
                g_test_fail();
            }
            if (!len)
                continue;
            /* One byte less is not enough, the bytes behind do not matter. */
            struct insn again;
            g_assert_cmpint(insn_decode(&again, buf, len - 1, g.bits, true, 0x1000, NULL), ==, DEC_MORE);
            g_assert_cmpint(insn_decode(&again, buf, len, g.bits, true, 0x1000, NULL), ==, DEC_OK);
            g_assert_cmpmem(&again, sizeof(in), &in, sizeof(in));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    g_test_add_func("/cpu/decode/table/overlap", test_overlap);
    g_test_add_func("/cpu/decode/table/columns", test_columns);
    g_test_add_func("/cpu/decode/table/reachable", test_reachable);
    return g_test_run();
}
