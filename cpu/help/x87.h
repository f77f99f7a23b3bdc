/* Handing the x87/MMX and vector state over between struct cpu and the host's units. vCPU thread. While c->x87_live the guest's x87 state is
 * in this thread's FPU (C code of ours never uses x87 or MMX); x87_sync moves it to c->fx, x87_load back. */
#ifndef CPU_HELP_X87_H
#define CPU_HELP_X87_H
#include "cpu/cpu.h"

void x87_sync(struct cpu *c);  /* afterwards c->fx is current and x87_live is 0; fixes FIP/FDP/FOP from c->x87_* */
void x87_load(struct cpu *c);  /* makes it live */
void x87_init(struct cpu *c);  /* FNINIT state, MXCSR 0x1f80 is separate */

#endif
