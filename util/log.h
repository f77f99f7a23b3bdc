/* Named log points of -d ITEMS (QEMU's names where QEMU has them) written to -D FILE or stderr. Any thread. */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H
#include "util/base.h"

enum log_item {
    LOG_IN_ASM = 1 << 0,       /* in_asm: guest code when translated */
    LOG_OUT_ASM = 1 << 1,      /* out_asm: emitted host code */
    LOG_IR = 1 << 2,           /* op: IR before the passes */
    LOG_IR_OPT = 1 << 3,       /* op_opt: IR after the passes */
    LOG_INT = 1 << 4,          /* int: exceptions and interrupts delivered */
    LOG_EXEC = 1 << 5,         /* exec: each block entered (chaining off) */
    LOG_CPU = 1 << 6,          /* cpu: registers before each block */
    LOG_GUEST_ERRORS = 1 << 7, /* guest_errors: what a guest should not do */
    LOG_UNIMP = 1 << 8,        /* unimp */
    LOG_MMU = 1 << 9,          /* mmu: page walks that fault, mode changes */
    LOG_RESET = 1 << 10,       /* cpu_reset */
    LOG_DEV = 1 << 11,         /* dev: device register accesses */
    LOG_PCALL = 1 << 12,       /* pcall: protected-mode far transfers */
};

extern u32 log_mask; /* written before threads start, then by the monitor; read without lock */

static inline bool log_on(u32 items) { return UNLIKELY(log_mask & items); }
/* Writes one line (the newline is added if absent). */
void log_print(const char *fmt, ...) PRINTF(1, 2);
#define LOG(item, ...) do { if (log_on(item)) log_print(__VA_ARGS__); } while (0)
/* Guest misuse; printed under -d guest_errors, rate-limited. */
#define GUEST_ERROR(...) LOG(LOG_GUEST_ERRORS, __VA_ARGS__)

struct err;
/* Parses "int,cpu_reset"; "help" is left to the caller, who prints log_item_name(). 0 or -1 with e set. */
int log_parse(const char *items, struct err *e);
int log_open(const char *path, struct err *e);
/* i-th item's name and explanation, NULL past the last. */
const char *log_item_name(unsigned i, const char **help);
/* Where log output goes; borrowed. For the disassembler. */
struct _IO_FILE *log_file(void);

#endif
