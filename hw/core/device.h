/* What a device is: a state struct, a class constant with functions and tables, properties and saved fields. Instances
 * are made by class name from hw/core/devices.def by the machine or by -device. All calls: main thread or a vCPU thread,
 * machine lock held. */
#ifndef HW_CORE_DEVICE_H
#define HW_CORE_DEVICE_H
#include "hw/core/irq.h"
#include "mmu/region.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/snap.h"

struct machine;
struct chr;
struct device;

enum prop_kind { PROP_END, PROP_U8, PROP_U16, PROP_U32, PROP_U64, PROP_BOOL, PROP_STR, PROP_CHR };

/* One property: -device CLASS,NAME=VALUE and -global CLASS.NAME=VALUE. STR is a char * owned by the device core,
 * CHR a struct chr * looked up by -chardev id. */
struct prop {
    const char *name;
    u8 kind;
    u32 offset;       /* in the state struct */
    u64 def;          /* default, scalars */
    const char *def_str;
    const char *help; /* for -device CLASS,help */
};
#define PROP_DONE { NULL, PROP_END, 0, 0, NULL, NULL }

struct dev_class {
    const char *name;   /* QEMU's device name where there is one: "isa-debug-exit" */
    const char *desc;
    u32 state_size;
    bool user_creatable; /* -device may make it */
    const struct prop *props;
    const struct snap_field *fields;
    u16 snap_version;
    /* Builds the instance: maps regions, takes lines, checks properties. 0, or -1 with e set. */
    int (*realize)(struct device *d, struct err *e);
    void (*reset)(struct device *d);         /* power-on and system reset */
    void (*unrealize)(struct device *d);     /* optional */
    void (*post_load)(struct device *d);     /* after saved fields were read: recompute lines and views */
    /* Appends human-readable state beyond the fields (optional). */
};

/* Embedded as the FIRST member of every state struct. */
struct device {
    const struct dev_class *cls;
    struct machine *m;
    char *id;            /* -device id=, may be NULL */
    struct device *next; /* in the machine's list, creation order */
};

/* Allocates, applies defaults, -global and `props` ("iobase=0xf4,iosize=4", may be NULL), realizes and links. */
struct device *device_create(struct machine *m, const char *cls, const char *id, const char *props, struct err *e);
/* For machine code: allocate and set defaults, so that typed fields (lines, back ends) can be filled in before realize. */
struct device *device_alloc(struct machine *m, const char *cls, struct err *e);
int device_set_prop(struct device *d, const char *name, const char *value, struct err *e);
int device_realize(struct device *d, struct err *e); /* links it into the machine; frees d on failure */
/* Unrealizes (cancels timers, unmaps regions), unlinks and frees a realized device. */
void device_free(struct device *d);
/* All saved fields, headed by the class name and snap_version. load returns the bytes used, or -1 with e set (another
 * class, another version, damaged data), and calls post_load. */
void device_save(struct device *d, struct _GByteArray *out);
i64 device_load(struct device *d, const u8 *data, u64 len, struct err *e);
const struct dev_class *dev_class_find(const char *name);
const struct dev_class *dev_class_nth(unsigned i); /* NULL past the last */

#endif
