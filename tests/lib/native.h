/* Runs one instruction natively on a given register state: the oracle of carried instructions. One test thread. */
#ifndef TESTS_LIB_NATIVE_H
#define TESTS_LIB_NATIVE_H
#include "cpu/cpuid.h"
#include "cpu/decode/decode.h"

struct native {
    u8 ymm[16][32] __attribute__((aligned(64)));
    u8 fx[512];          /* FXSAVE64 image: x87 and MXCSR */
    u64 gpr[16];         /* rsp is the harness's own */
    u64 flags, host_rsp;
};

/* Executes the n bytes on s (AVX host). They must not touch rsp or transfer control. */
void native_run(struct native *s, const u8 *bytes, unsigned n);
/* The host has the feature of cpu/cpuid.def. */
bool native_has(unsigned feat);
/* xorshift; the same sequence in every run. */
u64 native_random(void);
/* A random state with masked exceptions; 32 bytes of a vector register: random bits, integers or floating-point numbers. */
void native_random_state(struct native *s);
void native_random_vector(u8 *v);
/* c's registers, flags, vector and x87 state from s (x87 not live); and compared with s, x87 synced, rsp left out. */
void native_to_guest(const struct native *s, struct cpu *c);
bool native_differs(const struct native *s, struct cpu *c, char *why, unsigned size);
/* Bytes of a random 64-bit-mode instruction of this row: register form, or memory form at [rbx]; an instance of a row that has only
 * one form takes that. Vector, GPR (never rsp or rbx) and immediate fields are random. Returns the length. */
unsigned native_bytes(const struct insn_row *r, bool memory, u8 *buf);

#endif
