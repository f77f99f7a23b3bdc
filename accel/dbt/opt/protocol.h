/* What goes between the optimiser's tier (tier.c) and its worker process (gcc/worker.c): opt_request, then each region's bytes; opt_answer, then the
 * object file. */
#ifndef ACCEL_DBT_OPT_PROTOCOL_H
#define ACCEL_DBT_OPT_PROTOCOL_H
#include "accel/dbt/opt/region.h"

#define OPT_BATCH_MAX 64u
#define OPT_OBJECT_MAX (16u << 20)
struct opt_request { u32 n, level; };
struct opt_answer {
    u32 size;    /* 0: failed */
    u32 pad;
    u64 cpu_us;  /* of the worker so far */
};

#endif
