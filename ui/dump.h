/* A guest's memory and registers as an ELF core file, for crash, gdb and drgn. Main thread, the VM stopped. */
#ifndef UI_DUMP_H
#define UI_DUMP_H
#include "accel/accel.h"
#include "util/err.h"

/* What of guest physical memory is dumped: RAM and ROM from begin on, length bytes; length 0: everything. */
struct dump_range {
    u64 begin, length;
};
/* Bytes; 0: there is no memory in that range. */
u64 dump_size(struct vm *vm, const struct dump_range *r);
/* Writes the file; *done counts the bytes of memory written. 0, or -1 with e set. */
int dump_write(struct vm *vm, const struct dump_range *r, int fd, u64 *done, struct err *e);

#endif
