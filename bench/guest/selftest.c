/* For the test of `make bench` itself: a program whose result is right, and one whose result is wrong. Run by bench/guest/main.c. */
#include "bench/guest/bench.h"

static uint64_t answer(void) { return 42; }

const struct program programs[] = {
    { "right", answer, 42, NULL },
    { "wrong", answer, 41, NULL },
    { NULL, NULL, 0, NULL },
};
