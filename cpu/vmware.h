/* What VMware's hypervisors let user mode do, with -machine vmport=on: the ports of the backdoor, and its counters behind RDPMC. vCPU thread; called
 * by the helpers of IN, OUT, INS, OUTS and RDPMC. Source: VMware, "Timekeeping in VMware Virtual Machines" (pseudo performance counters); the
 * backdoor as open-vm-tools' documentation has it. */
#ifndef CPU_VMWARE_H
#define CPU_VMWARE_H
#include "cpu/cpu.h"

/* At any privilege level, whatever IOPL and the TSS's bitmap say. */
static inline bool vmware_port_open(const struct cpu *c, u16 port)
{
    return c->vmware_user && (port == 0x5658 || port == 0x5659);
}

/* True if index is one of the counters: at any privilege level, whatever CR4.PCE says. */
bool vmware_rdpmc(struct cpu *c, u32 index, u64 *val);

#endif
