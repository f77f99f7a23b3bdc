/* Machine code as text, AT&T syntax: guest code for the monitor and -d in_asm, emitted host code for -d out_asm. Any thread. */
#ifndef DISAS_DISAS_H
#define DISAS_DISAS_H
#include <stdio.h>
#include "util/base.h"

struct _GString;
/* bits: 16, 32, 64. Writes "mov %eax,%ebx"-like text of the instruction at buf, which lies at address addr, and returns its
 * length; 0 if the bytes are no instruction (text is then "(bad)"). */
unsigned disas_insn(unsigned bits, u64 addr, const u8 *buf, size_t len, char *text, size_t text_size);
/* Appends one line "ADDRESS:  BYTES  TEXT\n" for each instruction, at most max_insns of them (0: all). A byte that is no
 * instruction takes a line of its own. Returns the bytes used. */
size_t disas_print(struct _GString *out, unsigned bits, u64 addr, const u8 *buf, size_t len, unsigned max_insns);
/* The same for a whole piece of code, to a stream. */
void disas_block(FILE *f, unsigned bits, u64 addr, const u8 *buf, size_t len);

#endif
