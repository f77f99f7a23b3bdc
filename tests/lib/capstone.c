/* Capstone as a second opinion; see capstone.h. */
#include "tests/lib/capstone.h"
#include <capstone/capstone.h>
#include <glib.h>

unsigned capstone_insn_len(unsigned bits, u64 pc, const u8 *b, unsigned n)
{
    static const cs_mode mode[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
    static csh handle[3];
    static cs_insn *insn[3];
    unsigned i = bits / 32;
    size_t left = n;
    if (!insn[i]) {
        g_assert_cmpint(cs_open(CS_ARCH_X86, mode[i], &handle[i]), ==, CS_ERR_OK);
        insn[i] = cs_malloc(handle[i]);
    }
    return cs_disasm_iter(handle[i], &b, &left, &pc, insn[i]) ? insn[i]->size : 0;
}

bool capstone_lacks(const struct insn *in)
{
    const char *m = in->row->mnem;
    static const char *const late[] = { "GF2P8", "VGF2P8", "VAES", "VPCLMULQDQ", "RDPKRU", "WRPKRU", "VBROADCASTI128", "RDPID", "VPDP" };
    if (in->evex || !strcmp(in->row->rule_name, "kmask"))
        return true; /* it has most of AVX-512, but not all registers, masks and later features */
    if (in->bits == 16)
        return true; /* most instructions with 66 as a mandatory prefix */
    for (unsigned i = 0; i < G_N_ELEMENTS(late); i++)
        if (!strncmp(m, late[i], strlen(late[i])))
            return true;
    if (!strcmp(in->row->rule_name, "nop") || !strcmp(in->row->rule_name, "fence") || !strcmp(in->row->rule_name, "ud"))
        return true; /* hint no-operations, PREFETCH of a register, fences with a non-zero rm field */
    if (in->op[0].kind == OK_SEG || in->op[1].kind == OK_SEG)
        return in->rex; /* REX.R with a segment register, which is ignored */
    /* A mandatory prefix beside another prefix; LOCK MOV CR0. */
    return (in->p66 && (in->rep || in->repne)) || (in->asize != in->bits / 8 && (in->p66 || in->rep || in->repne)) || in->lock;
}

static bool has_memory(const struct insn *in)
{
    for (unsigned i = 0; i < in->nop; i++)
        if (in->op[i].kind == OK_MEM)
            return true;
    return false;
}

bool capstone_length_wrong(const struct insn *in)
{
    if (in->evex && in->evex_b && !has_memory(in))
        return true; /* a byte too many for a rounding mode */
    if (!strcmp(in->row->rule_name, "ud"))
        return true; /* UD0 and UD1 have a ModRM byte */
    if (in->bits == 64 && in->p66 && in->row->attr & A_F64)
        return true; /* near branches ignore 66 */
    return (in->p66 && (in->rep || in->repne)) || (in->bits == 64 && in->rex && in->row->attr & A_F64);
}
