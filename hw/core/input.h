/* The way of keys and pointer movements from front ends (windows, VNC, monitor) to the devices that take them. Main thread or a vCPU
 * thread, machine lock held throughout. */
#ifndef HW_CORE_INPUT_H
#define HW_CORE_INPUT_H
#include "util/base.h"

struct clock;
struct input;

#define INPUT_ABS_MAX 0x7fff /* an absolute axis goes from 0 to here */
enum input_button { INPUT_LEFT = 1, INPUT_RIGHT = 2, INPUT_MIDDLE = 4, INPUT_SIDE = 8, INPUT_EXTRA = 16 };

/* A device that takes input; embedded in its owner. Functions it does not have are NULL. */
struct input_handler {
    const char *name; /* for `info mice` */
    /* key: set 1 make code (hw/core/keymap.h). */
    void (*key)(void *opaque, u16 code, bool down);
    /* Movement (x right, y down, wheel away from the user) since the last call, and all buttons that are down now. */
    void (*rel)(void *opaque, int dx, int dy, int wheel, unsigned buttons);
    /* Position in 0..INPUT_ABS_MAX, wheel and buttons as above. */
    void (*abs)(void *opaque, int x, int y, int wheel, unsigned buttons);
    void *opaque;
    unsigned index; /* given by input_add: `mouse_set INDEX` */
    struct input_handler *next;
};

struct input *input_new(struct clock *c);
void input_free(struct input *in); /* may be NULL */
/* The newest handler of keys gets the keys, the newest that takes pointers the pointer. */
void input_add(struct input *in, struct input_handler *h);
void input_del(struct input *in, struct input_handler *h);
/* Adds h behind all others: it gets events when it is activated. */
void input_add_idle(struct input *in, struct input_handler *h);
/* Puts h first, as the guest's driver starts to use it; or last, as it has stopped. */
void input_activate(struct input *in, struct input_handler *h);
void input_retire(struct input *in, struct input_handler *h);

void input_key(struct input *in, u16 code, bool down);
/* Releases every key that is down: a front end lost its focus. */
void input_release_keys(struct input *in);
#define INPUT_PRESS_MAX 16
/* Presses n (1..INPUT_PRESS_MAX) keys in this order; they are released in reverse order after hold_ns of VM time, or before the next press. */
void input_press(struct input *in, const u16 *codes, unsigned n, i64 hold_ns);
/* Without movement it is for the pointer in use, one of positions, too: where it is. */
void input_rel(struct input *in, int dx, int dy, int wheel, unsigned buttons);
void input_abs(struct input *in, int x, int y, int wheel, unsigned buttons);
/* The buttons of the last event. */
unsigned input_buttons(const struct input *in);
/* The last position, 0..INPUT_ABS_MAX. */
void input_position(const struct input *in, int *x, int *y);
/* True if the pointer in use takes positions. */
bool input_is_absolute(const struct input *in);
/* The pointer in use, NULL if there is none; then the others by ->next (handlers of keys only are among them). */
const struct input_handler *input_first(const struct input *in);
const struct input_handler *input_pointer(const struct input *in);
/* mouse_set: 0, or -1 if there is no pointer with this index. */
int input_select(struct input *in, unsigned index);

#endif
