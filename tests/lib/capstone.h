/* Capstone as a second opinion on instruction lengths, and where it is not to be trusted; used by the decoder's tests. Any one thread. */
#ifndef TESTS_LIB_CAPSTONE_H
#define TESTS_LIB_CAPSTONE_H
#include "cpu/decode/decode.h"

/* The length that Capstone sees, 0 if it knows no such instruction. bits: 16, 32, 64. */
unsigned capstone_insn_len(unsigned bits, u64 pc, const u8 *b, unsigned n);
/* Where Capstone does not know an instruction that we accept. */
bool capstone_lacks(const struct insn *in);
/* Where Capstone's length is not the processor's. */
bool capstone_length_wrong(const struct insn *in);

#endif
