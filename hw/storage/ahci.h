/* The AHCI SATA controller of the ICH9. Machine lock held. */
#ifndef HW_STORAGE_AHCI_H
#define HW_STORAGE_AHCI_H
#include "hw/core/device.h"

/* An ich9-ahci at PCI address `addr` ("1f.2"), whose ports get the drives that the command line puts on IDE buses 0 to 5 and, unless
 * -nodefaults, an empty CD-ROM drive at port 2. */
struct device *ahci_new(struct machine *m, const char *addr, struct err *e);

#endif
