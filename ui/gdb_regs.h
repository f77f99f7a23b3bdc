/* A CPU's registers as gdb numbers them, and the target description that tells gdb so. Main thread, the VM is stopped. */
#ifndef UI_GDB_REGS_H
#define UI_GDB_REGS_H
#include <glib.h>
#include "cpu/cpu.h"

#define GDB_REG_MAX 32 /* bytes of the largest register */

struct gdb_regs;
/* The description for a CPU of c's model: x86-64 if it has long mode, else i386. */
struct gdb_regs *gdb_regs_new(const struct cpu *c);
void gdb_regs_free(struct gdb_regs *r);
const char *gdb_regs_xml(const struct gdb_regs *r);
unsigned gdb_regs_count(const struct gdb_regs *r);
/* Stores register n, little-endian, at buf, which has room for GDB_REG_MAX bytes; returns its size, 0 if there is no such register. */
unsigned gdb_reg_read(const struct gdb_regs *r, const struct cpu *c, unsigned n, u8 *buf);
/* Takes register n from buf. Returns its size, 0 if there is no such register or len is too short, -1 if it cannot be given this
 * value (then it is unchanged). The caller calls vm_regs_changed() afterwards. */
int gdb_reg_write(const struct gdb_regs *r, struct cpu *c, unsigned n, const u8 *buf, size_t len);

#endif
