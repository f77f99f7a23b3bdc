/* Keys by name, scan code, HID usage and keysym. Constant tables; any thread. */
#ifndef HW_CORE_KEYMAP_H
#define HW_CORE_KEYMAP_H
#include "util/base.h"

struct key {
    const char *name;      /* QKeyCode: "a", "ret", "kp_enter" */
    u16 code;              /* set 1 make code, 0xe0xx if extended: what input_key() takes */
    u8 usage;              /* HID usage of page 7; 0: none */
    u16 keysym, shifted;   /* X11, US layout; 0: none */
};

/* NULL past the last. */
const struct key *key_nth(unsigned i);
const struct key *key_by_name(const char *name);
const struct key *key_by_code(u16 code);
const struct key *key_by_usage(u8 usage);
/* *shift is set if the symbol needs Shift (or, on the keypad, NumLock off). */
const struct key *key_by_keysym(u32 keysym, bool *shift);

#endif
