/* Memory and register operands of helpers: linear addresses with segment checks where the mode is not flat, stack and registers by
 * width. Private to cpu/help/; vCPU thread. */
#ifndef CPU_HELP_OPERAND_H
#define CPU_HELP_OPERAND_H
#include "cpu/fault.h"
#include "cpu/help/help.h"

/* seg:off, checked for size bytes and acc (ACC_READ, ACC_WRITE). May raise. */
static inline gla_t seg_linear(struct cpu *c, unsigned seg, u64 off, unsigned size, unsigned asize, unsigned acc)
{
    off = zext(off, asize);
    if (cpu_is64(c))
        return seg >= S_FS ? c->seg[seg].base + off : off;
    if ((c->mode & MODE_FLAT) && seg < S_FS && !(seg == S_CS && acc & ACC_WRITE))
        return off;
    return help_segcheck(c, seg | acc << 8 | size << 16 | asize << 24, off, 0);
}

/* Writes a register as instructions do: 8 and 16 bits merge, 32 bits zero-extend. */
static inline void gpr_put(struct cpu *c, unsigned r, u64 val, unsigned size)
{
    c->gpr[r] = size >= 4 ? zext(val, size) : (c->gpr[r] & ~MASK64(size * 8)) | zext(val, size);
}

/* Width of rSP in use. */
static inline unsigned stack_size(const struct cpu *c) { return cpu_is64(c) ? 8 : c->mode & MODE_SS32 ? 4 : 2; }

#endif
