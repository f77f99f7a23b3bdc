/* The "pc" machine type: a PC with the 440FX/PIIX3 chipset. Chosen by hw/core/machine.c. */
#ifndef HW_MACHINE_PC_H
#define HW_MACHINE_PC_H
#include "hw/core/machine.h"

extern const struct machine_board pc_board;

#endif
