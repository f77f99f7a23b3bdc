/* The table of helpers, expanded from help.def. Constant; read by the interpreter and the backends. */
#include "cpu/help/help.h"

const struct help_info help_table[HELP_COUNT] = {
#define X(name, nargs, effects, comment) { #name, help_##name, nargs, effects },
#include "cpu/help/help.def"
#undef X
};
