/* The memory balloon as the monitor and QMP see it: a device puts its functions into m->balloon. Main thread, machine lock held. */
#ifndef HW_CORE_BALLOON_H
#define HW_CORE_BALLOON_H
#include "util/base.h"

/* What the guest has told about its memory; all ones: it did not say. Bytes, or counts; order and names are virtio 1.2's, 5.5.6.3. */
enum balloon_stat {
    BALLOON_SWAP_IN, BALLOON_SWAP_OUT, BALLOON_MAJOR_FAULTS, BALLOON_MINOR_FAULTS, BALLOON_FREE_MEMORY, BALLOON_TOTAL_MEMORY,
    BALLOON_AVAILABLE_MEMORY, BALLOON_DISK_CACHES, BALLOON_HTLB_ALLOC, BALLOON_HTLB_FAIL, BALLOON_STATS,
};

struct balloon {
    void *opaque;
    /* Asks the guest to make do with so many bytes; more than it has means all. */
    void (*set_target)(void *opaque, u64 bytes);
    /* Bytes it has now. */
    u64 (*actual)(void *opaque);
    u64 stats[BALLOON_STATS];
    i64 stats_time;                 /* wall-clock seconds of the last answer; 0: none */
    unsigned polling_interval;      /* seconds between questions; 0: they are not asked */
    void (*polling_changed)(void *opaque);
};

#endif
