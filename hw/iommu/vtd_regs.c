/* The register block of VT-d: what can be written where, and what that sets off. vCPU threads, machine lock held. VT-d specification,
 * chapter 11. */
#include "hw/iommu/vtd.h"
#include "util/log.h"

enum { VERSION = 0x10 };
enum { CAP_ND_16 = 6, CAP_CM = 1 << 7, CAP_SAGAW_39 = 1 << 9, CAP_SAGAW_48 = 1 << 10 };
#define CAP_SLLPS (3ull << 34) /* 2 MiB, 1 GiB */
#define CAP_PSI (1ull << 39)
enum { ECAP_C = 1 << 0, ECAP_QI = 1 << 1, ECAP_IR = 1 << 3, ECAP_EIM = 1 << 4, ECAP_PT = 1 << 6, ECAP_MHMV = 15 << 20 };
#define EVENT_MASK (1u << 31)
#define RTADDR_TTM (3ull << 10)
enum { IRTA_SIZE = 15 };

/* -- commands ---------------------------------------------------------------------------------------------------------- */

static void take_root(struct vtd *s)
{
    u64 r = vtd_get64(s, VTD_RTADDR);

    if (r & RTADDR_TTM)
        GUEST_ERROR("intel-iommu: root table 0x%llx of a mode other than legacy", (unsigned long long)r);
    s->root = r & PAGE_MASK;
    vtd_tlb_flush(s, &(struct vtd_scope){ 0 });
}

static void take_interrupt_table(struct vtd *s)
{
    u64 r = vtd_get64(s, VTD_IRTA);

    s->irt = r & PAGE_MASK;
    s->irt_entries = 2u << (r & IRTA_SIZE);
    s->eime = r & VTD_IRTA_EIME;
}

static void queue_turned(struct vtd *s, bool on)
{
    vtd_set64(s, VTD_IQH, 0);
    if (on)
        vtd_queue_run(s);
}

/* 11.4.4: bits that are as they were change nothing; those of one-shot commands act when they are set. */
static void gcmd_written(struct vtd *s, u64 old)
{
    u32 cmd = vtd_get32(s, VTD_GCMD), status = vtd_get32(s, VTD_GSTS);
    u32 toggles = VTD_TE | VTD_QIE | (s->intremap ? VTD_IRE | VTD_CFI : 0), changed = (cmd ^ status) & toggles;

    vtd_set32(s, VTD_GCMD, 0);
    if (cmd & VTD_SRTP) {
        take_root(s);
        status |= VTD_SRTP;
    }
    if ((cmd & VTD_SIRTP) && s->intremap) {
        take_interrupt_table(s);
        status |= VTD_SIRTP;
    }
    vtd_set32(s, VTD_GSTS, status ^ changed);
    if (changed & VTD_TE)
        vtd_tlb_flush(s, &(struct vtd_scope){ 0 });
    if (changed & VTD_QIE)
        queue_turned(s, cmd & VTD_QIE);
}

static void ccmd_written(struct vtd *s, u64 old) { vtd_context_command(s); }
static void iotlb_written(struct vtd *s, u64 old) { vtd_iotlb_command(s); }
static void iqt_written(struct vtd *s, u64 old) { vtd_queue_run(s); }

/* With its error gone the queue goes on. */
static void fsts_written(struct vtd *s, u64 old)
{
    vtd_faults_cleared(s);
    if ((old & VTD_IQE) && !(vtd_get32(s, VTD_FSTS) & VTD_IQE))
        vtd_queue_run(s);
}

static void fectl_written(struct vtd *s, u64 old)
{
    vtd_event_settle(s, &vtd_fault_event, vtd_get32(s, VTD_FSTS) & VTD_PENDING);
}

static void inv_event_written(struct vtd *s, u64 old)
{
    vtd_event_settle(s, &vtd_inv_event, vtd_get32(s, VTD_ICS) & 1);
}

static void frcd_written(struct vtd *s, u64 old) { vtd_faults_cleared(s); }

/* -- the table ----------------------------------------------------------------------------------------------------------- */

/* wmask: bits that software writes; w1c: that it clears by writing 1. Reset values other than zero are in vtd_regs_reset. */
struct vtd_reg {
    u16 off, size;
    u64 wmask, w1c;
    void (*written)(struct vtd *s, u64 old);
};

#define MESSAGE_ADDRESS 0xfffffffc
#define FRCD_HIGH(n) { VTD_FRCD + 16 * (n) + 8, 8, 0, 1ull << 63, frcd_written }

static const struct vtd_reg regs[] = {
    { VTD_GCMD, 4, 0xffffffff, 0, gcmd_written },
    { VTD_RTADDR, 8, PAGE_MASK | RTADDR_TTM, 0, NULL },
    { VTD_CCMD, 8, 0xe0000003ffffffffull, 0, ccmd_written },
    { VTD_FSTS, 4, 0, VTD_PFO | VTD_IQE, fsts_written },
    { VTD_FECTL, 4, EVENT_MASK, 0, fectl_written },
    { VTD_FEDATA, 4, 0xffff, 0, NULL },
    { VTD_FEADDR, 4, MESSAGE_ADDRESS, 0, NULL },
    { VTD_FEUADDR, 4, 0xffffffff, 0, NULL },
    { VTD_IQT, 8, 0x7fff0, 0, iqt_written },
    { VTD_IQA, 8, PAGE_MASK | 7, 0, NULL },
    { VTD_ICS, 4, 0, 1, inv_event_written },
    { VTD_IECTL, 4, EVENT_MASK, 0, inv_event_written },
    { VTD_IEDATA, 4, 0xffff, 0, NULL },
    { VTD_IEADDR, 4, MESSAGE_ADDRESS, 0, NULL },
    { VTD_IEUADDR, 4, 0xffffffff, 0, NULL },
    { VTD_IRTA, 8, PAGE_MASK | VTD_IRTA_EIME | IRTA_SIZE, 0, NULL },
    { VTD_IVA, 8, PAGE_MASK | 0x7f, 0, NULL },
    { VTD_IOTLB, 8, 0xb003ffff00000000ull, 0, iotlb_written },
    FRCD_HIGH(0), FRCD_HIGH(1), FRCD_HIGH(2), FRCD_HIGH(3), FRCD_HIGH(4), FRCD_HIGH(5), FRCD_HIGH(6), FRCD_HIGH(7),
};

/* Bits that this hardware does not have are not written. */
static u64 wmask_of(const struct vtd *s, const struct vtd_reg *r)
{
    if (r->off == VTD_IRTA)
        return !s->intremap ? 0 : s->eim ? r->wmask : r->wmask & ~(u64)VTD_IRTA_EIME;
    return r->wmask;
}

/* The register's part of a write of `size` bytes at `off`. */
static void reg_write(struct vtd *s, const struct vtd_reg *r, u64 off, u64 val, unsigned size)
{
    u8 *p = s->reg + r->off;
    u64 wmask = wmask_of(s, r), old = r->size == 8 ? ld64(p) : ld32(p), set = 0, touched = 0;

    for (unsigned i = 0; i < r->size; i++) {
        u64 at = r->off + i - off;
        if (at >= size)
            continue;
        touched |= 0xffull << 8 * i;
        set |= (val >> 8 * at & 0xff) << 8 * i;
    }
    u64 v = (old & ~(wmask & touched)) | (set & wmask & touched);
    v &= ~(set & r->w1c);
    if (r->size == 8)
        st64(p, v);
    else
        st32(p, (u32)v);
    if (r->written)
        r->written(s, old);
}

static void vtd_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct vtd *s = opaque;
    bool any = false;

    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
        if (off >= regs[i].off + regs[i].size || off + size <= regs[i].off)
            continue;
        reg_write(s, &regs[i], off, val, size);
        any = true;
    }
    if (!any)
        GUEST_ERROR("intel-iommu: write of 0x%llx at offset 0x%llx", (unsigned long long)val, (unsigned long long)off);
}

static u64 vtd_read(void *opaque, u64 off, unsigned size)
{
    const struct vtd *s = opaque;
    u64 v = 0;

    if (off + size <= VTD_REG_SIZE)
        memcpy(&v, s->reg + off, size);
    return v;
}

const struct region_ops vtd_region_ops = { vtd_read, vtd_write, 4, 8 };

/* -- reset ----------------------------------------------------------------------------------------------------------------- */

static u64 capabilities(const struct vtd *s)
{
    return CAP_ND_16 | (s->caching_mode ? CAP_CM : 0) | CAP_SAGAW_39 | (s->aw_bits == 48 ? CAP_SAGAW_48 : 0) | (u64)(s->aw_bits - 1) << 16 |
           (u64)(VTD_FRCD / 16) << 24 | CAP_SLLPS | CAP_PSI | (u64)(VTD_FAULTS - 1) << 40 | (u64)VTD_MAMV << 48;
}

static u64 extended_capabilities(const struct vtd *s)
{
    return ECAP_C | ECAP_QI | (s->intremap ? ECAP_IR | ECAP_MHMV : 0) | (s->eim ? ECAP_EIM : 0) | (s->pass_through ? ECAP_PT : 0) |
           VTD_IVA / 16 << 8;
}

void vtd_regs_reset(struct vtd *s)
{
    memset(s->reg, 0, sizeof(s->reg));
    vtd_set32(s, VTD_VER, VERSION);
    vtd_set64(s, VTD_CAP, capabilities(s));
    vtd_set64(s, VTD_ECAP, extended_capabilities(s));
    vtd_set32(s, VTD_FECTL, EVENT_MASK);
    vtd_set32(s, VTD_IECTL, EVENT_MASK);
    s->root = s->irt = 0;
    s->irt_entries = 0;
    s->eime = false;
    s->fault_next = 0;
    vtd_tlb_flush(s, &(struct vtd_scope){ 0 });
}
