/* The boot order that firmware follows: devices by bootindex. Main thread, machine lock held. */
#ifndef HW_MACHINE_BOOT_ORDER_H
#define HW_MACHINE_BOOT_ORDER_H
#include <glib.h>
#include "util/err.h"

struct machine;
struct device;

/* Open Firmware paths of the devices with a bootindex, the smallest first, one a line, then "HALT" if strict; terminated by a zero byte. Empty
 * if there is nothing to say. -1 with e set if two devices have the same index. */
int boot_order_build(struct machine *m, bool strict, GByteArray *out, struct err *e);
/* The path of one device: "/pci@i0cf8/ide@1,1/drive@0/disk@0". */
void boot_order_path(const struct device *d, GString *out);

#endif
