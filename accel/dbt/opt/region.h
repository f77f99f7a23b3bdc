/* A region: blocks of IR that form a loop, as the optimiser gets them (accel/dbt/opt). Flat, so that it can be sent to the worker process as bytes.
 * Made under the code lock by form.c, read by emit.c in the worker. */
#ifndef ACCEL_DBT_OPT_REGION_H
#define ACCEL_DBT_OPT_REGION_H
#include "cpu/ir/ir.h"

#define REGION_BLOCKS_MAX 80
#define REGION_INSNS_MAX 320
#define REGION_OPS_MAX 1600

struct region_block {
    u16 off;              /* page offset of its first instruction */
    bool target;          /* indirect jumps of the region may lead here */
    bool entry;           /* the region may be entered here */
    u16 first_op, n_ops;
    u16 first_insn;       /* in insn_off[] */
    u16 next;             /* without a jump at its end: page offset of where it goes on outside of the region */
};

/* The function made of it: u32 region(struct cpu *, u32 n), n the block to begin with. It begins with the guest's registers in struct cpu, runs
 * until it must leave and stores what it has changed, rip and the flags' origin (enum region_flag_op). */
enum region_exit {
    REGION_HEAD,          /* the first instruction of block n is to be done by the block below */
    REGION_REQUEST,       /* exit_request is set */
    REGION_LEAVE,         /* goes on at rip */
};

struct opt_region {
    u64 abi;              /* region_abi() */
    u64 page;             /* of the PCs: all instructions lie in it */
    u32 mode;
    u32 rel;              /* ir_block.rel */
    u16 n_blocks, n_ops, n_insns;
    u16 serial;           /* of the request; comes back with the code */
    struct region_block block[REGION_BLOCKS_MAX]; /* [0]: the head */
    u16 insn_off[REGION_INSNS_MAX];
    struct ir_op op[REGION_OPS_MAX];
};

/* How much of r is in use: op[] is last. */
static inline size_t region_bytes(const struct opt_region *r) { return offsetof(struct opt_region, op) + r->n_ops * sizeof(r->op[0]); }
/* Differs between builds that could not work together. */
static inline u64 region_abi(void)
{
    return sizeof(struct opt_region) ^ sizeof(struct cpu) << 20 ^ (u64)offsetof(struct cpu, exit_request) << 44 ^ (u64)IR_COUNT << 54;
}

/* Origin of the flags, in cpu.scratch[] when a region has been left: the last op that defined them, and its operands. */
enum region_flag_op {
    RF_RAW,         /* a: as cpu.aflags */
    RF_ADD, RF_SUB, /* operands */
    RF_LOGIC,       /* a: the result */
    RF_INC, RF_DEC, /* a: the operand, b: CF */
    RF_SHL, RF_SHR, RF_SAR, RF_IMUL,
};
enum { RF_SLOT_OP, RF_SLOT_A, RF_SLOT_B };
/* op | size << 8 */
static inline u32 region_flag_code(enum region_flag_op op, unsigned size) { return (u32)op | size << 8; }
static inline u16 region_aflags(u32 fl)
{
    return (u16)((fl & (F_CF | F_PF | F_AF | F_ZF | F_SF)) << 8 | (fl & F_OF ? 1 : 0));
}

/* What the optimiser knows: an instruction with another op is where a region ends. */
bool region_op_known(const struct ir_op *o);
/* Makes the region's code: bytes of an ELF object file with functions r0, r1 ... for each. NULL: failed, *why says so. Free with free(). */
u8 *region_compile(const struct opt_region *const *r, unsigned n, int level, size_t *size, const char **why);

#endif
