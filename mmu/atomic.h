/* Atomic read-modify-write of guest memory from C code: locked instructions on the interpreter's path. vCPU threads. */
#ifndef MMU_ATOMIC_H
#define MMU_ATOMIC_H
#include "mmu/access.h"

/* Computes the new value from the old one (8 or, for size 16, 16 bytes; the low `size` bytes count). Returns false if nothing is to be
 * written. May be called several times; the last call counts. */
typedef bool mem_rmw_fn(void *opaque, const u64 old[2], u64 new[2]);

/* size 1, 2, 4, 8, or 16 (16-byte aligned, as the caller has checked). Truly atomic against emitted code, other vCPUs and
 * devices on host memory that mem_probe has called PROBE_RAM for writing. */
void host_rmw(void *host, unsigned size, mem_rmw_fn *fn, void *opaque);
/* By linear address, whatever lies there. RAM that does not cross a page, also on a code page, is as atomic as host_rmw. Devices, ROM and
 * page crossings are done under one process-wide lock: atomic against each other only. 0, or -1 with f filled; faults
 * as a write before fn is called. */
int mem_rmw(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, mem_rmw_fn *fn, void *opaque, struct mem_fault *f);

#endif
