/* IR generators that read or write flags as such: conditions, LAHF, CLC, CLD, PUSHF ... Translating thread; called by lift.c through
 * the instruction table. The arithmetic flags stay where they are (cpu/ir/ir.h); only helpers see the image in struct cpu. */
#include "cpu/lift/rules.h"

void lift_setcc(struct lift *l, const struct insn *in)
{
    struct ir_val d = lift_rm(l, in, 0);
    struct ir_op *op = lift_op(l, IR_SETCC, 1);
    op->cc = in->opcode & 15;
    op->d = d;
}

void lift_cmov(struct lift *l, const struct insn *in)
{
    struct ir_val a = lift_rm(l, in, 1);
    struct ir_op *op = lift_op(l, IR_CMOV, in->op[0].size);
    op->cc = in->opcode & 15;
    op->d = lift_val(&in->op[0]);
    op->a = a;
}

static void flag_op(struct lift *l, enum ir_code code) { lift_op(l, code, 1)->fl = ir_flag_effect(code) & 1; }
void lift_lahf(struct lift *l, const struct insn *in) { flag_op(l, IR_LAHF); }
void lift_sahf(struct lift *l, const struct insn *in) { flag_op(l, IR_SAHF); }
void lift_clc(struct lift *l, const struct insn *in) { flag_op(l, IR_CLC); }
void lift_stc(struct lift *l, const struct insn *in) { flag_op(l, IR_STCF); }
void lift_cmc(struct lift *l, const struct insn *in) { flag_op(l, IR_CMC); }

/* AL = CF ? FF : 0 */
void lift_salc(struct lift *l, const struct insn *in)
{
    struct ir_val t = lift_const(l, 0), ones = lift_const(l, 0xff);
    struct ir_op *op = lift_op(l, IR_CMOV, 4);
    op->cc = 2;
    op->d = t;
    op->a = ones;
    lift_set(l, 1, ir_gpr(R_AX), t);
}

static void cpu_byte_set(struct lift *l, size_t offset, u64 val)
{
    struct ir_op *op = lift_op(l, IR_STC, 1);
    op->a = ir_immv();
    op->imm = offset;
    op->imm2 = val;
}
void lift_cld(struct lift *l, const struct insn *in) { cpu_byte_set(l, offsetof(struct cpu, dflag), 0); }
void lift_std(struct lift *l, const struct insn *in) { cpu_byte_set(l, offsetof(struct cpu, dflag), 1); }

void lift_cli(struct lift *l, const struct insn *in)
{
    if (l->mode & MODE_IOPL_OK)
        cpu_byte_set(l, offsetof(struct cpu, iflag), 0);
    else
        lift_help(l, HELP_cli, ir_none(), lift_no_arg(), lift_no_arg(), lift_no_arg());
}

void lift_sti(struct lift *l, const struct insn *in)
{
    lift_help(l, HELP_sti, ir_none(), lift_no_arg(), lift_no_arg(), lift_no_arg());
    lift_end_exit(l);
}

void lift_pushf(struct lift *l, const struct insn *in)
{
    struct ir_val t = lift_tmp(l);
    lift_help(l, HELP_pushf_val, t, lift_imm_arg(in->osize), lift_no_arg(), lift_no_arg());
    lift_push_val(l, in->osize, t);
}

void lift_popf(struct lift *l, const struct insn *in)
{
    struct ir_val t = lift_pop_peek(l, in->osize);
    lift_help(l, HELP_popf, ir_none(), lift_arg(t), lift_imm_arg(in->osize), lift_no_arg());
    lift_sp_add(l, in->osize);
    lift_end_exit(l);
}
