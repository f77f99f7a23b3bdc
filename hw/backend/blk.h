/* Block back ends: where a disk's bytes are. Opened on the main thread before the machine starts; requests are made by
 * devices with the machine lock held. */
#ifndef HW_BACKEND_BLK_H
#define HW_BACKEND_BLK_H
#include "util/base.h"

struct err;
struct blk;

/* A raw image (file or block device), read-only. `option` names the command-line option in messages. */
struct blk *blk_open(const char *option, const char *path, struct err *e);
void blk_close(struct blk *b);
const char *blk_path(const struct blk *b);
/* Bytes; the tail past the last whole sector reads as zeros. */
u64 blk_size(const struct blk *b);
bool blk_readonly(const struct blk *b);
/* 0, or -errno. Bytes past the end of the image read as zeros. */
int blk_pread(struct blk *b, u64 off, void *buf, u32 len);

#endif
