/* The high precision event timer block. Machine lock held. */
#ifndef HW_TIMER_HPET_H
#define HW_TIMER_HPET_H
#include "hw/core/device.h"

#define HPET_BASE 0xfed00000ull

/* Registers at HPET_BASE; interrupts leave through copies of m->gsi[] (so these must be set), and through m->msi. The
 * timers can be routed to GSI 20..23 or, with legacy replacement, to GSI 0 and 8. */
struct device *hpet_new(struct machine *m, struct err *e);
/* Inputs for the outputs of the PIT (0) and the RTC (1): passed on to m->gsi[0] and m->gsi[8] except while the guest has
 * legacy replacement routing on. */
struct irq_line hpet_legacy_in(struct device *d, unsigned n);

#endif
