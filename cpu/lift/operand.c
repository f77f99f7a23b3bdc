/* Operand plumbing of the IR generators: temporaries, addresses, probes, the stack, block ends. Translating thread; called by
 * the rules of cpu/lift/. Segment rules: SDM vol. 3A section 5.3. */
#include "cpu/lift/rules.h"

/* --- temporaries and single ops --- */
struct ir_val lift_tmp(struct lift *l)
{
    assert(l->ntmp < IR_TMP_MAX);
    return ir_tmp(l->ntmp++);
}

void lift_set(struct lift *l, unsigned size, struct ir_val d, struct ir_val a)
{
    struct ir_op *op = lift_op(l, IR_MOV, size);
    op->d = d;
    op->a = a;
}

static struct ir_op *mov_imm(struct lift *l, unsigned size, struct ir_val d, u64 imm)
{
    struct ir_op *op = lift_op(l, IR_MOV, size);
    op->d = d;
    op->a = ir_immv();
    op->imm = imm;
    return op;
}

void lift_set_imm(struct lift *l, unsigned size, struct ir_val d, u64 imm) { mov_imm(l, size, d, imm); }
void lift_set_pc(struct lift *l, unsigned size, struct ir_val d, u64 pc) { mov_imm(l, size, d, pc)->rel = true; }

void lift_set_zx(struct lift *l, unsigned size, struct ir_val d, unsigned size2, struct ir_val a)
{
    if (size == size2) {
        lift_set(l, size, d, a);
        return;
    }
    struct ir_op *op = lift_op(l, IR_MOVZX, size);
    op->size2 = (u8)size2;
    op->d = d;
    op->a = a;
}

void lift_offset(struct lift *l, unsigned size, struct ir_val d, struct ir_val a, i64 disp)
{
    struct ir_op *op = lift_op(l, IR_LEA, size);
    op->asize = (u8)size;
    op->d = d;
    op->a = a;
    op->imm = (u64)disp;
}

struct ir_val lift_const(struct lift *l, u64 imm)
{
    struct ir_val t = lift_tmp(l);
    lift_set_imm(l, 8, t, imm);
    return t;
}

void lift_help(struct lift *l, enum help_id id, struct ir_val d, struct lift_arg a, struct lift_arg b, struct lift_arg c)
{
    struct lift_arg arg[3] = { a, b, c };
    const struct lift_arg *imm = NULL;
    for (unsigned i = 0; i < 3; i++) {
        if (arg[i].v.kind != K_IMM)
            continue;
        if (imm) {
            arg[i].v = lift_tmp(l);
            mov_imm(l, 8, arg[i].v, arg[i].imm)->rel = arg[i].rel;
        } else {
            imm = &arg[i];
        }
    }
    struct ir_op *op = lift_op(l, IR_CALL, 8);
    op->d = d;
    op->a = arg[0].v;
    op->b = arg[1].v;
    op->c = arg[2].v;
    op->imm = id;
    op->imm2 = imm ? imm->imm : 0;
    op->rel = imm && imm->rel;
    op->ends = help_table[id].effects & HE_ENDS;
}

/* --- addresses --- */
struct addr {
    unsigned seg, scale, asize;
    struct ir_val base, index;
    i64 disp;
    bool rel;
};

static struct addr addr_of(const struct insn *in)
{
    const struct insn_mem *m = &in->mem;
    return (struct addr){ m->seg, m->scale, m->asize, m->base >= 0 ? ir_gpr((unsigned)m->base) : ir_none(),
                          m->index >= 0 ? ir_gpr((unsigned)m->index) : ir_none(), m->disp, in->disp_rel };
}

static struct ir_op *addr_op(struct lift *l, enum ir_code code, unsigned size, const struct addr *a)
{
    struct ir_op *op = lift_op(l, code, size);
    op->a = a->base;
    op->b = a->index;
    op->scale = (u8)a->scale;
    op->asize = (u8)a->asize;
    op->imm = (u64)a->disp;
    op->rel = a->rel;
    return op;
}

/* In 64-bit mode there are no limits; in flat 32-bit mode CS, DS, ES and SS cover everything, but CS is not writable. */
static bool seg_needs_check(const struct lift *l, unsigned seg, unsigned acc)
{
    if (l->bits == 64)
        return false;
    return !(l->mode & MODE_FLAT) || seg == S_FS || seg == S_GS || (seg == S_CS && acc & ACC_WRITE);
}

static struct ir_val offset_of(struct lift *l, const struct addr *a)
{
    struct ir_val t = lift_tmp(l);
    addr_op(l, IR_LEA, MAX_OF(a->asize, 4u), a)->d = t;
    return t;
}

/* TMP = linear address, checked by a helper. */
static struct ir_val checked_linear(struct lift *l, const struct addr *a, unsigned size, unsigned acc)
{
    struct ir_val t = offset_of(l, a);
    u64 packed = a->seg | acc << 8 | MIN_OF(size, 255u) << 16 | a->asize << 24;
    lift_help(l, HELP_segcheck, t, lift_imm_arg(packed), lift_arg(t), lift_no_arg());
    return t;
}

static void probe(struct lift *l, const struct addr *a, unsigned size, unsigned acc)
{
    if (a->seg == S_SS)
        acc |= ACC_STACK;
    struct ir_op *op;
    if (seg_needs_check(l, a->seg, acc)) {
        struct ir_val t = checked_linear(l, a, size, acc);
        op = lift_op(l, IR_PROBE, size);
        op->a = t;
        op->asize = 8;
    } else {
        op = addr_op(l, IR_PROBE, size, a);
        op->seg = (u8)a->seg;
    }
    op->acc = (u8)acc;
}

static struct ir_val linear(struct lift *l, const struct addr *a, unsigned size, unsigned acc)
{
    if (seg_needs_check(l, a->seg, acc))
        return checked_linear(l, a, size, acc);
    struct ir_val t = lift_tmp(l);
    struct ir_op *op = addr_op(l, IR_LIN, 8, a);
    op->seg = (u8)a->seg;
    op->d = t;
    return t;
}

struct ir_val lift_ea(struct lift *l, const struct insn *in)
{
    struct addr a = addr_of(in);
    return offset_of(l, &a);
}

struct ir_val lift_lin(struct lift *l, const struct insn *in, unsigned size, unsigned acc)
{
    struct addr a = addr_of(in);
    return linear(l, &a, size, acc);
}

struct ir_val lift_lin_at(struct lift *l, unsigned seg, struct ir_val base, unsigned asize, unsigned size, unsigned acc)
{
    struct addr a = { .seg = seg, .asize = asize, .base = base };
    return linear(l, &a, size, acc);
}

void lift_probe(struct lift *l, const struct insn *in, unsigned size, unsigned acc)
{
    struct addr a = addr_of(in);
    probe(l, &a, size, acc);
}

void lift_probe_at(struct lift *l, unsigned seg, struct ir_val base, struct ir_val index, unsigned scale, i64 disp, unsigned asize, unsigned size,
                   unsigned acc)
{
    struct addr a = { seg, scale, asize, base, index, disp, false };
    probe(l, &a, size, acc);
}

/* --- operands --- */
struct ir_val lift_val(const struct opnd *o)
{
    switch (o->kind) {
    case OK_GPR: return ir_gpr(o->reg);
    case OK_GPRH: return ir_gprh(o->reg);
    case OK_MEM: case OK_MOFFS: return ir_ptr();
    case OK_IMM: return ir_immv();
    default: return ir_none();
    }
}

struct ir_val lift_rm(struct lift *l, const struct insn *in, unsigned i)
{
    const struct opnd *o = &in->op[i];
    if (lift_is_mem(o))
        lift_probe(l, in, o->size, (o->rd ? ACC_READ : 0) | (o->wr ? ACC_WRITE : 0));
    return lift_val(o);
}

struct ir_val lift_load(struct lift *l, const struct insn *in, unsigned i)
{
    const struct opnd *o = &in->op[i];
    if (!lift_is_mem(o))
        return lift_val(o);
    lift_probe(l, in, o->size, ACC_READ);
    struct ir_val t = lift_tmp(l);
    lift_set_zx(l, MAX_OF(o->size, 4), t, o->size, ir_ptr());
    return t;
}

void lift_src(struct ir_op *op, struct ir_val *slot, const struct insn *in, unsigned i)
{
    *slot = lift_val(&in->op[i]);
    if (slot->kind == K_IMM)
        op->imm = in->imm;
}

/* --- the stack --- */
unsigned lift_stack_size(const struct lift *l) { return l->bits == 64 ? 8 : l->mode & MODE_SS32 ? 4 : 2; }

void lift_sp_add(struct lift *l, i64 n) { lift_offset(l, lift_stack_size(l), ir_gpr(R_SP), ir_gpr(R_SP), n); }

static void push_probe(struct lift *l, unsigned size)
{
    lift_probe_at(l, S_SS, ir_gpr(R_SP), ir_none(), 0, -(i64)size, lift_stack_size(l), size, ACC_WRITE);
}

void lift_push_imm(struct lift *l, unsigned size, u64 imm, bool rel)
{
    push_probe(l, size);
    mov_imm(l, size, ir_ptr(), imm)->rel = rel;
    lift_sp_add(l, -(i64)size);
}

void lift_push_pc(struct lift *l, unsigned size, u64 pc) { lift_push_imm(l, size, pc, true); }

void lift_push_val(struct lift *l, unsigned size, struct ir_val v)
{
    push_probe(l, size);
    lift_set(l, size, ir_ptr(), v);
    lift_sp_add(l, -(i64)size);
}

struct ir_val lift_pop_peek(struct lift *l, unsigned size)
{
    lift_probe_at(l, S_SS, ir_gpr(R_SP), ir_none(), 0, 0, lift_stack_size(l), size, ACC_READ);
    struct ir_val t = lift_tmp(l);
    lift_set_zx(l, MAX_OF(size, 4u), t, size, ir_ptr());
    return t;
}

/* --- block ends --- */
u64 lift_target(const struct lift *l, u64 rip, unsigned osize) { return l->bits == 64 ? rip : zext(rip, osize); }

void lift_end_jmp(struct lift *l, u64 rip)
{
    lift_op(l, IR_JMP, 8)->imm = rip;
    l->end = true;
}

void lift_end_jcc(struct lift *l, unsigned cc, u64 taken, u64 not_taken)
{
    struct ir_op *op = lift_op(l, IR_JCC, 8);
    op->cc = (u8)cc;
    op->imm = taken;
    op->imm2 = not_taken;
    l->end = true;
}

void lift_end_brz(struct lift *l, unsigned size, struct ir_val a, u64 if_zero, u64 if_not)
{
    struct ir_op *op = lift_op(l, IR_BRZ, size);
    op->a = a;
    op->imm = if_zero;
    op->imm2 = if_not;
    l->end = true;
}

void lift_end_jmpr(struct lift *l, struct ir_val a, i64 undo)
{
    struct ir_op *op = lift_op(l, IR_JMPR, 8);
    op->a = a;
    op->imm = (u64)undo;
    l->end = true;
}

void lift_end_exit(struct lift *l)
{
    lift_op(l, IR_EXIT, 8)->imm = l->next_pc;
    l->end = true;
}

void lift_end_helper(struct lift *l)
{
    lift_op(l, IR_EXIT, 8)->aux = 1;
    l->end = true;
}

void lift_raise(struct lift *l, int vector)
{
    lift_help(l, HELP_raise, ir_none(), lift_imm_arg((u64)vector), lift_no_arg(), lift_no_arg());
    lift_end_helper(l);
}

void lift_gp0(struct lift *l)
{
    lift_help(l, HELP_raise_gp0, ir_none(), lift_no_arg(), lift_no_arg(), lift_no_arg());
    lift_end_helper(l);
}
