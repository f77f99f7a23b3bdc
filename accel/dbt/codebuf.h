/* The code cache's memory: bytes are handed out front to back, transactionally, until it is full and everything is dropped at once.
 * Callers hold the translation lock; codebuf_reset also needs that no vCPU is inside emitted code. */
#ifndef ACCEL_DBT_CODEBUF_H
#define ACCEL_DBT_CODEBUF_H
#include "util/exec_mem.h"

struct codebuf {
    struct exec_mem mem;
    size_t fixed;    /* bytes at the start that codebuf_reset keeps */
    size_t used;
    size_t reserved; /* 0: no transaction */
};

/* 0, or -1 with e set. */
int codebuf_init(struct codebuf *cb, size_t size, struct err *e);
void codebuf_fini(struct codebuf *cb);
/* The writable address of n bytes at a multiple of align plus skew, or NULL if they do not fit. Ends with commit or abort. */
u8 *codebuf_reserve(struct codebuf *cb, size_t n, size_t align, size_t skew);
/* Keeps the bytes from the reserved address up to end (writable address). */
void codebuf_commit(struct codebuf *cb, const u8 *end);
void codebuf_abort(struct codebuf *cb);
/* Everything so far stays over resets. */
void codebuf_keep(struct codebuf *cb);
void codebuf_reset(struct codebuf *cb);
static inline u8 *codebuf_rx(const struct codebuf *cb, const u8 *rw) { return exec_mem_rx(&cb->mem, rw); }
static inline u8 *codebuf_rw(const struct codebuf *cb, const u8 *rx) { return exec_mem_rw(&cb->mem, rx); }

#endif
