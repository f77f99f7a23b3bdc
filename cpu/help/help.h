/* Helpers: C functions that emitted code and the interpreter call for what is not IR. vCPU thread; struct cpu holds the whole state
 * (c->rip is the current instruction's RIP) on entry and on return; they may leave through cpu_raise(). Rows in help.def. */
#ifndef CPU_HELP_HELP_H
#define CPU_HELP_HELP_H
#include "cpu/cpu.h"

/* X(name, nargs, effects, comment): u64 help_name(struct cpu *c, u64 a, u64 b, u64 d).
 * effects: HE_RAISE may raise; HE_ENDS changes rip/mode: block ends after it; HE_VEC reads or writes vector or x87 state (others must
 * not touch vector registers' architectural state in struct cpu, so that backends may keep them in host registers). */
enum { HE_RAISE = 1, HE_ENDS = 2, HE_VEC = 4 };
enum help_id {
#define X(name, nargs, effects, comment) HELP_##name,
#include "cpu/help/help.def"
#undef X
    HELP_COUNT
};
typedef u64 help_fn(struct cpu *c, u64 a, u64 b, u64 d);
#define X(name, nargs, effects, comment) u64 help_##name(struct cpu *c, u64 a, u64 b, u64 d);
#include "cpu/help/help.def"
#undef X
struct help_info {
    const char *name;
    help_fn *fn;
    u8 nargs, effects;
};
extern const struct help_info help_table[HELP_COUNT];

#endif
