/* Interrupt lines, MSI and the way from a device to a CPU's interrupt pin. Machine lock, unless stated.
 * hw/ does not know who runs the CPU: accel/ implements struct cpu_pins, hw/intc/lapic.c implements struct lapic_ops. */
#ifndef HW_CORE_IRQ_H
#define HW_CORE_IRQ_H
#include "mmu/addr.h"

/* A line is a function, an object and a number; level is 0 or 1; a pulse is set(1), set(0). */
struct irq_line {
    void (*set)(void *opaque, int n, int level);
    void *opaque;
    int n;
};
static inline void irq_set(const struct irq_line *l, int level)
{
    if (l->set)
        l->set(l->opaque, l->n, level);
}

/* An interrupt message: SDM vol. 3A section 11.11 address and data formats. */
struct msi {
    u64 addr;
    u32 data;
    u16 source;    /* who sends it: bus << 8 | devfn, as IOMMUs know it */
    bool platform; /* by a part of the chipset that sits on no bus */
    bool wide;     /* it is for the 32-bit (x2APIC) destination `dest` instead of the one in addr */
    u32 dest;
};
/* Sources of the chipset's parts, which the DMAR table names. */
enum { MSI_SOURCE_IOAPIC = 0xf0f8, MSI_SOURCE_HPET = 0xf078 }; /* f0:1f.0, f0:0f.0 */

/* Where MSIs and the I/O APIC's messages go: the local APICs, or an IOMMU in front of them. */
struct msi_sink {
    void (*send)(void *opaque, const struct msi *msg);
    void *opaque;
};
static inline void msi_send(const struct msi_sink *s, const struct msi *msg)
{
    if (s->send)
        s->send(s->opaque, msg);
}

/* What interrupt controllers ask of the CPUs; implemented by accel/vcpu.c; any thread, never blocks. */
struct cpu_pins {
    void *opaque;
    /* The vCPU's local APIC (or the 8259 through LINT0) now has / no longer has something to deliver: look again. */
    void (*kick_intr)(void *opaque, unsigned cpu);
    void (*nmi)(void *opaque, unsigned cpu);
    void (*smi)(void *opaque, unsigned cpu);
    void (*init)(void *opaque, unsigned cpu);
    void (*sipi)(void *opaque, unsigned cpu, u8 vector);
    /* FERR#/IGNNE#: port 0xf0 written. */
    void (*ignne)(void *opaque, unsigned cpu);
};

/* What the CPU asks of its local APIC; implemented by hw/intc/lapic.c, called by the vCPU's thread, which holds no lock
 * (the implementation takes the machine lock where it must; intr_ready must not). */
struct lapic_ops {
    /* Where it says [atomic] whether a maskable interrupt is deliverable now (priority above PPR, or ExtINT). */
    const bool *(*intr_ready)(void *lapic);
    /* Acknowledges and returns the vector, or -1 if it has gone meanwhile (spurious vectors are returned as such). */
    int (*ack)(void *lapic);
    u64 (*get_base)(void *lapic);              /* IA32_APIC_BASE */
    int (*set_base)(void *lapic, u64 val);     /* -1: #GP */
    u8 (*get_tpr)(void *lapic);                /* 8 bits; CR8 is the high 4 */
    void (*set_tpr)(void *lapic, u8 tpr);
    int (*x2_read)(void *lapic, u32 msr, u64 *val);  /* 0x800..0x8ff; -1: #GP */
    int (*x2_write)(void *lapic, u32 msr, u64 val);
    u64 (*get_tsc_deadline)(void *lapic);
    void (*set_tsc_deadline)(void *lapic, u64 tsc);
    /* A paravirtual IPI: sends what icr says (fixed or NMI only) to the APICs with this ID; how many, or -1 for any other mode. */
    int (*pv_ipi)(void *lapic, u32 apic_id, u32 icr);
    void (*pmi)(void *lapic, bool mask);       /* a performance counter's interrupt, through LVTPC, which is then masked if `mask` */
    u64 (*get_pv_eoi)(void *lapic);            /* MSR_KVM_PV_EOI_EN */
    int (*set_pv_eoi)(void *lapic, u64 val);   /* -1: #GP */
    void (*reset)(void *lapic, bool init);     /* init: INIT IPI, keeps the APIC ID and the base's BSP bit */
    /* The register page at IA32_APIC_BASE (off 0..0xfff), which only its own CPU sees; not used in x2APIC mode. */
    u64 (*mmio_read)(void *lapic, u64 off, unsigned size);
    void (*mmio_write)(void *lapic, u64 off, u64 val, unsigned size);
};

#endif
