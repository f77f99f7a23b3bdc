/* Address kinds and access types; shared by mmu/, cpu/, hw/. Only mmu/ converts one kind into another. */
#ifndef MMU_ADDR_H
#define MMU_ADDR_H
#include "util/base.h"

typedef u64 gpa_t; /* guest physical */
typedef u64 gla_t; /* guest linear: after segmentation, before paging */

#define PAGE_BITS 12
#define PAGE_SIZE 4096ull
#define PAGE_MASK (~(PAGE_SIZE - 1))

enum access {
    ACC_READ = 1,
    ACC_WRITE = 2,
    ACC_EXEC = 4,
    ACC_RMW = ACC_READ | ACC_WRITE, /* read of a read-modify-write: faults as a write */
    ACC_USER = 8,                   /* CPL 3 (after the implicit-supervisor rule) */
    ACC_STACK = 16,                 /* through SS: a non-canonical address raises #SS, not #GP */
    ACC_IMPLICIT = 32,              /* implicit supervisor access (descriptor tables, TSS): EFLAGS.AC does not open SMAP */
    ACC_MASKED = 64,                /* PROBE of the IR only: elements may be masked off; what does not succeed is not a fault yet */
};

#endif
