/* The two ISA DMA controllers. Devices on a channel move data when the controller lets them. Machine lock held. */
#ifndef HW_DMA_I8257_H
#define HW_DMA_I8257_H
#include "hw/core/device.h"

struct device *i8257_new(struct machine *m, struct err *e);
/* The machine's controllers, or NULL. */
struct device *i8257_find(struct machine *m);

/* Takes channel 0..7 (not 4) for a device. ready is called, from a register write, when the channel can move data while its request is
 * up. ready NULL: gives the channel back. */
void i8257_attach(struct device *dma, unsigned channel, void (*ready)(void *opaque), void *opaque);
/* Raises or drops the device's request. */
void i8257_request(struct device *dma, unsigned channel, bool on);
/* True if the channel is programmed and not masked: a raised request is granted. */
bool i8257_ready(struct device *dma, unsigned channel);
/* Moves up to len bytes to or from guest memory as the channel is programmed, fewer at terminal count; returns how many. tc: the count has run
 * out. A channel of the wrong direction moves nothing and has 0; verify transfers leave memory alone. 16-bit channels take even lengths. */
u32 i8257_move(struct device *dma, unsigned channel, void *buf, u32 len, bool to_memory, bool *tc);

#endif
