/* Parallel NOR flash with the Intel command set, for firmware. Machine lock. */
#ifndef HW_MISC_PFLASH_H
#define HW_MISC_PFLASH_H
#include "hw/core/device.h"

struct ram_block;

#define PFLASH_BLOCK 4096 /* erase block */

/* At guest address `addr`, with the contents of blk, which `ram` (of blk's size, a multiple of PFLASH_BLOCK) holds already and which are
 * written back; a read-only blk makes a flash that cannot be programmed. NULL with e set on error. */
struct device *pflash_new(struct machine *m, struct blk *blk, struct ram_block *ram, u64 addr, struct err *e);

#endif
