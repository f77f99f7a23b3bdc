/* The register file that gdb sees: one table built for the CPU model, from which come the XML, and the packets g, G, p, P. Main
 * thread, from gdb.c. Source: the gdb manual, appendix "Standard Target Features", i386 features. */
#include "ui/gdb_regs.h"
#include "cpu/cpuid.h"
#include "cpu/help/xsave.h"
#include "hw/core/irq.h"

#define REGS_MAX 256
#define ST_OFFSET 32 /* of ST0 in the FXSAVE image, 16 bytes each */

enum reg_kind {
    K_GPR, K_RIP, K_EFLAGS, K_SEG, K_ST, K_X87, K_XMM, K_MXCSR, K_SEG_BASE, K_KERNEL_GS, K_CR0, K_CR2, K_CR3, K_CR4, K_CR8,
    K_EFER, K_YMMH, K_ZMMH, K_MASK,
};
enum x87_reg { X87_CTRL, X87_STAT, X87_TAG, X87_ISEG, X87_IOFF, X87_OSEG, X87_OOFF, X87_OP };

struct reg {
    u8 kind, arg, size;
};

struct gdb_regs {
    bool is64;
    unsigned n;
    struct reg r[REGS_MAX];
    char *xml;
};

/* --- building --- */

struct build {
    struct gdb_regs *r;
    GString *xml;
};

static void add(struct build *b, enum reg_kind kind, unsigned arg, unsigned size, const char *type, const char *group,
                const char *fmt, ...) PRINTF(7, 8);

static void add(struct build *b, enum reg_kind kind, unsigned arg, unsigned size, const char *type, const char *group,
                const char *fmt, ...)
{
    struct gdb_regs *r = b->r;
    char name[16];
    va_list ap;

    va_start(ap, fmt);
    g_vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    assert(r->n < REGS_MAX);
    r->r[r->n++] = (struct reg){ (u8)kind, (u8)arg, (u8)size };
    g_string_append_printf(b->xml, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"", name, size * 8, type);
    if (group)
        g_string_append_printf(b->xml, " group=\"%s\"", group);
    g_string_append(b->xml, "/>\n");
}

static void feature_begin(struct build *b, const char *name)
{
    g_string_append_printf(b->xml, "<feature name=\"%s\">\n", name);
}

static void feature_end(struct build *b)
{
    g_string_append(b->xml, "</feature>\n");
}

struct flag {
    u8 bit;
    const char *name;
};

static void add_flags(struct build *b, const char *id, unsigned size, const struct flag *f, unsigned n)
{
    g_string_append_printf(b->xml, "<flags id=\"%s\" size=\"%u\">\n", id, size);
    for (unsigned i = 0; i < n; i++)
        g_string_append_printf(b->xml, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", f[i].name, f[i].bit, f[i].bit);
    g_string_append(b->xml, "</flags>\n");
}

static const struct flag eflags_bits[] = {
    { 0, "CF" }, { 2, "PF" }, { 4, "AF" }, { 6, "ZF" }, { 7, "SF" }, { 8, "TF" }, { 9, "IF" }, { 10, "DF" }, { 11, "OF" },
    { 14, "NT" }, { 16, "RF" }, { 17, "VM" }, { 18, "AC" }, { 19, "VIF" }, { 20, "VIP" }, { 21, "ID" },
};
static const struct flag mxcsr_bits[] = {
    { 0, "IE" }, { 1, "DE" }, { 2, "ZE" }, { 3, "OE" }, { 4, "UE" }, { 5, "PE" }, { 6, "DAZ" }, { 7, "IM" }, { 8, "DM" },
    { 9, "ZM" }, { 10, "OM" }, { 11, "UM" }, { 12, "PM" }, { 15, "FZ" },
};
static const struct flag cr0_bits[] = {
    { 0, "PE" }, { 1, "MP" }, { 2, "EM" }, { 3, "TS" }, { 4, "ET" }, { 5, "NE" }, { 16, "WP" }, { 18, "AM" }, { 29, "NW" },
    { 30, "CD" }, { 31, "PG" },
};
static const struct flag cr4_bits[] = {
    { 0, "VME" }, { 1, "PVI" }, { 2, "TSD" }, { 3, "DE" }, { 4, "PSE" }, { 5, "PAE" }, { 6, "MCE" }, { 7, "PGE" },
    { 8, "PCE" }, { 9, "OSFXSR" }, { 10, "OSXMMEXCPT" }, { 11, "UMIP" }, { 12, "LA57" }, { 16, "FSGSBASE" },
    { 17, "PCIDE" }, { 18, "OSXSAVE" }, { 20, "SMEP" }, { 21, "SMAP" }, { 22, "PKE" },
};
static const struct flag efer_bits[] = { { 0, "SCE" }, { 8, "LME" }, { 10, "LMA" }, { 11, "NXE" } };

static void build_core(struct build *b)
{
    static const char *const names[8] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" };
    static const u8 order64[8] = { R_AX, R_BX, R_CX, R_DX, R_SI, R_DI, R_BP, R_SP };
    static const char *const segs[6] = { "cs", "ss", "ds", "es", "fs", "gs" };
    static const u8 seg_order[6] = { S_CS, S_SS, S_DS, S_ES, S_FS, S_GS };
    static const char *const x87[8] = { "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop" };
    bool is64 = b->r->is64;
    unsigned w = is64 ? 8 : 4;
    const char *wide = is64 ? "int64" : "int32";

    feature_begin(b, "org.gnu.gdb.i386.core");
    add_flags(b, "i386_eflags", 4, eflags_bits, ARRAY_LEN(eflags_bits));
    for (unsigned i = 0; i < 8; i++) {
        unsigned g = is64 ? order64[i] : i;
        add(b, K_GPR, g, w, g == R_SP || g == R_BP ? "data_ptr" : wide, NULL, "%c%s", is64 ? 'r' : 'e', names[g]);
    }
    for (unsigned i = 8; is64 && i < 16; i++)
        add(b, K_GPR, i, w, wide, NULL, "r%u", i);
    add(b, K_RIP, 0, w, "code_ptr", NULL, is64 ? "rip" : "eip");
    add(b, K_EFLAGS, 0, 4, "i386_eflags", NULL, "eflags");
    for (unsigned i = 0; i < 6; i++)
        add(b, K_SEG, seg_order[i], 4, "int32", NULL, "%s", segs[i]);
    for (unsigned i = 0; i < 8; i++)
        add(b, K_ST, i, 10, "i387_ext", NULL, "st%u", i);
    for (unsigned i = 0; i < 8; i++)
        add(b, K_X87, i, 4, "int", "float", "%s", x87[i]);
    feature_end(b);
}

static const char vec128_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>\n<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>\n"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>\n<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>\n"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>\n<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
    "<union id=\"vec128\">\n<field name=\"v4_float\" type=\"v4f\"/>\n<field name=\"v2_double\" type=\"v2d\"/>\n"
    "<field name=\"v16_int8\" type=\"v16i8\"/>\n<field name=\"v8_int16\" type=\"v8i16\"/>\n"
    "<field name=\"v4_int32\" type=\"v4i32\"/>\n<field name=\"v2_int64\" type=\"v2i64\"/>\n"
    "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n";

static void build_sse(struct build *b)
{
    feature_begin(b, "org.gnu.gdb.i386.sse");
    g_string_append(b->xml, vec128_types);
    add_flags(b, "i386_mxcsr", 4, mxcsr_bits, ARRAY_LEN(mxcsr_bits));
    for (unsigned i = 0; i < (b->r->is64 ? 16 : 8); i++)
        add(b, K_XMM, i, 16, "vec128", NULL, "xmm%u", i);
    add(b, K_MXCSR, 0, 4, "i386_mxcsr", "vector", "mxcsr");
    feature_end(b);
}

static void build_system(struct build *b)
{
    unsigned w = b->r->is64 ? 8 : 4;
    const char *wide = b->r->is64 ? "int64" : "int32";

    if (b->r->is64) {
        feature_begin(b, "org.gnu.gdb.i386.segments");
        add(b, K_SEG_BASE, S_FS, 8, "int", NULL, "fs_base");
        add(b, K_SEG_BASE, S_GS, 8, "int", NULL, "gs_base");
        feature_end(b);
    }
    feature_begin(b, "org.gemel.i386.system");
    add_flags(b, "i386_cr0", w, cr0_bits, ARRAY_LEN(cr0_bits));
    add_flags(b, "i386_cr4", w, cr4_bits, ARRAY_LEN(cr4_bits));
    add_flags(b, "i386_efer", 8, efer_bits, ARRAY_LEN(efer_bits));
    if (b->r->is64)
        add(b, K_KERNEL_GS, 0, 8, wide, NULL, "k_gs_base");
    add(b, K_CR0, 0, w, "i386_cr0", NULL, "cr0");
    add(b, K_CR2, 0, w, wide, NULL, "cr2");
    add(b, K_CR3, 0, w, wide, NULL, "cr3");
    add(b, K_CR4, 0, w, "i386_cr4", NULL, "cr4");
    if (b->r->is64)
        add(b, K_CR8, 0, 8, wide, NULL, "cr8");
    add(b, K_EFER, 0, 8, "i386_efer", NULL, "efer");
    feature_end(b);
}

static void build_avx(struct build *b)
{
    feature_begin(b, "org.gnu.gdb.i386.avx");
    for (unsigned i = 0; i < (b->r->is64 ? 16 : 8); i++)
        add(b, K_YMMH, i, 16, "uint128", NULL, "ymm%uh", i);
    feature_end(b);
}

static void build_avx512(struct build *b)
{
    bool is64 = b->r->is64;
    feature_begin(b, "org.gnu.gdb.i386.avx512");
    g_string_append(b->xml, "<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>\n");
    if (is64)
        g_string_append(b->xml, vec128_types);
    for (unsigned i = 0; i < 8; i++)
        add(b, K_MASK, i, 8, "uint64", NULL, "k%u", i);
    for (unsigned i = 0; i < (is64 ? 16 : 8); i++)
        add(b, K_ZMMH, i, 32, "v2ui128", NULL, "zmm%uh", i);
    for (unsigned i = 16; is64 && i < 32; i++)
        add(b, K_XMM, i, 16, "vec128", NULL, "xmm%u", i);
    for (unsigned i = 16; is64 && i < 32; i++)
        add(b, K_YMMH, i, 16, "uint128", NULL, "ymm%uh", i);
    for (unsigned i = 16; is64 && i < 32; i++)
        add(b, K_ZMMH, i, 32, "v2ui128", NULL, "zmm%uh", i);
    feature_end(b);
}

struct gdb_regs *gdb_regs_new(const struct cpu *c)
{
    struct gdb_regs *r = g_new0(struct gdb_regs, 1);
    struct build b = { r, g_string_new("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n") };

    r->is64 = !c->model || feat_on(c->model, FEAT_LM);
    g_string_append_printf(b.xml, "<architecture>%s</architecture>\n", r->is64 ? "i386:x86-64" : "i386");
    build_core(&b);
    build_sse(&b);
    if (c->model && feat_on(c->model, FEAT_AVX))
        build_avx(&b);
    if (c->model && feat_on(c->model, FEAT_AVX512F))
        build_avx512(&b);
    build_system(&b);
    g_string_append(b.xml, "</target>\n");
    r->xml = g_string_free(b.xml, FALSE);
    return r;
}

void gdb_regs_free(struct gdb_regs *r)
{
    g_free(r->xml);
    g_free(r);
}

const char *gdb_regs_xml(const struct gdb_regs *r)
{
    return r->xml;
}

unsigned gdb_regs_count(const struct gdb_regs *r)
{
    return r->n;
}

/* --- x87 --- */

static unsigned x87_top(const struct cpu *c)
{
    return ld16(c->fx + 2) >> 11 & 7;
}

/* The full tag word: two bits a physical register, from the abridged byte and the contents. */
static u16 x87_tag_word(const struct cpu *c)
{
    u16 tags = 0;

    for (unsigned phys = 0; phys < 8; phys++) {
        const u8 *st = c->fx + ST_OFFSET + ((phys - x87_top(c)) & 7) * 16;
        u64 mant = ld64(st);
        unsigned exp = ld16(st + 8) & 0x7fff, tag;
        if (!(c->fx[4] >> phys & 1))
            tag = 3;
        else if (exp == 0 && !mant)
            tag = 1;
        else
            tag = exp == 0 || exp == 0x7fff || !(mant >> 63) ? 2 : 0;
        tags |= (u16)(tag << phys * 2);
    }
    return tags;
}

static u32 x87_read(const struct cpu *c, enum x87_reg n)
{
    switch (n) {
    case X87_CTRL: return ld16(c->fx);
    case X87_STAT: return ld16(c->fx + 2);
    case X87_TAG: return x87_tag_word(c);
    case X87_ISEG: return c->x87_fcs;
    case X87_IOFF: return (u32)c->x87_fip;
    case X87_OSEG: return c->x87_fds;
    case X87_OOFF: return (u32)c->x87_fdp;
    case X87_OP: return c->x87_fop;
    }
    return 0;
}

static void x87_write(struct cpu *c, enum x87_reg n, u32 v)
{
    u8 tag = 0;

    switch (n) {
    case X87_CTRL: st16(c->fx, (u16)v); break;
    case X87_STAT: st16(c->fx + 2, (u16)v); break;
    case X87_TAG:
        for (unsigned i = 0; i < 8; i++)
            tag |= (u8)(((v >> i * 2 & 3) != 3) << i);
        c->fx[4] = tag;
        break;
    case X87_ISEG: c->x87_fcs = (u16)v; break;
    case X87_IOFF: c->x87_fip = v; break;
    case X87_OSEG: c->x87_fds = (u16)v; break;
    case X87_OOFF: c->x87_fdp = v; break;
    case X87_OP: c->x87_fop = v & 0x7ff; break;
    }
}

/* --- reading --- */

static u64 scalar_read(const struct reg *r, const struct cpu *c)
{
    switch (r->kind) {
    case K_GPR: return c->gpr[r->arg];
    case K_RIP: return c->rip;
    case K_EFLAGS: return cpu_rflags(c);
    case K_SEG: return c->seg[r->arg].sel;
    case K_X87: return x87_read(c, r->arg);
    case K_MXCSR: return c->mxcsr;
    case K_SEG_BASE: return c->seg[r->arg].base;
    case K_KERNEL_GS: return c->kernel_gs_base;
    case K_CR0: return c->cr0;
    case K_CR2: return c->cr2;
    case K_CR3: return c->cr3;
    case K_CR4: return c->cr4;
    case K_CR8: return c->lapic_ops ? c->lapic_ops->get_tpr(c->lapic) >> 4 : 0;
    case K_EFER: return c->efer;
    }
    return 0;
}

unsigned gdb_reg_read(const struct gdb_regs *regs, const struct cpu *c, unsigned n, u8 *buf)
{
    const struct reg *r;
    u64 v;

    if (n >= regs->n)
        return 0;
    r = &regs->r[n];
    switch (r->kind) {
    case K_ST:
        memcpy(buf, c->fx + ST_OFFSET + r->arg * 16, r->size);
        break;
    case K_XMM:
        memcpy(buf, c->vreg[r->arg], r->size);
        break;
    case K_YMMH:
        memcpy(buf, c->vreg[r->arg] + 16, r->size);
        break;
    case K_ZMMH:
        memcpy(buf, c->vreg[r->arg] + 32, r->size);
        break;
    case K_MASK:
        memcpy(buf, &c->kreg[r->arg], r->size);
        break;
    default:
        v = scalar_read(r, c);
        memcpy(buf, &v, r->size);
    }
    return r->size;
}

/* --- writing --- */

/* A debugger may change control registers, but not switch modes: what the CPU caches of the old mode would not fit. */
static int control_write(u64 *reg, u64 v, u64 fixed)
{
    if ((*reg ^ v) & fixed)
        return -1;
    *reg = v;
    return 0;
}

/* In real and virtual-8086 mode a selector is a base; elsewhere it would need its descriptor. */
static int selector_write(struct cpu *c, unsigned s, u16 sel)
{
    if (c->seg[s].sel == sel)
        return 0;
    if (c->cr0 & CR0_PE && !(c->sysflags & F_VM))
        return -1;
    c->seg[s].sel = sel;
    c->seg[s].base = (u64)sel << 4;
    return 0;
}

static int scalar_write(const struct reg *r, struct cpu *c, u64 v)
{
    switch (r->kind) {
    case K_GPR: c->gpr[r->arg] = v; return 0;
    case K_RIP: c->rip = v; return 0;
    case K_EFLAGS: cpu_set_rflags(c, v); return 0;
    case K_SEG: return selector_write(c, r->arg, (u16)v);
    case K_X87: x87_write(c, r->arg, (u32)v); return 0;
    case K_MXCSR: return v >> 16 ? -1 : (c->mxcsr = (u32)v, 0);
    case K_SEG_BASE: c->seg[r->arg].base = v; return 0;
    case K_KERNEL_GS: c->kernel_gs_base = v; return 0;
    case K_CR0: return control_write(&c->cr0, v, CR0_PE | CR0_PG | ~0xffffffffull);
    case K_CR2: c->cr2 = v; return 0;
    case K_CR3: return control_write(&c->cr3, v, c->cr4 & CR4_PAE && !(c->efer & EFER_LMA) ? ~0ull : ~MASK64(52));
    case K_CR4: return control_write(&c->cr4, v, CR4_PAE | CR4_LA57 | CR4_OSXSAVE | ~0xffffffffull);
    case K_CR8:
        if (v > 15)
            return -1;
        if (c->lapic_ops)
            c->lapic_ops->set_tpr(c->lapic, (u8)(v << 4));
        return 0;
    case K_EFER: return control_write(&c->efer, v, ~(u64)EFER_SCE);
    }
    return -1;
}

int gdb_reg_write(const struct gdb_regs *regs, struct cpu *c, unsigned n, const u8 *buf, size_t len)
{
    const struct reg *r;
    u64 v = 0;

    if (n >= regs->n)
        return 0;
    r = &regs->r[n];
    if (len < r->size)
        return 0;
    switch (r->kind) {
    case K_ST:
        memcpy(c->fx + ST_OFFSET + r->arg * 16, buf, r->size);
        return r->size;
    case K_XMM:
        memcpy(c->vreg[r->arg], buf, r->size);
        cpu_zmm_update(c);
        return r->size;
    case K_YMMH:
        memcpy(c->vreg[r->arg] + 16, buf, r->size);
        cpu_zmm_update(c);
        return r->size;
    case K_ZMMH:
        memcpy(c->vreg[r->arg] + 32, buf, r->size);
        cpu_zmm_update(c);
        return r->size;
    case K_MASK:
        memcpy(&c->kreg[r->arg], buf, r->size);
        cpu_zmm_update(c);
        return r->size;
    }
    memcpy(&v, buf, r->size);
    return scalar_write(r, c, v) < 0 ? -1 : r->size;
}
