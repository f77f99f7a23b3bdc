/* Code of blocks that outlives its place: while a block is compiled, what in its code depends on where it lies, on its descriptor and on the PC is
 * recorded; with that, a copy of the code works at another place (accel/dbt/backend.h: struct code_image). Private to the x64 backend; code lock. */
#ifndef ACCEL_DBT_X64_RELOC_H
#define ACCEL_DBT_X64_RELOC_H
#include "util/base.h"

enum reloc_kind {
    RELOC_REL,      /* rel32 to the block's other part or to common code */
    RELOC_TB,       /* 64 bits: struct tb, and low bits */
    RELOC_PC,       /* 32 bits, sign-extended: an address that moves with the PC */
    RELOC_JC,       /* displacement: the entry of the jump cache for such an address */
    RELOC_JC_PLACE, /* 2 * jc_index() of it */
    RELOC_TLB,      /* displacement: a field of the TLB's entry for it */
};
struct reloc {
    u8 *site;   /* writable address */
    u8 kind;
    i32 pc;     /* JC, JC_PLACE, TLB: the address, from the block's PC */
};

#define RELOCS_MAX 2048
struct relocs {
    unsigned n;
    bool lost;  /* something was not recorded: the code is good for this place only */
    struct reloc r[RELOCS_MAX];
};

static inline void reloc_add(struct relocs *rs, enum reloc_kind kind, u8 *site, i32 pc)
{
    if (rs->n < RELOCS_MAX)
        rs->r[rs->n++] = (struct reloc){ site, (u8)kind, pc };
    else
        rs->lost = true;
}

#endif
