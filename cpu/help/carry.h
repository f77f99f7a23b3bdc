/* Carried host instructions: encoding them, and executing one on guest state for the interpreter. vCPU thread.
 *
 * What a backend does for an IR VEC or X87 op (struct carry k = block->carry[op.imm]):
 * - Before: guest vector registers in host ymm0-15, or with c->zmm_live, which must be set if k.zmm, in zmm0-15 and, for k.zmm, zmm16-31 and k0-7; guest MXCSR in the
 *   host MXCSR; if k.x87, the guest's x87/MMX state in the host FPU
 *   (x87_load). A memory operand is where the live PROBE points, + op.ptr_off.
 * - The GPR operand (class CC_GPR in reg or rm) may sit in any host register: struct carry_place names it. A written one is written in
 *   full (32-bit results are zero-extended). k.implicit names fixed registers: see enum carry_implicit.
 * - Emits carry_encode()'s bytes. k.fl_read: the guest's arithmetic flags must be in EFLAGS; k.fl_write != 0: the instruction
 *   leaves all six arithmetic flags as the guest must see them; 0: it leaves EFLAGS alone.
 * - After an X87 op without k.x87_is_ctl: c->x87_fip = the instruction's RIP, c->x87_fop = k.fop, at the latest when the block is left,
 *   a helper is called or a host signal arrives. (FDP is plain IR: the lifter emits LEA and STC c->x87_fdp.)
 * - k.mem_align > 1: a misaligned guest address raises #GP(0). The host does it by itself where host and guest page offsets agree; paths that
 *   bounce the operand through a buffer check the guest address before.
 * - Host SIGFPE/SIGSEGV at the instruction becomes the guest's exception carry_vector() with c->rip at the instruction. The signal frame's
 *   MXCSR holds the guest's MXCSR with the new exception flags: store it. For #MF the FPU still holds the pending exception: only FXSAVE,
 *   FNINIT and other non-waiting instructions are safe before x87_sync. */
#ifndef CPU_HELP_CARRY_H
#define CPU_HELP_CARRY_H
#include "cpu/ir/ir.h"
#include "util/err.h"

/* Where a carried instruction's non-vector operands live on the host; -1: none. Memory operand is [base + index + disp] (index -1: none). */
struct carry_place {
    int gpr;
    int base, index;
    i32 disp;
};
#define CARRY_LEN_MAX 15
/* Writes the host instruction (<= CARRY_LEN_MAX bytes) and returns its length. Vector, MMX and ST numbers are kept as they are. */
unsigned carry_encode(u8 *buf, const struct carry *k, const struct carry_place *p);

/* Executes k on c's vector / x87 state; mem: host address of the operand (k->mem_size bytes, aligned as the guest address was), or NULL. Guest
 * flags are loaded before and stored after if k's masks say so. GPR operands are read from / written to c->gpr, FIP and FOP to c->x87_*.
 * A host #XM, #MF or alignment #GP during it becomes the guest's exception. c->rip is the instruction's. Returns false if a memory operand
 * that is written was left alone: an x87 store that met an unmasked exception. */
bool carry_exec(struct cpu *c, const struct carry *k, void *mem);

/* Checks once, at start-up, that this host lets us execute generated code. 0, or -1 with e set. */
int carry_probe(struct err *e);

/* True if the host CPU signal at host pc happened inside carry_exec's generated stub of this thread (the signal handler asks). */
bool carry_owns_pc(const void *pc);
/* For the handler of SIGFPE, SIGSEGV, SIGBUS and SIGILL: if carry_owns_pc of the interrupted pc, rewrites the context so that returning from
 * the handler lands behind the stub, saves the guest state and raises the guest's exception; returns true. Else false, ucontext
 * untouched. Async-signal-safe. */
bool carry_fixup(void *ucontext);
/* The guest exception for a host CPU trap number (REG_TRAPNO of the signal context: 6, 13, 16, 19) raised by a carried instruction, or -1
 * if it cannot be the guest's doing. #XM turns into #UD without CR4.OSXMMEXCPT. #GP comes with error code 0. */
int carry_vector(const struct cpu *c, u64 host_trapno);
/* Raises it; host state has been put back, c holds the guest's. An exception that is not the guest's ends the program. */
NORETURN void carry_raise(struct cpu *c, u64 host_trapno);

#endif
