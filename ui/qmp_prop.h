/* Devices and their properties as QMP names them. Main thread, machine lock held. */
#ifndef UI_QMP_PROP_H
#define UI_QMP_PROP_H
#include "hw/core/machine.h"
#include "ui/json.h"

/* The type of a property in QEMU's words: "uint32", "bool", "str". */
const char *qmp_prop_type(const struct prop *p);
/* The device at a path of device_path's kind, or NULL. */
struct device *qmp_device_at(struct machine *m, const char *path);
/* The value of a property as JSON; NULL if there is none of that name. */
JsonNode *qmp_prop_value(const struct device *d, const char *name);

#endif
