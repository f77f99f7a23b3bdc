/* Raising exceptions: the single non-local exit, double-fault rules, memory access for C code that may fault.
 * vCPU thread only. Helpers that raise hold no lock and own no heap. Source: SDM vol. 3A chapter 6. */
#ifndef CPU_FAULT_H
#define CPU_FAULT_H
#include "cpu/cpu.h"
#include "mmu/access.h"

/* Why control came back to the run loop's setjmp. */
enum cpu_unwind { UNW_FAULT = 1 /* c->fault holds an exception */, UNW_INTERP_ONE /* interpret the instruction at rip */,
                  UNW_RESTART /* state is consistent, go on */ };

/* c->rip must be the faulting instruction's. Never returns. */
NORETURN void cpu_raise(struct cpu *c, int vector);                 /* without error code */
NORETURN void cpu_raise_err(struct cpu *c, int vector, u32 error);
NORETURN void cpu_raise_pf(struct cpu *c, const struct mem_fault *f, unsigned acc); /* sets CR2 for #PF; #GP/#SS if non-canonical */
NORETURN void cpu_raise_db(struct cpu *c, u64 dr6_bits);            /* #DB as a fault or trap at c->rip */
/* The near indirect branch at c->rip has a target that is not canonical: takes back what it did to rSP (sp_undo is added; positive: and to the
 * stack, for a CALL) and raises #GP(0). */
NORETURN void cpu_branch_fault(struct cpu *c, i64 sp_undo);
NORETURN void cpu_unwind(struct cpu *c, enum cpu_unwind why);

/* Guest memory access by linear address with the current privilege; faults raise. size 1, 2, 4, 8. */
u64 cpu_ld(struct cpu *c, gla_t addr, unsigned size);
void cpu_st(struct cpu *c, gla_t addr, u64 val, unsigned size);
void cpu_ld_bytes(struct cpu *c, gla_t addr, void *buf, unsigned n);
void cpu_st_bytes(struct cpu *c, gla_t addr, const void *buf, unsigned n);
/* The same with explicit rights: enum access bits (ACC_USER, ACC_IMPLICIT, ACC_STACK, ACC_RMW). */
u64 cpu_ld_acc(struct cpu *c, gla_t addr, unsigned size, unsigned acc);
void cpu_st_acc(struct cpu *c, gla_t addr, u64 val, unsigned size, unsigned acc);
/* Host address of [addr, addr + size) if the TLB has it for this access, else NULL: use mem_probe(). */
u8 *cpu_host_hit(struct cpu *c, gla_t addr, unsigned size, unsigned acc);
/* The access bits of ordinary data accesses in the current mode (ACC_USER at CPL 3). */
unsigned cpu_data_acc(const struct cpu *c);
/* The TLB table of ordinary data accesses in the current mode. */
static inline struct tlb_table *cpu_tlb(struct cpu *c)
{
    return &c->tlb.t[cpu_cpl(c) == 3 ? TLB_USER : c->mode & MODE_SMAP_AC ? TLB_KERNEL_SMAP : TLB_KERNEL];
}
/* This vCPU's memory context (tlb, address space, hooks). */
struct mem_ctx *cpu_mem(struct cpu *c);

/* What an event counts as when the next one comes while it is being delivered (SDM vol. 3A table 6-5). */
enum fault_class { FC_NONE, FC_BENIGN, FC_CONTRIBUTORY, FC_PAGE, FC_DOUBLE };

/* Delivers c->fault (after unwinding) with double- and triple-fault rules; interrupts and NMI come the same way.
 * Implemented by cpu/intr.c; these run on the run loop, outside emitted code.
 * Delivery may itself raise: nothing but memory was changed then, c->delivering holds the class of the event that was being
 * delivered, and the run loop, landing in its setjmp with UNW_FAULT as ever, calls cpu_deliver_fault() again, which combines the two
 * into #DF or a triple fault as the table says. So all three must be called with c->fault_jmp valid. */
void cpu_deliver_fault(struct cpu *c);
void cpu_deliver_interrupt(struct cpu *c, int vector);
/* The NMI pin: one NMI can be latched while another is in service, from its delivery (which blocks) to an IRET. */
void cpu_nmi_raise(struct cpu *c);            /* any thread */
bool cpu_nmi_ready(const struct cpu *c);      /* one waits and is not blocked */
void cpu_nmi_take(struct cpu *c);             /* delivers the one that is ready */
void cpu_nmi_unblock(struct cpu *c);
enum soft_int_kind { SOFT_INTN, SOFT_INT3, SOFT_INTO, SOFT_INT1 };
/* INT n, INT3, INTO (if OF), INT1 from an instruction; next_rip is the return address. May raise. */
void cpu_soft_int(struct cpu *c, int vector, u64 next_rip, int kind);

#endif
