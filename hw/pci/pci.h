/* PCI and PCI Express: a device's configuration space, its BARs, interrupt pin, MSI, MSI-X and other capabilities, and the bus
 * they sit on. Device code and the host bridges (hw/pci/host.c, hw/pci/q35.c) call this with the machine lock held.
 * PCI Local Bus Specification 3.0, chapter 6; PCI Express Base Specification 3.0, chapter 7. */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H
#include "hw/core/device.h"
#include "mmu/region.h"

#define PCI_CONFIG_SIZE 256        /* of a conventional function */
#define PCI_EXPRESS_CONFIG_SIZE 4096
#define PCI_BARS 6
#define PCI_ROM_BAR 6              /* the option ROM's place in pci_device.bar */
#define PCI_MAX_DEPTH 6            /* bridges between a bus and the root */
#define PCI_DEVFN(slot, fn) ((u8)((slot) << 3 | (fn)))
#define PCI_SLOT(devfn) ((devfn) >> 3)
#define PCI_FUNC(devfn) ((devfn) & 7)

enum pci_reg {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS_PROG = 0x09,
    PCI_CLASS = 0x0a, /* 16 bits: class << 8 | subclass */
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYS_VENDOR = 0x2c,
    PCI_SUBSYS_ID = 0x2e,
    PCI_PRIMARY_BUS = 0x18, /* 0x18..0x2f: bridges */
    PCI_SECONDARY_BUS = 0x19,
    PCI_SUBORDINATE_BUS = 0x1a,
    PCI_ROM_ADDRESS = 0x30,
    PCI_CAP_POINTER = 0x34,
    PCI_INT_LINE = 0x3c,
    PCI_INT_PIN = 0x3d,
};

enum { /* PCI_COMMAND, PCI_STATUS */
    PCI_CMD_IO = 0x001,
    PCI_CMD_MEMORY = 0x002,
    PCI_CMD_MASTER = 0x004,
    PCI_CMD_INTX_OFF = 0x400,
    PCI_STS_INTX = 0x008,
    PCI_STS_CAPS = 0x010,
    PCI_HEADER_MULTI = 0x80, /* PCI_HEADER_TYPE */
    PCI_ROM_ENABLE = 1,      /* PCI_ROM_ADDRESS */
    PCI_ROM_MIN = 2048,      /* smallest option ROM that is decoded */
};

enum pci_bar_type { PCI_BAR_MEM32 = 0, PCI_BAR_IO = 1, PCI_BAR_MEM64 = 4, PCI_BAR_PREFETCH = 8 /* or'ed in */ };
enum { PCI_CAP_PM = 0x01, PCI_CAP_MSI = 0x05, PCI_CAP_VENDOR = 0x09, PCI_CAP_SSVID = 0x0d, PCI_CAP_EXPRESS = 0x10, PCI_CAP_MSIX = 0x11 };
/* Kinds of PCI Express functions: Device/Port Type of the capability. */
enum pci_express_type { PCI_EXP_ENDPOINT = 0, PCI_EXP_ROOT_PORT = 4, PCI_EXP_TO_PCI_BRIDGE = 7, PCI_EXP_RC_ENDPOINT = 9 };

struct pci_device;
struct acpi_hotplug;
struct aspace;
struct ram_block;

struct pci_bar {
    struct region *region; /* NULL: absent, or the upper half of a 64-bit BAR */
    u8 type;
    bool mapped;
};

/* What a class may hook besides struct dev_class; all optional. */
struct pci_ops {
    /* After `len` bytes at `reg` of d->config have changed by a guest's (already masked) write, or by a reset. */
    void (*config_changed)(struct pci_device *d, unsigned reg, unsigned len);
    /* The guest is about to read `len` bytes at `reg`: brings d->config up to date. */
    void (*config_reading)(struct pci_device *d, unsigned reg, unsigned len);
};

/* What an IOMMU in front of a root bus does for the functions behind it. */
struct pci_iommu {
    /* Makes and frees the space in which a function's requests are. */
    struct aspace *(*attach)(void *opaque, struct pci_device *d);
    void (*detach)(void *opaque, struct pci_device *d, struct aspace *as);
    void *opaque;
};

/* A bus: that of a host bridge, or the secondary bus of a bridge. */
struct pci_bus {
    struct bus bus;              /* what -device bus= names; type "PCI" */
    struct machine *m;
    struct pci_device *bridge;   /* above it; NULL: a root bus */
    bool express;                /* functions on it have 4 KiB of configuration space; otherwise what lies past 256 reads as ones */
    u8 slots;                    /* device numbers 0.. that exist: 32, or 1 below a PCI Express port */
    u8 first_slot;               /* the first that is given out without addr= */
    struct region mem;           /* PCI memory space; that of a root bus lies behind RAM in m->mem_root */
    struct region io_space;      /* behind a bridge */
    struct region *io;           /* m->io_root, or io_space */
    struct pci_device *dev[256]; /* by devfn */
    /* Root buses: PIRQ (0..7) that a pin (1..4) of devfn is wired to (NULL: pci_swizzle), and how a PIRQ is driven. */
    int (*map_pirq)(void *opaque, u8 devfn, int pin);
    void (*set_pirq)(void *opaque, int pirq, int level);
    void *pirq_opaque;
    u16 pirq_users[8];           /* how many functions assert each PIRQ */
    struct acpi_hotplug *hotplug; /* of a root bus: its controller, for the bus_ops; NULL: none */
    struct _GPtrArray *ram;      /* of a root bus: blocks to free with it */
    struct pci_iommu iommu;      /* of a root bus; functions NULL: none */
};

/* FIRST member of every PCI device's state struct. */
struct pci_device {
    struct device dev;
    struct pci_bus *bus;
    struct pci_bus *secondary; /* a bridge's, else NULL */
    struct aspace *dma;        /* guest memory as its requests see it: dev.m->mem, or an IOMMU's view of it */
    const struct pci_ops *ops;
    char *addr; /* property: "SLOT" or "SLOT.FUNCTION", hexadecimal as in QEMU; NULL: the first free slot */
    char *romfile; /* property: file of the option ROM; NULL or "": none */
    u8 rombar;     /* property: 0 keeps the ROM from the guest */
    bool multifunction; /* property: this is one of several functions of its slot */
    u8 devfn;
    u16 config_size;            /* 256, or 4096 of a PCI Express function */
    u8 config[PCI_EXPRESS_CONFIG_SIZE];
    u8 wmask[PCI_EXPRESS_CONFIG_SIZE];  /* bits a guest can write */
    u8 w1cmask[PCI_EXPRESS_CONFIG_SIZE]; /* bits a guest clears by writing 1 */
    u8 init[PCI_EXPRESS_CONFIG_SIZE];   /* what a reset puts back: config at the first reset, after every realize */
    bool init_valid;
    struct pci_bar bar[PCI_BARS + 1];
    struct ram_block *rom;      /* its bytes, or NULL */
    struct region rom_region;
    u16 cap_end, ext_cap_end;   /* first free byte after the capabilities of either kind */
    u8 msi_cap, msix_cap, express_cap; /* offsets of these capabilities, 0: none */
    struct snap_var msix_table, msix_pba;
    struct region msix_bar;
    u8 intx;                    /* level the device drives on its pin */
    u8 intx_out;                /* level that the PIRQ sees (0 while disabled in the command register) */
};

/* Rows for a class's tables. */
#define PCI_PROPS_FULL(addr_, multi_, rom_) \
    { "addr", PROP_STR, offsetof(struct pci_device, addr), 0, addr_, "slot[.function], hexadecimal" }, \
    { "multifunction", PROP_BOOL, offsetof(struct pci_device, multifunction), multi_, NULL, "one of several functions of its slot" }, \
    { "romfile", PROP_STR, offsetof(struct pci_device, romfile), 0, rom_, "file of the option ROM; empty: none" }, \
    { "rombar", PROP_U8, offsetof(struct pci_device, rombar), 1, NULL, "1: the guest sees the option ROM" }
#define PCI_PROPS_AT(addr_) PCI_PROPS_FULL(addr_, 0, NULL)
#define PCI_PROPS PCI_PROPS_AT(NULL)
/* With an option ROM by default, if the host has the file ("pxe-e1000.rom"). */
#define PCI_PROPS_ROM(rom_) PCI_PROPS_FULL(NULL, 0, rom_)
extern const struct snap_field pci_snap_fields[];
#define PCI_SNAP { "pci", SNAP_STRUCT, sizeof(struct pci_device), 0, 1, pci_snap_fields, false }

/* A root bus: "pci.0", or "pcie.0" if express. ops: hot plug; NULL: none. */
struct pci_bus *pci_bus_new(struct machine *m);
struct pci_bus *pci_root_new(struct machine *m, bool express, const struct bus_ops *ops);
/* Devices on it must be gone. */
void pci_bus_free(struct pci_bus *b);
/* The bus that a function sits on, before and after pci_attach; NULL: none. */
struct pci_bus *pci_bus_of(const struct pci_device *d);
static inline bool pci_bus_is_root(const struct pci_bus *b) { return !b->bridge; }
struct pci_bus *pci_bus_root(struct pci_bus *b);
/* Puts an IOMMU in front of a root bus, NULL: takes it away. Machine lock, before the guest runs or after its end. */
void pci_set_iommu(struct pci_bus *root, const struct pci_iommu *iommu);
/* The source of a function's requests, as they arrive at the root: those behind a bridge to conventional PCI have the bridge's. */
u16 pci_source_id(const struct pci_device *d);
/* Frees a function's memory with the root bus, not with the function: vCPUs and other devices' transfers may still use it when that goes. */
void pci_root_keep_ram(struct pci_bus *root, struct ram_block *ram);

/* For a class's realize, in this order: attach; BARs and capabilities; then whatever the device adds to d->config.
 * A realize that fails after pci_attach calls pci_detach, and so does every unrealize. */
struct pci_id {
    u16 vendor, device, class_code; /* class << 8 | subclass */
    u8 prog_if, revision, int_pin;  /* int_pin: 0 none, 1 INTA# .. 4 INTD# */
    u16 subsys_vendor, subsys_id;
};
int pci_attach(struct pci_device *d, const struct pci_id *id, struct err *e);
void pci_detach(struct pci_device *d);
/* The region's size must be a power of two, at least 16 (memory) or 4 (I/O). MEM64 uses BARs n and n + 1. */
void pci_bar_init(struct pci_device *d, unsigned n, struct region *r, u8 type);
/* Reserves `size` bytes for a capability (header filled, body zero and read-only) and returns its offset. */
u8 pci_cap_add(struct pci_device *d, u8 id, u8 size);
/* MSI with 64-bit addresses and 1 << log2_vectors messages. */
void pci_msi_init(struct pci_device *d, unsigned log2_vectors);
/* MSI-X with n_vectors (1..2048) messages, whose table and pending bits fill BAR `bar` (32-bit memory) alone. 0, or -1 with e set. */
int pci_msix_init(struct pci_device *d, unsigned n_vectors, unsigned bar, struct err *e);
/* The PCI Express capability; gives the function its 4 KiB of configuration space. An endpoint on a root bus becomes one that is integrated
 * in the root complex. Only on a bus with `express`. */
void pci_express_init(struct pci_device *d, enum pci_express_type type);
/* Reserves an extended capability as pci_cap_add does; returns its offset (0x100 up). */
u16 pci_ext_cap_add(struct pci_device *d, u16 id, u8 version, u16 size);

/* From the class's reset. */
void pci_reset(struct pci_device *d);
/* From the class's post_load: maps BARs as the loaded registers say. */
void pci_post_load(struct pci_device *d);

/* Drives the interrupt pin. */
void pci_set_intx(struct pci_device *d, int level);
bool pci_msi_enabled(const struct pci_device *d);
void pci_msi_send(struct pci_device *d, unsigned vector);
/* While the guest has turned MSI-X on the pin must not be used. Messages of masked vectors wait until they are unmasked. vector: the
 * guest's number, those beyond the table are ignored. */
bool pci_msix_enabled(const struct pci_device *d);
void pci_msix_send(struct pci_device *d, unsigned vector);
unsigned pci_msix_vectors(const struct pci_device *d); /* 0: no MSI-X */
bool pci_is_master(const struct pci_device *d);
/* Address a BAR is programmed to, whether or not it is decoded. */
u64 pci_bar_addr(const struct pci_device *d, unsigned n);
/* PIRQ (0..3) that pin 1..4 of a slot is wired to on the pc's root bus. */
static inline int pci_swizzle(unsigned slot, unsigned pin) { return (slot + pin - 2) & 3; }
/* How many functions assert each PIRQ is counted anew: after map_pirq's answers have changed. Root bus. */
void pci_remap_pirqs(struct pci_bus *root);

/* Configuration cycles on one bus; reg + size stays within a dword. Absent functions read as all ones. */
u32 pci_config_read(struct pci_bus *b, u8 devfn, unsigned reg, unsigned size);
void pci_config_write(struct pci_bus *b, u8 devfn, unsigned reg, u32 val, unsigned size);
/* The bus that guests reach as `number` behind a root bus (number 0), or NULL. */
struct pci_bus *pci_bus_number(struct pci_bus *root, u8 number);

/* For the secondary bus of a bridge, embedded in it. name: NULL for the bridge's id or "pci.N". */
void pci_bus_init(struct pci_bus *b, struct machine *m, const char *name, struct pci_device *bridge, const struct bus_ops *ops);
void pci_bus_fini(struct pci_bus *b);
/* The usual bus_ops.attach: the address fits. */
int pci_bus_attach(struct bus *b, struct device *d, struct err *e);

/* What a firmware would do: numbers buses, gives every BAR an address in the windows (ends exclusive; mem64 may be empty), turns decoding
 * on, fills interrupt lines with the IRQ that each PIRQ is routed to. */
struct pci_windows {
    u64 io, io_end, mem, mem_end, mem64, mem64_end;
};
void pci_bus_assign(struct pci_bus *root, const struct pci_windows *w, const u8 pirq_irq[8]);

/* `info pci`. */
struct _GString;
void pci_bus_print(const struct pci_bus *b, struct _GString *out);

#endif
