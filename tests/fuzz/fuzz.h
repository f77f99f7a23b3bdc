/* What a fuzz target (tests/fuzz/NAME_fuzz.c) is: one function that takes any bytes and does not crash, hang or leave anything behind; linked with
 * driver.c (make check, make fuzz) or with clang's libFuzzer (make fuzz FUZZER=clang). docs/testing.md says how to add one. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>
#include "util/base.h"

/* Runs the target on one input, which is not changed and not kept. Returns 0. What is wrong is found by g_assert_*(), abort(), a sanitizer or a signal;
 * a call of exit() and a run of more than FUZZ_PATIENCE seconds are wrong too. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
/* Optional: once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Reading an input front to back; past the end it gives zeros. */
struct fuzz_in {
    const u8 *p, *end;
};
static inline u64 fuzz_take(struct fuzz_in *in, unsigned n)
{
    u64 v = 0;
    for (unsigned i = 0; i < n && in->p < in->end; i++)
        v |= (u64)*in->p++ << 8 * i;
    return v;
}
/* For targets whose inputs can name files and sockets: the process gets no new descriptor from here on (false) or again (true). Calling it with
 * false again shuts out those that were closed in between. poll(2) goes on working, which wants fewer descriptors than the limit. */
static inline void fuzz_allow_files(bool allow)
{
    struct rlimit l;
    int lowest;
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
    if (allow)
        return;
    lowest = dup(STDERR_FILENO);
    if (lowest < 0)
        return;
    close(lowest);
    l.rlim_cur = (rlim_t)lowest;
    setrlimit(RLIMIT_NOFILE, &l);
}
#endif
