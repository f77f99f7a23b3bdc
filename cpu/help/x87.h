/* Handing the x87/MMX and vector state over between struct cpu and the host's units. vCPU thread. While c->x87_live the guest's x87 state is
 * in this thread's FPU (C code of ours never uses x87 or MMX); x87_sync moves it to c->fx, x87_load back.
 *
 * c->fx is a 64-bit FXSAVE image of which only the x87 part (FX_X87_BYTES less MXCSR) is used. The last instruction and operand pointers and
 * the opcode live in c->x87_fip, x87_fdp, x87_fop at all times; x87_sync copies them into the image, whatever the host had there.
 * The selectors x87_fcs and x87_fds are 0 always: CPUID says that they are deprecated (feature zero-fcs-fds). */
#ifndef CPU_HELP_X87_H
#define CPU_HELP_X87_H
#include "cpu/cpu.h"

/* Offsets in an FXSAVE image (SDM vol. 1 table 10-2). */
enum {
    FX_FCW = 0, FX_FSW = 2, FX_FTW = 4 /* abridged: bit set = not empty */, FX_FOP = 6, FX_FIP = 8, FX_FCS = 12, FX_FDP = 16, FX_FDS = 20,
    FX_MXCSR = 24, FX_MXCSR_MASK = 28, FX_ST = 32, FX_X87_BYTES = 160, FX_XMM = 160,
};
#define MXCSR_INIT 0x1f80u
#define MXCSR_MASK 0xffffu /* bits that exist; the AMD misaligned-exception mask is not offered */

void x87_sync(struct cpu *c);  /* afterwards c->fx is current and x87_live is 0; the host FPU is in its initial state */
void x87_load(struct cpu *c);  /* makes it live; no-op if it is */
void x87_init(struct cpu *c);  /* FNINIT state in c->fx (not live), FIP, FDP, FOP = 0; MXCSR 0x1f80 is separate */

/* A pending x87 exception met by a waiting instruction: #MF, or with CR0.NE = 0 IRQ 13 and another try, as the processor stands still until
 * an interrupt comes. */
NORETURN void x87_raise_mf(struct cpu *c);

/* Full tag word (2 bits a register, by physical number) of the image in c->fx, and the abridged one of a full one. */
u16 x87_tag_word(const struct cpu *c);
static inline u8 x87_abridge(u16 ftw)
{
    u8 r = 0;
    for (unsigned i = 0; i < 8; i++) {
        r |= (u8)(((ftw >> (2 * i) & 3) != 3) << i);
    }
    return r;
}
/* Changes TOP of the image in c->fx: physical registers stay where they are, the image is in stack order. */
void x87_set_top(struct cpu *c, unsigned top);
/* After FCW and FSW were loaded by software: reserved FCW bits, and FSW.ES and B as the unmasked exception bits say. */
void x87_fix_control(struct cpu *c);
/* The x87 part of an FXSAVE or XSAVE image from and to the state. wide: 64-bit FIP and FDP (REX.W), else 32 bits and selectors. */
void x87_put_image(struct cpu *c, u8 *img, bool wide);
void x87_get_image(struct cpu *c, const u8 *img, bool wide);

#endif
