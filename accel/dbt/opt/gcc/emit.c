/* From a region to an object file: builds one function for each with libgccjit, block by block. Worker process; called by worker.c and, through
 * region_compile(), by nobody else. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "accel/dbt/opt/gcc/emit.h"

/* --- flags at the beginnings of blocks --- */
#define FLAGS_UNSEEN (-2)

static struct flags_state flags_meet(struct flags_state x, struct flags_state y)
{
    if (x.op == FLAGS_UNSEEN)
        return y;
    if (y.op == FLAGS_UNSEEN || (x.op == y.op && x.size == y.size))
        return x;
    return (struct flags_state){ -1, 0 };
}

/* What emit_op() does to e->now. */
static struct flags_state flags_behind(const struct ir_op *o, struct flags_state s)
{
    u64 mask = o->size == 8 ? 63 : 31;
    if (!o->fl && o->code != IR_CLC && o->code != IR_STCF && o->code != IR_CMC)
        return s;
    switch ((enum ir_code)o->code) {
    case IR_ADD: return (struct flags_state){ RF_ADD, o->size };
    case IR_SUB: case IR_CMP: case IR_NEG: return (struct flags_state){ RF_SUB, o->size };
    case IR_AND: case IR_OR: case IR_XOR: case IR_TEST: return (struct flags_state){ RF_LOGIC, o->size };
    case IR_INC: return (struct flags_state){ RF_INC, o->size };
    case IR_DEC: return (struct flags_state){ RF_DEC, o->size };
    case IR_SHL: case IR_SHR: case IR_SAR:
        if (o->b.kind != K_IMM)
            return (struct flags_state){ -1, 0 };
        if (!(o->imm & mask))
            return s;
        return (struct flags_state){ o->code == IR_SHL ? RF_SHL : o->code == IR_SHR ? RF_SHR : RF_SAR, o->size };
    case IR_ROL: case IR_ROR:
        return o->b.kind == K_IMM && !(o->imm & mask) ? s : (struct flags_state){ RF_RAW, 8 };
    case IR_IMUL: return (struct flags_state){ RF_IMUL, o->size };
    case IR_DIVW:
        return s;
    default:
        return (struct flags_state){ RF_RAW, 8 };
    }
}

static int block_at(const struct opt_region *r, u64 pc)
{
    if ((pc & PAGE_MASK) != r->page)
        return -1;
    for (unsigned i = 0; i < r->n_blocks; i++)
        if (r->block[i].off == (pc & (PAGE_SIZE - 1)))
            return (int)i;
    return -1;
}

static bool flags_arrive(struct emit *e, int i, struct flags_state s)
{
    if (i < 0)
        return false;
    struct flags_state m = flags_meet(e->at[i], s);
    bool changed = m.op != e->at[i].op || m.size != e->at[i].size;
    e->at[i] = m;
    return changed;
}

static bool flags_flow(struct emit *e, unsigned i)
{
    const struct opt_region *r = e->r;
    const struct region_block *b = &r->block[i];
    struct flags_state s = e->at[i];
    bool changed = false;
    if (s.op == FLAGS_UNSEEN)
        return false;
    for (unsigned k = 0; k < b->n_ops; k++) {
        const struct ir_op *o = &r->op[b->first_op + k];
        s = flags_behind(o, s);
        if (o->code == IR_JMP || o->code == IR_JCC)
            changed |= flags_arrive(e, block_at(r, o->imm), s);
        if (o->code == IR_JCC)
            changed |= flags_arrive(e, block_at(r, o->imm2), s);
        for (unsigned t = 0; o->code == IR_JMPR && t < r->n_blocks; t++)
            if (r->block[t].target)
                changed |= flags_arrive(e, (int)t, s);
    }
    return changed;
}

static void flags_find(struct emit *e)
{
    bool changed = true;
    for (unsigned i = 0; i < e->r->n_blocks; i++)
        e->at[i] = (struct flags_state){ FLAGS_UNSEEN, 0 };
    for (unsigned i = 0; i < e->r->n_blocks; i++)
        if (e->r->block[i].entry)
            e->at[i] = (struct flags_state){ RF_RAW, 8 };
    while (changed) {
        changed = false;
        for (unsigned i = 0; i < e->r->n_blocks; i++)
            changed |= flags_flow(e, i);
    }
}

/* --- leaving --- */
static void emit_leave_as(struct emit *e, gcc_jit_rvalue *rip, gcc_jit_rvalue *code)
{
    flags_spell(e);
    emit_set(e, e->rip, rip);
    emit_set(e, e->code, code);
    gcc_jit_block_end_with_jump(e->b, NULL, e->leave);
    e->b = NULL;
}

static void emit_leave(struct emit *e, gcc_jit_rvalue *rip, enum region_exit code) { emit_leave_as(e, rip, val_const(e, 4, code)); }

/* Leaves before the instruction at off, which is for the baseline to execute: by the block below if the region was entered there, or it would be entered
 * again and again. */
static void emit_leave_at(struct emit *e, unsigned off)
{
    gcc_jit_rvalue *code = val_const(e, 4, REGION_LEAVE);
    int i = block_at(e->r, e->r->page + off);
    if (i >= 0 && e->r->block[i].entry) { /* REGION_HEAD is 0 */
        gcc_jit_rvalue *other = val_cast(e, val_cmp(e, GCC_JIT_COMPARISON_NE, e->entry, val_const(e, 4, (u64)i)), e->u[4]);
        code = val_bin(e, GCC_JIT_BINARY_OP_MULT, 4, other, code);
    }
    emit_leave_as(e, val_pc(e, e->r->page + off, true), code);
}

gcc_jit_block *emit_side_exit(struct emit *e)
{
    if (e->side)
        return e->side;
    gcc_jit_block *here = e->b;
    e->side = e->b = emit_new_block(e);
    emit_leave_at(e, e->insn_off);
    e->b = here;
    return e->side;
}

/* The last block of the function: what was changed goes to struct cpu. */
static void emit_end(struct emit *e)
{
    e->b = e->leave;
    for (unsigned i = 0; i < 16; i++)
        if (e->writes >> i & 1)
            emit_set(e, val_cpu(e, offsetof(struct cpu, gpr) + 8 * i, 8), gcc_jit_lvalue_as_rvalue(e->gpr[i]));
    emit_set(e, val_cpu(e, offsetof(struct cpu, rip), 8), gcc_jit_lvalue_as_rvalue(e->rip));
    emit_set(e, val_cpu(e, offsetof(struct cpu, scratch[RF_SLOT_OP]), 4), gcc_jit_lvalue_as_rvalue(e->fl_op));
    emit_set(e, val_cpu(e, offsetof(struct cpu, scratch[RF_SLOT_A]), 8), gcc_jit_lvalue_as_rvalue(e->fl_a));
    emit_set(e, val_cpu(e, offsetof(struct cpu, scratch[RF_SLOT_B]), 8), gcc_jit_lvalue_as_rvalue(e->fl_b));
    gcc_jit_block_end_with_return(e->b, NULL, gcc_jit_lvalue_as_rvalue(e->code));
}

/* --- jumps --- */
static void emit_poll(struct emit *e, gcc_jit_rvalue *rip)
{
    emit_barrier(e);
    gcc_jit_rvalue *asked = val_keep(e, gcc_jit_lvalue_as_rvalue(val_cpu(e, offsetof(struct cpu, exit_request), 4)));
    gcc_jit_block *out = emit_new_block(e);
    emit_branch_unlikely(e, val_cmp(e, GCC_JIT_COMPARISON_NE, asked, val_const(e, 4, 0)), out);
    gcc_jit_block *here = e->b;
    e->b = out;
    emit_leave(e, rip, REGION_REQUEST);
    e->b = here;
}

/* Goes on in block i; the flags' locals are made to say what it expects. */
static void emit_enter_block(struct emit *e, int i)
{
    if (e->at[i].op < 0)
        flags_spell(e);
    gcc_jit_block_end_with_jump(e->b, NULL, e->block[i]);
    e->b = NULL;
}

static u64 wrap(const struct emit *e, u64 pc) { return (e->r->mode & MODE_SIZE) == MODE_64 ? pc : (u32)pc; }

static void emit_goto(struct emit *e, u64 pc)
{
    int i = block_at(e->r, pc);
    gcc_jit_rvalue *rip = val_pc(e, wrap(e, pc), true);
    if (i < 0) {
        emit_leave(e, rip, REGION_LEAVE);
        return;
    }
    if ((pc & (PAGE_SIZE - 1)) <= e->insn_off)
        emit_poll(e, rip);
    emit_enter_block(e, i);
}

static void emit_jcc(struct emit *e, const struct ir_op *o)
{
    struct flags_state s = e->now;
    gcc_jit_rvalue *cond = flags_cond(e, o->cc);
    gcc_jit_block *yes = emit_new_block(e), *no = emit_new_block(e);
    gcc_jit_block_end_with_conditional(e->b, NULL, cond, yes, no);
    e->b = yes;
    emit_goto(e, o->imm);
    e->b = no;
    e->now = s;
    emit_goto(e, o->imm2);
}

/* A target that the region does not have: as if the instruction had not begun. */
static void emit_undo(struct emit *e, const struct ir_op *o, gcc_jit_block *unknown)
{
    e->b = unknown;
    if (o->imm)
        emit_set(e, e->gpr[R_SP], val_bin(e, GCC_JIT_BINARY_OP_PLUS, 8, gcc_jit_lvalue_as_rvalue(e->gpr[R_SP]), val_const(e, 8, o->imm)));
    gcc_jit_block_end_with_jump(e->b, NULL, emit_side_exit(e));
}

static void emit_jmpr(struct emit *e, const struct ir_op *o)
{
    gcc_jit_type *int_type = gcc_jit_context_get_type(e->ctx, GCC_JIT_TYPE_INT);
    gcc_jit_rvalue *t = val_get(e, o, o->a, 8);
    gcc_jit_rvalue *base = e->r->rel ? gcc_jit_lvalue_as_rvalue(e->pc_page) : val_const(e, 8, e->r->page);
    gcc_jit_rvalue *off = val_keep(e, val_bin(e, GCC_JIT_BINARY_OP_MINUS, 8, t, base));
    gcc_jit_block *unknown = emit_new_block(e);
    gcc_jit_case *cases[REGION_BLOCKS_MAX];
    int n = 0;
    struct flags_state s = e->now;
    if (!e->targets) {
        gcc_jit_block_end_with_jump(e->b, NULL, unknown);
        emit_undo(e, o, unknown);
        return;
    }
    emit_branch_unlikely(e, val_cmp(e, GCC_JIT_COMPARISON_GE, off, val_const(e, 8, PAGE_SIZE)), unknown);
    gcc_jit_lvalue *slot = gcc_jit_context_new_array_access(e->ctx, NULL, gcc_jit_lvalue_as_rvalue(e->targets), off);
    gcc_jit_rvalue *index = val_keep(e, val_cast(e, gcc_jit_lvalue_as_rvalue(slot), int_type));
    emit_barrier(e);
    gcc_jit_rvalue *asked = val_keep(e, gcc_jit_lvalue_as_rvalue(val_cpu(e, offsetof(struct cpu, exit_request), 4)));
    gcc_jit_block *out = emit_new_block(e);
    emit_branch_unlikely(e, val_cmp(e, GCC_JIT_COMPARISON_NE, asked, val_const(e, 4, 0)), out);
    flags_spell(e);
    for (unsigned i = 0; i < e->r->n_blocks; i++) {
        gcc_jit_rvalue *k = gcc_jit_context_new_rvalue_from_int(e->ctx, int_type, (int)i + 1);
        if (e->r->block[i].target)
            cases[n++] = gcc_jit_context_new_case(e->ctx, k, k, e->block[i]);
    }
    gcc_jit_block_end_with_switch(e->b, NULL, index, unknown, n, cases);
    e->now = s;
    e->b = out;
    gcc_jit_block_end_with_jump(e->b, NULL, unknown);
    emit_undo(e, o, unknown);
}

static void emit_block(struct emit *e, unsigned i)
{
    const struct region_block *b = &e->r->block[i];
    unsigned insn = b->first_insn;
    e->b = e->block[i];
    e->now = e->at[i].op == FLAGS_UNSEEN ? (struct flags_state){ -1, 0 } : e->at[i];
    for (unsigned k = 0; k < b->n_ops && e->b; k++) {
        const struct ir_op *o = &e->r->op[b->first_op + k];
        e->op = b->first_op + k;
        e->block_end = b->first_op + b->n_ops;
        if (o->code == IR_INSN) {
            e->insn_off = e->r->insn_off[insn++];
            e->side = NULL;
        } else if (o->code == IR_JMP) {
            emit_goto(e, o->imm);
        } else if (o->code == IR_JCC) {
            emit_jcc(e, o);
        } else if (o->code == IR_JMPR) {
            emit_jmpr(e, o);
            e->b = NULL;
        } else {
            emit_op(e, o);
        }
    }
    if (e->b)
        emit_leave_at(e, b->next);
}

/* --- the function --- */
static void note_reg(u32 *set, struct ir_val v)
{
    if (v.kind == K_GPR)
        *set |= 1u << v.n;
    if (v.kind == K_GPRH)
        *set |= 1u << (v.n & 3);
}

static void find_registers(struct emit *e)
{
    for (unsigned i = 0; i < e->r->n_ops; i++) {
        const struct ir_op *o = &e->r->op[i];
        note_reg(&e->reads, o->a);
        note_reg(&e->reads, o->b);
        note_reg(&e->writes, o->d);
        if (o->code == IR_XCHG)
            note_reg(&e->writes, o->a);
        if (o->code == IR_MULW || o->code == IR_DIVW)
            e->writes |= 1u << R_AX | 1u << R_DX;
        if (o->code == IR_JMPR)
            e->writes |= 1u << R_SP;
    }
    e->reads |= e->writes | 1u << R_SP;
}

static void make_targets(struct emit *e)
{
    u8 map[PAGE_SIZE] = { 0 };
    bool any = false;
    char name[16];
    for (unsigned i = 0; i < e->r->n_blocks; i++) {
        if (!e->r->block[i].target)
            continue;
        map[e->r->block[i].off] = (u8)(i + 1);
        any = true;
    }
    if (!any)
        return;
    snprintf(name, sizeof(name), "t%u", e->serial);
    e->targets = gcc_jit_context_new_global(e->ctx, NULL, GCC_JIT_GLOBAL_INTERNAL, gcc_jit_context_new_array_type(e->ctx, NULL, e->u[1], PAGE_SIZE), name);
    gcc_jit_global_set_initializer(e->targets, map, PAGE_SIZE);
}

/* To the block that is asked for. */
static void emit_entries(struct emit *e)
{
    gcc_jit_case *cases[REGION_BLOCKS_MAX];
    int n = 0;
    for (unsigned i = 1; i < e->r->n_blocks; i++) {
        gcc_jit_rvalue *k = val_const(e, 4, i);
        if (e->r->block[i].entry)
            cases[n++] = gcc_jit_context_new_case(e->ctx, k, k, e->block[i]);
    }
    if (n)
        gcc_jit_block_end_with_switch(e->b, NULL, e->entry, e->block[0], n, cases);
    else
        gcc_jit_block_end_with_jump(e->b, NULL, e->block[0]);
}

static void make_function(struct emit *e)
{
    char name[16];
    snprintf(name, sizeof(name), "r%u", e->serial);
    gcc_jit_param *param[2] = { gcc_jit_context_new_param(e->ctx, NULL, e->u8p, "cpu"), gcc_jit_context_new_param(e->ctx, NULL, e->u[4], "entry") };
    e->fn = gcc_jit_context_new_function(e->ctx, NULL, GCC_JIT_FUNCTION_EXPORTED, e->u[4], name, 2, param, 0);
    e->cpu = gcc_jit_param_as_rvalue(param[0]);
    e->entry = gcc_jit_param_as_rvalue(param[1]);
    e->b = emit_new_block(e);
    e->leave = gcc_jit_function_new_block(e->fn, "leave");
    for (unsigned i = 0; i < e->r->n_blocks; i++)
        e->block[i] = emit_new_block(e);
    for (unsigned i = 0; i < IR_TMP_MAX; i++)
        e->tmp[i] = val_local(e, e->u[8]);
    e->ptr = val_local(e, e->u[8]);
    e->rip = val_local(e, e->u[8]);
    e->code = val_local(e, e->u[4]);
    e->fl_op = val_local(e, e->u[4]);
    e->fl_a = val_local(e, e->u[8]);
    e->fl_b = val_local(e, e->u[8]);
    if (e->r->rel) {
        e->pc_page = val_local(e, e->u[8]);
        emit_set(e, e->pc_page, gcc_jit_lvalue_as_rvalue(val_cpu(e, offsetof(struct cpu, pc_page), 8)));
    }
    find_registers(e);
    for (unsigned i = 0; i < 16; i++)
        if (e->reads >> i & 1) {
            e->gpr[i] = val_local(e, e->u[8]);
            emit_set(e, e->gpr[i], gcc_jit_lvalue_as_rvalue(val_cpu(e, offsetof(struct cpu, gpr) + 8 * i, 8)));
        }
    emit_set(e, e->fl_a, val_cast(e, gcc_jit_lvalue_as_rvalue(val_cpu(e, offsetof(struct cpu, aflags), 2)), e->u[8]));
    emit_set(e, e->fl_b, val_const(e, 8, 0));
    emit_set(e, e->fl_op, val_const(e, 4, RF_RAW));
    e->now = (struct flags_state){ RF_RAW, 8 };
    emit_find_pages(e);
    gcc_jit_block *here = e->b;
    e->side = e->b = emit_new_block(e);
    emit_leave(e, val_const(e, 8, 0), REGION_HEAD);
    e->b = here;
    emit_first_pages(e);
    make_targets(e);
    flags_find(e);
    emit_entries(e);
    for (unsigned i = 0; i < e->r->n_blocks; i++)
        emit_block(e, i);
    emit_end(e);
}

static void emit_region(gcc_jit_context *ctx, const struct opt_region *r, unsigned serial)
{
    struct emit e = { .ctx = ctx, .r = r, .serial = serial };
    for (unsigned size = 1; size <= 8; size *= 2) {
        e.u[size] = gcc_jit_context_get_int_type(ctx, (int)size, 0);
        e.s[size] = gcc_jit_context_get_int_type(ctx, (int)size, 1);
    }
    e.u8p = gcc_jit_type_get_pointer(e.u[1]);
    e.boolean = gcc_jit_context_get_type(ctx, GCC_JIT_TYPE_BOOL);
    make_function(&e);
}

static void set_options(gcc_jit_context *ctx, int level)
{
    static const char *const option[] = {
        "-mgeneral-regs-only", "-mno-red-zone", "-fno-strict-aliasing", "-fcf-protection=none", "-fno-stack-protector", "-fomit-frame-pointer",
        "-fno-asynchronous-unwind-tables", "-fno-crossjumping", "-fno-tree-tail-merge",
        "-fno-delete-null-pointer-checks", "-fwrapv", "-fno-tree-loop-distribute-patterns",
    };
    for (unsigned i = 0; i < ARRAY_LEN(option); i++)
        gcc_jit_context_add_command_line_option(ctx, option[i]);
    gcc_jit_context_add_driver_option(ctx, "-nostdlib");
    gcc_jit_context_set_int_option(ctx, GCC_JIT_INT_OPTION_OPTIMIZATION_LEVEL, level);
    gcc_jit_context_set_bool_allow_unreachable_blocks(ctx, 1);
    gcc_jit_context_set_bool_print_errors_to_stderr(ctx, 0);
}

static u8 *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    u8 *buf = NULL;
    long n;
    if (!f)
        return NULL;
    if (!fseek(f, 0, SEEK_END) && (n = ftell(f)) > 0 && !fseek(f, 0, SEEK_SET) && (buf = malloc((size_t)n))) {
        *size = (size_t)n;
        if (fread(buf, 1, (size_t)n, f) != (size_t)n) {
            free(buf);
            buf = NULL;
        }
    }
    fclose(f);
    return buf;
}

u8 *region_compile(const struct opt_region *const *r, unsigned n, int level, size_t *size, const char **why)
{
    gcc_jit_context *ctx = gcc_jit_context_acquire();
    char path[] = "/tmp/gemel-opt-XXXXXX";
    u8 *obj = NULL;
    int fd = mkstemp(path);
    *why = NULL;
    if (!ctx || fd < 0) {
        *why = "no context or no temporary file";
    } else {
        set_options(ctx, level);
        for (unsigned i = 0; i < n; i++)
            emit_region(ctx, r[i], i);
        gcc_jit_context_compile_to_file(ctx, GCC_JIT_OUTPUT_KIND_OBJECT_FILE, path);
        const char *err = gcc_jit_context_get_first_error(ctx);
        static char text[200];
        if (err) {
            snprintf(text, sizeof(text), "%s", err);
            *why = text;
        } else if (!(obj = read_file(path, size))) {
            *why = "cannot read the object file";
        }
    }
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    if (ctx)
        gcc_jit_context_release(ctx);
    return obj;
}
