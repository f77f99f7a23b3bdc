/* IR generators for system instructions, segment registers, input and output: mostly helper calls. Translating thread; called by
 * lift.c through the instruction table, after the privilege check of A_PRIV rows. A helper that may change the mode or the
 * translation of addresses ends the block. Source: SDM vol. 2, vol. 3A. */
#include "cpu/lift/rules.h"

static void call0(struct lift *l, enum help_id id) { lift_help(l, id, ir_none(), lift_no_arg(), lift_no_arg(), lift_no_arg()); }
static void call1(struct lift *l, enum help_id id, struct lift_arg a) { lift_help(l, id, ir_none(), a, lift_no_arg(), lift_no_arg()); }
static void call0_exit(struct lift *l, enum help_id id)
{
    call0(l, id);
    lift_end_exit(l);
}

/* First operand = TMP. */
static void store(struct lift *l, const struct insn *in, struct ir_val t)
{
    lift_set(l, in->op[0].size, lift_rm(l, in, 0), t);
}

/* TMP = help_id(a), stored to the first operand. */
static void store_result(struct lift *l, const struct insn *in, enum help_id id, struct lift_arg a, struct lift_arg b)
{
    struct ir_val t = lift_tmp(l);
    lift_help(l, id, t, a, b, lift_no_arg());
    store(l, in, t);
}

/* The low `size` bytes of operand i, zero-extended in a TMP. */
static struct ir_val value(struct lift *l, const struct insn *in, unsigned i)
{
    struct ir_val v = lift_load(l, in, i);
    if (v.kind == K_TMP || in->op[i].size == 8)
        return v;
    struct ir_val t = lift_tmp(l);
    lift_set_zx(l, 4, t, in->op[i].size, v);
    return t;
}

/* --- segment registers --- */
static struct ir_val selector(struct lift *l, unsigned seg)
{
    struct ir_val t = lift_tmp(l);
    struct ir_op *op = lift_op(l, IR_LDC, 2);
    op->d = t;
    op->imm = offsetof(struct cpu, seg) + seg * sizeof(struct seg_reg) + offsetof(struct seg_reg, sel);
    return t;
}

static void load_seg(struct lift *l, unsigned seg, struct ir_val sel)
{
    lift_help(l, HELP_load_seg, ir_none(), lift_imm_arg(seg), lift_arg(sel), lift_no_arg());
}

void lift_push_seg(struct lift *l, const struct insn *in) { lift_push_val(l, in->osize, selector(l, in->op[0].reg)); }
void lift_mov_from_seg(struct lift *l, const struct insn *in) { store(l, in, selector(l, in->op[1].reg)); }

void lift_pop_seg(struct lift *l, const struct insn *in)
{
    struct ir_val t = lift_pop_peek(l, in->osize);
    lift_set_zx(l, 4, t, 2, t);
    load_seg(l, in->op[0].reg, t);
    lift_sp_add(l, in->osize);
    lift_end_exit(l);
}

void lift_mov_to_seg(struct lift *l, const struct insn *in)
{
    load_seg(l, in->op[0].reg, value(l, in, 1));
    lift_end_exit(l);
}

/* LES, LDS, LSS, LFS, LGS. */
void lift_lxs(struct lift *l, const struct insn *in)
{
    unsigned seg = in->opcode == 0xc4 ? S_ES : in->opcode == 0xc5 ? S_DS : in->opcode == 0xb2 ? S_SS : in->opcode == 0xb4 ? S_FS : S_GS;
    struct ir_val off = lift_tmp(l), sel = lift_tmp(l);
    lift_probe(l, in, in->op[1].size, ACC_READ);
    lift_set_zx(l, MAX_OF(in->osize, 4), off, in->osize, ir_ptr());
    lift_set_zx(l, 4, sel, 2, ir_ptr());
    l->b->op[l->b->n_ops - 1].ptr_off = in->osize;
    load_seg(l, seg, sel);
    lift_set(l, in->osize, lift_val(&in->op[0]), off);
    lift_end_exit(l);
}

/* A destination in memory is written, and must be writable, only if it changes: a helper's matter. */
void lift_arpl(struct lift *l, const struct insn *in)
{
    struct ir_val t = lift_tmp(l), s = lift_tmp(l);
    lift_set_zx(l, 4, s, 2, lift_val(&in->op[1]));
    if (lift_is_mem(&in->op[0])) {
        struct ir_val ea = lift_ea(l, in);
        lift_help(l, HELP_arpl_mem, ir_none(), lift_imm_arg(in->mem.seg | in->mem.asize << 8), lift_arg(ea), lift_arg(s));
        return;
    }
    lift_set_zx(l, 4, t, 2, lift_val(&in->op[0]));
    lift_help(l, HELP_arpl, t, lift_arg(t), lift_arg(s), lift_no_arg());
    store(l, in, t);
}

void lift_sldt(struct lift *l, const struct insn *in) { store_result(l, in, HELP_sldt, lift_no_arg(), lift_no_arg()); }
void lift_str(struct lift *l, const struct insn *in) { store_result(l, in, HELP_str, lift_no_arg(), lift_no_arg()); }
void lift_lldt(struct lift *l, const struct insn *in) { call1(l, HELP_lldt, lift_arg(value(l, in, 0))); }
void lift_ltr(struct lift *l, const struct insn *in) { call1(l, HELP_ltr, lift_arg(value(l, in, 0))); }
void lift_verr(struct lift *l, const struct insn *in) { call1(l, HELP_verr, lift_arg(value(l, in, 0))); }
void lift_verw(struct lift *l, const struct insn *in) { call1(l, HELP_verw, lift_arg(value(l, in, 0))); }

/* LAR, LSL: the helper returns the old value, all 64 bits of it, where the selector does not qualify. */
static void descriptor_query(struct lift *l, const struct insn *in, enum help_id id)
{
    struct ir_val sel = value(l, in, 1), t = lift_tmp(l), d = lift_val(&in->op[0]);
    lift_help(l, id, t, lift_arg(sel), lift_arg(d), lift_no_arg());
    lift_set(l, in->osize == 2 ? 2 : 8, d, t);
}
void lift_lar(struct lift *l, const struct insn *in) { descriptor_query(l, in, HELP_lar); }
void lift_lsl(struct lift *l, const struct insn *in) { descriptor_query(l, in, HELP_lsl); }

/* --- descriptor tables, control and debug registers --- */
static void table_op(struct lift *l, const struct insn *in, enum help_id id, unsigned acc)
{
    struct ir_val lin = lift_lin(l, in, in->op[0].size, acc);
    lift_help(l, id, ir_none(), lift_arg(lin), lift_imm_arg(in->bits == 64 ? 8 : in->osize), lift_no_arg());
}
void lift_sgdt(struct lift *l, const struct insn *in) { table_op(l, in, HELP_sgdt, ACC_WRITE); }
void lift_sidt(struct lift *l, const struct insn *in) { table_op(l, in, HELP_sidt, ACC_WRITE); }
void lift_lgdt(struct lift *l, const struct insn *in) { table_op(l, in, HELP_lgdt, ACC_READ); }
void lift_lidt(struct lift *l, const struct insn *in) { table_op(l, in, HELP_lidt, ACC_READ); }

void lift_smsw(struct lift *l, const struct insn *in) { store_result(l, in, HELP_smsw, lift_no_arg(), lift_no_arg()); }
void lift_lmsw(struct lift *l, const struct insn *in)
{
    call1(l, HELP_lmsw, lift_arg(value(l, in, 0)));
    lift_end_exit(l);
}
void lift_clts(struct lift *l, const struct insn *in) { call0_exit(l, HELP_clts); }

void lift_invlpg(struct lift *l, const struct insn *in)
{
    call1(l, HELP_invlpg, lift_arg(lift_lin(l, in, 1, ACC_READ)));
    lift_end_exit(l);
}

void lift_invpcid(struct lift *l, const struct insn *in)
{
    struct ir_val type = value(l, in, 0), lin = lift_lin(l, in, 16, ACC_READ);
    lift_help(l, HELP_invpcid, ir_none(), lift_arg(type), lift_arg(lin), lift_no_arg());
    lift_end_exit(l);
}

static void mov_to(struct lift *l, const struct insn *in, enum help_id id)
{
    lift_help(l, id, ir_none(), lift_imm_arg(in->op[0].reg), lift_arg(value(l, in, 1)), lift_no_arg());
    lift_end_exit(l);
}
void lift_mov_to_cr(struct lift *l, const struct insn *in) { mov_to(l, in, HELP_mov_to_cr); }
void lift_mov_to_dr(struct lift *l, const struct insn *in) { mov_to(l, in, HELP_mov_to_dr); }
void lift_mov_from_cr(struct lift *l, const struct insn *in) { store_result(l, in, HELP_mov_from_cr, lift_imm_arg(in->op[1].reg), lift_no_arg()); }
void lift_mov_from_dr(struct lift *l, const struct insn *in) { store_result(l, in, HELP_mov_from_dr, lift_imm_arg(in->op[1].reg), lift_no_arg()); }

/* --- system calls, halting: the helper sets rip --- */
static void leave(struct lift *l, enum help_id id, struct lift_arg arg)
{
    call1(l, id, arg);
    lift_end_helper(l);
}
void lift_syscall(struct lift *l, const struct insn *in) { leave(l, HELP_syscall, lift_pc_arg(l->next_pc)); }
void lift_sysret(struct lift *l, const struct insn *in) { leave(l, HELP_sysret, lift_imm_arg(in->osize)); }
void lift_sysexit(struct lift *l, const struct insn *in) { leave(l, HELP_sysexit, lift_imm_arg(in->osize)); }
void lift_hlt(struct lift *l, const struct insn *in) { leave(l, HELP_hlt, lift_pc_arg(l->next_pc)); }
void lift_sysenter(struct lift *l, const struct insn *in)
{
    call0(l, HELP_sysenter);
    lift_end_helper(l);
}

/* MONITOR and MWAIT are undefined, not privileged, outside CPL 0. */
void lift_monitor(struct lift *l, const struct insn *in)
{
    if (mode_cpl(l->mode) > 0) {
        lift_raise(l, EXC_UD);
        return;
    }
    call1(l, HELP_monitor, lift_arg(lift_lin_at(l, in->mem.seg, ir_gpr(R_AX), in->asize, 1, ACC_READ)));
}
void lift_mwait(struct lift *l, const struct insn *in)
{
    if (mode_cpl(l->mode) > 0)
        lift_raise(l, EXC_UD);
    else
        leave(l, HELP_mwait, lift_pc_arg(l->next_pc));
}

/* --- input and output --- */
static struct lift_arg port(struct lift *l, const struct insn *in, unsigned i)
{
    return in->op[i].kind == OK_IMM ? lift_imm_arg(in->imm) : lift_arg(value(l, in, i));
}
void lift_in(struct lift *l, const struct insn *in)
{
    store_result(l, in, HELP_in, port(l, in, 1), lift_imm_arg(in->op[0].size));
}
void lift_out(struct lift *l, const struct insn *in)
{
    struct lift_arg to = port(l, in, 0);
    lift_help(l, HELP_out, ir_none(), to, lift_arg(value(l, in, 1)), lift_imm_arg(in->op[1].size));
    lift_end_exit(l);
}

/* --- MSRs, counters, identification, random numbers --- */
void lift_rdmsr(struct lift *l, const struct insn *in) { call0(l, HELP_rdmsr); }
void lift_wrmsr(struct lift *l, const struct insn *in) { call0_exit(l, HELP_wrmsr); }
void lift_rdtsc(struct lift *l, const struct insn *in) { call0(l, HELP_rdtsc); }
void lift_rdtscp(struct lift *l, const struct insn *in) { call0(l, HELP_rdtscp); }
void lift_rdpmc(struct lift *l, const struct insn *in) { call0(l, HELP_rdpmc); }
void lift_cpuid(struct lift *l, const struct insn *in) { call0(l, HELP_cpuid); }
void lift_rdpid(struct lift *l, const struct insn *in) { store_result(l, in, HELP_rdpid, lift_no_arg(), lift_no_arg()); }
void lift_rdrand(struct lift *l, const struct insn *in) { store_result(l, in, HELP_rdrand, lift_imm_arg(in->osize), lift_imm_arg(0)); }
void lift_rdseed(struct lift *l, const struct insn *in) { store_result(l, in, HELP_rdrand, lift_imm_arg(in->osize), lift_imm_arg(1)); }

/* --- FS and GS base, SMAP, protection keys, extended control registers, hypercalls --- */
void lift_rdfsgs(struct lift *l, const struct insn *in) { store_result(l, in, HELP_rdfsgs, lift_imm_arg(in->reg & 1), lift_no_arg()); }
void lift_wrfsgs(struct lift *l, const struct insn *in)
{
    lift_help(l, HELP_wrfsgs, ir_none(), lift_imm_arg(in->reg & 1), lift_arg(value(l, in, 0)), lift_no_arg());
}
void lift_swapgs(struct lift *l, const struct insn *in) { call0(l, HELP_swapgs); }
void lift_clac(struct lift *l, const struct insn *in) { call0_exit(l, HELP_clac); }
void lift_stac(struct lift *l, const struct insn *in) { call0_exit(l, HELP_stac); }
void lift_rdpkru(struct lift *l, const struct insn *in) { call0(l, HELP_rdpkru); }
void lift_wrpkru(struct lift *l, const struct insn *in) { call0_exit(l, HELP_wrpkru); }
void lift_xgetbv(struct lift *l, const struct insn *in) { call0(l, HELP_xgetbv); }
void lift_xsetbv(struct lift *l, const struct insn *in) { call0_exit(l, HELP_xsetbv); }
void lift_vmcall(struct lift *l, const struct insn *in) { call0(l, HELP_vmcall); }

/* --- caches --- */
void lift_wbinvd(struct lift *l, const struct insn *in) { call0(l, HELP_wbinvd); }
/* The line need only be readable. */
void lift_clflush(struct lift *l, const struct insn *in) { lift_probe(l, in, 1, ACC_READ); }

/* --- saving and restoring of extended state: the helpers know sizes and layouts --- */
static void state_op(struct lift *l, const struct insn *in, enum help_id id, unsigned acc, u64 kind)
{
    struct ir_val lin = lift_lin(l, in, 512, acc);
    lift_help(l, id, ir_none(), lift_arg(lin), lift_imm_arg(in->osize), help_table[id].nargs > 2 ? lift_imm_arg(kind) : lift_no_arg());
}
void lift_fxsave(struct lift *l, const struct insn *in) { state_op(l, in, HELP_fxsave, ACC_WRITE, 0); }
void lift_fxrstor(struct lift *l, const struct insn *in) { state_op(l, in, HELP_fxrstor, ACC_READ, 0); }
void lift_xsave(struct lift *l, const struct insn *in) { state_op(l, in, HELP_xsave, ACC_WRITE, 0); }
void lift_xsavec(struct lift *l, const struct insn *in) { state_op(l, in, HELP_xsave, ACC_WRITE, 1); }
void lift_xsaveopt(struct lift *l, const struct insn *in) { state_op(l, in, HELP_xsave, ACC_WRITE, 2); }
void lift_xsaves(struct lift *l, const struct insn *in) { state_op(l, in, HELP_xsave, ACC_WRITE, 3); }
void lift_xrstor(struct lift *l, const struct insn *in) { state_op(l, in, HELP_xrstor, ACC_READ, 0); }
void lift_xrstors(struct lift *l, const struct insn *in) { state_op(l, in, HELP_xrstor, ACC_READ, 3); }
