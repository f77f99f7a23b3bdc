/* The PIRQ router of south bridges: an interrupt input is high while a PIRQ that is routed to it, or the SCI, is. vCPU threads and timers,
 * machine lock held. Intel 82371SB data sheet (290550), section 2.2.10; ICH9 data sheet (316972), section 5.8. */
#include "hw/pci/pirq.h"
#include "hw/core/machine.h"

enum { ROUTABLE_IRQS = 0xdef8 /* 3-7, 9-12, 14, 15 */, APIC_PIRQ_FIRST = 16 };

void pirq_router_update(struct pirq_router *r, struct machine *m, const u8 *rc, unsigned n, unsigned sci)
{
    u32 want = r->sci_level ? BIT(sci) : 0, changed;

    for (unsigned i = 0; i < n; i++) {
        if (!(r->level & BIT(i)))
            continue;
        if (!(rc[i] & PIRQ_OFF))
            want |= BIT(rc[i] & 15) & ROUTABLE_IRQS;
        if (n > 4)
            want |= BIT(APIC_PIRQ_FIRST + i);
    }
    changed = want ^ r->driven;
    r->driven = want;
    for (unsigned i = 0; i < ARRAY_LEN(m->gsi); i++)
        if (changed & BIT(i))
            irq_set(&m->gsi[i], want >> i & 1);
}
