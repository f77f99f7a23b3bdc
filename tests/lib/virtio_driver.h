/* The driver's side of virtio-mmio and of both ring formats, for device tests on the fake machine. Used by one test thread. */
#ifndef TESTS_LIB_VIRTIO_DRIVER_H
#define TESTS_LIB_VIRTIO_DRIVER_H
#include "tests/lib/fake_machine.h"

#define VDRV_BASE 0xd0000000u /* of the first transport; the next one lies 4 KiB further */
#define VDRV_QUEUES 70
#define VDRV_F(n) (1ull << (n))
enum { VDRV_INDIRECT = 28, VDRV_EVENT_IDX = 29, VDRV_VERSION_1 = 32, VDRV_PLATFORM = 33, VDRV_PACKED = 34, VDRV_RING_RESET = 40 };

struct vbuf {
    u64 gpa;
    u32 len;
    bool write; /* by the device */
};

struct vdrv_queue {
    u16 size;
    u64 desc, avail, used; /* guest physical */
    u16 next, seen;        /* split: available index, used index seen; packed: positions */
    bool wrap, seen_wrap;
    u16 free_desc;         /* split: descriptors are given out in turn */
    u16 chain[1024];       /* packed: ring entries of each buffer ID */
    u16 next_id, added;    /* added: since the last kick */
};

struct vdrv {
    struct fake_machine *f;
    struct device *dev, *transport;
    struct aspace *mem;    /* guest memory as the device sees it, where rings and buffers are; the machine's unless a test puts another */
    u64 base;
    unsigned irq;
    u64 features;
    u64 heap;              /* next free guest memory */
    struct vdrv_queue q[VDRV_QUEUES];
};

/* Makes a transport and NAME with props on its bus; nothing is negotiated yet. index: 0 to 3, the transport's number. */
struct vdrv *vdrv_new(struct fake_machine *f, unsigned index, const char *name, const char *props);
void vdrv_free(struct vdrv *d); /* the devices stay until the machine goes */
/* Reset, then features: those of `want` that are offered, and VERSION_1. False if the device refuses them. */
bool vdrv_negotiate(struct vdrv *d, u64 want);
void vdrv_queue_setup(struct vdrv *d, unsigned n, u16 size);
void vdrv_driver_ok(struct vdrv *d);
/* negotiate, queues 0 to n - 1 of `size` entries, DRIVER_OK. */
void vdrv_start(struct vdrv *d, u64 want, unsigned queues, u16 size);
u64 vdrv_alloc(struct vdrv *d, u64 len);
/* Zeroed memory with a copy of data in it. */
u64 vdrv_put(struct vdrv *d, const void *data, u64 len);
/* Makes a chain available; returns its id. indirect: as a table. */
u16 vdrv_add(struct vdrv *d, unsigned n, const struct vbuf *b, unsigned count, bool indirect);
/* Notifies the device, if it wants that; notify: in any case. */
void vdrv_kick(struct vdrv *d, unsigned n);
void vdrv_notify(struct vdrv *d, unsigned n);
/* The next used chain. */
bool vdrv_used(struct vdrv *d, unsigned n, u16 *id, u32 *len);
/* The same, while the main loop and the clock run; fails the test after 10 s. */
void vdrv_wait(struct vdrv *d, unsigned n, u16 *id, u32 *len);
/* Where the driver says when it wants interrupts: an event index (split: counts; packed: position and wrap bit), or off and on. */
void vdrv_used_event(struct vdrv *d, unsigned n, u16 event);
void vdrv_interrupts(struct vdrv *d, unsigned n, bool on);
u32 vdrv_reg(struct vdrv *d, unsigned reg);
void vdrv_set(struct vdrv *d, unsigned reg, u32 val);
u8 vdrv_status(struct vdrv *d);
/* Interrupt status, which this acknowledges. */
u32 vdrv_isr(struct vdrv *d);
u64 vdrv_config(struct vdrv *d, unsigned off, unsigned size);
void vdrv_config_set(struct vdrv *d, unsigned off, u64 val, unsigned size);
/* State goes out and comes back into the same device, which then may take what waits in its queues. */
void vdrv_restore(struct vdrv *d);
/* State goes out and comes back into the same device; the second save is the same: an idle device. */
void vdrv_save_load(struct vdrv *d);
/* All devices are saved, reset, loaded and saved again, as if another machine loaded the state; both must be the same bytes. */
void vdrv_move(struct vdrv *d);

#endif
