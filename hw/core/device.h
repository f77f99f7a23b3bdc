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
struct blk;
struct net;
struct opts;
struct device;
struct bus;

enum prop_kind {
    PROP_END, PROP_U8, PROP_U16, PROP_U32, PROP_U64, PROP_BOOL,
    PROP_I32,   /* decimal with a sign: bootindex */
    PROP_SIZE,  /* u64 with a suffix K, M, G */
    PROP_AUTO,  /* u8: enum prop_auto; on, off, auto */
    PROP_STR,   /* char *, owned by the device core */
    PROP_ENUM,  /* char *, one of the words in help, "a|b|c: text" */
    PROP_MAC,   /* u8[6]; "52:54:00:12:34:56"; all zeros if not given */
    PROP_CHR,   /* struct chr *, by -chardev id */
    PROP_DRIVE, /* struct blk *, by -drive id or -blockdev node name */
    PROP_NET,   /* struct net *, by -netdev id */
};
enum prop_auto { AUTO_OFF, AUTO_ON, AUTO_AUTO };

/* One property: -device CLASS,NAME=VALUE and -global CLASS.NAME=VALUE. "id", "bus" and "driver" are the core's own. */
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
    bool no_hotplug;     /* it is there from the start to the end: others keep pointers to what it owns */
    const char *bus_type; /* the kind of bus it sits on: "PCI", "IDE", "SCSI", "usb-bus" ...; NULL: none (the machine's ports and memory) */
    const struct prop *props;
    const struct snap_field *fields;
    u16 snap_version;
    /* Builds the instance: maps regions, takes lines, checks properties. 0, or -1 with e set. */
    int (*realize)(struct device *d, struct err *e);
    void (*reset)(struct device *d);         /* power-on and system reset */
    void (*unrealize)(struct device *d);     /* optional */
    void (*pre_save)(struct device *d);      /* in front of saving: ends requests in flight, gathers what fields hold. Optional */
    void (*post_load)(struct device *d);     /* after saved fields were read: recompute lines and views */
    /* Its part of an Open Firmware device path, "ethernet@3" (optional): what bootindex tells firmware. */
    void (*fw_name)(const struct device *d, char *buf, unsigned size);
    const void *data; /* in what classes that share these functions differ */
};

/* Embedded as the FIRST member of every state struct. */
struct device {
    const struct dev_class *cls;
    struct machine *m;
    char *id;            /* -device id=, may be NULL */
    struct bus *bus;     /* the bus it sits on, or NULL */
    bool user_made;      /* by -device or device_add */
    bool unplugging;     /* device_del has asked the guest, which has not answered */
    i64 unplug_again;    /* VM ns from which on it may ask once more */
    const u64 *irq_counts; /* an interrupt controller: how often each of its n_irqs inputs rose; else NULL */
    unsigned n_irqs;
    struct device *next; /* in the machine's list, creation order */
};

/* A bus: a place where devices of one kind can be plugged in, provided by a device (a PCI host bridge, a SCSI controller) or by the machine. Embedded
 * in its owner. */
struct bus_ops {
    /* Before d's realize, with d->bus set: checks that it fits ("addr", "unit" properties are d's own). Optional. */
    int (*attach)(struct bus *b, struct device *d, struct err *e);
    /* A device was realized or is about to go while the machine runs: tells the guest. NULL: the bus has no hot plug. */
    int (*plugged)(struct bus *b, struct device *d, struct err *e);
    /* Asks the guest to let d go; device_unplugged(d) follows when it agrees, perhaps at once. */
    int (*unplug_request)(struct bus *b, struct device *d, struct err *e);
    /* A line for each device, for the monitor; n: which bus of its type it is. Caller frees. Optional. */
    char *(*info)(const struct bus *b, unsigned n);
};
struct bus {
    const char *type;    /* matches dev_class.bus_type */
    char *name;          /* "pci.0", "ide.1": -device bus=NAME */
    struct device *owner; /* NULL: the machine */
    struct machine *m;
    const struct bus_ops *ops; /* may be NULL */
    unsigned max;        /* how many devices fit; 0: any number */
    struct bus *next;    /* in the machine's list */
};

/* Adds a bus to the machine. name: NULL for "TYPE.N" (lower case, N counts buses of the type) or, if the owner has an id, "ID.0". */
void bus_init(struct bus *b, struct machine *m, const char *type, const char *name, struct device *owner,
              const struct bus_ops *ops, unsigned max);
/* Devices on it must be gone: see bus_free_devices(). Harmless if the bus was never initialised. */
void bus_fini(struct bus *b);
/* Frees the devices on it, the newest first: for the owner's unrealize. */
void bus_free_devices(struct bus *b);
struct bus *bus_find(struct machine *m, const char *name);
/* The first bus of the type with room, or NULL. */
struct bus *bus_for(struct machine *m, const char *type);
unsigned bus_count(const struct bus *b);

/* Allocates, applies defaults, -global and `props` ("iobase=0xf4,iosize=4", may be NULL), realizes and links. */
struct device *device_create(struct machine *m, const char *cls, const char *id, const char *props, struct err *e);
/* The same from an option list with "driver", "id", "bus" and properties: what -device and device_add say. The class must be
 * user_creatable. On a machine that runs (m->running) the bus must have hot plug. */
struct device *device_add(struct machine *m, struct opts *o, struct err *e);
/* device_del: asks the guest to let the device go; DEVICE_DELETED follows. -1 if its bus has no hot plug. */
int device_del(struct device *d, struct err *e);
/* False for parts of the machine and classes without hot plug, and for what has one of those below it. */
bool device_removable(const struct device *d);
/* The guest (or nobody, where none is to be asked) has let go: frees d and emits DEVICE_DELETED. */
void device_unplugged(struct device *d);
struct device *device_find(struct machine *m, const char *id);
/* "/machine/peripheral/ID", or "/machine/peripheral-anon/device[N]", "/machine/unattached/device[N]". Caller frees. */
char *device_path(const struct device *d);
/* For machine code: allocate and set defaults, so that typed fields (lines, back ends) can be filled in before realize. */
struct device *device_alloc(struct machine *m, const char *cls, struct err *e);
/* Puts an allocated device on a bus; without it realize takes the first bus of its type that has room. */
int device_set_bus(struct device *d, struct bus *b, struct err *e);
int device_set_prop(struct device *d, const char *name, const char *value, struct err *e);
/* The value as device_set_prop takes it, or NULL if there is no such property. Caller frees. */
char *device_get_prop(const struct device *d, const char *name);
/* Undoes device_alloc of a device that was not realized. */
void device_abandon(struct device *d);
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
