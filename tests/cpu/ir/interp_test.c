/* Tests of cpu/ir/interp*.c: operands and their widths, memory forms, locked updates from two threads, faults, carried instructions,
 * block ends. The arithmetic itself is tested by alu_test.c. Run by `make check`. */
#include <glib.h>
#include "cpu/help/help.h"
#include "cpu/ir/alu.h"
#include "cpu/ir/interp.h"
#include "mmu/aspace.h"
#include "tests/lib/fake_cpu.h"

#define ALL_FLAGS (F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF)
#define BLOCK_PC 0x1000ull
#define DATA 0x10000ull

/* --- building and running blocks --- */
struct bench {
    struct fake_cpu *f;
    struct cpu *c;
    struct ir_block *b;
};

static struct bench bench_new(unsigned bits, struct fake_cpu *share)
{
    struct bench t = { .f = fake_cpu_new(bits, share), .b = g_new0(struct ir_block, 1) };
    t.c = t.f->c;
    return t;
}

static void bench_free(struct bench *t)
{
    fake_cpu_free(t->f);
    g_free(t->b);
}

static void insn_begin(struct bench *t)
{
    struct ir_block *b = t->b;
    unsigned i = b->n_insns++;
    b->insn[i] = (struct ir_insn){ .pc = BLOCK_PC + 4 * i, .len = 4, .first_op = (u16)b->n_ops };
    b->len += 4;
    ir_emit(b, IR_INSN, 0)->imm = i;
}

static void block_begin(struct bench *t)
{
    memset(t->b, 0, offsetof(struct ir_block, op));
    t->b->pc = BLOCK_PC;
    t->b->mode = t->c->mode;
    insn_begin(t);
}

static struct ir_op *op(struct bench *t, enum ir_code code, unsigned size, struct ir_val d, struct ir_val a, struct ir_val b)
{
    struct ir_op *o = ir_emit(t->b, code, size);
    o->d = d;
    o->a = a;
    o->b = b;
    o->fl = ir_flag_effect(code) & 1;
    return o;
}

static void probe(struct bench *t, u64 addr, unsigned size, unsigned acc)
{
    struct ir_op *o = ir_emit(t->b, IR_PROBE, size);
    o->acc = (u8)acc;
    o->asize = 8;
    o->imm = addr;
}

static void run_unguarded(struct cpu *c, void *b) { ir_interp(c, b); }

/* Closes the block and runs it: -1 and rip behind it, or the exception's vector. */
static int run(struct bench *t)
{
    u64 next = t->b->pc + t->b->len;
    ir_emit(t->b, IR_JMP, 0)->imm = next;
    int v = fake_cpu_try(t->f, run_unguarded, t->b);
    if (v < 0)
        g_assert_cmphex(t->c->rip, ==, next);
    return v;
}

static u64 mem64(struct bench *t, u64 a) { return ld64(t->f->ram + a); }

/* --- registers --- */
static void test_register_widths(void)
{
    struct bench t = bench_new(64, NULL);
    u64 *g = t.c->gpr;
    for (unsigned i = 0; i < 16; i++)
        g[i] = 0x1111111111111111ull * i;
    g[R_BX] = 0x8877665544332211ull;
    block_begin(&t);
    op(&t, IR_MOV, 1, ir_gpr(R_CX), ir_gpr(R_BX), ir_none());
    op(&t, IR_MOV, 1, ir_gprh(R_DX), ir_gprh(R_BX), ir_none());
    op(&t, IR_MOV, 2, ir_gpr(R_SI), ir_gpr(R_BX), ir_none());
    op(&t, IR_MOV, 4, ir_gpr(R_DI), ir_gpr(R_BX), ir_none());
    op(&t, IR_MOV, 8, ir_gpr(R_8), ir_immv(), ir_none())->imm = 0xfedcba9876543210ull;
    op(&t, IR_MOVZX, 4, ir_gpr(R_9), ir_gpr(R_BX), ir_none())->size2 = 2;
    op(&t, IR_MOVSX, 4, ir_gpr(R_10), ir_gpr(R_BX), ir_none())->size2 = 1;
    g[R_11] = 0x80;
    op(&t, IR_MOVSX, 2, ir_gpr(R_11), ir_gpr(R_11), ir_none())->size2 = 1;
    op(&t, IR_MOV, 4, ir_tmp(2), ir_gpr(R_BX), ir_none());
    op(&t, IR_MOV, 8, ir_gpr(R_12), ir_tmp(2), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_CX], ==, 0x1111111111111111ull);
    g_assert_cmphex(g[R_DX], ==, 0x2222222222222222ull);
    g_assert_cmphex(g[R_SI], ==, 0x6666666666662211ull);
    g_assert_cmphex(g[R_DI], ==, 0x44332211);
    g_assert_cmphex(g[R_8], ==, 0xfedcba9876543210ull);
    g_assert_cmphex(g[R_9], ==, 0x2211);
    g_assert_cmphex(g[R_10], ==, 0x11);
    g_assert_cmphex(g[R_11], ==, 0xff80);
    g_assert_cmphex(g[R_12], ==, 0x44332211);
    bench_free(&t);
}

static void test_wide_results(void)
{
    struct bench t = bench_new(64, NULL);
    u64 *g = t.c->gpr;
    g[R_AX] = 0xaaaaaaaaaaaaaa12ull, g[R_DX] = ~0ull, g[R_BX] = 0x10, g[R_CX] = 0xffffffff00000003ull;
    block_begin(&t);
    op(&t, IR_MULW, 1, ir_none(), ir_gpr(R_BX), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_AX], ==, 0xaaaaaaaaaaaa0120ull);
    g_assert_cmphex(cpu_arith(t.c) & (F_CF | F_OF), ==, F_CF | F_OF);
    block_begin(&t);
    op(&t, IR_DIVW, 1, ir_none(), ir_gpr(R_BX), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_AX], ==, 0xaaaaaaaaaaaa0012ull);
    block_begin(&t);
    op(&t, IR_MULW, 4, ir_none(), ir_gpr(R_CX), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_AX], ==, (u32)(0xaaaa0012u * 3ull));
    g_assert_cmphex(g[R_DX], ==, 0xaaaa0012u * 3ull >> 32);
    g[R_DX] = 7;
    block_begin(&t);
    op(&t, IR_MULX, 8, ir_gpr(R_SI), ir_gpr(R_BX), ir_gpr(R_DI));
    op(&t, IR_MULX, 8, ir_gpr(R_BP), ir_gpr(R_CX), ir_gpr(R_BP));
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_DI], ==, 0x70);
    g_assert_cmphex(g[R_SI], ==, 0);
    g_assert_cmphex(g[R_BP], ==, 6); /* the high half wins */
    g[R_DX] = 5;
    block_begin(&t);
    op(&t, IR_DIVW, 4, ir_none(), ir_gpr(R_BX), ir_none())->aux = 0;
    g[R_BX] = 5;
    g_assert_cmpint(run(&t), ==, EXC_DE);
    g_assert_cmphex(t.c->rip, ==, BLOCK_PC);
    bench_free(&t);
}

static void test_zero_extension(void)
{
    struct bench t = bench_new(64, NULL);
    u64 *g = t.c->gpr;
    for (unsigned i = 0; i < 16; i++)
        g[i] = ~0ull;
    g[R_BX] = 0;
    cpu_set_arith(t.c, 0);
    block_begin(&t);
    op(&t, IR_CMOV, 4, ir_gpr(R_CX), ir_gpr(R_SI), ir_none())->cc = 4; /* not taken */
    op(&t, IR_SHL, 4, ir_gpr(R_DX), ir_gpr(R_DX), ir_gpr(R_BX));        /* count 0 */
    op(&t, IR_BSF, 4, ir_gpr(R_DI), ir_gpr(R_BX), ir_none());           /* source 0: not written */
    op(&t, IR_CMPXCHG, 4, ir_gpr(R_BP), ir_gpr(R_BX), ir_none());       /* equal: rAX not written */
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_CX], ==, 0xffffffff);
    g_assert_cmphex(g[R_DX], ==, 0xffffffff);
    g_assert_cmphex(g[R_DI], ==, ~0ull);
    g_assert_cmphex(g[R_BP], ==, 0);
    g_assert_cmphex(g[R_AX], ==, ~0ull);
    g[R_8] = 0xffffffff00000001ull;
    block_begin(&t);
    op(&t, IR_CMPXCHG, 4, ir_gpr(R_8), ir_gpr(R_BX), ir_none()); /* differs: rAX is loaded, the destination keeps all its bits */
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_8], ==, 0xffffffff00000001ull);
    g_assert_cmphex(g[R_AX], ==, 1);
    bench_free(&t);
}

static void test_addresses(void)
{
    struct bench t = bench_new(64, NULL);
    u64 *g = t.c->gpr;
    g[R_BX] = 0xfffffff0, g[R_SI] = 0x10;
    t.c->seg[S_FS].base = 0x7000000000ull;
    t.c->seg[S_DS].base = 0x1234; /* ignored in 64-bit mode */
    block_begin(&t);
    struct ir_op *o = op(&t, IR_LEA, 8, ir_gpr(R_8), ir_gpr(R_BX), ir_gpr(R_SI));
    o->scale = 1, o->asize = 4, o->imm = 5;
    o = op(&t, IR_LEA, 2, ir_gpr(R_9), ir_gpr(R_BX), ir_gpr(R_SI));
    o->scale = 3, o->asize = 8;
    o = op(&t, IR_LIN, 8, ir_gpr(R_10), ir_gpr(R_BX), ir_none());
    o->asize = 4, o->imm = 0x20, o->seg = S_FS;
    o = op(&t, IR_LIN, 8, ir_gpr(R_11), ir_gpr(R_BX), ir_none());
    o->asize = 8, o->imm = 0x20, o->seg = S_DS;
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_8], ==, 0x15);
    g_assert_cmphex(g[R_9], ==, 0x70);
    g_assert_cmphex(g[R_10], ==, 0x7000000010ull);
    g_assert_cmphex(g[R_11], ==, 0x100000010ull);
    bench_free(&t);

    t = bench_new(16, NULL);
    t.c->gpr[R_BX] = 0xfff0;
    t.c->seg[S_ES].base = 0xfffffff0;
    block_begin(&t);
    o = op(&t, IR_LIN, 8, ir_tmp(0), ir_gpr(R_BX), ir_none());
    o->asize = 2, o->imm = 0x20, o->seg = S_ES;
    op(&t, IR_MOV, 4, ir_gpr(R_DI), ir_tmp(0), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(t.c->gpr[R_DI], ==, 0); /* wraps at 4 GiB */
    bench_free(&t);
}

/* --- memory operands --- */
static const enum ir_code rmw_codes[] = { IR_ADD, IR_ADC, IR_SUB, IR_SBB, IR_AND, IR_OR, IR_XOR, IR_INC, IR_DEC, IR_NEG, IR_NOT, IR_BTS, IR_BTR,
                                          IR_BTC, IR_SHL, IR_RCR };

static void test_memory_forms(void)
{
    static const u64 places[] = { DATA, DATA + 3, DATA + 0xffd /* crosses a page */, FAKE_DEV_BASE - 8 };
    struct bench t = bench_new(64, NULL);
    for (unsigned n = 0; n < G_N_ELEMENTS(rmw_codes) * 4 * G_N_ELEMENTS(places) * 2; n++) {
        enum ir_code code = rmw_codes[n % G_N_ELEMENTS(rmw_codes)];
        unsigned size = 1u << n / G_N_ELEMENTS(rmw_codes) % 4;
        u64 a = places[n / (4 * G_N_ELEMENTS(rmw_codes)) % G_N_ELEMENTS(places)];
        u64 old = 0x9182736455463728ull ^ n * 0x0101010101010101ull, b = g_test_rand_int();
        u32 fl = (u32)g_test_rand_int() & ALL_FLAGS;
        st64(t.f->ram + a, old);
        cpu_set_arith(t.c, fl);
        t.c->gpr[R_CX] = b;
        block_begin(&t);
        probe(&t, a, size, ACC_RMW);
        struct ir_op *o = op(&t, code, size, ir_ptr(), ir_ptr(), ir_gpr(R_CX));
        o->lock = code < IR_SHL && n & 1;
        g_assert_cmpint(run(&t), ==, -1);
        bool shift = code == IR_SHL || code == IR_RCR;
        u64 want = alu_function(code)(zext(old, size), shift ? (u8)b : zext(b, size), size, &fl);
        g_assert_cmphex(mem64(&t, a), ==, (old & ~MASK64(size * 8)) | want);
        g_assert_cmphex(cpu_arith(t.c), ==, fl);
    }
    bench_free(&t);
}

static void test_exchange(void)
{
    struct bench t = bench_new(64, NULL);
    u64 *g = t.c->gpr;
    st64(t.f->ram + DATA, 0x1111111111111111ull);
    g[R_BX] = 0x2222222222222222ull;
    block_begin(&t);
    probe(&t, DATA, 4, ACC_RMW);
    op(&t, IR_XCHG, 4, ir_ptr(), ir_gpr(R_BX), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(mem64(&t, DATA), ==, 0x1111111122222222ull);
    g_assert_cmphex(g[R_BX], ==, 0x11111111);
    block_begin(&t);
    probe(&t, DATA, 2, ACC_RMW);
    op(&t, IR_XADD, 2, ir_ptr(), ir_gpr(R_BX), ir_none())->lock = true;
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(mem64(&t, DATA), ==, 0x1111111122223333ull);
    g_assert_cmphex(g[R_BX], ==, 0x11112222);
    g[R_SI] = 5;
    block_begin(&t);
    op(&t, IR_XADD, 8, ir_gpr(R_SI), ir_gpr(R_SI), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(g[R_SI], ==, 10);
    bench_free(&t);
}

static void test_cmpxchg(void)
{
    struct bench t = bench_new(64, NULL);
    u64 *g = t.c->gpr;
    for (unsigned lock = 0; lock < 2; lock++) {
        st64(t.f->ram + DATA, 0xaaaaaaaabbbbbbbbull);
        g[R_AX] = 0xcccccccc00000000ull, g[R_BX] = 0x77;
        block_begin(&t);
        probe(&t, DATA, 4, ACC_RMW);
        op(&t, IR_CMPXCHG, 4, ir_ptr(), ir_gpr(R_BX), ir_none())->lock = lock;
        g_assert_cmpint(run(&t), ==, -1);
        g_assert_cmphex(g[R_AX], ==, 0xbbbbbbbb);
        g_assert_false(cpu_arith(t.c) & F_ZF);
        g_assert_true(cpu_arith(t.c) & F_CF);
        g_assert_cmpint(run(&t), ==, -1); /* again: now it matches */
        g_assert_cmphex(mem64(&t, DATA), ==, 0xaaaaaaaa00000077ull);
        g_assert_true(cpu_arith(t.c) & F_ZF);
    }
    bench_free(&t);
}

static void test_cmpxchg_wide(void)
{
    struct bench t = bench_new(64, NULL);
    u64 *g = t.c->gpr;
    for (unsigned size = 8; size <= 16; size += 8) {
        for (u64 place = DATA; place <= DATA + 0x1000; place += size == 8 ? 0xffc : 0x1000) { /* crossing a page */
            u64 half = size * 4;
            memset(t.f->ram + place, 0x5a, 16);
            u64 word = MASK64(half) & 0x5a5a5a5a5a5a5a5aull;
            g[R_AX] = 1, g[R_DX] = 2, g[R_BX] = 0x33, g[R_CX] = 0x44;
            cpu_set_arith(t.c, F_CF | F_OF);
            block_begin(&t);
            probe(&t, place, size, ACC_RMW);
            op(&t, IR_CMPXCHG2, size, ir_none(), ir_none(), ir_none())->lock = true;
            g_assert_cmpint(run(&t), ==, -1);
            g_assert_cmphex(g[R_AX], ==, word);
            g_assert_cmphex(g[R_DX], ==, word);
            g_assert_cmphex(cpu_arith(t.c), ==, F_CF | F_OF);
            g_assert_cmpint(run(&t), ==, -1);
            g_assert_cmphex(cpu_arith(t.c), ==, F_CF | F_OF | F_ZF);
            g_assert_cmphex(mem64(&t, place), ==, size == 8 ? 0x4400000033ull : 0x33);
            if (size == 16)
                g_assert_cmphex(mem64(&t, place + 8), ==, 0x44);
        }
    }
    block_begin(&t);
    probe(&t, DATA + 8, 16, ACC_RMW);
    op(&t, IR_CMPXCHG2, 16, ir_none(), ir_none(), ir_none());
    g_assert_cmpint(run(&t), ==, EXC_GP);
    bench_free(&t);
}

/* --- faults --- */
static void test_page_fault(void)
{
    struct bench t = bench_new(64, NULL);
    fake_cpu_map(t.f, DATA, 5); /* read-only */
    st64(t.f->ram + DATA, 1);
    t.c->gpr[R_BX] = 3;
    block_begin(&t);
    op(&t, IR_MOV, 8, ir_gpr(R_SI), ir_gpr(R_BX), ir_none());
    insn_begin(&t);
    probe(&t, DATA, 8, ACC_RMW);
    op(&t, IR_ADD, 8, ir_ptr(), ir_ptr(), ir_gpr(R_BX));
    g_assert_cmpint(run(&t), ==, EXC_PF);
    g_assert_cmphex(t.c->rip, ==, BLOCK_PC + 4);
    g_assert_cmphex(t.c->cr2, ==, DATA);
    g_assert_cmphex(t.c->fault.error, ==, 3);
    g_assert_cmphex(t.c->gpr[R_SI], ==, 3);
    g_assert_cmphex(mem64(&t, DATA), ==, 1);
    block_begin(&t);
    probe(&t, DATA, 8, ACC_READ);
    op(&t, IR_ADD, 8, ir_gpr(R_BX), ir_gpr(R_BX), ir_ptr());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(t.c->gpr[R_BX], ==, 4);
    block_begin(&t);
    probe(&t, 1ull << 60, 8, ACC_READ | ACC_STACK);
    g_assert_cmpint(run(&t), ==, EXC_SS);
    t.c->mode |= 3; /* user */
    fake_cpu_map(t.f, DATA, 3);
    block_begin(&t);
    probe(&t, DATA - 1, 2, ACC_WRITE);
    g_assert_cmpint(run(&t), ==, EXC_PF);
    g_assert_cmphex(t.c->cr2, ==, DATA);
    g_assert_cmphex(t.c->fault.error, ==, 7);
    bench_free(&t);
}

static void test_alignment_check(void)
{
    struct bench t = bench_new(64, NULL);
    t.c->mode |= 3 | MODE_SLOW;
    t.c->cr0 |= CR0_AM;
    t.c->sysflags |= F_AC;
    block_begin(&t);
    probe(&t, DATA + 2, 4, ACC_READ);
    g_assert_cmpint(run(&t), ==, EXC_AC);
    block_begin(&t);
    probe(&t, DATA + 2, 2, ACC_READ);
    g_assert_cmpint(run(&t), ==, -1);
    bench_free(&t);
}

/* A store to a page with translated code ends the run at the next instruction. */
static void test_code_write(void)
{
    struct bench t = bench_new(64, NULL);
    unsigned before = fake_cpu_code_writes(t.f);
    fake_cpu_code(t.f, DATA, true);
    t.c->gpr[R_BX] = 0x55;
    block_begin(&t);
    probe(&t, DATA, 1, ACC_WRITE);
    op(&t, IR_MOV, 1, ir_ptr(), ir_gpr(R_BX), ir_none());
    insn_begin(&t);
    op(&t, IR_MOV, 8, ir_gpr(R_BX), ir_immv(), ir_none())->imm = 9;
    ir_emit(t.b, IR_JMP, 0)->imm = 0x2000;
    g_assert_cmpuint(ir_interp(t.c, t.b), ==, 1);
    g_assert_cmphex(t.c->rip, ==, BLOCK_PC + 4);
    g_assert_cmphex(t.c->gpr[R_BX], ==, 0x55);
    g_assert_cmphex(t.f->ram[DATA], ==, 0x55);
    g_assert_cmpuint(fake_cpu_code_writes(t.f), ==, before + 1);
    fake_cpu_code(t.f, DATA, false);
    g_assert_cmpuint(ir_interp(t.c, t.b), ==, 2);
    g_assert_cmphex(t.c->rip, ==, 0x2000);
    bench_free(&t);
}

/* --- block ends, state, helpers --- */
static u64 end_with(struct bench *t, enum ir_code code, struct ir_val a, unsigned size, unsigned cc)
{
    block_begin(t);
    struct ir_op *o = op(t, code, size, ir_none(), a, ir_none());
    o->cc = (u8)cc;
    o->imm = 0x100;
    o->imm2 = 0x200;
    ir_interp(t->c, t->b);
    return t->c->rip;
}

static void test_block_ends(void)
{
    struct bench t = bench_new(64, NULL);
    t.c->gpr[R_CX] = 0xff00, t.c->gpr[R_BX] = 0x123456789ull;
    cpu_set_arith(t.c, F_CF);
    g_assert_cmphex(end_with(&t, IR_JMP, ir_none(), 0, 0), ==, 0x100);
    g_assert_cmphex(end_with(&t, IR_JCC, ir_none(), 0, 2), ==, 0x100);
    g_assert_cmphex(end_with(&t, IR_JCC, ir_none(), 0, 3), ==, 0x200);
    g_assert_cmphex(end_with(&t, IR_BRZ, ir_gpr(R_CX), 1, 0), ==, 0x100);
    g_assert_cmphex(end_with(&t, IR_BRZ, ir_gpr(R_CX), 2, 0), ==, 0x200);
    g_assert_cmphex(end_with(&t, IR_JMPR, ir_gpr(R_BX), 8, 0), ==, 0x123456789ull);
    g_assert_cmphex(end_with(&t, IR_EXIT, ir_none(), 0, 0), ==, 0x100);
    t.c->gpr[R_AX] = 0x11;
    t.f->random = 0xabcdef;
    block_begin(&t);
    struct ir_op *o = op(&t, IR_CALL, 4, ir_gpr(R_SI), ir_immv(), ir_none());
    o->imm = HELP_rdrand;
    o->imm2 = 2;
    op(&t, IR_LDC, 4, ir_gpr(R_DI), ir_none(), ir_none())->imm = offsetof(struct cpu, mxcsr);
    op(&t, IR_STC, 8, ir_none(), ir_gpr(R_SI), ir_none())->imm = offsetof(struct cpu, cr2);
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(t.c->gpr[R_SI], ==, 0xcdef);
    g_assert_cmphex(t.c->gpr[R_DI], ==, 0x1f80);
    g_assert_cmphex(t.c->cr2, ==, 0xcdef);
    g_assert_cmphex(cpu_arith(t.c), ==, F_CF);
    bench_free(&t);
}

static void test_flag_ops(void)
{
    struct bench t = bench_new(64, NULL);
    cpu_set_arith(t.c, F_SF | F_CF | F_OF);
    t.c->gpr[R_AX] = 0xffffff0000ull;
    block_begin(&t);
    op(&t, IR_LAHF, 1, ir_none(), ir_none(), ir_none());
    op(&t, IR_CMC, 0, ir_none(), ir_none(), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(t.c->gpr[R_AX], ==, 0xffffff8300ull);
    g_assert_cmphex(cpu_arith(t.c), ==, F_SF | F_OF);
    t.c->gpr[R_AX] = 0xff00;
    block_begin(&t);
    op(&t, IR_SAHF, 1, ir_none(), ir_none(), ir_none());
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(cpu_arith(t.c), ==, ALL_FLAGS);
    block_begin(&t);
    op(&t, IR_CLC, 0, ir_none(), ir_none(), ir_none());
    op(&t, IR_ADD, 8, ir_gpr(R_BX), ir_gpr(R_BX), ir_gpr(R_BX))->fl = false;
    g_assert_cmpint(run(&t), ==, -1);
    g_assert_cmphex(cpu_arith(t.c), ==, ALL_FLAGS & ~F_CF);
    bench_free(&t);
}

/* An SSE2 instruction with xmm1 and the live probe. */
static void carry_vec(struct bench *t, u8 pp, u8 opcode, unsigned align)
{
    struct carry *k = &t->b->carry[t->b->n_carry];
    *k = (struct carry){ .pp = pp, .map = 1, .op = opcode, .reg = 1, .reg_class = CC_VEC, .rm_class = CC_MEM, .mem_size = 16,
                         .mem_align = (u8)align };
    op(t, IR_VEC, 16, ir_none(), ir_none(), ir_none())->imm = t->b->n_carry++;
}

static void test_carried(void)
{
    static const u64 places[] = { DATA, DATA + 0x1ff8 };
    struct bench t = bench_new(64, NULL);
    memset(t.f->ram + DATA + 0x3000, 1, 16);
    for (unsigned i = 0; i < 2; i++) { /* in one page, then across two */
        memset(t.c->vreg[1], 0, 16);
        memset(t.f->ram + places[i], 0x20, 16);
        block_begin(&t);
        probe(&t, places[i], 16, ACC_READ);
        carry_vec(&t, 0xf3, 0x6f, 0); /* MOVDQU xmm1, m */
        probe(&t, DATA + 0x3000, 16, ACC_READ);
        carry_vec(&t, 0x66, 0xfc, 16); /* PADDB xmm1, m */
        probe(&t, places[i], 16, ACC_WRITE);
        carry_vec(&t, 0xf3, 0x7f, 0); /* MOVDQU m, xmm1 */
        g_assert_cmpint(run(&t), ==, -1);
        for (unsigned k = 0; k < 16; k++)
            g_assert_cmphex(t.f->ram[places[i] + k], ==, 0x21);
    }
    block_begin(&t);
    probe(&t, DATA + 8, 16, ACC_READ);
    carry_vec(&t, 0x66, 0xfc, 16);
    g_assert_cmpint(run(&t), ==, EXC_GP);
    fake_cpu_map(t.f, DATA, 0); /* misalignment is found first */
    g_assert_cmpint(run(&t), ==, EXC_GP);
    block_begin(&t);
    probe(&t, DATA, 16, ACC_READ);
    carry_vec(&t, 0x66, 0xfc, 16);
    g_assert_cmpint(run(&t), ==, EXC_PF);
    bench_free(&t);
}

/* --- two CPUs --- */
#define ROUNDS 20000
struct racer {
    struct bench t;
    u64 addr;
    unsigned size;
};

/* Adds with every locked op there is, 4 a round. */
static void *race(void *opaque)
{
    struct racer *r = opaque;
    aspace_thread_online();
    u64 *g = r->t.c->gpr;
    struct bench *t = &r->t;
    for (unsigned n = 0; n < ROUNDS; n++) {
        g[R_BX] = g[R_CX] = 1;
        block_begin(t);
        probe(t, r->addr, r->size, ACC_RMW);
        op(t, IR_ADD, r->size, ir_ptr(), ir_ptr(), ir_gpr(R_BX))->lock = true;
        op(t, IR_INC, r->size, ir_ptr(), ir_ptr(), ir_none())->lock = true;
        op(t, IR_XADD, r->size, ir_ptr(), ir_gpr(R_CX), ir_none())->lock = true;
        ir_emit(t->b, IR_JMP, 0)->imm = 0;
        ir_interp(t->c, t->b);
        do {
            block_begin(t);
            probe(t, r->addr, r->size, ACC_RMW);
            op(t, IR_MOV, r->size, ir_gpr(R_AX), ir_ptr(), ir_none());
            op(t, IR_LEA, r->size, ir_gpr(R_DX), ir_gpr(R_AX), ir_none())->imm = 1;
            t->b->op[t->b->n_ops - 1].asize = 8;
            op(t, IR_CMPXCHG, r->size, ir_ptr(), ir_gpr(R_DX), ir_none())->lock = true;
            ir_emit(t->b, IR_JMP, 0)->imm = 0;
            ir_interp(t->c, t->b);
        } while (!(cpu_arith(t->c) & F_ZF));
    }
    aspace_thread_offline();
    return NULL;
}

static void test_locked(void)
{
    static const struct { u64 addr; unsigned size; } where[] = { { DATA, 8 }, { DATA + 0x3e, 4 }, { DATA + 0x1ffe, 4 }, { DATA + 0x5000, 2 } };
    struct bench a = bench_new(64, NULL), b = bench_new(64, a.f);
    for (unsigned i = 0; i < G_N_ELEMENTS(where); i++) {
        fake_cpu_code(a.f, DATA + 0x5000, true); /* the last one shares its page with code */
        fake_cpu_code(b.f, DATA + 0x5000, true);
        struct racer ra = { a, where[i].addr, where[i].size }, rb = { b, where[i].addr, where[i].size };
        st64(a.f->ram + where[i].addr, 0);
        GThread *th = g_thread_new("racer", race, &rb);
        race(&ra);
        g_thread_join(th);
        g_assert_cmphex(zext(mem64(&a, where[i].addr), where[i].size), ==, zext(ROUNDS * 8, where[i].size));
    }
    bench_free(&b);
    bench_free(&a);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interp/registers", test_register_widths);
    g_test_add_func("/interp/wide-results", test_wide_results);
    g_test_add_func("/interp/zero-extension", test_zero_extension);
    g_test_add_func("/interp/addresses", test_addresses);
    g_test_add_func("/interp/memory", test_memory_forms);
    g_test_add_func("/interp/exchange", test_exchange);
    g_test_add_func("/interp/cmpxchg", test_cmpxchg);
    g_test_add_func("/interp/cmpxchg-wide", test_cmpxchg_wide);
    g_test_add_func("/interp/page-fault", test_page_fault);
    g_test_add_func("/interp/alignment-check", test_alignment_check);
    g_test_add_func("/interp/code-write", test_code_write);
    g_test_add_func("/interp/block-ends", test_block_ends);
    g_test_add_func("/interp/flags", test_flag_ops);
    g_test_add_func("/interp/carried", test_carried);
    g_test_add_func("/interp/locked", test_locked);
    return g_test_run();
}
