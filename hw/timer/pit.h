/* The 8254 interval timer and the speaker port 0x61. Machine lock held. */
#ifndef HW_TIMER_PIT_H
#define HW_TIMER_PIT_H
#include "hw/core/device.h"

/* Ports 0x40..0x43 and 0x61. irq0 is channel 0's output: m->gsi[0], or hpet_legacy_in(hpet, 0) if there is an HPET. */
struct device *pit_new(struct machine *m, struct irq_line irq0, struct err *e);

#endif
