/* Guest: code that changes. Stores into the running block, the next instruction, another page, through another mapping; code copied over
 * by REP MOVS, by unaligned and crossing stores; many rewrites; code across a page end; pages that hold code and data. */
#include "tests/lib/guest/guest.h"

#define WINDOW 0x4000000000ul
extern u64 boot_pdpt[];
static u8 *code; /* two adjacent pages */

typedef u32 fn_u32(void);
static u32 call(const u8 *p) { return ((fn_u32 *)(ulong)p)(); }

/* MOV EAX, n; RET */
static void write_return(u8 *p, u32 n)
{
    p[0] = 0xb8;
    *(volatile u32 *)(p + 1) = n;
    p[5] = 0xc3;
}

static void test_rewrite(void)
{
    test("a function rewritten between calls");
    for (u32 i = 0; i < 3000; i++) {
        write_return(code, i);
        CHECK_EQ(call(code), i);
    }
    test("one byte of an immediate");
    for (u32 i = 0; i < 256; i++) {
        *(volatile u8 *)(code + 2) = (u8)i;
        CHECK_EQ(call(code) >> 8 & 0xff, i);
    }
    test("two functions in one page");
    write_return(code, 1);
    write_return(code + 64, 2);
    for (u32 i = 0; i < 100; i++) {
        CHECK_EQ(call(code), i ? i + 99 : 1);
        CHECK_EQ(call(code + 64), i + 2);
        write_return(code + 64, i + 3);
        write_return(code, i + 100);
    }
}

/* A store changes the next instruction of its own block: MOV BYTE [RIP + 1], imm8; MOV EAX, 0; RET */
static void test_own_block(void)
{
    test("the next instruction of the same block");
    static const u8 t[] = { 0xc6, 0x05, 1, 0, 0, 0, 0x55, 0xb8, 0, 0, 0, 0, 0xc3 };
    for (unsigned i = 0; i < 50; i++) {
        memcpy(code, t, sizeof(t));
        code[6] = (u8)(i + 1);
        CHECK_EQ(call(code), i + 1);
    }
    test("a loop that counts in its own immediate");
    /* MOV ECX, 100; 1: INC DWORD [RIP + 1]; MOV EAX, 0; DEC ECX; JNZ 1b; RET */
    static const u8 u[] = { 0xb9, 100, 0, 0, 0, 0xff, 0x05, 1, 0, 0, 0, 0xb8, 0, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf1, 0xc3 };
    memcpy(code, u, sizeof(u));
    CHECK_EQ(call(code), 100);
    CHECK_EQ(call(code), 200);
    test("a locked operation on its own block");
    /* LOCK ADD DWORD [RIP + 1], 5; MOV EAX, 10; RET */
    static const u8 v[] = { 0xf0, 0x83, 0x05, 1, 0, 0, 0, 5, 0xb8, 10, 0, 0, 0, 0xc3 };
    memcpy(code, v, sizeof(v));
    CHECK_EQ(call(code), 15);
    CHECK_EQ(call(code), 20);
    test("PUSH onto code");
    /* MOV RDX, RSP; LEA RSP, [RIP + 20]; PUSH 0x0505; MOV RSP, RDX; MOV EAX, 0; RET: the pushed bytes hit the immediate */
    static const u8 w[] = { 0x48, 0x89, 0xe2, 0x48, 0x8d, 0x25, 17, 0, 0, 0, 0x68, 0x78, 0x56, 0x34, 0x12, 0x48, 0x89, 0xd4, 0xb8, 0, 0, 0, 0, 0xc3,
                            0x90, 0x90, 0x90 };
    memcpy(code, w, sizeof(w));
    CHECK_EQ(call(code), 0x12345678);
}

static void test_bulk(void)
{
    test("REP MOVSB and REP STOSB over code");
    u8 other[6];
    for (u32 i = 0; i < 200; i++) {
        write_return(other, i * 3);
        const u8 *s = other;
        u8 *d = code;
        ulong n = sizeof(other);
        asm volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(n) : : "memory");
        CHECK_EQ(call(code), i * 3);
        d = code + 1;
        n = 4;
        asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(i) : "memory");
        CHECK_EQ(call(code), (u8)i * 0x01010101u);
    }
    test("wide and misaligned stores");
    write_return(code, 0);
    for (u32 i = 0; i < 100; i++) {
        *(volatile u64 *)code = 0xc3000000b8ull | (u64)i << 8 | (u64)0xc3 << 40 | 0x9090ull << 48;
        CHECK_EQ(call(code) & 0xff, i);
    }
}

static void test_page_end(void)
{
    test("an instruction across a page end");
    u8 *p = code + PAGE - 3;
    for (u32 i = 0; i < 300; i++) {
        write_return(p, 0x01010101u * (u8)i);
        CHECK_EQ(call(p), 0x01010101u * (u8)i);
        *(volatile u8 *)(p + 4) = 0x77; /* in the second page */
        CHECK_EQ(call(p) >> 24, 0x77);
        *(volatile u8 *)(p + 1) = 0x66; /* in the first */
        CHECK_EQ(call(p) & 0xff, 0x66);
    }
    *(volatile u32 *)(p + 1) = 0x11223344; /* one store across it */
    CHECK_EQ(call(p), 0x11223344);
}

static void test_alias(void)
{
    test("a store through another mapping");
    u64 *pd = page_alloc(), *pt = page_alloc();
    boot_pdpt[256] = (ulong)pd | 7;
    pd[0] = (ulong)pt | 7;
    pt[0] = (ulong)code | 7;
    write_cr3(read_cr3());
    u8 *alias = (u8 *)WINDOW;
    for (u32 i = 0; i < 200; i++) {
        write_return(alias, i);
        CHECK_EQ(call(code), i);
        CHECK_EQ(call(alias), i);
        write_return(code, i + 1000);
        CHECK_EQ(call(alias), i + 1000);
    }
    test("another page mapped where code was");
    u8 *second = page_alloc();
    write_return(second, 42);
    write_return(code, 41);
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQ(call(alias), 41);
        pt[0] = (ulong)second | 7;
        invlpg(alias);
        CHECK_EQ(call(alias), 42);
        pt[0] = (ulong)code | 7;
        write_cr3(read_cr3());
    }
    test("an instruction from a page's end to its own begin");
    pt[0] = pt[1] = (ulong)code | 7; /* twice in a row */
    write_cr3(read_cr3());
    for (u32 i = 0; i < 100; i++) {
        write_return(alias + PAGE - 3, 0x01010101u * i);
        CHECK_EQ(call(alias + PAGE - 3), 0x01010101u * i);
        *(volatile u8 *)(code + 1) = 0x77; /* the immediate's last byte */
        CHECK_EQ(call(alias + PAGE - 3) >> 24, 0x77);
        write_return(code + 64, i); /* beside it */
        CHECK_EQ(call(code + 64), i);
    }
}

static void test_shared_page(void)
{
    test("data beside code");
    volatile u32 *counter = (u32 *)(code + 2048);
    write_return(code, 9);
    *counter = 0;
    u32 sum = 0;
    for (u32 i = 0; i < 20000; i++) {
        sum += call(code);
        ++*counter;
    }
    CHECK_EQ(sum, 180000);
    CHECK_EQ(*counter, 20000);
}

/* A jump target is patched between a conditional branch's two ways. */
static void test_branches(void)
{
    test("patched branches");
    /* 0: JMP +n; 16: MOV EAX, 1; RET; 32: MOV EAX, 2; RET */
    write_return(code + 16, 1);
    write_return(code + 32, 2);
    code[0] = 0xeb;
    for (unsigned i = 0; i < 500; i++) {
        *(volatile u8 *)(code + 1) = i & 1 ? 14 : 30;
        CHECK_EQ(call(code), i & 1 ? 1 : 2);
    }
}

/* Operands that change while all around them stays, of each size and kind, in one block. */
static void test_operands(void)
{
    test("patched operands");
    static u32 table[64];
    /* MOV RAX, imm64; LEA RAX, [RAX + disp32]; ADD EAX, imm32; XOR RAX, imm8; MOV EDX, [RDI + disp32]; ADD EAX, EDX; CMP EDX, imm32;
     * SBB EAX, imm8; RET */
    static const u8 t[] = { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0x48, 0x8d, 0x80, 0, 0, 0, 0, 0x05, 0, 0, 0, 0, 0x48, 0x83, 0xf0, 0,
                            0x8b, 0x97, 0, 0, 0, 0, 0x01, 0xd0, 0x81, 0xfa, 0, 0, 0, 0, 0x83, 0xd8, 0, 0xc3 };
    u32 (*f)(const u32 *) = (void *)(ulong)code;
    memcpy(code, t, sizeof(t));
    for (u32 i = 0; i < 64; i++)
        table[i] = i * 0x1234567;
    for (u32 i = 0; i < 2000; i++) {
        u32 r = i * 0x9e3779b9u, from = i % 64 * 4 - 128, limit = (r >> 3) & 0xfffffff;
        switch (i % 7) { /* not all of them each time */
        case 0: *(volatile u64 *)(code + 2) = r * 0x100000001ull; break;
        case 1: *(volatile u32 *)(code + 13) = r; break;
        case 2: *(volatile u32 *)(code + 18) = r; break;
        case 3: *(volatile u8 *)(code + 25) = (u8)(r >> 5); break;
        case 4: *(volatile u32 *)(code + 28) = from; break;
        case 5: *(volatile u32 *)(code + 36) = limit; break;
        case 6: *(volatile u8 *)(code + 42) = (u8)(r >> 13); break;
        }
        u64 a = *(u64 *)(code + 2);
        a += (ulong)(long)(int)*(u32 *)(code + 13);
        u32 b = ((u32)a + *(u32 *)(code + 18)) ^ (u32)(signed char)code[25];
        u32 d = table[((int)*(u32 *)(code + 28) + 128) / 4];
        b += d;
        b -= (u32)(signed char)code[42] + (d < *(u32 *)(code + 36));
        CHECK_EQ(f(table + 32), b);
    }
    test("another operation where an operand was patched");
    for (u32 i = 0; i < 40; i++)
        write_return(code, i), CHECK_EQ(call(code), i);
    memcpy(code, "\xb8\x01\x00\x00\x00\xeb\xfa", 7); /* 0: MOV EAX, imm32; 5: JMP 1 */
    for (u32 i = 0; i < 40; i++) {
        *(volatile u32 *)(code + 1) = i & 1 ? 0xc390c131 : 0xc390c031; /* 1: XOR ECX, EAX or XOR EAX, EAX; NOP; RET */
        CHECK_EQ(call(code), i & 1 ? 0xc390c131 : 0);
    }
    test("writes that an operand is only a part of");
    for (u32 i = 0; i < 60; i++) {
        write_return(code, i);
        CHECK_EQ(call(code), i);
        *(volatile u64 *)code = 0xc3000000b8ull | (u64)(i + 7) << 8 | (u64)0xc3 << 40 | 0x9090ull << 48;
        CHECK_EQ(call(code) & 0xffffff, i + 7);
        *(volatile u16 *)(code + 4) = 0xc312;
        CHECK_EQ(call(code), 0x12000000u | (i + 7));
    }
}

void guest_main(void)
{
    code = page_alloc();
    page_alloc();
    test_rewrite();
    test_own_block();
    test_bulk();
    test_page_end();
    test_alias();
    test_shared_page();
    test_branches();
    test_operands();
}
