/* The machine types "pc" (440FX and PIIX chipset) and "q35" (Q35 and ICH9). Chosen by hw/core/machine.c. */
#ifndef HW_MACHINE_PC_H
#define HW_MACHINE_PC_H
#include "hw/core/machine.h"

extern const struct machine_board pc_board, q35_board;

#endif
