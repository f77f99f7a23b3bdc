/* -perfmap: names for emitted code in the file that perf(1) reads for code that no program file has, /tmp/perf-PID.map
 * (tools/perf/Documentation/jit-interface.txt of Linux). Code lock, but for open and close (main thread). */
#ifndef ACCEL_DBT_PERFMAP_H
#define ACCEL_DBT_PERFMAP_H
#include "accel/dbt/tb.h"

/* 0, or -1 with e set. */
int perfmap_open(struct err *e);
void perfmap_close(void);
/* Names code that every block shares. */
void perfmap_common(const char *name, const u8 *start, const u8 *end);
/* All blocks are gone: so are their names. */
void perfmap_flush(void);
/* Names a block after its guest address, "kernel:" or "user:" by its CPL; what is out of line gets "(cold)". */
void perfmap_block(const struct tb *tb);
/* The code of a region's functions (accel/dbt/opt); tb: its head. Code lock. */
void perfmap_region(const struct tb *tb, const u8 *start, u64 size);

#endif
