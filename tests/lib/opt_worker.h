/* The optimiser's worker process (accel/dbt/opt) for tests: makes code of regions and puts it into the code cache. Test thread; backend_init() first. */
#ifndef TESTS_LIB_OPT_WORKER_H
#define TESTS_LIB_OPT_WORKER_H
#include "accel/dbt/opt/protocol.h"

/* False: this build has none. */
bool opt_worker_there(void);
/* The functions of n regions, 0 < n <= OPT_BATCH_MAX; ends the test program if that fails. */
void opt_worker_compile(const struct opt_region *const *r, unsigned n, const u8 **function);
/* The region of one block of IR as far as the optimiser knows its instructions. Free with g_free(). */
struct opt_region *opt_worker_region(const struct ir_block *b);

#endif
