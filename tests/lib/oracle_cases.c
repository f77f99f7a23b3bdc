/* Cases of the instruction oracle: a random encoding of a row and a state in which its memory operands fall into, or on purpose next to, the
 * data pages. Test thread. */
#include <stdlib.h>
#include "tests/lib/oracle.h"

static u64 rnd(struct oracle *o) { return insn_gen_random(&o->gen) ^ insn_gen_random(&o->gen) << 32; }
static bool one_in(struct oracle *o, unsigned n) { return insn_gen_random(&o->gen) % n == 0; }

/* Integers and bit patterns of floating-point numbers at which things change. */
static u64 special(struct oracle *o)
{
    static const u64 v[] = {
        0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
        0x8000000000000000, ~0ull, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
        0x0010000000000000, 0x000fffffffffffff, 0x3f8000003f800000, 0x7f8000007fc00000, 0x0080000000000001, 0x7f800001ff800000,
        0x4330000000000000, 0x41dfffffffc00000, 0x4b00000080000001, 0x0101010101010101, 0x8080808080808080, 0x7f7f7f7f80808080,
    };
    return v[insn_gen_random(&o->gen) % ARRAY_LEN(v)];
}

static u64 value(struct oracle *o)
{
    switch (insn_gen_random(&o->gen) % 6) {
    case 0: case 1: return special(o);
    case 2: return rnd(o) & 0xff;
    case 3: return rnd(o) >> (insn_gen_random(&o->gen) % 64);
    default: return rnd(o);
    }
}

static void cpu_setup(struct oracle *o)
{
    struct cpu *c = o->f->c;
    unsigned bits = o->bits;
    c->mode = 3 | MODE_PE | MODE_LMA | (bits == 64 ? MODE_64 : bits == 32 ? MODE_32 : MODE_16) | (bits != 16 ? MODE_FLAT | MODE_SS32 : 0);
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    c->cr0 |= CR0_NE | CR0_MP;
    c->xcr0 = host_insn_has_zmm() ? 0xe7 : 7;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        u16 attr = (u16)(SEGA_P | SEGA_S | SEGA_DPL | (i == S_CS ? 0xb : 3) | (bits == 32 ? SEGA_DB | SEGA_G : 0) | (bits == 64 ? SEGA_L : 0));
        c->seg[i] = (struct seg_reg){ .limit = 0xffffffff, .attr = attr };
        if (bits == 16)
            c->seg[i] = (struct seg_reg){ i == S_CS ? HI_CODE : HI_DATA, i == S_CS ? 0xffff : HI_DATA_SIZE - 1, 0, attr };
    }
    if (bits == 64)
        c->seg[S_GS].base = HI_GS_BASE;
}

/* The host can run code in this mode. */
static bool host_works(struct oracle *o)
{
    struct hi_case *k = host_insn_cases(o->host);
    hi_state_init(&k->in);
    k->in.rip = o->pc;
    k->code[0] = 0x90;
    k->len = 1;
    return host_insn_run(o->host, 1) == 1 && k->vector == -1;
}

bool oracle_init(struct oracle *o, unsigned bits, void (*step)(struct oracle *o))
{
    memset(o, 0, sizeof(*o));
    o->bits = bits;
    o->pc = host_insn_pc(bits);
    o->data_base = bits == 16 ? HI_DATA : 0;
    u64 seed = getenv("ORACLE_SEED") ? strtoull(getenv("ORACLE_SEED"), NULL, 0) : 1;
    o->step = step;
    o->gen = (struct insn_gen){ .seed = seed * 0x9e3779b97f4a7c15ull | 1, .bits = bits, .no_rip = true, .no_fs = true };
    for (unsigned i = 0; i < HI_DATA_SIZE; i += 8)
        st64(o->image + i, value(o));
    o->host = host_insn_new(o->image, bits);
    o->f = fake_cpu_new(64, NULL);
    o->block = calloc(1, sizeof(*o->block));
    cpu_setup(o);
    for (u64 a = 0; a < FAKE_RAM_SIZE; a += PAGE_SIZE)
        fake_cpu_map(o->f, a, a == HI_CODE ? 7 : a >= HI_DATA && a < HI_RO ? 7 : a == HI_RO ? 5 : 0);
    memset(o->f->ram + HI_CODE, 0xcc, PAGE_SIZE);
    memcpy(o->f->ram + HI_DATA, o->image, HI_DATA_SIZE);
    return host_works(o);
}

void oracle_fini(struct oracle *o)
{
    host_insn_free(o->host);
    fake_cpu_free(o->f);
    free(o->block);
}

/* --- state --- */
static void random_x87(struct oracle *o, u8 *fx)
{
    for (unsigned i = 0; i < 8; i++) {
        u8 *st = fx + 32 + 16 * i;
        static const u16 exps[] = { 0, 1, 0x3ffe, 0x3fff, 0x4000, 0x403e, 0x403f, 0x7ffe, 0x7fff };
        u64 mant = value(o);
        u16 exp = one_in(o, 2) ? exps[rnd(o) % ARRAY_LEN(exps)] : (u16)(0x3fff + rnd(o) % 64 - 32);
        if (exp && !one_in(o, 8))
            mant |= 1ull << 63;
        st64(st, mant);
        st16(st + 8, (u16)(exp | (rnd(o) & 0x8000)));
    }
    if (one_in(o, 4))
        st16(fx, (u16)(0x340 | (rnd(o) & 0xf3f))); /* control: masks, precision and rounding at random */
    st16(fx + 2, (u16)(rnd(o) & 0x7f00 & (one_in(o, 2) ? 0x4700 : 0x7f00)));
    fx[4] = one_in(o, 3) ? 0xff : (u8)rnd(o);      /* abridged tags */
}

/* What older instructions must keep or clear is there now and then. */
static void random_zmm(struct oracle *o, struct hi_state *s, const struct insn_row *r)
{
    bool evex = r->map >= EV1 || !strcmp(r->rule_name, "kmask");
    if (!host_insn_has_zmm() || !(r->attr & A_VEC || evex) || (!evex && !one_in(o, 4)))
        return;
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 4; k++)
            st64(s->zmmh[i] + 8 * k, value(o));
        for (unsigned k = 0; k < 8; k++)
            st64(s->zmm16[i] + 8 * k, value(o));
    }
    for (unsigned i = 0; i < 8; i++)
        s->k[i] = value(o);
}

static void random_state(struct oracle *o, struct hi_state *s, const struct insn_row *r)
{
    hi_state_init(s);
    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = o->bits == 64 ? value(o) : zext(value(o), 4);
    s->flags = 2 | (rnd(o) & (F_ARITH | F_DF));
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 2; k++) {
            st64(s->fx + 160 + 16 * i + 8 * k, value(o));
            st64(s->ymmh[i] + 8 * k, value(o));
        }
    }
    random_zmm(o, s, r);
    if (one_in(o, 4)) /* rounding, DAZ, FTZ, masks; flags may be set already */
        st32(s->fx + 24, (u32)(rnd(o) & 0xffff));
    if (r->attr & (A_X87 | A_MMX))
        random_x87(o, s->fx);
}

/* --- where memory operands lie --- */
/* An offset in the data segments: mostly aligned in the middle; sometimes anywhere, across a page end, on the read-only page, or just off the mapped pages. */
static u64 pick_linear(struct oracle *o, unsigned size)
{
    u64 mid = HI_DATA + 0x1000 + (rnd(o) & 0x1fff);
    switch (insn_gen_random(&o->gen) % 16) {
    case 0: return mid;
    case 1: return HI_DATA + 0x1000 * (1 + rnd(o) % 3) - 1 - rnd(o) % MAX_OF(size, 2u);
    case 2: return HI_RO + (rnd(o) & 0xf80);
    case 3: return one_in(o, 2) ? HI_RO + 0x1000 - rnd(o) % MAX_OF(size, 2u) : HI_DATA - 1 - rnd(o) % MAX_OF(size, 2u);
    case 4: return HI_RO - 1 - rnd(o) % MAX_OF(size, 2u);
    case 5: return one_in(o, 4) ? rnd(o) & 0xffffffff3fffffff : mid & ~15ull; /* sanitizers have tables around 2 GiB */
    default: return mid & ~63ull;
    }
}

static u64 pick_address(struct oracle *o, unsigned size) { return pick_linear(o, size) - o->data_base; }

/* The same for an operand in the instruction's effective segment. */
static u64 seg_base(const struct oracle *o, const struct insn *in) { return o->bits == 64 && in->mem.seg == S_GS ? HI_GS_BASE : 0; }
static u64 pick_operand(struct oracle *o, const struct insn *in, unsigned size) { return pick_address(o, size) - seg_base(o, in); }

/* Sets the address registers so that the operand lies at `to`. False: this encoding cannot. */
static bool aim(const struct insn *in, struct hi_state *s, u64 to)
{
    const struct insn_mem *m = &in->mem;
    u64 mask = MASK64(m->asize * 8), rest = to - (u64)m->disp;
    if (m->base < 0)
        return false;
    if (m->index >= 0 && m->index != m->base)
        rest -= s->gpr[m->index] << m->scale;
    else if (m->index >= 0) { /* base * (1 + 2^scale): an odd factor has an inverse, 2 has not */
        u64 f = 1 + (1ull << m->scale), inv = f;
        if (!m->scale) {
            if (rest & 1)
                return false;
            rest = rest >> 1;
        } else {
            for (unsigned i = 0; i < 6; i++)
                inv *= 2 - f * inv;
            rest *= inv;
        }
    }
    s->gpr[m->base] = m->asize < 8 ? (s->gpr[m->base] & ~mask) | (rest & mask) : rest;
    return true;
}

static bool uses(const struct insn *in, unsigned reg)
{
    return in->mem.base == (int)reg || in->mem.index == (int)reg;
}

static void aim_vsib(struct oracle *o, const struct insn *in, struct hi_state *s)
{
    for (unsigned i = 0; i < 16; i++) { /* small indices, so that all elements are near; sometimes one that faults */
        unsigned x = (unsigned)in->mem.index & 15;
        u8 *p = i < 4 ? s->fx + 160 + 16 * x + 4 * i : i < 8 ? s->ymmh[x] + 4 * (i - 4) : s->zmmh[x] + 4 * (i - 8);
        if (in->mem.index >= 16)
            p = s->zmm16[x] + 4 * i;
        st32(p, in->opcode & 1 && i & 1 ? 0 : in->evex && one_in(o, 200) ? 0x100000 : (u32)(rnd(o) & 63));
    }
    if (in->mem.base >= 0)
        s->gpr[in->mem.base] = HI_DATA - o->data_base + 0x1000 + (rnd(o) & 0x3f8) - (u64)in->mem.disp - seg_base(o, in);
}

/* Registers that the instruction uses as pointers or counts without saying so in ModRM. */
static void aim_implied(struct oracle *o, const struct insn_row *r, const struct insn *in, struct hi_state *s)
{
    unsigned size = MAX_OF(in->op[0].size, in->op[1].size);
    s->gpr[R_SP] = one_in(o, 16) ? pick_address(o, 8) : HI_DATA - o->data_base + 0x2000 + (rnd(o) & 0x3f8);
    if (!strcmp(r->rule_name, "leave") || !strcmp(r->rule_name, "enter"))
        s->gpr[R_BP] = one_in(o, 16) ? pick_address(o, 8) : HI_DATA - o->data_base + 0x2400 + (rnd(o) & 0x3f8);
    if (!strcmp(r->rule_name, "xlat"))
        s->gpr[R_BX] = pick_operand(o, in, 256);
    if (!strncmp(r->rule_name, "maskmov", 7))
        s->gpr[R_DI] = pick_operand(o, in, 16);
    if (r->attr & A_REP) {
        s->gpr[R_SI] = pick_operand(o, in, size);
        s->gpr[R_DI] = one_in(o, 4) ? s->gpr[R_SI] + (rnd(o) & 15) : pick_address(o, size);
        if (in->rep || in->repne)
            s->gpr[R_CX] = (rnd(o) & 31) | (in->asize == 4 ? s->gpr[R_CX] & ~0xffffffffull : 0);
    }
}

static bool is_bit_string(const struct insn_row *r, const struct insn *in)
{
    return !strncmp(r->rule_name, "bt", 2) && in->op[1].kind == OK_GPR && in->op[0].kind == OK_MEM;
}

static bool aim_operands(struct oracle *o, const struct insn_row *r, const struct insn *in, struct hi_state *s)
{
    aim_implied(o, r, in, s);
    if (r->attr & A_VSIB) {
        aim_vsib(o, in, s);
        return true;
    }
    bool mem = in->has_modrm && in->mod != 3 && !(r->attr & A_NOFAULTMEM);
    if (!mem)
        return true;
    unsigned size = MAX_OF(in->op[0].size, in->op[1].size);
    if (is_bit_string(r, in)) {
        unsigned reg = in->op[1].reg;
        if (uses(in, reg))
            return false;
        s->gpr[reg] = (s->gpr[reg] & ~MASK64(in->osize * 8)) | zext((u64)((i64)(rnd(o) & 0x3fff) - 0x2000), in->osize);
    }
    u64 to = pick_operand(o, in, size);
    if (!strcmp(r->mnem, "CMPXCHG16B") && to & 15) /* which of #GP and #PF comes first is not architectural */
        to = HI_DATA - o->data_base + 0x1000 + (rnd(o) & 0xfff) - seg_base(o, in);
    return aim(in, s, to);
}

static bool aim_all(struct oracle *o, const struct insn_row *r, const struct insn *in, struct hi_state *s)
{
    bool ok = aim_operands(o, r, in, s);
    for (unsigned i = 0; o->bits != 64 && i < 16; i++) /* there are no upper halves to be seen */
        s->gpr[i] = zext(s->gpr[i], 4);
    return ok;
}

/* The address sanitizer has its tables where the host would fault. */
static bool in_sanitizer(const struct insn *in, const struct hi_state *s)
{
#ifdef __SANITIZE_ADDRESS__
    const u64 lo = 0x7fff8000, hi = 0x10007fff8000;
    const struct insn_mem *m = &in->mem;
    u64 a = (u64)m->disp;
    if (m->base >= 0)
        a += s->gpr[m->base];
    if (m->index >= 0 && !(in->row->attr & A_VSIB))
        a += s->gpr[m->index] << m->scale;
    a &= MASK64(in->asize * 8);
    return (in->has_modrm && in->mod != 3 && a >= lo && a < hi) || (s->gpr[R_SP] >= lo && s->gpr[R_SP] < hi);
#else
    return false;
#endif
}

/* Instances whose result is undefined, or on which AMD's and Intel's processors differ by design. */
static bool excluded(const struct insn_row *r, const struct insn *in, const struct hi_state *s)
{
    if (in->bits == 64 && in->p66 && r->attr & A_F64)
        return true; /* AMD: a 16-bit branch; Intel: ignored */
    if (r->map == VX3 && r->modes == I64)
        return true; /* VEX.W = 1 of VPEXTRD outside 64-bit mode: AMD: undefined; Intel: ignored */
    if (in->p66 && !strcmp(r->mnem, "MOVSXD"))
        return true;
    if ((!strcmp(r->mnem, "SHLD") || !strcmp(r->mnem, "SHRD")) && in->osize == 2)
        return ((in->op[2].kind == OK_IMM ? in->imm : s->gpr[R_CX]) & 31) > 16;
    return !strcmp(r->mnem, "BSWAP") && in->osize == 2;
}

/* MOV with an address in the instruction: its last bytes. */
static void aim_moffs(struct oracle *o, const struct insn *in, u8 *code)
{
    u64 to;
    if (in->op[0].kind != OK_MOFFS && in->op[1].kind != OK_MOFFS)
        return;
    to = pick_operand(o, in, in->op[0].size);
    memcpy(code + in->len - in->asize, &to, in->asize);
}

unsigned oracle_cases(struct oracle *o, const struct insn_row *r, struct hi_case *cases, struct insn *insns, unsigned n)
{
    unsigned made = 0;
    for (unsigned try = 0; made < n && try < n * 20; try++) {
        u8 buf[32];
        struct hi_case *k = &cases[made];
        struct insn *in = &insns[made];
        o->gen.no_rip = !(r->attr & A_NOFAULTMEM);
        if (!insn_gen(&o->gen, r, o->pc, buf, in))
            return made;
        random_state(o, &k->in, r);
        if (!aim_all(o, r, in, &k->in) || excluded(r, in, &k->in) || in_sanitizer(in, &k->in))
            continue;
        aim_moffs(o, in, buf);
        memcpy(k->code, buf, in->len);
        memset(k->code + in->len, 0xcc, sizeof(k->code) - in->len);
        k->len = in->len;
        k->rep = in->rep || in->repne;
        k->rep = (k->rep && r->attr & A_REP) || (in->evex && r->attr & A_VSIB); /* a gather or scatter that faults halfway is stepped into, too */
        k->in.rip = o->pc;
        made++;
    }
    return made;
}
