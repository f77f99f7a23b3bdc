/* A scatter/gather list of guest memory for one DMA transfer: guest ranges, and the host memory behind them for the block layer. Belongs to
 * a controller; its lock held. */
#ifndef HW_STORAGE_SGLIST_H
#define HW_STORAGE_SGLIST_H
#include <sys/uio.h>
#include "mmu/addr.h"

struct aspace;

struct sglist {
    struct iovec *iov;
    struct sg_range { gpa_t gpa; u64 len; } *range;
    unsigned n_iov, n_range, iov_room, range_room;
    u64 len;
    struct aspace *as;
    struct aspace *target; /* which the ranges are in: as, or what lies behind an IOMMU */
    bool write; /* guest memory is written */
};

/* Empties it for a new transfer; keeps what was allocated. */
void sg_begin(struct sglist *s, struct aspace *as, bool write);
/* Appends [gpa, gpa + len). -1 if some of it is not RAM. */
int sg_add(struct sglist *s, gpa_t gpa, u64 len);
/* The transfer is over: if guest memory was written, that is made known. */
void sg_end(struct sglist *s);
void sg_free(struct sglist *s);
/* Copies n bytes between buf and the list's memory from `at` on, in the list's direction. Returns how many there were. */
u32 sg_copy(struct sglist *s, u64 at, u8 *buf, u32 n);

#endif
