/* VT-d: recording of blocked requests, and the interrupts of the remapping hardware itself. Machine lock. VT-d specification, sections 7.2
 * and 7.3. */
#include "hw/iommu/vtd.h"
#include "util/log.h"

#define EVENT_MASK (1u << 31)
#define EVENT_PENDING (1u << 30)
#define FRCD_F (1ull << 63)
#define FRCD_READ (1ull << 62)
enum { FSTS_FRI = 0xff00 };

const struct vtd_event vtd_fault_event = { VTD_FECTL, VTD_FEDATA, VTD_FEADDR, VTD_FEUADDR };
const struct vtd_event vtd_inv_event = { VTD_IECTL, VTD_IEDATA, VTD_IEADDR, VTD_IEUADDR };

/* These messages are not remapped (5.1.5.3); with 32-bit destinations the upper address has bits 31:8 of it. */
static void event_send(struct vtd *s, const struct vtd_event *ev)
{
    u32 addr = vtd_get32(s, ev->addr), upper = vtd_get32(s, ev->uaddr);
    struct msi msg = { .addr = addr, .data = vtd_get32(s, ev->data), .platform = true };

    vtd_set32(s, ev->ctl, vtd_get32(s, ev->ctl) & ~EVENT_PENDING);
    if (addr >> 20 != 0xfee) {
        GUEST_ERROR("intel-iommu: a message of its own to 0x%x, which is no interrupt", addr);
        return;
    }
    if (s->eim) {
        msg.wide = true;
        msg.dest = (addr >> 12 & 0xff) | (upper & ~0xffu);
    }
    msi_send(&s->out, &msg);
}

void vtd_event_raise(struct vtd *s, const struct vtd_event *ev)
{
    u32 ctl = vtd_get32(s, ev->ctl);

    vtd_set32(s, ev->ctl, ctl | EVENT_PENDING);
    if (!(ctl & EVENT_MASK))
        event_send(s, ev);
}

void vtd_event_settle(struct vtd *s, const struct vtd_event *ev, bool pending)
{
    u32 ctl = vtd_get32(s, ev->ctl);

    if (!pending)
        vtd_set32(s, ev->ctl, ctl & ~EVENT_PENDING);
    else if ((ctl & EVENT_PENDING) && !(ctl & EVENT_MASK))
        event_send(s, ev);
}

void vtd_status_set(struct vtd *s, u32 bits)
{
    u32 was = vtd_get32(s, VTD_FSTS);

    vtd_set32(s, VTD_FSTS, was | bits);
    if (!(was & VTD_PENDING))
        vtd_event_raise(s, &vtd_fault_event);
}

void vtd_fault(struct vtd *s, enum vtd_reason reason, u16 source, u64 addr, bool write)
{
    u32 status = vtd_get32(s, VTD_FSTS);
    unsigned n = s->fault_next, at = VTD_FRCD + 16 * n;

    GUEST_ERROR("intel-iommu: %02x:%02x.%x at 0x%llx is blocked: reason 0x%x", source >> 8, PCI_SLOT(source & 0xff), PCI_FUNC(source),
                (unsigned long long)addr, reason);
    if (status & VTD_PFO)
        return;
    if (vtd_get64(s, at + 8) & FRCD_F) {
        vtd_status_set(s, VTD_PFO);
        return;
    }
    vtd_set64(s, at, reason < VTD_IR_REQUEST_RESERVED ? addr & PAGE_MASK : addr);
    vtd_set64(s, at + 8, FRCD_F | (write ? 0 : FRCD_READ) | (u64)reason << 32 | source);
    s->fault_next = (n + 1) % VTD_FAULTS;
    if (status & VTD_PPF)
        return;
    vtd_set32(s, VTD_FSTS, (status & ~FSTS_FRI) | n << 8);
    vtd_status_set(s, VTD_PPF);
}

void vtd_faults_cleared(struct vtd *s)
{
    u32 status = vtd_get32(s, VTD_FSTS) & ~VTD_PPF;

    for (unsigned n = 0; n < VTD_FAULTS; n++)
        if (vtd_get64(s, VTD_FRCD + 16 * n + 8) & FRCD_F)
            status |= VTD_PPF;
    vtd_set32(s, VTD_FSTS, status);
    vtd_event_settle(s, &vtd_fault_event, status & VTD_PENDING);
}
