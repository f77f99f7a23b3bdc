/* Runs one instruction natively on a given register state; see native.h. */
#include "tests/lib/native.h"
#include <cpuid.h>
#include <stdio.h>
#include "cpu/cpuid.h"
#include "cpu/help/x87.h"
#include "util/err.h"
#include "util/exec_mem.h"

_Static_assert(offsetof(struct native, fx) == 512 && offsetof(struct native, gpr) == 1024, "native_enter");
_Static_assert(offsetof(struct native, flags) == 1152 && offsetof(struct native, host_rsp) == 1160, "native_enter");

void native_enter(struct native *s, const void *code);
extern const u8 native_exit[];

__asm__(
    ".data\n"
    "native_state: .quad 0\n"
    "native_code: .quad 0\n"
    "native_rax: .quad 0\n"
    ".text\n"
    ".globl native_enter, native_exit\n"
    "native_enter:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "  mov %rdi, native_state(%rip)\n"
    "  mov %rsi, native_code(%rip)\n"
    "  mov %rsp, 1160(%rdi)\n"
    "  fxrstor64 512(%rdi)\n"
    "  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "  vmovdqa \\n*32(%rdi), %ymm\\n\n"
    "  .endr\n"
    "  push 1152(%rdi); popfq\n"
    "  mov 1024+0*8(%rdi), %rax; mov 1024+1*8(%rdi), %rcx; mov 1024+2*8(%rdi), %rdx; mov 1024+3*8(%rdi), %rbx\n"
    "  mov 1024+5*8(%rdi), %rbp; mov 1024+6*8(%rdi), %rsi\n"
    "  .irp n,8,9,10,11,12,13,14,15\n"
    "  mov 1024+\\n*8(%rdi), %r\\n\n"
    "  .endr\n"
    "  mov 1024+7*8(%rdi), %rdi\n"
    "  jmp *native_code(%rip)\n"
    "native_exit:\n"
    "  mov %rax, native_rax(%rip)\n"
    "  mov native_state(%rip), %rax\n"
    "  pushfq; popq 1152(%rax)\n"
    "  cld\n"
    "  mov %rcx, 1024+1*8(%rax); mov %rdx, 1024+2*8(%rax); mov %rbx, 1024+3*8(%rax)\n"
    "  mov %rbp, 1024+5*8(%rax); mov %rsi, 1024+6*8(%rax); mov %rdi, 1024+7*8(%rax)\n"
    "  .irp n,8,9,10,11,12,13,14,15\n"
    "  mov %r\\n, 1024+\\n*8(%rax)\n"
    "  .endr\n"
    "  mov native_rax(%rip), %rcx; mov %rcx, 1024(%rax)\n"
    "  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "  vmovdqa %ymm\\n, \\n*32(%rax)\n"
    "  .endr\n"
    "  fxsave64 512(%rax)\n"
    "  fninit\n"
    "  vzeroupper\n"
    "  movl $0x1f80, -8(%rsp); ldmxcsr -8(%rsp)\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n");

void native_run(struct native *s, const u8 *bytes, unsigned n)
{
    static struct exec_mem mem;
    static unsigned at;
    if (!mem.rw) {
        struct err e;
        int r = exec_mem_init(&mem, 1 * MiB, NULL, &e);
        assert(r == 0);
    }
    if (at + 64 > mem.size) { /* a serialising instruction before old places are run again */
        unsigned a, b, c, d;
        at = 0;
        __cpuid(0, a, b, c, d);
    }
    u8 *p = mem.rw + at;
    memcpy(p, bytes, n);
    memcpy(p + n, "\xff\x25\0\0\0\0", 6); /* jmp [rip] */
    st64(p + n + 6, (u64)native_exit);
    native_enter(s, exec_mem_rx(&mem, p));
    at += 64;
}

bool native_has(unsigned feat)
{
    static const struct {
        u32 leaf, subleaf;
        u8 reg, bit;
    } where[FEAT_COUNT] = {
#define X(NAME, name, leaf, subleaf, reg, bit, how) [FEAT_##NAME] = { leaf, subleaf, reg, bit },
#include "cpu/cpuid.def"
#undef X
    };
    u32 r[4];
    if (feat == FEAT_NONE) {
        return true;
    }
    return __get_cpuid_count(where[feat].leaf, where[feat].subleaf, &r[0], &r[1], &r[2], &r[3]) &&
           (r[where[feat].reg] >> where[feat].bit & 1);
}

u64 native_random(void)
{
    static u64 x = 0x9e3779b97f4a7c15ull;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* --- states --- */

static void random_bytes(void *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ((u8 *)p)[i] = (u8)(native_random() >> 30);
    }
}

/* Vector registers hold random bits, small integers or floating-point numbers, so that results are not all NaN. */
void native_random_vector(u8 *v)
{
    random_bytes(v, 32);
    switch (native_random() >> 40 & 3) {
    case 0:
        for (unsigned i = 0; i < 8; i++) {
            float x = (float)(i32)native_random() / 65536.0f;
            memcpy(v + 4 * i, &x, 4);
        }
        break;
    case 1:
        for (unsigned i = 0; i < 4; i++) {
            double x = (double)(i64)native_random() / (double)(1ull << 40);
            memcpy(v + 8 * i, &x, 8);
        }
        break;
    case 2:
        for (unsigned i = 0; i < 32; i++) {
            v[i] &= 0x8f;
        }
        break;
    default:
        break;
    }
}

void native_random_state(struct native *s)
{
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < 16; i++) {
        native_random_vector(s->ymm[i]);
        s->gpr[i] = native_random() >> (native_random() >> 50 & 63);
        memcpy(s->fx + FX_XMM + 16 * i, s->ymm[i], 16);
    }
    s->flags = 0x202 | (native_random() & F_ARITH);
    st16(s->fx + FX_FCW, (u16)(0x37f | (native_random() >> 30 & 0xc00)));
    st16(s->fx + FX_FSW, (u16)(native_random() >> 20 & 0x3800));
    s->fx[FX_FTW] = (u8)(native_random() >> 15 | native_random() >> 22);
    for (unsigned i = 0; i < 8; i++) {
        u8 *st = s->fx + FX_ST + 16 * i;
        st64(st, native_random() | 1ull << 63);
        st16(st + 8, (u16)((native_random() >> 11 & 0x8000) | (0x3ff0 + (native_random() >> 33 & 31))));
    }
    st32(s->fx + FX_MXCSR, (u32)(MXCSR_INIT | (native_random() >> 22 & 0x6000)));
}

void native_to_guest(const struct native *s, struct cpu *c)
{
    x87_init(c);
    memcpy(c->fx, s->fx, FX_X87_BYTES);
    for (unsigned i = 0; i < 16; i++) {
        memset(c->vreg[i], 0, 64);
        memcpy(c->vreg[i], s->ymm[i], 32);
        c->gpr[i] = s->gpr[i];
    }
    cpu_set_arith(c, (u32)s->flags);
    c->mxcsr = ld32(s->fx + FX_MXCSR);
}

static const char *state_difference(const struct native *s, const struct cpu *c, unsigned *n)
{
    for (unsigned i = 0; i < 16; i++) {
        *n = i;
        if (memcmp(c->vreg[i], s->ymm[i], 32)) {
            return "vector register";
        }
        if (i != R_SP && c->gpr[i] != s->gpr[i]) {
            return "general register";
        }
        if (i < 8 && memcmp(c->fx + FX_ST + 16 * i, s->fx + FX_ST + 16 * i, 10)) {
            return "x87 register";
        }
    }
    *n = 0;
    if (cpu_arith(c) != (s->flags & F_ARITH)) {
        return "flags";
    }
    if (c->mxcsr != ld32(s->fx + FX_MXCSR)) {
        return "MXCSR";
    }
    return memcmp(c->fx, s->fx, FX_FOP) ? "x87 control" : NULL;
}

bool native_differs(const struct native *s, struct cpu *c, char *why, unsigned size)
{
    unsigned n;
    x87_sync(c);
    const char *what = state_difference(s, c, &n);
    if (what) {
        snprintf(why, size, "%s %u differs", what, n);
    }
    return what != NULL;
}

/* --- bytes of a row --- */

static const struct {
    char source[4];
    char size[8];
} opnds[OPND_CODE_COUNT] = {
#define O(name, source, reg, size) [O_##name] = { #source, #size },
#include "cpu/decode/opnd.def"
#undef O
};

static bool row_has(const struct insn_row *r, char source)
{
    for (unsigned i = 0; i < 4; i++) {
        if (opnds[r->op[i]].source[0] == source && opnds[r->op[i]].source[1] == 0) {
            return true;
        }
    }
    return false;
}

static unsigned random_reg(void)
{
    unsigned r;
    do {
        r = native_random() >> 20 & 15;
    } while (r == R_SP || r == R_BX);
    return r;
}

static unsigned modrm_byte(const struct insn_row *r, bool memory, unsigned reg, unsigned rm)
{
    if (r->modrm & 2) { /* MREG */
        reg = r->modrm >> 8 & 7;
    }
    if (r->modrm & 0x10) { /* MRM3 */
        rm = r->modrm >> 12 & 7;
    }
    return (memory ? 0 : 0xc0) | (reg & 7) << 3 | (rm & 7);
}

unsigned native_bytes(const struct insn_row *r, bool memory, u8 *buf)
{
    static const u8 legacy[] = { [PANY] = 0, [PNP] = 0, [P66] = 0x66, [PF3] = 0xf3, [PF2] = 0xf2 };
    static const u8 vex_pp[] = { [PANY] = 0, [PNP] = 0, [P66] = 1, [PF3] = 2, [PF2] = 3 };
    unsigned n = 0, reg = random_reg(), rm = memory ? R_BX : random_reg(), vvvv = row_has(r, 'H') ? native_random() >> 9 & 15 : 0;
    bool w = r->modrm & VW1 || (!(r->modrm & VW0) && native_random() >> 13 & 1), vex = r->map >= VX1;
    bool l = r->modrm & VL1 || (!(r->modrm & VL0) && native_random() >> 17 & 1);
    if (r->modrm & 2 || row_has(r, 'P')) {
        reg &= 7;
    }
    if ((r->modrm & 0x10) || row_has(r, 'N') || (row_has(r, 'Q') && !memory) || r->map == M1) {
        rm &= 7;
    }
    if (vex) {
        buf[n++] = 0xc4;
        buf[n++] = (u8)((reg < 8) << 7 | 1 << 6 | (rm < 8) << 5 | (r->map - VX1 + 1));
        buf[n++] = (u8)(w << 7 | (~vvvv & 15) << 3 | l << 2 | vex_pp[r->prefix]);
    } else {
        if (legacy[r->prefix]) {
            buf[n++] = legacy[r->prefix];
        }
        unsigned rex = (w && r->map != M1 ? 8u : 0) | (reg >> 3) << 2 | rm >> 3;
        if (rex && r->map != M1) {
            buf[n++] = (u8)(0x40 | rex);
        }
        if (r->map != M1) {
            buf[n++] = 0x0f;
        }
        if (r->map == M38 || r->map == M3A) {
            buf[n++] = r->map == M38 ? 0x38 : 0x3a;
        }
    }
    buf[n++] = r->opcode;
    if (r->modrm & MRM || r->modrm & (MMEM | MRR)) {
        buf[n++] = (u8)modrm_byte(r, memory, reg, rm);
    }
    for (unsigned i = 0; i < 4; i++) {
        if (r->op[i] == O_Ib || opnds[r->op[i]].source[0] == 'L') {
            buf[n++] = (u8)(native_random() >> 23 & (r->op[i] == O_Ib ? 0xff : 0xf0));
        }
    }
    return n;
}
