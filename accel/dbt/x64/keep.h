/* Stretches of a block in which the guest's flags are kept in struct cpu, so that the checks of PROBEs may use the host's: from a PROBE on until an op
 * that gives all flags new values, with nothing between them that reads flags, leaves the block or calls C. Saving costs three instructions and each
 * check saves two and a taken jump, so a stretch has at least two. Private to the x64 backend; translating thread. */
#ifndef ACCEL_DBT_X64_KEEP_H
#define ACCEL_DBT_X64_KEEP_H
#include "accel/dbt/x64/group.h"

#define KEEP_MAX 32
struct keep {
    u16 begin, end; /* ops: the PROBE before which flags are saved; the op that makes new ones */
};
struct keeps {
    unsigned n;
    struct keep k[KEEP_MAX];
};

/* Behind groups_find. */
void keeps_find(struct keeps *ks, const struct groups *gs, const struct ir_block *b);
/* The stretch that the op lies in, NULL: none. */
const struct keep *keeps_at(const struct keeps *ks, unsigned op);

#endif
