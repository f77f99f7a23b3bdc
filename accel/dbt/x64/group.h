/* Groups of PROBEs whose addresses are one value plus small constants: the first one's check covers the range of all, and their common addend
 * (host minus guest address of the page) stays in a register for the others. If the range is not within one page of the TLB, emitted code
 * continues in a second copy of the instructions in which every PROBE stands for itself. Private to the x64 backend; translating thread. */
#ifndef ACCEL_DBT_X64_GROUP_H
#define ACCEL_DBT_X64_GROUP_H
#include "accel/dbt/x64/ra.h"

#define GROUP_PROBES 160  /* candidates in a block; further ones stand alone */
#define GROUP_REGIONS 32
#define GROUP_NONE 0xff

struct group_probe {
    u16 op;
    u8 insn;
    u8 slot;         /* index of its group's value, enum of ra.h's groups; GROUP_NONE: alone */
    bool first;      /* does the check */
    bool write;      /* first: some PROBE of the group writes */
    u16 last_op;     /* first: end of the last instruction that uses the value */
    i32 lo;          /* first: the range's begin, relative to the a operand's value now */
    u32 len;         /* first: bytes of the range */
    u32 id;          /* the value the address is relative to */
    i64 off;         /* from that value */
    i64 base_off;    /* the a operand's, likewise */
    u8 size;
};
struct group_region { /* instructions that have a second copy */
    u8 first, last;
};
struct groups {
    unsigned n_probes, n_regions;
    struct group_probe p[GROUP_PROBES];
    struct group_region r[GROUP_REGIONS];
};

void groups_find(struct groups *gs, const struct ir_block *b);
/* The record of the PROBE at this op, NULL if it stands alone. */
const struct group_probe *groups_at(const struct groups *gs, unsigned op);

#endif
