/* Random instruction sequences, run by the interpreter and as emitted code: what one block makes of registers, flags, vector and x87 state,
 * memory and exceptions must be the same; and, in half of them, what the performance counters count.
 * Finds what single instructions cannot: flag liveness, register allocation, state that is
 * stored late. Tests accel/dbt/x64/ against cpu/ir/interp.c. */
#include <glib.h>
#include "accel/dbt/backend.h"
#include "accel/dbt/tb.h"
#include "cpu/fault.h"
#include "cpu/help/x87.h"
#include "cpu/help/xsave.h"
#include "cpu/ir/interp.h"
#include "cpu/lift/lift.h"
#include "cpu/predict.h"
#include "tests/lib/fake_cpu.h"
#include "tests/lib/insn_gen.h"
#include "tests/lib/host_insn.h"
#include "tests/lib/native.h"
#include "tests/lib/opt_worker.h"
#include "tests/lib/tb_copy.h"

#define CODE 0x8000ull    /* RIP of the sequence; its bytes are not in guest memory */
#define DATA 0x100000ull  /* memory operands are made to fall here */
#define DATA16 0x4000ull  /* in 16-bit mode */
#define DATA_SIZE 0x4000u
#define INSNS_MAX 12
#define STEPS_MAX 400
#define ALL_FLAGS (F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF)

struct sequence {
    u8 code[INSNS_MAX * 20];
    unsigned len;
    u64 gpr[16];
    u32 flags, undefined; /* flags that some instruction leaves undefined */
    bool back;            /* DF */
    bool counted;         /* by blocks of MODE_COUNT and MODE_COUNT_BR */
    u64 seed;             /* of memory and vector registers */
};

static struct insn_gen gen;
static struct ir_block *block;
static struct tb the_tb;

/* --- what emitted code calls; the run loop's versions are not linked --- */
struct tb *tb_by_host_pc(const void *pc) { return &the_tb; }

const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc)
{
    unsigned size = size_acc & 0xff, acc = (size_acc >> 8 & ~(u32)ACC_MASKED) | cpu_data_acc(c);
    struct mem_fault f;
    void *host;
    switch (mem_probe(cpu_mem(c), addr, size, acc, &host, &f)) {
    case PROBE_RAM:
        return host;
    case PROBE_FAULT:
        if (!(size_acc >> 8 & ACC_MASKED) && (size < 16 || !(addr & (size - 1))))
            cpu_raise_pf(c, &f, acc);
        break;
    case PROBE_SLOW:
        break;
    }
    cpu_unwind(c, UNW_INTERP_ONE);
}

/* --- making a sequence --- */
static u64 rnd(unsigned n) { return insn_gen_random(&gen) % n; }
static u64 data_base(void) { return gen.bits == 16 ? DATA16 : DATA; }

static u64 any_value(void)
{
    static const u64 edge[] = { 0, 1, 2, 31, 32, 63, 0x7f, 0x80, 0xff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff, ~0ull, 1ull << 63 };
    return rnd(3) ? insn_gen_random(&gen) * 0x9e3779b97f4a7c15ull : edge[rnd(G_N_ELEMENTS(edge))];
}

static u64 data_place(void) { return data_base() + 0x1000 + (rnd(0x2000) & (rnd(3) ? ~63ull : ~0ull)); }

/* Not what depends on time or the machine, ends a block, or has a result that the manual leaves open. */
static bool row_fits(const struct insn_row *r)
{
    static const char *const skip[] = { "SHLD", "SHRD", "BSWAP", "BSF", "BSR", "XGETBV", "PAUSE", "VMCALL", "VMMCALL", "UD0", "UD1", "UD2", "FXSAVE" };
    if (r->attr & (A_NOTEST | A_PRIV | A_IO) || (r->attr & A_END && !(r->attr & A_REP)) || (r->feat && !native_has(r->feat)))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(skip); i++)
        if (!strcmp(r->mnem, skip[i]))
            return false;
    return true;
}

#define STRING_REGS (1u << R_SI | 1u << R_DI | 1u << R_CX)
struct build {
    struct sequence *s;
    u32 written, pinned;  /* registers: changed by an earlier instruction; whose first value an operand relies on */
    u32 undefined;        /* flags undefined at this point */
    bool strings;         /* rSI, rDI, rCX belong to string instructions */
};

static bool reg_free(const struct build *b, int r) { return r < 0 || !((b->written | b->pinned) >> r & 1); }

/* Gives the registers of a memory operand values that lead to our data. False: they are taken. */
static bool aim(struct build *b, const struct insn *in)
{
    const struct insn_mem *m = &in->mem;
    u64 *g = b->s->gpr;
    if (in->row->attr & A_VSIB) /* an index like any vector: it leads nowhere, unless the mask selects nothing */
        return !rnd(4);
    if (m->base < 0 || m->base == R_SP || m->index == R_SP || m->index == m->base || m->seg >= S_FS)
        return false;
    if (!reg_free(b, m->base) || !reg_free(b, m->index))
        return !rnd(12); /* let some go astray */
    if (m->index >= 0) {
        g[m->index] = rnd(64);
        b->pinned |= 1u << m->index;
    }
    g[m->base] = data_place() - (u64)m->disp - (m->index >= 0 ? g[m->index] << m->scale : 0);
    b->pinned |= 1u << m->base;
    return true;
}

static bool operands_fit(struct build *b, const struct insn *in)
{
    bool mem = false;
    for (unsigned i = 0; i < in->nop; i++) {
        const struct opnd *o = &in->op[i];
        if (o->kind == OK_SEG || o->kind == OK_MOFFS || (o->kind == OK_GPR && o->reg == R_SP && o->wr))
            return false;
        mem |= o->kind == OK_MEM;
    }
    return !(in->row->fl_read & b->undefined) && (!mem || aim(b, in));
}

static void note_writes(struct build *b, const struct insn *in)
{
    const struct insn_row *r = in->row;
    for (unsigned i = 0; i < in->nop; i++)
        if (in->op[i].wr && (in->op[i].kind == OK_GPR || in->op[i].kind == OK_GPRH)) {
            b->written |= 1u << in->op[i].reg;
            b->strings &= !(STRING_REGS >> in->op[i].reg & 1);
        }
    if (in->nop < 2)
        b->written |= 1u << R_AX | 1u << R_DX; /* MUL and its like */
    if (!strcmp(r->mnem, "POPA")) {
        b->written |= 0xff;
        b->strings = false;
    }
    b->undefined = (r->fl_undef ? b->undefined : b->undefined & ~r->fl_write) | r->fl_undef;
    b->s->undefined |= r->fl_undef;
}

/* The same for string instructions. Several in a row go on where the one before has stopped. */
static bool aim_strings(struct build *b)
{
    u64 *g = b->s->gpr;
    if (!b->strings) {
        if ((b->written | b->pinned) & STRING_REGS)
            return false;
        g[R_SI] = data_place();
        g[R_DI] = data_place();
        g[R_CX] = rnd(100);
    }
    b->strings = true;
    b->pinned |= STRING_REGS;
    return true;
}

/* One instruction behind the others; returns its length, 0 if the row does not fit here. */
static unsigned add_insn(struct build *b, const struct insn_row *r)
{
    struct sequence *s = b->s;
    struct insn in;
    u8 bytes[32];
    unsigned len = insn_gen(&gen, r, CODE + s->len, bytes, &in);
    if (!len || !operands_fit(b, &in) || (r->attr & A_REP && !aim_strings(b)))
        return 0;
    note_writes(b, &in);
    memcpy(s->code + s->len, bytes, len);
    s->len += len;
    return len;
}

static void make_sequence(struct sequence *s, const struct insn_row *const *rows, unsigned n_rows)
{
    struct build b = { .s = s };
    unsigned n = 1 + (unsigned)rnd(INSNS_MAX - 1);
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = any_value();
    s->gpr[R_SP] = data_base() + 0x3800;
    s->flags = (u32)insn_gen_random(&gen) & ALL_FLAGS;
    s->back = !rnd(6);
    s->counted = rnd(2);
    s->seed = insn_gen_random(&gen);
    for (unsigned i = 0; i < n;) {
        unsigned skip_at = 0;
        if (!b.undefined && !rnd(6)) { /* Jcc over the next one */
            s->code[s->len++] = (u8)(0x70 | rnd(16));
            skip_at = s->len++;
        }
        unsigned len = 0;
        for (unsigned k = 0; k < 1000 && !len; k++)
            len = add_insn(&b, rows[rnd(n_rows)]);
        if (skip_at)
            s->code[skip_at] = (u8)len;
        i++;
    }
    if (gen.bits < 64)
        for (unsigned i = 0; i < 16; i++)
            s->gpr[i] = i < 8 ? (u32)s->gpr[i] : 0;
}

/* --- running it --- */
static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    const struct sequence *s = opaque;
    if (pc < CODE || pc >= CODE + s->len)
        return -1;
    n = (unsigned)MIN_OF(n, CODE + s->len - pc);
    memcpy(buf, s->code + (pc - CODE), n);
    return (int)n;
}

static void load_state(struct fake_cpu *f, const struct sequence *s)
{
    struct cpu *c = f->c;
    struct insn_gen g = { .seed = s->seed | 1 };
    memcpy(c->gpr, s->gpr, sizeof(c->gpr));
    cpu_set_rflags(c, s->flags | (s->back ? F_DF : 0));
    c->rip = CODE;
    for (unsigned i = 0; i < DATA_SIZE; i += 8)
        st64(f->ram + data_base() + i, insn_gen_random(&g) * 0x9e3779b97f4a7c15ull);
    memset(c->vreg, 0, sizeof(c->vreg));
    for (unsigned i = 0; i < 16; i++)
        memcpy(c->vreg[i], f->ram + data_base() + i * 32, 32);
    memset(c->kreg, 0, sizeof(c->kreg));
    if (s->seed & 2) { /* AVX-512 state is in use from the beginning */
        memcpy(c->vreg, f->ram + data_base(), sizeof(c->vreg));
        memcpy(c->kreg, f->ram + data_base() + sizeof(c->vreg), sizeof(c->kreg));
    }
    cpu_zmm_update(c);
    c->mxcsr = 0x1f80;
    c->x87_live = 0;
    memset(c->fx, 0, sizeof(c->fx));
    x87_init(c);
    c->cr2 = c->db_pending = c->int_shadow = 0;
    memset(&c->pmu, 0, sizeof(c->pmu));
    c->pmu.mode[0] = c->pmu.mode[1] = s->counted ? MODE_COUNT | MODE_COUNT_BR : 0;
    c->mode = (c->mode & ~(u32)(MODE_COUNT | MODE_COUNT_BR)) | c->pmu.mode[0];
    for (unsigned e = 0; e < PMU_COUNTED; e++)
        c->pmu.left[e] = PMU_FAR;
}

struct engine_run {
    const struct sequence *s;
    bool emitted;
};

static void step(struct cpu *c, void *opaque)
{
    struct engine_run *r = opaque;
    if (lift_block(block, c, c->rip, r->emitted ? 64 : 1, fetch, (void *)r->s) < 0)
        return;
    if (!r->emitted) {
        ir_interp_one(c, block);
        return;
    }
    the_tb.mode = block->mode;
    the_tb.n_insns = (u16)block->n_insns;
    the_tb.branch = branch_kind_at_end(block) != BR_NONE;
    if (backend_compile(block, &the_tb, &the_tb.code) < 0) {
        backend_flush();
        g_assert_cmpint(backend_compile(block, &the_tb, &the_tb.code), ==, 0);
    }
    static unsigned blocks; /* every other one by a copy */
    if (++blocks & 1)
        tb_to_copy(&the_tb, block);
    dbt_enter(c, the_tb.code.entry);
    c->pmu.ahead = 0;
}

/* -1: it went through; else the vector that it ended with. */
static int run_sequence(struct fake_cpu *f, const struct sequence *s, bool emitted)
{
    struct engine_run r = { s, emitted };
    int v = -1;
    f->unwound = 0;
    for (unsigned n = 0; n < STEPS_MAX && f->c->rip - CODE < s->len && f->unwound != UNW_FAULT; n++) {
        v = fake_cpu_try(f, step, &r);
        pmu_undo(f->c);
        r.emitted = emitted && f->unwound != UNW_INTERP_ONE;
    }
    x87_sync(f->c); /* the host's FPU is for the other one now */
    return f->unwound == UNW_FAULT ? v : -1;
}

/* --- comparing --- */
static const char *difference(struct fake_cpu *a, struct fake_cpu *b, u32 undefined)
{
    struct cpu *x = a->c, *y = b->c;
    return x->rip != y->rip ? "rip" : memcmp(x->gpr, y->gpr, sizeof(x->gpr)) ? "registers"
         : (cpu_rflags(x) ^ cpu_rflags(y)) & ~(u64)undefined ? "flags" : memcmp(x->vreg, y->vreg, sizeof(x->vreg)) ? "vector registers"
         : memcmp(x->kreg, y->kreg, sizeof(x->kreg)) ? "mask registers"
         : x->mxcsr != y->mxcsr ? "MXCSR" : memcmp(x->fx, y->fx, FX_MXCSR) || memcmp(x->fx + FX_ST, y->fx + FX_ST, 128) ? "x87 state"
         : x->cr2 != y->cr2 ? "CR2" : memcmp(a->ram + data_base(), b->ram + data_base(), DATA_SIZE) ? "memory"
         : memcmp(x->pmu.left, y->pmu.left, sizeof(x->pmu.left)) ? "counts"
         : memcmp(&x->pmu.predictor, &y->pmu.predictor, sizeof(x->pmu.predictor)) ? "predictor" : NULL;
}

static void report(const struct sequence *s, const char *what, struct fake_cpu *a, int va, struct fake_cpu *b, int vb)
{
    GString *out = g_string_new(NULL);
    for (unsigned i = 0; i < s->len; i++)
        g_string_append_printf(out, " %02x", s->code[i]);
    g_string_append_printf(out, "\nvector %d, emitted %d; rip %llx, %llx; flags %llx, %llx", va, vb, (unsigned long long)a->c->rip,
                           (unsigned long long)b->c->rip, (unsigned long long)cpu_rflags(a->c), (unsigned long long)cpu_rflags(b->c));
    for (unsigned i = 0; i < 16; i++)
        if (a->c->gpr[i] != b->c->gpr[i])
            g_string_append_printf(out, "\nregister %u: %llx, %llx, at first %llx", i, (unsigned long long)a->c->gpr[i],
                                   (unsigned long long)b->c->gpr[i], (unsigned long long)s->gpr[i]);
    g_test_message("%u-bit code, %s:%s", gen.bits, what, out->str);
    g_string_free(out, TRUE);
    g_test_fail();
}

static struct fake_cpu *cpu_new(unsigned bits)
{
    struct fake_cpu *f = fake_cpu_new(bits, NULL);
    f->c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    f->c->cr0 |= CR0_PE | CR0_NE | CR0_MP;
    f->c->mode |= MODE_PE; /* also for 16-bit code: real mode has no VEX */
    f->c->xcr0 = host_insn_has_zmm() ? 0xe7 : 7;
    f->c->jc_key = f->c->jc_live = 0x5bd1e995a3c59ac3ull;
    return f;
}

static void run_many(unsigned bits, unsigned n)
{
    static const struct insn_row *rows[8192];
    unsigned n_rows = 0, through = 0, bad = 0;
    const struct insn_row *r;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++)
        for (unsigned k = r->attr & (A_VEC | A_X87 | A_MMX) ? 1 : 4; k && row_fits(r) && n_rows < G_N_ELEMENTS(rows); k--)
            rows[n_rows++] = r; /* integer instructions more often */
    gen = (struct insn_gen){ .seed = (u64)g_test_rand_int() << 32 | 1, .bits = bits, .no_rip = true };
    struct fake_cpu *a = cpu_new(bits), *b = cpu_new(bits);
    for (unsigned i = 0; i < n && bad < 5; i++) {
        struct sequence s;
        make_sequence(&s, rows, n_rows);
        load_state(a, &s);
        load_state(b, &s);
        int va = run_sequence(a, &s, false), vb = run_sequence(b, &s, true);
        const char *what = va != vb ? "exception" : difference(a, b, s.undefined);
        if (what)
            report(&s, what, a, va, b, vb);
        bad += what != NULL;
        through += va < 0;
    }
    g_test_message("%u of %u sequences went through", through, n);
    g_assert_cmpuint(bad ? n : through, >, n / 4);
    fake_cpu_free(b);
    fake_cpu_free(a);
}

/* --- the same through the optimiser: what it does not know of a sequence, and what it leaves, is the interpreter's --- */
static unsigned integer_rows(const struct insn_row **rows, unsigned max)
{
    const struct insn_row *r;
    unsigned n = 0;
    for (unsigned i = 0; (r = insn_row_nth(i)) && n < max; i++)
        if (row_fits(r) && !(r->attr & (A_VEC | A_X87 | A_MMX | A_REP)))
            rows[n++] = r;
    return n;
}

static void warm(struct cpu *c)
{
    void *host;
    struct mem_fault f;
    for (u64 a = DATA; a < DATA + DATA_SIZE; a += PAGE_SIZE)
        mem_probe(cpu_mem(c), a, 1, ACC_WRITE | cpu_data_acc(c), &host, &f);
}

static void step_region(struct cpu *c, void *opaque)
{
    dbt_enter(c, ((struct tb *)opaque)->code.entry);
}

/* Returns the instructions that the region has done. */
static unsigned run_region(struct fake_cpu *f, const struct sequence *s, const u8 *function)
{
    static struct tb tb;
    struct ir_block below = { .pc = CODE, .mode = f->c->mode };
    struct ir_op *o = ir_emit(&below, IR_INSN, 0);
    below.n_insns = 1;
    o = ir_emit(&below, IR_EXIT, 8);
    o->imm = CODE;
    if (backend_compile(&below, &the_tb, &the_tb.code) || backend_region(&the_tb.code, function, 0, &tb, &tb.entered, &tb.code))
        g_error("the cache is full");
    warm(f->c);
    g_assert_cmpint(fake_cpu_try(f, step_region, &tb), ==, -1);
    return (unsigned)(f->c->rip - CODE);
}

static void run_batch(struct fake_cpu *a, struct fake_cpu *b, struct sequence *s, struct opt_region **r, unsigned n, u64 *done, u64 *all)
{
    const u8 *function[OPT_BATCH_MAX];
    opt_worker_compile((const struct opt_region *const *)r, n, function);
    for (unsigned i = 0; i < n; i++) {
        load_state(a, &s[i]);
        load_state(b, &s[i]);
        *done += run_region(b, &s[i], function[i]);
        *all += s[i].len;
        int va = run_sequence(a, &s[i], false), vb = run_sequence(b, &s[i], false);
        const char *what = va != vb ? "exception" : difference(a, b, s[i].undefined);
        if (what)
            report(&s[i], what, a, va, b, vb);
        g_free(r[i]);
    }
}

static void test_regions(void)
{
    static const struct insn_row *rows[8192];
    static struct sequence s[OPT_BATCH_MAX];
    struct opt_region *r[OPT_BATCH_MAX];
    unsigned n_rows = integer_rows(rows, G_N_ELEMENTS(rows));
    u64 done = 0, all = 0;
    if (!opt_worker_there()) {
        g_test_skip("no libgccjit");
        return;
    }
    gen = (struct insn_gen){ .seed = (u64)g_test_rand_int() << 32 | 1, .bits = 64, .no_rip = true };
    struct fake_cpu *a = cpu_new(64), *b = cpu_new(64);
    for (unsigned batch = 0; batch < (g_test_slow() ? 100u : 10u); batch++) {
        for (unsigned i = 0; i < OPT_BATCH_MAX;) {
            make_sequence(&s[i], rows, n_rows);
            if (s[i].counted)
                continue;
            s[i].gpr[R_SP] = data_place();
            load_state(a, &s[i]);
            lift_block(block, a->c, CODE, 64, fetch, &s[i]);
            r[i] = opt_worker_region(block);
            if (r[i]->n_insns > 1)
                i++;
            else
                g_free(r[i]);
        }
        run_batch(a, b, s, r, OPT_BATCH_MAX, &done, &all);
        backend_flush();
    }
    g_test_message("%llu of %llu bytes of instructions were done by regions", (unsigned long long)done, (unsigned long long)all);
    g_assert_cmpuint(done, >, all / 4);
    fake_cpu_free(b);
    fake_cpu_free(a);
}

static unsigned count(void) { return g_test_slow() ? 60000 : 6000; }
static void test_64(void) { run_many(64, count()); }
static void test_32(void) { run_many(32, count()); }
static void test_16(void) { run_many(16, count()); }

static void test_stressed(void)
{
    backend_stress.random_ra = true;
    run_many(64, count());
    backend_stress.force_miss = true;
    run_many(64, count() / 4);
    run_many(32, count() / 4);
    backend_stress.random_ra = backend_stress.force_miss = false;
}

int main(int argc, char **argv)
{
    struct err e;
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    if (backend_init(16 * MiB, &e) < 0 || dbt_signal_init(&e) < 0)
        g_error("%s", e.msg);
    block = g_new0(struct ir_block, 1);
    g_test_add_func("/dbt/sequence/64", test_64);
    g_test_add_func("/dbt/sequence/32", test_32);
    g_test_add_func("/dbt/sequence/16", test_16);
    g_test_add_func("/dbt/sequence/stressed", test_stressed);
    g_test_add_func("/dbt/sequence/regions", test_regions);
    int r = g_test_run();
    backend_fini();
    return r;
}
