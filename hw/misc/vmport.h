/* VMware's backdoor port. Machine lock held. */
#ifndef HW_MISC_VMPORT_H
#define HW_MISC_VMPORT_H
#include "hw/core/device.h"
#include "hw/core/io_regs.h"

#define VMPORT_COMMANDS 0x80 /* command numbers are below */
/* A command: r is what the vCPU's registers hold; which of them it has changed goes, as bits (1 << IO_...), into *changed. Returns EAX, which counts
 * in any case. */
typedef u32 vmport_fn(void *opaque, u32 r[IO_REGS], unsigned *changed);

struct device *vmport_new(struct machine *m, struct err *e);
/* Another device answers command num; fn NULL: no longer. */
void vmport_set_command(struct device *vmport, unsigned num, vmport_fn *fn, void *opaque);

#endif
