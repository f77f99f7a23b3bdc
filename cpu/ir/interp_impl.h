/* What the files of the interpreter share: its state while one block runs, and memory operands.
 * Private to cpu/ir/interp*.c; vCPU thread. */
#ifndef CPU_IR_INTERP_IMPL_H
#define CPU_IR_INTERP_IMPL_H
#include "cpu/fault.h"
#include "cpu/ir/alu.h"
#include "cpu/ir/ir.h"
#include "mmu/atomic.h"

struct interp {
    struct cpu *c;
    const struct ir_block *b;
    u64 t[IR_TMP_MAX];
    /* the live PROBE */
    gla_t lin;
    u8 *host;        /* NULL: slow, through mem_read and mem_write */
    u8 size;
    u8 acc;          /* with ACC_USER */
    bool stop;       /* leave before the next instruction: code may have been written */
};

/* --- interp_mem.c --- */
gla_t interp_linear(const struct cpu *c, unsigned seg, u64 off, unsigned asize);
/* Makes lin the live probe, or raises. op is the PROBE in it->b. */
void interp_probe(struct interp *it, gla_t lin, const struct ir_op *op);
u64 interp_ptr_read(struct interp *it, unsigned off, unsigned size);
void interp_ptr_write(struct interp *it, unsigned off, u64 val, unsigned size);
/* Atomic read-modify-write at the live probe. */
void interp_ptr_rmw(struct interp *it, unsigned off, unsigned size, mem_rmw_fn *fn, void *opaque);
/* Runs a carried instruction on guest state with the live probe as its memory operand. */
void interp_carry(struct interp *it, const struct ir_op *op);

#endif
