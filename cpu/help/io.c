/* Helpers for IN and OUT, and the I/O permission check that INS and OUTS share. vCPU thread.
 * Source: SDM vol. 1 chapter 19, vol. 3A 7.7 (TSS). */
#include "cpu/help/io.h"
#include "cpu/debug.h"
#include "cpu/fault.h"
#include "cpu/help/help.h"
#include "cpu/platform.h"
#include "cpu/vmware.h"

#define TSS_TYPE_BITMAP 9u /* available 32- or 64-bit TSS; with the busy bit 11 */
#define TSS_IOMAP 0x66u    /* offset of the bitmap's offset */

void io_check(struct cpu *c, u16 port, unsigned size)
{
    if (c->mode & MODE_IOPL_OK || vmware_port_open(c, port))
        return;
    const unsigned acc = ACC_READ | ACC_IMPLICIT;
    const struct seg_reg *tr = &c->tr;
    if (!(tr->attr & SEGA_P) || (tr->attr & SEGA_TYPE & ~2u) != TSS_TYPE_BITMAP || tr->limit < TSS_IOMAP + 1)
        cpu_raise_err(c, EXC_GP, 0);
    u32 off = (u32)cpu_ld_acc(c, tr->base + TSS_IOMAP, 2, acc) + port / 8;
    if (off + 1 > tr->limit) /* two bytes are read always */
        cpu_raise_err(c, EXC_GP, 0);
    u64 bits = cpu_ld_acc(c, tr->base + off, 2, acc) >> (port & 7);
    if (bits & MASK64(size))
        cpu_raise_err(c, EXC_GP, 0);
}

u64 io_read(struct cpu *c, u16 port, unsigned size)
{
    if (UNLIKELY(c->mode & MODE_SLOW))
        debug_io(c, port, size);
    return zext(c->plat->port_read(c, port, size), size);
}

void io_write(struct cpu *c, u16 port, u64 val, unsigned size)
{
    if (UNLIKELY(c->mode & MODE_SLOW))
        debug_io(c, port, size);
    c->plat->port_write(c, port, zext(val, size), size);
}

u32 io_string(struct cpu *c, u16 port, unsigned size, void *buf, u32 n, bool write)
{
    if ((c->mode & MODE_SLOW) || !c->plat->port_string)
        return 0;
    return c->plat->port_string(c, port, size, buf, n, write);
}

u64 help_in(struct cpu *c, u64 port, u64 size, u64 d)
{
    io_check(c, (u16)port, (unsigned)size);
    return io_read(c, (u16)port, (unsigned)size);
}

u64 help_out(struct cpu *c, u64 port, u64 val, u64 size)
{
    io_check(c, (u16)port, (unsigned)size);
    io_write(c, (u16)port, val, (unsigned)size);
    return 0;
}
