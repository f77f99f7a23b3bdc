/* Tests of accel/dbt/x64/isel*.c, mem.c and ra.c: every op with random operands of every kind and size, run as emitted code and by the reference
 * interpreter from the same state; the results must agree in registers, flags, memory and exceptions. Run by `make check`. */
#include <glib.h>
#include <stdio.h>
#include "accel/dbt/tb.h"
#include "cpu/fault.h"
#include "cpu/help/help.h"
#include "cpu/ir/interp.h"
#include "disas/disas.h"
#include "tests/lib/fake_cpu.h"

#define BLOCK_PC 0x1000ull
#define DATA 0x20000ull  /* two pages of operands; the address register points into the middle */
#define DATA_SIZE 0x2000u
#define WINDOW 64u       /* bytes of memory an operand lies in */
#define SPARE_TMPS 3     /* live over the op under test, checked afterwards */

/* --- what emitted code calls; the run loop's versions are not linked --- */
static struct tb the_tb;

struct tb *tb_by_host_pc(const void *pc) { return &the_tb; }

/* Accesses that cross a page find the next one behind it here: the run loop would interpret them. */
const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc)
{
    unsigned acc = (size_acc >> 8) | cpu_data_acc(c);
    struct mem_fault f;
    void *host;
    switch (mem_probe(cpu_mem(c), addr, size_acc & 0xff, acc, &host, &f)) {
    case PROBE_RAM:
        return host;
    case PROBE_FAULT:
        cpu_raise_pf(c, &f, acc);
    case PROBE_SLOW:
        return ((struct fake_cpu *)c->plat_opaque)->ram + addr;
    }
    g_assert_not_reached();
}

/* --- random cases --- */
static GRand *rnd;
static u32 below(u32 n) { return (u32)g_rand_int_range(rnd, 0, (gint32)n); }
static bool chance(u32 percent) { return below(100) < percent; }

static u64 random_value(void)
{
    u64 v = (u64)g_rand_int(rnd) << 32 | g_rand_int(rnd);
    switch (below(8)) {
    case 0: return 0;
    case 1: return ~0ull;
    case 2: return v & 0xff;
    case 3: return 1ull << below(64);
    case 4: return (v & 0xffff) | 0x8000;
    case 5: return (u64)(i64)(i8)v;
    default: return v;
    }
}

struct state {
    u64 gpr[16], rip, dr[SPARE_TMPS + 2];
    u32 flags;
    u8 mem[DATA_SIZE];
    int vector;
};

struct testcase {
    struct fake_cpu *f;
    struct ir_block *b;
    u64 tmp[IR_TMP_MAX];
    unsigned base, spare_first;
    bool uses_ptr;
    u64 addr;
    u32 undefined;   /* flags that the instruction leaves undefined */
};

static struct ir_op *emit(struct ir_block *b, enum ir_code code, unsigned size, struct ir_val d, struct ir_val a, struct ir_val v)
{
    struct ir_op *o = ir_emit(b, code, size);
    o->d = d;
    o->a = a;
    o->b = v;
    return o;
}

static struct ir_val random_val(unsigned size, bool ptr_ok)
{
    for (;;) {
        switch (below(8)) {
        case 0: case 1: return ir_gpr(below(16));
        case 2: return ir_gpr(below(4));
        case 3: if (size == 1) return ir_gprh(below(4)); break;
        case 4: case 5: return ir_tmp(below(IR_TMP_MAX));
        case 6: if (ptr_ok) return ir_ptr(); break;
        default: return ir_immv();
        }
    }
}

static u32 undefined_flags(const struct ir_op *o)
{
    const u32 all = F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF;
    switch ((enum ir_code)o->code) {
    case IR_AND: case IR_OR: case IR_XOR: case IR_TEST: return F_AF;
    case IR_SHL: case IR_SHR: case IR_SAR: return F_AF | F_OF | (o->size < 4 ? F_CF : 0);
    case IR_ROL: case IR_ROR: case IR_RCL: case IR_RCR: return F_OF;
    case IR_SHLD: case IR_SHRD: return F_AF | F_OF;
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: return F_OF | F_SF | F_AF | F_PF;
    case IR_BSF: case IR_BSR: return all & ~(u32)F_ZF;
    case IR_TZCNT: case IR_LZCNT: return F_OF | F_SF | F_AF | F_PF;
    case IR_IMUL: case IR_MULW: return F_SF | F_ZF | F_AF | F_PF;
    case IR_DIVW: return all;
    case IR_ANDN: case IR_BLSI: case IR_BLSR: case IR_BLSMSK: case IR_BZHI: return F_AF | F_PF;
    case IR_BEXTR: return F_AF | F_PF | F_SF;
    default: return 0;
    }
}

/* A random op under test, not necessarily well-formed: ir_check decides. */
static void random_op(struct testcase *t)
{
    static const u8 sizes[] = { 1, 2, 4, 8, 4, 8 };
    const unsigned first = IR_LIN, last = IR_FENCE;
    enum ir_code code = first + below(last - first + 1);
    unsigned size = code == IR_SETCC ? 1 : code == IR_CMPXCHG2 ? 8u << below(2) : sizes[below(ARRAY_LEN(sizes))];
    if ((code >= IR_BLSI && code <= IR_BLSMSK) || code == IR_ADCX || code == IR_ADOX || code == IR_CRC32) /* ir_check would take 2, too */
        size = MAX_OF(size, 4u);
    struct ir_op *o = ir_emit(t->b, code, size);
    o->imm = code == IR_LDC || code == IR_STC ? offsetof(struct cpu, dr) : random_value();
    if (code == IR_LDCODE)
        o->imm = below(8);
    o->imm2 = random_value();
    o->size2 = (u8)(code == IR_MOVZX || code == IR_MOVSX || code == IR_CRC32 || code == IR_LDCODE ? 1u << below(4) : 0);
    if (code == IR_CRC32 && size == 8)
        o->size2 = chance(50) ? 1 : 8;
    o->cc = (u8)below(16);
    o->aux = (u8)below(2);
    o->scale = (u8)below(4);
    o->asize = (u8)(2u << below(3));
    o->seg = chance(50) ? S_NONE : (u8)below(6);
    if (code != IR_LDC && code != IR_STC && code != IR_MOV && size == 8)
        o->imm = sext(o->imm, 4);
    if (code == IR_RORX || (code >= IR_BT && code <= IR_BTC) || code == IR_SARX || code == IR_SHLX || code == IR_SHRX)
        o->imm &= size * 8 - 1;
    if (code >= IR_SHL && code <= IR_SHRD && chance(30))
        o->imm = 1;
    if (code == IR_SHLD || code == IR_SHRD)
        o->imm &= 15;
    o->d = random_val(size, true);
    o->a = chance(60) ? o->d : random_val(o->size2 ? o->size2 : size, true);
    o->b = random_val(size, true);
    if (ir_effect(code) != IRE_END && ir_flag_effect(code) & 1)
        o->fl = code == IR_DIVW || code >= IR_LAHF || chance(80);
    if (code == IR_LIN || code == IR_LEA) {
        o->a = chance(20) ? ir_none() : o->a;
        o->b = chance(40) ? ir_none() : o->b;
    }
    struct ir_val *operand[] = { &o->d, &o->a, &o->b };
    for (unsigned i = 0; i < 3; i++) { /* ops take fewer operands than that: let ir_check say which */
        struct ir_val keep = *operand[i];
        *operand[i] = ir_none();
        ir_emit(t->b, IR_JMP, 0)->imm = 0;
        bool fine = !ir_check(t->b);
        t->b->n_ops--;
        if (fine)
            continue;
        *operand[i] = keep;
    }
    o->lock = o->d.kind == K_PTR && ir_same(o->d, o->a) && chance(20);
}

static bool has_ptr(const struct ir_op *o)
{
    return o->d.kind == K_PTR || o->a.kind == K_PTR || o->b.kind == K_PTR;
}

/* A memory bit operand with the bit in a register, a double shift, or CMPXCHG16B: makes the inputs legal. */
static void tame(struct testcase *t, const struct ir_op *o)
{
    struct cpu *c = t->f->c;
    bool bits = o->code >= IR_BT && o->code <= IR_BTC, shd = (o->code == IR_SHLD || o->code == IR_SHRD) && o->size == 2;
    if ((bits && (o->a.kind == K_PTR || o->d.kind == K_PTR)) || shd) {
        u64 mask = bits ? o->size * 8 - 1 : 15;
        if (o->b.kind == K_GPR)
            c->gpr[o->b.n] &= mask;
        else if (o->b.kind == K_GPRH)
            c->gpr[o->b.n] &= mask << 8 | ~0xff00ull;
        else if (o->b.kind == K_TMP)
            t->tmp[o->b.n] &= mask;
    }
    if ((o->code == IR_DIVW) && chance(70)) { /* mostly no #DE */
        c->gpr[R_DX] = 0;
        c->gpr[R_AX] = below(200);
    }
    if (o->code == IR_CMPXCHG2)
        t->addr = ALIGN_DOWN(t->addr, 16);
}

/* The address of the operand in some form; returns false if the registers do not allow it. */
static void random_probe(struct testcase *t, const struct ir_op *o)
{
    struct cpu *c = t->f->c;
    struct ir_op p = { .code = IR_PROBE, .size = (u8)MAX_OF(o->size, 1u), .asize = 8, .acc = ACC_RMW, .seg = S_DS };
    bool rd_only = o->d.kind != K_PTR && o->code != IR_CMPXCHG2;
    if (rd_only)
        p.acc = ACC_READ;
    if (o->size2)
        p.size = MAX_OF(o->size2, p.size);
    unsigned r = below(16), x = below(16);
    u64 at = t->addr;
    switch (below(6)) {
    case 0:
        p.imm = at;
        break;
    case 1:
        p.a = ir_tmp(5);
        t->tmp[5] = at - 3;
        p.imm = 3;
        break;
    case 2:
        p.a = ir_gpr(r);
        p.b = ir_gpr(x == R_SP || x == r ? R_AX : x);
        p.scale = (u8)below(4);
        if (p.b.n == r)
            p.b = ir_none();
        if (p.b.kind)
            c->gpr[p.b.n] = below(2000);
        c->gpr[r] = at - (p.b.kind ? c->gpr[p.b.n] << p.scale : 0);
        break;
    case 3:
        p.a = ir_gpr(r);
        p.imm = (u64)(i64)(i32)(below(4000) - 2000);
        c->gpr[r] = at - p.imm;
        break;
    case 4:
        p.seg = S_GS;
        p.a = ir_gpr(r);
        c->gpr[r] = at - c->seg[S_GS].base;
        p.asize = chance(50) ? 8 : 4;
        c->gpr[r] = zext(c->gpr[r], p.asize) | (p.asize == 4 ? 0xabcdull << 40 : 0);
        break;
    default:
        p.a = ir_gpr(o->d.kind == K_GPR ? o->d.n : r);
        c->gpr[p.a.n] = at;
        break;
    }
    struct ir_op *q = ir_emit(t->b, IR_PROBE, p.size);
    *q = p;
}

/* The bit offset of a memory bit operand must still be one after the address was put into registers. */
static bool still_tame(const struct testcase *t, const struct ir_op *o)
{
    bool bits = o->code >= IR_BT && o->code <= IR_BTC && has_ptr(o);
    bool shd = (o->code == IR_SHLD || o->code == IR_SHRD) && o->size == 2;
    u64 mask = bits ? o->size * 8 - 1 : 15;
    if (!bits && !shd)
        return true;
    return o->b.kind == K_GPR ? t->f->c->gpr[o->b.n] <= mask : o->b.kind != K_TMP || t->tmp[o->b.n] <= mask;
}

/* Builds block->op: INSN, TMPs, PROBE, the op, stores of the TMPs. False: this op is not to be tested. */
static bool build(struct testcase *t)
{
    static const u8 code[16] = { 0x11, 0x92, 0x33, 0xf4, 0x55, 0x86, 0x77, 0xe8, 0x99, 0x0a, 0xbb, 0x7c, 0xdd, 0xee, 0x0f, 0x80 };
    struct ir_block *b = t->b;
    struct ir_op op;
    memset(b, 0, offsetof(struct ir_block, op));
    b->code = code;
    b->pc = BLOCK_PC;
    b->mode = t->f->c->mode;
    b->n_insns = 1;
    b->len = 4;
    b->insn[0] = (struct ir_insn){ .pc = BLOCK_PC, .len = 4, .row = insn_row_nth(0) };
    ir_emit(b, IR_INSN, 0);
    for (unsigned i = 0; i < IR_TMP_MAX; i++)
        emit(b, IR_MOV, 8, ir_tmp(i), ir_immv(), ir_none());
    struct ir_op *p = ir_emit(b, IR_PROBE, 16);
    p->acc = ACC_RMW;
    p->asize = 8;
    p->seg = S_NONE;
    random_op(t);
    op = b->op[b->n_ops - 1];
    ir_emit(b, IR_JMP, 0);
    if (ir_check(b))
        return false;
    bool ptr = has_ptr(&op) || op.code == IR_CMPXCHG2;
    tame(t, &op);
    b->n_ops = 1;
    unsigned probe_at = 1 + IR_TMP_MAX;
    b->n_ops = (u16)probe_at;
    if (ptr)
        random_probe(t, &op);
    if (!still_tame(t, &op))
        return false;
    for (unsigned i = 0; i < IR_TMP_MAX; i++)
        b->op[1 + i].imm = t->tmp[i];
    op.ptr_off = 0;
    *ir_emit(b, (enum ir_code)op.code, op.size) = op;
    for (unsigned i = 0; i < SPARE_TMPS; i++) {
        struct ir_val v = ir_tmp(i);
        unsigned size = ir_same(op.d, v) || ir_same(op.a, v) || (op.code == IR_MULX && ir_same(op.b, v)) ? op.size : 8;
        emit(b, IR_STC, size, ir_none(), v, ir_none())->imm = offsetof(struct cpu, dr) + 8 * i;
    }
    for (unsigned i = SPARE_TMPS; i < IR_TMP_MAX; i++)
        if (ir_same(op.d, ir_tmp(i)))
            emit(b, IR_STC, op.size, ir_none(), op.d, ir_none())->imm = offsetof(struct cpu, dr) + 8 * SPARE_TMPS;
    ir_emit(b, IR_JMP, 0)->imm = BLOCK_PC + 4;
    t->undefined = op.fl ? undefined_flags(&op) : 0;
    return true;
}

/* --- running --- */
/* One instruction at a time: the interpreter stops behind an instruction that wrote across pages. */
static void run_interp(struct cpu *c, void *opaque)
{
    static struct ir_block one;
    const struct ir_block *b = opaque;
    for (unsigned i = 0; i < b->n_insns; i++) {
        unsigned from = b->insn[i].first_op, to = i + 1 < b->n_insns ? b->insn[i + 1].first_op : b->n_ops;
        memcpy(&one, b, offsetof(struct ir_block, op));
        memcpy(one.op, b->op + from, (to - from) * sizeof(one.op[0]));
        one.pc = b->insn[i].pc;
        one.len = b->insn[i].len;
        one.insn[0] = b->insn[i];
        one.n_insns = 1;
        one.n_ops = to - from;
        one.op[0].imm = 0;
        ir_interp(c, &one);
    }
}

static void run_emitted(struct cpu *c, void *entry) { g_assert_cmpuint(dbt_enter(c, entry) & DBT_EXIT_MASK, <=, DBT_EXIT_LOOKUP); }

static void capture(struct state *s, const struct fake_cpu *f, int vector)
{
    const struct cpu *c = f->c;
    memset(s, 0, sizeof(*s));
    memcpy(s->gpr, c->gpr, sizeof(s->gpr));
    memcpy(s->dr, c->dr, sizeof(s->dr));
    s->rip = c->rip;
    s->flags = cpu_arith(c);
    memcpy(s->mem, f->ram + DATA, DATA_SIZE);
    s->vector = vector;
}

static void restore(const struct state *s, struct fake_cpu *f)
{
    struct cpu *c = f->c;
    memcpy(c->gpr, s->gpr, sizeof(s->gpr));
    memcpy(c->dr, s->dr, sizeof(s->dr));
    c->rip = s->rip;
    cpu_set_arith(c, s->flags);
    memcpy(f->ram + DATA, s->mem, DATA_SIZE);
}

static void compile(const struct ir_block *b)
{
    if (backend_compile(b, &the_tb, &the_tb.code) < 0) {
        backend_flush();
        g_assert_cmpint(backend_compile(b, &the_tb, &the_tb.code), ==, 0);
    }
}

static bool differ(const struct state *x, const struct state *y, u32 undefined)
{
    return memcmp(x->gpr, y->gpr, sizeof(x->gpr)) || memcmp(x->dr, y->dr, sizeof(x->dr)) || x->rip != y->rip ||
           ((x->flags ^ y->flags) & ~undefined) || memcmp(x->mem, y->mem, DATA_SIZE) || x->vector != y->vector;
}

static void explain(const struct testcase *t, const struct state *in, const struct state *want, const struct state *got)
{
    GString *s = g_string_new(NULL);
    ir_print(t->b, s);
    g_test_message("%s", s->str);
    g_string_free(s, TRUE);
    for (unsigned i = 0; i < 16; i++)
        g_test_message("gpr%-2u %016llx: want %016llx got %016llx%s", i, (unsigned long long)in->gpr[i], (unsigned long long)want->gpr[i],
                       (unsigned long long)got->gpr[i], want->gpr[i] != got->gpr[i] ? " <<<" : "");
    for (unsigned i = 0; i < ARRAY_LEN(in->dr); i++)
        g_test_message("tmp%-2u want %016llx got %016llx%s", i, (unsigned long long)want->dr[i], (unsigned long long)got->dr[i],
                       want->dr[i] != got->dr[i] ? " <<<" : "");
    g_test_message("flags %03x want %03x got %03x (undefined %03x); rip want %llx got %llx; vector want %d got %d", in->flags, want->flags,
                   got->flags, t->undefined, (unsigned long long)want->rip, (unsigned long long)got->rip, want->vector, got->vector);
    for (unsigned i = 0; i < DATA_SIZE; i++)
        if (want->mem[i] != got->mem[i])
            g_test_message("mem %x: in %02x want %02x got %02x", (unsigned)DATA + i, in->mem[i], want->mem[i], got->mem[i]);
    disas_block(stderr, 64, (u64)the_tb.code.entry, the_tb.code.entry, the_tb.code.size);
}

static void random_state(struct testcase *t)
{
    struct fake_cpu *f = t->f;
    for (unsigned i = 0; i < 16; i++)
        f->c->gpr[i] = random_value();
    for (unsigned i = 0; i < IR_TMP_MAX; i++)
        t->tmp[i] = random_value();
    memset(f->c->dr, 0, sizeof(f->c->dr));
    f->c->rip = BLOCK_PC;
    cpu_set_arith(f->c, g_rand_int(rnd) & (F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF));
    f->c->seg[S_FS].base = 0x5000;
    f->c->seg[S_GS].base = 0xffffffffff000000ull;
    if (chance(50))
        f->c->seg[S_GS].base = 0x8000;
    t->addr = DATA + 0x800 + below(WINDOW);
    for (unsigned i = 0; i < 2 * WINDOW; i += 8)
        st64(f->ram + DATA + 0x800 + i, random_value());
    if (chance(20)) /* so that comparisons match now and then */
        f->c->gpr[R_AX] = ld64(f->ram + t->addr);
}

/* Runs t->b both ways from the present state. */
static void compare(struct testcase *t)
{
    struct state in, want, got;
    capture(&in, t->f, 0);
    int v = fake_cpu_try(t->f, run_interp, t->b);
    capture(&want, t->f, v);
    compile(t->b);
    restore(&in, t->f);
    if (chance(30))
        tlb_flush(&t->f->c->tlb, true);
    v = fake_cpu_try(t->f, run_emitted, the_tb.code.entry);
    capture(&got, t->f, v);
    if (differ(&want, &got, t->undefined)) {
        explain(t, &in, &want, &got);
        g_test_fail();
        g_error("emitted code and interpreter differ");
    }
}

static void one_case(struct testcase *t)
{
    do
        random_state(t);
    while (!build(t));
    compare(t);
}

static void test_ops(gconstpointer arg)
{
    unsigned n = GPOINTER_TO_UINT(arg);
    struct testcase t = { .f = fake_cpu_new(64, NULL), .b = g_new0(struct ir_block, 1) };
    rnd = g_rand_new_with_seed((guint32)g_test_rand_int());
    for (unsigned i = 0; i < n; i++)
        one_case(&t);
    g_rand_free(rnd);
    g_free(t.b);
    fake_cpu_free(t.f);
}

/* --- sequences: several instructions that access memory around a few registers, as groups of PROBEs want them --- */
#define SEQ_INSNS 12

static void seq_insn(struct ir_block *b)
{
    unsigned i = b->n_insns++;
    b->insn[i] = (struct ir_insn){ .pc = BLOCK_PC + 4 * i, .len = 4, .first_op = (u16)b->n_ops, .row = insn_row_nth(0) };
    b->len += 4;
    ir_emit(b, IR_INSN, 0)->imm = i;
}

static void seq_probe(struct ir_block *b, unsigned full, unsigned base, i64 disp, unsigned size, unsigned acc)
{
    struct ir_op *p = emit(b, IR_PROBE, size, ir_none(), ir_gpr(base), ir_none());
    p->imm = (u64)disp;
    p->asize = (u8)full;
    p->acc = (u8)acc;
    p->seg = S_SS;
}

static void seq_add(struct ir_block *b, unsigned full, unsigned d, unsigned a, i64 n)
{
    struct ir_op *o = emit(b, chance(60) ? IR_LEA : n < 0 ? IR_SUB : IR_ADD, full, ir_gpr(d), ir_gpr(a), ir_none());
    o->imm = (u64)(o->code == IR_SUB ? -n : n);
    if (o->code == IR_LEA) {
        o->asize = (u8)full;
    } else {
        o->b = ir_immv();
        o->fl = chance(80);
    }
}

/* One instruction; base: registers that hold addresses. */
static void seq_random(struct ir_block *b, unsigned full, const u8 *base)
{
    unsigned r = base[below(3)], x = 8 + below(5), size = full == 8 ? 1u << below(4) : 1u << below(3);
    i64 disp = chance(90) ? (i64)below(200) - 100 : (i64)below(600) - 300;
    seq_insn(b);
    switch (below(9)) {
    case 0:
        seq_probe(b, full, r, disp, size, ACC_READ);
        emit(b, IR_MOV, size, ir_gpr(x), ir_ptr(), ir_none());
        break;
    case 1:
        seq_probe(b, full, r, disp, size, ACC_WRITE);
        emit(b, IR_MOV, size, ir_ptr(), ir_gpr(x), ir_none());
        break;
    case 2: {
        seq_probe(b, full, r, disp, size, ACC_RMW);
        struct ir_op *o = emit(b, IR_ADC, size, ir_ptr(), ir_ptr(), ir_gpr(x));
        o->fl = true;
        o->lock = chance(30);
        break;
    }
    case 3: /* PUSH */
        seq_probe(b, full, r, -(i64)full, full, ACC_WRITE | ACC_STACK);
        emit(b, IR_MOV, full, ir_ptr(), ir_gpr(x), ir_none());
        seq_add(b, full, r, r, -(i64)full);
        break;
    case 4: /* POP */
        seq_probe(b, full, r, 0, full, ACC_READ | ACC_STACK);
        emit(b, IR_MOV, full, ir_tmp(0), ir_ptr(), ir_none());
        seq_add(b, full, r, r, full);
        emit(b, IR_MOV, full, ir_gpr(x), ir_tmp(0), ir_none());
        break;
    case 5:
        seq_add(b, full, base[below(3)], r, disp);
        break;
    case 6: /* the base itself is overwritten, with an address */
        emit(b, IR_MOV, full, ir_gpr(base[below(3)]), ir_gpr(r), ir_none());
        break;
    case 7: {
        struct ir_op *o = emit(b, IR_XOR, size, ir_gpr(x), ir_gpr(x), ir_gpr(8 + below(5)));
        o->fl = true;
        break;
    }
    default: /* double shift on memory: wants every scratch register */
        if (size > 1) {
            seq_probe(b, full, r, disp, size, ACC_RMW);
            emit(b, IR_MOV, 8, ir_tmp(1), ir_immv(), ir_none())->imm = below(15);
            emit(b, IR_SHLD, size, ir_ptr(), ir_gpr(x), ir_tmp(1))->fl = true;
        }
        break;
    }
}

static void seq_build(struct testcase *t, unsigned full)
{
    static const u8 bases[][3] = { { R_SP, R_BP, R_DI }, { R_BX, R_13, R_SP }, { R_14, R_15, R_13 } };
    struct ir_block *b = t->b;
    struct cpu *c = t->f->c;
    const u8 *base = bases[full == 8 ? below(3) : 0];
    memset(b, 0, offsetof(struct ir_block, op));
    b->pc = BLOCK_PC;
    b->mode = c->mode;
    for (unsigned i = 0; i < 3; i++)
        c->gpr[base[i]] = DATA + 0x1000 - 400 + below(800);
    for (unsigned i = 8; full == 4 && i < 13; i++)
        c->gpr[i] = (u32)c->gpr[i];
    unsigned n = 2 + below(SEQ_INSNS);
    for (unsigned i = 0; i < n; i++)
        seq_random(b, full, base);
    seq_insn(b);
    if (chance(50)) { /* RET */
        seq_probe(b, full, base[0], 0, full, ACC_READ | ACC_STACK);
        emit(b, IR_MOV, 4, ir_tmp(0), ir_ptr(), ir_none()); /* canonical: the run loop sees to other targets */
        seq_add(b, full, base[0], base[0], full);
        emit(b, IR_JMPR, 8, ir_none(), ir_tmp(0), ir_none());
    } else { /* CALL */
        seq_probe(b, full, base[0], -(i64)full, full, ACC_WRITE | ACC_STACK);
        emit(b, IR_MOV, full, ir_ptr(), ir_immv(), ir_none())->imm = BLOCK_PC + b->len;
        seq_add(b, full, base[0], base[0], -(i64)full);
        ir_emit(b, IR_JMP, 0)->imm = BLOCK_PC + 0x200;
    }
    t->undefined = F_AF | F_OF; /* of SHLD */
}

static void test_sequences(gconstpointer arg)
{
    unsigned n = GPOINTER_TO_UINT(arg);
    rnd = g_rand_new_with_seed((guint32)g_test_rand_int());
    for (unsigned bits = 32; bits <= 64; bits += 32) {
        struct testcase t = { .f = fake_cpu_new(bits, NULL), .b = g_new0(struct ir_block, 1) };
        t.f->c->jc_key = t.f->c->jc_live = 0x5bd1e995a3c59ac3ull;
        for (unsigned i = 0; i < n; i++) {
            random_state(&t);
            seq_build(&t, bits / 8);
            compare(&t);
        }
        g_free(t.b);
        fake_cpu_free(t.f);
    }
    g_rand_free(rnd);
}

static void test_sequences_random_ra(gconstpointer arg)
{
    backend_stress.random_ra = true;
    test_sequences(arg);
    backend_stress.random_ra = false;
}

static void test_sequences_force_miss(gconstpointer arg)
{
    backend_stress.force_miss = true;
    test_sequences(arg);
    backend_stress.force_miss = false;
}

static void test_ops_random_ra(gconstpointer arg)
{
    backend_stress.random_ra = true;
    test_ops(arg);
    backend_stress.random_ra = false;
}

static void test_ops_force_miss(gconstpointer arg)
{
    backend_stress.force_miss = true;
    test_ops(arg);
    backend_stress.force_miss = false;
}

int main(int argc, char **argv)
{
    struct err e;
    g_test_init(&argc, &argv, NULL);
    if (backend_init(8 * MiB, &e) < 0 || dbt_signal_init(&e) < 0)
        g_error("%s", e.msg);
    unsigned n = g_test_quick() ? 60000 : 2000000;
    g_test_add_data_func("/dbt/x64/ops", GUINT_TO_POINTER(n), test_ops);
    g_test_add_data_func("/dbt/x64/ops-random-ra", GUINT_TO_POINTER(n / 2), test_ops_random_ra);
    g_test_add_data_func("/dbt/x64/ops-force-miss", GUINT_TO_POINTER(n / 2), test_ops_force_miss);
    g_test_add_data_func("/dbt/x64/sequences", GUINT_TO_POINTER(n / 4), test_sequences);
    g_test_add_data_func("/dbt/x64/sequences-random-ra", GUINT_TO_POINTER(n / 8), test_sequences_random_ra);
    g_test_add_data_func("/dbt/x64/sequences-force-miss", GUINT_TO_POINTER(n / 8), test_sequences_force_miss);
    int ret = g_test_run();
    backend_fini();
    return ret;
}
