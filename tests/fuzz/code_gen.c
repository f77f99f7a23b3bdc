/* Random code for the guests of the fuzz test: rows of the instruction table, stray bytes, and sequences with constants that mean something to
 * the machine: ports, device addresses, MSRs, control registers, descriptor tables, the code itself. Test thread. */
#include "tests/fuzz/guest.h"

struct emit {
    struct insn_gen *g;
    u8 *p, *end;
};

static u64 rnd(struct emit *e) { return insn_gen_random(e->g); }
static u64 pick(struct emit *e, u64 n) { return rnd(e) % n; }

static void byte(struct emit *e, unsigned v)
{
    if (e->p < e->end)
        *e->p++ = (u8)v;
}

static void bytes(struct emit *e, u64 v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        byte(e, (unsigned)(v >> 8 * i & 0xff));
}

static void op32(struct emit *e) /* the next instruction has 32-bit operands */
{
    if (e->g->bits == 16)
        byte(e, 0x66);
}

static u64 value(struct emit *e)
{
    static const u32 v[] = { 0, 1, 0x7f, 0x80, 0xff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8 };
    u64 r = rnd(e);
    switch (r % 5) {
    case 0: return v[r / 8 % ARRAY_LEN(v)];
    case 1: return 1ull << (r / 8 % 32);
    case 2: return r >> 8 & 0xff;
    default: return rnd(e) & 0xffffffff;
    }
}

static u32 address(struct emit *e)
{
    static const u32 base[] = { FUZZ_CODE, FUZZ_CODE, FUZZ_DATA, FUZZ_DATA, FUZZ_DATA, FUZZ_GDT, FUZZ_IDT, FUZZ_TSS, FUZZ_PAGES, 0, 0x7c00,
                                0xa0000, 0xb8000, 0xf0000, 0x100000, 0xfff000, 0xfec00000, 0xfed00000, 0xfee00000, 0xfffff000, 0xe0000000 };
    u32 a = base[pick(e, ARRAY_LEN(base))];
    if (pick(e, 16) == 0)
        return (u32)rnd(e);
    return a + (u32)(pick(e, 2) ? pick(e, 0x1000) : pick(e, 0x100) * 16) - (pick(e, 16) ? 0 : 8);
}

/* MOV reg, imm32 */
static void load(struct emit *e, unsigned reg, u64 v)
{
    op32(e);
    byte(e, 0xb8 + reg);
    bytes(e, v, 4);
}

/* One instruction with opcode bytes, then ModRM with /reg and an absolute address. */
static void absolute(struct emit *e, u64 opcode, unsigned n, unsigned reg, u32 addr)
{
    if (e->g->bits == 16)
        byte(e, 0x67);
    bytes(e, opcode, n);
    byte(e, (e->g->bits == 64 ? 4 : 5) | reg << 3);
    if (e->g->bits == 64)
        byte(e, 0x25);
    bytes(e, addr, 4);
}

/* --- sequences --- */
static void gen_pointer(struct emit *e) { load(e, (unsigned)pick(e, 8), address(e)); }
static void gen_number(struct emit *e) { load(e, (unsigned)pick(e, 8), value(e)); }

static void gen_port(struct emit *e)
{
    static const u16 ports[] = { 0x00, 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0x92, 0xb2, 0xcf8, 0xcf9, 0xcfc,
                                 0x1f0, 0x1f6, 0x1f7, 0x3f6, 0x170, 0x176, 0x177, 0x376, 0x2f8, 0x3f8, 0x3fb, 0x3c0, 0x402, 0x4d0, 0x4d1, 0x505,
                                 0x510, 0x511, 0x514, 0x518, 0x600, 0x604, 0x608, 0x620, 0xe0, 0xe4, 0xe8, 0xf0, 0xf4, 0x2000, 0xc000, 0xc008 };
    static const u8 ops[] = { 0xec, 0xed, 0xee, 0xee, 0xef, 0xef, 0x6c, 0x6d, 0x6e, 0x6f };
    load(e, R_DX, ports[pick(e, ARRAY_LEN(ports))] + (pick(e, 2) ? 0 : pick(e, 8)));
    load(e, R_AX, value(e));
    if (pick(e, 2))
        byte(e, 0x66);
    byte(e, ops[pick(e, ARRAY_LEN(ops))]);
}

static void gen_pci(struct emit *e)
{
    load(e, R_DX, 0xcf8);
    load(e, R_AX, 0x80000000 | pick(e, 8) << 8 | pick(e, 4) << 11 | pick(e, 64) << 2);
    op32(e);
    byte(e, 0xef);
    load(e, R_DX, 0xcfc + pick(e, 4));
    load(e, R_AX, value(e));
    byte(e, 0xec + (unsigned)pick(e, 4));
}

static void gen_msr(struct emit *e)
{
    static const u32 n[] = {
#define X(num, name, feat, field, mask, rd, wr) num,
#include "cpu/msr.def"
#undef X
        0x200, 0x20f, 0x250, 0x268, 0x26f, 0x400, 0x401, 0x402, 0x800, 0x802, 0x808, 0x80b, 0x80f, 0x830, 0x832, 0x838, 0x83e, 0x83f, 0x8ff,
    };
    load(e, R_CX, pick(e, 8) ? n[pick(e, ARRAY_LEN(n))] : value(e));
    load(e, R_AX, pick(e, 2) ? value(e) : address(e));
    load(e, R_DX, pick(e, 2) ? 0 : value(e));
    if (pick(e, 3) == 0)
        bytes(e, 0x320f, 2); /* RDMSR, so that WRMSR changes one bit */
    if (pick(e, 3) == 0) {
        op32(e);
        bytes(e, 0xf8ba0f, 3);
        byte(e, (unsigned)pick(e, 32));
    }
    bytes(e, 0x300f, 2);
}

/* A performance counter of either vendor that counts, or soon overflows. */
static void gen_pmu(struct emit *e)
{
    static const u32 ctl[] = { 0xc0010000, 0xc0010200, 0xc0010202, 0xc001020a, 0x186, 0x187, 0x38d, 0x38f };
    static const u32 ctr[] = { 0xc0010004, 0xc0010201, 0xc0010203, 0xc001020b, 0xc1, 0x4c2, 0x309, 0x30a };
    static const u32 events[] = { 0xc0, 0xc2, 0xc3, 0xc4, 0xc5, 0x76, 0x3c, 0x111 };
    unsigned i = (unsigned)pick(e, ARRAY_LEN(ctl));
    if (pick(e, 2)) {
        load(e, R_CX, ctr[i]);
        load(e, R_AX, -(u32)pick(e, 200));
        load(e, R_DX, pick(e, 2) ? 0xffff : 0xffffffff);
        bytes(e, 0x300f, 2);
    }
    load(e, R_CX, pick(e, 8) ? ctl[i] : i);
    load(e, R_AX, pick(e, 8) ? events[pick(e, ARRAY_LEN(events))] | 0x400000 | pick(e, 32) << 16 : value(e));
    load(e, R_DX, 0);
    bytes(e, pick(e, 4) ? 0x300f : 0x330f, 2); /* WRMSR, RDPMC */
}

/* MOV eax, CRn or DRn; BTC eax, bit; MOV back. */
static void gen_control(struct emit *e)
{
    static const u8 crs[] = { 0, 0, 3, 4, 4, 8, 2 };
    unsigned dr = pick(e, 3) == 0, n = dr ? (unsigned)pick(e, 8) : crs[pick(e, ARRAY_LEN(crs))];
    unsigned modrm = 0xc0 | (n & 7) << 3;
    if (n == 8)
        byte(e, e->g->bits == 64 ? 0x44 : 0xf0);
    bytes(e, 0x200f | dr << 8, 2);
    byte(e, modrm);
    if (pick(e, 8)) {
        op32(e);
        bytes(e, 0xf8ba0f, 3);
        byte(e, (unsigned)(pick(e, 2) ? pick(e, 32) : pick(e, 12)));
    } else {
        load(e, R_AX, pick(e, 2) ? value(e) : FUZZ_PAGES + pick(e, 8) * 0x1000);
    }
    if (n == 8)
        byte(e, e->g->bits == 64 ? 0x44 : 0xf0);
    bytes(e, 0x220f | dr << 8, 2);
    byte(e, modrm);
}

static void gen_store(struct emit *e)
{
    static const u8 sizes[] = { 0xc6, 0xc7, 0xc7 };
    unsigned op = sizes[pick(e, 3)], addr = pick(e, 2) ? FUZZ_CODE + (unsigned)pick(e, FUZZ_CODE_SIZE) : address(e);
    absolute(e, op, 1, 0, addr);
    bytes(e, pick(e, 2) ? value(e) : address(e), op == 0xc6 ? 1 : e->g->bits == 16 ? 2 : 4);
}

static void gen_device(struct emit *e)
{
    static const u32 regs[] = { 0xfee00020, 0xfee00080, 0xfee000b0, 0xfee000f0, 0xfee00300, 0xfee00310, 0xfee00320, 0xfee00350, 0xfee00360,
                                0xfee00380, 0xfee003e0, 0xfec00000, 0xfec00010, 0xfec00040, 0xfed00000, 0xfed00010, 0xfed00020, 0xfed000f0,
                                0xfed00100, 0xfed00108, 0xfed00110, 0xfed00120, 0xfed00128 };
    u32 addr = regs[pick(e, ARRAY_LEN(regs))];
    if (pick(e, 4) == 0) {
        absolute(e, 0x8b, 1, 0, addr + (u32)pick(e, 8));
        return;
    }
    op32(e);
    absolute(e, 0xc7, 1, 0, addr);
    bytes(e, addr == 0xfee00300 ? pick(e, 4) << 18 | pick(e, 8) << 8 | pick(e, 256) : value(e), 4);
}

static void gen_descriptor(struct emit *e)
{
    static const u16 sels[] = { 0, 8, 16, 24, 32, 0x2b, 0x33, 0x3b, 0x43, 0x48, 0x58, 0x68, 0x70, 0x78, 0x80, 0x88, 0x90, 0x98, 4, 0xc, 0x17, 0x7c };
    u16 sel = pick(e, 8) ? sels[pick(e, ARRAY_LEN(sels))] : (u16)rnd(e);
    switch (pick(e, 6)) {
    case 0:
        absolute(e, 0x010f, 2, (unsigned)pick(e, 4), pick(e, 4) ? FUZZ_DATA + (u32)pick(e, FUZZ_DATA_SIZE) : address(e));
        return;
    case 1:
        load(e, R_AX, sel);
        bytes(e, 0x000f, 2);
        byte(e, 0xc0 | (unsigned)pick(e, 6) << 3);
        return;
    case 2: case 3:
        load(e, R_AX, sel);
        byte(e, 0x8e);
        byte(e, 0xc0 | (unsigned)pick(e, 6) << 3);
        return;
    case 4: /* far call or jump; through memory in 64-bit mode */
        if (e->g->bits == 64) {
            absolute(e, 0xff, 1, pick(e, 2) ? 3 : 5, FUZZ_DATA + (u32)pick(e, FUZZ_DATA_SIZE));
            return;
        }
        byte(e, pick(e, 2) ? 0x9a : 0xea);
        bytes(e, FUZZ_CODE * (e->g->bits == 32) + pick(e, FUZZ_CODE_SIZE), e->g->bits / 8);
        bytes(e, sel, 2);
        return;
    default:
        byte(e, 0xcd);
        byte(e, (unsigned)pick(e, 256));
    }
}

/* PUSHes of values that make some sense to a return, then the return. */
static void gen_return(struct emit *e)
{
    static const u32 v[] = { 8, 0x10, 0x18, 0x2b, 0x33, 0x3b, 0x43, 2, 0x202, 0x3002, 0x23202, 0x4202, 0x102, FUZZ_DATA + 0x800, FUZZ_CODE };
    static const u16 rets[] = { 0xcf, 0xcf, 0x9d, 0xc3, 0xcb, 0xcf66, 0xcf48, 0x9d66, 0x350f, 0x070f };
    u16 ret = rets[pick(e, ARRAY_LEN(rets))];
    for (u64 n = pick(e, 10); n; n--) {
        byte(e, 0x68);
        bytes(e, v[pick(e, ARRAY_LEN(v))] + (pick(e, 2) ? 0 : pick(e, 64)), e->g->bits == 16 ? 2 : 4);
    }
    bytes(e, ret, ret > 0xff ? 2 : 1);
}

static void gen_string(struct emit *e)
{
    static const u8 ops[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x6c, 0x6d, 0x6e, 0x6f };
    load(e, R_CX, pick(e, 16) ? pick(e, 0x2000) : rnd(e) & 0xffffffff);
    load(e, R_SI, address(e));
    load(e, R_DI, address(e));
    byte(e, 0xfc + (unsigned)pick(e, 2));
    byte(e, 0xf2 + (unsigned)pick(e, 2));
    byte(e, ops[pick(e, ARRAY_LEN(ops))]);
}

static void gen_flags(struct emit *e)
{
    static const u8 ops[] = { 0xfa, 0xfb, 0xfb, 0xfc, 0xfd, 0xf5, 0xf8, 0xf9, 0x9c, 0x9d, 0x9e, 0x9f };
    byte(e, ops[pick(e, ARRAY_LEN(ops))]);
}

static void gen_loop(struct emit *e) /* back, until CX is counted down */
{
    load(e, R_CX, pick(e, 200));
    u8 *top = e->p;
    for (unsigned n = 1 + (unsigned)pick(e, 4); n; n--)
        gen_flags(e);
    byte(e, 0xe2);
    byte(e, (unsigned)(top - e->p - 1) & 0xff);
}

static void gen_stray(struct emit *e) { bytes(e, rnd(e), 1 + (unsigned)pick(e, 6)); }

static void gen_row(struct emit *e)
{
    static unsigned rows;
    u8 buf[32];
    struct insn in;
    if (!rows)
        while (insn_row_nth(rows))
            rows++;
    const struct insn_row *r = insn_row_nth((unsigned)pick(e, rows));
    if (r->attr & (A_VEC | A_X87 | A_MMX) && pick(e, 3)) /* most of the table */
        return;
    if (!strcmp(r->mnem, "HLT") && pick(e, 8))
        return;
    unsigned n = insn_gen(e->g, r, FUZZ_CODE, buf, &in);
    for (unsigned i = 0; i < n; i++)
        byte(e, buf[i]);
}

void fuzz_code_fill(u8 *code, unsigned len, struct insn_gen *g)
{
    static void (*const gen[])(struct emit *) = {
        gen_pointer, gen_pointer, gen_number, gen_port, gen_pci, gen_msr, gen_pmu, gen_control, gen_store, gen_device, gen_descriptor, gen_return,
        gen_string, gen_flags, gen_loop, gen_stray,
    };
    struct emit e = { g, code, code + len };
    /* Some guests have few kinds of sequences, so that one does not always end what another began. */
    u64 allowed = pick(&e, 3) ? rnd(&e) | rnd(&e) : ~0ull;
    while (e.p < e.end) {
        unsigned i = (unsigned)pick(&e, ARRAY_LEN(gen) * 3);
        if (i >= ARRAY_LEN(gen))
            gen_row(&e);
        else if (allowed >> i & 1)
            gen[i](&e);
    }
}
