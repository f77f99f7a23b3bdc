/* Libraries that not every run needs are loaded when they are: the dynamic linker's work for SDL, libvncserver, libnbd and Capstone would be more than
 * half of what the program does before the guest's first instruction. Any thread.
 *
 * Their functions are called as ever, by their own headers. What is linked are entries (util/lazy_jumps.S, from the list util/lazy.def), the first of
 * which loads the library. A function that is not in the list is an undefined symbol when the program is linked. */
#ifndef UTIL_LAZY_H
#define UTIL_LAZY_H
#include "config.h"

struct err;
enum lazy_lib {
    LAZY_SDL2,
    LAZY_VNC,
    LAZY_NBD,
    LAZY_CAPSTONE,
    LAZY_COUNT
};

/* Loads the library now, so that its absence is an error with a message, and not the end of the process when the first function is called: 0, or -1 with
 * e set. */
int lazy_load(enum lazy_lib lib, struct err *e);
/* A variable of a library that has been loaded, or NULL. */
void *lazy_variable(enum lazy_lib lib, const char *name);

/* The name of a row of lazy.def and its library; NULL behind the last. */
const char *lazy_name(unsigned row, enum lazy_lib *lib);

#endif
