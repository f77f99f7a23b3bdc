/* Tests of accel/dbt/x64/backend.c, entry.c and isel_flow.c: linking, unlinking and killing blocks, leaving on request, the jump cache's two
 * ways, helper calls in the middle of an instruction. Run by `make check`. */
#include <glib.h>
#include "accel/dbt/tb.h"
#include "cpu/fault.h"
#include "cpu/help/help.h"
#include "tests/lib/fake_cpu.h"

#define PC 0x1000ull

/* --- what emitted code calls; the run loop's versions are not linked --- */
static struct tb tbs[2];
struct tb *tb_by_host_pc(const void *pc) { return NULL; }
const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc) { g_assert_not_reached(); }

static struct fake_cpu *f;
static struct cpu *c;
static struct ir_block *b;

static void begin(u64 pc)
{
    memset(b, 0, offsetof(struct ir_block, op));
    b->pc = pc;
    b->mode = c->mode;
    b->len = 4;
    b->n_insns = 1;
    b->insn[0] = (struct ir_insn){ .pc = pc, .len = 4, .row = insn_row_nth(0) };
    ir_emit(b, IR_INSN, 0);
}

static struct ir_op *op(enum ir_code code, unsigned size, struct ir_val d, struct ir_val a, struct ir_val v)
{
    struct ir_op *o = ir_emit(b, code, size);
    o->d = d;
    o->a = a;
    o->b = v;
    o->fl = ir_flag_effect(code) == 1;
    return o;
}

static void compile(struct tb *tb) { g_assert_cmpint(backend_compile(b, tb, &tb->code), ==, 0); }

static u64 enter(const struct tb *tb)
{
    c->rip = 0;
    return dbt_enter(c, tb->code.entry);
}

/* PC: DEC ECX; JNZ to itself or on to PC + 4. */
static void compile_loop(struct tb *tb)
{
    begin(PC);
    op(IR_DEC, 4, ir_gpr(R_CX), ir_gpr(R_CX), ir_none());
    struct ir_op *o = op(IR_JCC, 0, ir_none(), ir_none(), ir_none());
    o->cc = 5;
    o->imm = PC;
    o->imm2 = PC + 4;
    compile(tb);
}

static void test_link(void)
{
    struct tb *tb = &tbs[0];
    compile_loop(tb);
    c->gpr[R_CX] = 5;
    u64 r = enter(tb);
    g_assert_cmpuint(r & DBT_EXIT_MASK, ==, DBT_EXIT_CHAIN);
    g_assert_true(backend_exit_tb(r) == tb && backend_exit_index(r) == 0);
    g_assert_cmphex(c->rip, ==, PC);
    g_assert_cmpuint(c->gpr[R_CX], ==, 4);
    backend_link(&tb->code, 0, &tb->code);
    r = enter(tb);
    g_assert_cmpuint(r & DBT_EXIT_MASK, ==, DBT_EXIT_CHAIN);
    g_assert_cmpuint(backend_exit_index(r), ==, 1);
    g_assert_cmphex(c->rip, ==, PC + 4);
    g_assert_cmpuint(c->gpr[R_CX], ==, 0);
    g_assert_cmphex(cpu_arith(c), ==, F_ZF | F_PF);
    backend_link(&tb->code, 0, NULL);
    c->gpr[R_CX] = 5;
    g_assert_cmpuint(enter(tb) & DBT_EXIT_MASK, ==, DBT_EXIT_CHAIN);
    g_assert_cmpuint(c->gpr[R_CX], ==, 4);
}

/* A linked loop looks at exit_request; rip is where it would have gone on. */
static void test_request(void)
{
    struct tb *tb = &tbs[0];
    compile_loop(tb);
    backend_link(&tb->code, 0, &tb->code);
    c->gpr[R_CX] = 100;
    c->exit_request = XREQ_INTR;
    g_assert_cmpuint(enter(tb) & DBT_EXIT_MASK, ==, DBT_EXIT_REQUEST);
    g_assert_cmphex(c->rip, ==, PC);
    g_assert_cmpuint(c->gpr[R_CX], ==, 99);
    c->gpr[R_CX] = 1;
    g_assert_cmpuint(enter(tb) & DBT_EXIT_MASK, ==, DBT_EXIT_REQUEST);
    g_assert_cmphex(c->rip, ==, PC + 4);
    c->exit_request = 0;
}

static void test_kill(void)
{
    struct tb *tb = &tbs[0];
    compile_loop(tb);
    backend_link(&tb->code, 0, &tb->code);
    backend_kill_block(&tb->code);
    c->gpr[R_CX] = 7;
    cpu_set_arith(c, F_CF | F_OF);
    g_assert_cmpuint(enter(tb) & DBT_EXIT_MASK, ==, DBT_EXIT_LOOKUP);
    g_assert_cmphex(c->rip, ==, PC);
    g_assert_cmpuint(c->gpr[R_CX], ==, 7);
    g_assert_cmphex(cpu_arith(c), ==, F_CF | F_OF);
}

/* A jump by register, and one to another page, find the second block in either way of the jump cache, or leave. */
static void test_jump_cache(void)
{
    const u64 to = 0x2345678;
    for (unsigned kind = 0; kind < 2; kind++) {
        begin(to);
        op(IR_LEA, 8, ir_gpr(R_DX), ir_gpr(R_DX), ir_none())->imm = 1;
        b->op[b->n_ops - 1].asize = 8;
        ir_emit(b, IR_EXIT, 0)->imm = 0x77;
        compile(&tbs[1]);
        begin(PC);
        if (kind)
            op(IR_JMPR, 8, ir_none(), ir_gpr(R_11), ir_none());
        else
            ir_emit(b, IR_JMP, 0)->imm = to;
        compile(&tbs[0]);
        c->gpr[R_11] = to;
        for (unsigned way = 0; way < 3; way++) {
            memset(c->jc, 0, sizeof(c->jc));
            if (way < JC_WAYS)
                c->jc[way * JC_ENTRIES + jc_index(to)] = (struct jump_entry){ -(to + c->jc_key), tbs[1].code.entry };
            c->gpr[R_DX] = 0;
            cpu_set_arith(c, F_SF | F_AF);
            u64 r = enter(&tbs[0]);
            g_assert_cmpuint(r & DBT_EXIT_MASK, ==, way < JC_WAYS ? DBT_EXIT_EXIT : DBT_EXIT_LOOKUP);
            g_assert_cmphex(c->rip, ==, way < JC_WAYS ? 0x77 : to);
            g_assert_cmpuint(c->gpr[R_DX], ==, way < JC_WAYS);
            g_assert_cmphex(cpu_arith(c), ==, F_SF | F_AF);
        }
    }
}

/* CALL: arguments from everywhere, temporaries and all guest state survive, the result arrives. */
static void test_call(void)
{
    begin(PC);
    op(IR_MOV, 8, ir_tmp(0), ir_immv(), ir_none())->imm = 0x1122334455667788;
    op(IR_MOV, 8, ir_tmp(1), ir_immv(), ir_none())->imm = 0x42;
    struct ir_op *o = op(IR_CALL, 8, ir_tmp(2), ir_tmp(1), ir_gpr(R_13));
    o->imm = HELP_arpl; /* dest a, src b: the one with the higher RPL; sets ZF */
    op(IR_MOV, 8, ir_gpr(R_SI), ir_tmp(2), ir_none());
    op(IR_MOV, 8, ir_gpr(R_12), ir_tmp(0), ir_none());
    ir_emit(b, IR_JMP, 0)->imm = PC + 4;
    compile(&tbs[0]);
    u64 gpr[16];
    u8 vreg[16][32];
    for (unsigned i = 0; i < 16; i++) {
        c->gpr[i] = gpr[i] = i * 0x0101010101010101ull;
        for (unsigned k = 0; k < 32; k++)
            c->vreg[i][k] = vreg[i][k] = (u8)(i * 16 + k);
    }
    c->gpr[R_13] = 3;
    c->mxcsr = 0x1fa0;
    cpu_set_arith(c, F_CF | F_SF);
    g_assert_cmpuint(enter(&tbs[0]) & DBT_EXIT_MASK, ==, DBT_EXIT_CHAIN);
    g_assert_cmphex(c->gpr[R_SI], ==, 0x43);
    g_assert_cmphex(c->gpr[R_12], ==, 0x1122334455667788);
    g_assert_cmphex(cpu_arith(c), ==, F_CF | F_SF | F_ZF);
    g_assert_cmphex(c->mxcsr, ==, 0x1fa0);
    gpr[R_SI] = 0x43;
    gpr[R_12] = 0x1122334455667788;
    gpr[R_13] = 3;
    g_assert_cmpmem(gpr, sizeof(gpr), c->gpr, sizeof(gpr));
    for (unsigned i = 0; i < 16; i++)
        g_assert_cmpmem(vreg[i], 16, c->vreg[i], 16);
    c->mxcsr = 0x1f80;
}

int main(int argc, char **argv)
{
    struct err e;
    g_test_init(&argc, &argv, NULL);
    if (backend_init(4 * MiB, &e) < 0)
        g_error("%s", e.msg);
    f = fake_cpu_new(64, NULL);
    c = f->c;
    c->jc_key = c->jc_live = 0x5bd1e995a3c59ac3ull;
    b = g_new0(struct ir_block, 1);
    g_test_add_func("/dbt/x64/link", test_link);
    g_test_add_func("/dbt/x64/request", test_request);
    g_test_add_func("/dbt/x64/kill", test_kill);
    g_test_add_func("/dbt/x64/jump-cache", test_jump_cache);
    g_test_add_func("/dbt/x64/call", test_call);
    int ret = g_test_run();
    g_free(b);
    fake_cpu_free(f);
    backend_fini();
    return ret;
}
