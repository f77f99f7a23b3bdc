/* A CPU with descriptor tables; see pm_cpu.h. Test threads. */
#include "tests/lib/pm_cpu.h"
#include <glib.h>
#include <setjmp.h>
#include <stdlib.h>

static struct pm_cpu *pm_of(struct cpu *c) { return c->plat_opaque; }
static u64 plat_tsc(struct cpu *c) { return pm_of(c)->tsc; }
static u64 plat_wall(struct cpu *c) { return pm_of(c)->wall; }
static u64 plat_real(struct cpu *c) { return pm_of(c)->real; }
static void plat_triple(struct cpu *c) { pm_of(c)->triple++; }
static void plat_mwait(struct cpu *c, bool masked) { pm_of(c)->mwaits += masked ? 100 : 1; }
static void plat_nothing(struct cpu *c) { }
static int plat_no_msr(struct cpu *c, u32 msr, u64 *val) { return -1; }
static int plat_no_msr_write(struct cpu *c, u32 msr, u64 val) { return -1; }

static u64 plat_steal(struct cpu *c) { return pm_of(c)->steal; }
static void plat_pmu_timer(struct cpu *c, u64 tsc) { pm_of(c)->pmu_timer = tsc; }
static void plat_kick(struct cpu *c, u32 apic_id) { pm_of(c)->kicked = apic_id; }

static const struct cpu_platform platform = {
    .steal_ns = plat_steal, .kick = plat_kick, .pmu_timer = plat_pmu_timer,
    .tsc = plat_tsc, .wall_ns = plat_wall, .real_ns = plat_real,
    .triple_fault = plat_triple, .halt = plat_nothing, .pause = plat_nothing, .mwait = plat_mwait,
    .wbinvd = plat_nothing, .mode_changed = plat_nothing, .tlb_flushed = plat_nothing, .ferr = plat_nothing,
    .ext_msr_read = plat_no_msr, .ext_msr_write = plat_no_msr_write,
};

void pm_desc(struct pm_cpu *p, u16 sel, u32 base, u32 limit, u16 attr)
{
    u32 lim = attr & SEGA_G ? limit >> 12 : limit;
    st32(p->ram + PM_GDT + sel, (lim & 0xffff) | base << 16);
    st32(p->ram + PM_GDT + sel + 4, (base >> 16 & 0xff) | (u32)attr << 8 | (lim & 0xf0000) | (base & 0xff000000u));
}

static void make_gdt(struct pm_cpu *p)
{
    static const struct {
        u16 sel, attr;
    } flat[] = {
        { SEL_C0, 0xc09a }, { SEL_D0, 0xc092 }, { SEL_C3, 0xc0fa }, { SEL_D3, 0xc0f2 }, { SEL_C0_64, 0xa09a }, { SEL_CONF, 0xc09e },
        { SEL_C3_64, 0xa0fa }, { SEL_NP, 0xc01a }, { SEL_C1, 0xc0ba }, { SEL_D1, 0xc0b2 }, { SEL_RO, 0xc0f0 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(flat); i++)
        pm_desc(p, flat[i].sel, 0, 0xffffffffu, flat[i].attr);
    pm_desc(p, SEL_C0_16, 0, 0xffff, 0x9a);
    pm_desc(p, SEL_D0_16, 0, 0xffff, 0x92);
    pm_desc(p, SEL_DOWN, 0, 0xfff, 0x40f6);
    pm_desc(p, SEL_LDT, PM_LDT, 0xff, 0x82);
    pm_desc(p, SEL_TSS_A, PM_TSS_A, 0x20ff, 0x89);
    pm_desc(p, SEL_TSS_B, PM_TSS_B, 0x67, 0x89);
    pm_desc(p, SEL_TSS16, PM_TSS16, 0x2b, 0x81);
    pm_desc(p, SEL_TSS64, PM_TSS_A, 0x67, 0x89);
}

void pm_gate(struct pm_cpu *p, unsigned vector, unsigned type, unsigned dpl, u16 sel, u64 off, unsigned ist)
{
    u8 *g = p->ram + PM_IDT + vector * (cpu_is_lma(p->c) ? 16 : 8);
    st32(g, (u32)(off & 0xffff) | (u32)sel << 16);
    st32(g + 4, ((u32)off & 0xffff0000u) | 0x8000 | dpl << 13 | type << 8 | ist);
    if (cpu_is_lma(p->c))
        st64(g + 8, off >> 32);
}

static void set_seg(struct pm_cpu *p, unsigned seg, u16 sel)
{
    struct desc d;
    g_assert_true(desc_read(p->c, sel, &d));
    seg_set(&p->c->seg[seg], sel, &d);
}

static void enter(struct pm_cpu *p, u16 cs, u16 ds, u64 sp)
{
    set_seg(p, S_CS, cs);
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        if (s != S_CS)
            set_seg(p, s, ds);
    }
    p->c->gpr[R_SP] = sp;
    cpu_update_mode(p->c);
}

void pm_user(struct pm_cpu *p)
{
    enter(p, (cpu_is64(p->c) ? SEL_C3_64 : SEL_C3) | 3, SEL_D3 | 3, PM_STACK3);
}

static void enter_protected(struct pm_cpu *p, unsigned bits)
{
    struct cpu *c = p->c;
    make_gdt(p);
    c->gdt = (struct dtable){ PM_GDT, SEL_END - 1 };
    c->idt = (struct dtable){ PM_IDT, bits == 64 ? 0xfff : 0x7ff };
    c->cr0 = CR0_PE | CR0_NE | CR0_ET | CR0_WP | (bits == 64 ? CR0_PG : 0);
    if (bits == 64) {
        c->efer = EFER_LME | EFER_LMA | EFER_NX | EFER_SCE;
        c->cr4 = CR4_PAE;
        c->cr3 = 0x1000;
    }
    cpu_update_mode(c);
    enter(p, bits == 64 ? SEL_C0_64 : SEL_C0, SEL_D0, PM_STACK0 - 0x800);
    c->tr = (struct seg_reg){ .base = PM_TSS_A, .limit = 0x20ff, .sel = bits == 64 ? SEL_TSS64 : SEL_TSS_A, .attr = 0x8b };
    p->ram[PM_GDT + c->tr.sel + 5] |= 2; /* busy */
    if (bits == 64) {
        st64(p->ram + PM_TSS_A + 4, PM_STACK0);
        st64(p->ram + PM_TSS_A + 36, PM_IST1);
    } else {
        st32(p->ram + PM_TSS_A + 4, PM_STACK0);
        st16(p->ram + PM_TSS_A + 8, SEL_D0);
    }
    c->rip = PM_CODE;
}

struct pm_cpu *pm_new(unsigned bits, const char *cpu)
{
    struct pm_cpu *p = calloc(1, sizeof(*p));
    struct err e;
    p->f = fake_cpu_new(bits, NULL);
    p->c = p->f->c;
    p->ram = p->f->ram;
    p->model = cpu_model_new(cpu, 1, 1, 1, &e);
    g_assert_nonnull(p->model);
    p->c->plat = &platform;
    p->c->plat_opaque = p;
    p->c->model = p->model;
    cpu_reset(p->c, false);
    if (bits == 16) {
        p->c->seg[S_CS] = p->c->seg[S_DS];
        p->c->rip = 0x1000;
        p->c->gpr[R_SP] = 0x8000;
        cpu_update_mode(p->c);
    } else {
        enter_protected(p, bits);
    }
    return p;
}

void pm_free(struct pm_cpu *p)
{
    fake_cpu_free(p->f);
    cpu_model_free(p->model);
    free(p);
}

struct call {
    help_fn *fn;
    u64 a, b, d, ret;
    int vector;   /* instead of fn: 0..31 exception, 0x100.. interrupt */
    i64 error;
};

static void call_do(struct pm_cpu *p, struct call *k)
{
    if (k->fn)
        k->ret = k->fn(p->c, k->a, k->b, k->d);
    else if (k->vector >= 0x100)
        cpu_deliver_interrupt(p->c, k->vector & 0xff);
    else if (k->error >= 0)
        cpu_raise_err(p->c, k->vector, (u32)k->error);
    else
        cpu_raise(p->c, k->vector);
}

static void run(struct pm_cpu *p, struct call *k)
{
    jmp_buf land;
    p->first = -1;
    p->c->fault_jmp = &land;
    unsigned volatile n = 0;
    if (!setjmp(land)) {
        call_do(p, k);
        return;
    }
    p->faults++;
    if (!n) {
        p->first = p->c->fault.vector;
        p->first_error = p->c->fault.error;
    }
    g_assert_cmpuint(++n, <, 8);
    cpu_deliver_fault(p->c);
}

u64 pm_help(struct pm_cpu *p, help_fn *fn, u64 a, u64 b, u64 d)
{
    struct call k = { .fn = fn, .a = a, .b = b, .d = d };
    run(p, &k);
    return k.ret;
}

void pm_raise(struct pm_cpu *p, int vector, i64 error)
{
    struct call k = { .vector = vector, .error = error };
    run(p, &k);
}

void pm_interrupt(struct pm_cpu *p, int vector)
{
    struct call k = { .vector = 0x100 | vector };
    run(p, &k);
}
