/* Control register writes that other parts of the CPU make too: task switches, MSRs, XRSTOR. vCPU thread. */
#ifndef CPU_PAGING_H
#define CPU_PAGING_H
#include "cpu/cpu.h"

/* MOV CR0 without the privilege check; #GP. */
void cpu_write_cr0(struct cpu *c, u64 val);
/* False: #GP. */
bool cpu_write_efer(struct cpu *c, u64 val);
/* WRPKRU and XRSTOR. */
void cpu_set_pkru(struct cpu *c, u32 val);

#endif
