/* Extended display identification data: what a monitor says about itself. Pure function; any thread. */
#ifndef HW_DISPLAY_EDID_H
#define HW_DISPLAY_EDID_H
#include "util/base.h"

#define EDID_SIZE 128

/* A monitor whose preferred mode is xres * yres (16..4095 each) at 60 Hz. */
void edid_fill(u8 edid[EDID_SIZE], unsigned xres, unsigned yres);

#endif
