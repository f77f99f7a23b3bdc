/* Model-specific registers: access by number, for RDMSR, WRMSR and whoever saves or shows CPU state. vCPU thread, or any while it is stopped. */
#ifndef CPU_MSR_H
#define CPU_MSR_H
#include "cpu/cpu.h"

/* False: no such MSR, or a value that it does not take (#GP). */
bool msr_read(struct cpu *c, u32 num, u64 *val);
bool msr_write(struct cpu *c, u32 num, u64 val);
/* i-th MSR with a row of its own and its name; NULL past the last. */
const char *msr_name_nth(unsigned i, u32 *num);
/* The guest's time-stamp counter. */
u64 cpu_tsc(struct cpu *c);

#endif
