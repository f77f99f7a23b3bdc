/* Tests of cpu/predict.c: which instructions are branches, and the model of a predictor. */
#include <glib.h>
#include "cpu/predict.h"
#include "tests/lib/pm_cpu.h"

static const struct insn_row *row_of(const char *rule)
{
    const struct insn_row *r;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        if (!strcmp(r->rule_name, rule))
            return r;
    }
    g_test_message("no row has the rule %s", rule);
    g_assert_not_reached();
}

/* Every row that ends a block is a branch, or known not to be one. */
static void test_kinds(void)
{
    static const char *const others[] = {
        "hlt", "mwait", "sti", "popf", "mov_to_cr", "mov_to_dr", "lmsw", "invlpg", "invpcid", "wrmsr", "out", "ud", "clac", "stac", "clts", "wrpkru",
        "xsetbv", "pop_seg", "mov_to_seg", "lxs", "movs", "stos", "lods", "cmps", "scas", "ins", "outs",
    };
    const struct insn_row *r;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        bool other = !(r->attr & A_END);
        for (unsigned k = 0; k < ARRAY_LEN(others); k++)
            other |= !strcmp(r->rule_name, others[k]);
        if (other != (branch_kind_of(r) == BR_NONE))
            g_test_message("%s (%s)", r->mnem, r->rule_name);
        g_assert_cmpint(other, ==, branch_kind_of(r) == BR_NONE);
    }
    g_assert_cmpint(branch_kind_of(row_of("jcc")), ==, BR_COND);
    g_assert_cmpint(branch_kind_of(row_of("jmp")), ==, BR_DIRECT);
    g_assert_cmpint(branch_kind_of(row_of("call_ind")), ==, BR_CALL_IND);
    g_assert_cmpint(branch_kind_of(row_of("iret")), ==, BR_FAR);
    g_assert_cmpint(branch_kind_of(NULL), ==, BR_NONE);
}

/* Runs a branch of this kind at pc that goes to `to`; true if it was mispredicted. JCC: to = pc + 0x100 is "taken". */
static bool branch(struct pm_cpu *p, struct ir_block *b, const char *rule, u64 pc, u64 to)
{
    i64 left = p->c->pmu.left[PMU_MISSES];
    *b = (struct ir_block){ .pc = pc, .mode = MODE_64, .n_insns = 1, .n_ops = 1, .len = 2 };
    b->insn[0] = (struct ir_insn){ .pc = pc, .len = 2, .row = row_of(rule) };
    b->op[0] = (struct ir_op){ .code = IR_JCC, .imm = pc + 0x100, .imm2 = pc + 2 };
    p->c->rip = to;
    predict_branch(p->c, b);
    return left - p->c->pmu.left[PMU_MISSES];
}

static void test_directions(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct ir_block *b = g_new0(struct ir_block, 1);
    static const struct {
        bool taken, wrong;
    } t[] = {
        { false, false }, { true, true }, { true, true }, { true, false }, { false, true }, { true, false }, { true, false }, { false, true },
        { false, true }, { false, false }, { true, true }, { false, false },
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        g_assert_cmpint(branch(p, b, "jcc", 0x1000, t[i].taken ? 0x1100 : 0x1002), ==, t[i].wrong);
    g_assert_true(branch(p, b, "loop", 0x2001, 0x2101)); /* a counter of its own */
    g_free(b);
    pm_free(p);
}

static void test_targets(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct ir_block *b = g_new0(struct ir_block, 1);
    g_assert_true(branch(p, b, "jmp_ind", 0x1000, 0x5000));
    g_assert_false(branch(p, b, "jmp_ind", 0x1000, 0x5000));
    g_assert_true(branch(p, b, "jmp_ind", 0x1000, 0x6000));
    g_assert_false(branch(p, b, "jmp", 0x1003, 0x7000));
    for (u64 i = 0; i < 8; i++)
        branch(p, b, i & 1 ? "call" : "call_ind", 0x1010 + 16 * i, 0x5000);
    for (u64 i = 8; i-- > 0;)
        g_assert_false(branch(p, b, "ret", 0x5000, 0x1012 + 16 * i));
    g_assert_true(branch(p, b, "ret", 0x5000, 0x1012));
    g_assert_false(branch(p, b, "jmp_ind", 0x1000, 0x6000));
    predict_barrier(p->c);
    g_assert_true(branch(p, b, "jmp_ind", 0x1000, 0x6000));
    g_free(b);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    g_test_add_func("/cpu/predict/kinds", test_kinds);
    g_test_add_func("/cpu/predict/directions", test_directions);
    g_test_add_func("/cpu/predict/targets", test_targets);
    return g_test_run();
}
