/* Expressions of the monitor's x, xp and p: C's integer operators over numbers and $registers of the current CPU. Main thread,
 * the VM is stopped. */
#include <stdlib.h>
#include "ui/monitor_cmd.h"

/* Deeper nesting than this is refused, so that a long line of parentheses cannot exhaust the stack. */
#define DEPTH_MAX 64

struct expr {
    struct mon *m;
    char *p;
    unsigned depth;
    bool failed;
};

static u64 parse_sum(struct expr *x);

static const struct {
    const char *name;
    u32 offset;
    u8 size;
} registers[] = {
#define R(n, f) { n, offsetof(struct cpu, f), sizeof(((struct cpu *)0)->f) }
    R("rax", gpr[R_AX]), R("rcx", gpr[R_CX]), R("rdx", gpr[R_DX]), R("rbx", gpr[R_BX]), R("rsp", gpr[R_SP]),
    R("rbp", gpr[R_BP]), R("rsi", gpr[R_SI]), R("rdi", gpr[R_DI]), R("r8", gpr[8]), R("r9", gpr[9]),
    R("r10", gpr[10]), R("r11", gpr[11]), R("r12", gpr[12]), R("r13", gpr[13]), R("r14", gpr[14]), R("r15", gpr[15]),
    R("rip", rip), R("pc", rip), R("cr0", cr0), R("cr2", cr2), R("cr3", cr3), R("cr4", cr4), R("efer", efer),
    R("es", seg[S_ES].sel), R("cs", seg[S_CS].sel), R("ss", seg[S_SS].sel), R("ds", seg[S_DS].sel),
    R("fs", seg[S_FS].sel), R("gs", seg[S_GS].sel), R("es.base", seg[S_ES].base), R("cs.base", seg[S_CS].base),
    R("ss.base", seg[S_SS].base), R("ds.base", seg[S_DS].base), R("fs.base", seg[S_FS].base),
    R("gs.base", seg[S_GS].base), R("gdt.base", gdt.base), R("idt.base", idt.base), R("ldt.base", ldt.base),
    R("tr.base", tr.base), R("mxcsr", mxcsr),
#undef R
};

int mon_register(struct mon *m, const char *name, u64 *out)
{
    struct cpu *c = vm_cpu(m->vm, *m->cpu);
    /* eax is the low half of rax. */
    bool low = name[0] == 'e' && strlen(name) == 3;
    char full[4] = { 'r', low ? name[1] : 0, low ? name[2] : 0, 0 };

    if (!strcmp(name, "eflags") || !strcmp(name, "rflags")) {
        *out = cpu_rflags(c);
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_LEN(registers); i++) {
        if (strcmp(registers[i].name, low ? full : name))
            continue;
        *out = 0;
        memcpy(out, (char *)c + registers[i].offset, registers[i].size);
        if (low)
            *out = (u32)*out;
        return 0;
    }
    return -1;
}

static u64 expr_fail(struct expr *x, const char *what)
{
    if (!x->failed)
        mon_print(x->m, "%s\n", what);
    x->failed = true;
    return 0;
}

static void skip_space(struct expr *x)
{
    while (*x->p == ' ' || *x->p == '\t')
        x->p++;
}

static u64 parse_register(struct expr *x)
{
    char name[16];
    unsigned n = 0;
    u64 v;

    while (g_ascii_isalnum(*x->p) || *x->p == '.') {
        if (n + 1 < sizeof(name))
            name[n++] = *x->p;
        x->p++;
    }
    name[n] = 0;
    return mon_register(x->m, name, &v) < 0 ? expr_fail(x, "unknown register") : v;
}

static u64 parse_unary(struct expr *x)
{
    char *end;
    u64 v;

    skip_space(x);
    if (x->failed || ++x->depth > DEPTH_MAX)
        return expr_fail(x, "expression is nested too deeply");
    switch (*x->p) {
    case '+': x->p++; v = parse_unary(x); break;
    case '-': x->p++; v = -parse_unary(x); break;
    case '~': x->p++; v = ~parse_unary(x); break;
    case '$': x->p++; v = parse_register(x); break;
    case '(':
        x->p++;
        v = parse_sum(x);
        skip_space(x);
        if (*x->p != ')')
            return expr_fail(x, "')' expected");
        x->p++;
        break;
    default:
        v = strtoull(x->p, &end, 0);
        if (end == x->p)
            return expr_fail(x, *x->p ? "invalid char in expression" : "unexpected end of expression");
        x->p = end;
    }
    skip_space(x);
    x->depth--;
    return v;
}

static u64 parse_product(struct expr *x)
{
    u64 v = parse_unary(x);

    while (*x->p == '*' || *x->p == '/' || *x->p == '%') {
        char op = *x->p++;
        u64 w = parse_unary(x);
        if (op == '*')
            v *= w;
        else if (!w)
            return expr_fail(x, "division by zero");
        else
            v = op == '/' ? v / w : v % w;
    }
    return v;
}

static u64 parse_logic(struct expr *x)
{
    u64 v = parse_product(x);

    while (*x->p == '&' || *x->p == '|' || *x->p == '^') {
        char op = *x->p++;
        u64 w = parse_product(x);
        v = op == '&' ? v & w : op == '|' ? v | w : v ^ w;
    }
    return v;
}

static u64 parse_sum(struct expr *x)
{
    u64 v = parse_logic(x);

    while (*x->p == '+' || *x->p == '-') {
        char op = *x->p++;
        u64 w = parse_logic(x);
        v = op == '+' ? v + w : v - w;
    }
    return v;
}

int mon_expr(struct mon *m, char **p, u64 *out)
{
    struct expr x = { .m = m, .p = *p };

    *out = parse_sum(&x);
    *p = x.p;
    return x.failed ? -1 : 0;
}
