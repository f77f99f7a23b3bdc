/* What a video BIOS leaves behind, for machines that start a kernel without firmware. Machine lock held, from the machine's reset. */
#ifndef HW_DISPLAY_VGA_BOOT_H
#define HW_DISPLAY_VGA_BOOT_H
#include "util/base.h"

struct machine;

enum { VGA_BOOT_MODE = 3, VGA_BOOT_COLS = 80, VGA_BOOT_ROWS = 25, VGA_BOOT_POINTS = 16 /* scan lines of a character */ };

/* Puts the machine's VGA, if it has one, into mode 3, cleared, with the font of its option ROM. After the device's own reset. */
void vga_boot_text(struct machine *m);
/* True if the machine's board has made a VGA: kernels may be told. */
bool vga_boot_present(const struct machine *m);

#endif
