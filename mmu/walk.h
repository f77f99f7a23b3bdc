/* Page walks: 32-bit, PAE, 4-level and 5-level, from a plain struct of paging registers. Runs on the vCPU's thread (or on
 * any thread with `probe` set, for debuggers). Source: SDM vol. 3A chapter 4. */
#ifndef MMU_WALK_H
#define MMU_WALK_H
#include "mmu/addr.h"

struct aspace;
/* Copies of the registers that paging depends on; kept by cpu_update_mode(). */
struct walk_regs {
    bool pg, pae, lma, la57, pse, pge, wp, nxe, smep, smap, pke, pcide;
    bool ac;           /* EFLAGS.AC */
    u8 phys_bits;      /* MAXPHYADDR */
    bool has_1g;
    u32 pkru;
    u64 cr3;
    const u64 *pdpte;  /* PAE */
    bool a20_mask;     /* A20 gate closed: physical bit 20 forced to 0 */
};

/* Result of a walk. */
struct walk {
    gpa_t gpa;         /* of the byte asked for */
    u8 page_bits;      /* 12, 21, 22, 30 */
    bool user, write, nx, global, dirty; /* combined rights; dirty: leaf D bit is set */
    u8 pkey;
    u32 error;         /* page-fault error code if the walk failed */
};

/* acc: enum access. Sets A and, for writes, D atomically unless probe. 0, or -1 with error set (a #PF).
 * With paging off: identity. The address must be canonical in long mode (callers check). */
int walk_page(const struct walk_regs *r, struct aspace *mem, gla_t addr, unsigned acc, bool probe, struct walk *out);

#endif
