/* The XSAVE state components that Gemel knows, for the XSAVE helpers, CPUID leaf 0xD and XGETBV. Any thread, except xsave_inuse (vCPU thread).
 * Source: SDM vol. 1 chapter 13. */
#ifndef CPU_HELP_XSAVE_H
#define CPU_HELP_XSAVE_H
#include "cpu/cpu.h"

#define XC_X87 BIT64(0)
#define XC_SSE BIT64(1)
#define XC_AVX BIT64(2)
#define XC_K BIT64(5)       /* k0-7 */
#define XC_ZMM_HI BIT64(6)  /* upper halves of zmm0-15 */
#define XC_ZMM16 BIT64(7)   /* zmm16-31 */
#define XC_AVX512 (XC_K | XC_ZMM_HI | XC_ZMM16)
#define XC_PKRU BIT64(9)
#define XC_ALL (XC_X87 | XC_SSE | XC_AVX | XC_AVX512 | XC_PKRU) /* user components; there are no supervisor ones */
#define XSAVE_COMPONENTS 10
#define XSAVE_HEADER 512 /* offset; 64 bytes */
#define XSAVE_EXT 576    /* first byte behind legacy region and header */

/* Place of component i (2..) in the standard format; size 0: unknown. The offsets are the host's own where it has the component, since with
 * KVM the guest's XSAVE is the host's; else those of Intel processors. */
struct xsave_component {
    u32 size, offset;
    bool align64; /* in the compacted format */
};
struct xsave_component xsave_component(unsigned i);
/* Bytes of the standard format with these components; of the compacted format. Both include legacy region and header. */
u32 xsave_size(u64 components);
u32 xsave_compact_size(u64 components);
/* XINUSE: which components are not in their initial configuration; for XGETBV(1) too. c->vreg must be current; syncs x87. */
u64 xsave_inuse(struct cpu *c);
/* Sets c->zmm_live to what the registers say, after they were set from outside. */
void cpu_zmm_update(struct cpu *c);

#endif
