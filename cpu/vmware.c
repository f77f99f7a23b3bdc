/* The pseudo performance counters of VMware's hypervisors; see vmware.h. vCPU thread; called by help_rdpmc. */
#include "cpu/vmware.h"
#include "cpu/platform.h"
#include "cpu/pvclock.h"

enum { HOST_TSC = 0x10000, REAL_NS = 0x10001, APPARENT_NS = 0x10002 };

/* The platform's TSC is the one without what the guest has added to it. */
bool vmware_rdpmc(struct cpu *c, u32 index, u64 *val)
{
    if (!c->vmware_user)
        return false;
    switch (index) {
    case HOST_TSC: *val = c->plat->tsc(c); return true;
    case REAL_NS: *val = c->plat->real_ns(c); return true;
    case APPARENT_NS: *val = pvclock_system_ns(c, c->plat->tsc(c)); return true;
    default: return false;
    }
}
