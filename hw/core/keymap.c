/* Looks keys up in keymap.def. Constant tables; any thread. */
#include "hw/core/keymap.h"

static const struct key keys[] = {
#define KEY(name, code, usage, keysym, shifted) { name, code, usage, keysym, shifted },
#include "hw/core/keymap.def"
#undef KEY
};

const struct key *key_nth(unsigned i)
{
    return i < ARRAY_LEN(keys) ? &keys[i] : NULL;
}

const struct key *key_by_name(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    return NULL;
}

const struct key *key_by_code(u16 code)
{
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].code == code)
            return &keys[i];
    return NULL;
}

const struct key *key_by_usage(u8 usage)
{
    for (unsigned i = 0; usage && i < ARRAY_LEN(keys); i++)
        if (keys[i].usage == usage && keys[i].code != 0x54) /* SysRq is Print's other code */
            return &keys[i];
    return NULL;
}

const struct key *key_by_keysym(u32 keysym, bool *shift)
{
    for (unsigned i = 0; keysym && i < ARRAY_LEN(keys); i++) {
        *shift = keys[i].shifted == keysym;
        if (*shift || keys[i].keysym == keysym)
            return &keys[i];
    }
    return NULL;
}
