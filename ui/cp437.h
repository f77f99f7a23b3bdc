/* Code page 437, the characters of the PC's text screen, as Unicode. Constant table; any thread. */
#ifndef UI_CP437_H
#define UI_CP437_H
#include "util/base.h"

extern const u16 cp437[256];

#endif
