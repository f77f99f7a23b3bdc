/* Pictures of the guest's screen as files. Main thread, machine lock not held. */
#ifndef UI_SCREENDUMP_H
#define UI_SCREENDUMP_H
#include "util/err.h"

struct machine;

/* Writes what the display adapter shows: the first one's (device NULL), or that of the device with this id. format: "png", "ppm", or NULL for
 * PNG if the name ends in .png and PPM otherwise. 0, or -1 with e set; then no file is left behind that was not there before. */
int screendump(struct machine *m, const char *path, const char *format, const char *device, struct err *e);

#endif
