/* Helpers of SIMD instructions whose memory accesses are decided element by element: masked moves, gathers, scatters. vCPU thread, called by emitted
 * code and the interpreter. Source: SDM vol. 2 MASKMOVDQU, VMASKMOV, VPMASKMOV, VGATHER, VPGATHER, VSCATTER, VPSCATTER. */
#include "cpu/help/simd.h"
#include "cpu/debug.h"
#include "cpu/help/operand.h"
#include "cpu/help/x87.h"

/* Elements of `size` bytes at seg:off; those with a bit in `selected` are accessed. */
struct elements {
    unsigned seg, asize, size, count;
    u64 off;
    u32 selected;
};

static gla_t element_linear(struct cpu *c, const struct elements *e, unsigned i, unsigned acc)
{
    return seg_linear(c, e->seg, e->off + i * e->size, e->size, e->asize, acc);
}

/* Rights of an ordinary access through the segment. */
static unsigned seg_acc(const struct cpu *c, unsigned seg)
{
    return cpu_data_acc(c) | (seg == S_SS ? ACC_STACK : 0);
}

static u64 seg_load(struct cpu *c, unsigned seg, gla_t lin, unsigned size)
{
    debug_check_data(c, lin, size, ACC_READ);
    return cpu_ld_acc(c, lin, size, ACC_READ | seg_acc(c, seg));
}

/* Raises what a write of size bytes there would raise. */
static void write_check(struct cpu *c, const struct elements *e, gla_t lin, unsigned size)
{
    struct mem_fault f;
    void *host;
    unsigned acc = ACC_WRITE | seg_acc(c, e->seg);
    if (mem_probe(cpu_mem(c), lin, size, acc, &host, &f) == PROBE_FAULT) {
        cpu_raise_pf(c, &f, acc);
    }
}

/* All faults of a store come before its first byte. */
static void elements_store(struct cpu *c, const struct elements *e, const u8 *from)
{
    gla_t lin[32];
    for (unsigned i = 0; i < e->count; i++) {
        if (e->selected >> i & 1) {
            lin[i] = element_linear(c, e, i, ACC_WRITE);
            write_check(c, e, lin[i], e->size);
        }
    }
    for (unsigned i = 0; i < e->count; i++) {
        if (e->selected >> i & 1) {
            u64 v = 0;
            memcpy(&v, from + i * e->size, e->size);
            cpu_st(c, lin[i], v, e->size);
        }
    }
}

/* Elements that are not selected become zero. */
static void elements_load(struct cpu *c, const struct elements *e, u8 *to)
{
    for (unsigned i = 0; i < e->count; i++) {
        u64 v = e->selected >> i & 1 ? seg_load(c, e->seg, element_linear(c, e, i, ACC_READ), e->size) : 0;
        memcpy(to + i * e->size, &v, e->size);
    }
}

/* One bit for each element whose top bit is set. */
static u32 sign_bits(const u8 *mask, unsigned size, unsigned count)
{
    u32 r = 0;
    for (unsigned i = 0; i < count; i++) {
        r |= (u32)(mask[i * size + size - 1] >> 7) << i;
    }
    return r;
}

/* MM registers a and b as MASKMOVQ sees them, after the transition to MMX state that every MMX instruction makes. */
static void mmx_enter(struct cpu *c)
{
    x87_sync(c);
    if (ld16(c->fx + FX_FSW) & 0x80) {
        x87_raise_mf(c);
    }
    x87_set_top(c, 0);
    c->fx[FX_FTW] = 0xff;
}

u64 help_maskmov(struct cpu *c, u64 a, u64 b, u64 d)
{
    bool xmm = d & 1;
    const u8 *src = xmm ? c->vreg[a] : c->fx + FX_ST + 16 * (a & 7);
    const u8 *mask = xmm ? c->vreg[b] : c->fx + FX_ST + 16 * (b & 7);
    if (!xmm) {
        mmx_enter(c);
    }
    struct elements e = { .seg = d >> 16 & 0xff, .asize = d >> 8 & 0xff, .size = 1, .count = xmm ? 16 : 8, .off = c->gpr[R_DI] };
    e.selected = sign_bits(mask, 1, e.count);
    /* Bytes that are not selected may fault too (SDM: implementation-dependent); processors check the operand as a whole. */
    write_check(c, &e, seg_linear(c, e.seg, e.off, e.count, e.asize, ACC_WRITE), e.count);
    elements_store(c, &e, src);
    return 0;
}

u64 help_vmaskmov(struct cpu *c, u64 a, u64 b, u64 d)
{
    u8 *reg = c->vreg[a & 15];
    struct elements e = { .seg = a >> 40 & 0xff, .asize = a >> 48 & 0xff, .size = a >> 16 & 0xff, .off = b };
    unsigned len = a >> 24 & 0xff;
    e.count = len / e.size;
    e.selected = sign_bits(c->vreg[a >> 8 & 15], e.size, e.count);
    if (a >> 32 & 1) {
        elements_store(c, &e, reg);
        return 0;
    }
    u8 val[32];
    elements_load(c, &e, val);
    memcpy(reg, val, len);
    memset(reg + len, 0, sizeof(c->vreg[0]) - len);
    return 0;
}

/* Each mask element becomes all ones or all zeros. */
static void mask_widen(u8 *mask, unsigned size, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        memset(mask + i * size, mask[i * size + size - 1] >> 7 ? 0xff : 0, size);
    }
    memset(mask + count * size, 0, 64 - count * size);
}

/* A fault at the first element changes nothing. Elements complete in order; each clears its mask element, so that the instruction goes on after a fault where it was. */
u64 help_vgather(struct cpu *c, u64 a, u64 b, u64 d)
{
    struct vgather g = vgather_unpack(a);
    u8 *dest = c->vreg[g.dest], *mask = c->vreg[g.mask];
    const u8 *index = c->vreg[g.index];
    unsigned esize = g.esize8 ? 8 : 4, isize = g.index8 ? 8 : 4, len = g.l256 ? 32 : 16, count = len / MAX_OF(esize, isize);
    bool widened = false;
    for (unsigned i = 0; i < count; i++) {
        if (mask[i * esize + esize - 1] >> 7) {
            u64 idx = g.index8 ? ld64(index + 8 * i) : (u64)(i64)(i32)ld32(index + 4 * i);
            u64 off = b + (idx << g.scale) + (u64)(i64)(i32)g.disp;
            u64 v = seg_load(c, g.seg, seg_linear(c, g.seg, off, esize, g.asize8 ? 8 : 4, ACC_READ), esize);
            if (!widened) {
                mask_widen(mask, esize, count);
            }
            widened = true;
            memcpy(dest + i * esize, &v, esize);
            memset(mask + i * esize, 0, esize);
        }
    }
    if (!widened) {
        mask_widen(mask, esize, count);
    }
    memset(dest + count * esize, 0, sizeof(c->vreg[0]) - count * esize);
    return 0;
}

/* One element of an AVX-512 gather or scatter. */
static void scatter_element(struct cpu *c, const struct vscatter *s, unsigned i, u64 base)
{
    unsigned esize = s->esize8 ? 8 : 4;
    const u8 *index = c->vreg[s->index];
    u8 *reg = c->vreg[s->reg] + i * esize;
    u64 idx = s->index8 ? ld64(index + 8 * i) : (u64)(i64)(i32)ld32(index + 4 * i), v = 0;
    u64 off = base + (idx << s->scale) + (u64)(i64)(i32)s->disp;
    struct elements e = { .seg = s->seg, .asize = s->asize8 ? 8 : 4, .size = esize, .off = off };
    gla_t lin = element_linear(c, &e, 0, s->store ? ACC_WRITE : ACC_READ);
    if (s->store) {
        memcpy(&v, reg, esize);
        write_check(c, &e, lin, esize);
        cpu_st(c, lin, v, esize);
        return;
    }
    v = seg_load(c, s->seg, lin, esize);
    memcpy(reg, &v, esize);
}

/* Elements complete in order and each clears its mask bit, so that the instruction goes on after a fault where it was. */
u64 help_evgather(struct cpu *c, u64 a, u64 b, u64 d)
{
    struct vscatter s = vscatter_unpack(a);
    unsigned esize = s.esize8 ? 8 : 4, isize = s.index8 ? 8 : 4, vl = 16u << s.l, count = vl / MAX_OF(esize, isize);
    c->zmm_live = 1;
    for (unsigned i = 0; i < count; i++) {
        if (c->kreg[s.mask] >> i & 1) {
            scatter_element(c, &s, i, b);
            if (!s.store) {
                memset(c->vreg[s.reg] + vl, 0, sizeof(c->vreg[0]) - vl);
            }
            c->kreg[s.mask] &= ~BIT64(i);
        }
    }
    c->kreg[s.mask] = 0;
    if (!s.store) {
        memset(c->vreg[s.reg] + count * esize, 0, sizeof(c->vreg[0]) - count * esize);
    }
    return 0;
}

u64 help_vzero(struct cpu *c, u64 a, u64 b, u64 d)
{
    unsigned keep = a ? 0 : 16;
    for (unsigned i = 0; i < 8; i++) {
        memset(c->vreg[i] + keep, 0, sizeof(c->vreg[0]) - keep);
    }
    return 0;
}
