/* Conventional PCI: a device's configuration space, its BARs, interrupt pin and capabilities, and the bus they sit on.
 * Device code and the host bridge (hw/pci/host.c) call this with the machine lock held.
 * PCI Local Bus Specification 3.0, chapter 6. */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H
#include "hw/core/device.h"
#include "mmu/region.h"

#define PCI_CONFIG_SIZE 256
#define PCI_BARS 6
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
};

enum pci_bar_type { PCI_BAR_MEM32 = 0, PCI_BAR_IO = 1, PCI_BAR_MEM64 = 4, PCI_BAR_PREFETCH = 8 /* or'ed in */ };
enum { PCI_CAP_MSI = 0x05, PCI_CAP_VENDOR = 0x09, PCI_CAP_MSIX = 0x11 };

struct pci_device;

struct pci_bar {
    struct region *region; /* NULL: absent, or the upper half of a 64-bit BAR */
    u8 type;
    bool mapped;
};

/* What a class may hook besides struct dev_class; all optional. */
struct pci_ops {
    /* After `len` bytes at `reg` of d->config have changed by a guest's (already masked) write, or by a reset. */
    void (*config_changed)(struct pci_device *d, unsigned reg, unsigned len);
};

struct pci_bus {
    struct machine *m;
    struct region mem;           /* PCI memory space; lies behind RAM in m->mem_root */
    struct pci_device *dev[256]; /* by devfn */
    void (*set_pirq)(void *opaque, int pirq, int level); /* PIRQA..PIRQD are 0..3 */
    void *pirq_opaque;
    u16 pirq_users[4];           /* how many functions assert each PIRQ */
};

/* FIRST member of every PCI device's state struct. */
struct pci_device {
    struct device dev;
    struct pci_bus *bus;
    const struct pci_ops *ops;
    char *addr; /* property: "SLOT" or "SLOT.FUNCTION", hexadecimal as in QEMU; NULL: the first free slot */
    u8 devfn;
    u8 config[PCI_CONFIG_SIZE];
    u8 wmask[PCI_CONFIG_SIZE];  /* bits a guest can write */
    u8 w1cmask[PCI_CONFIG_SIZE]; /* bits a guest clears by writing 1 */
    u8 init[PCI_CONFIG_SIZE];   /* what a reset puts back: config at the first reset, after every realize */
    bool init_valid;
    struct pci_bar bar[PCI_BARS];
    u8 cap_end;                 /* first free byte after the capabilities */
    u8 msi_cap;                 /* offset of the MSI capability, 0: none */
    u8 intx;                    /* level the device drives on its pin */
    u8 intx_out;                /* level that the PIRQ sees (0 while disabled in the command register) */
};

/* Rows for a class's tables. */
#define PCI_PROPS_AT(addr_) \
    { "addr", PROP_STR, offsetof(struct pci_device, addr), 0, addr_, "slot[.function], hexadecimal" }
#define PCI_PROPS PCI_PROPS_AT(NULL)
extern const struct snap_field pci_snap_fields[];
#define PCI_SNAP { "pci", SNAP_STRUCT, sizeof(struct pci_device), 0, 1, pci_snap_fields }

struct pci_bus *pci_bus_new(struct machine *m);
void pci_bus_free(struct pci_bus *b);

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

/* From the class's reset. */
void pci_reset(struct pci_device *d);
/* From the class's post_load: maps BARs as the loaded registers say. */
void pci_post_load(struct pci_device *d);

/* Drives the interrupt pin. */
void pci_set_intx(struct pci_device *d, int level);
bool pci_msi_enabled(const struct pci_device *d);
void pci_msi_send(struct pci_device *d, unsigned vector);
bool pci_is_master(const struct pci_device *d);
/* Address a BAR is programmed to, whether or not it is decoded. */
u64 pci_bar_addr(const struct pci_device *d, unsigned n);
/* PIRQ (0..3) that pin 1..4 of a slot is wired to. */
static inline int pci_swizzle(unsigned slot, unsigned pin) { return (slot + pin - 2) & 3; }

/* Configuration cycles; reg + size stays within a dword. Absent functions read as all ones. */
u32 pci_config_read(struct pci_bus *b, u8 devfn, unsigned reg, unsigned size);
void pci_config_write(struct pci_bus *b, u8 devfn, unsigned reg, u32 val, unsigned size);

/* What a firmware would do: gives every BAR an address in the windows, turns decoding on, fills interrupt lines. */
void pci_bus_assign(struct pci_bus *b, u32 io_base, u32 mem_base, u32 mem_end, const u8 pirq_irq[4]);

/* `info pci`. */
struct _GString;
void pci_bus_print(const struct pci_bus *b, struct _GString *out);

#endif
