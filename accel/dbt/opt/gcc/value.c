/* Values and statements of the optimiser's code generator: small words over libgccjit. Worker process; called by the other files of this folder. */
#include <stdio.h>
#include "accel/dbt/opt/gcc/emit.h"

gcc_jit_rvalue *val_cast(struct emit *e, gcc_jit_rvalue *v, gcc_jit_type *t) { return gcc_jit_context_new_cast(e->ctx, NULL, v, t); }

gcc_jit_rvalue *val_const(struct emit *e, unsigned size, u64 v)
{
    return gcc_jit_context_new_rvalue_from_long(e->ctx, e->u[size], (long)zext(v, size));
}

gcc_jit_rvalue *val_bin(struct emit *e, enum gcc_jit_binary_op op, unsigned size, gcc_jit_rvalue *a, gcc_jit_rvalue *b)
{
    return gcc_jit_context_new_binary_op(e->ctx, NULL, op, e->u[size], a, b);
}

gcc_jit_rvalue *val_cmp(struct emit *e, enum gcc_jit_comparison op, gcc_jit_rvalue *a, gcc_jit_rvalue *b)
{
    return gcc_jit_context_new_comparison(e->ctx, NULL, op, a, b);
}

gcc_jit_lvalue *val_local(struct emit *e, gcc_jit_type *t)
{
    char name[24];
    snprintf(name, sizeof(name), "v%u", e->n_locals++);
    return gcc_jit_function_new_local(e->fn, NULL, t, name);
}

void emit_set(struct emit *e, gcc_jit_lvalue *d, gcc_jit_rvalue *v) { gcc_jit_block_add_assignment(e->b, NULL, d, v); }

gcc_jit_rvalue *val_keep(struct emit *e, gcc_jit_rvalue *v)
{
    gcc_jit_lvalue *l = val_local(e, gcc_jit_rvalue_get_type(v));
    emit_set(e, l, v);
    return gcc_jit_lvalue_as_rvalue(l);
}

gcc_jit_block *emit_new_block(struct emit *e)
{
    char name[24];
    snprintf(name, sizeof(name), "b%u", e->n_locals++);
    return gcc_jit_function_new_block(e->fn, name);
}

void emit_branch_unlikely(struct emit *e, gcc_jit_rvalue *cond, gcc_jit_block *then)
{
    gcc_jit_type *l = gcc_jit_context_get_type(e->ctx, GCC_JIT_TYPE_LONG);
    gcc_jit_rvalue *arg[2] = { val_cast(e, cond, l), gcc_jit_context_zero(e->ctx, l) };
    gcc_jit_rvalue *expect = gcc_jit_context_new_call(e->ctx, NULL, gcc_jit_context_get_builtin_function(e->ctx, "__builtin_expect"), 2, arg);
    gcc_jit_block *next = emit_new_block(e);
    gcc_jit_block_end_with_conditional(e->b, NULL, val_cmp(e, GCC_JIT_COMPARISON_NE, expect, gcc_jit_context_zero(e->ctx, l)), then, next);
    e->b = next;
}

void emit_barrier(struct emit *e)
{
    gcc_jit_extended_asm *a = gcc_jit_block_add_extended_asm(e->b, NULL, "");
    gcc_jit_extended_asm_set_volatile_flag(a, 1);
    gcc_jit_extended_asm_add_clobber(a, "memory");
}

/* *(uSIZE *)address */
static gcc_jit_lvalue *at(struct emit *e, gcc_jit_rvalue *address, unsigned size)
{
    gcc_jit_rvalue *p = gcc_jit_context_new_bitcast(e->ctx, NULL, address, gcc_jit_type_get_pointer(e->u[size]));
    return gcc_jit_rvalue_dereference(p, NULL);
}

gcc_jit_lvalue *val_cpu(struct emit *e, size_t off, unsigned size)
{
    gcc_jit_lvalue *byte = gcc_jit_context_new_array_access(e->ctx, NULL, e->cpu, val_const(e, 8, off));
    gcc_jit_rvalue *p = val_cast(e, gcc_jit_lvalue_get_address(byte, NULL), gcc_jit_type_get_pointer(e->u[size]));
    return gcc_jit_rvalue_dereference(p, NULL);
}

static gcc_jit_rvalue *ptr_address(struct emit *e, const struct ir_op *o)
{
    gcc_jit_rvalue *p = gcc_jit_lvalue_as_rvalue(e->ptr);
    return o->ptr_off ? val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, p, val_const(e, 8, o->ptr_off)) : p;
}

gcc_jit_rvalue *val_pc(struct emit *e, u64 imm, bool rel)
{
    if (!rel || !e->r->rel)
        return val_const(e, 8, imm);
    return val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, gcc_jit_lvalue_as_rvalue(e->pc_page), val_const(e, 8, imm - e->r->page));
}

gcc_jit_rvalue *val_get(struct emit *e, const struct ir_op *o, struct ir_val v, unsigned size)
{
    gcc_jit_rvalue *x;
    switch (v.kind) {
    case K_GPR:
        return val_keep(e, val_cast(e, gcc_jit_lvalue_as_rvalue(e->gpr[v.n]), e->u[size]));
    case K_GPRH:
        x = val_bin(e, GCC_JIT_BINARY_OP_RSHIFT, 8, gcc_jit_lvalue_as_rvalue(e->gpr[v.n & 3]), val_const(e, 8, 8));
        x = val_cast(e, x, e->u[1]);
        return val_keep(e, size == 1 ? x : val_cast(e, x, e->u[size]));
    case K_TMP:
        return val_keep(e, val_cast(e, gcc_jit_lvalue_as_rvalue(e->tmp[v.n]), e->u[size]));
    case K_IMM:
        return o->rel && e->r->rel ? val_keep(e, val_cast(e, val_pc(e, o->imm, true), e->u[size])) : val_const(e, size, o->imm);
    case K_PTR:
        emit_barrier(e);
        x = val_keep(e, gcc_jit_lvalue_as_rvalue(at(e, ptr_address(e, o), size)));
        emit_barrier(e);
        return x;
    default:
        return val_const(e, size, 0);
    }
}

static gcc_jit_rvalue *merged(struct emit *e, gcc_jit_rvalue *old, gcc_jit_rvalue *v, unsigned shift, u64 mask)
{
    v = val_cast(e, v, e->u[8]);
    if (shift)
        v = val_bin(e, GCC_JIT_BINARY_OP_LSHIFT, 8, v, val_const(e, 8, shift));
    return val_bin(e, GCC_JIT_BINARY_OP_BITWISE_OR, 8, val_bin(e, GCC_JIT_BINARY_OP_BITWISE_AND, 8, old, val_const(e, 8, ~mask)), v);
}

/* v is unsigned and of that size. */
void val_put(struct emit *e, const struct ir_op *o, struct ir_val d, unsigned size, gcc_jit_rvalue *v)
{
    gcc_jit_lvalue *reg = d.kind == K_GPR ? e->gpr[d.n] : d.kind == K_GPRH ? e->gpr[d.n & 3] : NULL;
    switch (d.kind) {
    case K_GPR:
        if (size >= 4)
            emit_set(e, reg, val_cast(e, v, e->u[8]));
        else
            emit_set(e, reg, merged(e, gcc_jit_lvalue_as_rvalue(reg), v, 0, MASK64(8 * size)));
        break;
    case K_GPRH:
        emit_set(e, reg, merged(e, gcc_jit_lvalue_as_rvalue(reg), v, 8, 0xff00));
        break;
    case K_TMP:
        emit_set(e, e->tmp[d.n], val_cast(e, v, e->u[8]));
        break;
    case K_PTR:
        emit_barrier(e);
        emit_set(e, at(e, ptr_address(e, o), size), v);
        emit_barrier(e);
        break;
    default:
        break;
    }
}
