/* The two bytecode interpreters of the integer group: one program, run by a switch and by computed gotos. */
#ifndef BENCH_GUEST_BYTECODE_H
#define BENCH_GUEST_BYTECODE_H
#include <stdint.h>

uint64_t bytecode_switch(void);
uint64_t bytecode_goto(void);
#define BYTECODE_RESULT (6171ull << 32 | 658436) /* which number has the longest sequence, how long are all together */
#endif
