/* How rules tell the SIMD helpers what to do. */
#ifndef CPU_HELP_SIMD_H
#define CPU_HELP_SIMD_H
#include "util/base.h"

/* VGATHERxx, VPGATHERxx; the base register is an argument of its own. */
struct vgather {
    unsigned dest, mask, index; /* vector registers */
    unsigned seg, scale;
    bool asize8;                /* address size 8, else 4 */
    bool esize8, index8;        /* element and index size 8, else 4 */
    bool l256;
    u32 disp;
};
static inline u64 vgather_pack(struct vgather g)
{
    return g.dest | g.mask << 4 | g.index << 8 | g.seg << 12 | g.scale << 16 | g.asize8 << 20 | g.esize8 << 21 | g.index8 << 22 |
           g.l256 << 23 | (u64)g.disp << 32;
}
static inline struct vgather vgather_unpack(u64 p)
{
    return (struct vgather){
        .dest = p & 15, .mask = p >> 4 & 15, .index = p >> 8 & 15, .seg = p >> 12 & 15, .scale = p >> 16 & 3,
        .asize8 = p >> 20 & 1, .esize8 = p >> 21 & 1, .index8 = p >> 22 & 1, .l256 = p >> 23 & 1, .disp = (u32)(p >> 32),
    };
}

/* AVX-512 gathers and scatters; the base register is an argument of its own. */
struct vscatter {
    unsigned reg, mask, index;  /* vector, mask, vector register */
    unsigned seg, scale;
    bool asize8;                /* address size 8, else 4 */
    bool esize8, index8;        /* element and index size 8, else 4 */
    unsigned l;                 /* EVEX.L'L */
    bool store;
    u32 disp;
};
static inline u64 vscatter_pack(struct vscatter s)
{
    return s.reg | s.mask << 5 | s.index << 8 | s.seg << 13 | s.scale << 16 | s.asize8 << 18 | s.esize8 << 19 | s.index8 << 20 | s.l << 21 |
           s.store << 23 | (u64)s.disp << 32;
}
static inline struct vscatter vscatter_unpack(u64 p)
{
    return (struct vscatter){
        .reg = p & 31, .mask = p >> 5 & 7, .index = p >> 8 & 31, .seg = p >> 13 & 7, .scale = p >> 16 & 3, .asize8 = p >> 18 & 1,
        .esize8 = p >> 19 & 1, .index8 = p >> 20 & 1, .l = p >> 21 & 3, .store = p >> 23 & 1, .disp = (u32)(p >> 32),
    };
}

#endif
