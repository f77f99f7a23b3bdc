/* IR rules of x87: one X87 op that carries the instruction; the environment instructions are helpers. Translating thread.
 * Source: SDM vol. 1 chapter 8, vol. 2. */
#include "cpu/lift/carried.h"

static struct carry *x87_carry(struct lift *l, const struct insn *in, bool control)
{
    struct carry *k = carry_new(l);
    k->enc = 2;
    k->op = in->opcode;
    k->modrm = in->modrm;
    k->fl_read = in->row->fl_read;
    k->fl_write = in->row->fl_write;
    k->x87 = true;
    k->x87_is_ctl = control;
    k->fop = (u16)((in->opcode & 7) << 8 | in->modrm);
    if (in->mod != 3 && in->has_modrm) {
        k->rm_class = CC_MEM;
        k->mem_size = (u8)in->op[0].size;
        k->mem_align = 1;
    }
    return k;
}

static bool x87_bad(struct lift *l)
{
    return lift_fpu_bad(l, MODE_FPU_NM, FPU_CHECK_X87);
}

void lift_x87(struct lift *l, const struct insn *in)
{
    if (x87_bad(l)) {
        return;
    }
    struct carry *k = x87_carry(l, in, false);
    carry_finish(l, IR_X87, k, in);
    if (k->rm_class == CC_MEM) { /* after the op: one that raises #MF keeps the pointer of the instruction to blame */
        struct ir_op *st;
        struct ir_val ea = lift_ea(l, in);
        st = lift_op(l, IR_STC, 8);
        st->a = ea;
        st->imm = offsetof(struct cpu, x87_fdp);
    }
}

void lift_x87_ctl(struct lift *l, const struct insn *in)
{
    if (x87_bad(l)) {
        return;
    }
    struct carry *k = x87_carry(l, in, true);
    if (in->opcode == 0xdf && in->modrm == 0xe0) { /* FNSTSW AX */
        k->implicit = CI_W_AX;
    }
    carry_finish(l, IR_X87, k, in);
}

void lift_fninit(struct lift *l, const struct insn *in)
{
    if (x87_bad(l)) {
        return;
    }
    carry_finish(l, IR_X87, x87_carry(l, in, true), in);
    static const struct { u16 offset; u8 size; } pointers[] = {
        { offsetof(struct cpu, x87_fip), 8 }, { offsetof(struct cpu, x87_fdp), 8 }, { offsetof(struct cpu, x87_fop), 2 },
    };
    struct ir_val zero = lift_const(l, 0);
    for (unsigned i = 0; i < ARRAY_LEN(pointers); i++) {
        struct ir_op *st = lift_op(l, IR_STC, pointers[i].size);
        st->a = zero;
        st->imm = pointers[i].offset;
    }
}

void lift_fwait(struct lift *l, const struct insn *in)
{
    if (l->mode & MODE_FPU_NM) { /* raises only with CR0.TS and CR0.MP */
        lift_help(l, HELP_fpu_check, ir_none(), lift_imm_arg(FPU_CHECK_FWAIT), lift_no_arg(), lift_no_arg());
    }
    struct carry *k = x87_carry(l, in, true);
    k->no_modrm = true;
    carry_finish(l, IR_X87, k, in);
}

/* kind: first argument of the helper x87_env. */
static void env(struct lift *l, const struct insn *in, unsigned kind)
{
    if (x87_bad(l)) {
        return;
    }
    struct ir_val addr = lift_lin(l, in, in->op[0].size, in->op[0].wr ? ACC_WRITE : ACC_READ);
    lift_help(l, HELP_x87_env, ir_none(), lift_imm_arg(kind), lift_arg(addr), lift_imm_arg(in->osize == 2 ? 2 : 4));
}

void lift_fldenv(struct lift *l, const struct insn *in)
{
    env(l, in, 0);
}

void lift_fnstenv(struct lift *l, const struct insn *in)
{
    env(l, in, 1);
}

void lift_frstor(struct lift *l, const struct insn *in)
{
    env(l, in, 2);
}

void lift_fnsave(struct lift *l, const struct insn *in)
{
    env(l, in, 3);
}
