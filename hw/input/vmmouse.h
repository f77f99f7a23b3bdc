/* VMware's absolute pointer on the backdoor port. Machine lock held. */
#ifndef HW_INPUT_VMMOUSE_H
#define HW_INPUT_VMMOUSE_H
#include "hw/core/device.h"

/* Takes commands 39 to 41 of vmport (hw/misc/vmport.h); its interrupt is that of i8042's mouse. Both live as long as it does. */
struct device *vmmouse_new(struct machine *m, struct device *vmport, struct device *i8042, struct err *e);

#endif
