/* Random guests for the fuzz test: processor state, descriptor tables, page tables, exception handlers and code of one record (guest.h), in any
 * mode of the processor; mostly as an operating system would have them, with random changes. Test thread. */
#include "tests/fuzz/guest.h"
#include "mmu/addr.h"

enum mode { REAL, PM32, PM32_RING3, PM16, PM16_RING3, VM86, LONG, LONG_RING3, COMPAT, PAE, PAE_RING3, MODES };
enum { SEL_CODE = 8, SEL_DATA = 16, SEL_CODE64 = 24, SEL_CODE16 = 32, SEL_CODE_R3 = 0x2b, SEL_DATA_R3 = 0x33, SEL_CODE64_R3 = 0x3b,
       SEL_CODE16_R3 = 0x43, SEL_TSS = 0x48, SEL_LDT = 0x58, SEL_FREE = 0x68, GDT_ENTRIES = 64 };
enum { CODE_BODY = FUZZ_CODE_SIZE - 0x80, HANDLER_ERR = FUZZ_CODE_SIZE - 0x40, HANDLER = HANDLER_ERR + 4, COUNTER = FUZZ_CODE_SIZE - 8 };

struct gen {
    struct insn_gen *g;
    struct fuzz_record *r;
    enum mode mode;
    u8 *code, *data, *tables, *pages;
};

static u64 rnd(struct gen *b) { return insn_gen_random(b->g); }
static bool one_in(struct gen *b, unsigned n) { return rnd(b) % n == 0; }
static u64 rnd64(struct gen *b) { return rnd(b) ^ rnd(b) << 32; }
static bool is_long(const struct gen *b) { return b->mode == LONG || b->mode == LONG_RING3 || b->mode == COMPAT; }
static bool is_user(const struct gen *b)
{
    return b->mode == PM32_RING3 || b->mode == PM16_RING3 || b->mode == LONG_RING3 || b->mode == COMPAT || b->mode == PAE_RING3;
}

/* --- descriptors --- */
static u64 descriptor(u32 base, u32 limit, unsigned type, unsigned flags)
{
    if (limit > 0xfffff) {
        limit >>= 12;
        flags |= 8;
    }
    return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)type << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 |
           (u64)(base >> 24) << 56;
}

static u64 random_descriptor(struct gen *b)
{
    static const u32 bases[] = { 0, 0, FUZZ_CODE, FUZZ_DATA, FUZZ_TSS, FUZZ_TSS2, FUZZ_LDT, 0xfffff000 };
    static const u32 limits[] = { 0xffffffff, 0xffff, 0x7ff, 0x67, 0x2b, 0 };
    u32 base = bases[rnd(b) % ARRAY_LEN(bases)];
    if (one_in(b, 8))
        return rnd64(b);
    if (one_in(b, 2)) /* a gate: the fields mean something else */
        return (u64)(rnd(b) % FUZZ_CODE_SIZE) | (u64)(rnd(b) % GDT_ENTRIES * 8) << 16 | (u64)(rnd(b) & 31) << 32 |
               (u64)(0x80 | (rnd(b) & 0x60) | (4 + (rnd(b) & 11))) << 40 | (u64)(FUZZ_CODE >> 16) << 48;
    return descriptor(base, limits[rnd(b) % ARRAY_LEN(limits)], 0x80 | (rnd(b) & 0x7f), (unsigned)rnd(b) & 7);
}

static void fill_gdt(struct gen *b)
{
    u8 *gdt = b->tables;
    u32 low = 0xffffffff;
    for (unsigned i = 0; i < GDT_ENTRIES; i++)
        st64(gdt + 8 * i, i < SEL_FREE / 8 ? 0 : random_descriptor(b));
    st64(gdt + SEL_CODE, descriptor(0, low, 0x9b, 4));
    st64(gdt + SEL_DATA, descriptor(0, low, 0x93, 4));
    st64(gdt + SEL_CODE64, descriptor(0, low, 0x9b, 2));
    st64(gdt + SEL_CODE16, descriptor(b->mode == REAL ? 0 : FUZZ_CODE, 0xffff, 0x9b, 0));
    st64(gdt + (SEL_CODE_R3 & ~7), descriptor(0, low, 0xfb, 4));
    st64(gdt + (SEL_DATA_R3 & ~7), descriptor(0, low, 0xf3, 4));
    st64(gdt + (SEL_CODE64_R3 & ~7), descriptor(0, low, 0xfb, 2));
    st64(gdt + (SEL_CODE16_R3 & ~7), descriptor(FUZZ_CODE, 0xffff, 0xfb, 0));
    st64(gdt + SEL_TSS, descriptor(FUZZ_TSS, 0x7ff, 0x89, 0));
    st64(gdt + SEL_LDT, descriptor(FUZZ_LDT, 0xff, 0x82, 0));
    for (unsigned i = 0; i < 32; i++)
        st64(b->tables + (FUZZ_LDT - FUZZ_GDT) + 8 * i, random_descriptor(b));
    if (one_in(b, 4))
        gdt[SEL_CODE + rnd(b) % (SEL_FREE - SEL_CODE)] ^= (u8)(1u << rnd(b) % 8);
}

static bool has_error_code(unsigned v) { return v == 8 || (v >= 10 && v <= 14) || v == 17; }

static u64 gate32(struct gen *b, unsigned v)
{
    u32 off = FUZZ_CODE + (has_error_code(v) ? HANDLER_ERR : HANDLER);
    unsigned type = one_in(b, 2) ? 0x8e : one_in(b, 2) ? 0xee : 0xef;
    if (one_in(b, 64))
        off = FUZZ_CODE + (u32)rnd(b) % FUZZ_CODE_SIZE;
    if (one_in(b, 64))
        return random_descriptor(b);
    return (off & 0xffff) | (u64)(is_long(b) ? SEL_CODE64 : SEL_CODE) << 16 | (u64)type << 40 | (u64)(off >> 16) << 48;
}

static void fill_idt(struct gen *b)
{
    u8 *idt = b->tables + (FUZZ_IDT - FUZZ_GDT);
    for (unsigned v = 0; v < 256; v++) {
        if (b->mode == REAL) {
            st32(idt + 4 * v, FUZZ_CODE >> 4 << 16 | (one_in(b, 64) ? (u32)rnd(b) % FUZZ_CODE_SIZE : HANDLER));
        } else if (is_long(b)) {
            st64(idt + 16 * v, gate32(b, v) | (u64)(one_in(b, 8) ? rnd(b) & 7 : 0) << 32);
            st64(idt + 16 * v + 8, one_in(b, 128) ? rnd64(b) : 0);
        } else {
            st64(idt + 8 * v, gate32(b, v));
        }
    }
}

/* Handlers drop the error code, if there is one, and return behind the first byte of what faulted; or to somewhere in the code, each time
 * somewhere else, so that the guest leaves the loops that it falls into. */
static void fill_handlers(struct gen *b)
{
    static const u8 next_16[] = { 0x55, 0x89, 0xe5, 0xff, 0x46, 0x02, 0x5d, 0xcf };
    static const u8 next_32[] = { 0x83, 0x04, 0x24, 0x01, 0xcf };
    static const u8 next_64[] = { 0x48, 0x83, 0x04, 0x24, 0x01, 0x48, 0xcf };
    static const u8 pop_32[] = { 0x83, 0xc4, 0x04 }, pop_64[] = { 0x48, 0x83, 0xc4, 0x08 };
    /* PUSH DX; ADD CS:[counter], 0x2f1b; MOV DX, CS:[counter]; AND DX, 0x3fff; PUSH BP; MOV BP, SP; MOV [BP+4], DX; POP BP; POP DX; IRET */
    static const u8 any_16[] = { 0x52, 0x2e, 0x81, 0x06, COUNTER & 0xff, COUNTER >> 8, 0x1b, 0x2f, 0x2e, 0x8b, 0x16, COUNTER & 0xff, COUNTER >> 8,
                                 0x81, 0xe2, 0xff, 0x3f, 0x55, 0x89, 0xe5, 0x89, 0x56, 0x04, 0x5d, 0x5a, 0xcf };
    /* PUSH EDX; MOV EDX, CODE + COUNTER; ADD dword [EDX], 0x2f1b; MOV EDX, [EDX]; AND EDX, 0x3fff; OR EDX, CODE; MOV [ESP+4], EDX; POP EDX; IRET */
    static const u8 any_32[] = { 0x52, 0xba, COUNTER & 0xff, COUNTER >> 8, FUZZ_CODE >> 16, 0, 0x81, 0x02, 0x1b, 0x2f, 0, 0, 0x8b, 0x12,
                                 0x81, 0xe2, 0xff, 0x3f, 0, 0, 0x81, 0xca, 0, 0, FUZZ_CODE >> 16, 0, 0x89, 0x54, 0x24, 0x04, 0x5a, 0xcf };
    static const u8 any_64[] = { 0x52, 0xba, COUNTER & 0xff, COUNTER >> 8, FUZZ_CODE >> 16, 0, 0x81, 0x02, 0x1b, 0x2f, 0, 0, 0x8b, 0x12,
                                 0x81, 0xe2, 0xff, 0x3f, 0, 0, 0x81, 0xca, 0, 0, FUZZ_CODE >> 16, 0, 0x48, 0x89, 0x54, 0x24, 0x08, 0x5a,
                                 0x48, 0xcf };
    bool next = one_in(b, 3);
    u8 *err = b->code + HANDLER_ERR, *h = b->code + HANDLER;
    if (b->mode == REAL) {
        memcpy(h, next ? next_16 : any_16, next ? sizeof(next_16) : sizeof(any_16));
    } else if (is_long(b)) {
        memcpy(err, pop_64, sizeof(pop_64));
        memcpy(h, next ? next_64 : any_64, next ? sizeof(next_64) : sizeof(any_64));
    } else {
        memcpy(err, pop_32, sizeof(pop_32));
        memcpy(h, next ? next_32 : any_32, next ? sizeof(next_32) : sizeof(any_32));
    }
}

static void fill_tss(struct gen *b)
{
    u8 *t = b->tables + (FUZZ_TSS - FUZZ_GDT), *t2 = b->tables + (FUZZ_TSS2 - FUZZ_GDT);
    for (unsigned i = 0x68; i < 0x800; i++)
        t[i] = one_in(b, 4) ? (u8)rnd(b) : 0;
    if (is_long(b)) {
        for (unsigned i = 4; i < 0x5c; i += 8)
            st64(t + i, FUZZ_DATA + 0x8000 + i * 16);
    } else {
        for (unsigned i = 4; i < 0x1c; i += 8) {
            st32(t + i, FUZZ_DATA + 0x8000);
            st32(t + i + 4, SEL_DATA);
        }
    }
    st16(t + 0x66, one_in(b, 2) ? 0x68 : (u16)rnd(b));
    for (unsigned i = 0x20; i < 0x48; i += 4) /* EIP, EFLAGS, registers of the other task */
        st32(t2 + i, i == 0x24 ? 2 : FUZZ_DATA + (u32)rnd(b) % FUZZ_DATA_SIZE);
    st32(t2 + 0x1c, b->r->cr3);
    st32(t2 + 0x20, FUZZ_CODE);
    for (unsigned i = 0x48; i < 0x60; i += 4)
        st32(t2 + i, i == 0x4c ? SEL_CODE : SEL_DATA);
}

/* --- page tables: the first 4 MiB in small pages, device pages, all of it open to user mode --- */
static void fill_pages_32(struct gen *b)
{
    st32(b->pages, (FUZZ_PAGES + 0x1000) | 7);
    for (u32 i = 0; i < 1024; i++) {
        st32(b->pages + 0x1000 + 4 * i, i << 12 | 7);
        st32(b->pages + 0x2000 + 4 * i, (0xfec00000 + (i << 12)) | 0x17);
    }
    st32(b->pages + 4 * (0xfec00000 >> 22), (FUZZ_PAGES + 0x2000) | 7);
    st32(b->pages + 4 * (0xc0000000 >> 22), FUZZ_PAGES | 7); /* the tables themselves */
    b->r->cr3 = FUZZ_PAGES;
}

static void fill_pages_64(struct gen *b)
{
    u64 flags = is_long(b) ? 7 : 1;
    st64(b->pages + 0x5000, FUZZ_PAGES | 7);
    st64(b->pages + 0x5000 + 8 * 510, (FUZZ_PAGES + 0x5000) | 7);
    st64(b->pages + 0x5000 + 8 * 511, FUZZ_PAGES | 7);
    st64(b->pages, (FUZZ_PAGES + 0x1000) | flags);
    st64(b->pages + 24, (FUZZ_PAGES + 0x4000) | flags);
    st64(b->pages + 0x1000, (FUZZ_PAGES + 0x2000) | 7);
    st64(b->pages + 0x1008, (FUZZ_PAGES + 0x3000) | 7);
    for (u64 i = 0; i < 512; i++) {
        st64(b->pages + 0x2000 + 8 * i, i << 12 | 7);
        st64(b->pages + 0x3000 + 8 * i, (0x200000 + (i << 12)) | 7);
    }
    for (u64 a = 0xfec00000; a < 0x100000000; a += 0x200000)
        st64(b->pages + 0x4000 + 8 * (a >> 21 & 511), a | 0x97);
    b->r->cr3 = FUZZ_PAGES + (is_long(b) ? 0x5000 : 0);
}

static void spoil_pages(struct gen *b)
{
    static const u64 targets[] = { 0, FUZZ_CODE, FUZZ_PAGES, FUZZ_PAGES + 0x2000, 0xa0000, 0xf0000, 0xfff000, 0x1000000, 0xfee00000, 0xfffffff000 };
    unsigned n = one_in(b, 3) ? (unsigned)rnd(b) % 40 : 0;
    while (n--) {
        u8 *p = b->pages + rnd(b) % (FUZZ_PAGES_SIZE / 8) * 8;
        switch (rnd(b) % 4) {
        case 0: st64(p, rnd64(b)); break;
        case 1: st64(p, (ld64(p) & 0xfff) | targets[rnd(b) % ARRAY_LEN(targets)]); break;
        case 2: st64(p, targets[rnd(b) % ARRAY_LEN(targets)] | 7); break;
        default: st64(p, ld64(p) ^ (1ull << rnd(b) % 64)); break;
        }
    }
}

/* --- registers --- */
static void fill_control(struct gen *b)
{
    struct fuzz_record *r = b->r;
    bool paged = b->mode != REAL && (b->mode >= VM86 || one_in(b, 2));
    r->cr0 = 0x10 | (b->mode != REAL) | (u32)(rnd(b) & 0x22) | (one_in(b, 8) ? 1u << rnd(b) % 6 : 0);
    r->cr4 = (u32)(rnd(b) & 0x3 /* VME PVI */) | 0x690 | (one_in(b, 4) ? 1u << rnd(b) % 23 : 0);
    r->cr4 |= one_in(b, 2) ? 0x50000 : 0; /* FSGSBASE, OSXSAVE */
    if (paged)
        r->cr0 |= 0x80000000 | (u32)(rnd(b) & 0x50000);
    if (is_long(b) || b->mode >= PAE) {
        r->cr4 |= 0x20;
        fill_pages_64(b);
    } else {
        r->cr4 &= ~0x20u;
        fill_pages_32(b);
    }
    r->efer = (u32)(rnd(b) & 0x801) | (is_long(b) ? 0x100 : 0);
    spoil_pages(b);
}

static void fill_frame(struct gen *b)
{
    static const u16 code[MODES] = { FUZZ_CODE >> 4, SEL_CODE, SEL_CODE_R3, SEL_CODE16, SEL_CODE16_R3, FUZZ_CODE >> 4, SEL_CODE64, SEL_CODE64_R3,
                                     SEL_CODE_R3, SEL_CODE, SEL_CODE_R3 };
    struct fuzz_record *r = b->r;
    bool small = b->mode == REAL || b->mode == VM86 || b->mode == PM16 || b->mode == PM16_RING3;
    u16 data = b->mode == VM86 || b->mode == REAL ? FUZZ_DATA >> 4 : is_user(b) ? SEL_DATA_R3 : SEL_DATA;
    r->frame[0] = small ? 0 : FUZZ_CODE;
    r->frame[1] = code[b->mode];
    r->frame[2] = 2 | (one_in(b, 3) ? 0 : 0x200) | (rnd(b) & 0xcd5) | (one_in(b, 2) ? rnd(b) & 0x3000 : 0) |
                  (one_in(b, 16) ? 1u << rnd(b) % 22 : 0) | (b->mode == VM86 ? 0x20000 : 0);
    r->frame[3] = (b->mode == VM86 ? 0 : FUZZ_DATA) + 0x1ff0;
    for (unsigned i = 4; i < 9; i++)
        r->frame[i] = data;
    for (unsigned i = 0; i < 4; i++)
        r->segs[i] = b->mode == VM86 ? SEL_DATA : one_in(b, 8) ? (u16)(rnd(b) % GDT_ENTRIES * 8 | 3) : data;
}

static void fill_registers(struct gen *b)
{
    struct fuzz_record *r = b->r;
    for (unsigned i = 0; i < 8; i++)
        r->gpr[i] = one_in(b, 4) ? (u32)rnd(b) : FUZZ_DATA + (u32)rnd(b) % FUZZ_DATA_SIZE;
    for (unsigned i = 0; i < 4; i++)
        r->dr[i] = (one_in(b, 2) ? FUZZ_CODE : FUZZ_DATA) + (u32)rnd(b) % FUZZ_DATA_SIZE;
    r->dr7 = one_in(b, 4) ? (u32)rnd(b) : 0x400;
    r->ldtr = one_in(b, 4) ? 0 : SEL_LDT;
    r->tr = SEL_TSS;
    st16(r->gdtr, one_in(b, 16) ? (u16)rnd(b) : GDT_ENTRIES * 8 - 1);
    st64(r->gdtr + 2, FUZZ_GDT);
    st16(r->idtr, one_in(b, 16) ? (u16)rnd(b) : is_long(b) ? 0xfff : b->mode == REAL ? 0x3ff : 0x7ff);
    st64(r->idtr + 2, FUZZ_IDT);
    static const u32 msrs[][3] = { { 0xc0000081, 0, 0x00280008 }, { 0xc0000082, FUZZ_CODE, 0 }, { 0xc0000084, 0x200, 0 },
                                   { 0x174, 8, 0 }, { 0x175, FUZZ_DATA + 0x1000, 0 }, { 0x176, FUZZ_CODE + 0x100, 0 } };
    memcpy(r->msr, msrs, sizeof(msrs));
}

static void place(struct gen *b, unsigned i, u32 addr, u32 off, u32 len)
{
    b->r->copy[i][0] = addr;
    b->r->copy[i][1] = FR_DATA + off;
    b->r->copy[i][2] = len;
}

void fuzz_record_fill(struct fuzz_record *r, struct insn_gen *g)
{
    static const u8 bits[MODES] = { 16, 32, 32, 16, 16, 16, 64, 64, 32, 32, 32 };
    struct gen b = { .g = g, .r = r, .mode = (enum mode)(insn_gen_random(g) % MODES) };
    b.code = r->data;
    b.data = b.code + FUZZ_CODE_SIZE;
    b.tables = b.data + FUZZ_DATA_SIZE;
    b.pages = b.tables + FUZZ_TABLES_SIZE;
    g->bits = bits[b.mode];
    place(&b, 0, FUZZ_CODE, 0, FUZZ_CODE_SIZE);
    place(&b, 1, FUZZ_DATA, FUZZ_CODE_SIZE, FUZZ_DATA_SIZE);
    place(&b, 2, FUZZ_GDT, FUZZ_CODE_SIZE + FUZZ_DATA_SIZE, FUZZ_TABLES_SIZE);
    place(&b, 3, FUZZ_PAGES, FUZZ_CODE_SIZE + FUZZ_DATA_SIZE + FUZZ_TABLES_SIZE, FUZZ_PAGES_SIZE);
    r->entry = b.mode == REAL ? FUZZ_ENTRY_16 : is_long(&b) ? FUZZ_ENTRY_64 : FUZZ_ENTRY_32;
    r->ap = one_in(&b, 3);
    fill_control(&b);
    fill_gdt(&b);
    fill_idt(&b);
    fill_tss(&b);
    fill_frame(&b);
    fill_registers(&b);
    for (unsigned i = 0; i < FUZZ_DATA_SIZE; i += 8)
        st64(b.data + i, one_in(&b, 2) ? rnd64(&b) : one_in(&b, 2) ? FUZZ_CODE + rnd(&b) % FUZZ_CODE_SIZE : (rnd(&b) % GDT_ENTRIES * 8) | 3);
    /* The end of the code jumps to its start: EB short would not reach, E9 with a displacement of the code size does. */
    unsigned dsize = g->bits == 16 ? 2 : 4;
    if (one_in(&b, 8))
        for (unsigned i = 0; i < CODE_BODY; i++)
            b.code[i] = (u8)rnd(&b);
    else
        fuzz_code_fill(b.code, CODE_BODY, g);
    memset(b.code + CODE_BODY, 0x90, FUZZ_CODE_SIZE - CODE_BODY);
    b.code[CODE_BODY + 16] = 0xe9;
    st32(b.code + CODE_BODY + 17, -(u32)(CODE_BODY + 17 + dsize));
    fill_handlers(&b);
}
