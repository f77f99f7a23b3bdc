/* VT-d: interrupt remapping. Every message of a PCI function, the I/O APIC and the HPET comes by here on its way to the local APICs; devices'
 * threads, machine lock held. VT-d specification, sections 5.1 and 9.10. */
#include "hw/iommu/vtd.h"
#include "mmu/dma.h"

enum { ADDR_INDEX15 = 1 << 2, ADDR_SHV = 1 << 3, ADDR_REMAPPABLE = 1 << 4, ENTRY_SIZE = 16 };
enum { IRTE_P = 1 << 0, IRTE_FPD = 1 << 1, IRTE_DM = 1 << 2, IRTE_RH = 1 << 3, IRTE_TM = 1 << 4, IRTE_RESERVED = 0xff00f000 /* with IM: posted */ };
enum { SVT_NONE = 0, SVT_SOURCE = 1, SVT_BUS = 2 };
enum { MSI_LOGICAL = 1 << 2, MSI_REDIRECT = 1 << 3, MSI_ASSERT = 1 << 14, MSI_LEVEL = 1 << 15 };

/* Validation of the requester, IRTE bits 83:64. */
static bool source_allowed(u16 source, u64 high)
{
    static const u16 counts[4] = { 0xffff, 0xfffb, 0xfff9, 0xfff8 }; /* SQ: function number bits that do not count */
    u16 sid = (u16)high;

    switch (high >> 18 & 3) {
    case SVT_NONE: return true;
    case SVT_SOURCE: return !((source ^ sid) & counts[high >> 16 & 3]);
    default: return source >> 8 >= sid >> 8 && source >> 8 <= (sid & 0xff);
    }
}

static bool entry_reserved(const struct vtd *s, const u64 e[2])
{
    u32 dest = e[0] >> 32;

    return (e[0] & IRTE_RESERVED) || e[1] >> 20 || (e[1] >> 18 & 3) == 3 || (!s->eime && (dest & ~0xff00u));
}

/* The entry of `index`. */
static enum vtd_reason find_entry(const struct vtd *s, const struct msi *msg, u32 index, u64 e[2], bool *record)
{
    u8 b[ENTRY_SIZE];

    *record = true;
    if (index >= s->irt_entries)
        return VTD_IR_INDEX;
    if (dma_read(s->dev.m->mem, s->irt + index * (u64)ENTRY_SIZE, b, sizeof(b)) < 0)
        return VTD_IR_ACCESS;
    e[0] = ld64(b);
    e[1] = ld64(b + 8);
    *record = !(e[0] & IRTE_FPD);
    if (!(e[0] & IRTE_P))
        return VTD_IR_ABSENT;
    if (entry_reserved(s, e))
        return VTD_IR_RESERVED;
    /* What comes from inside the chipset is not validated, as there is no bus on which somebody could pretend to be it. */
    return msg->platform || source_allowed(msg->source, e[1]) ? 0 : VTD_IR_SOURCE;
}

/* The message that an entry asks for. */
static void compose(const struct vtd *s, const u64 e[2], struct msi *msg)
{
    u32 dest = e[0] >> 32;

    msg->wide = s->eime;
    msg->dest = dest;
    msg->addr = 0xfee00000 | (s->eime ? 0 : (dest >> 8 & 0xff) << 12) | (e[0] & IRTE_RH ? MSI_REDIRECT : 0) |
                (e[0] & IRTE_DM ? MSI_LOGICAL : 0);
    msg->data = (e[0] >> 16 & 0xff) | (e[0] >> 5 & 7) << 8 | (e[0] & IRTE_TM ? MSI_LEVEL : 0) | MSI_ASSERT;
}

void vtd_message(void *opaque, const struct msi *msg)
{
    struct vtd *s = opaque;
    struct msi out = *msg;
    u32 index = (msg->addr >> 5 & 0x7fff) | (msg->addr & ADDR_INDEX15 ? 0x8000 : 0);
    enum vtd_reason reason;
    bool record = true;
    u64 e[2];

    if (!(vtd_get32(s, VTD_GSTS) & VTD_IRE) || msg->addr >> 20 != 0xfee) {
        msi_send(&s->out, msg);
        return;
    }
    if (!(msg->addr & ADDR_REMAPPABLE)) {
        if (!s->eime && (vtd_get32(s, VTD_GSTS) & VTD_CFI))
            msi_send(&s->out, msg);
        else
            vtd_fault(s, VTD_IR_COMPATIBILITY, msg->source, 0, true);
        return;
    }
    if (msg->addr & ADDR_SHV)
        index += msg->data & 0xffff;
    if ((msg->addr & ADDR_SHV) && msg->data >> 16)
        reason = VTD_IR_REQUEST_RESERVED;
    else
        reason = find_entry(s, msg, index, e, &record);
    if (!reason) {
        compose(s, e, &out);
        msi_send(&s->out, &out);
    } else if (record) {
        vtd_fault(s, reason, msg->source, (u64)index << 48, true);
    }
}
