/* Hardware task switches through 16- and 32-bit TSSs. vCPU thread; called by far JMP and CALL, IRET with NT, and task gates in the IDT.
 * The old task is saved and everything that can fault in its context is done before the registers change; what is wrong with the new
 * task's segments is reported in the new task. Source: SDM vol. 3A chapter 7, table 7-1. */
#include "cpu/debug.h"
#include "cpu/desc.h"
#include "util/log.h"

enum { TSS32_LIMIT = 0x67, TSS16_LIMIT = 0x2b };

/* A TSS's dynamic fields, of either size. */
struct tss_image {
    u32 cr3, eip, eflags, gpr[8];
    u16 sel[SEG_COUNT], ldt;
    bool trap;
};

static void tss32_parse(struct tss_image *t, const u8 *b)
{
    t->cr3 = ld32(b + 0x1c);
    t->eip = ld32(b + 0x20);
    t->eflags = ld32(b + 0x24);
    for (unsigned i = 0; i < 8; i++)
        t->gpr[i] = ld32(b + 0x28 + i * 4);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        t->sel[i] = ld16(b + 0x48 + i * 4);
    t->ldt = ld16(b + 0x60);
    t->trap = b[0x64] & 1;
}

/* FS and GS do not exist; the upper halves of the registers become ones. */
static void tss16_parse(struct tss_image *t, const u8 *b)
{
    t->eip = ld16(b + 0x0e);
    t->eflags = ld16(b + 0x10);
    for (unsigned i = 0; i < 8; i++)
        t->gpr[i] = 0xffff0000u | ld16(b + 0x12 + i * 2);
    for (unsigned i = 0; i < 4; i++)
        t->sel[i] = ld16(b + 0x22 + i * 2);
    t->ldt = ld16(b + 0x2a);
}

static void read_tss(struct cpu *c, u64 base, bool wide, struct tss_image *t)
{
    u8 b[TSS32_LIMIT + 1];
    struct mem_fault f;
    memset(t, 0, sizeof(*t));
    if (mem_read(cpu_mem(c), (u32)base, b, wide ? sizeof(b) : TSS16_LIMIT + 1u, ACC_READ | ACC_IMPLICIT, &f))
        cpu_raise_pf(c, &f, 0);
    if (wide)
        tss32_parse(t, b);
    else
        tss16_parse(t, b);
}

/* Saves the current task: EIP to GS (32-bit), IP to DS (16-bit). */
static void save_tss(struct cpu *c, bool wide, u64 next_rip, u32 eflags)
{
    u8 b[0x40];
    unsigned w = wide ? 4 : 2, n = 0, segs = wide ? 6 : 4;
    u32 v[16] = { (u32)next_rip, eflags };
    struct mem_fault f;
    for (unsigned i = 0; i < 8; i++)
        v[2 + i] = (u32)c->gpr[i];
    for (unsigned i = 0; i < segs; i++)
        v[10 + i] = c->seg[i].sel;
    for (; n < 10 + segs; n++)
        memcpy(b + n * w, &v[n], w);
    u32 addr = (u32)(c->tr.base + (wide ? 0x20 : 0x0e));
    if (mem_write(cpu_mem(c), addr, b, n * w, ACC_WRITE | ACC_IMPLICIT, &f))
        cpu_raise_pf(c, &f, 0);
}

/* A busy bit that will be written later must not fault then. */
static void probe_desc(struct cpu *c, const struct desc *d)
{
    struct mem_fault f;
    void *host;
    if (mem_probe(cpu_mem(c), d->addr, 8, ACC_WRITE | ACC_IMPLICIT, &host, &f) == PROBE_FAULT)
        cpu_raise_pf(c, &f, 0);
}

/* --- in the new task --- */
static void load_ldt(struct cpu *c, u16 sel)
{
    struct desc d;
    seg_set_null(&c->ldt, sel, 0);
    if (sel_is_null(sel))
        return;
    if (sel & 4 || !desc_read(c, sel, &d) || desc_is_seg(&d) || desc_type(&d) != SYS_LDT || !desc_present(&d))
        raise_sel(c, EXC_TS, sel);
    seg_set(&c->ldt, sel, &d);
}

static void load_cs(struct cpu *c, u16 sel)
{
    struct desc d;
    unsigned cpl = sel & 3;
    if (sel_is_null(sel) || !desc_read(c, sel, &d) || !desc_is_code(&d))
        raise_sel(c, EXC_TS, sel);
    if (desc_is_conforming(&d) ? desc_dpl(&d) > cpl : desc_dpl(&d) != cpl)
        raise_sel(c, EXC_TS, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_NP, sel);
    desc_set_accessed(c, &d);
    seg_set(&c->seg[S_CS], sel, &d);
}

static void load_ss(struct cpu *c, u16 sel, unsigned cpl)
{
    struct desc d;
    if (sel_is_null(sel) || !desc_read(c, sel, &d) || !desc_is_writable(&d) || desc_dpl(&d) != cpl || (sel & 3u) != cpl)
        raise_sel(c, EXC_TS, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_SS, sel);
    desc_set_accessed(c, &d);
    seg_set(&c->seg[S_SS], sel, &d);
}

static void load_data(struct cpu *c, unsigned seg, u16 sel, unsigned cpl)
{
    struct desc d;
    if (sel_is_null(sel))
        return;
    if (!desc_read(c, sel, &d) || !desc_is_readable(&d))
        raise_sel(c, EXC_TS, sel);
    if (!desc_is_conforming(&d) && (desc_dpl(&d) < cpl || desc_dpl(&d) < (sel & 3u)))
        raise_sel(c, EXC_TS, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_NP, sel);
    desc_set_accessed(c, &d);
    seg_set(&c->seg[seg], sel, &d);
}

static void load_segments(struct cpu *c, const struct tss_image *t)
{
    static const u8 data[] = { S_ES, S_DS, S_FS, S_GS };
    unsigned cpl = t->sel[S_CS] & 3;
    load_ldt(c, t->ldt);
    if (t->eflags & F_VM) {
        for (unsigned i = 0; i < SEG_COUNT; i++)
            seg_set_vm86(&c->seg[i], t->sel[i]);
        return;
    }
    load_ss(c, t->sel[S_SS], cpl);
    for (unsigned i = 0; i < ARRAY_LEN(data); i++)
        load_data(c, data[i], t->sel[data[i]], cpl);
    load_cs(c, t->sel[S_CS]);
}

/* Registers of the new task; its segments are selectors only, unusable, until load_segments(). */
static void load_registers(struct cpu *c, const struct tss_image *t, bool wide)
{
    bool pae_ok = true;
    if (wide && c->cr0 & CR0_PG) {
        pae_ok = !(c->cr4 & CR4_PAE) || pae_load(c, t->cr3);
        c->cr3 = t->cr3;
        cpu_update_mode(c);
        cpu_tlb_flush(c, false);
    }
    c->rip = t->eip;
    cpu_set_rflags(c, t->eflags | 2);
    debug_rf_loaded(c);
    for (unsigned i = 0; i < 8; i++)
        c->gpr[i] = t->gpr[i];
    for (unsigned i = 0; i < SEG_COUNT; i++)
        seg_set_null(&c->seg[i], t->sel[i], t->sel[S_CS] & 3);
    c->cr0 |= CR0_TS;
    c->dr[7] &= ~(u64)DR7_LOCAL;
    cpu_update_mode(c);
    if (!pae_ok)
        raise_sel(c, EXC_TS, c->tr.sel);
}

static void push_error(struct cpu *c, bool wide, u32 error)
{
    struct stack s;
    stack_cur(c, &s);
    s.size = wide ? 4 : 2;
    stack_push(&s, error);
    stack_write(c, &s);
    sp_set(c, s.sp);
}

/* The descriptor of the TSS that TR holds. */
static void current_desc(struct cpu *c, struct desc *d)
{
    if (!desc_read(c, c->tr.sel & 0xfff8, d))
        raise_sel(c, EXC_TS, c->tr.sel);
}

/* The part that runs in the old task: checks, reads, saves. */
static void leave_task(struct cpu *c, u16 sel, struct desc *d, enum task_why why, const struct task_from *from, struct tss_image *t)
{
    bool wide = desc_type(d) & 8, old_wide = c->tr.attr & 8;
    struct desc old;
    if (desc_limit(d) < (wide ? TSS32_LIMIT : TSS16_LIMIT))
        raise_sel(c, EXC_TS, sel);
    current_desc(c, &old);
    read_tss(c, desc_base(d), wide, t);
    probe_desc(c, d);
    probe_desc(c, &old);
    if (why == TASK_CALL || why == TASK_EVENT)
        cpu_st_acc(c, (u32)desc_base(d), c->tr.sel, 2, ACC_WRITE | ACC_IMPLICIT);
    save_tss(c, old_wide, from->rip, why == TASK_IRET ? from->eflags & ~(u32)F_NT : from->eflags);
    if (why == TASK_JMP || why == TASK_IRET)
        desc_set_type(c, &old, desc_type(&old) & ~2u);
    if (why != TASK_IRET)
        desc_set_type(c, d, desc_type(d) | 2);
}

void task_switch(struct cpu *c, u16 sel, struct desc *d, enum task_why why, const struct task_from *from)
{
    struct tss_image t;
    bool wide = desc_type(d) & 8;
    LOG(LOG_PCALL, "cpu %u: task switch %04x -> %04x", c->index, c->tr.sel, sel);
    leave_task(c, sel, d, why, from, &t);
    if (why == TASK_CALL || why == TASK_EVENT)
        t.eflags |= F_NT;
    seg_set(&c->tr, sel, d);
    c->tr.attr |= 2;
    load_registers(c, &t, wide);
    load_segments(c, &t);
    cpu_update_mode(c);
    if (from->has_error)
        push_error(c, wide, from->error);
    if (t.eip > c->seg[S_CS].limit)
        raise_gp0(c);
    if (t.trap) {
        c->delivering = c->ext = 0;
        cpu_raise_db(c, DR6_BT);
    }
}
