/* Instruction selection of the x64 backend: carried SSE, AVX, AVX-512, MMX and x87 instructions, which run on the host's units as they are. Translating
 * thread; called by isel.c's walk. See cpu/help/carry.h for the rules. */
#include "accel/dbt/x64/jit.h"
#include "cpu/help/carry.h"

/* A state that is loaded only where it is used has to be in the host's registers; known after the first check of a block until something may have
 * taken it out: x87 state some helpers, zmm16-31 and k0-7 everything that calls C, slow probes included. */
static void state_want(struct jit *j, bool *known, struct rm field, enum ool_kind kind)
{
    if (*known)
        return;
    *known = true;
    ra_claim(&j->ra, RCX);
    enc_load(&j->e, 4, RCX, field);
    u8 *absent = enc_jrcxz(&j->e);
    u8 *live = enc_jmp8(&j->e);
    enc_bind8(&j->e, absent);
    struct ool *s = ool_new(j, kind, enc_jmp(&j->e));
    s->live = (u8)ra_live_regs(&j->ra);
    s->back = j->e.p;
    enc_bind8(&j->e, live);
    ra_drop(&j->ra, RCX);
}

static void state_load(struct jit *j, const struct ool *s, const u8 *load)
{
    ool_keep(j, s->live, true);
    enc_call_to(&j->e, load);
    ool_keep(j, s->live, false);
    enc_jmp_to(&j->e, s->back);
}

void ool_x87(struct jit *j, const struct ool *s) { state_load(j, s, x64_common.x87_load); }

void ool_zmm(struct jit *j, const struct ool *s)
{
    enc_call_to(&j->e, x64_common.zmm_begin);
    enc_jmp_to(&j->e, s->back);
}

/* May destroy rax. */
void x87_store_pointers(struct jit *j, unsigned x87_insn, u16 fop)
{
    u64 pc = j->b->insn[x87_insn - 1].pc;
    if (!j->b->rel && fits32((i64)pc)) {
        enc_mov_mi(&j->e, 8, CPU_RM(x87_fip), (u32)pc);
        jit_moves(j, RELOC_PC, pc);
    } else {
        jit_load_pc(j, RAX, pc, 8);
        enc_store(&j->e, 8, CPU_RM(x87_fip), RAX);
    }
    enc_mov_mi(&j->e, 2, CPU_RM(x87_fop), fop);
}

void x87_flush(struct jit *j)
{
    if (!j->x87_insn)
        return;
    ra_claim(&j->ra, RAX);
    x87_store_pointers(j, j->x87_insn, j->x87_fop);
    ra_drop(&j->ra, RAX);
    j->x87_insn = 0;
}

/* Brings the instruction's fixed registers in. */
static void implicit_in(struct jit *j, const struct carry *k)
{
    unsigned size = k->w ? 8 : 4;
    if (k->implicit & (CI_R_AX | CI_W_AX))
        ra_claim(&j->ra, RAX);
    if (k->implicit & CI_R_DX)
        ra_claim(&j->ra, RDX);
    if (k->implicit & CI_W_CX)
        ra_claim(&j->ra, RCX);
    if (k->implicit & CI_R_AX)
        enc_mov_rr(&j->e, size, RAX, (unsigned)x64_pin[R_AX]);
    if (k->implicit & CI_R_DX)
        enc_mov_rr(&j->e, size, RDX, (unsigned)x64_pin[R_DX]);
}

static void implicit_out(struct jit *j, const struct carry *k)
{
    if (k->implicit & CI_W_CX)
        enc_mov_rr(&j->e, 4, (unsigned)x64_pin[R_CX], RCX);
    if (k->implicit & CI_W_AX)
        enc_mov_rr(&j->e, 2, (unsigned)x64_pin[R_AX], RAX);
}

static void carry_emit(struct jit *j, const struct carry *k, const struct carry_place *p)
{
    j->e.p += carry_encode(j->e.p, k, p);
}

static void place_memory(struct jit *j, const struct ir_op *o, struct carry_place *p)
{
    struct rm m = ra_ptr(&j->ra, o->ptr_off);
    p->base = m.base;
    p->index = m.index;
    p->disp = m.disp;
}

void isel_vec(struct jit *j, const struct ir_op *o)
{
    const struct carry *k = &j->b->carry[o->imm];
    struct carry_place p = { -1, -1, -1, 0 };
    int gpr = k->reg_class == CC_GPR ? k->reg : k->rm_class == CC_GPR ? k->rm : -1;
    bool written = k->reg_class == CC_GPR ? k->reg_gpr_w : k->rm_gpr_w;
    if (k->x87 && !j->x87_known_live) {
        state_want(j, &j->x87_known_live, CPU_RM(x87_live), OOL_X87);
        j->zmm_known_here = false;
    }
    if (k->zmm)
        state_want(j, &j->zmm_known_here, CPU_RM(zmm_here), OOL_ZMM);
    if (k->implicit && k->rm_class == CC_MEM)
        ra_ptr_single(&j->ra); /* three of the four scratch registers are spoken for */
    implicit_in(j, k);
    if (k->rm_class == CC_MEM)
        place_memory(j, o, &p);
    if (gpr >= 0) {
        p.gpr = x64_pin[gpr];
        if (p.gpr < 0) {
            p.gpr = (int)ra_take(&j->ra, RA_ALL);
            if (!written)
                enc_load(&j->e, 8, (unsigned)p.gpr, gpr_rm((unsigned)gpr));
        }
    }
    carry_emit(j, k, &p);
    if (gpr >= 0 && written && x64_pin[gpr] < 0)
        enc_store(&j->e, 8, gpr_rm((unsigned)gpr), (unsigned)p.gpr);
    implicit_out(j, k);
    if (k->enc == 2 && !k->x87_is_ctl) {
        j->x87_insn = j->insn + 1;
        j->x87_fop = k->fop;
    }
}
