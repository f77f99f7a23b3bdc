/* Tests of cpu/lift/: random instances of every row give well-formed IR in every mode; block ends, page ends, undefined and privileged
 * instructions, segment checks. */
#include <glib.h>
#include "cpu/help/help.h"
#include "cpu/lift/lift.h"
#include "tests/lib/insn_gen.h"

#define PC 0x10000ull

struct code {
    u64 pc;
    u8 bytes[8192];
    unsigned n;
    unsigned fetches;
};

/* The lifter's fetch: not past a page's end, fault beyond the bytes. */
static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    struct code *k = opaque;
    k->fetches++;
    if (pc < k->pc || pc >= k->pc + k->n)
        return -1;
    u64 room = MIN_OF(k->pc + k->n - pc, 4096 - (pc & 4095));
    n = (unsigned)MIN_OF(n, room);
    memcpy(buf, k->bytes + (pc - k->pc), n);
    return (int)n;
}

static struct cpu *cpu_of(u32 mode)
{
    struct cpu *c = g_malloc0(sizeof(*c));
    c->mode = mode;
    return c;
}

static const u32 modes[] = {
    MODE_64 | MODE_PE | MODE_LMA | MODE_FLAT | MODE_SS32 | MODE_IOPL_OK,
    MODE_64 | MODE_PE | MODE_LMA | MODE_FLAT | MODE_SS32 | 3,
    MODE_32 | MODE_PE | MODE_FLAT | MODE_SS32 | MODE_IOPL_OK,
    MODE_32 | MODE_PE | MODE_SS32 | 3,
    MODE_32 | MODE_PE | MODE_FLAT | MODE_SS32 | 3 | MODE_FPU_NM | MODE_SSE_BAD | MODE_AVX_BAD,
    MODE_16 | MODE_PE,
    MODE_16 | MODE_IOPL_OK,
    MODE_16 | MODE_PE | MODE_VM86 | 3,
};

static void fail(const struct ir_block *b, const struct insn_row *r, const char *why)
{
    GString *s = g_string_new(NULL);
    ir_print(b, s);
    g_test_message("%s (%s): %s\n%s", r->mnem, r->rule_name, why, s->str);
    g_string_free(s, TRUE);
    g_test_fail();
}

static bool raises(const struct ir_block *b)
{
    const struct ir_op *op = b->n_ops > 2 ? &b->op[b->n_ops - 2] : b->op;
    return op->code == IR_CALL && (op->imm == HELP_raise || op->imm == HELP_raise_gp0 || op->imm == HELP_fpu_check);
}

static void test_rows(void)
{
    struct ir_block *b = g_new0(struct ir_block, 1);
    struct code *k = g_new0(struct code, 1);
    struct insn_gen g = { .seed = 88172645463325252ull };
    const struct insn_row *r;
    k->pc = PC;
    for (unsigned m = 0; m < G_N_ELEMENTS(modes); m++) {
        struct cpu *c = cpu_of(modes[m]);
        g.bits = mode_bits(c->mode);
        for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
            for (unsigned n = 0; n < 40; n++) {
                struct insn in;
                k->n = insn_gen(&g, r, PC, k->bytes, &in);
                if (!k->n)
                    break;
                g_assert_cmpint(lift_block(b, c, PC, 1, fetch, k), ==, 1);
                const char *why = ir_check(b);
                bool end = b->op[b->n_ops - 1].code != IR_JMP || b->op[b->n_ops - 1].imm != PC + in.len;
                if (!why && end && !raises(b) && !(r->attr & A_END))
                    why = "ends the block without A_END";
                if (!why && !end && r->attr & A_END && !(r->attr & A_REP) && r->map == M1)
                    why = "A_END, but the block goes on";
                if (!why && b->n_ops > 38)
                    why = "too many ops for the driver's reserve";
                if (why)
                    fail(b, r, why);
            }
        }
        g_free(c);
    }
    g_free(k);
    g_free(b);
}

/* --- code that runs where it is mapped --- */
#define MOVED 0x7f1234567000ull

/* Moves what an op of a block made at PC says to depend on the PC. */
static void move_op(struct ir_op *o)
{
    switch (o->code) {
    case IR_JMP: case IR_JCC: case IR_BRZ:
        o->imm += MOVED;
        o->imm2 += o->code == IR_JMP ? 0 : MOVED;
        break;
    case IR_EXIT:
        o->imm += o->aux ? 0 : MOVED;
        break;
    default:
        if (!o->rel)
            break;
        if (o->code == IR_CALL)
            o->imm2 += MOVED;
        else if (o->asize == 4)
            o->imm = (u32)(o->imm + MOVED);
        else
            o->imm += MOVED;
    }
}

/* The same bytes at another address give the same ops but for what is marked (ir_op.rel). */
static void test_moved(void)
{
    struct ir_block *b = g_new0(struct ir_block, 1), *moved = g_new0(struct ir_block, 1);
    struct code *k = g_new0(struct code, 1);
    struct insn_gen g = { .seed = 88172645463325252ull, .bits = 64 };
    const struct insn_row *r;
    struct cpu *c = cpu_of(modes[1]);
    unsigned marked = 0;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        for (unsigned n = 0; n < 100; n++) {
            struct insn in;
            k->n = insn_gen(&g, r, PC, k->bytes, &in);
            if (!k->n)
                break;
            k->pc = PC;
            g_assert_cmpint(lift_block(b, c, PC, 1, fetch, k), ==, 1);
            k->pc = PC + MOVED;
            g_assert_cmpint(lift_block(moved, c, PC + MOVED, 1, fetch, k), ==, 1);
            g_assert_true(b->rel && b->n_ops == moved->n_ops);
            for (unsigned o = 0; o < b->n_ops; o++) {
                marked += b->op[o].rel;
                move_op(&b->op[o]);
                if (memcmp(&b->op[o], &moved->op[o], sizeof(b->op[o])))
                    fail(moved, r, "not marked as depending on the PC");
            }
        }
    }
    g_assert_cmpuint(marked, >, 1000);
    g_free(c);
    g_free(k);
    g_free(moved);
    g_free(b);
}

/* --- blocks --- */
struct bench {
    struct ir_block *b;
    struct code *k;
    struct cpu *c;
};

static struct bench bench_new(u32 mode, u64 pc, const char *bytes, unsigned n)
{
    struct bench t = { g_new0(struct ir_block, 1), g_new0(struct code, 1), cpu_of(mode) };
    t.k->pc = pc;
    t.k->n = n;
    memcpy(t.k->bytes, bytes, n);
    return t;
}

static void bench_free(struct bench *t)
{
    g_free(t->b);
    g_free(t->k);
    g_free(t->c);
}

static const struct ir_op *last_op(const struct bench *t) { return &t->b->op[t->b->n_ops - 1]; }

static unsigned count_ops(const struct bench *t, enum ir_code code)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->b->n_ops; i++)
        n += t->b->op[i].code == code;
    return n;
}

static const struct ir_op *find_call(const struct bench *t, enum help_id id)
{
    for (unsigned i = 0; i < t->b->n_ops; i++)
        if (t->b->op[i].code == IR_CALL && t->b->op[i].imm == id)
            return &t->b->op[i];
    return NULL;
}

static int lift(struct bench *t, unsigned max)
{
    int n = lift_block(t->b, t->c, t->k->pc, max, fetch, t->k);
    if (n > 0)
        g_assert_cmpstr(ir_check(t->b), ==, NULL);
    return n;
}

static void test_limits(void)
{
    struct bench t = bench_new(modes[0], PC, "\x90\x90\x90\x90\xc3", 5);
    g_assert_cmpint(lift(&t, 2), ==, 2);
    g_assert_cmpint(last_op(&t)->code, ==, IR_JMP);
    g_assert_cmphex(last_op(&t)->imm, ==, PC + 2);
    g_assert_cmpint(lift(&t, 100), ==, 5);
    g_assert_cmpint(last_op(&t)->code, ==, IR_JMPR);
    g_assert_cmpuint(t.b->len, ==, 5);
    bench_free(&t);
    /* The first fetch faults; a later one ends the block. */
    t = bench_new(modes[0], PC, "\x90\x90", 2);
    g_assert_cmpint(lift_block(t.b, t.c, PC + 16, 10, fetch, t.k), ==, -1);
    g_assert_cmpint(lift(&t, 10), ==, 2);
    g_assert_cmphex(last_op(&t)->imm, ==, PC + 2);
    bench_free(&t);
}

static void test_page_end(void)
{
    /* mov eax, imm32 at 0ffe crosses into the next page: it is alone in a block of its own. */
    struct bench t = bench_new(modes[0], 0xffd, "\x90\xb8\x01\x02\x03\x04\x90", 7);
    g_assert_cmpint(lift(&t, 10), ==, 1);
    g_assert_cmphex(last_op(&t)->imm, ==, 0xffe);
    g_assert_cmpint(lift_block(t.b, t.c, 0xffe, 10, fetch, t.k), ==, 1);
    g_assert_cmpuint(t.b->len, ==, 5);
    g_assert_cmphex(last_op(&t)->imm, ==, 0x1003);
    /* Its second page is not there. */
    t.k->n = 3;
    g_assert_cmpint(lift_block(t.b, t.c, 0xffe, 10, fetch, t.k), ==, -1);
    bench_free(&t);
    /* A block ends at the page's end. */
    t = bench_new(modes[0], 0xffe, "\x90\x90\x90\x90", 4);
    g_assert_cmpint(lift(&t, 10), ==, 2);
    g_assert_cmphex(last_op(&t)->imm, ==, 0x1000);
    bench_free(&t);
}

static void expect_raise(u32 mode, const char *bytes, unsigned n, int vector)
{
    struct bench t = bench_new(mode, PC, bytes, n);
    g_assert_cmpint(lift(&t, 10), ==, 1);
    g_assert_cmpint(last_op(&t)->code, ==, IR_EXIT);
    if (vector == EXC_GP)
        g_assert_nonnull(find_call(&t, HELP_raise_gp0));
    else
        g_assert_cmpint((int)find_call(&t, HELP_raise)->imm2, ==, vector);
    bench_free(&t);
}

static void test_raise(void)
{
    expect_raise(modes[0], "\x0f\x0b", 2, EXC_UD);                          /* UD2 */
    expect_raise(modes[0], "\x06", 1, EXC_UD);                              /* PUSH ES in 64-bit mode */
    expect_raise(modes[0], "\x0f\xff\xc0", 3, EXC_UD);                      /* UD0 */
    expect_raise(modes[0], "\xf0\x01\xc0", 3, EXC_UD);                      /* LOCK with a register destination */
    expect_raise(modes[1], "\xf4", 1, EXC_GP);                              /* HLT at CPL 3 */
    expect_raise(modes[1], "\x0f\x20\xc0", 3, EXC_GP);                      /* MOV from CR0 at CPL 3 */
    expect_raise(modes[1], "\x0f\x01\xc8", 3, EXC_UD);                      /* MONITOR at CPL 3 */
    expect_raise(modes[6], "\x63\xc0", 2, EXC_UD);                          /* ARPL in real mode */
    expect_raise(modes[0], "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", 16, EXC_GP); /* 16 bytes */
    struct bench t = bench_new(modes[0], PC, "\xf4", 1);
    g_assert_cmpint(lift(&t, 10), ==, 1);
    g_assert_nonnull(find_call(&t, HELP_hlt));
    bench_free(&t);
}

static void test_segments(void)
{
    struct bench t = bench_new(modes[2], PC, "\x8b\x03", 2); /* mov eax, [ebx], flat */
    lift(&t, 1);
    g_assert_null(find_call(&t, HELP_segcheck));
    bench_free(&t);
    t = bench_new(modes[2], PC, "\x64\x8b\x03", 3); /* fs: */
    lift(&t, 1);
    g_assert_cmphex(find_call(&t, HELP_segcheck)->imm2, ==, S_FS | 1 << 8 | 4 << 16 | 4 << 24);
    bench_free(&t);
    t = bench_new(modes[2], PC, "\x2e\x89\x03", 3); /* cs: write */
    lift(&t, 1);
    g_assert_nonnull(find_call(&t, HELP_segcheck));
    bench_free(&t);
    t = bench_new(modes[0], PC, "\x64\x8b\x03", 3); /* fs: in 64-bit mode */
    lift(&t, 1);
    g_assert_null(find_call(&t, HELP_segcheck));
    g_assert_cmpint(t.b->op[1].seg, ==, S_FS);
    bench_free(&t);
    t = bench_new(modes[6], PC, "\x50", 1); /* push ax in real mode */
    lift(&t, 1);
    g_assert_cmphex(find_call(&t, HELP_segcheck)->imm2, ==, S_SS | (2 | 16) << 8 | 2 << 16 | 2 << 24);
    bench_free(&t);
}

static void test_inline(void)
{
    struct bench t = bench_new(modes[0], PC, "\xfa\xfc\xa4\xf3\xa4", 5); /* cli; cld; movsb; rep movsb */
    g_assert_cmpint(lift(&t, 10), ==, 4);
    g_assert_null(find_call(&t, HELP_cli));
    g_assert_cmpuint(count_ops(&t, IR_CALL), ==, 1);
    g_assert_cmphex(find_call(&t, HELP_movs)->imm2, ==, 1 | 8 << 8 | S_DS << 16 | 1 << 24);
    bench_free(&t);
    t = bench_new(modes[1], PC, "\xfa", 1);
    lift(&t, 10);
    g_assert_nonnull(find_call(&t, HELP_cli));
    bench_free(&t);
}

/* The printed form of a small block is stable. */
static void test_print(void)
{
    static const char want[] =
        "block 0x10000 mode 0x8148, 4 instructions, 10 bytes\n"
        "0x10000 ADD, 3 bytes\n"
        "    add.8 ax, ax, bx !f\n"
        "0x10003 SUB, 3 bytes\n"
        "    probe.4 ds [bx+8]:64 rw\n"
        "    sub.4 ptr, ptr, cx !f\n"
        "0x10006 SETNE, 3 bytes\n"
        "    setcc.ne.1 ah\n"
        "0x10009 RET, 1 bytes\n"
        "    probe.8 ss [sp]:64 r stack\n"
        "    mov.8 t0, ptr\n"
        "    lea.8 sp [sp+8]:64\n"
        "    jmpr.8 t0\n";
    struct bench t = bench_new(MODE_64 | MODE_FLAT | MODE_IOPL_OK | MODE_VM86, PC, "\x48\x01\xd8\x29\x4b\x08\x0f\x95\xc4\xc3", 10);
    GString *s = g_string_new(NULL);
    lift(&t, 10);
    ir_print(t.b, s);
    g_assert_cmpstr(s->str, ==, want);
    g_string_free(s, TRUE);
    bench_free(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    g_test_add_func("/cpu/lift/rows", test_rows);
    g_test_add_func("/cpu/lift/moved", test_moved);
    g_test_add_func("/cpu/lift/limits", test_limits);
    g_test_add_func("/cpu/lift/page_end", test_page_end);
    g_test_add_func("/cpu/lift/raise", test_raise);
    g_test_add_func("/cpu/lift/segments", test_segments);
    g_test_add_func("/cpu/lift/inline", test_inline);
    g_test_add_func("/cpu/lift/print", test_print);
    return g_test_run();
}
