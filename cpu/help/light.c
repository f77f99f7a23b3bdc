/* The light ways of helpers (light.h). This file is compiled without vector instructions. vCPU thread; called by emitted code.
 * Source: the helpers themselves. */
#include "cpu/help/light.h"
#include "cpu/desc.h"
#include "cpu/fault.h"
#include "cpu/help/simd.h"
#include "util/clock.h"

static const struct light undone = { 0, 1 }, done = { 0, 0 };

/* --- flags and system registers --- */
static struct light light_pushf_val(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (cpu_is_vm86(c))
        return undone;
    return (struct light){ cpu_rflags(c) & ~(u64)(F_VM | F_RF), 0 };
}

/* With nothing in sight that the shadow keeps off, what comes first may be executed at once. */
static struct light light_sti(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    if (!(c->mode & MODE_IOPL_OK) || c->mode & (MODE_SLOW | MODE_STEP) || cpu_intr_ready(c) ||
        __atomic_load_n(&c->exit_request, __ATOMIC_RELAXED) || __atomic_load_n(&c->nmi_pending, __ATOMIC_RELAXED))
        return undone;
    if (!c->iflag) {
        c->shadow_was = 1;
        c->shadow_pc = next_rip;
    }
    c->iflag = 1;
    return done;
}

static struct light light_rdfsgs(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (!(c->cr4 & CR4_FSGSBASE))
        return undone;
    return (struct light){ c->seg[S_FS + a].base, 0 };
}

static struct light light_wrfsgs(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (!(c->cr4 & CR4_FSGSBASE) || !is_canonical(c, b))
        return undone;
    c->seg[S_FS + a].base = b;
    return done;
}

static struct light light_swapgs(struct cpu *c, u64 a, u64 b, u64 d)
{
    u64 t = c->seg[S_GS].base;
    if (cpu_cpl(c))
        return undone;
    c->seg[S_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = t;
    return done;
}

static struct light light_rdpkru(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (!(c->cr4 & CR4_PKE) || (u32)c->gpr[R_CX])
        return undone;
    c->gpr[R_AX] = c->pkru;
    c->gpr[R_DX] = 0;
    return done;
}

/* --- time-stamp counter --- */
static struct light light_rdtsc(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (!c->tsc_base || (c->cr4 & CR4_TSD && cpu_cpl(c)))
        return undone;
    u64 tsc = (u64)clock_base_ns(c->tsc_base) + c->tsc_offset;
    c->gpr[R_AX] = (u32)tsc;
    c->gpr[R_DX] = tsc >> 32;
    return done;
}

static struct light light_rdtscp(struct cpu *c, u64 a, u64 b, u64 d)
{
    struct light l = light_rdtsc(c, a, b, d);
    if (!l.undone)
        c->gpr[R_CX] = (u32)c->tsc_aux;
    return l;
}

/* --- string instructions of 64-bit code, forwards, within one page of RAM on each side --- */
struct span {
    u64 n, bytes;
    u8 *host;
};

/* Unpacks a, as cpu/help/string.c does; false: another case. */
static bool span_open(struct cpu *c, u64 a, struct span *s)
{
    unsigned rep = a >> 24 & 3;
    s->n = rep ? c->gpr[R_CX] : 1;
    s->bytes = s->n * (a & 0xff);
    return cpu_is64(c) && (a >> 8 & 0xff) == 8 && !c->dflag && s->n <= PAGE_SIZE && s->bytes <= PAGE_SIZE &&
           !(c->mode & (MODE_SLOW | MODE_STEP)) && !(c->sysflags & F_RF) && !c->memctx.journal;
}

/* The host address of the span at segment seg's offset in register r, or NULL. */
static u8 *span_host(struct cpu *c, const struct span *s, unsigned seg, unsigned r, bool write)
{
    u64 base = seg == S_FS || seg == S_GS ? c->seg[seg].base : 0;
    return tlb_hit(cpu_tlb(c), base + c->gpr[r], (unsigned)s->bytes, write);
}

static void span_leave(struct cpu *c, u64 a, u64 next_rip)
{
    if (a >> 24 & 3)
        c->gpr[R_CX] = 0;
    c->rip = next_rip;
}

static struct light light_movs(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct span s;
    if (!span_open(c, a, &s))
        return undone;
    if (s.n) {
        const u8 *from = span_host(c, &s, a >> 16 & 0xff, R_SI, false);
        u8 *to = span_host(c, &s, S_ES, R_DI, true);
        u64 left = s.bytes;
        if (!from || !to || (to < from + s.bytes && from < to + s.bytes))
            return undone;
        c->gpr[R_SI] += s.bytes;
        c->gpr[R_DI] += s.bytes;
        __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(left) : : "memory");
    }
    span_leave(c, a, next_rip);
    return done;
}

static struct light light_stos(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct span s;
    if (!span_open(c, a, &s))
        return undone;
    if (s.n) {
        u8 *to = span_host(c, &s, S_ES, R_DI, true);
        if (!to)
            return undone;
        c->gpr[R_DI] += s.bytes;
        host_fill(to, c->gpr[R_AX], a & 0xff, s.n);
    }
    span_leave(c, a, next_rip);
    return done;
}

/* --- gathers of 64-bit code whose elements are all in the TLB --- */
/* The host address of element i; NULL: it is not in the TLB. */
static const u8 *gather_host(struct cpu *c, const struct vgather *g, unsigned i, u64 base, u64 seg)
{
    const u8 *index = c->vreg[g->index];
    u64 idx = g->index8 ? ld64(index + 8 * i) : (u64)(i64)(i32)ld32(index + 4 * i);
    u64 off = base + (idx << g->scale) + (u64)(i64)(i32)g->disp;
    return tlb_hit(cpu_tlb(c), seg + (g->asize8 ? off : (u32)off), g->esize8 ? 8 : 4, false);
}

static struct light light_vgather(struct cpu *c, u64 a, u64 base, u64 d)
{
    struct vgather g = vgather_unpack(a);
    unsigned esize = g.esize8 ? 8 : 4, count = (g.l256 ? 32u : 16u) / (g.esize8 || g.index8 ? 8 : 4);
    u8 *dest = c->vreg[g.dest];
    const u8 *mask = c->vreg[g.mask], *from[8];
    u64 seg = g.seg >= S_FS ? c->seg[g.seg].base : 0;
    if (!cpu_is64(c))
        return undone;
    for (unsigned i = 0; i < count; i++) {
        from[i] = dest + i * esize;
        if (mask[i * esize + esize - 1] >> 7 && !(from[i] = gather_host(c, &g, i, base, seg)))
            return undone;
    }
    for (unsigned i = 0; i < count; i++) {
        if (g.esize8)
            st64(dest + 8 * i, ld64(from[i]));
        else
            st32(dest + 4 * i, ld32(from[i]));
    }
    for (unsigned i = count * esize; i < 32; i += 8)
        st64(dest + i, 0);
    for (unsigned i = 0; i < 32; i += 8)
        st64(c->vreg[g.mask] + i, 0);
    return done;
}

light_fn *const light_table[HELP_COUNT] = {
    [HELP_vgather] = light_vgather,
    [HELP_pushf_val] = light_pushf_val, [HELP_sti] = light_sti, [HELP_rdfsgs] = light_rdfsgs, [HELP_wrfsgs] = light_wrfsgs,
    [HELP_rdtsc] = light_rdtsc, [HELP_rdtscp] = light_rdtscp,
    [HELP_swapgs] = light_swapgs, [HELP_rdpkru] = light_rdpkru, [HELP_movs] = light_movs, [HELP_stos] = light_stos,
};
