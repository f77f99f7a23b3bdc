/* Text of an IR block for -d ir and for golden files: one line for each op, addresses in hexadecimal, nothing that differs between
 * two runs. Any thread; called by disas/ and the tests. */
#include "cpu/ir/ir.h"
#include <glib.h>

static const char *const cc_names[16] = { "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g" };
static const char *const seg_names[] = { "es", "cs", "ss", "ds", "fs", "gs", "?", "lin" };
static const char *const gpr_names[16] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
static const char *const gprh_names[4] = { "ah", "ch", "dh", "bh" };

static const char *const help_names[] = {
#define X(name, nargs, effects, comment) #name,
#include "cpu/help/help.def"
#undef X
};

static void print_val(GString *out, const struct ir_op *op, struct ir_val v, const char *sep)
{
    bool imm2 = op->code == IR_CALL || op->code == IR_STC;
    switch (v.kind) {
    case K_NONE: return;
    case K_GPR: g_string_append_printf(out, "%s%s", sep, gpr_names[v.n & 15]); break;
    case K_GPRH: g_string_append_printf(out, "%s%s", sep, gprh_names[v.n & 3]); break;
    case K_TMP: g_string_append_printf(out, "%st%u", sep, v.n); break;
    case K_IMM: g_string_append_printf(out, "%s#%#llx", sep, (unsigned long long)(imm2 ? op->imm2 : op->imm)); break;
    case K_PTR:
        g_string_append_printf(out, "%sptr", sep);
        if (op->ptr_off)
            g_string_append_printf(out, "+%u", op->ptr_off);
        break;
    default: g_string_append_printf(out, "%s?", sep); break;
    }
}

/* base + index*n + disp */
static void print_address(GString *out, const struct ir_op *op)
{
    bool hex = op->a.kind == K_NONE && op->b.kind == K_NONE;
    g_string_append(out, " [");
    print_val(out, op, op->a, "");
    if (op->b.kind != K_NONE) {
        print_val(out, op, op->b, op->a.kind == K_NONE ? "" : "+");
        g_string_append_printf(out, "*%u", 1u << op->scale);
    }
    if (hex)
        g_string_append_printf(out, "%#llx", (unsigned long long)op->imm);
    else if (op->imm)
        g_string_append_printf(out, "%+lld", (long long)op->imm);
    g_string_append_printf(out, "]:%u", op->asize * 8u);
}

static void print_probe(GString *out, const struct ir_op *op)
{
    g_string_append_printf(out, " %s", seg_names[op->seg & 7]);
    print_address(out, op);
    g_string_append_printf(out, " %s%s%s", op->acc & 1 ? "r" : "", op->acc & 2 ? "w" : "", op->acc & 16 ? " stack" : "");
    if (op->acc & ACC_MASKED)
        g_string_append(out, " masked");
}

static void print_carry(GString *out, const struct carry *k)
{
    static const char *const enc[] = { "sse", "vex", "x87", "evex" };
    g_string_append_printf(out, " %s", enc[k->enc & 3]);
    if (k->pp)
        g_string_append_printf(out, " pp=%02x", k->pp);
    g_string_append_printf(out, " map=%u op=%02x", k->map, k->op);
    if (k->enc == 2)
        g_string_append_printf(out, " modrm=%02x", k->modrm);
    if (k->w || k->l)
        g_string_append_printf(out, " w%u l%u", k->w, k->l);
    g_string_append_printf(out, " reg=%u/%u v=%u/%u rm=%u/%u", k->reg_class, k->reg, k->vvvv_class, k->vvvv, k->rm_class, k->rm);
    if (k->aaa || k->z || k->b)
        g_string_append_printf(out, " k%u%s%s", k->aaa, k->z ? " z" : "", k->b ? " b" : "");
    if (k->has_imm)
        g_string_append_printf(out, " imm=%02x", k->imm);
    if (k->rm_class == CC_MEM)
        g_string_append_printf(out, " mem=%u", k->mem_size);
}

static void print_operands(GString *out, const struct ir_op *op)
{
    print_val(out, op, op->d, " ");
    const char *sep = op->d.kind == K_NONE ? " " : ", ";
    print_val(out, op, op->a, sep);
    print_val(out, op, op->b, op->d.kind == K_NONE && op->a.kind == K_NONE ? " " : ", ");
    print_val(out, op, op->c, ", ");
}

static void print_op(GString *out, const struct ir_block *b, const struct ir_op *op)
{
    g_string_append_printf(out, "    %s", ir_name(op->code));
    if (op->code == IR_SETCC || op->code == IR_CMOV || op->code == IR_JCC)
        g_string_append_printf(out, ".%s", cc_names[op->cc & 15]);
    if (op->size)
        g_string_append_printf(out, ".%u", op->size);
    if (op->size2)
        g_string_append_printf(out, "<%u", op->size2);
    if (op->lock)
        g_string_append(out, " lock");
    switch (op->code) {
    case IR_PROBE: print_probe(out, op); break;
    case IR_LIN: case IR_LEA:
        print_val(out, op, op->d, " ");
        if (op->code == IR_LIN)
            g_string_append_printf(out, ", %s", seg_names[op->seg & 7]);
        print_address(out, op);
        break;
    case IR_VEC: case IR_X87: print_carry(out, &b->carry[op->imm]); break;
    case IR_CALL:
        g_string_append_printf(out, " %s", op->imm < G_N_ELEMENTS(help_names) ? help_names[op->imm] : "?");
        print_operands(out, op);
        break;
    case IR_LDCODE:
        print_operands(out, op);
        g_string_append_printf(out, " code+%#llx", (unsigned long long)op->imm);
        break;
    case IR_LDC: case IR_STC:
        print_operands(out, op);
        g_string_append_printf(out, " cpu+%#llx", (unsigned long long)op->imm);
        break;
    case IR_JMP: g_string_append_printf(out, " %#llx", (unsigned long long)op->imm); break;
    case IR_JCC: case IR_BRZ:
        print_operands(out, op);
        g_string_append_printf(out, " %#llx else %#llx", (unsigned long long)op->imm, (unsigned long long)op->imm2);
        break;
    case IR_EXIT:
        g_string_append_printf(out, op->aux ? " helper" : " %#llx", (unsigned long long)op->imm);
        break;
    case IR_RORX:
        print_operands(out, op);
        g_string_append_printf(out, ", #%llu", (unsigned long long)op->imm);
        break;
    default:
        print_operands(out, op);
        if (op->aux)
            g_string_append(out, " signed");
        break;
    }
    if (op->fl)
        g_string_append(out, " !f");
    g_string_append_c(out, '\n');
}

void ir_print(const struct ir_block *b, GString *out)
{
    g_string_append_printf(out, "block %#llx mode %#x, %u instructions, %u bytes\n", (unsigned long long)b->pc, b->mode, b->n_insns, b->len);
    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *op = &b->op[i];
        if (op->code == IR_INSN) {
            const struct ir_insn *in = &b->insn[op->imm];
            g_string_append_printf(out, "%#llx %s, %u bytes\n", (unsigned long long)in->pc, in->row->mnem, in->len);
        } else {
            print_op(out, b, op);
        }
    }
}
