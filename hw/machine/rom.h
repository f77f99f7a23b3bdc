/* The firmware ROM: found, read, and mapped at the top of the first 4 GiB and below 1 MiB. Main thread. */
#ifndef HW_MACHINE_ROM_H
#define HW_MACHINE_ROM_H
#include "util/err.h"

struct machine;
struct ram_block;
struct rom;

/* `path` is -bios, or NULL for the host's SeaBIOS. NULL with e set on error. */
struct rom *rom_load(struct machine *m, const char *path, struct err *e);
/* Its bytes: what the host bridge's shadow RAM hides. */
struct ram_block *rom_ram(struct rom *r);
/* After the address spaces are gone. */
void rom_free(struct rom *r);

#endif
