/* Guest addresses and PROBEs in the optimiser's code. Worker process; called by ops.c.
 *
 * For each base register there are two pages in locals, one for loads and one for stores: where the last access was, and what to add to get host
 * addresses. An access within that page costs a subtraction and a predicted branch, and its address does not depend on a load. Else the common code
 * of the x64 backend looks into the TLB; what that does not know is done by the baseline: the region is left before the instruction. */
#include <stdio.h>
#include "accel/dbt/opt/gcc/emit.h"

static bool seg_has_base(const struct emit *e, unsigned seg)
{
    if (seg == S_NONE)
        return false;
    return seg >= S_FS || (!(e->r->mode & MODE_FLAT) && (e->r->mode & MODE_SIZE) != MODE_64);
}

static unsigned address_size(const struct ir_op *o) { return o->asize && (o->code == IR_LEA || o->seg != S_NONE) ? o->asize : 8; }

gcc_jit_rvalue *emit_address(struct emit *e, const struct ir_op *o)
{
    unsigned asize = address_size(o);
    gcc_jit_rvalue *v = NULL;
    if (o->a.kind != K_NONE)
        v = val_get(e, o, o->a, 8);
    if (o->b.kind != K_NONE) {
        gcc_jit_rvalue *i = val_get(e, o, o->b, 8);
        if (o->scale)
            i = val_bin(e, GCC_JIT_BINARY_OP_LSHIFT, 8, i, val_const(e, 8, o->scale));
        v = v ? val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, v, i) : i;
    }
    if (!v)
        v = val_pc(e, o->imm, o->rel);
    else if (o->imm)
        v = val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, v, val_const(e, 8, o->imm));
    if (asize < 8)
        v = val_cast(e, val_cast(e, v, e->u[asize]), e->u[8]);
    if (o->code != IR_LEA && seg_has_base(e, o->seg)) {
        size_t off = offsetof(struct cpu, seg) + o->seg * sizeof(struct seg_reg) + offsetof(struct seg_reg, base);
        v = val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, v, gcc_jit_lvalue_as_rvalue(val_cpu(e, off, 8)));
        if ((e->r->mode & MODE_SIZE) != MODE_64)
            v = val_cast(e, val_cast(e, v, e->u[4]), e->u[8]);
    }
    return val_keep(e, v);
}

static unsigned page_key(const struct ir_op *o)
{
    return o->a.kind == K_GPR ? o->a.n : o->b.kind == K_GPR ? o->b.n : PAGE_KEYS - 1;
}

/* Asks the TLB: sets page and addend; returns what is not 0 if it knows nothing. */
static gcc_jit_rvalue *tlb_ask(struct emit *e, gcc_jit_rvalue *address, unsigned size, bool write, gcc_jit_lvalue *page, gcc_jit_lvalue *addend)
{
    gcc_jit_lvalue *p = val_local(e, e->u[8]), *d = val_local(e, e->u[8]), *miss = val_local(e, e->u[8]);
    char call[32];
    unsigned mode = mode_cpl(e->r->mode) == 3 ? TLB_USER : e->r->mode & MODE_SMAP_AC ? TLB_KERNEL_SMAP : TLB_KERNEL;
    snprintf(call, sizeof(call), "call gemel_probe_%c%u", write ? 'w' : 'r', mode);
    gcc_jit_rvalue *last = val_const(e, 8, size - 1); /* libgccjit wants to know the operands before it hears of the statement */
    gcc_jit_extended_asm *a = gcc_jit_block_add_extended_asm(e->b, NULL, call);
    gcc_jit_extended_asm_set_volatile_flag(a, 1);
    gcc_jit_extended_asm_add_output_operand(a, NULL, "=a", p);
    gcc_jit_extended_asm_add_output_operand(a, NULL, "=d", d);
    gcc_jit_extended_asm_add_output_operand(a, NULL, "=c", miss);
    gcc_jit_extended_asm_add_input_operand(a, NULL, "1", address);
    gcc_jit_extended_asm_add_input_operand(a, NULL, "2", last);
    gcc_jit_extended_asm_add_input_operand(a, NULL, "D", e->cpu);
    gcc_jit_extended_asm_add_clobber(a, "cc");
    gcc_jit_extended_asm_add_clobber(a, "memory");
    emit_set(e, page, gcc_jit_lvalue_as_rvalue(p));
    emit_set(e, addend, gcc_jit_lvalue_as_rvalue(d));
    return val_cmp(e, GCC_JIT_COMPARISON_NE, gcc_jit_lvalue_as_rvalue(miss), val_const(e, 8, 0));
}

/* --- accesses by one register: one check for all --- */
#define RANGE_MAX 256 /* bytes: the chance of crossing a page grows with it */

static bool plain_base(const struct emit *e, const struct ir_op *o)
{
    return (e->r->mode & MODE_SIZE) == MODE_64 && o->a.kind == K_GPR && o->b.kind == K_NONE && address_size(o) == 8 && !seg_has_base(e, o->seg) &&
           (i64)o->imm == (i32)o->imm;
}

/* Whether the register is another one behind the op; *moved: it has had this added. */
static bool base_lost(const struct ir_op *o, unsigned reg, i64 *moved)
{
    bool own = o->d.kind == K_GPR && o->d.n == reg && o->a.kind == K_GPR && o->a.n == reg && o->size == 8;
    if (own && o->code == IR_LEA && o->b.kind == K_NONE && o->asize == 8)
        *moved += (i64)o->imm;
    else if (own && o->code == IR_ADD && o->b.kind == K_IMM)
        *moved += (i64)o->imm;
    else if (own && o->code == IR_SUB && o->b.kind == K_IMM)
        *moved -= (i64)o->imm;
    else if ((o->d.kind == K_GPR && o->d.n == reg) || (o->d.kind == K_GPRH && (o->d.n & 3) == reg))
        return true;
    else if (o->code == IR_XCHG && ((o->a.kind == K_GPR && o->a.n == reg) || (o->a.kind == K_GPRH && (o->a.n & 3) == reg)))
        return true;
    else if ((o->code == IR_MULW || o->code == IR_DIVW) && (reg == R_AX || reg == R_DX))
        return true;
    return *moved != (i32)*moved;
}

/* Finds the accesses behind this one that lie near it, and marks them. Returns how many bytes are to be checked, from *lo relative to this one's on. */
static unsigned cover(struct emit *e, const struct ir_op *first, i64 *lo)
{
    i64 moved = 0, from = 0, to = first->size;
    *lo = 0;
    if (!plain_base(e, first))
        return first->size;
    for (unsigned i = e->op + 1; i < e->block_end; i++) {
        const struct ir_op *o = &e->r->op[i];
        if (o->code == IR_PROBE && page_key(o) == page_key(first) && (o->acc & ACC_WRITE) == (first->acc & ACC_WRITE)) {
            i64 at = moved + (i64)o->imm - (i64)first->imm;
            i64 l = MIN_OF(from, at), h = MAX_OF(to, at + o->size);
            if (!plain_base(e, o) || h - l > RANGE_MAX)
                break; /* it may find another page */
            from = l;
            to = h;
            e->covered[i] = true;
        } else if (o->code != IR_PROBE && base_lost(o, first->a.n, &moved)) {
            break;
        }
    }
    *lo = from;
    return (unsigned)(to - from);
}

void emit_probe(struct emit *e, const struct ir_op *o)
{
    bool write = o->acc & ACC_WRITE;
    gcc_jit_lvalue *page = e->page[page_key(o)][write], *addend = e->addend[page_key(o)][write];
    gcc_jit_rvalue *at = emit_address(e, o), *a = at;
    if (e->covered[e->op]) {
        emit_set(e, e->ptr, val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, at, gcc_jit_lvalue_as_rvalue(addend)));
        return;
    }
    i64 lo;
    unsigned len = cover(e, o, &lo);
    if (lo)
        a = val_keep(e, val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, at, val_const(e, 8, (u64)lo)));
    gcc_jit_rvalue *off = val_bin(e, GCC_JIT_BINARY_OP_MINUS, 8, a, gcc_jit_lvalue_as_rvalue(page));
    gcc_jit_block *ask = emit_new_block(e), *go = emit_new_block(e), *side = emit_side_exit(e);
    emit_branch_unlikely(e, val_cmp(e, GCC_JIT_COMPARISON_GT, off, val_const(e, 8, PAGE_SIZE - len)), ask);
    gcc_jit_block_end_with_jump(e->b, NULL, go);
    e->b = ask;
    gcc_jit_lvalue *p = val_local(e, e->u[8]), *d = val_local(e, e->u[8]);
    emit_branch_unlikely(e, tlb_ask(e, a, len, write, p, d), side);
    emit_set(e, page, gcc_jit_lvalue_as_rvalue(p));
    emit_set(e, addend, gcc_jit_lvalue_as_rvalue(d));
    gcc_jit_block_end_with_jump(e->b, NULL, go);
    e->b = go;
    emit_set(e, e->ptr, val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, at, gcc_jit_lvalue_as_rvalue(addend)));
}

/* No page is known when the region is entered; none can be made up, as an access might meet it. The stack's is as good as any. */
void emit_first_pages(struct emit *e)
{
    gcc_jit_lvalue *p = val_local(e, e->u[8]), *d = val_local(e, e->u[8]);
    emit_branch_unlikely(e, tlb_ask(e, gcc_jit_lvalue_as_rvalue(e->gpr[R_SP]), 1, true, p, d), emit_side_exit(e));
    for (unsigned k = 0; k < PAGE_KEYS; k++)
        for (unsigned w = 0; w < 2; w++)
            if (e->used[k][w]) {
                emit_set(e, e->page[k][w], gcc_jit_lvalue_as_rvalue(p));
                emit_set(e, e->addend[k][w], gcc_jit_lvalue_as_rvalue(d));
            }
}

void emit_find_pages(struct emit *e)
{
    for (unsigned i = 0; i < e->r->n_ops; i++) {
        const struct ir_op *o = &e->r->op[i];
        unsigned k = page_key(o), w = o->acc & ACC_WRITE ? 1 : 0;
        if (o->code != IR_PROBE || e->used[k][w])
            continue;
        e->used[k][w] = true;
        e->page[k][w] = val_local(e, e->u[8]);
        e->addend[k][w] = val_local(e, e->u[8]);
    }
}
