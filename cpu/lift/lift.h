/* Guest instructions to IR: the block driver and what the rules use. Translating thread (a vCPU thread). */
#ifndef CPU_LIFT_LIFT_H
#define CPU_LIFT_LIFT_H
#include "cpu/ir/ir.h"

struct lift {
    struct ir_block *b;
    u32 mode;          /* enum cpu_mode */
    unsigned bits;     /* 16, 32, 64 */
    u64 cs_base, cs_limit; /* of now; blocks are not bound to the limit */
    const u64 *feat;
    const u8 *bytes;   /* of the current instruction */
    unsigned ntmp;     /* temporaries used by the current instruction */
    bool end;          /* a rule ended the block */
    u64 next_pc;       /* RIP after the current instruction */
};

/* How the driver gets code bytes: up to n bytes at RIP pc into buf; returns the count, 0 if the page boundary was reached (the block
 * then ends before this instruction; an instruction that crosses a page is lifted alone in a block of its own), -1 if a fetch
 * faulted (the block ends before it; if it is the first instruction the caller has raised already). */
typedef int lift_fetch_fn(void *opaque, u64 pc, u8 *buf, unsigned n);

/* Lifts from pc until a block end, max_insns, or a page end. Undecodable bytes become CALL ud. Returns the number of instructions (>= 1),
 * or -1 if the first fetch faulted. b is overwritten. */
int lift_block(struct ir_block *b, const struct cpu *c, u64 pc, unsigned max_insns, lift_fetch_fn *fetch, void *opaque);
/* The same for code that is patched: code is host memory with the bytes at pc, of which `soft` has a bit for each byte of their page that changes so often
 * that operands in such bytes are to be loads (LDCODE); NULL: none. b->soft_at says which are. */
int lift_block_soft(struct ir_block *b, const struct cpu *c, u64 pc, unsigned max_insns, lift_fetch_fn *fetch, void *opaque, const u8 *code,
                    const u64 *soft);

#endif
