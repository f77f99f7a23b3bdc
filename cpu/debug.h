/* Debug registers and all sources of #DB: breakpoints, single-step, task switch, general detect; and alignment checks, which need the same
 * slow mode. vCPU thread. Source: SDM vol. 3B chapter 18 (debug), vol. 3A 6.9 (masking), 6.15 (#DB, #AC).
 *
 * While c->mode has MODE_SLOW or MODE_STEP the run loop interprets one instruction at a time between debug_begin() and debug_end(). */
#ifndef CPU_DEBUG_H
#define CPU_DEBUG_H
#include "cpu/cpu.h"

#define DR6_BITS 0xfu /* B0..B3 */
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define DR6_BT BIT(15)
#define DR6_FIXED 0xffff0ff0u
#define DR7_FIXED 0x400u
#define DR7_GD BIT(13)
#define DR7_ENABLES 0xffu
#define DR7_LOCAL 0x155u /* L0..L3, LE */

/* Before the instruction at c->rip: raises #DB (fault) if an instruction breakpoint is there and RF is clear; notes TF. */
void debug_begin(struct cpu *c);
/* After it completed (c->rip is the next one's; not called if it raised): clears RF unless it was just loaded, raises #DB (trap) for
 * single-step and for data and I/O breakpoints met. After MOV SS / POP SS (int_shadow 2) these wait for the next instruction, before which
 * the run loop has cleared int_shadow again. */
void debug_end(struct cpu *c);
/* Notes data breakpoints and raises #AC for an access in MODE_SLOW; acc: ACC_READ, ACC_WRITE. Before the access. */
void debug_data(struct cpu *c, gla_t addr, unsigned size, unsigned acc);
static inline void debug_check_data(struct cpu *c, gla_t addr, unsigned size, unsigned acc)
{
    if (UNLIKELY(c->mode & MODE_SLOW))
        debug_data(c, addr, size, acc);
}
/* Notes I/O breakpoints for IN, OUT, INS, OUTS. */
void debug_io(struct cpu *c, u16 port, unsigned size);
/* EFLAGS.RF was loaded by IRET or a task switch. Keeps it only while an instruction breakpoint could see it. */
void debug_rf_loaded(struct cpu *c);
/* True if some breakpoint in DR7 is enabled. */
static inline bool debug_armed(const struct cpu *c) { return (c->dr[7] & DR7_ENABLES) != 0; }

#endif
