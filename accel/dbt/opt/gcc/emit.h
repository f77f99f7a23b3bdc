/* What the files of the optimiser's code generator share: the state of one function that is being built with libgccjit. Worker process, one thread. */
#ifndef ACCEL_DBT_OPT_GCC_EMIT_H
#define ACCEL_DBT_OPT_GCC_EMIT_H
#include <libgccjit.h>
#include "accel/dbt/opt/region.h"

#define PAGE_KEYS 17 /* a base register, or none */

/* Where the flags come from at a point of the function. op < 0: only the local fl_op knows. */
struct flags_state {
    int op;
    unsigned size;
};

struct emit {
    gcc_jit_context *ctx;
    gcc_jit_type *u[9], *s[9], *u128, *u8p, *boolean; /* by size in bytes */
    const struct opt_region *r;
    gcc_jit_function *fn;
    gcc_jit_block *b;               /* where code goes now; NULL: unreachable */
    gcc_jit_rvalue *cpu, *entry;    /* parameters: u8 *, u32 */
    gcc_jit_lvalue *gpr[16];
    gcc_jit_lvalue *tmp[IR_TMP_MAX], *ptr, *rip, *code, *pc_page;
    gcc_jit_lvalue *fl_op, *fl_a, *fl_b;
    gcc_jit_lvalue *page[PAGE_KEYS][2], *addend[PAGE_KEYS][2]; /* [write] */
    u32 reads, writes;              /* registers */
    bool used[PAGE_KEYS][2];
    unsigned op, block_end;         /* the present op, and the first one behind its block */
    bool covered[REGION_OPS_MAX];   /* a PROBE that an earlier one has checked */
    gcc_jit_block *block[REGION_BLOCKS_MAX], *leave;
    gcc_jit_lvalue *targets;        /* u8[4096]: page offset of a block that indirect jumps lead to -> 1 + its index */
    struct flags_state at[REGION_BLOCKS_MAX], now;
    unsigned insn_off, n_locals;
    gcc_jit_block *side;            /* exit before the present instruction, made on demand */
    struct flags_state side_state;
    unsigned serial;                /* of the function in its object */
};

/* --- values (value.c) --- */
gcc_jit_rvalue *val_const(struct emit *e, unsigned size, u64 v);
gcc_jit_rvalue *val_cast(struct emit *e, gcc_jit_rvalue *v, gcc_jit_type *t);
gcc_jit_rvalue *val_bin(struct emit *e, enum gcc_jit_binary_op op, unsigned size, gcc_jit_rvalue *a, gcc_jit_rvalue *b);
gcc_jit_rvalue *val_cmp(struct emit *e, enum gcc_jit_comparison op, gcc_jit_rvalue *a, gcc_jit_rvalue *b);
/* Evaluated now, once. */
gcc_jit_rvalue *val_keep(struct emit *e, gcc_jit_rvalue *v);
gcc_jit_lvalue *val_local(struct emit *e, gcc_jit_type *t);
/* The operand as an unsigned value of that size; the op's K_PTR is loaded. */
gcc_jit_rvalue *val_get(struct emit *e, const struct ir_op *o, struct ir_val v, unsigned size);
void val_put(struct emit *e, const struct ir_op *o, struct ir_val d, unsigned size, gcc_jit_rvalue *v);
gcc_jit_lvalue *val_cpu(struct emit *e, size_t off, unsigned size);
/* Nothing moves over this. */
void emit_barrier(struct emit *e);
void emit_set(struct emit *e, gcc_jit_lvalue *d, gcc_jit_rvalue *v);
gcc_jit_block *emit_new_block(struct emit *e);
/* if (unlikely(cond)) goto then; the present block goes on. */
void emit_branch_unlikely(struct emit *e, gcc_jit_rvalue *cond, gcc_jit_block *then);
/* The value of immediate imm, which depends on the PC if rel. */
gcc_jit_rvalue *val_pc(struct emit *e, u64 imm, bool rel);

/* --- flags (flags.c) --- */
void flags_def(struct emit *e, enum region_flag_op op, unsigned size, gcc_jit_rvalue *a, gcc_jit_rvalue *b);
gcc_jit_rvalue *flags_cond(struct emit *e, unsigned cc);   /* boolean */
gcc_jit_rvalue *flags_raw(struct emit *e);                 /* u64, as cpu.aflags */
/* The locals say where the flags come from as well as e->now does. */
void flags_spell(struct emit *e);
/* The host's instruction does it: flags before, `insn` on %1 (also the result) and %2, flags after. b may be NULL. */
gcc_jit_rvalue *flags_by_host(struct emit *e, const char *insn, unsigned size, gcc_jit_rvalue *d, gcc_jit_rvalue *b, const char *b_constraint);

/* --- ops (ops.c, mem.c) --- */
void emit_op(struct emit *e, const struct ir_op *o);
void emit_probe(struct emit *e, const struct ir_op *o);
gcc_jit_rvalue *emit_address(struct emit *e, const struct ir_op *o);
gcc_jit_block *emit_side_exit(struct emit *e);
void emit_find_pages(struct emit *e);  /* makes their locals */
void emit_first_pages(struct emit *e);

#endif
