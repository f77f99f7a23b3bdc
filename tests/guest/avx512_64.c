/* Guest: AVX-512. Gates by CR4 and XCR0, XSAVE's components 5 to 7, masked accesses at the end of what is mapped, gathers and scatters that fault
 * halfway, older instructions and the upper parts, state that an interrupt handler uses too. */
#include "tests/lib/guest/guest.h"

#define CR4_OSFXSR (1ul << 9)
#define CR4_OSXSAVE (1ul << 18)
#define CR0_TS 8ul
#define K_AND_ZMM 0xe0

static u8 area[2][4096] __attribute__((aligned(64)));
static u64 v[8] __attribute__((aligned(64)));

static void evex_op(void *p) { asm volatile("vpxord %zmm20, %zmm20, %zmm20"); }
static void mask_op(void *p) { asm volatile("kxnorw %k1, %k1, %k1"); }
static void avx_op(void *p) { asm volatile("vpxor %ymm0, %ymm0, %ymm0"); }
static void xcr0_set(u64 x) { asm volatile("xsetbv" : : "a"((u32)x), "d"((u32)(x >> 32)), "c"(0)); }
static void xcr0_try(void *p) { xcr0_set((ulong)p); }
static void xsave(u8 *p, u32 mask) { asm volatile("xsave64 (%0)" : : "r"(p), "a"(mask), "d"(0) : "memory"); }
static void xrstor(const u8 *p, u32 mask) { asm volatile("xrstor64 (%0)" : : "r"(p), "a"(mask), "d"(0) : "memory"); }
static u64 xinuse(void)
{
    u32 a, d;
    asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1));
    return a | (u64)d << 32;
}

static void test_gates(void)
{
    test("CR4.OSXSAVE, XCR0, CR0.TS");
    write_cr4(read_cr4() | CR4_OSFXSR);
    CHECK_EQ(guest_try(evex_op, NULL), V_UD);
    CHECK_EQ(guest_try(mask_op, NULL), V_UD);
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xcr0_set(7);
    CHECK_EQ(guest_try(avx_op, NULL), NO_TRAP);
    CHECK_EQ(guest_try(evex_op, NULL), V_UD);
    CHECK_EQ(guest_try(mask_op, NULL), V_UD);
    static const ulong bad[] = { 0x27, 0x47, 0x87, 0xc7, 0x67, 0xa7, 0xe3, 0xe5, 0xe1 };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CHECK_EQ(guest_try(xcr0_try, (void *)bad[i]), V_GP);
    xcr0_set(0xe7);
    CHECK_EQ(guest_try(evex_op, NULL), NO_TRAP);
    CHECK_EQ(guest_try(mask_op, NULL), NO_TRAP);
    write_cr0(read_cr0() | CR0_TS);
    CHECK_EQ(guest_try(evex_op, NULL), V_NM);
    CHECK_EQ(guest_try(mask_op, NULL), V_NM);
    asm volatile("clts");
    u32 r[4], all = 0;
    cpuid(0xd, 0, r);
    CHECK_EQ(r[0] & K_AND_ZMM, K_AND_ZMM);
    for (unsigned i = 5; i <= 7; i++) {
        cpuid(0xd, i, r);
        CHECK_EQ(r[0], i == 5 ? 64 : i == 6 ? 512 : 1024);
        all = r[0] + r[1] > all ? r[0] + r[1] : all;
    }
    cpuid(0xd, 0, r);
    CHECK_EQ(r[1], all);
}

static u32 place(unsigned i)
{
    u32 r[4];
    cpuid(0xd, i, r);
    return r[1];
}

static void test_xsave(void)
{
    test("XSAVE and XRSTOR of k, ZMM_Hi256 and Hi16_ZMM");
    for (u64 i = 0; i < 8; i++)
        v[i] = 0x1111111111111111ull * (i + 1);
    xrstor(area[0], 0xe7); /* all in its initial state: the header is zero */
    CHECK_EQ(xinuse() & K_AND_ZMM, 0);
    asm volatile("vmovdqu64 %0, %%zmm31" : : "m"(v));
    CHECK_EQ(xinuse() & K_AND_ZMM, 0x80);
    asm volatile("vmovdqu64 %0, %%zmm9" : : "m"(v));
    CHECK_EQ(xinuse() & K_AND_ZMM, 0xc0);
    asm volatile("kmovq %0, %%k6" : : "r"(0x123456789abcull));
    CHECK_EQ(xinuse() & K_AND_ZMM, 0xe0);
    xsave(area[1], 0xe7);
    CHECK_EQ(*(u64 *)(area[1] + 512) & K_AND_ZMM, K_AND_ZMM);
    CHECK_EQ(*(u64 *)(area[1] + place(5) + 6 * 8), 0x123456789abc);
    CHECK_EQ(*(u64 *)(area[1] + place(6) + 9 * 32 + 24), v[7]);
    CHECK_EQ(*(u64 *)(area[1] + place(7) + 15 * 64 + 8), v[1]);
    xrstor(area[0], 0xe7);
    CHECK_EQ(xinuse() & K_AND_ZMM, 0);
    u64 k, out[8] __attribute__((aligned(64)));
    asm volatile("vmovdqa64 %%zmm31, %0" : "=m"(out));
    CHECK_EQ(out[0] | out[7], 0);
    xrstor(area[1], 0xe7);
    asm volatile("vmovdqa64 %%zmm31, %0" : "=m"(out));
    CHECK_EQ(out[0], v[0]);
    CHECK_EQ(out[7], v[7]);
    asm volatile("vmovdqa64 %%zmm9, %0" : "=m"(out));
    CHECK_EQ(out[3], v[3]);
    CHECK_EQ(out[4], v[4]);
    asm volatile("kmovq %%k6, %0" : "=r"(k));
    CHECK_EQ(k, 0x123456789abc);
    test("older instructions and the upper parts");
    asm volatile("vmovdqu64 %1, %%zmm9\n xorps %%xmm9, %%xmm9\n vmovdqa64 %%zmm9, %0" : "=m"(out) : "m"(v));
    CHECK_EQ(out[0], 0);
    CHECK_EQ(out[2], v[2]);
    CHECK_EQ(out[7], v[7]);
    asm volatile("vmovdqu64 %1, %%zmm9\n vpxor %%xmm9, %%xmm9, %%xmm9\n vmovdqa64 %%zmm9, %0" : "=m"(out) : "m"(v));
    CHECK_EQ(out[2] | out[7], 0);
    asm volatile("vmovdqu64 %1, %%zmm9\n vmovdqu64 %1, %%zmm25\n vzeroupper\n vmovdqa64 %%zmm9, %0" : "=m"(out) : "m"(v));
    CHECK_EQ(out[1], v[1]);
    CHECK_EQ(out[2] | out[7], 0);
    asm volatile("vmovdqa64 %%zmm25, %0" : "=m"(out));
    CHECK_EQ(out[7], v[7]);
}

/* --- masks and faults --- */
#define WINDOW 0x4000000000ul /* 256 GiB: PML4 entry 0, PDPT entry 256; ours alone */
extern u64 boot_pdpt[];
static u8 *edge; /* behind it nothing is mapped */
static void edge_init(void)
{
    u64 *pd = page_alloc(), *pt = page_alloc();
    boot_pdpt[256] = (ulong)pd | 7;
    pd[0] = (ulong)pt | 7;
    pt[0] = (ulong)page_alloc() | 7;
    write_cr3(read_cr3());
    edge = (u8 *)WINDOW + PAGE;
}

struct access {
    u8 *p;
    u64 mask;
    unsigned kind;
};
static void masked_access(void *opaque)
{
    const struct access *a = opaque;
    asm volatile("kmovq %0, %%k1\n vpternlogd $0xff, %%zmm17, %%zmm17, %%zmm17" : : "r"(a->mask));
    switch (a->kind) {
    case 0: asm volatile("vmovdqu8 (%0), %%zmm16%{%%k1%}%{z%}" : : "r"(a->p) : "memory"); break;
    case 1: asm volatile("vmovdqu8 %%zmm17, (%0)%{%%k1%}" : : "r"(a->p) : "memory"); break;
    case 2: asm volatile("vpaddd (%0), %%zmm17, %%zmm16%{%%k1%}%{z%}" : : "r"(a->p) : "memory"); break;
    case 3: asm volatile("vpcompressd %%zmm17, (%0)%{%%k1%}" : : "r"(a->p) : "memory"); break;
    case 4: asm volatile("vpexpandd (%0), %%zmm16%{%%k1%}%{z%}" : : "r"(a->p) : "memory"); break;
    case 5: asm volatile("vpaddd (%0)%{1to16%}, %%zmm17, %%zmm16%{%%k1%}%{z%}" : : "r"(a->p) : "memory"); break;
    }
}
static int access_try(u8 *p, u64 mask, unsigned kind) { return guest_try(masked_access, &(struct access){ p, mask, kind }); }

static void test_masks(void)
{
    test("elements that are masked off do not fault");
    for (unsigned i = 0; i < 64; i++)
        edge[-64 + (int)i] = (u8)i;
    CHECK_EQ(access_try(edge - 7, 0x7f, 0), NO_TRAP);
    asm volatile("vmovdqa64 %%zmm16, %0" : "=m"(v));
    CHECK_EQ(v[0], 0x003f3e3d3c3b3a39);
    CHECK_EQ(v[1] | v[7], 0);
    CHECK_EQ(access_try(edge - 7, 0xff, 0), V_PF);
    CHECK_EQ(read_cr2(), (ulong)edge);
    CHECK_EQ(access_try(edge, 0, 0), NO_TRAP);
    CHECK_EQ(access_try(edge + 64, 1, 0), V_PF);
    CHECK_EQ(access_try((u8 *)0x8000000000000000, 0, 0), NO_TRAP);
    CHECK_EQ(access_try((u8 *)0x8000000000000000, 1, 0), V_GP);
    CHECK_EQ(access_try(edge - 7, 0x55, 1), NO_TRAP);
    CHECK_EQ(*(u64 *)(edge - 8), 0xff3eff3cff3aff38);
    CHECK_EQ(access_try(edge - 7, 0xd5, 1), V_PF);
    CHECK_EQ(access_try(edge - 8, 3, 2), NO_TRAP);
    CHECK_EQ(access_try(edge - 8, 7, 2), V_PF);
    CHECK_EQ(access_try(edge - 4, 0x8000, 3), NO_TRAP); /* one element, whichever it is */
    CHECK_EQ(*(u32 *)(edge - 4), ~0u);
    CHECK_EQ(access_try(edge - 4, 0x8001, 3), V_PF);
    CHECK_EQ(access_try(edge - 8, 0x8001, 4), NO_TRAP);
    CHECK_EQ(access_try(edge - 8, 0x9001, 4), V_PF);
    CHECK_EQ(access_try(edge - 4, 0x8000, 5), NO_TRAP);
    CHECK_EQ(access_try(edge - 3, 0x8000, 5), V_PF);
    CHECK_EQ(access_try(edge - 3, 0, 5), NO_TRAP);
}

static void gather(void *p)
{
    asm volatile("kxnorw %%k2, %%k2, %%k2\n vpgatherdd (%0, %%zmm18, 4), %%zmm19%{%%k2%}" : : "r"(p) : "memory");
}
static void scatter(void *p)
{
    asm volatile("kxnorw %%k2, %%k2, %%k2\n vpscatterdd %%zmm19, (%0, %%zmm18, 4)%{%%k2%}" : : "r"(p) : "memory");
}

static void test_gathers(void)
{
    test("gathers and scatters stop at the element that faults");
    u32 index[16] __attribute__((aligned(64))), out[16] __attribute__((aligned(64)));
    u64 k;
    for (unsigned i = 0; i < 16; i++) {
        index[i] = i;
        ((u32 *)edge)[-16 + (int)i] = 100 + i;
    }
    asm volatile("vmovdqa32 %0, %%zmm18" : : "m"(index));
    CHECK_EQ(guest_try(gather, edge - 64), NO_TRAP);
    asm volatile("vmovdqa32 %%zmm19, %0\n kmovq %%k2, %1" : "=m"(out), "=r"(k));
    CHECK_EQ(out[0], 100);
    CHECK_EQ(out[15], 115);
    CHECK_EQ(k, 0);
    CHECK_EQ(guest_try(gather, edge - 12), V_PF);
    CHECK_EQ(read_cr2(), (ulong)edge);
    asm volatile("vmovdqa32 %%zmm19, %0\n kmovq %%k2, %1" : "=m"(out), "=r"(k));
    CHECK_EQ(k, 0xfff8);
    CHECK_EQ(out[2], 115);
    CHECK_EQ(out[3], 103);
    asm volatile("vpxord %zmm19, %zmm19, %zmm19");
    CHECK_EQ(guest_try(scatter, edge - 12), V_PF);
    asm volatile("kmovq %%k2, %0" : "=r"(k));
    CHECK_EQ(k, 0xfff8);
    CHECK_EQ(((u32 *)edge)[-4], 112);
    CHECK_EQ(((u32 *)edge)[-3] | ((u32 *)edge)[-1], 0);
}

/* --- an interrupt handler that uses the same registers --- */
static unsigned swaps;
static void on_swap(struct frame *f)
{
    xsave(area[0], 0xe7);
    asm volatile("vpternlogd $0xff, %zmm5, %zmm5, %zmm5\n vpternlogd $0xff, %zmm21, %zmm21, %zmm21\n kxnorq %k3, %k3, %k3");
    swaps++;
    xrstor(area[0], 0xe7);
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
    u64 n = 0, sum[8] __attribute__((aligned(64))), k;
    asm volatile("vpxord %zmm5, %zmm5, %zmm5\n vpxord %zmm21, %zmm21, %zmm21\n vpternlogd $0xff, %zmm22, %zmm22, %zmm22\n kxnorb %k3, %k3, %k3");
    sti();
    for (; n < 100000000 && swaps < 20; n++)
        asm volatile("vpsubq %zmm22, %zmm5, %zmm5\n vpsubq %zmm22, %zmm21, %zmm21{%k3}");
    cli();
    apic_write(0x320, 0x10061);
    asm volatile("vmovdqa64 %%zmm5, %0" : "=m"(sum));
    CHECK_EQ(sum[0], n);
    CHECK_EQ(sum[7], n);
    asm volatile("vmovdqa64 %%zmm21, %0\n kmovq %%k3, %1" : "=m"(sum), "=r"(k));
    CHECK_EQ(sum[0], n);
    CHECK_EQ(sum[7], n);
    CHECK_EQ(k, 0xff);
    CHECK(swaps >= 20);
}

void guest_main(void)
{
    if (!cpu_has(7, 1, 16) || !cpu_has(7, 1, 30)) {
        test("AVX-512");
        skip("not offered");
        return;
    }
    test_gates();
    test_xsave();
    edge_init();
    test_masks();
    test_gathers();
    test_interrupted();
}
