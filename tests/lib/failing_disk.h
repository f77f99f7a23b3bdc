/* A disk whose host has trouble: requests fail, and are kept for the VM to go on (werror=stop, rerror=stop), until the trouble ends. One at a
 * time; used by one test thread. */
#ifndef TESTS_LIB_FAILING_DISK_H
#define TESTS_LIB_FAILING_DISK_H
#include "hw/backend/blk.h"

/* b: a raw image in a file, no request in flight. From now on its requests fail with err (ENOSPC ...); 0: they work again. */
void failing_disk(struct blk *b, int err);
/* How often a stop of the VM was asked for since the last call. */
unsigned failing_disk_stops(void);
/* Waits, lock held, until b's requests have ended or are kept, and checks how many are. */
void failing_disk_kept(struct blk *b, unsigned kept);

#endif
