/* Delivery of exceptions, interrupts and software interrupts in real, VM86, protected and long mode. vCPU thread; called by the run loop
 * and, for INT n and its kin, by helpers. Everything is checked and the frame's bytes are probed before anything changes.
 * Source: SDM vol. 3A chapter 6, 20.3 (VM86), 20.4 (VME); vol. 2 INT n. */
#include "cpu/debug.h"
#include "cpu/desc.h"
#include "cpu/help/help.h"
#include "cpu/platform.h"
#include "util/log.h"

struct event {
    u8 vector;
    bool soft;      /* INT n, INT3, INTO: the gate's DPL is checked */
    bool has_error;
    u32 error;
    u64 rip;        /* to return to */
    u64 flags;      /* image to push */
};

enum { GATE_ERR_IDT = 2 };

/* #xx(vector * 8 + IDT + EXT) */
static NORETURN void raise_idt(struct cpu *c, int exc, unsigned vector)
{
    cpu_raise_err(c, exc, vector * 8 + GATE_ERR_IDT + c->ext);
}

/* What every delivery that stays in this task does to the flags. */
static void flags_enter(struct cpu *c, bool clear_if)
{
    c->sysflags &= ~(u32)(F_TF | F_VM | F_RF | F_NT);
    if (clear_if)
        c->iflag = 0;
}

/* --- real mode, and VM86 interrupts redirected by VME --- */
static void deliver_ivt(struct cpu *c, u64 vector_addr, u64 flags, const struct event *e)
{
    u32 target = (u32)cpu_ld_acc(c, linear(c, vector_addr), 4, ACC_READ | (cpu_is_vm86(c) ? ACC_USER : 0));
    struct stack s;
    stack_cur(c, &s);
    s.size = 2;
    stack_push(&s, flags & 0xffff);
    stack_push(&s, c->seg[S_CS].sel);
    stack_push(&s, e->rip & 0xffff);
    stack_write(c, &s);
    sp_set(c, s.sp);
    if (cpu_is_vm86(c))
        seg_set_vm86(&c->seg[S_CS], (u16)(target >> 16));
    else
        seg_set_real(c, S_CS, (u16)(target >> 16));
    c->rip = target & 0xffff;
}

static void deliver_real(struct cpu *c, const struct event *e)
{
    if (e->vector * 4u + 3 > c->idt.limit)
        raise_idt(c, EXC_GP, e->vector);
    deliver_ivt(c, c->idt.base + e->vector * 4u, e->flags, e);
    c->sysflags &= ~(u32)(F_TF | F_AC | F_RF);
    c->iflag = 0;
}

/* INT n in VM86 mode under CR4.VME whose bit in the redirection map is clear: to the 8086 program's own handler. */
static void deliver_vme(struct cpu *c, const struct event *e)
{
    bool virt = cpu_iopl(c) < 3;
    u64 flags = e->flags & ~(u64)(F_NT | F_IOPL);
    if (virt) {
        flags = (flags & ~(u64)F_IF) | F_IOPL;
        flags |= c->sysflags & F_VIF ? F_IF : 0;
    }
    deliver_ivt(c, e->vector * 4u, flags, e);
    c->sysflags &= ~(u32)(F_TF | F_RF);
    if (virt)
        c->sysflags &= ~(u32)F_VIF;
    else
        c->iflag = 0;
}

/* True if INT n stays in the VM86 task: the bit in the TSS's map (32 bytes below the I/O map) is clear. */
static bool vme_redirects(struct cpu *c, unsigned vector)
{
    if (!(c->tr.attr & 8) || c->tr.limit < 103)
        raise_gp0(c);
    u32 io = (u32)cpu_ld_acc(c, linear(c, c->tr.base + 102), 2, ACC_READ | ACC_IMPLICIT);
    u32 off = io - 32 + vector / 8;
    if (io < 32 || off > c->tr.limit)
        raise_gp0(c);
    return !(cpu_ld_acc(c, linear(c, c->tr.base + off), 1, ACC_READ | ACC_IMPLICIT) >> (vector & 7) & 1);
}

/* --- protected and long mode --- */
/* Reads and checks the gate. */
static void gate_read(struct cpu *c, const struct event *e, struct desc *g)
{
    bool lma = cpu_is_lma(c);
    u32 off = e->vector * (lma ? 16u : 8u);
    if (off + (lma ? 15 : 7) > c->idt.limit)
        raise_idt(c, EXC_GP, e->vector);
    g->addr = linear(c, c->idt.base + off);
    u64 v = cpu_ld_acc(c, g->addr, 8, ACC_READ | ACC_IMPLICIT);
    g->lo = (u32)v;
    g->hi = (u32)(v >> 32);
    g->up = lma ? (u32)cpu_ld_acc(c, g->addr + 8, 4, ACC_READ | ACC_IMPLICIT) : 0;
    unsigned t = desc_type(g);
    bool known = t == SYS_INT32 || t == SYS_TRAP32 || (!lma && (t == SYS_TASK_GATE || t == SYS_INT16 || t == SYS_TRAP16));
    if (desc_is_seg(g) || !known || (e->soft && desc_dpl(g) < cpu_cpl(c)))
        raise_idt(c, EXC_GP, e->vector);
    if (!desc_present(g))
        raise_idt(c, EXC_NP, e->vector);
}

static void deliver_task(struct cpu *c, const struct event *e, u16 sel)
{
    struct desc d;
    if (sel & 4 || !desc_read(c, sel, &d))
        raise_sel(c, EXC_GP, sel);
    if (desc_is_seg(&d) || (desc_type(&d) != SYS_TSS16 && desc_type(&d) != SYS_TSS32))
        raise_sel(c, EXC_GP, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_NP, sel);
    struct task_from from = { .rip = e->rip, .eflags = (u32)e->flags, .has_error = e->has_error, .error = e->error };
    task_switch(c, sel, &d, TASK_EVENT, &from);
}

/* The handler's code segment. */
static void target_read(struct cpu *c, u16 sel, struct desc *d)
{
    if (sel_is_null(sel))
        raise_gp0(c);
    if (!desc_read(c, sel, d) || !desc_is_code(d) || desc_dpl(d) > cpu_cpl(c))
        raise_sel(c, EXC_GP, sel);
    if (cpu_is_lma(c) && (!desc_is_long(d) || desc_is_big(d)))
        raise_sel(c, EXC_GP, sel);
    if (!desc_present(d))
        raise_sel(c, EXC_NP, sel);
}

static void deliver_long(struct cpu *c, const struct event *e, const struct desc *g)
{
    struct desc d;
    struct stack s;
    u16 sel = gate_sel(g);
    target_read(c, sel, &d);
    unsigned cpl = desc_is_conforming(&d) ? cpu_cpl(c) : desc_dpl(&d), ist = g->hi & 7;
    bool inner = cpl < cpu_cpl(c);
    struct seg_reg ss = c->seg[S_SS];
    u64 rsp = ist ? tss_rsp(c, 28 + ist * 8) : inner ? tss_rsp(c, 4 + cpl * 8) : c->gpr[R_SP];
    if (inner)
        seg_set_null(&ss, (u16)cpl, cpl);
    code_check_off(c, &d, gate_off(g));
    desc_set_accessed(c, &d);
    stack_new(c, &s, &ss, rsp & ~15ull, cpl, true);
    if (!inner)
        s.acc = ACC_STACK | cpu_data_acc(c);
    s.size = 8;
    stack_push(&s, c->seg[S_SS].sel);
    stack_push(&s, c->gpr[R_SP]);
    stack_push(&s, e->flags);
    stack_push(&s, c->seg[S_CS].sel);
    stack_push(&s, e->rip);
    if (e->has_error)
        stack_push(&s, e->error);
    stack_write(c, &s);
    c->seg[S_SS] = ss;
    cs_enter(c, sel, cpl, &d, gate_off(g));
    c->gpr[R_SP] = s.sp;
    flags_enter(c, desc_type(g) == SYS_INT32);
}

/* Pushes what every legacy frame ends with. */
static void push_frame(struct cpu *c, struct stack *s, const struct event *e)
{
    stack_push(s, e->flags);
    stack_push(s, c->seg[S_CS].sel);
    stack_push(s, e->rip);
    if (e->has_error)
        stack_push(s, e->error);
}

static void deliver_inner(struct cpu *c, const struct event *e, const struct desc *g, struct desc *d)
{
    unsigned cpl = desc_dpl(d);
    bool vm86 = cpu_is_vm86(c);
    struct seg_reg ss;
    struct stack s;
    u16 ss_sel;
    u32 esp;
    tss_stack(c, cpl, &ss_sel, &esp);
    inner_ss(c, ss_sel, cpl, &ss);
    code_check_off(c, d, gate_off(g));
    desc_set_accessed(c, d);
    stack_new(c, &s, &ss, esp, cpl, false);
    s.size = desc_type(g) & 8 ? 4 : 2;
    static const u8 order[] = { S_GS, S_FS, S_DS, S_ES };
    for (unsigned i = 0; vm86 && i < ARRAY_LEN(order); i++)
        stack_push(&s, c->seg[order[i]].sel);
    stack_push(&s, c->seg[S_SS].sel);
    stack_push(&s, c->gpr[R_SP]);
    push_frame(c, &s, e);
    stack_write(c, &s);
    for (unsigned i = 0; vm86 && i < ARRAY_LEN(order); i++)
        seg_set_null(&c->seg[order[i]], 0, 0);
    c->seg[S_SS] = ss;
    cs_enter(c, gate_sel(g), cpl, d, gate_off(g));
    flags_enter(c, !(desc_type(g) & 1));
    cpu_update_mode(c);
    sp_set(c, s.sp);
}

static void deliver_legacy(struct cpu *c, const struct event *e, const struct desc *g)
{
    struct desc d;
    struct stack s;
    u16 sel = gate_sel(g);
    struct desc gate = *g;
    if (!(desc_type(g) & 8))
        gate.hi &= 0xffff; /* 16-bit offset */
    target_read(c, sel, &d);
    unsigned cpl = desc_is_conforming(&d) ? cpu_cpl(c) : desc_dpl(&d);
    if (cpu_is_vm86(c) && cpl != 0)
        raise_sel(c, EXC_GP, sel);
    if (cpl < cpu_cpl(c)) {
        deliver_inner(c, e, &gate, &d);
        return;
    }
    code_check_off(c, &d, gate_off(&gate));
    desc_set_accessed(c, &d);
    stack_cur(c, &s);
    s.size = desc_type(g) & 8 ? 4 : 2;
    push_frame(c, &s, e);
    stack_write(c, &s);
    sp_set(c, s.sp);
    cs_enter(c, sel, cpl, &d, gate_off(&gate));
    flags_enter(c, !(desc_type(g) & 1));
}

static void deliver_pm(struct cpu *c, const struct event *e)
{
    struct desc g;
    gate_read(c, e, &g);
    if (cpu_is_lma(c))
        deliver_long(c, e, &g);
    else if (desc_type(&g) == SYS_TASK_GATE)
        deliver_task(c, e, gate_sel(&g));
    else
        deliver_legacy(c, e, &g);
}

/* --- common ends --- */
static void log_event(struct cpu *c, const struct event *e)
{
    LOG(LOG_INT, "cpu %u: vector %02x%s error %x at %04x:%llx cpl %u rsp %llx flags %llx cr2 %llx rax %llx", c->index, e->vector,
        e->soft ? " soft" : "", e->has_error ? e->error : 0, c->seg[S_CS].sel, (unsigned long long)e->rip, cpu_cpl(c),
        (unsigned long long)c->gpr[R_SP], (unsigned long long)e->flags, (unsigned long long)c->cr2, (unsigned long long)c->gpr[R_AX]);
}

/* Delivers e; on return it has happened. */
static void deliver(struct cpu *c, struct event *e)
{
    log_event(c, e);
    if (!(c->mode & MODE_PE)) {
        e->has_error = false;
        deliver_real(c, e);
    } else {
        deliver_pm(c, e);
    }
    c->int_shadow = 0;
    c->step_trap = false;
    c->halted = false;
    c->delivering = c->ext = 0;
    cpu_update_mode(c);
}

static enum fault_class fault_class(int vector)
{
    switch (vector) {
    case EXC_DE:
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP:
        return FC_CONTRIBUTORY;
    case EXC_PF:
        return FC_PAGE;
    case EXC_DF:
        return FC_DOUBLE;
    default:
        return FC_BENIGN;
    }
}

/* Faults push RF = 1; traps, aborts and #DB (whose instruction-breakpoint form must find RF as it was) do not. */
static bool sets_rf(int vector)
{
    return vector != EXC_DB && vector != EXC_BP && vector != EXC_OF && vector != EXC_DF && vector != EXC_MC && vector != EXC_NMI;
}

/* SDM table 6-5: true if `second` during the delivery of `first` makes a double fault. */
static bool is_double(enum fault_class first, enum fault_class second)
{
    return (first == FC_CONTRIBUTORY && second == FC_CONTRIBUTORY) ||
           (first == FC_PAGE && (second == FC_PAGE || second == FC_CONTRIBUTORY));
}

void cpu_deliver_fault(struct cpu *c)
{
    enum fault_class now = fault_class(c->fault.vector);
    if (c->delivering == FC_DOUBLE && (now == FC_CONTRIBUTORY || now == FC_PAGE)) {
        c->delivering = c->ext = 0;
        c->plat->triple_fault(c);
        return;
    }
    if (is_double(c->delivering, now)) {
        c->fault = (struct cpu_fault){ .vector = EXC_DF, .has_error = true };
        now = FC_DOUBLE;
    }
    c->delivering = now;
    c->ext = 1;
    c->db_pending = 0;
    if (c->fault.vector == EXC_DB) {
        c->dr[6] = (c->dr[6] & ~(u64)DR6_BITS) | c->fault.dr6;
        c->dr[7] &= ~(u64)DR7_GD;
    }
    struct event e = {
        .vector = (u8)c->fault.vector,
        .has_error = c->fault.has_error,
        .error = c->fault.error,
        .rip = c->rip,
        .flags = cpu_rflags(c) | (sets_rf(c->fault.vector) ? F_RF : 0),
    };
    deliver(c, &e);
}

static void deliver_external(struct cpu *c, int vector)
{
    struct event e = { .vector = (u8)vector, .rip = c->rip, .flags = cpu_rflags(c) };
    c->delivering = FC_BENIGN;
    c->ext = 1;
    deliver(c, &e);
}

void cpu_deliver_interrupt(struct cpu *c, int vector) { deliver_external(c, vector); }

/* nmi_pending counts all that have come; what the pin could not have latched is dropped by the vCPU's thread, which alone knows when NMIs are
 * blocked: of those that came while one was in service one stays (at the IRET), and one stays behind the one that is taken. So two that come
 * at once are two, wherever this CPU is between two instructions. */
void cpu_nmi_raise(struct cpu *c)
{
    u8 n = __atomic_load_n(&c->nmi_pending, __ATOMIC_RELAXED);
    while (n < UINT8_MAX && !__atomic_compare_exchange_n(&c->nmi_pending, &n, n + 1, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

/* Takes `taken` away and leaves one at most. */
static void nmi_keep_one(struct cpu *c, u8 taken)
{
    u8 n = __atomic_load_n(&c->nmi_pending, __ATOMIC_RELAXED);
    while (n && !__atomic_compare_exchange_n(&c->nmi_pending, &n, MIN_OF(n - taken, 1), true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

bool cpu_nmi_ready(const struct cpu *c)
{
    return __atomic_load_n(&c->nmi_pending, __ATOMIC_ACQUIRE) && !c->nmi_blocked;
}

void cpu_nmi_take(struct cpu *c)
{
    nmi_keep_one(c, 1);
    c->nmi_blocked = true;
    deliver_external(c, EXC_NMI);
}

void cpu_nmi_unblock(struct cpu *c)
{
    if (!c->nmi_blocked)
        return;
    nmi_keep_one(c, 0);
    c->nmi_blocked = false;
}

/* INT n in VM86 mode: IOPL and the VME redirection map. True if it was delivered. */
static bool soft_int_vm86(struct cpu *c, struct event *e)
{
    bool redirect = c->cr4 & CR4_VME && vme_redirects(c, e->vector);
    if (redirect) {
        log_event(c, e);
        deliver_vme(c, e);
        c->step_trap = false;
        cpu_update_mode(c);
        return true;
    }
    if (cpu_iopl(c) < 3)
        raise_gp0(c);
    return false;
}

void cpu_soft_int(struct cpu *c, int vector, u64 next_rip, int kind)
{
    struct event e = { .vector = (u8)vector, .soft = kind != SOFT_INT1, .rip = next_rip, .flags = cpu_rflags(c) & ~(u64)F_RF };
    if (kind == SOFT_INTO && !(cpu_arith(c) & F_OF)) {
        c->rip = next_rip;
        return;
    }
    if (kind == SOFT_INTN && cpu_is_vm86(c) && soft_int_vm86(c, &e))
        return;
    if (kind == SOFT_INT1 && c->db_pending) { /* one #DB for both: what MOV SS held back comes with it */
        c->dr[6] = (c->dr[6] & ~(u64)DR6_BITS) | c->db_pending;
        c->db_pending = 0;
    }
    c->ext = kind == SOFT_INT1;
    deliver(c, &e);
}

u64 help_soft_int(struct cpu *c, u64 a, u64 b, u64 d)
{
    cpu_soft_int(c, (int)a, b, (int)d);
    return 0;
}

u64 help_raise(struct cpu *c, u64 a, u64 b, u64 d)
{
    cpu_raise(c, (int)a);
}

u64 help_raise_gp0(struct cpu *c, u64 a, u64 b, u64 d)
{
    raise_gp0(c);
}
