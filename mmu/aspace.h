/* Address spaces: flat, sorted, immutable views of a region tree, swapped atomically; a reader takes no lock.
 * Used by vCPU threads (slow paths), by dma.h, and by the port-I/O space. */
#ifndef MMU_ASPACE_H
#define MMU_ASPACE_H
#include "mmu/region.h"

struct aspace;

/* FIRST member of an address space: what is asked so often that it is asked inline. */
struct aspace_head {
    struct aspace *target; /* of a translated space: it has no view of its own; else NULL */
    u32 generation;        /* [atomic] */
};

/* One piece of a flat view. `host` is non-NULL for RAM and ROM; a write to ROM goes to region->ops or nowhere. */
struct frange {
    u64 start, end; /* end exclusive */
    struct region *region;
    u64 off;        /* of start, in the region */
    const struct region_ops *ops; /* the region's, and its lock: a region may go while somebody waits for its lock */
    const struct region_strings *strings;
    struct lock *lock;
    u8 *host;       /* of start */
    struct ram_block *ram;
    u64 ram_off;    /* of start, in ram */
    bool readonly;
};

struct aspace *aspace_new(const char *name, struct region *root);
/* Guest memory as devices behind an IOMMU see it: dma.h's functions ask `translate` where [*addr, *addr + *len) lies in `target`, and whether it
 * may be read, or written; it changes *addr, cuts *len (1 or more) to what lies together, and returns false if not even *addr may be. Only
 * mmu/dma.h, aspace_generation and the functions below take such a space. The machine lock. */
typedef bool aspace_translate_fn(void *opaque, u64 *addr, u64 *len, bool write);
struct aspace *aspace_new_translated(const char *name, struct aspace *target, aspace_translate_fn *translate, void *opaque);
/* What was translated may be no longer so. */
void aspace_translation_changed(struct aspace *as);
static inline bool aspace_is_translated(const struct aspace *as) { return ((const struct aspace_head *)as)->target != NULL; }
/* If *as is a translated space: changes it to its target and *gpa to the place there, as above. Otherwise changes nothing and returns true. */
bool aspace_translate_now(struct aspace **as, u64 *gpa, u64 *len, bool write);
static inline bool aspace_translate(struct aspace **as, u64 *gpa, u64 *len, bool write)
{
    return LIKELY(!aspace_is_translated(*as)) || aspace_translate_now(as, gpa, len, write);
}
void aspace_free(struct aspace *as);
/* Called after each publication, under the region lock: engines flush what they derived from the old view. */
void aspace_add_listener(struct aspace *as, void (*changed)(void *opaque), void *opaque);
/* Machine lock, or nobody changes regions meanwhile. Harmless if there is no such listener. */
void aspace_del_listener(struct aspace *as, void (*changed)(void *opaque), void *opaque);
/* Counts publications: what was derived from the view is stale once this has changed. Any thread. */
static inline u32 aspace_generation(const struct aspace *as)
{
    const struct aspace_head *h = (const struct aspace_head *)as;
    u32 n = __atomic_load_n(&h->generation, __ATOMIC_ACQUIRE);

    return LIKELY(!h->target) ? n : n + __atomic_load_n(&((const struct aspace_head *)h->target)->generation, __ATOMIC_ACQUIRE);
}
/* The piece that covers gpa, or NULL (unassigned). Valid until the caller's thread next passes aspace_quiesce(). */
const struct frange *aspace_find(struct aspace *as, gpa_t gpa);
/* The first piece that ends above gpa, or NULL. As aspace_find. */
const struct frange *aspace_next(struct aspace *as, gpa_t gpa);
/* Reads/writes any length; unassigned reads give all ones, unassigned writes vanish. Takes region locks: the caller
 * must hold none of them (device code uses dma.h). size is 1, 2, 4, 8 for the _uint forms. */
u64 aspace_read_uint(struct aspace *as, gpa_t gpa, unsigned size);
void aspace_write_uint(struct aspace *as, gpa_t gpa, u64 val, unsigned size);
/* Up to n elements of `size` bytes at gpa, always the same address, to or from buf, as far as a device takes strings. Returns how many
 * were moved; the rest, perhaps all, is for the _uint forms. */
u32 aspace_string(struct aspace *as, gpa_t gpa, unsigned size, void *buf, u32 n, bool write);
/* A thread that uses aspace_find calls these: online before its first use, quiesce when it holds no frange, offline
 * before it blocks for long. Old views are freed when every online thread has quiesced. */
void aspace_thread_online(void);
void aspace_quiesce(void);
void aspace_thread_offline(void);
/* Human-readable map for `info mtree`. */
struct _GString;
void aspace_print(struct aspace *as, struct _GString *out);

#endif
