/* Drives: what -drive, -hda and their like ask the machine to connect where. The list is complete before the machine is built; the board
 * and its controllers look for theirs by interface, bus and unit. Main thread. */
#ifndef HW_BACKEND_DRIVE_H
#define HW_BACKEND_DRIVE_H
#include "hw/backend/blk.h"

enum drive_if { DRIVE_NONE, DRIVE_IDE, DRIVE_SCSI, DRIVE_FLOPPY, DRIVE_PFLASH, DRIVE_VIRTIO };

struct drive {
    enum drive_if iface;
    unsigned bus, unit;  /* IDE: channel and device (AHCI: port and 0); floppy, pflash, virtio: unit only */
    bool cdrom;          /* media=cdrom */
    bool taken;          /* a device has it; the board refuses drives that nobody took */
    struct blk *blk;     /* NULL never */
    const char *option;  /* the command-line option, for messages: "-hda", "-drive file=x,if=virtio"; borrowed */
    struct drive *next;
};

/* The list's first. */
struct drive *drives(void);
/* The drive at that place, or NULL. */
struct drive *drive_find(enum drive_if iface, unsigned bus, unsigned unit);
/* Adds one; takes over neither blk nor option. -1 if the place is taken. */
int drive_add(enum drive_if iface, unsigned bus, unsigned unit, bool cdrom, struct blk *blk, const char *option, struct err *e);
/* Devices on an IDE channel (2; on AHCI 1), and whether images opened by drive_add_image are temporary (-snapshot). */
void drives_configure(unsigned ide_units, bool snapshot);
unsigned drives_ide_units(void);
/* Opens IMAGE of the command line, whatever its format, as the first free IDE disk or, if it is an ISO 9660 image, as a CD-ROM. 0 or -1. */
int drive_add_image(const char *path, struct err *e);
/* -1 with e naming the first drive that no device took. */
int drives_check_taken(struct err *e);
/* Forgets all; their back ends stay. */
void drives_free(void);

#endif
