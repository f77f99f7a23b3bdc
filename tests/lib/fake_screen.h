/* A console whose picture the test paints, for tests of front ends, and a record of what reaches the guest's keyboard and pointer. */
#ifndef TESTS_LIB_FAKE_SCREEN_H
#define TESTS_LIB_FAKE_SCREEN_H
#include "hw/core/console.h"
#include "hw/core/input.h"
#include "tests/lib/fake_machine.h"

struct fake_screen {
    struct fake_machine *f;
    struct console *con;
    int width, height;      /* of the next update */
    u32 color;              /* all of the picture */
    struct { int x, y; u32 color; } dot; /* and one dot */
    bool watched;
    unsigned updates;
    struct input_handler handler;
    struct { u16 code; bool down; } key[64];
    unsigned n_keys;
    int dx, dy, wheel;      /* sums */
    unsigned buttons;
    int abs_x, abs_y;       /* last */
};

struct fake_screen *fake_screen_new(struct fake_machine *f, int width, int height);
/* Takes positions from now on, not movements. */
void fake_screen_absolute(struct fake_screen *s);
void fake_screen_free(struct fake_screen *s);

#endif
