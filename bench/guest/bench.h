/* What the benchmark programs share: bench/guest/GROUP.c is a table of programs, bench/guest/main.c runs one of them. Static Linux
 * programs, the same binaries on the host and in the guests of `make bench`; one thread unless a program makes more. */
#ifndef BENCH_GUEST_BENCH_H
#define BENCH_GUEST_BENCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct program {
    const char *name;
    uint64_t (*round)(void);       /* a fixed piece of work, 1 to 50 ms on the host; what it returns depends on nothing else */
    uint64_t result;               /* and is this, however the compiler optimises */
    bool (*absent)(void);          /* the processor has not what it takes; NULL: it has */
};
extern const struct program programs[]; /* ends with a name of NULL */

/* Marsaglia's xorshift32 from *seed, which is not 0. */
static inline uint32_t random_next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

/* FNV-1a over the bytes. */
uint64_t checksum(const void *data, unsigned long size);
/* The work could not be done (a system call failed): says so and ends the program. */
void failed(const char *what) __attribute__((noreturn));
/* This process and what it starts stay on the CPU it is on. */
void stay_here(void);
/* "GROUP hidden": os.c's exec starts this program again with it, which does nothing. */
#define HIDDEN "hidden"
#endif
