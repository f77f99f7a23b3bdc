/* The chipset of the machine "q35": Intel's Q35 host bridge and ICH9 south bridge. Main thread, machine lock held, called by
 * hw/machine/pc.c. */
#include "hw/machine/pc_board.h"
#include "hw/machine/rom.h"
#include "hw/pci/q35.h"
#include "hw/storage/ahci.h"
#include "hw/timer/pm.h"

/* RAM ends where configuration space begins, unless there is more: then at 2 GiB, so that PCI has a window of 1 GiB. */
static u64 q35_low_ram(u64 size)
{
    return size < Q35_ECAM_BASE ? size : 2 * GiB;
}

static int q35_add(struct machine *m, struct pc *pc, struct err *e)
{
    m->pci = pci_root_new(m, true, NULL);
    if (!(pc->host = mch_new(m, m->ram, pc->rom ? rom_ram(pc->rom) : NULL, e)) || !(pc->isa = ich9_lpc_new(m, e)) ||
        !(pc->pm = ich9_pm_new(m, ich9_lpc_sci_line(pc->isa), e)) || !(pc->ide = ahci_new(m, "1f.2", e)))
        return -1;
    if (ich9_lpc_set_pm(pc->isa, pc->pm, e) < 0)
        return -1;
    return device_create(m, "ICH9-SMB", NULL, NULL, e) ? 0 : -1;
}

static void q35_setup(struct machine *m, struct pc *pc, const u8 *pirq_irq, struct pci_windows *w)
{
    mch_setup(pc->host);
    ich9_lpc_setup(pc->isa, pirq_irq);
    w->mem = Q35_ECAM_BASE + Q35_ECAM_SIZE;
}

static void q35_describe(const struct pc *pc, struct acpi_config *c)
{
    c->q35 = true;
    c->pci_mem_start = MAX_OF(2 * GiB, pc->ram.low);
    c->pm_base = ICH9_PM_BASE;
    c->ecam = mch_ecam(pc->host, &c->ecam_size);
    if (!c->ecam || c->ecam >= 4 * GiB) { /* firmware has not put it anywhere: it will be where ours does */
        c->ecam = Q35_ECAM_BASE;
        c->ecam_size = Q35_ECAM_SIZE;
    }
}

const struct pc_chipset q35_chipset = {
    "Standard PC (Q35 + ICH9, 2009)", "pc-q35-7.2", "01.0", NULL, NULL, q35_low_ram, q35_add, q35_setup, q35_describe,
};
