/* The state of one local APIC and of the APIC bus: shared by lapic.c, lapic_timer.c and apic_bus.c only. Machine lock, but
 * for the fields marked atomic. */
#ifndef HW_INTC_LAPIC_STATE_H
#define HW_INTC_LAPIC_STATE_H
#include "hw/core/device.h"
#include "mmu/dma.h"

#define APIC_CPUS_MAX 64

enum apic_mode { MODE_FIXED, MODE_LOWEST, MODE_SMI, MODE_RESERVED, MODE_NMI, MODE_INIT, MODE_SIPI, MODE_EXTINT };
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

#define BASE_BSP BIT64(8)
#define BASE_EXTD BIT64(10)
#define BASE_ENABLE BIT64(11)

#define LVT_VECTOR 0xffu
#define LVT_MODE(l) ((enum apic_mode)((l) >> 8 & 7))
#define LVT_REMOTE_IRR BIT(14)
#define LVT_LEVEL BIT(15)
#define LVT_MASKED BIT(16)
#define LVT_TIMER_MODE(l) ((l) >> 17 & 3)
#define TIMER_ONESHOT 0
#define TIMER_PERIODIC 1
#define TIMER_DEADLINE 2 /* 3 is reserved and counts as periodic */

#define SVR_ENABLE BIT(8)
#define SVR_NO_EOI_BROADCAST BIT(12)

#define ESR_SEND_ILLEGAL BIT(5)
#define ESR_RECV_ILLEGAL BIT(6)
#define ESR_REGISTER BIT(7)

struct apic_bus;

struct lapic {
    struct device dev;
    struct apic_bus *bus;
    unsigned cpu;          /* also the x2APIC ID */
    u8 id;                 /* xAPIC ID; software may change it */
    u64 base;              /* atomic: IA32_APIC_BASE */
    u8 tpr;                /* atomic */
    bool deliverable;      /* atomic: what intr_ready says; derived */
    i32 pending_vector;    /* atomic: highest bit of irr or -1; derived */
    u32 ldr, dfr, svr;
    u32 esr, esr_pending;  /* as last latched; collected since */
    u32 irr[8], isr[8], tmr[8];
    u32 lvt[LVT_COUNT];
    u64 icr;
    bool lint[2];          /* pin levels */
    bool extint;           /* an ExtINT message waits for its acknowledge cycle */
    u32 timer_init;        /* initial count */
    bool timer_running;    /* counting down; false once a one-shot has reached zero */
    u8 timer_divide;       /* divide configuration register */
    i64 timer_start;       /* VM ns of the load */
    u64 tsc_deadline;      /* 0: disarmed */
    struct timer timer;
    u64 pv_eoi;            /* MSR_KVM_PV_EOI_EN: bit 0 enables, the rest is where the guest's word is */
    bool pv_eoi_set;       /* atomic: the guest was told that it may end the interrupt in service there */
    struct dma_window pv_eoi_window;
};

struct apic_bus {
    struct device dev;
    struct device *pic, *ioapic;
    unsigned count;
    struct lapic *cpu[APIC_CPUS_MAX];
    u8 last;               /* CPU that took the last lowest-priority message */
};

static inline u64 lapic_base(const struct lapic *s) { return __atomic_load_n(&s->base, __ATOMIC_RELAXED); }
static inline bool lapic_enabled(const struct lapic *s) { return lapic_base(s) & BASE_ENABLE; }
static inline bool lapic_is_x2(const struct lapic *s)
{
    return (lapic_base(s) & (BASE_ENABLE | BASE_EXTD)) == (BASE_ENABLE | BASE_EXTD);
}
static inline u32 lapic_id(const struct lapic *s) { return lapic_is_x2(s) ? s->cpu : s->id; }
static inline unsigned lapic_divisor(const struct lapic *s)
{
    unsigned v = (s->timer_divide & 3) | (s->timer_divide >> 1 & 4);
    return v == 7 ? 1 : 2u << v;
}

/* lapic.c */
/* A message or a local source arrives. level: trigger mode of a fixed interrupt. */
void lapic_deliver(struct lapic *s, enum apic_mode mode, u8 vector, bool level);
/* A LINT pin changes. */
void lapic_set_lint(struct lapic *s, unsigned lint, bool level);
/* Raises a local source through its LVT entry; nothing if masked. */
void lapic_local_event(struct lapic *s, unsigned entry);
/* Records an error and raises the error interrupt. */
void lapic_error(struct lapic *s, u32 bit);
u8 lapic_ppr(const struct lapic *s);
/* True if the message's destination names this APIC. */
bool lapic_matches(const struct lapic *s, u32 dest, bool logical, bool wide);

/* lapic_pv.c: EOI without an exit, as KVM offers it. All but lapic_pv_eoi_forget: the vCPU's own thread, or the VM stopped. */
/* An edge-triggered interrupt was taken, and none waits: the guest may end it in memory. */
void lapic_pv_eoi_offer(struct lapic *s, u8 vector);
/* The offer ends; true if the guest had made use of it, so that the interrupt in service is over. */
bool lapic_pv_eoi_settle(struct lapic *s);
void lapic_pv_eoi_forget(struct lapic *s);
bool lapic_pv_eoi_write(struct lapic *s, u64 val); /* false: #GP */

/* lapic_timer.c */
void lapic_timer_fire(void *opaque);
/* Arms the host timer for the present mode, count and deadline. */
void lapic_timer_arm(struct lapic *s);
/* What the registers read; an interrupt that is due by then is raised first. */
u32 lapic_timer_count(struct lapic *s);
u64 lapic_timer_deadline(struct lapic *s);
void lapic_timer_set_count(struct lapic *s, u32 val);
void lapic_timer_set_divide(struct lapic *s, u32 val);
/* The timer's LVT entry changes to val. */
void lapic_timer_set_lvt(struct lapic *s, u32 val);
void lapic_timer_set_deadline(struct lapic *s, u64 tsc);

/* apic_bus.c */
/* wide: dest is a 32-bit x2APIC destination. */
void apic_bus_deliver(struct apic_bus *bus, u32 dest, bool logical, bool wide, enum apic_mode mode, u8 vector, bool level);
/* Executes a write of the interrupt command register. */
void apic_bus_ipi(struct apic_bus *bus, struct lapic *src, u64 icr);

#endif
