/* The one-port debug console of Bochs and QEMU. Machine lock held. */
#ifndef HW_CHAR_DEBUGCON_H
#define HW_CHAR_DEBUGCON_H
#include "hw/core/device.h"

/* isa-debugcon at port iobase (0xe9 is usual). */
struct device *debugcon_new(struct machine *m, u16 iobase, struct chr *chr, struct err *e);

#endif
