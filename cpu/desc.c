/* Descriptors and segment registers: reading tables, accessed and busy bits, limit checks. vCPU thread; called by event delivery, task
 * switches and the helpers of far transfers. Source: SDM vol. 3A 3.4, 5.2 to 5.8. */
#include "cpu/desc.h"

void raise_sel(struct cpu *c, int vector, u16 sel) { cpu_raise_err(c, vector, (sel & 0xfffcu) | c->ext); }
void raise_gp0(struct cpu *c) { cpu_raise_err(c, EXC_GP, c->ext); }

bool desc_read(struct cpu *c, u16 sel, struct desc *d)
{
    u64 base = c->gdt.base;
    u32 limit = c->gdt.limit, off = sel & 0xfff8u;
    if (sel & 4) {
        if (!(c->ldt.attr & SEGA_P))
            return false;
        base = c->ldt.base;
        limit = c->ldt.limit;
    }
    if (off + 7 > limit)
        return false;
    d->addr = linear(c, base + off);
    u64 v = cpu_ld_acc(c, d->addr, 8, ACC_READ | ACC_IMPLICIT);
    d->lo = (u32)v;
    d->hi = (u32)(v >> 32);
    d->up = 0;
    return true;
}

void desc_read_high(struct cpu *c, u16 sel, struct desc *d)
{
    u32 limit = sel & 4 ? c->ldt.limit : c->gdt.limit;
    if ((sel & 0xfff8u) + 15 > limit)
        raise_sel(c, EXC_GP, sel);
    u64 v = cpu_ld_acc(c, d->addr + 8, 8, ACC_READ | ACC_IMPLICIT);
    if (v >> 40 & 0x1f)
        raise_sel(c, EXC_GP, sel);
    d->up = (u32)v;
}

void desc_set_type(struct cpu *c, struct desc *d, unsigned type)
{
    d->hi = (d->hi & ~0xf00u) | type << 8;
    cpu_st_acc(c, d->addr + 5, d->hi >> 8 & 0xff, 1, ACC_WRITE | ACC_IMPLICIT);
}

void desc_set_accessed(struct cpu *c, struct desc *d)
{
    if (!(d->hi & 0x100))
        desc_set_type(c, d, desc_type(d) | 1);
}

u64 desc_base(const struct desc *d)
{
    return d->lo >> 16 | (d->hi & 0xff) << 16 | (d->hi & 0xff000000u) | (u64)d->up << 32;
}

u32 desc_limit(const struct desc *d)
{
    u32 limit = (d->lo & 0xffff) | (d->hi & 0xf0000);
    return d->hi & BIT(23) ? limit << 12 | 0xfff : limit;
}

void seg_set(struct seg_reg *s, u16 sel, const struct desc *d)
{
    *s = (struct seg_reg){ .base = desc_base(d), .limit = desc_limit(d), .sel = sel, .attr = desc_attr(d) };
}

/* The limit and the granularity, D/B bits stay: unreal mode. */
void seg_set_real(struct cpu *c, unsigned seg, u16 sel)
{
    struct seg_reg *s = &c->seg[seg];
    s->sel = sel;
    s->base = (u64)sel << 4;
    s->attr = (u16)((s->attr & (SEGA_DB | SEGA_G)) | ATTR_DATA16);
}

void seg_set_vm86(struct seg_reg *s, u16 sel)
{
    *s = (struct seg_reg){ .base = (u64)sel << 4, .limit = 0xffff, .sel = sel, .attr = ATTR_DATA16_U };
}

void seg_set_null(struct seg_reg *s, u16 sel, unsigned dpl)
{
    *s = (struct seg_reg){ .sel = sel, .attr = (u16)(dpl << 5) };
}

void code_check_off(struct cpu *c, const struct desc *d, u64 off)
{
    if (cpu_is_lma(c) && desc_is_long(d) ? !is_canonical(c, off) : off > desc_limit(d))
        raise_gp0(c);
}

void code_check_long(struct cpu *c, u16 sel, const struct desc *d)
{
    if (cpu_is_lma(c) && desc_is_long(d) && desc_is_big(d))
        raise_sel(c, EXC_GP, sel);
}

void cs_enter(struct cpu *c, u16 sel, unsigned cpl, const struct desc *d, u64 off)
{
    seg_set(&c->seg[S_CS], (u16)((sel & 0xfffcu) | cpl), d);
    c->rip = off;
}

/* Types: reads need data or readable code, writes need writable data. */
static bool seg_allows(const struct seg_reg *s, unsigned acc)
{
    if ((s->attr & (SEGA_P | SEGA_S)) != (SEGA_P | SEGA_S))
        return false;
    if (acc & ACC_WRITE)
        return (s->attr & 0xa) == 0x2;
    return (s->attr & 0xa) != 0x8;
}

static bool seg_in_limit(const struct seg_reg *s, u32 off, unsigned size)
{
    u32 last = off + (size - 1);
    if ((s->attr & 0xc) == 0x4) { /* expand-down data */
        u32 top = s->attr & SEGA_DB ? 0xffffffffu : 0xffff;
        return off > s->limit && last >= off && last <= top;
    }
    return last >= off && last <= s->limit;
}

gla_t seg_check(struct cpu *c, unsigned seg, u32 off, unsigned size, unsigned acc)
{
    const struct seg_reg *s = &c->seg[seg];
    if (UNLIKELY(!seg_allows(s, acc) || !seg_in_limit(s, off, size)))
        cpu_raise_err(c, seg == S_SS ? EXC_SS : EXC_GP, 0);
    return (u32)(s->base + off);
}

/* --- stacks --- */
void stack_cur(struct cpu *c, struct stack *s)
{
    bool is64 = cpu_is64(c);
    *s = (struct stack){ .ss = c->seg[S_SS], .flat = is64, .acc = ACC_STACK | cpu_data_acc(c), .err = c->ext };
    s->mask = is64 ? ~0ull : s->ss.attr & SEGA_DB ? 0xffffffffull : 0xffff;
    s->sp = c->gpr[R_SP];
}

void stack_new(struct cpu *c, struct stack *s, const struct seg_reg *ss, u64 sp, unsigned cpl, bool is64)
{
    *s = (struct stack){ .ss = *ss, .flat = is64, .sp = sp, .err = (ss->sel & 0xfffcu) | c->ext };
    s->acc = ACC_STACK | (cpl == 3 ? ACC_USER : ACC_IMPLICIT);
    s->mask = is64 ? ~0ull : ss->attr & SEGA_DB ? 0xffffffffull : 0xffff;
}

/* The linear address of size bytes at offset off of the stack; #SS. */
static gla_t stack_addr(struct cpu *c, const struct stack *s, u64 off, unsigned size)
{
    if (s->flat)
        return off;
    if (!seg_allows(&s->ss, ACC_WRITE) || !seg_in_limit(&s->ss, (u32)off, size))
        cpu_raise_err(c, EXC_SS, s->err);
    return (u32)(s->ss.base + (u32)off);
}

/* Frames that wrap round the top of a 16- or 32-bit stack: item by item, all checked before the first is written. */
static void stack_write_items(struct cpu *c, struct stack *s)
{
    gla_t addr[STACK_MAX];
    struct mem_fault f;
    void *host;
    u64 sp = s->sp;
    for (unsigned i = 0; i < s->n; i++) {
        sp = (sp - s->size) & s->mask;
        addr[i] = stack_addr(c, s, sp, s->size);
        if (mem_probe(cpu_mem(c), addr[i], s->size, ACC_WRITE | s->acc, &host, &f) == PROBE_FAULT)
            cpu_raise_pf(c, &f, s->acc);
    }
    for (unsigned i = 0; i < s->n; i++)
        cpu_st_acc(c, addr[i], s->v[i], s->size, ACC_WRITE | s->acc);
    s->sp = sp;
}

void stack_write(struct cpu *c, struct stack *s)
{
    unsigned bytes = s->n * s->size;
    u64 top = s->sp & s->mask, low = (top - bytes) & s->mask;
    u8 buf[STACK_MAX * 8];
    struct mem_fault f;
    void *host;
    if (low + bytes != top) {
        stack_write_items(c, s);
        return;
    }
    gla_t addr = stack_addr(c, s, low, bytes);
    for (unsigned i = 0; i < s->n; i++)
        memcpy(buf + bytes - (i + 1) * s->size, &s->v[i], s->size);
    if (bytes <= 64) {
        host = cpu_host_hit(c, addr, bytes, ACC_WRITE | s->acc);
        enum probe_result r = host ? PROBE_RAM : mem_probe(cpu_mem(c), addr, bytes, ACC_WRITE | s->acc, &host, &f);
        if (r == PROBE_FAULT)
            cpu_raise_pf(c, &f, s->acc);
        if (r == PROBE_RAM) {
            memcpy(host, buf, bytes);
            s->sp = low;
            return;
        }
    }
    if (mem_write(cpu_mem(c), addr, buf, bytes, ACC_WRITE | s->acc, &f))
        cpu_raise_pf(c, &f, s->acc);
    s->sp = low;
}

u64 stack_pop(struct cpu *c, struct stack *s, unsigned size)
{
    u64 off = s->sp & s->mask;
    u64 v = cpu_ld_acc(c, stack_addr(c, s, off, size), size, ACC_READ | s->acc);
    s->sp = (off + size) & s->mask;
    return v;
}

void sp_set(struct cpu *c, u64 sp)
{
    if (cpu_is64(c))
        c->gpr[R_SP] = sp;
    else if (c->mode & MODE_SS32)
        c->gpr[R_SP] = (u32)sp;
    else
        c->gpr[R_SP] = (c->gpr[R_SP] & ~0xffffull) | (sp & 0xffff);
}

/* --- inner stacks, outer returns --- */
void tss_stack(struct cpu *c, unsigned cpl, u16 *ss, u32 *sp)
{
    bool wide = (c->tr.attr & SEGA_TYPE) & 8;
    u32 off = wide ? 4 + cpl * 8 : 2 + cpl * 4;
    if (!(c->tr.attr & SEGA_P) || off + (wide ? 5 : 3) > c->tr.limit)
        raise_sel(c, EXC_TS, c->tr.sel);
    gla_t addr = linear(c, c->tr.base + off);
    *sp = (u32)cpu_ld_acc(c, addr, wide ? 4 : 2, ACC_READ | ACC_IMPLICIT);
    *ss = (u16)cpu_ld_acc(c, linear(c, addr + (wide ? 4 : 2)), 2, ACC_READ | ACC_IMPLICIT);
}

u64 tss_rsp(struct cpu *c, unsigned off)
{
    if (!(c->tr.attr & SEGA_P) || off + 7 > c->tr.limit)
        raise_sel(c, EXC_TS, c->tr.sel);
    u64 rsp = cpu_ld_acc(c, c->tr.base + off, 8, ACC_READ | ACC_IMPLICIT);
    if (!is_canonical(c, rsp))
        cpu_raise_err(c, EXC_SS, c->ext);
    return rsp;
}

void inner_ss(struct cpu *c, u16 sel, unsigned cpl, struct seg_reg *out)
{
    struct desc d;
    if (sel_is_null(sel))
        raise_sel(c, EXC_TS, 0);
    if (!desc_read(c, sel, &d) || (sel & 3u) != cpl || desc_dpl(&d) != cpl || !desc_is_writable(&d))
        raise_sel(c, EXC_TS, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_SS, sel);
    desc_set_accessed(c, &d);
    seg_set(out, sel, &d);
}

void outer_ss(struct cpu *c, u16 sel, unsigned cpl, bool target64, struct seg_reg *out)
{
    struct desc d;
    if (sel_is_null(sel)) {
        if (!target64 || cpl == 3)
            raise_gp0(c);
        seg_set_null(out, sel, cpl);
        return;
    }
    if (!desc_read(c, sel, &d) || (sel & 3u) != cpl || desc_dpl(&d) != cpl || !desc_is_writable(&d))
        raise_sel(c, EXC_GP, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_SS, sel);
    desc_set_accessed(c, &d);
    seg_set(out, sel, &d);
}

void outer_drop_segs(struct cpu *c, unsigned cpl)
{
    static const u8 data[] = { S_ES, S_DS, S_FS, S_GS };
    for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
        struct seg_reg *s = &c->seg[data[i]];
        bool conforming = (s->attr & 0xc) == 0xc;
        if (s->attr & SEGA_P && !conforming && (s->attr >> 5 & 3u) < cpl)
            s->sel = s->attr = 0; /* the base stays: 64-bit code goes on using that of FS and GS */
    }
}
