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

#endif
