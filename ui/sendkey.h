/* Keys that are pressed for the user: what `sendkey` and QMP's send-key do. Main thread, machine lock not held. */
#ifndef UI_SENDKEY_H
#define UI_SENDKEY_H
#include "util/err.h"

struct machine;

/* "ctrl-alt-f1": presses the keys in this order and releases them in reverse order after hold_ms (0: 100). A number in hexadecimal is a
 * scan code. Keys sent before are released first. 0, or -1 with e set. */
int sendkey(struct machine *m, const char *keys, unsigned hold_ms, struct err *e);
/* The same from codes (hw/core/keymap.h). */
int sendkey_codes(struct machine *m, const u16 *codes, unsigned n, unsigned hold_ms, struct err *e);

#endif
