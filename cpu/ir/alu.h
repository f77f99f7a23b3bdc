/* Integer arithmetic of the IR with exact x86 flags, as pure functions. Any thread; used by the interpreter, helpers and tests. */
#ifndef CPU_IR_ALU_H
#define CPU_IR_ALU_H
#include "cpu/ir/ir.h"

/* size in bytes; *fl holds F_* arithmetic flags before and after. */
typedef u64 alu_fn(u64 a, u64 b, unsigned size, u32 *fl);
/* The function of a two-operand op (one-operand ops ignore b), or NULL if the op is not that simple. */
alu_fn *alu_function(enum ir_code code);
u64 alu_shd(u64 d, u64 a, unsigned count, unsigned size, bool right, u32 *fl); /* SHLD, SHRD */
u64 alu_bit_scan(u64 d, u64 a, unsigned size, bool reverse, u32 *fl);         /* BSF, BSR */
void alu_mul_wide(u64 a, u64 b, unsigned size, bool is_signed, u64 *lo, u64 *hi, u32 *fl);
/* False: #DE. hi:lo / v. */
bool alu_div_wide(u64 hi, u64 lo, u64 v, unsigned size, bool is_signed, u64 *quot, u64 *rem);
u64 alu_crc32(u64 crc, u64 data, unsigned size);
bool alu_cond(u32 fl, unsigned cc);

#endif
