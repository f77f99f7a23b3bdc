/* Virtio devices independent of their transport: feature negotiation, status, configuration space and virtqueues.
 *
 *   guest's notification -> transport -> virtq_kick -> type's handler -> virtq_pop ... virtq_push, virtq_notify -> transport -> interrupt
 *
 * Everything runs with the device's lock held (the machine lock), on whichever thread: vCPU threads for register accesses and
 * notifications, the main thread or an I/O thread for completions of back ends. Source: Virtual I/O Device (VIRTIO) 1.2. */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H
#include <sys/uio.h>
#include "hw/pci/pci.h"
#include "mmu/dma.h"

#define VIRTIO_QUEUES_MAX 66
#define VIRTIO_CONFIG_MAX 256
#define VIRTQ_SIZE_MAX 1024   /* entries of a queue */
#define VIRTQ_CHAIN_MAX 1024  /* descriptors of one chain, and pieces of host memory they may fall into */
#define VIRTQ_AREA_PAGES (16 * VIRTQ_SIZE_MAX / PAGE_SIZE + 1)
#define VIRTIO_MMIO_SIZE 0x200 /* bytes of registers and configuration of a memory-mapped transport */
#define VIRTIO_NO_VECTOR 0xffff

enum { /* device status, 2.1 */
    VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8, VIRTIO_NEEDS_RESET = 64, VIRTIO_FAILED = 128,
};
#define VIRTIO_F_ANY_LAYOUT BIT64(27) /* legacy */
#define VIRTIO_F_INDIRECT_DESC BIT64(28)
#define VIRTIO_F_EVENT_IDX BIT64(29)
#define VIRTIO_F_VERSION_1 BIT64(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT64(33)
#define VIRTIO_F_RING_PACKED BIT64(34)
#define VIRTIO_F_RING_RESET BIT64(40)

struct virtio;
struct virtq;

/* A chain of buffers that the driver made available. FIRST member of a device's request; made by virtq_pop, freed by virtq_push. */
struct virtq_elem {
    struct virtq *q;
    struct virtq_elem *next, **prev; /* of the queue's chains in the device's hands */
    u16 id;                  /* buffer ID (packed), head of the chain (split) */
    u16 ring_descs;          /* packed: ring entries it takes */
    unsigned n_out, n_in;    /* pieces the device reads, writes */
    u64 out_len, in_len;     /* their bytes */
    struct iovec *out, *in;  /* host memory; `in` follows `out` */
    gpa_t *gpa;              /* of each piece, behind an IOMMU if there is one */
};

typedef void virtq_handler(struct virtio *v, struct virtq *q);

/* One of a queue's three areas, looked up. Behind an IOMMU its pages may lie anywhere. */
struct virtq_area {
    u8 *host;    /* of its first byte; NULL: it is in the pages */
    gpa_t gpa;   /* of that in guest memory */
    u32 skew;    /* of its first byte in the first page */
    struct { u8 *host; gpa_t gpa; } page[VIRTQ_AREA_PAGES];
};

struct virtq {
    struct virtio *v;
    u16 index;
    virtq_handler *handle;   /* the driver has made buffers available; NULL: there is no such queue */
    /* registers [saved] */
    u16 size_max, size;      /* entries: offered, chosen by the driver */
    u16 vector;              /* MSI-X */
    u8 enabled;
    u64 desc, avail, used;   /* the three areas: descriptor, driver, device */
    /* position in the rings [saved] */
    u16 last_avail, used_idx;
    u16 signalled;           /* split: used_idx at the last look at the driver's wish for interrupts; packed: entries used since */
    u8 signalled_valid, avail_wrap, used_wrap;
    /* derived */
    const struct virtq_ops *ops;  /* split or packed */
    u16 seen_avail;               /* split: the driver's index when it was last read */
    u32 map_generation;           /* of the address space the ring pointers come from */
    bool mapped, again;
    struct virtq_area desc_ring, avail_ring, used_ring;
    u8 *table;                    /* an indirect table that lies in several places, copied; or NULL */
    struct dma_window ring_window, window; /* where the rings, and mostly the buffers, are */
    struct virtq_elem *in_flight; /* popped, not pushed; the newest first */
    unsigned n_in_flight;
    struct virtq_elem *restored;  /* chains that were in flight when the state was saved: virtq_pop returns them first */
};

/* One kind of device. */
struct virtio_type {
    const char *name;       /* "virtio-blk" */
    u16 id;                 /* device type, chapter 5 */
    u16 pci_class;
    u16 legacy_pci_id;      /* transitional PCI device ID; 0: there is none */
    /* Device-specific feature bits; called after realize. */
    u64 (*features)(struct virtio *v);
    /* Adds queues, sets v->config_len, takes back ends. 0, or -1 with e set and nothing taken. */
    int (*realize)(struct virtio *v, struct err *e);
    void (*unrealize)(struct virtio *v); /* optional */
    /* Back to power-on: no request is in flight after it. */
    void (*reset)(struct virtio *v);
    /* The same for one queue (VIRTIO_F_RING_RESET); NULL: nothing is ever in flight. */
    void (*queue_reset)(struct virtio *v, struct virtq *q);
    /* Brings v->config up to date in front of a read. Optional. */
    void (*config_read)(struct virtio *v);
    /* The driver has written size bytes at off, which lie inside config_len, and would have the configuration look like `config`. Legacy
     * drivers write fields byte by byte. Optional: writes are ignored. */
    void (*config_write)(struct virtio *v, unsigned off, unsigned size, const u8 *config);
    void (*features_set)(struct virtio *v);   /* the driver has chosen v->features. Optional */
    void (*status_changed)(struct virtio *v, u8 old); /* optional */
    void (*pre_save)(struct virtio *v);       /* optional */
    void (*post_load)(struct virtio *v);      /* optional; before the queues are kicked */
};

/* What a transport does for the core. */
struct virtio_transport {
    /* Raises a queue's interrupt (vector: its MSI-X vector), or the configuration interrupt if q is NULL. */
    void (*interrupt)(struct virtio *v, struct virtq *q);
};

/* Of the PCI transport; unused by a virtio-*-device. */
struct virtio_pci_state {
    u8 disable_legacy, disable_modern_prop; /* properties */
    bool disable_modern, ioeventfd, page_per_vq;
    bool legacy, modern;       /* what it is in the end */
    u32 vectors;
    bool has_msix;
    u8 cfg_cap;                /* offset of the PCI configuration access capability */
    struct region legacy_io, bar, common, isr, device, notify;
};

/* FIRST member of every device's state struct. */
struct virtio {
    struct pci_device pci;     /* only pci.dev is used where the transport is not PCI */
    const struct virtio_type *type;
    const struct virtio_transport *transport;
    struct virtio_pci_state pt;
    struct lock *lock;
    struct aspace *dma;        /* where rings and buffers are: guest memory, or with VIRTIO_F_ACCESS_PLATFORM what the bus shows of it */
    bool indirect_desc, event_idx, iommu_platform, packed, queue_reset_on, any_layout; /* properties */
    u64 offered;               /* feature bits the device has */
    u64 features;              /* accepted by the driver [saved, as all below] */
    u32 features_sel, driver_features_sel;
    u64 driver_features;       /* being written */
    u8 status, isr, config_generation;
    u8 broken;                 /* a ring was malformed: no queue is served until a reset */
    u16 queue_sel, config_vector;
    u8 config[VIRTIO_CONFIG_MAX];
    unsigned config_len;
    unsigned n_queues;
    unsigned vectors;          /* MSI-X vectors if the user does not say; 0: one for each queue and one */
    struct virtq q[VIRTIO_QUEUES_MAX];
    struct _GByteArray *in_flight; /* the queues' chains in flight, while saving and loading */
    struct timer again;        /* kicks the queues with `again` set, on the main thread */
};

extern const struct snap_field virtio_snap_fields[];
#define VIRTIO_SNAP { "virtio", SNAP_STRUCT, 0, 0, 1, virtio_snap_fields, false }
#define VIRTIO_PROPS \
    { "indirect_desc", PROP_BOOL, offsetof(struct virtio, indirect_desc), 1, NULL, "offer indirect descriptors" }, \
    { "event_idx", PROP_BOOL, offsetof(struct virtio, event_idx), 1, NULL, "offer event index notification suppression" }, \
    { "iommu_platform", PROP_BOOL, offsetof(struct virtio, iommu_platform), 0, NULL, "offer VIRTIO_F_ACCESS_PLATFORM" }, \
    { "packed", PROP_BOOL, offsetof(struct virtio, packed), 0, NULL, "offer packed rings" }, \
    { "queue_reset", PROP_BOOL, offsetof(struct virtio, queue_reset_on), 1, NULL, "offer resets of single queues" }, \
    { "any_layout", PROP_BOOL, offsetof(struct virtio, any_layout), 1, NULL, "offer any layout of buffers to legacy drivers" }

static inline struct virtio *virtio_of(struct device *d) { return (struct virtio *)d; }
static inline struct machine *virtio_machine(struct virtio *v) { return v->pci.dev.m; }
static inline bool virtio_has(const struct virtio *v, u64 feature) { return (v->features & feature) != 0; }

/* -- for transports -- */
/* v->type and v->transport are set. The lock defaults to the machine's. */
int virtio_realize(struct virtio *v, struct err *e);
void virtio_unrealize(struct virtio *v);
void virtio_reset(struct virtio *v);
/* Saving: pre_save in front of the fields, post_load after them. */
void virtio_pre_save(struct virtio *v);
void virtio_post_load(struct virtio *v);
/* Feature bits a driver is offered; legacy drivers see the low 32. */
u64 virtio_offered(const struct virtio *v, bool legacy);
void virtio_set_status(struct virtio *v, u8 status);
/* A legacy driver's choice, in force at once. */
void virtio_set_legacy_features(struct virtio *v, u32 features);
u64 virtio_config_load(struct virtio *v, unsigned off, unsigned size);
void virtio_config_store(struct virtio *v, unsigned off, u64 val, unsigned size);
/* True if [off, off + size) touches the field of type t at `at`. */
#define VIRTIO_TOUCHES(off, size, t, field) \
    ((off) < offsetof(t, field) + sizeof(((t *)0)->field) && offsetof(t, field) < (off) + (size))
/* The selected or named queue; NULL if there is none. */
struct virtq *virtio_queue(struct virtio *v, unsigned n);
/* A driver's write of the number of entries; refused if it is wrong or the queue runs. */
void virtq_set_size(struct virtq *q, unsigned size);
void virtq_enable(struct virtq *q);
/* Gives the three areas of a legacy queue at that page. */
void virtq_set_legacy(struct virtq *q, u64 gpa);
void virtq_reset(struct virtq *q);
/* The driver's notification. */
void virtq_kick(struct virtio *v, unsigned n);

/* -- for devices -- */
/* During realize. size: entries offered, a power of two up to VIRTQ_SIZE_MAX. */
struct virtq *virtio_add_queue(struct virtio *v, unsigned size, virtq_handler *handle);
/* After v->config was changed by the device: tells the driver. */
void virtio_config_changed(struct virtio *v);
/* The driver broke the rules of a ring or of the device: it must reset the device. */
void virtio_error(struct virtio *v, const char *fmt, ...) PRINTF(2, 3);
/* True if the driver has the device running. */
bool virtio_running(const struct virtio *v);

/* For a handler that has worked long enough and has chains left: it is called again soon, after others had their turn. */
void virtq_again(struct virtq *q);

/* The next chain, at the head of a zeroed request of `size` bytes, or NULL: none there, or the ring is malformed. */
void *virtq_pop(struct virtq *q, u64 size);
/* True if there is no chain to pop. */
bool virtq_empty(struct virtq *q);
/* Gives the chain back, `written` bytes of its `in` pieces having been written from their start, and frees the request. */
void virtq_push(struct virtq_elem *e, u32 written);
/* Undoes the last pop, and frees the request. */
void virtq_unpop(struct virtq_elem *e);
/* Frees a request whose queue was reset: nobody will see it pushed. */
void virtq_drop(struct virtq_elem *e);
/* After pushes: interrupts the driver if it wants that. */
void virtq_notify(struct virtq *q);
/* Tells the driver not to notify (a hint), or to notify again: then true if there is nothing to pop, false if something has come. */
void virtq_notify_off(struct virtq *q);
bool virtq_notify_on(struct virtq *q);

#endif
