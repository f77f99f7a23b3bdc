/* VT-d: invalidation by registers and by the queue of descriptors in memory. vCPU threads, machine lock held. Interrupt remapping entries are
 * not cached, so that their invalidation is done as soon as it is asked for. VT-d specification, section 6.5. */
#include "hw/iommu/vtd.h"
#include "mmu/dma.h"
#include "util/log.h"

#define ICC (1ull << 63)
#define IVT (1ull << 63)
enum { GRANULE_GLOBAL = 1, GRANULE_DOMAIN = 2, GRANULE_FINE = 3 /* a device; pages */ };
enum { DESC_SIZE = 16, DESC_CONTEXT = 1, DESC_IOTLB = 2, DESC_INTERRUPT = 4, DESC_WAIT = 5 };
enum { WAIT_IF = 1 << 4, WAIT_SW = 1 << 5 };
enum { ICS_IWC = 1 };
enum { IQE_TAIL = 1, IQE_FETCH = 2, IQE_TYPE = 3, IQE_RESERVED = 4 }; /* IQERCD.IQEI */

/* -- what is done ------------------------------------------------------------------------------------------------------- */

/* With a context entry the translations of its device go: more than is asked for. */
static bool flush_context(struct vtd *s, unsigned granule, u16 domain, u16 source, unsigned function_mask)
{
    static const u16 counts[4] = { 0xffff, 0xfffb, 0xfff9, 0xfff8 }; /* FM: function number bits that do not count */
    struct vtd_scope c = { .by_domain = granule == GRANULE_DOMAIN, .domain = domain, .by_source = granule == GRANULE_FINE, .source = source,
                           .source_mask = counts[function_mask] };

    if (!granule)
        return false;
    vtd_tlb_flush(s, &c);
    return true;
}

static bool flush_iotlb(struct vtd *s, unsigned granule, u16 domain, u64 iva)
{
    unsigned bits = PAGE_BITS + (iva & 63);
    u64 first = iva & PAGE_MASK & ~MASK64(MIN_OF(bits, 63u));
    struct vtd_scope c = { .by_domain = granule != GRANULE_GLOBAL, .domain = domain, .by_page = granule == GRANULE_FINE, .iova = first,
                           .iova_last = first | MASK64(MIN_OF(bits, 63u)) };

    if (!granule || (granule == GRANULE_FINE && (iva & 63) > VTD_MAMV))
        return false;
    vtd_tlb_flush(s, &c);
    return true;
}

/* -- registers ------------------------------------------------------------------------------------------------------------ */

/* While the queue is on, software uses that. */
static bool by_register(const struct vtd *s, const char *what)
{
    if (!(vtd_get32(s, VTD_GSTS) & VTD_QIE))
        return true;
    GUEST_ERROR("intel-iommu: %s written while queued invalidation is on", what);
    return false;
}

void vtd_context_command(struct vtd *s)
{
    u64 c = vtd_get64(s, VTD_CCMD);
    unsigned granule = c >> 61 & 3, done = 0;

    if (!(c & ICC))
        return;
    if (by_register(s, "CCMD") && flush_context(s, granule, (u16)c, c >> 16 & 0xffff, c >> 32 & 3))
        done = granule;
    vtd_set64(s, VTD_CCMD, (c & ~(ICC | 3ull << 59)) | (u64)done << 59);
}

void vtd_iotlb_command(struct vtd *s)
{
    u64 c = vtd_get64(s, VTD_IOTLB);
    unsigned granule = c >> 60 & 3, done = 0;

    if (!(c & IVT))
        return;
    if (by_register(s, "IOTLB") && flush_iotlb(s, granule, c >> 32 & 0xffff, vtd_get64(s, VTD_IVA)))
        done = granule;
    vtd_set64(s, VTD_IOTLB, (c & ~(IVT | 3ull << 57)) | (u64)done << 57);
}

/* -- the queue ------------------------------------------------------------------------------------------------------------ */

static unsigned do_context(struct vtd *s, const u64 d[2])
{
    if ((d[0] & 0xfffc00000000ffc0ull) || d[1])
        return IQE_RESERVED;
    return flush_context(s, d[0] >> 4 & 3, d[0] >> 16 & 0xffff, d[0] >> 32 & 0xffff, d[0] >> 48 & 3) ? 0 : IQE_TYPE;
}

static unsigned do_iotlb(struct vtd *s, const u64 d[2])
{
    if ((d[0] & 0xffffffff0000ff00ull) || (d[1] & 0xf80ull))
        return IQE_RESERVED;
    return flush_iotlb(s, d[0] >> 4 & 3, d[0] >> 16 & 0xffff, d[1]) ? 0 : IQE_TYPE;
}

static unsigned do_interrupt(struct vtd *s, const u64 d[2])
{
    if (!s->intremap)
        return IQE_TYPE;
    return (d[0] & 0xffff000007ffffe0ull) || d[1] ? IQE_RESERVED : 0;
}

/* Everything in front of it is done by now. */
static unsigned do_wait(struct vtd *s, const u64 d[2])
{
    u32 data = d[0] >> 32;

    if ((d[0] & 0xffffff00ull) || (d[1] & 3))
        return IQE_RESERVED;
    if ((d[0] & WAIT_SW) && dma_write(s->dev.m->mem, d[1], &data, sizeof(data)) < 0)
        GUEST_ERROR("intel-iommu: status of a wait goes to 0x%llx, which is no RAM", (unsigned long long)d[1]);
    if ((d[0] & WAIT_IF) && !(vtd_get32(s, VTD_ICS) & ICS_IWC)) {
        vtd_set32(s, VTD_ICS, ICS_IWC);
        vtd_event_raise(s, &vtd_inv_event);
    }
    return 0;
}

/* 0, or why it is in error. */
static unsigned do_descriptor(struct vtd *s, u64 at)
{
    u8 b[DESC_SIZE];
    u64 d[2];

    if (dma_read(s->dev.m->mem, at, b, sizeof(b)) < 0)
        return IQE_FETCH;
    d[0] = ld64(b);
    d[1] = ld64(b + 8);
    switch (d[0] & 0xf) {
    case DESC_CONTEXT: return do_context(s, d);
    case DESC_IOTLB: return do_iotlb(s, d);
    case DESC_INTERRUPT: return do_interrupt(s, d);
    case DESC_WAIT: return do_wait(s, d);
    }
    return IQE_TYPE;
}

static void queue_error(struct vtd *s, unsigned why)
{
    GUEST_ERROR("intel-iommu: invalidation queue stops at 0x%llx: error %u", (unsigned long long)vtd_get64(s, VTD_IQH), why);
    vtd_set64(s, VTD_IQERCD, why);
    vtd_status_set(s, VTD_IQE);
}

/* From head to tail, at most once round: the head meets the tail, or an error. */
void vtd_queue_run(struct vtd *s)
{
    u64 iqa = vtd_get64(s, VTD_IQA), base = iqa & PAGE_MASK, size = PAGE_SIZE << (iqa & 7);
    u64 head = vtd_get64(s, VTD_IQH), tail = vtd_get64(s, VTD_IQT);

    if (!(vtd_get32(s, VTD_GSTS) & VTD_QIE) || (vtd_get32(s, VTD_FSTS) & VTD_IQE))
        return;
    if (tail >= size || head >= size) {
        queue_error(s, IQE_TAIL);
        return;
    }
    while (head != tail) {
        unsigned why = do_descriptor(s, base + head);
        if (why) {
            queue_error(s, why);
            return;
        }
        head = (head + DESC_SIZE) % size;
        vtd_set64(s, VTD_IQH, head);
    }
}
