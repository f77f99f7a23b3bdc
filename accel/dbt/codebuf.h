/* The code cache's memory, in two parts: what is executed all the time lies close together, away from what hardly ever is. Bytes of each part are
 * handed out front to back until it is full and everything is dropped at once.
 * Callers hold the translation lock; codebuf_reset also needs that no vCPU is inside emitted code. */
#ifndef ACCEL_DBT_CODEBUF_H
#define ACCEL_DBT_CODEBUF_H
#include "util/exec_mem.h"

enum codebuf_part { CODE_HOT, CODE_COLD, CODE_PARTS };
struct codebuf {
    struct exec_mem mem;
    size_t fixed;    /* bytes at the start of the hot part that codebuf_reset keeps */
    struct { size_t start, used, end, backed; } part[CODE_PARTS]; /* backed: the host has memory in place for what is before that */
};

/* 0, or -1 with e set. */
int codebuf_init(struct codebuf *cb, size_t size, struct err *e);
void codebuf_fini(struct codebuf *cb);
/* The writable address of n bytes at a multiple of align, or NULL if they do not fit. They are the caller's after codebuf_commit. */
u8 *codebuf_reserve(struct codebuf *cb, enum codebuf_part part, size_t n, size_t align);
/* Keeps the bytes up to end (writable address), which lies in what was reserved last. */
void codebuf_commit(struct codebuf *cb, enum codebuf_part part, const u8 *end);
/* Everything so far stays over resets. */
void codebuf_keep(struct codebuf *cb);
void codebuf_reset(struct codebuf *cb);
static inline u8 *codebuf_rx(const struct codebuf *cb, const u8 *rw) { return exec_mem_rx(&cb->mem, rw); }
static inline u8 *codebuf_rw(const struct codebuf *cb, const u8 *rx) { return exec_mem_rw(&cb->mem, rx); }
static inline bool codebuf_is_cold(const struct codebuf *cb, const u8 *rx) { return (size_t)(rx - cb->mem.rx) >= cb->part[CODE_COLD].start; }

#endif
