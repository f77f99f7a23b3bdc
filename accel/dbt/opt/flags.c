/* The flags that a region's last flag-defining op left, made by the host's own instruction. Called by the x64 backend's common code while the guest's
 * vector registers are in the host's: this file is compiled without vector instructions. vCPU threads. */
#include "accel/dbt/opt/flags.h"
#include "accel/dbt/opt/region.h"

#define TWO(insn, s, r) __asm__(insn #s " %" #r "2, %" #r "1\n\tlahf\n\tseto %%al" : "=&a"(raw), "+&r"(a) : "r"(b) : "cc")
#define ONE(insn, s, r) __asm__("bt $0, %2\n\t" insn #s " %" #r "1\n\tlahf\n\tseto %%al" : "=&a"(raw), "+&r"(a) : "r"(b) : "cc")
#define SHIFT(insn, s, r) __asm__(insn #s " %%cl, %" #r "1\n\tlahf\n\tseto %%al" : "=&a"(raw), "+&r"(a) : "c"(b) : "cc")
#define SIZES(form, insn) \
    switch (size) { \
    case 1: form(insn, b, b); break; \
    case 2: form(insn, w, w); break; \
    case 4: form(insn, l, k); break; \
    default: form(insn, q, q); break; \
    } \
    break

#define SIZES_IMUL \
    switch (size) { \
    case 2: TWO("imul", w, w); break; \
    case 4: TWO("imul", l, k); break; \
    default: TWO("imul", q, q); break; \
    } \
    break

u64 region_flags(u64 code, u64 a, u64 b)
{
    unsigned size = code >> 8 & 0xff;
    u64 raw = a;
    switch ((enum region_flag_op)(code & 0xff)) {
    case RF_RAW: break;
    case RF_ADD: SIZES(TWO, "add");
    case RF_SUB: SIZES(TWO, "cmp");
    case RF_LOGIC: b = a; SIZES(TWO, "test");
    case RF_INC: SIZES(ONE, "inc");
    case RF_DEC: SIZES(ONE, "dec");
    case RF_SHL: SIZES(SHIFT, "shl");
    case RF_SHR: SIZES(SHIFT, "shr");
    case RF_SAR: SIZES(SHIFT, "sar");
    case RF_IMUL: SIZES_IMUL;
    }
    return raw & 0xffff;
}
