/* Inside of virtqueues: what the two ring formats do for hw/virtio/virtio_ring.c. Only hw/virtio/virtio*.c of the core include
 * this; the device's lock is held. */
#ifndef HW_VIRTIO_VIRTIO_RING_H
#define HW_VIRTIO_VIRTIO_RING_H
#include "hw/virtio/virtio.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };

/* A chain while it is being read from the ring. */
struct virtq_chain {
    u16 id, ring_descs;
    unsigned descs;          /* seen so far, indirect ones included */
    unsigned n_out, n_in;
    u64 out_len, in_len;
    struct iovec iov[VIRTQ_CHAIN_MAX];
    gpa_t gpa[VIRTQ_CHAIN_MAX];
};

struct virtq_ops {
    /* Sizes of the three areas. */
    void (*areas)(const struct virtq *q, u64 *desc, u64 *avail, u64 *used);
    /* Reads the next chain: 1, 0 if there is none, -1 after virtio_error. */
    int (*read_chain)(struct virtq *q, struct virtq_chain *c);
    void (*unread)(struct virtq *q, const struct virtq_elem *e);
    bool (*empty)(struct virtq *q);
    void (*publish)(struct virtq *q, const struct virtq_elem *e, u32 written);
    bool (*wants_interrupt)(struct virtq *q);
    void (*notifications)(struct virtq *q, bool on);
};
extern const struct virtq_ops virtq_split_ops, virtq_packed_ops;

/* Ring positions of a queue that was just set up. */
void virtq_start_over(struct virtq *q);
/* After saved fields were loaded. */
void virtq_loaded(struct virtq *q);
void virtq_save_in_flight(struct virtq *q, struct _GByteArray *out);
/* 0, or -1 if the data is damaged. */
int virtq_load_in_flight(struct virtio *v, const struct _GByteArray *in);

/* Adds a buffer to a chain; 0, or -1 after virtio_error. */
int virtq_chain_add(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, bool write);
/* The host memory of an indirect table, *count descriptors of 16 bytes; NULL after virtio_error. */
const u8 *virtq_indirect(struct virtq *q, gpa_t gpa, u32 len, unsigned *count);
/* Where byte `off` of an area is; what is aligned there as the specification says lies together for its first 16 (descriptors), 4 or 2 bytes. */
static inline u8 *virtq_area_at(const struct virtq_area *a, u32 off)
{
    if (LIKELY(a->host))
        return a->host + off;
    return a->page[(a->skew + off) / PAGE_SIZE].host + (a->skew + off) % PAGE_SIZE;
}
/* Bytes at `off` of an area were written. */
void virtq_ring_written(struct virtq *q, const struct virtq_area *a, u32 off, u32 len);

#endif
