/* From the names of keys to presses that hw/core/input.c makes and takes back. Main thread, for the monitor and QMP. */
#include "ui/sendkey.h"
#include <glib.h>
#include "hw/core/input.h"
#include "hw/core/keymap.h"
#include "hw/core/machine.h"

#define HOLD_MS 100

int sendkey_codes(struct machine *m, const u16 *codes, unsigned n, unsigned hold_ms, struct err *e)
{
    if (!n || n > INPUT_PRESS_MAX)
        return err_set(e, "from 1 to %d keys can be sent together", INPUT_PRESS_MAX);
    lock_acquire(&m->lock);
    input_press(m->input, codes, n, (i64)(hold_ms ? hold_ms : HOLD_MS) * 1000000);
    lock_release(&m->lock);
    return 0;
}

static int code_of(const char *word, u16 *code)
{
    const struct key *k = key_by_name(!strcmp(word, "<") ? "less" : word);
    char *end;
    u64 v = g_ascii_strtoull(word, &end, 0);

    if (k)
        *code = k->code;
    else if (!g_str_has_prefix(word, "0x") || *end || !v || v > 0xff)
        return -1;
    else
        *code = v & 0x80 ? 0xe000 | (v & 0x7f) : v;
    return 0;
}

int sendkey(struct machine *m, const char *keys, unsigned hold_ms, struct err *e)
{
    char **word = g_strsplit(keys, "-", -1);
    u16 codes[INPUT_PRESS_MAX];
    unsigned n = 0;
    int r = 0;

    for (unsigned i = 0; word[i] && !r; i++) {
        if (n == INPUT_PRESS_MAX)
            r = err_set(e, "sendkey: too many keys");
        else if (code_of(word[i], &codes[n++]) < 0)
            r = err_set(e, "unknown key: '%s'", word[i]);
    }
    g_strfreev(word);
    return r ? r : sendkey_codes(m, codes, n, hold_ms, e);
}
