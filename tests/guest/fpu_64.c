/* Guest: x87, SSE and AVX state. #NM by CR0.TS, #UD by CR4, #XM and #MF with their flags, FXSAVE and XSAVE round trips, state of two
 * tasks swapped by interrupts, MMX and x87 sharing registers, denormals and rounding. */
#include "tests/lib/guest/guest.h"

#define CR0_MP 2ul
#define CR0_EM 4ul
#define CR0_TS 8ul
#define CR0_NE 0x20ul
#define CR4_OSFXSR (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_OSXSAVE (1ul << 18)

static void x87_op(void *p) { asm volatile("fld1\n fstp %st(0)"); }
static void fwait_op(void *p) { asm volatile("fwait"); }
static void sse_op(void *p) { asm volatile("xorps %xmm0, %xmm0"); }
static void mmx_op(void *p) { asm volatile("pxor %mm0, %mm0\n emms"); }
static void avx_op(void *p) { asm volatile("vxorps %ymm0, %ymm0, %ymm0"); }
static void xgetbv_op(void *p) { asm volatile("xgetbv" : : "c"(0) : "eax", "edx"); }

static void test_gates(void)
{
    test("CR0.TS, EM, MP");
    ulong cr0 = (read_cr0() | CR0_NE | CR0_MP) & ~(CR0_TS | CR0_EM);
    write_cr0(cr0 | CR0_TS);
    CHECK_EQ(guest_try(x87_op, NULL), V_NM);
    CHECK_EQ(guest_try(sse_op, NULL), V_NM);
    CHECK_EQ(guest_try(mmx_op, NULL), V_NM);
    CHECK_EQ(guest_try(fwait_op, NULL), V_NM);
    write_cr0((cr0 | CR0_TS) & ~CR0_MP);
    CHECK_EQ(guest_try(fwait_op, NULL), NO_TRAP);
    write_cr0(cr0 | CR0_TS);
    asm volatile("clts");
    CHECK_EQ(guest_try(x87_op, NULL), NO_TRAP);
    write_cr0(cr0 | CR0_EM);
    CHECK_EQ(guest_try(x87_op, NULL), V_NM);
    CHECK_EQ(guest_try(sse_op, NULL), V_UD);
    CHECK_EQ(guest_try(mmx_op, NULL), V_UD);
    write_cr0(cr0);
    test("CR4.OSFXSR, OSXSAVE and XCR0");
    write_cr4(read_cr4() & ~CR4_OSFXSR);
    CHECK_EQ(guest_try(sse_op, NULL), V_UD);
    CHECK_EQ(guest_try(mmx_op, NULL), NO_TRAP);
    write_cr4(read_cr4() | CR4_OSFXSR);
    CHECK_EQ(guest_try(sse_op, NULL), NO_TRAP);
    CHECK_EQ(guest_try(xgetbv_op, NULL), V_UD);
    CHECK_EQ(guest_try(avx_op, NULL), V_UD);
}

/* --- x87 --- */
static void x87_divide(void *p)
{
    static const u16 cw = 0x37b; /* divide by zero unmasked */
    asm volatile("fninit\n fldcw %0\n fld1\n fldz\n fdivrp" : : "m"(cw));
}
static u16 status(void)
{
    u16 sw;
    asm volatile("fnstsw %0" : "=a"(sw));
    return sw;
}

static void test_x87(void)
{
    test("unmasked x87 exceptions wait for the next instruction");
    x87_divide(NULL); /* none yet */
    CHECK_EQ(status() & 0x84, 0x84);
    CHECK_EQ(guest_try(fwait_op, NULL), V_MF);
    CHECK_EQ(trap.f.ip, (ulong)fwait_op);
    CHECK_EQ(guest_try(x87_op, NULL), V_MF);
    asm volatile("fnclex");
    CHECK_EQ(guest_try(fwait_op, NULL), NO_TRAP);
    test("the last instruction and its operand");
    static double value = 2.5;
    static u8 env[28] __attribute__((aligned(16)));
    static u8 image[512] __attribute__((aligned(16)));
    asm volatile("fninit\n fldl %0" : : "m"(value));
    asm volatile("fxsave64 %0" : "=m"(image));
    CHECK_EQ(*(u64 *)(image + 16), (ulong)&value);
    asm volatile("fnstenv %0" : "=m"(env));
    CHECK_EQ(*(u32 *)(env + 20), (u32)(ulong)&value);
    CHECK_EQ(*(u16 *)(env + 8), 0x3fff);
    test("stack overflow and underflow");
    asm volatile("fninit");
    for (unsigned i = 0; i < 9; i++)
        asm volatile("fld1");
    CHECK_EQ(status() & 0x241, 0x241);
    asm volatile("fninit\n fstp %st(0)");
    CHECK_EQ(status() & 0x241, 0x41);
    test("MMX registers are x87 mantissas");
    u64 low = 0;
    u8 ten[10];
    asm volatile("fninit\n mov $0x123456789abcdef0, %%rax\n movq %%rax, %%mm3\n movq %%mm3, %0\n" : "=m"(low) : : "rax");
    CHECK_EQ(low, 0x123456789abcdef0);
    asm volatile("fxsave64 %0" : "=m"(image));
    CHECK_EQ(image[4], 0xff); /* all in use */
    CHECK_EQ(*(u64 *)(image + 32 + 3 * 16), 0x123456789abcdef0);
    CHECK_EQ(*(u16 *)(image + 40 + 3 * 16), 0xffff);
    asm volatile("emms\n fldpi\n fstpt %0" : "=m"(ten));
    CHECK_EQ(*(u64 *)ten, 0xc90fdaa22168c235);
    CHECK_EQ(*(u16 *)(ten + 8), 0x4000);
}

/* --- SSE --- */
static u32 mxcsr_get(void)
{
    u32 v;
    asm volatile("stmxcsr %0" : "=m"(v));
    return v;
}
static void mxcsr_set(u32 v) { asm volatile("ldmxcsr %0" : : "m"(v)); }
static void mxcsr_bad(void *p) { mxcsr_set(0x10000); }
static void sse_divide(void *p)
{
    static const float one[4] __attribute__((aligned(16))) = { 1, 1, 1, 1 };
    asm volatile("movaps %0, %%xmm1\n xorps %%xmm2, %%xmm2\n divps %%xmm2, %%xmm1" : : "m"(one));
}

static void test_sse(void)
{
    test("#XM, or #UD without OSXMMEXCPT");
    mxcsr_set(0x1f80);
    CHECK_EQ(guest_try(sse_divide, NULL), NO_TRAP);
    CHECK_EQ(mxcsr_get(), 0x1f84);
    mxcsr_set(0x1d80);
    CHECK_EQ(guest_try(sse_divide, NULL), V_XM);
    CHECK_EQ(mxcsr_get(), 0x1d84);
    write_cr4(read_cr4() & ~CR4_OSXMMEXCPT);
    CHECK_EQ(guest_try(sse_divide, NULL), V_UD);
    write_cr4(read_cr4() | CR4_OSXMMEXCPT);
    mxcsr_set(0x1f80);
    CHECK_EQ(guest_try(mxcsr_bad, NULL), V_GP);
    test("rounding and flush to zero");
    static const double third[2] __attribute__((aligned(16))) = { 1, 3 };
    u64 near, up;
    asm volatile("movsd %1, %%xmm0\n divsd %2, %%xmm0\n movq %%xmm0, %0" : "=r"(near) : "m"(third[0]), "m"(third[1]));
    mxcsr_set(0x5f80);
    asm volatile("movsd %1, %%xmm0\n divsd %2, %%xmm0\n movq %%xmm0, %0" : "=r"(up) : "m"(third[0]), "m"(third[1]));
    CHECK_EQ(near, 0x3fd5555555555555);
    CHECK_EQ(up, 0x3fd5555555555556);
    mxcsr_set(0x1f80);
    u64 tiny, min = 0x0010000000000000, half = 0x3fe0000000000000;
    asm volatile("movq %1, %%xmm0\n movq %2, %%xmm1\n mulsd %%xmm1, %%xmm0\n movq %%xmm0, %0" : "=r"(tiny) : "r"(min), "r"(half));
    CHECK_EQ(tiny, 0x0008000000000000);
    mxcsr_set(0x9f80);
    asm volatile("movq %1, %%xmm0\n movq %2, %%xmm1\n mulsd %%xmm1, %%xmm0\n movq %%xmm0, %0" : "=r"(tiny) : "r"(min), "r"(half));
    CHECK_EQ(tiny, 0);
    mxcsr_set(0x1f80);
}

/* --- saving and restoring --- */
static u8 area[2][4096] __attribute__((aligned(64)));

static void load_pattern(u64 seed)
{
    u64 v[2] __attribute__((aligned(16))) = { seed, ~seed };
    asm volatile("movdqa %0, %%xmm0\n movdqa %0, %%xmm7\n movdqa %0, %%xmm15\n fninit\n fildll %0" : : "m"(v));
    mxcsr_set(seed & 1 ? 0x1f80 : 0x5f80);
}

static void check_pattern(u64 seed)
{
    u64 v[2] __attribute__((aligned(16))), integer;
    asm volatile("movdqa %%xmm7, %0" : "=m"(v));
    CHECK_EQ(v[0], seed);
    CHECK_EQ(v[1], ~seed);
    asm volatile("movdqa %%xmm15, %0" : "=m"(v));
    CHECK_EQ(v[0], seed);
    asm volatile("fistpll %0" : "=m"(integer));
    CHECK_EQ(integer, seed);
    CHECK_EQ(mxcsr_get(), seed & 1 ? 0x1f80 : 0x5f80);
}

static void test_fxsave(void)
{
    test("FXSAVE and FXRSTOR");
    load_pattern(0x1111111111);
    asm volatile("fxsave64 %0" : "=m"(area[0]));
    load_pattern(0x2222222222);
    asm volatile("fxsave64 %0" : "=m"(area[1]));
    asm volatile("fxrstor64 %0" : : "m"(area[0]));
    check_pattern(0x1111111111);
    asm volatile("fxrstor64 %0" : : "m"(area[1]));
    check_pattern(0x2222222222);
}

static void xsave(u8 *p, u32 mask) { asm volatile("xsave64 (%0)" : : "r"(p), "a"(mask), "d"(0) : "memory"); }
static void xrstor(const u8 *p, u32 mask) { asm volatile("xrstor64 (%0)" : : "r"(p), "a"(mask), "d"(0) : "memory"); }
static void xrstor_try(void *p) { xrstor(p, 7); }
static void bad_xcr0(void *p) { asm volatile("xsetbv" : : "a"(4), "c"(0), "d"(0)); } /* AVX without SSE */

static void test_xsave(void)
{
    test("XSAVE, AVX state and init optimization");
    if (!cpu_has(1, 2, 26) || !cpu_has(1, 2, 28)) {
        skip("not offered");
        return;
    }
    write_cr4(read_cr4() | CR4_OSXSAVE);
    CHECK(cpu_has(1, 2, 27));
    CHECK_EQ(guest_try(avx_op, NULL), V_UD); /* XCR0 is 1 still */
    CHECK_EQ(guest_try(bad_xcr0, NULL), V_GP);
    asm volatile("xsetbv" : : "a"(7), "c"(0), "d"(0));
    CHECK_EQ(guest_try(avx_op, NULL), NO_TRAP);
    u32 r[4];
    cpuid(0xd, 0, r);
    CHECK_EQ(r[1], 832);
    memset(area, 0, sizeof(area));
    load_pattern(0x3333333333);
    asm volatile("vinsertf128 $1, %xmm7, %ymm7, %ymm7");
    xsave(area[0], 7);
    CHECK_EQ(*(u64 *)(area[0] + 512), 7);
    CHECK_EQ(*(u64 *)(area[0] + 576 + 7 * 16), 0x3333333333);
    asm volatile("vzeroall\n fninit");
    mxcsr_set(0x1f80);
    xsave(area[1], 7);
    CHECK_EQ(*(u64 *)(area[1] + 512) & 4, 0); /* AVX is in its initial state */
    xrstor(area[0], 7);
    u64 v[4];
    asm volatile("vmovdqu %%ymm7, %0" : "=m"(v));
    CHECK_EQ(v[2], 0x3333333333);
    check_pattern(0x3333333333);
    *(u64 *)(area[0] + 512) = 0; /* everything to its initial state */
    xrstor(area[0], 7);
    asm volatile("vmovdqu %%ymm7, %0" : "=m"(v));
    CHECK_EQ(v[0] | v[2], 0);
    *(u64 *)(area[0] + 512) = 8; /* not in XCR0 */
    CHECK_EQ(guest_try(xrstor_try, area[0]), V_GP);
    *(u64 *)(area[0] + 512) = 0;
    CHECK_EQ(guest_try(xrstor_try, area[0] + 8), V_GP); /* misaligned */
    test("VEX instructions clear upper halves, legacy ones keep them");
    asm volatile("vpcmpeqd %ymm3, %ymm3, %ymm3\n xorps %xmm3, %xmm3");
    asm volatile("vmovdqu %%ymm3, %0" : "=m"(v));
    CHECK_EQ(v[0], 0);
    CHECK_EQ(v[3], ~0ull);
    asm volatile("vpxor %xmm3, %xmm3, %xmm3");
    asm volatile("vmovdqu %%ymm3, %0" : "=m"(v));
    CHECK_EQ(v[3], 0);
}

/* --- two contexts, swapped by a timer behind the back of the code --- */
static unsigned swaps;
static void on_swap(struct frame *f)
{
    asm volatile("fxsave64 %0" : "=m"(area[0]));
    load_pattern(0x7777777777 + swaps++);
    asm volatile("fxrstor64 %0" : : "m"(area[0]));
    apic_write(0xb0, 0);
}

static void test_interrupted(void)
{
    test("state survives interrupts that use it");
    apic_enable();
    handlers[0x61] = on_swap;
    apic_write(0x3e0, 0xb);
    apic_write(0x320, 0x20061);
    apic_write(0x380, 50000);
    static const double one = 1;
    double sum = 0;
    u64 bits;
    asm volatile("movq %0, %%xmm5\n xorps %%xmm6, %%xmm6\n fninit\n fldz" : : "m"(one));
    sti();
    unsigned n = 0;
    for (; n < 100000000 && swaps < 20; n++)
        asm volatile("addsd %xmm5, %xmm6\n fld1\n faddp");
    cli();
    apic_write(0x320, 0x10061);
    asm volatile("movq %%xmm6, %0" : "=m"(sum));
    u64 n87;
    asm volatile("fistpll %0" : "=m"(n87));
    asm volatile("cvtsd2si %1, %0" : "=r"(bits) : "m"(sum));
    CHECK_EQ(bits, n);
    CHECK_EQ(n87, n);
    CHECK(swaps >= 20);
}

void guest_main(void)
{
    test_gates();
    test_x87();
    test_sse();
    test_fxsave();
    test_xsave();
    test_interrupted();
}
