/* Devices whose registers are the vCPU's own: what an IN, OUT, INS or OUTS shows besides the value that it moves, and what it may take back. The
 * device asks for it inside its region_ops function; other devices pay nothing for it. accel/vcpu.c implements it. The thread of the access,
 * machine lock held. */
#ifndef HW_CORE_IO_REGS_H
#define HW_CORE_IO_REGS_H
#include "util/base.h"

enum io_reg { IO_EAX, IO_EBX, IO_ECX, IO_EDX, IO_ESI, IO_EDI, IO_REGS };
struct io_regs_ops {
    void *opaque;
    /* The registers, lower halves, of the vCPU whose instruction makes the access under way; false if it is no vCPU's (the monitor's). */
    bool (*get)(void *opaque, u32 r[IO_REGS]);
    /* Changes one, as a 32-bit instruction does: the upper half becomes zero. What an IN moves is stored afterwards. */
    void (*set)(void *opaque, enum io_reg n, u32 val);
};

#endif
