/* Makes random encodings of a row of the instruction table; used by the tests of the decoder, the lifter and the oracle. Any one thread. */
#ifndef TESTS_LIB_INSN_GEN_H
#define TESTS_LIB_INSN_GEN_H
#include "cpu/decode/decode.h"

struct insn_gen {
    u64 seed;          /* xorshift state, not 0 */
    unsigned bits;     /* 16, 32, 64 */
    bool no_rip;       /* no absolute or RIP-relative addresses */
    bool no_a67;       /* no address size override */
    bool no_fs;        /* no FS override */
};
u64 insn_gen_random(struct insn_gen *g);
/* Writes an encoding that decodes to exactly this row, followed by random bytes (buf has room for 32), and decodes it at pc.
 * Returns its length; 0 if none was found (the row does not exist in this mode). */
unsigned insn_gen(struct insn_gen *g, const struct insn_row *row, u64 pc, u8 *buf, struct insn *in);

#endif
