/* The PIIX3's IDE function with ATA disks. Machine lock held. */
#ifndef HW_STORAGE_IDE_H
#define HW_STORAGE_IDE_H
#include "hw/core/device.h"

struct blk;

/* PCI function 01.1 with the legacy ports of both channels; interrupts leave through copies of m->gsi[14] and [15].
 * disk[]: primary master and slave, secondary master and slave; NULL where there is none. The disks stay the caller's. */
struct device *piix3_ide_new(struct machine *m, struct blk *const disk[4], struct err *e);
/* Turns on the legacy ports of both channels, as firmware does (IDETIM). */
void piix3_ide_enable(struct device *d);

#endif
