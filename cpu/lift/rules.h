/* What IR generators (rules) share: their prototypes, one for each name in the rule column of insn.def, and the operand
 * plumbing of operand.c. Private to cpu/lift/; translating thread.
 *
 * A rule turns one decoded instruction into IR. The driver has checked LOCK, privilege and mode, and emitted INSN. A rule that ends the
 * block does so through the lift_end_* functions below; otherwise the driver goes on with the next instruction. */
#ifndef CPU_LIFT_RULES_H
#define CPU_LIFT_RULES_H
#include "cpu/help/help.h"
#include "cpu/lift/lift.h"
#include "mmu/addr.h"

#define I(map, opcode, prefix, modrm, mnem, o1, o2, o3, o4, modes, feat, attr, flr, flw, flu, exc, rule) \
    void lift_##rule(struct lift *l, const struct insn *in);
#include "cpu/decode/insn.def"
#undef I

/* --- temporaries and single ops --- */
struct ir_val lift_tmp(struct lift *l);                                     /* a fresh TMP of this instruction */
static inline struct ir_op *lift_op(struct lift *l, enum ir_code code, unsigned size) { return ir_emit(l->b, code, size); }
void lift_set(struct lift *l, unsigned size, struct ir_val d, struct ir_val a); /* no IMM */
void lift_set_imm(struct lift *l, unsigned size, struct ir_val d, u64 imm);
void lift_set_pc(struct lift *l, unsigned size, struct ir_val d, u64 pc);
void lift_set_zx(struct lift *l, unsigned size, struct ir_val d, unsigned size2, struct ir_val a);
void lift_offset(struct lift *l, unsigned size, struct ir_val d, struct ir_val a, i64 disp); /* d = a + disp without flags */
/* d = help_<id>(a, b, c). lift_imm_arg(v) makes an immediate argument. */
struct lift_arg { struct ir_val v; u64 imm; bool rel; };
static inline struct lift_arg lift_arg(struct ir_val v) { return (struct lift_arg){ v, 0, false }; }
static inline struct lift_arg lift_imm_arg(u64 imm) { return (struct lift_arg){ { K_IMM, 0 }, imm, false }; }
static inline struct lift_arg lift_pc_arg(u64 pc) { return (struct lift_arg){ { K_IMM, 0 }, pc, true }; } /* depends on where the code is */
static inline struct lift_arg lift_no_arg(void) { return (struct lift_arg){ { K_NONE, 0 }, 0, false }; }
struct ir_val lift_const(struct lift *l, u64 imm);                          /* TMP = imm */
void lift_help(struct lift *l, enum help_id id, struct ir_val d, struct lift_arg a, struct lift_arg b, struct lift_arg c);

/* --- operands --- */
/* The register of an OK_GPR / OK_GPRH operand, or PTR for a memory operand (the probe has been emitted). */
struct ir_val lift_val(const struct opnd *o);
static inline bool lift_is_mem(const struct opnd *o) { return o->kind == OK_MEM || o->kind == OK_MOFFS; }
/* Offset within the segment of in->mem, in a TMP (no check). */
struct ir_val lift_ea(struct lift *l, const struct insn *in);
/* Linear address of in->mem in a TMP; where the mode is not flat the segment is checked for size bytes and acc. */
struct ir_val lift_lin(struct lift *l, const struct insn *in, unsigned size, unsigned acc);
/* Linear address of seg:base at address size asize, likewise. */
struct ir_val lift_lin_at(struct lift *l, unsigned seg, struct ir_val base, unsigned asize, unsigned size, unsigned acc);
/* PTR = in->mem, size bytes, after all checks. acc: ACC_READ, ACC_WRITE, ACC_RMW. */
void lift_probe(struct lift *l, const struct insn *in, unsigned size, unsigned acc);
/* PTR = seg:(base + (index << scale) + disp) at address size asize; base and index TMP, GPR or none. ACC_STACK is added for SS. */
void lift_probe_at(struct lift *l, unsigned seg, struct ir_val base, struct ir_val index, unsigned scale, i64 disp, unsigned asize, unsigned size,
                   unsigned acc);
/* Probes the operand if it is memory, with what its rd and wr say, and returns what to name in an op: PTR or the register. */
struct ir_val lift_rm(struct lift *l, const struct insn *in, unsigned i);
/* As lift_rm for an operand that is only read, but a memory one is loaded into a TMP (zero-extended). */
struct ir_val lift_load(struct lift *l, const struct insn *in, unsigned i);
/* Register, or immediate: sets *v and op's imm when op is not NULL. For operand b of arithmetic. */
void lift_src(struct ir_op *op, struct ir_val *slot, const struct insn *in, unsigned i);
/* Raises by helper and ends the block. */
void lift_raise(struct lift *l, int vector);
void lift_gp0(struct lift *l);

/* Sets in->imm_rel and disp_rel, and the block's fields. imm_allowed: its rule minds imm_rel. Before the instruction is in b->len. */
void lift_moving(struct lift *l, struct insn *in, bool imm_allowed);

/* --- stack --- */
unsigned lift_stack_size(const struct lift *l);                             /* 2, 4, 8: width of rSP in use */
void lift_push_val(struct lift *l, unsigned size, struct ir_val v);     /* probe, store, rSP; not IMM */
void lift_push_imm(struct lift *l, unsigned size, u64 imm, bool rel);
void lift_push_pc(struct lift *l, unsigned size, u64 pc);
struct ir_val lift_pop_peek(struct lift *l, unsigned size);                 /* TMP = top of stack; rSP unchanged */
void lift_sp_add(struct lift *l, i64 n);                                    /* rSP += n */

/* --- block ends --- */
u64 lift_target(const struct lift *l, u64 rip, unsigned osize);             /* rip wrapped to the operand / code size */
void lift_end_jmp(struct lift *l, u64 rip);
void lift_end_jcc(struct lift *l, unsigned cc, u64 taken, u64 not_taken);
void lift_end_brz(struct lift *l, unsigned size, struct ir_val a, u64 if_zero, u64 if_not);
void lift_end_jmpr(struct lift *l, struct ir_val a, i64 undo);               /* undo: what puts rSP back if the branch faults */
void lift_end_exit(struct lift *l);                                         /* to the run loop, rip = next instruction */
void lift_end_helper(struct lift *l);                                       /* to the run loop, a helper has set rip */

#endif
