/* Consistency check and repair of qcow2 images. Main thread, or a tool; no request in flight. */
#ifndef HW_BACKEND_QCOW2_CHECK_H
#define HW_BACKEND_QCOW2_CHECK_H
#include <stdio.h>
#include "hw/backend/blk_int.h"

enum { QCOW2_FIX_LEAKS = 1, QCOW2_FIX_ERRORS = 2, QCOW2_FIX_ALL = 3 };

struct qcow2_check {
    FILE *out;                                  /* one line for each finding; NULL: none */
    u64 corruptions, leaks, corruptions_fixed, leaks_fixed, check_errors;
    u64 total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters, image_end_offset;
};

/* n: a qcow2 node. 0, or -errno if the check could not be made. c->out is set by the caller, all else here. */
int qcow2_check(struct blk_node *n, unsigned fix, struct qcow2_check *c);

#endif
