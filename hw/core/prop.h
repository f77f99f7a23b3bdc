/* Properties of devices: defaults, setting from text, text of a value. Main thread, machine
 * lock held. */
#ifndef HW_CORE_PROP_H
#define HW_CORE_PROP_H
#include "hw/core/device.h"

const struct prop *prop_find(const struct dev_class *cls, const char *name);
/* Gives every property of d its default. */
void props_init(struct device *d);
void props_fini(struct device *d);

#endif
