/* -accel dbt,verify=on: every block that has no helper calls is first executed by the interpreter, its memory writes are taken back, then the
 * emitted code runs and both results are compared. The vCPU's thread; called by run.c in place of entering the block. One vCPU only: another
 * one's stores would look like differences. */
#include "accel/dbt/verify.h"
#include <stdio.h>
#include <stdlib.h>
#include "cpu/help/x87.h"
#include "cpu/ir/interp.h"
#include "cpu/lift/lift.h"
#include "disas/disas.h"

/* What a block without helper calls can change. */
struct verify_state {
    u64 gpr[16], rip;
    u32 flags, mxcsr;
    u8 iflag, dflag;
    u8 vreg[32][64];
    u64 kreg[8];
    u32 zmm_live;
    u8 fx[160]; /* FXSAVE image up to the last ST register */
};

struct verify {
    struct ir_block *block;
    struct mem_journal journal;
    struct verify_state before, expect, got;
    jmp_buf jb;
    bool pending;        /* expect is to be compared with what emitted code leaves */
    int fault, got_fault; /* vector, -1 none */
    u32 undefined;       /* flags that nothing says about */
    u64 done, skipped;
};

static void state_get(struct cpu *c, struct verify_state *s)
{
    x87_sync(c);
    memcpy(s->gpr, c->gpr, sizeof(s->gpr));
    s->rip = c->rip;
    s->flags = cpu_arith(c);
    s->mxcsr = c->mxcsr;
    s->iflag = c->iflag;
    s->dflag = c->dflag;
    memcpy(s->vreg, c->vreg, sizeof(s->vreg));
    memcpy(s->kreg, c->kreg, sizeof(s->kreg));
    s->zmm_live = c->zmm_live;
    memcpy(s->fx, c->fx, sizeof(s->fx));
}

static void state_put(struct cpu *c, const struct verify_state *s)
{
    x87_sync(c);
    memcpy(c->gpr, s->gpr, sizeof(s->gpr));
    c->rip = s->rip;
    cpu_set_arith(c, s->flags);
    c->mxcsr = s->mxcsr;
    c->iflag = s->iflag;
    c->dflag = s->dflag;
    memcpy(c->vreg, s->vreg, sizeof(s->vreg));
    memcpy(c->kreg, s->kreg, sizeof(s->kreg));
    c->zmm_live = s->zmm_live;
    memcpy(c->fx, s->fx, sizeof(s->fx));
}

struct verify *verify_new(void)
{
    struct verify *v = calloc(1, sizeof(*v));
    if (v)
        v->block = calloc(1, sizeof(*v->block));
    return v;
}

void verify_free(struct verify *v)
{
    if (v)
        free(v->block);
    free(v);
}

/* True if the block's effects are registers and RAM only. */
static bool verifiable(const struct ir_block *b)
{
    for (unsigned i = 0; i < b->n_ops; i++)
        if (b->op[i].code == IR_CALL || (b->op[i].code == IR_STC && b->op[i].imm >= offsetof(struct cpu, seg) && b->op[i].imm != offsetof(struct cpu, call_undo)))
            return false;
    return true;
}

static u32 undefined_flags(const struct ir_block *b)
{
    u32 u = 0;
    for (unsigned i = 0; i < b->n_insns; i++) {
        const struct insn_row *r = b->insn[i].row;
        if (r)
            u = (u & ~r->fl_write) | r->fl_undef;
    }
    return u;
}

static void give_up(void *opaque) { longjmp(((struct verify *)opaque)->jb, UNW_RESTART); }

void verify_before(struct vcpu *v, struct verify *f, const struct tb *tb)
{
    struct cpu *c = v->c;
    struct dbt_fetch src = { .v = v };
    f->pending = false;
    if (lift_block(f->block, c, c->rip, tb->n_insns, dbt_fetch, &src) < 0 || !verifiable(f->block) || f->block->len != tb->len) {
        f->skipped++;
        return;
    }
    state_get(c, &f->before);
    f->undefined = undefined_flags(f->block);
    f->fault = -1;
    f->journal.n = 0;
    f->journal.device = give_up;
    f->journal.opaque = f;
    void *jmp = c->fault_jmp;
    u64 cr2 = c->cr2, fills = c->tlb.stat_fills;
    c->fault_jmp = &f->jb;
    cpu_mem(c)->journal = &f->journal;
    int why = _setjmp(f->jb);
    if (!why)
        ir_interp(c, f->block);
    cpu_mem(c)->journal = NULL;
    c->fault_jmp = jmp;
    if (why == UNW_FAULT)
        f->fault = c->fault.vector;
    f->pending = !why || why == UNW_FAULT;
    state_get(c, &f->expect);
    mem_journal_undo(&f->journal);
    state_put(c, &f->before);
    c->cr2 = cr2;
    if (c->tlb.stat_fills != fills) /* emitted code has to meet the page tables that it changes, too */
        tlb_flush(&c->tlb, true);
    f->skipped += !f->pending;
}

static void report_line(const char *name, u64 expect, u64 got)
{
    if (expect != got)
        fprintf(stderr, "  %-6s interpreter %016llx  emitted code %016llx\n", name, (unsigned long long)expect, (unsigned long long)got);
}

static void report(struct vcpu *v, const struct verify *f)
{
    static const char *const gpr[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    const struct ir_block *b = f->block;
    fprintf(stderr, "gemel: verify: the engines differ in the block at %llx (mode %x)\n", (unsigned long long)b->pc, b->mode);
    GString *s = g_string_new(NULL);
    ir_print(b, s);
    fputs(s->str, stderr);
    g_string_free(s, TRUE);
    for (unsigned i = 0; i < 16; i++)
        report_line(gpr[i], f->expect.gpr[i], f->got.gpr[i]);
    report_line("rip", f->expect.rip, f->got.rip);
    report_line("flags", f->expect.flags, f->got.flags);
    report_line("mxcsr", f->expect.mxcsr, f->got.mxcsr);
    report_line("fault", (u64)(i64)f->fault, (u64)(i64)f->got_fault);
    for (unsigned i = 0; i < ARRAY_LEN(f->got.kreg); i++)
        report_line("kreg", f->expect.kreg[i], f->got.kreg[i]);
    for (unsigned i = 0; i < ARRAY_LEN(f->got.vreg); i++)
        if (memcmp(f->expect.vreg[i], f->got.vreg[i], sizeof(f->got.vreg[i])))
            fprintf(stderr, "  zmm%u differs\n", i);
    if (memcmp(f->expect.fx, f->got.fx, sizeof(f->got.fx)))
        fprintf(stderr, "  x87 state differs\n");
    for (unsigned i = 0; i < f->journal.n; i++)
        if (memcmp(f->journal.e[i].new, f->journal.e[i].host, f->journal.e[i].size))
            fprintf(stderr, "  memory differs (write %u of %u, %u bytes)\n", i + 1, f->journal.n, f->journal.e[i].size);
    vm_request(v->vm->m, REQ_EXIT, 1);
}

/* FIP, FDP and FOP are only stored by the emitted code where somebody can see them. */
static bool fx_same(const u8 *x, const u8 *y) { return !memcmp(x, y, 6) && !memcmp(x + 32, y + 32, 128); }

void verify_after(struct vcpu *v, struct verify *f, int fault)
{
    if (!f->pending)
        return;
    f->pending = false;
    f->got_fault = fault;
    state_get(v->c, &f->got);
    u32 mask = ~f->undefined;
    bool same = !memcmp(f->expect.gpr, f->got.gpr, sizeof(f->got.gpr)) && f->expect.rip == f->got.rip && f->fault == fault &&
                (f->expect.flags & mask) == (f->got.flags & mask) && f->expect.mxcsr == f->got.mxcsr &&
                f->expect.iflag == f->got.iflag && f->expect.dflag == f->got.dflag &&
                !memcmp(f->expect.vreg, f->got.vreg, sizeof(f->got.vreg)) &&
                !memcmp(f->expect.kreg, f->got.kreg, sizeof(f->got.kreg)) && fx_same(f->expect.fx, f->got.fx);
    for (unsigned i = 0; i < f->journal.n && same; i++)
        same = !mem_journal_last(&f->journal, i) || !memcmp(f->journal.e[i].new, f->journal.e[i].host, f->journal.e[i].size);
    f->done++;
    if (!same)
        report(v, f);
}

void verify_cancel(struct verify *f) { f->pending = false; }

void verify_info(const struct verify *f, GString *out)
{
    g_string_append_printf(out, "verified        %llu blocks run (%llu skipped)\n", (unsigned long long)f->done, (unsigned long long)f->skipped);
}
