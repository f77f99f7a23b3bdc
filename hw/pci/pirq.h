/* PIRQ routing of south bridges: from PIRQs and the SCI to interrupt inputs. Embedded in the bridge; machine lock. */
#ifndef HW_PCI_PIRQ_H
#define HW_PCI_PIRQ_H
#include "util/base.h"

struct machine;

#define PIRQ_OFF 0x80 /* PIRQRC: not routed */

struct pirq_router {
    u8 level;     /* bit n: PIRQ n is asserted; saved by the owner */
    u8 sci_level; /* saved by the owner */
    u32 driven;   /* inputs (m->gsi) that are held high by the bridge */
};

static inline void pirq_router_set(struct pirq_router *r, int pirq, int level)
{
    r->level = (r->level & ~BIT(pirq)) | (level ? BIT(pirq) : 0);
}

/* rc: the n route control registers; n is 4, or 8, whose PIRQs are inputs 16..23, too. sci: the SCI's input. */
void pirq_router_update(struct pirq_router *r, struct machine *m, const u8 *rc, unsigned n, unsigned sci);

#endif
