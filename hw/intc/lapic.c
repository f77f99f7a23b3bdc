/* The local APIC: registers, priorities, acknowledge and the IA32_APIC_BASE state machine. lapic_ops and the MMIO functions
 * are called by vCPU threads and take the machine lock (intr_ready, get_base, get_tpr do not); the rest runs under it.
 * Specification: Intel SDM vol. 3A chapter 11; x2APIC: 11.12. */
#include "hw/intc/lapic.h"
#include "hw/core/machine.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic_state.h"
#include "hw/intc/pic.h"
#include "util/log.h"

#define VERSION (0x14u | (LVT_COUNT - 1) << 16 | BIT(24)) /* EOI broadcasts can be suppressed */
#define PHYS_BITS 52

/* Register numbers: offset / 16 in the page, MSR - 0x800 in x2APIC mode. */
enum {
    REG_ID = 0x02, REG_VERSION = 0x03, REG_TPR = 0x08, REG_APR = 0x09, REG_PPR = 0x0a, REG_EOI = 0x0b, REG_RRD = 0x0c,
    REG_LDR = 0x0d, REG_DFR = 0x0e, REG_SVR = 0x0f, REG_ISR = 0x10, REG_TMR = 0x18, REG_IRR = 0x20, REG_ESR = 0x28,
    REG_ICR = 0x30, REG_ICR_HIGH = 0x31, REG_LVT = 0x32, REG_TIMER_INIT = 0x38, REG_TIMER_COUNT = 0x39,
    REG_TIMER_DIVIDE = 0x3e, REG_SELF_IPI = 0x3f,
};
#define ICR_WRITABLE 0xff000000000ccfffull
#define ICR_X2_WRITABLE 0xffffffff000ccfffull

static const u32 lvt_writable[LVT_COUNT] = { 0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff };

/* Ops may come from a vCPU thread without the machine lock or from code that resets or saves the machine and has it. */
static bool enter(struct lapic *s)
{
    struct lock *l = &s->dev.m->lock;
    if (lock_is_mine(l))
        return false;
    lock_acquire(l);
    return true;
}

static void leave(struct lapic *s, bool entered)
{
    if (entered)
        lock_release(&s->dev.m->lock);
}

static void bit_set(u32 *map, u8 n) { map[n >> 5] |= BIT(n & 31); }
static void bit_clear(u32 *map, u8 n) { map[n >> 5] &= ~BIT(n & 31); }
static bool bit_get(const u32 *map, u8 n) { return map[n >> 5] & BIT(n & 31); }

static int bit_highest(const u32 *map)
{
    for (int i = 7; i >= 0; i--)
        if (map[i])
            return i * 32 + 31 - __builtin_clz(map[i]);
    return -1;
}

/* Priority with `isr` in service, -1: nothing. */
static u8 ppr_of(const struct lapic *s, int isr)
{
    u8 tpr = __atomic_load_n(&s->tpr, __ATOMIC_SEQ_CST), in_service = isr < 0 ? 0 : isr & 0xf0;
    return tpr >> 4 >= in_service >> 4 ? tpr : in_service;
}

u8 lapic_ppr(const struct lapic *s) { return ppr_of(s, bit_highest(s->isr)); }

/* What the priority is, or already may be, if the guest has ended the interrupt in service in memory. */
static u8 lowest_ppr(const struct lapic *s)
{
    u32 isr[8];

    if (LIKELY(!s->pv_eoi_set) || bit_highest(s->isr) < 0)
        return lapic_ppr(s);
    memcpy(isr, s->isr, sizeof(isr));
    bit_clear(isr, bit_highest(isr));
    return ppr_of(s, bit_highest(isr));
}

/* True if an INTA cycle of the 8259 would be answered now. Without a hardware-enabled APIC the pin LINT0 is INTR; the
 * software enable bit does not stop ExtINT. */
static bool extint_ready(const struct lapic *s)
{
    u32 lvt = s->lvt[LVT_LINT0];
    if (!s->bus->pic)
        return false;
    if (!lapic_enabled(s))
        return s->lint[0];
    return s->extint || (s->lint[0] && !(lvt & LVT_MASKED) && LVT_MODE(lvt) == MODE_EXTINT);
}

/* Recomputes what intr_ready says and tells the CPU when it becomes true. The order (pending_vector, then TPR) pairs with
 * op_set_tpr, which stores TPR and then looks at pending_vector without the lock. */
static void lapic_update(struct lapic *s)
{
    int irr = lapic_enabled(s) ? bit_highest(s->irr) : -1;
    __atomic_store_n(&s->pending_vector, irr, __ATOMIC_SEQ_CST);
    bool now = extint_ready(s) || (irr >= 0 && irr >> 4 > lowest_ppr(s) >> 4);
    bool was = __atomic_exchange_n(&s->deliverable, now, __ATOMIC_SEQ_CST);
    if (now && !was && s->dev.m->pins.kick_intr)
        s->dev.m->pins.kick_intr(s->dev.m->pins.opaque, s->cpu);
}

static void raise_fixed(struct lapic *s, u8 vector, bool level)
{
    if (vector < 16) {
        lapic_error(s, ESR_RECV_ILLEGAL);
        return;
    }
    if (level)
        bit_set(s->tmr, vector);
    else
        bit_clear(s->tmr, vector);
    bit_set(s->irr, vector);
    lapic_update(s);
}

void lapic_deliver(struct lapic *s, enum apic_mode mode, u8 vector, bool level)
{
    const struct cpu_pins *pins = &s->dev.m->pins;
    switch (mode) {
    case MODE_FIXED:
    case MODE_LOWEST:
        if (s->svr & SVR_ENABLE)
            raise_fixed(s, vector, level);
        break;
    case MODE_SMI:
        if (pins->smi)
            pins->smi(pins->opaque, s->cpu);
        break;
    case MODE_NMI:
        if (pins->nmi)
            pins->nmi(pins->opaque, s->cpu);
        break;
    case MODE_INIT:
        if (pins->init)
            pins->init(pins->opaque, s->cpu);
        break;
    case MODE_SIPI:
        if (pins->sipi)
            pins->sipi(pins->opaque, s->cpu, vector);
        break;
    case MODE_EXTINT:
        s->extint = true;
        lapic_update(s);
        break;
    case MODE_RESERVED:
        GUEST_ERROR("lapic %u: reserved delivery mode", s->cpu);
        break;
    }
}

void lapic_local_event(struct lapic *s, unsigned entry)
{
    u32 lvt = s->lvt[entry];
    if (!lapic_enabled(s) || (lvt & LVT_MASKED))
        return;
    enum apic_mode mode = entry == LVT_TIMER || entry == LVT_ERROR ? MODE_FIXED : LVT_MODE(lvt);
    if (mode == MODE_LOWEST || mode == MODE_SIPI || mode == MODE_RESERVED) {
        GUEST_ERROR("lapic %u: LVT entry %u with reserved delivery mode %u", s->cpu, entry, mode);
        return;
    }
    lapic_deliver(s, mode, lvt & LVT_VECTOR, false);
}

void lapic_error(struct lapic *s, u32 bit)
{
    s->esr_pending |= bit;
    /* An illegal vector in the error entry itself must not come back here for ever. */
    if ((s->lvt[LVT_ERROR] & LVT_VECTOR) >= 16)
        lapic_local_event(s, LVT_ERROR);
}

/* Level-triggered fixed mode of LINT0: sends again until the line is down, once for each EOI. */
static void lint0_level(struct lapic *s)
{
    u32 *lvt = &s->lvt[LVT_LINT0];
    if (!s->lint[0] || (*lvt & (LVT_MASKED | LVT_REMOTE_IRR)) || !(s->svr & SVR_ENABLE))
        return;
    *lvt |= LVT_REMOTE_IRR;
    raise_fixed(s, *lvt & LVT_VECTOR, true);
}

static bool lint0_is_level(const struct lapic *s)
{
    return LVT_MODE(s->lvt[LVT_LINT0]) == MODE_FIXED && (s->lvt[LVT_LINT0] & LVT_LEVEL);
}

void lapic_set_lint(struct lapic *s, unsigned lint, bool level)
{
    bool rise = level && !s->lint[lint];
    s->lint[lint] = level;
    if (!lapic_enabled(s)) {
        if (lint == 1 && rise)
            lapic_deliver(s, MODE_NMI, 0, false);
    } else if (lint == 0 && lint0_is_level(s)) {
        lint0_level(s);
    } else if (rise && LVT_MODE(s->lvt[LVT_LINT0 + lint]) != MODE_EXTINT) {
        lapic_local_event(s, LVT_LINT0 + lint);
    }
    lapic_update(s);
}

static u32 x2_ldr(const struct lapic *s)
{
    return s->cpu >> 4 << 16 | BIT(s->cpu & 15);
}

bool lapic_matches(const struct lapic *s, u32 dest, bool logical, bool wide)
{
    if (!lapic_enabled(s))
        return false;
    if (dest == (wide ? 0xffffffffu : 0xffu) && (!logical || wide))
        return true;
    if (!logical)
        return dest == lapic_id(s);
    if (lapic_is_x2(s)) {
        u32 ldr = x2_ldr(s);
        return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff);
    }
    u32 ldr = s->ldr >> 24;
    if (s->dfr >> 28 == 0xf)
        return dest < 0x100 && (dest & ldr);
    return dest < 0x100 && (dest >> 4 == 0xf || dest >> 4 == ldr >> 4) && (dest & ldr & 0x0f);
}

/* The guest may have ended the interrupt in service in memory. The vCPU's own thread, or the VM stopped. */
static void pv_eoi_sync(struct lapic *s)
{
    int v = bit_highest(s->isr);
    if (!s->pv_eoi_set)
        return;
    if (lapic_pv_eoi_settle(s) && v >= 0)
        bit_clear(s->isr, v);
    lapic_update(s);
}

static void lapic_eoi(struct lapic *s)
{
    pv_eoi_sync(s);
    int v = bit_highest(s->isr);
    if (v < 0)
        return;
    bit_clear(s->isr, v);
    if (bit_get(s->tmr, v)) {
        if (lint0_is_level(s) && (s->lvt[LVT_LINT0] & LVT_VECTOR) == (u32)v) {
            s->lvt[LVT_LINT0] &= ~LVT_REMOTE_IRR;
            lint0_level(s);
        }
        if (s->bus->ioapic && !(s->svr & SVR_NO_EOI_BROADCAST))
            ioapic_eoi(s->bus->ioapic, v);
    }
    lapic_update(s);
}

static void lvt_write(struct lapic *s, unsigned i, u32 val)
{
    val = (val & lvt_writable[i]) | (s->lvt[i] & LVT_REMOTE_IRR);
    if (!(s->svr & SVR_ENABLE))
        val |= LVT_MASKED;
    if (i == LVT_TIMER) {
        lapic_timer_set_lvt(s, val);
        return;
    }
    s->lvt[i] = val;
    if (i == LVT_LINT0) {
        if (lint0_is_level(s))
            lint0_level(s);
        else
            s->lvt[i] &= ~LVT_REMOTE_IRR;
        lapic_update(s);
    }
}

static void svr_write(struct lapic *s, u32 val)
{
    s->svr = val & 0x13ff;
    if (s->svr & SVR_ENABLE)
        return;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        lvt_write(s, i, s->lvt[i] | LVT_MASKED);
}

/* Any register that both interfaces have. False: there is no such readable register. */
static bool reg_read(struct lapic *s, unsigned reg, u32 *val)
{
    pv_eoi_sync(s);
    if (reg >= REG_ISR && reg < REG_ISR + 8)
        *val = s->isr[reg - REG_ISR];
    else if (reg >= REG_TMR && reg < REG_TMR + 8)
        *val = s->tmr[reg - REG_TMR];
    else if (reg >= REG_IRR && reg < REG_IRR + 8)
        *val = s->irr[reg - REG_IRR];
    else if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT)
        *val = s->lvt[reg - REG_LVT];
    else switch (reg) {
    case REG_ID: *val = lapic_is_x2(s) ? s->cpu : (u32)s->id << 24; break;
    case REG_VERSION: *val = VERSION; break;
    case REG_TPR: *val = s->tpr; break;
    case REG_PPR: *val = lapic_ppr(s); break;
    case REG_LDR: *val = lapic_is_x2(s) ? x2_ldr(s) : s->ldr; break;
    case REG_SVR: *val = s->svr; break;
    case REG_ESR: *val = s->esr; break;
    case REG_ICR: *val = s->icr; break;
    case REG_TIMER_INIT: *val = s->timer_init; break;
    case REG_TIMER_COUNT: *val = lapic_timer_count(s); break;
    case REG_TIMER_DIVIDE: *val = s->timer_divide; break;
    default: return false;
    }
    return true;
}

/* As reg_read, for writing. */
static bool reg_write(struct lapic *s, unsigned reg, u32 val)
{
    if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT) {
        lvt_write(s, reg - REG_LVT, val);
        return true;
    }
    switch (reg) {
    case REG_TPR:
        __atomic_store_n(&s->tpr, (u8)val, __ATOMIC_SEQ_CST);
        lapic_update(s);
        return true;
    case REG_EOI:
        lapic_eoi(s);
        return true;
    case REG_SVR:
        svr_write(s, val);
        return true;
    case REG_ESR: /* a write latches what has come up since the last one */
        s->esr = s->esr_pending;
        s->esr_pending = 0;
        return true;
    case REG_TIMER_INIT:
        lapic_timer_set_count(s, val);
        return true;
    case REG_TIMER_DIVIDE:
        lapic_timer_set_divide(s, val);
        return true;
    }
    return false;
}

u64 lapic_mmio_read(void *lapic, u64 off, unsigned size)
{
    struct lapic *s = lapic;
    unsigned reg = off >> 4 & 0xff;
    u32 val = 0;
    bool in = enter(s);
    switch (reg) {
    case REG_APR: case REG_RRD:
        break; /* present and zero since the Pentium 4 */
    case REG_DFR:
        val = s->dfr;
        break;
    case REG_ICR_HIGH:
        val = s->icr >> 32;
        break;
    default:
        if (!reg_read(s, reg, &val))
            lapic_error(s, ESR_REGISTER);
    }
    leave(s, in);
    return (off & 15) < 4 ? zext((u64)val >> (off & 3) * 8, size) : 0;
}

void lapic_mmio_write(void *lapic, u64 off, u64 val, unsigned size)
{
    struct lapic *s = lapic;
    unsigned reg = off >> 4 & 0xff;
    if ((off & 15) || size < 4) {
        GUEST_ERROR("lapic %u: write of %u bytes at offset 0x%llx", s->cpu, size, (unsigned long long)off);
        return;
    }
    bool in = enter(s);
    switch (reg) {
    case REG_ID:
        s->id = val >> 24;
        break;
    case REG_LDR:
        s->ldr = val & 0xff000000;
        break;
    case REG_DFR:
        s->dfr = val | 0x0fffffff;
        break;
    case REG_ICR:
        s->icr = ((s->icr & ~0xffffffffull) | (u32)val) & ICR_WRITABLE;
        apic_bus_ipi(s->bus, s, s->icr);
        break;
    case REG_ICR_HIGH:
        s->icr = (s->icr & 0xffffffff) | (val & 0xff000000) << 32;
        break;
    default:
        if (!reg_write(s, reg, val))
            lapic_error(s, ESR_REGISTER);
    }
    leave(s, in);
}

static int op_x2_read(void *lapic, u32 msr, u64 *val)
{
    struct lapic *s = lapic;
    unsigned reg = msr - 0x800;
    u32 v = 0;
    if (!lapic_is_x2(s))
        return -1;
    bool in = enter(s);
    bool ok = reg == REG_ICR || reg_read(s, reg, &v);
    *val = reg == REG_ICR ? s->icr : v;
    leave(s, in);
    return ok ? 0 : -1;
}

/* Bits that an x2APIC register write must leave zero. */
static u64 x2_reserved(unsigned reg)
{
    if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT)
        return ~(u64)lvt_writable[reg - REG_LVT] & ~(u64)(BIT(12) | LVT_REMOTE_IRR);
    switch (reg) {
    case REG_TPR: case REG_SELF_IPI: return ~0xffull;
    case REG_EOI: case REG_ESR: return ~0ull;
    case REG_SVR: return ~0x13ffull;
    case REG_ICR: return ~ICR_X2_WRITABLE;
    case REG_TIMER_DIVIDE: return ~0x0bull;
    default: return ~0xffffffffull;
    }
}

static int op_x2_write(void *lapic, u32 msr, u64 val)
{
    struct lapic *s = lapic;
    unsigned reg = msr - 0x800;
    bool ok = true;
    if (!lapic_is_x2(s) || (val & x2_reserved(reg)))
        return -1;
    bool in = enter(s);
    if (reg == REG_ICR) {
        s->icr = val;
        apic_bus_ipi(s->bus, s, val);
    } else if (reg == REG_SELF_IPI) {
        lapic_deliver(s, MODE_FIXED, val, false);
    } else {
        ok = reg_write(s, reg, val);
    }
    leave(s, in);
    return ok ? 0 : -1;
}

static const bool *op_intr_ready(void *lapic) { return &((struct lapic *)lapic)->deliverable; }

static int op_ack(void *lapic)
{
    struct lapic *s = lapic;
    int vector = -1;
    bool in = enter(s);
    pv_eoi_sync(s);
    if (extint_ready(s)) {
        s->extint = false;
        vector = pic_inta(s->bus->pic);
    } else if (lapic_enabled(s)) {
        int irr = bit_highest(s->irr);
        if (irr >= 0 && irr >> 4 > lapic_ppr(s) >> 4) {
            bit_clear(s->irr, irr);
            bit_set(s->isr, irr);
            vector = irr;
            if (bit_highest(s->irr) < 0)
                lapic_pv_eoi_offer(s, irr);
        }
    }
    lapic_update(s);
    leave(s, in);
    return vector;
}

/* Power-up state of everything but the base register and the pins. The machine's LINT0 comes up as the boot CPU's ExtINT
 * input, as firmware leaves it (virtual wire mode), so that guests that know only the 8259 need no firmware. */
static void reset_registers(struct lapic *s)
{
    timer_cancel(&s->timer);
    __atomic_store_n(&s->tpr, 0, __ATOMIC_RELAXED);
    s->ldr = 0;
    s->dfr = 0xffffffff;
    s->svr = 0xff;
    s->esr = s->esr_pending = 0;
    memset(s->irr, 0, sizeof(s->irr));
    memset(s->isr, 0, sizeof(s->isr));
    memset(s->tmr, 0, sizeof(s->tmr));
    for (unsigned i = 0; i < LVT_COUNT; i++)
        s->lvt[i] = LVT_MASKED;
    if (s->cpu == 0)
        s->lvt[LVT_LINT0] = MODE_EXTINT << 8;
    s->icr = 0;
    s->extint = false;
    s->timer_init = 0;
    s->timer_running = false;
    s->timer_divide = 0;
    s->timer_start = 0;
    s->tsc_deadline = 0;
    s->pv_eoi = 0;
    lapic_pv_eoi_forget(s);
}

static int op_set_base(void *lapic, u64 val)
{
    struct lapic *s = lapic;
    u64 reserved = ~MASK64(PHYS_BITS) | 0x2ff, old = lapic_base(s);
    u64 old_mode = old & (BASE_ENABLE | BASE_EXTD), mode = val & (BASE_ENABLE | BASE_EXTD);
    if ((val & reserved) || mode == BASE_EXTD)
        return -1;
    if ((mode == BASE_ENABLE && (old_mode & BASE_EXTD)) || ((mode & BASE_EXTD) && !old_mode))
        return -1; /* x2APIC to xAPIC, and disabled to x2APIC, are no transitions */
    bool in = enter(s);
    __atomic_store_n(&s->base, val, __ATOMIC_RELAXED);
    if (!mode && old_mode) {
        s->id = (u8)s->cpu;
        reset_registers(s);
    }
    if ((mode & BASE_EXTD) && !(old_mode & BASE_EXTD)) {
        s->id = (u8)s->cpu;
        s->icr &= 0xffffffff;
    }
    lapic_update(s);
    leave(s, in);
    return 0;
}

static u64 op_get_base(void *lapic)
{
    return lapic_base(lapic);
}

static u8 op_get_tpr(void *lapic)
{
    return __atomic_load_n(&((struct lapic *)lapic)->tpr, __ATOMIC_RELAXED);
}

static void op_set_tpr(void *lapic, u8 tpr)
{
    struct lapic *s = lapic;
    __atomic_store_n(&s->tpr, tpr, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&s->pending_vector, __ATOMIC_SEQ_CST) < 0)
        return; /* nothing waits for it; see lapic_update */
    bool in = enter(s);
    lapic_update(s);
    leave(s, in);
}

static u64 op_get_tsc_deadline(void *lapic)
{
    struct lapic *s = lapic;
    bool in = enter(s);
    u64 v = lapic_timer_deadline(s);
    leave(s, in);
    return v;
}

static void op_set_tsc_deadline(void *lapic, u64 tsc)
{
    struct lapic *s = lapic;
    bool in = enter(s);
    lapic_timer_set_deadline(s, tsc);
    leave(s, in);
}

static int op_pv_ipi(void *lapic, u32 apic_id, u32 icr)
{
    struct lapic *s = lapic;
    enum apic_mode mode = LVT_MODE(icr);
    int n = 0;
    if (mode != MODE_FIXED && mode != MODE_NMI)
        return -1;
    bool in = enter(s);
    for (unsigned i = 0; i < s->bus->count; i++) {
        struct lapic *to = s->bus->cpu[i];
        if (!lapic_enabled(to) || lapic_id(to) != apic_id)
            continue;
        lapic_deliver(to, mode, icr & 0xff, false);
        n++;
    }
    leave(s, in);
    return n;
}

static void op_pmi(void *lapic, bool mask)
{
    struct lapic *s = lapic;
    bool in = enter(s);
    lapic_local_event(s, LVT_PERF);
    if (mask)
        s->lvt[LVT_PERF] |= LVT_MASKED;
    leave(s, in);
}

static u64 op_get_pv_eoi(void *lapic)
{
    struct lapic *s = lapic;
    bool in = enter(s);
    u64 v = s->pv_eoi;
    leave(s, in);
    return v;
}

static int op_set_pv_eoi(void *lapic, u64 val)
{
    struct lapic *s = lapic;
    bool in = enter(s);
    pv_eoi_sync(s);
    int r = lapic_pv_eoi_write(s, val) ? 0 : -1;
    leave(s, in);
    return r;
}

static void op_reset(void *lapic, bool init)
{
    struct lapic *s = lapic;
    bool in = enter(s);
    if (!init) {
        s->id = (u8)s->cpu;
        __atomic_store_n(&s->base, LAPIC_BASE | BASE_ENABLE | (s->cpu == 0 ? BASE_BSP : 0), __ATOMIC_RELAXED);
    }
    reset_registers(s);
    lapic_update(s);
    leave(s, in);
}

const struct lapic_ops lapic_ops = {
    .intr_ready = op_intr_ready,
    .ack = op_ack,
    .get_base = op_get_base,
    .set_base = op_set_base,
    .get_tpr = op_get_tpr,
    .set_tpr = op_set_tpr,
    .x2_read = op_x2_read,
    .x2_write = op_x2_write,
    .get_tsc_deadline = op_get_tsc_deadline,
    .set_tsc_deadline = op_set_tsc_deadline,
    .pv_ipi = op_pv_ipi,
    .pmi = op_pmi,
    .get_pv_eoi = op_get_pv_eoi,
    .set_pv_eoi = op_set_pv_eoi,
    .reset = op_reset,
    .mmio_read = lapic_mmio_read,
    .mmio_write = lapic_mmio_write,
};

static int lapic_realize(struct device *d, struct err *e)
{
    struct lapic *s = container_of(d, struct lapic, dev);
    if (!s->bus)
        return err_set(e, "apic: made by the machine only (-smp)");
    timer_init(&s->timer, d->m->clock, lapic_timer_fire, s);
    return 0;
}

static void lapic_unrealize(struct device *d)
{
    timer_cancel(&container_of(d, struct lapic, dev)->timer);
}

static void lapic_reset(struct device *d)
{
    op_reset(container_of(d, struct lapic, dev), false);
}

/* What the guest has done in memory goes into the registers. */
static void lapic_pre_save(struct device *d) { pv_eoi_sync(container_of(d, struct lapic, dev)); }

static void lapic_post_load(struct device *d)
{
    struct lapic *s = container_of(d, struct lapic, dev);
    s->timer_running = s->timer_running && s->timer_init;
    lapic_pv_eoi_forget(s);
    lapic_update(s);
}

static const struct snap_field lapic_fields[] = {
    SNAP_U(struct lapic, base),
    SNAP_U(struct lapic, tpr),
    SNAP_U(struct lapic, id),
    SNAP_U(struct lapic, ldr),
    SNAP_U(struct lapic, dfr),
    SNAP_U(struct lapic, svr),
    SNAP_U(struct lapic, esr),
    SNAP_U(struct lapic, esr_pending),
    SNAP_A(struct lapic, irr),
    SNAP_A(struct lapic, isr),
    SNAP_A(struct lapic, tmr),
    SNAP_A(struct lapic, lvt),
    SNAP_U(struct lapic, icr),
    SNAP_U(struct lapic, pv_eoi),
    SNAP_A(struct lapic, lint),
    SNAP_U(struct lapic, extint),
    SNAP_U(struct lapic, timer_init),
    SNAP_U(struct lapic, timer_running),
    SNAP_U(struct lapic, timer_divide),
    SNAP_U(struct lapic, timer_start),
    SNAP_U(struct lapic, tsc_deadline),
    SNAP_T(struct lapic, timer),
    SNAP_DONE,
};

const struct dev_class apic_class = {
    .name = "apic",
    .desc = "local APIC",
    .state_size = sizeof(struct lapic),
    .fields = lapic_fields,
    .snap_version = 3,
    .realize = lapic_realize,
    .reset = lapic_reset,
    .unrealize = lapic_unrealize,
    .pre_save = lapic_pre_save,
    .post_load = lapic_post_load,
};
