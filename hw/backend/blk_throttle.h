/* I/O limits of a block back end: leaky buckets for bytes and operations, each for reads, writes and both. Device lock held. */
#ifndef HW_BACKEND_BLK_THROTTLE_H
#define HW_BACKEND_BLK_THROTTLE_H
#include "util/opts.h"

enum { THROTTLE_BPS_TOTAL, THROTTLE_BPS_READ, THROTTLE_BPS_WRITE, THROTTLE_IOPS_TOTAL, THROTTLE_IOPS_READ, THROTTLE_IOPS_WRITE, THROTTLES };

struct blk_limits {
    struct {
        u64 avg;    /* a second; 0: no limit */
        u64 max;    /* in a burst, a second; 0: none */
        u64 length; /* of a burst, in seconds, >= 1 */
    } of[THROTTLES];
    u64 iops_size;  /* a request counts as one operation for each that many bytes begun; 0: as one */
};

struct blk_throttle;

extern const char *const throttle_names[THROTTLES]; /* "bps-total" ... */

/* "throttling.bps-total" and so on, and the old names "bps", "iops_rd". Leaves limits alone that are not named. 0 or -1. */
int throttle_parse(struct opts *o, struct blk_limits *l, struct err *e);
int throttle_check(const struct blk_limits *l, struct err *e);
bool throttle_wanted(const struct blk_limits *l);
struct blk_throttle *throttle_new(const struct blk_limits *l);
void throttle_free(struct blk_throttle *t);
const struct blk_limits *throttle_limits(const struct blk_throttle *t);
/* ns from `now` until a request may start, 0: at once. */
i64 throttle_wait(struct blk_throttle *t, bool write, i64 now);
/* Counts a request that starts now. */
void throttle_account(struct blk_throttle *t, bool write, u64 len, i64 now);

#endif
