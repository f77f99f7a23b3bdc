/* String instructions: MOVS STOS LODS CMPS SCAS INS OUTS with their repeat prefixes. vCPU thread; called by emitted code and the interpreter.
 *
 * Registers move in chunks, after the elements of a chunk are done: whatever faults, they say exactly what is left, and rip still points at
 * the instruction. A chunk stays within one page on each side, so that it is host memory or goes element by element.
 * Source: SDM vol. 2 (REP), vol. 1 7.3.9. */
#include "cpu/debug.h"
#include "cpu/help/io.h"
#include "cpu/help/light.h"
#include "cpu/help/operand.h"
#include "cpu/ir/alu.h"
#include "mmu/ram.h"

enum rep { REP_NONE, REP_E, REP_NE };

struct str {
    struct cpu *c;
    unsigned osize, asize, seg;
    enum rep rep;
    bool back;     /* DF */
    bool src, dst; /* which of rSI and rDI it uses */
    bool stop;     /* REPE, REPNE: the condition ended it */
    bool compared;
    u32 fl;        /* of the last comparison; committed when the helper returns, not when it faults */
};

/* Does up to max elements at rSI and rDI, at least one, and returns how many; raises before any of them is done. */
typedef u64 chunk_fn(struct str *s, u64 max);

static u64 reg(const struct str *s, unsigned r) { return zext(s->c->gpr[r], s->asize); }

/* --- how far a chunk may go --- */
static u64 min_u64(u64 a, u64 b) { return a < b ? a : b; }

/* Elements from `pos` on that lie wholly in [low, high]; pos itself lies in it. */
static u64 fit(const struct str *s, u64 pos, u64 low, u64 high)
{
    if (high - pos < s->osize - 1)
        return 0;
    return s->back ? (pos - low) / s->osize + 1 : (high - pos - (s->osize - 1)) / s->osize + 1;
}

static void seg_range(const struct cpu *c, unsigned seg, u64 *low, u64 *high)
{
    const struct seg_reg *s = &c->seg[seg];
    bool down = (c->mode & MODE_PE) && !(c->mode & MODE_VM86) && (s->attr & SEGA_S) && (s->attr & 0xc) == 4;
    *low = down ? (u64)s->limit + 1 : 0;
    *high = !down ? s->limit : s->attr & SEGA_DB ? 0xffffffff : 0xffff;
}

/* Elements from offset off on, at lin, in one page and within the segment and the address size; 0: not even one. */
static u64 span(const struct str *s, unsigned seg, u64 off, gla_t lin)
{
    u64 n = fit(s, lin & (PAGE_SIZE - 1), 0, PAGE_SIZE - 1);
    if (s->asize < 8)
        n = min_u64(n, fit(s, off, 0, MASK64(s->asize * 8)));
    if (!cpu_is64(s->c)) {
        u64 low, high;
        seg_range(s->c, seg, &low, &high);
        n = min_u64(n, off >= low && off <= high ? fit(s, off, low, high) : 0);
    }
    return n;
}

/* --- one side of a chunk --- */
struct side {
    gla_t lin;
    u8 *host;     /* NULL: element by element through the slow path */
    unsigned acc;
    struct ram_block *code; /* of a page that holds translated code: side_written */
    u64 off;      /* in it */
};

static void side_probe(struct str *s, struct side *e, unsigned seg, unsigned r, unsigned acc, u64 *n)
{
    struct cpu *c = s->c;
    struct mem_fault f;
    struct mem_page page;
    u64 off = reg(s, r);
    e->code = NULL;
    e->acc = acc | cpu_data_acc(c) | (seg == S_SS ? ACC_STACK : 0);
    e->lin = seg_linear(c, seg, off, s->osize, s->asize, acc);
    e->host = tlb_hit(cpu_tlb(c), e->lin, s->osize, acc == ACC_WRITE);
    if (!e->host) {
        switch (mem_probe_page(cpu_mem(c), e->lin, s->osize, e->acc, &page, &f)) {
        case PROBE_RAM:
            e->host = page.host;
            e->code = acc == ACC_WRITE ? page.ram : NULL;
            e->off = page.off;
            break;
        case PROBE_SLOW:
            break;
        case PROBE_FAULT:
            c->fault_linear = e->lin;
            cpu_raise_pf(c, &f, e->acc);
        }
    }
    debug_check_data(c, e->lin, s->osize, acc);
    *n = e->host ? min_u64(*n, span(s, seg, off, e->lin)) : 1; /* more than one: both sides have a host */
    if (!*n)
        *n = 1;
}

static u64 element(const u8 *p, unsigned size)
{
    return size == 1 ? *p : size == 2 ? ld16(p) : size == 4 ? ld32(p) : ld64(p);
}

static u64 side_read(struct str *s, const struct side *e)
{
    struct mem_fault f;
    u64 v = 0;
    if (e->host)
        return element(e->host, s->osize);
    if (mem_read(cpu_mem(s->c), e->lin, &v, s->osize, e->acc, &f))
        cpu_raise_pf(s->c, &f, e->acc);
    return v;
}

static void side_write(struct str *s, const struct side *e, u64 v)
{
    struct mem_fault f;
    if (!e->host) {
        if (mem_write(cpu_mem(s->c), e->lin, &v, s->osize, e->acc, &f))
            cpu_raise_pf(s->c, &f, e->acc);
        return;
    }
    switch (s->osize) {
    case 1: *e->host = (u8)v; break;
    case 2: st16(e->host, (u16)v); break;
    case 4: st32(e->host, (u32)v); break;
    default: st64(e->host, v); break;
    }
}

/* n elements from e on have been stored. */
static void side_written(const struct str *s, const struct side *e, u64 n)
{
    if (e->code)
        ram_written(e->code, s->back ? e->off - (n - 1) * s->osize : e->off, n * s->osize);
}

/* Lowest address of n elements the first of which is at p. */
static u8 *low_end(const struct str *s, u8 *p, u64 n) { return s->back ? p - (n - 1) * s->osize : p; }

/* --- the instructions --- */

/* n elements one after the other, where a later one may read what an earlier one wrote. */
static void copy_overlapping(const struct str *s, u8 *dst, const u8 *src, u64 n)
{
    i64 step = s->back ? -(i64)s->osize : s->osize;
    for (; n; n--, dst += step, src += step)
        memmove(dst, src, s->osize);
}

static u64 movs_chunk(struct str *s, u64 n)
{
    struct side src, dst;
    side_probe(s, &src, s->seg, R_SI, ACC_READ, &n);
    side_probe(s, &dst, S_ES, R_DI, ACC_WRITE, &n);
    if (n == 1) {
        side_write(s, &dst, side_read(s, &src));
        side_written(s, &dst, 1);
        return 1;
    }
    u8 *from = low_end(s, src.host, n), *to = low_end(s, dst.host, n);
    u64 bytes = n * s->osize;
    bool apart = to + bytes <= from || from + bytes <= to;
    if (apart || (s->back ? to >= from : to <= from))
        memmove(to, from, bytes);
    else
        copy_overlapping(s, dst.host, src.host, n);
    side_written(s, &dst, n);
    return n;
}

static u64 stos_chunk(struct str *s, u64 n)
{
    struct side dst;
    side_probe(s, &dst, S_ES, R_DI, ACC_WRITE, &n);
    if (n == 1)
        side_write(s, &dst, s->c->gpr[R_AX]);
    else
        host_fill(low_end(s, dst.host, n), s->c->gpr[R_AX], s->osize, n);
    side_written(s, &dst, n);
    return n;
}

static u64 lods_chunk(struct str *s, u64 n)
{
    struct side src;
    side_probe(s, &src, s->seg, R_SI, ACC_READ, &n);
    if (n > 1) /* only the last one stays */
        src.host += (i64)(n - 1) * (s->back ? -(i64)s->osize : s->osize);
    gpr_put(s->c, R_AX, side_read(s, &src), s->osize);
    return n;
}

/* Compares a with b; true if a repeat prefix ends here. */
static bool compare(struct str *s, u64 a, u64 b)
{
    alu_function(IR_CMP)(a, b, s->osize, &s->fl);
    s->compared = true;
    bool equal = s->fl & F_ZF;
    s->stop = s->rep == REP_E ? !equal : equal;
    return s->stop;
}

static u64 cmps_chunk(struct str *s, u64 n)
{
    struct side src, dst;
    side_probe(s, &src, s->seg, R_SI, ACC_READ, &n);
    side_probe(s, &dst, S_ES, R_DI, ACC_READ, &n);
    if (n == 1) {
        u64 a = side_read(s, &src);
        compare(s, a, side_read(s, &dst));
        return 1;
    }
    i64 step = s->back ? -(i64)s->osize : s->osize;
    u64 i = 1, a, b;
    for (;; i++, src.host += step, dst.host += step) {
        a = element(src.host, s->osize);
        b = element(dst.host, s->osize);
        if (i == n || (a == b) != (s->rep == REP_E))
            break;
    }
    compare(s, a, b);
    return i;
}

static u64 scas_chunk(struct str *s, u64 n)
{
    struct side dst;
    u64 acc = zext(s->c->gpr[R_AX], s->osize);
    side_probe(s, &dst, S_ES, R_DI, ACC_READ, &n);
    if (n == 1) {
        compare(s, acc, side_read(s, &dst));
        return 1;
    }
    i64 step = s->back ? -(i64)s->osize : s->osize;
    u64 i = 1, v;
    for (;; i++, dst.host += step) {
        v = element(dst.host, s->osize);
        if (i == n || (v == acc) != (s->rep == REP_E))
            break;
    }
    compare(s, acc, v);
    return i;
}

/* Elements that the device moves at once, upwards from host memory. */
static u32 port_string(struct str *s, const struct side *e, u64 n, bool write)
{
    if (n == 1 || s->back)
        return 0;
    return io_string(s->c, (u16)s->c->gpr[R_DX], s->osize, e->host, (u32)n, write);
}

/* The store is checked before the port is read, whose value would be lost. */
static u64 ins_chunk(struct str *s, u64 n)
{
    struct side dst;
    io_check(s->c, (u16)s->c->gpr[R_DX], s->osize);
    side_probe(s, &dst, S_ES, R_DI, ACC_WRITE, &n);
    u32 moved = port_string(s, &dst, n, false);
    if (!moved) {
        side_write(s, &dst, io_read(s->c, (u16)s->c->gpr[R_DX], s->osize));
        moved = 1;
    }
    side_written(s, &dst, moved);
    return moved;
}

static u64 outs_chunk(struct str *s, u64 n)
{
    struct side src;
    io_check(s->c, (u16)s->c->gpr[R_DX], s->osize);
    side_probe(s, &src, s->seg, R_SI, ACC_READ, &n);
    u32 moved = port_string(s, &src, n, true);
    if (moved)
        return moved;
    io_write(s->c, (u16)s->c->gpr[R_DX], side_read(s, &src), s->osize);
    return 1;
}

/* --- the loop around them --- */
static void advance(struct str *s, unsigned r, u64 n)
{
    u64 bytes = n * s->osize;
    gpr_put(s->c, r, s->c->gpr[r] + (s->back ? -bytes : bytes), s->asize);
}

/* Between two chunks: has somebody a reason to see the instruction half done? */
static bool interrupted(const struct str *s)
{
    return __atomic_load_n(&s->c->exit_request, __ATOMIC_RELAXED) || (s->c->mode & (MODE_STEP | MODE_SLOW));
}

/* What comes between pushes RF = 1, and the instruction goes on without meeting its own breakpoint again (SDM vol. 3B 18.3.1.1). */
static void leave_half_done(struct cpu *c)
{
    c->sysflags |= F_RF;
    c->rf_keep = true;
    c->shadow_was = 0;
    pmu_unfinished(c);
}

/* Where no breakpoint is armed nobody else looks at RF behind an instruction. */
static void leave_done(struct cpu *c)
{
    if (c->sysflags & F_RF && !debug_armed(c))
        c->sysflags &= ~(u32)F_RF;
}

static void run(struct str *s, chunk_fn *chunk, u64 next_rip)
{
    struct cpu *c = s->c;
    u64 left = s->rep ? reg(s, R_CX) : 1;
    u64 most = c->mode & (MODE_STEP | MODE_SLOW) ? 1 : ~0ull;
    bool half_done = false;
    while (left && !half_done) {
        u64 n = chunk(s, min_u64(left, most));
        if (s->src)
            advance(s, R_SI, n);
        if (s->dst)
            advance(s, R_DI, n);
        left -= n;
        if (s->rep)
            gpr_put(c, R_CX, left, s->asize);
        if (s->rep && s->stop)
            break;
        half_done = left && interrupted(s);
    }
    if (s->compared)
        cpu_set_arith(c, s->fl);
    if (half_done) {
        leave_half_done(c);
        return;
    }
    leave_done(c);
    c->rip = next_rip;
}

static struct str unpack(struct cpu *c, u64 a, bool src, bool dst)
{
    return (struct str){ .c = c, .osize = a & 0xff, .asize = a >> 8 & 0xff, .seg = a >> 16 & 0xff, .rep = a >> 24 & 3,
                         .back = c->dflag, .src = src, .dst = dst };
}

u64 help_movs(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct str s = unpack(c, a, true, true);
    run(&s, movs_chunk, next_rip);
    return 0;
}

u64 help_stos(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct str s = unpack(c, a, false, true);
    run(&s, stos_chunk, next_rip);
    return 0;
}

u64 help_lods(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct str s = unpack(c, a, true, false);
    run(&s, lods_chunk, next_rip);
    return 0;
}

u64 help_cmps(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct str s = unpack(c, a, true, true);
    run(&s, cmps_chunk, next_rip);
    return 0;
}

u64 help_scas(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct str s = unpack(c, a, false, true);
    run(&s, scas_chunk, next_rip);
    return 0;
}

u64 help_ins(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct str s = unpack(c, a, false, true);
    run(&s, ins_chunk, next_rip);
    return 0;
}

u64 help_outs(struct cpu *c, u64 a, u64 next_rip, u64 d)
{
    struct str s = unpack(c, a, true, false);
    run(&s, outs_chunk, next_rip);
    return 0;
}
