/* The 16550A UART. Machine lock held. */
#ifndef HW_CHAR_UART_H
#define HW_CHAR_UART_H
#include "hw/core/device.h"

/* An isa-serial at the standard place of COM index+1 (0..3: 0x3f8/4, 0x2f8/3, 0x3e8/4, 0x2e8/3); chr may be NULL. */
struct device *uart_new(struct machine *m, unsigned index, struct chr *chr, struct err *e);

#endif
