/* The chipset of the machine "pc": Intel's 440FX host bridge with PIIX3 and PIIX4 south bridges. Main thread, machine lock held, called by
 * hw/machine/pc.c. */
#include "hw/machine/acpi_hotplug.h"
#include "hw/machine/pc_board.h"
#include "hw/machine/rom.h"
#include "hw/pci/host.h"
#include "hw/storage/ide.h"
#include "hw/timer/pm.h"

#define LOW_RAM_MAX 0xc0000000ull /* the rest of the first 4 GiB is for PCI and the chipset */

static u64 piix_low_ram(u64 size)
{
    return MIN_OF(size, LOW_RAM_MAX);
}

static int piix_add(struct machine *m, struct pc *pc, struct err *e)
{
    m->pci = pci_root_new(m, false, &acpi_hotplug_bus_ops);
    if (!(pc->host = i440fx_new(m, m->ram, pc->rom ? rom_ram(pc->rom) : NULL, e)) || !(pc->isa = piix3_new(m, e)) ||
        !(pc->ide = piix3_ide_new(m, e)) || !(pc->pm = acpi_pm_new(m, piix3_sci_line(pc->isa), e)) ||
        !(pc->pm_function = piix4_pm_new(m, pc->pm, e)) ||
        !(pc->hotplug = acpi_hotplug_new(m, pm_gpe_line(pc->pm, ACPI_HOTPLUG_GPE), e)))
        return -1;
    return 0;
}

static void piix_setup(struct machine *m, struct pc *pc, const u8 *pirq_irq, struct pci_windows *w)
{
    i440fx_shadow_open(pc->host);
    for (unsigned i = 0; i < 4; i++)
        piix3_route(pc->isa, i, pirq_irq[i]);
    piix4_pm_set_base(pc->pm_function, PIIX4_PM_BASE);
    piix3_ide_enable(pc->ide);
    w->mem = 0xe0000000;
}

static void piix_describe(const struct pc *pc, struct acpi_config *c)
{
    c->pci_mem_start = LOW_RAM_MAX;
    c->pm_base = PIIX4_PM_BASE;
    c->hotplug_slots = acpi_hotplug_slots(pc->hotplug->m);
}

const struct pc_chipset piix_chipset = {
    "Standard PC (i440FX + PIIX, 1996)", "pc-i440fx-7.2", "02.0", "piix3-usb-uhci", "01.2", piix_low_ram, piix_add, piix_setup, piix_describe,
};
