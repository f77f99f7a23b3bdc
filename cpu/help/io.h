/* Port input and output with all checks of an instruction. vCPU thread; called by helpers. */
#ifndef CPU_HELP_IO_H
#define CPU_HELP_IO_H
#include "cpu/cpu.h"

/* #GP(0) unless the current task may access size bytes at port: IOPL or the TSS's I/O permission bitmap. */
void io_check(struct cpu *c, u16 port, unsigned size);
/* The access itself, after io_check. */
u64 io_read(struct cpu *c, u16 port, unsigned size);
void io_write(struct cpu *c, u16 port, u64 val, unsigned size);
/* As many of n elements of size bytes at one port as the device moves at once, to or from host memory; perhaps none. */
u32 io_string(struct cpu *c, u16 port, unsigned size, void *buf, u32 n, bool write);

#endif
