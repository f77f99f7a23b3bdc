/* Capstone behind the interface of disas.h. A handle is opened for each call: only tracing and debugging come here, from any
 * thread, and handles are not thread-safe. */
#include "disas/disas.h"
#include <capstone/capstone.h>
#include <glib.h>
#include "util/err.h"
#include "util/lazy.h"

#define BYTES_COLUMN 24 /* width of the hex dump: eight bytes */

static bool open_handle(csh *h, unsigned bits)
{
    cs_mode mode = bits == 64 ? CS_MODE_64 : bits == 32 ? CS_MODE_32 : CS_MODE_16;
    struct err e;

    if (lazy_load(LAZY_CAPSTONE, &e) < 0) {
        warn_report("%s", e.msg);
        return false;
    }
    if (cs_open(CS_ARCH_X86, mode, h) != CS_ERR_OK)
        return false;
    cs_option(*h, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
    return true;
}

/* One instruction; its length, or 0. */
static unsigned decode(csh h, u64 addr, const u8 *buf, size_t len, char *text, size_t text_size)
{
    cs_insn *insn = NULL;
    unsigned used = 0;

    if (len && cs_disasm(h, buf, len, addr, 1, &insn) == 1) {
        used = insn->size;
        snprintf(text, text_size, "%s%s%s", insn->mnemonic, insn->op_str[0] ? " " : "", insn->op_str);
        cs_free(insn, 1);
    } else {
        snprintf(text, text_size, "(bad)");
    }
    return used;
}

unsigned disas_insn(unsigned bits, u64 addr, const u8 *buf, size_t len, char *text, size_t text_size)
{
    unsigned used;
    csh h;

    if (!open_handle(&h, bits)) {
        snprintf(text, text_size, "(bad)");
        return 0;
    }
    used = decode(h, addr, buf, len, text, text_size);
    cs_close(&h);
    return used;
}

size_t disas_print(GString *out, unsigned bits, u64 addr, const u8 *buf, size_t len, unsigned max_insns)
{
    size_t done = 0;
    csh h;

    if (!open_handle(&h, bits))
        return 0;
    for (unsigned n = 0; done < len && (!max_insns || n < max_insns); n++) {
        char text[256];
        unsigned used = decode(h, addr + done, buf + done, len - done, text, sizeof(text));
        gsize column;
        if (!used)
            used = 1;
        g_string_append_printf(out, "0x%08llx:  ", (unsigned long long)(addr + done));
        column = out->len + BYTES_COLUMN;
        for (unsigned i = 0; i < used; i++)
            g_string_append_printf(out, "%02x ", buf[done + i]);
        while (out->len < column)
            g_string_append_c(out, ' ');
        g_string_append_printf(out, " %s\n", text);
        done += used;
    }
    cs_close(&h);
    return done;
}

void disas_block(FILE *f, unsigned bits, u64 addr, const u8 *buf, size_t len)
{
    GString *s = g_string_new(NULL);

    disas_print(s, bits, addr, buf, len, 0);
    fwrite(s->str, 1, s->len, f);
    g_string_free(s, TRUE);
}
