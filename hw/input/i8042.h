/* The i8042 keyboard controller with a PS/2 keyboard and a PS/2 mouse. Machine lock held. */
#ifndef HW_INPUT_I8042_H
#define HW_INPUT_I8042_H
#include "hw/core/device.h"

/* Ports 0x60 and 0x64. a20 is the controller's A20 gate output (level 1: A20 open; 1 after reset). */
struct device *i8042_new(struct machine *m, struct irq_line irq1, struct irq_line irq12, struct irq_line a20,
                         struct err *e);
/* A key of the user's: its set 1 make code, with 0xe0 in the high byte for extended keys (0xe04b: left arrow), 0xe11d for
 * Pause and 0xe037 for Print Screen. */
void ps2_key_event(struct device *i8042, u16 key, bool down);
/* Relative motion (dx right, dy down, dz towards the user) and the buttons that are now down: 1 left, 2 right, 4 middle,
 * 8 and 16 the side buttons. */
void ps2_mouse_event(struct device *i8042, int dx, int dy, int dz, unsigned buttons);
/* A packet with nothing to say, but that it moved by one: the guest looks at what else it has. If it has the mouse's reports off, it comes when they
 * are on again. */
void ps2_mouse_nudge(struct device *i8042);

#endif
