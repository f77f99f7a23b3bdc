/* Comparison of two results of one case of the instruction oracle: registers, defined flags, memory, vector and x87 state, exceptions.
 * Test thread. */
#include <glib.h>
#include "tests/lib/oracle.h"

#define PRINT_MAX 40

static const char *const gpr_name[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };

static void diff(GString *s, const char *what, unsigned i, u64 in, u64 host, u64 ours)
{
    g_string_append_printf(s, "  %s%u: before %#llx, host %#llx, ours %#llx\n", what, i, (unsigned long long)in, (unsigned long long)host,
                           (unsigned long long)ours);
}

static void compare_gprs(GString *s, const struct hi_case *h, const struct hi_case *g, unsigned bits)
{
    for (unsigned i = 0; i < 16; i++)
        if (zext(h->out.gpr[i] ^ g->out.gpr[i], bits == 64 ? 8 : 4))
            diff(s, gpr_name[i], 0, h->in.gpr[i], h->out.gpr[i], g->out.gpr[i]);
    if (h->out.rip != g->out.rip)
        diff(s, "rip", 0, h->in.rip, h->out.rip, g->out.rip);
}

/* A string instruction that faults halfway leaves the flags it started with; the host, stepped through its iterations, does not. */
static void compare_flags(GString *s, const struct insn_row *r, const struct hi_case *h, const struct hi_case *g)
{
    if (h->vector >= 0 && h->rep)
        return;
    u32 mask = (F_ARITH | F_DF) & ~(h->vector < 0 ? r->fl_undef : 0);
    if ((h->out.flags ^ g->out.flags) & mask)
        diff(s, "flags", 0, h->in.flags & 0xcd5, h->out.flags & mask, g->out.flags & mask);
}

static void compare_vectors(GString *s, const struct hi_case *h, const struct hi_case *g)
{
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 4; k++) {
            unsigned at = 160 + 16 * i + 8 * (k & 1);
            const u8 *a = k < 2 ? h->out.fx + at : h->out.ymmh[i] + 8 * (k & 1), *b = k < 2 ? g->out.fx + at : g->out.ymmh[i] + 8 * (k & 1);
            const u8 *in = k < 2 ? h->in.fx + at : h->in.ymmh[i] + 8 * (k & 1);
            if (ld64(a) != ld64(b))
                diff(s, "ymm", i * 10 + k, ld64(in), ld64(a), ld64(b));
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 4; k++)
            if (ld64(h->out.zmmh[i] + 8 * k) != ld64(g->out.zmmh[i] + 8 * k))
                diff(s, "zmm", i * 10 + k + 4, ld64(h->in.zmmh[i] + 8 * k), ld64(h->out.zmmh[i] + 8 * k), ld64(g->out.zmmh[i] + 8 * k));
        for (unsigned k = 0; k < 8; k++)
            if (ld64(h->out.zmm16[i] + 8 * k) != ld64(g->out.zmm16[i] + 8 * k))
                diff(s, "zmm", (i + 16) * 10 + k, ld64(h->in.zmm16[i] + 8 * k), ld64(h->out.zmm16[i] + 8 * k), ld64(g->out.zmm16[i] + 8 * k));
    }
    for (unsigned i = 0; i < 8; i++)
        if (h->out.k[i] != g->out.k[i])
            diff(s, "k", i, h->in.k[i], h->out.k[i], g->out.k[i]);
    if (ld32(h->out.fx + 24) != ld32(g->out.fx + 24))
        diff(s, "mxcsr", 0, ld32(h->in.fx + 24), ld32(h->out.fx + 24), ld32(g->out.fx + 24));
}

static void compare_x87(GString *s, const struct hi_case *h, const struct hi_case *g)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned at = 32 + 16 * i;
        if (ld64(h->out.fx + at) != ld64(g->out.fx + at) || ld16(h->out.fx + at + 8) != ld16(g->out.fx + at + 8)) {
            diff(s, "st-mantissa", i, ld64(h->in.fx + at), ld64(h->out.fx + at), ld64(g->out.fx + at));
            diff(s, "st-exponent", i, ld16(h->in.fx + at + 8), ld16(h->out.fx + at + 8), ld16(g->out.fx + at + 8));
        }
    }
    if (ld32(h->out.fx) != ld32(g->out.fx))
        diff(s, "fcw-fsw", 0, ld32(h->in.fx), ld32(h->out.fx), ld32(g->out.fx));
    if (h->out.fx[4] != g->out.fx[4])
        diff(s, "ftw", 0, h->in.fx[4], h->out.fx[4], g->out.fx[4]);
}

static void compare_memory(GString *s, const struct hi_case *h, const struct hi_case *g)
{
    const struct hi_change *a = &h->mem, *b = &g->mem;
    if (a->lo == b->lo && a->len == b->len && !memcmp(a->bytes, b->bytes, MIN_OF(a->len, sizeof(a->bytes))))
        return;
    g_string_append_printf(s, "  memory: host changes %u bytes at %#x, ours %u at %#x\n", a->len, a->lo, b->len, b->lo);
    diff(s, "first qword", 0, 0, a->len ? ld64(a->bytes) : 0, b->len ? ld64(b->bytes) : 0);
}

/* The host reports every fault in the kernel's half of the address space as one on a present page. */
static u64 page_fault_error(const struct hi_case *k, u64 cr2) { return cr2 >> 63 ? k->error | 1 : k->error; }

static void compare_fault(GString *s, const struct insn_row *r, const struct hi_case *h, const struct hi_case *g)
{
    if (h->vector != g->vector) {
        g_string_append_printf(s, "  exception: host %d (error %#llx cr2 %#llx), ours %d\n", h->vector, (unsigned long long)h->error,
                               (unsigned long long)h->cr2, g->vector);
        return;
    }
    if (h->vector != EXC_PF)
        return;
    /* For a masked move the processor may name the operand's first byte or the first selected one. */
    u64 off = h->cr2 - g->cr2 + 16;
    if (page_fault_error(h, g->cr2) != page_fault_error(g, g->cr2))
        diff(s, "#PF error ", 0, 0, h->error, g->error);
    if (h->cr2 != g->cr2 && !(off < 32 && !strcmp(r->rule_name, "maskmov")))
        diff(s, "#PF cr2 ", 0, 0, h->cr2, g->cr2);
}

static void print_difference(struct oracle *o, const struct insn_row *r, const struct insn *in, const struct hi_case *h, GString *s)
{
    if (o->printed++ >= PRINT_MAX)
        return;
    GString *head = g_string_new(NULL);
    for (unsigned i = 0; i < in->len; i++)
        g_string_append_printf(head, " %02x", h->code[i]);
    g_test_message("%u-bit %s (%s):%s\n%s", o->bits, r->mnem, r->rule_name, head->str, s->str);
    g_string_free(head, TRUE);
}

/* MXCSR bit 17 exists on AMD's processors and is not offered by ours. */
static bool misalign_mask(const struct insn_row *r, const struct hi_case *h)
{
    return !strcmp(r->rule_name, "ldmxcsr") && ld32(h->out.fx + 24) & BIT(17);
}

/* Two reasons to fault at once, either of which may come first: a misaligned vector operand beyond the stack segment's limit; an 80-bit
 * operand or a pair of bounds, of which the second part is beyond the limit. */
static bool either_fault(const struct insn_row *r, const struct hi_case *h, const struct hi_case *g)
{
    if (r->attr & A_X87 || !strcmp(r->rule_name, "bound"))
        return h->vector == EXC_PF && (g->vector == EXC_GP || g->vector == EXC_SS);
    /* A near call to beyond the limit of CS whose return address does not fit the stack either: Intel looks at the target first (as SDM vol. 2
     * describes it), AMD at the stack. */
    if (!strncmp(r->rule_name, "call", 4))
        return (h->vector == EXC_SS || h->vector == EXC_PF) && g->vector == EXC_GP;
    return r->attr & (A_VEC | A_MMX) && h->vector == EXC_GP && g->vector == EXC_SS;
}

/* Whether elements that are not selected count for segment limits and wrapping, and what has become of a gather's mask by then, is up to the
 * processor. */
static bool masked_limit(const struct oracle *o, const struct insn_row *r, const struct hi_case *h, const struct hi_case *g)
{
    bool masked = !strcmp(r->rule_name, "maskmov") || !strcmp(r->rule_name, "vmaskmov") || !strcmp(r->rule_name, "vgather") ||
                  !strcmp(r->rule_name, "evgather") || r->exc == X_E4 || r->exc == X_E1;
    return masked && o->bits != 64 && (h->vector >= 0 || g->vector >= 0);
}

static bool canonical(u64 a) { return (u64)((i64)(a << 16) >> 16) == a; }

void oracle_compare(struct oracle *o, const struct insn_row *r, const struct insn *in, const struct hi_case *h, const struct hi_case *g,
                    struct oracle_count *count)
{
    GString *s = g_string_new(NULL);
    compare_fault(s, r, h, g);
    /* A jump to a place where no code can be: ours is found at the next fetch. */
    bool nowhere = o->bits == 16 ? g->out.rip > 0xffff : !canonical(g->out.rip);
    if ((g->vector < 0 && nowhere) || misalign_mask(r, h) || either_fault(r, h, g) ||
        masked_limit(o, r, h, g)) {
        count->skip++;
        g_string_free(s, TRUE);
        return;
    }
    if (h->vector == g->vector) {
        if (h->vector < 0 || strcmp(r->rule_name, "popa")) /* one that faults may have popped a few already */
            compare_gprs(s, h, g, o->bits);
        compare_flags(s, r, h, g);
        compare_memory(s, h, g);
        compare_vectors(s, h, g);
        compare_x87(s, h, g);
    }
    if (s->len) {
        count->bad++;
        print_difference(o, r, in, h, s);
    } else if (h->vector < 0) {
        count->ok++;
    } else {
        count->fault++;
    }
    g_string_free(s, TRUE);
}
