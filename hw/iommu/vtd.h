/* Inside of the VT-d remapping hardware: its state, and what hw/iommu/vtd_*.c do for each other. Machine lock.
 * Section numbers of hw/iommu/ are those of Intel's Virtualization Technology for Directed I/O, Architecture Specification, revision 3.x. */
#ifndef HW_IOMMU_VTD_H
#define HW_IOMMU_VTD_H
#include "hw/core/machine.h"
#include "hw/pci/pci.h"

enum vtd_reg_offset { /* 11.4 */
    VTD_VER = 0x00, VTD_CAP = 0x08, VTD_ECAP = 0x10, VTD_GCMD = 0x18, VTD_GSTS = 0x1c, VTD_RTADDR = 0x20, VTD_CCMD = 0x28, VTD_FSTS = 0x34,
    VTD_FECTL = 0x38, VTD_FEDATA = 0x3c, VTD_FEADDR = 0x40, VTD_FEUADDR = 0x44, VTD_IQH = 0x80, VTD_IQT = 0x88, VTD_IQA = 0x90, VTD_ICS = 0x9c,
    VTD_IECTL = 0xa0, VTD_IEDATA = 0xa4, VTD_IEADDR = 0xa8, VTD_IEUADDR = 0xac, VTD_IQERCD = 0xb0, VTD_IRTA = 0xb8, VTD_IVA = 0xf0,
    VTD_IOTLB = 0xf8, VTD_FRCD = 0x220, VTD_REG_SIZE = 0x2a0,
};
enum { VTD_FAULTS = 8 /* fault recording registers */, VTD_MAMV = 18, VTD_TLB_SIZE = 1024 };

enum { /* GCMD and GSTS */
    VTD_TE = 1u << 31, VTD_SRTP = 1 << 30, VTD_QIE = 1 << 26, VTD_IRE = 1 << 25, VTD_SIRTP = 1 << 24, VTD_CFI = 1 << 23,
};
enum { /* FSTS */
    VTD_PFO = 1 << 0, VTD_PPF = 1 << 1, VTD_IQE = 1 << 4, VTD_PENDING = 0xff,
};
enum { VTD_IRTA_EIME = 1 << 11 };

enum vtd_reason { /* 7.1.3 and 5.1.4.1; 0: no fault */
    VTD_ROOT_ABSENT = 0x1, VTD_CONTEXT_ABSENT = 0x2, VTD_CONTEXT_INVALID = 0x3, VTD_BEYOND_WIDTH = 0x4, VTD_NO_WRITE = 0x5, VTD_NO_READ = 0x6,
    VTD_TABLE_ACCESS = 0x7, VTD_ROOT_ACCESS = 0x8, VTD_CONTEXT_ACCESS = 0x9, VTD_ROOT_RESERVED = 0xa, VTD_CONTEXT_RESERVED = 0xb,
    VTD_ENTRY_RESERVED = 0xc,
    VTD_IR_REQUEST_RESERVED = 0x20, VTD_IR_INDEX = 0x21, VTD_IR_ABSENT = 0x22, VTD_IR_ACCESS = 0x23, VTD_IR_RESERVED = 0x24,
    VTD_IR_COMPATIBILITY = 0x25, VTD_IR_SOURCE = 0x26,
};

/* A cached translation of [iova, iova | mask]. */
struct vtd_tlb_entry {
    u64 iova, mask, target;
    u16 source, domain;
    bool valid, read, write;
};

/* Guest memory as one PCI function sees it. */
struct vtd_space {
    struct vtd *vtd;
    struct pci_device *pci;
    struct aspace *as;
    bool passes;      /* its context entry says pass-through, as far as is known ... */
    u16 passes_as;    /* ... of this source */
    struct vtd_space *next;
};

struct vtd {
    struct device dev;
    /* properties */
    u8 aw_bits, intremap_prop, eim_prop;
    bool caching_mode, pass_through, dma_translation;
    bool device_iotlb, snoop_control, dma_drain, scalable, pasid, buggy_eim; /* there for being refused */
    bool intremap, eim;
    /* registers [saved, as are the next five] */
    u8 reg[VTD_REG_SIZE];
    u64 root;         /* root table, as SRTP has taken it */
    u64 irt;          /* interrupt remapping table, as SIRTP has taken it */
    u32 irt_entries;
    bool eime;        /* its destinations have 32 bits */
    u8 fault_next;    /* the fault recording register to use next */
    /* wiring and what is derived */
    struct region mmio;
    struct msi_sink out; /* where messages go from here */
    struct vtd_space *spaces;
    struct vtd_tlb_entry tlb[VTD_TLB_SIZE];
};

static inline u32 vtd_get32(const struct vtd *s, unsigned off) { return ld32(s->reg + off); }
static inline u64 vtd_get64(const struct vtd *s, unsigned off) { return ld64(s->reg + off); }
static inline void vtd_set32(struct vtd *s, unsigned off, u32 v) { st32(s->reg + off, v); }
static inline void vtd_set64(struct vtd *s, unsigned off, u64 v) { st64(s->reg + off, v); }

/* vtd_regs.c */
extern const struct region_ops vtd_region_ops;
void vtd_regs_reset(struct vtd *s);

/* vtd_fault.c */
/* One of the two interrupts of the hardware itself: offsets of its registers. */
struct vtd_event {
    u16 ctl, data, addr, uaddr;
};
extern const struct vtd_event vtd_fault_event, vtd_inv_event;
void vtd_event_raise(struct vtd *s, const struct vtd_event *ev);
/* After its control register or its cause has changed; pending: the cause is still there. */
void vtd_event_settle(struct vtd *s, const struct vtd_event *ev, bool pending);
/* Records a blocked request: addr is its address, or the interrupt's index in bits 63:48. */
void vtd_fault(struct vtd *s, enum vtd_reason reason, u16 source, u64 addr, bool write);
/* Sets bits of FSTS, which interrupts if none was pending. */
void vtd_status_set(struct vtd *s, u32 bits);
/* Software has cleared F of fault recording registers, or bits of FSTS. */
void vtd_faults_cleared(struct vtd *s);

/* vtd_dma.c */
struct aspace *vtd_space_new(void *opaque, struct pci_device *d);
void vtd_space_free(void *opaque, struct pci_device *d, struct aspace *as);
/* What invalidations apply to. */
struct vtd_scope {
    bool by_domain, by_source, by_page;
    u16 domain, source, source_mask; /* bits of the source that count */
    u64 iova, iova_last;
};
void vtd_tlb_flush(struct vtd *s, const struct vtd_scope *scope);

/* vtd_inv.c */
void vtd_context_command(struct vtd *s);
void vtd_iotlb_command(struct vtd *s);
/* Works on the invalidation queue, if it is on and not stopped by an error. */
void vtd_queue_run(struct vtd *s);

/* vtd_intr.c */
void vtd_message(void *opaque, const struct msi *msg);

#endif
