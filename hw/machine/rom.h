/* The firmware, in ROM or flash memory: found, read, and mapped at the top of the first 4 GiB and below 1 MiB. Main thread. */
#ifndef HW_MACHINE_ROM_H
#define HW_MACHINE_ROM_H
#include "util/err.h"

struct machine;
struct ram_block;
struct rom;

/* `path` is -bios, or NULL for flash memory (-drive if=pflash), or else the host's SeaBIOS. 0, or -1 with e set; *out, to be given to
 * rom_free, is set in any case. */
int rom_load(struct machine *m, const char *path, struct rom **out, struct err *e);
/* Its bytes: what the host bridge's shadow RAM hides. */
struct ram_block *rom_ram(struct rom *r);
/* After the address spaces are gone. */
void rom_free(struct rom *r);

#endif
