/* What the flags are whose origin a region has left (region.h). Any thread. */
#ifndef ACCEL_DBT_OPT_FLAGS_H
#define ACCEL_DBT_OPT_FLAGS_H
#include "util/base.h"

/* code: region_flag_code(). In the layout of cpu.aflags. */
u64 region_flags(u64 code, u64 a, u64 b);

#endif
