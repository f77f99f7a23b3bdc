/* Runs the cases of the instruction oracle on the host and on one of our engines, row by row; the two tests that the engines share. Environment:
 * ORACLE_CASES=n per row, ORACLE_ROW=mnemonic, ORACLE_SEED=n, ORACLE_REPORT=1 for a line for each row. Test thread. */
#include <glib.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include "cpu/fault.h"
#include "cpu/help/x87.h"
#include "cpu/help/xsave.h"
#include "tests/lib/native.h"
#include "tests/lib/oracle.h"

/* --- running on our CPU --- */
static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    struct fake_cpu *f = opaque;
    memcpy(buf, f->ram + (f->c->mode & MODE_SIZE ? 0 : HI_CODE) + pc, n);
    return (int)n;
}

void oracle_lift(struct oracle *o)
{
    if (lift_block(o->block, o->f->c, o->pc, 1, fetch, o->f) != 1)
        abort();
}

/* One execution of the instruction, or of some iterations of a string instruction: -1, or the exception's vector. What an engine hands to the
 * interpreter goes there. */
static int step_once(struct oracle *o)
{
    struct cpu *c = o->f->c;
    jmp_buf land;
    int why = setjmp(land);
    c->fault_jmp = &land;
    if (why == UNW_FAULT)
        return c->fault.vector;
    if (why == UNW_INTERP_ONE) {
        oracle_lift(o);
        ir_interp(c, o->block);
    } else if (!why) {
        o->step(o);
    }
    return -1;
}

static void cpu_load(struct cpu *c, const struct hi_state *s)
{
    memcpy(c->gpr, s->gpr, sizeof(c->gpr));
    c->rip = s->rip;
    cpu_set_rflags(c, s->flags);
    memcpy(c->fx, s->fx, sizeof(c->fx));
    c->x87_live = 0;
    c->mxcsr = ld32(s->fx + 24);
    memset(c->vreg, 0, sizeof(c->vreg));
    for (unsigned i = 0; i < 16; i++) {
        memcpy(c->vreg[i], s->fx + 160 + 16 * i, 16);
        memcpy(c->vreg[i] + 16, s->ymmh[i], 16);
        memcpy(c->vreg[i] + 32, s->zmmh[i], 32);
        memcpy(c->vreg[i + 16], s->zmm16[i], 64);
    }
    memcpy(c->kreg, s->k, sizeof(c->kreg));
    cpu_zmm_update(c);
}

static void cpu_store(struct cpu *c, struct hi_state *s)
{
    x87_sync(c);
    memcpy(s->gpr, c->gpr, sizeof(c->gpr));
    s->rip = c->rip;
    s->flags = cpu_rflags(c);
    memcpy(s->fx, c->fx, sizeof(c->fx));
    st32(s->fx + 24, c->mxcsr);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(s->fx + 160 + 16 * i, c->vreg[i], 16);
        memcpy(s->ymmh[i], c->vreg[i] + 16, 16);
        memcpy(s->zmmh[i], c->vreg[i] + 32, 32);
        memcpy(s->zmm16[i], c->vreg[i + 16], 64);
    }
    memcpy(s->k, c->kreg, sizeof(s->k));
}

/* Runs the case on our CPU; fills k's results. */
static void run_ours(struct oracle *o, struct hi_case *k)
{
    struct cpu *c = o->f->c;
    unsigned n = 0;
    memcpy(o->f->ram + HI_PC, k->code, sizeof(k->code));
    cpu_load(c, &k->in);
    do
        k->vector = step_once(o);
    while (k->rep && k->vector < 0 && c->rip == o->pc && ++n < 64);
    cpu_store(c, &k->out);
    k->error = k->vector >= 0 && c->fault.has_error ? c->fault.error : 0;
    k->cr2 = c->cr2;
    hi_change_find(&k->mem, o->image, o->f->ram + HI_DATA);
    if (k->mem.len)
        memcpy(o->f->ram + HI_DATA + k->mem.lo, o->image + k->mem.lo, k->mem.len);
}

/* --- rows --- */
static bool row_runs(const struct oracle *o, const struct insn_row *r)
{
    const char *only = getenv("ORACLE_ROW");
    if (r->modes == (o->bits == 64 ? I64 : O64) || r->attr & (A_NOTEST | A_PRIV | A_IO) || !native_has(r->feat))
        return false;
    return !only || !strcmp(only, r->mnem);
}

/* With four modes and two engines more than five million cases in all. */
#define CASES_PER_ROW 320u

static unsigned cases_per_row(void)
{
    const char *s = getenv("ORACLE_CASES");
    return s ? (unsigned)strtoul(s, NULL, 0) : CASES_PER_ROW;
}

/* Runs the batch on both sides and compares. */
static void batch_run(struct oracle *o, const struct insn_row *r, const struct insn *insns, unsigned n, struct oracle_count *count)
{
    unsigned done = host_insn_run(o->host, n);
    struct hi_case *cases = host_insn_cases(o->host);
    count->lost += n - done;
    for (unsigned i = 0; i < done; i++) {
        struct hi_case ours = cases[i];
        run_ours(o, &ours);
        oracle_compare(o, r, &insns[i], &cases[i], &ours, count);
    }
}

void oracle_rows(struct oracle *o)
{
    const struct insn_row *r;
    unsigned want = cases_per_row(), rows = 0, bad = 0;
    u64 total = 0;
    bool report = getenv("ORACLE_REPORT") != NULL;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        struct oracle_count count = { 0 };
        struct insn insns[HI_BATCH];
        if (!row_runs(o, r))
            continue;
        for (unsigned left = want; left;) {
            unsigned n = MIN_OF(left, HI_BATCH);
            left -= n;
            n = oracle_cases(o, r, host_insn_cases(o->host), insns, n);
            if (n)
                batch_run(o, r, insns, n, &count);
        }
        rows++;
        total += count.ok + count.fault + count.bad;
        bad += count.bad > 0;
        if (report || count.bad || !(count.ok + count.fault))
            g_test_message("%-18s %-12s ok %u, same fault %u, skipped %u, lost %u, different %u", r->mnem, r->rule_name, count.ok, count.fault,
                           count.skip, count.lost, count.bad);
        if (count.bad)
            g_test_fail();
    }
    g_test_message("%llu cases of %u rows compared with the host CPU, %u rows with differences", (unsigned long long)total, rows, bad);
}

/* --- which byte strings are instructions at all --- */
static bool one_bit(struct oracle *o) { return insn_gen_random(&o->gen) & 8; }

static void random_string(struct oracle *o, u8 *buf)
{
    static const u8 lead[] = { 0x0f, 0x0f, 0x0f, 0xc4, 0xc5, 0x62, 0x66, 0xf3, 0xf2, 0x48, 0xf0 };
    unsigned n = 0, kind = (unsigned)insn_gen_random(&o->gen) % 8;
    for (unsigned i = 0; i < 16; i++)
        buf[i] = (u8)insn_gen_random(&o->gen);
    while (n < kind % 4)
        buf[n++] = lead[insn_gen_random(&o->gen) % sizeof(lead)];
    if (n && buf[n - 1] == 0xc4)
        buf[n] = (u8)((buf[n] & 0xe0) | (insn_gen_random(&o->gen) % 3 + 1));
    if (n && buf[n - 1] == 0x62) { /* mostly what other prefixes cannot spoil */
        buf[n] = (u8)((buf[n] & (one_bit(o) ? 0xf0 : 0xf8)) | (insn_gen_random(&o->gen) % 3 + 1));
        buf[n + 1] |= one_bit(o) ? 0x7c : 4;
        buf[n + 2] = one_bit(o) ? buf[n + 2] & 0x7f : buf[n + 2];
        buf[n + 2] |= one_bit(o) ? 8 : 0;
    }
}

/* Instructions of the host that we do not offer: SSE4A, SVM, XOP, other maps of EVEX (AVX512_FP16); AMD's VPERMPD ignores W, and its VERW reads its operand
 * before it minds a LOCK prefix. */
static bool host_only(const struct insn *in)
{
    u8 op = in->opcode;
    if (in->evex)
        return op == 0x62 || !host_insn_has_zmm();
    if (in->vex)
        return op == 0x01;
    if (op == 0x00 && in->lock && (in->reg & 7) == 5)
        return true;
    return op == 0x8f || op == 0x78 || op == 0x79 || op == 0x2b || (op == 0x01 && in->mod == 3);
}

/* What decodes raises no #UD on the host, and the other way round. */
void oracle_undefined(struct oracle *o)
{
    struct hi_case *k = host_insn_cases(o->host);
    unsigned n = 3000 * MAX_OF(cases_per_row() / 8, 1u), compared = 0;
    for (unsigned i = 0; i < n; i++) {
        struct insn in;
        random_string(o, k->code);
        enum dec_result res = insn_decode(&in, k->code, 15, o->bits, true, o->pc, NULL);
        if ((res != DEC_OK && res != DEC_UD) || (res == DEC_UD && host_only(&in)))
            continue;
        if (res == DEC_OK && (in.row->attr & A_NOTEST || (in.row->map == VX3 && in.row->modes == I64) /* see oracle_cases.c */ || !native_has(in.row->feat)))
            continue;
        hi_state_init(&k->in);
        k->in.rip = o->pc;
        k->len = 16;
        k->rep = false;
        if (host_insn_run(o->host, 1) != 1)
            continue;
        compared++;
        bool ud = res == DEC_UD || !strcmp(in.row->rule_name, "ud");
        if ((k->vector == EXC_UD) == ud)
            continue;
        GString *s = g_string_new(NULL);
        for (unsigned j = 0; j < 15; j++)
            g_string_append_printf(s, " %02x", k->code[j]);
        g_test_message("%s:%s: host exception %d", res == DEC_OK ? in.row->mnem : "undefined", s->str, k->vector);
        g_string_free(s, TRUE);
        g_test_fail();
    }
    g_test_message("%u strings compared", compared);
}
