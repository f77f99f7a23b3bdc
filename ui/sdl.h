/* The guest's screen in a window of SDL2's. Main thread, machine lock not held. */
#ifndef UI_SDL_H
#define UI_SDL_H
#include "util/err.h"

struct display;
struct sdl;

/* arg: "sdl[,grab-mod=lctrl-lalt|lshift-lctrl-lalt|rctrl][,show-cursor=on][,window-close=off][,gl=off]". NULL with e set: no display server, a
 * wrong option, or a build without SDL2. */
struct sdl *sdl_new(struct display *d, const char *arg, struct err *e);
void sdl_free(struct sdl *s); /* may be NULL */

#endif
