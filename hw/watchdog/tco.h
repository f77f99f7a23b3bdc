/* The ICH9's watchdog: the TCO timer. Machine lock held. */
#ifndef HW_WATCHDOG_TCO_H
#define HW_WATCHDOG_TCO_H
#include "hw/core/device.h"

#define TCO_SIZE 32

/* no_reboot(opaque): GCS.NO_REBOOT, which keeps the second timeout from doing anything. The block is placed by tco_map. */
struct device *tco_new(struct machine *m, bool (*no_reboot)(void *opaque), void *opaque, struct err *e);
/* At PMBASE + 0x60. */
void tco_map(struct device *d, u16 base, bool enabled);

#endif
