/* The PC's DSDT: PCI root with its windows and interrupt routing, the ISA devices behind the south bridge, processors and
 * the soft-off state, as AML. Main thread, called by hw/machine/acpi.c. ACPI 6.4, chapters 5, 6 and 19. */
#include "hw/machine/acpi.h"
#include "hw/machine/acpi_hotplug.h"
#include "hw/machine/aml.h"
#include "hw/pci/pci.h"
#include "hw/pci/q35.h"
#include "hw/timer/hpet.h"
#include "hw/timer/pm.h"
#include "hw/virtio/virtio.h"

enum { FW_CFG_PORT = 0x510, FW_CFG_PORTS = 12, LAST_PCI_MEM = 0xfebfffff };

static void dsdt_isa_device(struct aml *a, const char *name, const char *hid)
{
    aml_device(a, name);
    aml_name_eisaid(a, "_HID", hid);
}

/* One- or two-port devices with an edge-triggered interrupt; closes the device. */
static void dsdt_isa_resources(struct aml *a, u16 port, u8 ports, u16 port2, int irq)
{
    aml_name(a, "_CRS");
    aml_resources(a);
    if (ports)
        aml_res_io(a, port, ports);
    if (port2)
        aml_res_io(a, port2, 1);
    if (irq >= 0)
        aml_res_irq(a, irq);
    aml_resources_end(a);
    aml_end(a);
}

static void dsdt_floppy(struct aml *a)
{
    dsdt_isa_device(a, "FDC0", "PNP0700");
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, 0x3f2, 4);
    aml_res_io(a, 0x3f7, 1);
    aml_res_irq(a, 6);
    aml_res_dma(a, 2);
    aml_resources_end(a);
    aml_end(a);
}

static void dsdt_isa(struct aml *a, const struct acpi_config *c)
{
    static const char *const pirqs[] = { "PRQA", "PRQB", "PRQC", "PRQD", NULL, NULL, NULL, NULL, "PRQE", "PRQF", "PRQG", "PRQH" };
    unsigned regs = c->q35 ? 12 : 4;
    static const struct { u16 port; u8 irq; } com[4] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };

    aml_device(a, "ISA");
    aml_name_int(a, "_ADR", c->q35 ? 0x001f0000 : 0x00010000);
    aml_op_region(a, "PIRQ", AML_PCI_CONFIG, 0x60, regs);
    aml_byte_fields(a, "PIRQ", pirqs, regs);
    dsdt_isa_device(a, "PIC", "PNP0000");
    dsdt_isa_resources(a, 0x20, 2, 0, 2);
    dsdt_isa_device(a, "TIMR", "PNP0100");
    dsdt_isa_resources(a, 0x40, 4, 0, 0);
    dsdt_isa_device(a, "RTC", "PNP0B00");
    dsdt_isa_resources(a, 0x70, 4, 0, 8);
    dsdt_isa_device(a, "KBD", "PNP0303");
    dsdt_isa_resources(a, 0x60, 1, 0x64, 1);
    dsdt_isa_device(a, "MOU", "PNP0F13");
    dsdt_isa_resources(a, 0, 0, 0, 12);
    for (unsigned i = 0; i < ARRAY_LEN(com); i++) {
        char name[5] = { 'C', 'O', 'M', '1' + i, 0 };
        if (!c->com[i])
            continue;
        dsdt_isa_device(a, name, "PNP0501");
        aml_name_int(a, "_UID", i + 1);
        dsdt_isa_resources(a, com[i].port, 8, 0, com[i].irq);
    }
    if (c->floppy)
        dsdt_floppy(a);
    aml_end(a);
}

/* PIRQ router link: which ISA interrupt a PIRQ is routed to, and the means to change it. */
static void dsdt_link(struct aml *a, unsigned n)
{
    static const u32 choices[] = { 5, 10, 11 };
    static const u32 none[] = { 0 };
    char name[] = { 'L', 'N', 'K', 'A' + n, 0 }, reg[] = "\\_SB.PCI0.ISA.PRQA";

    reg[sizeof(reg) - 2] = 'A' + n;
    aml_device(a, name);
    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", n + 1);
    aml_name(a, "_PRS");
    aml_resources(a);
    aml_res_interrupt(a, choices, ARRAY_LEN(choices));
    aml_resources_end(a);

    aml_method(a, "_STA", 0, false); /* bit 7 of the register: not routed */
    aml_if(a);
    aml_op(a, AML_AND), aml_path(a, reg), aml_int(a, 0x80), aml_op(a, AML_NULL_NAME);
    aml_op(a, AML_RETURN), aml_int(a, 0x09);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_int(a, 0x0b);
    aml_end(a);

    aml_method(a, "_DIS", 0, false);
    aml_op(a, AML_OR), aml_path(a, reg), aml_int(a, 0x80), aml_path(a, reg);
    aml_end(a);

    aml_method(a, "_CRS", 0, true);
    aml_name(a, "BUF0");
    aml_resources(a);
    aml_res_interrupt(a, none, 1);
    aml_resources_end(a);
    aml_dword_field_path(a, "BUF0", 5, "IRQN"); /* 5: the first number of an extended interrupt descriptor */
    aml_if(a);
    aml_op(a, AML_LLESS), aml_path(a, reg), aml_int(a, 0x80);
    aml_op(a, AML_STORE), aml_path(a, reg), aml_path(a, "IRQN");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_path(a, "BUF0");
    aml_end(a);

    aml_method(a, "_SRS", 1, true);
    aml_dword_field_op(a, AML_ARG0, 5, "IRQN");
    aml_op(a, AML_STORE), aml_path(a, "IRQN"), aml_path(a, reg);
    aml_end(a);
    aml_end(a);
}

/* PIRQ that a pin (0..3) of a slot on the root bus is wired to: hw/pci/bus.c, hw/pci/ich9.c. */
static unsigned dsdt_pirq(const struct acpi_config *c, unsigned slot, unsigned pin)
{
    if (!c->q35)
        return pci_swizzle(slot, pin + 1);
    return slot < 25 ? 4 + ((slot + pin) & 3) : pin;
}

/* Routing by links, or, `direct`, to the I/O APIC's inputs 16..23. */
static void dsdt_prt(struct aml *a, const struct acpi_config *c, const char *name, bool direct)
{
    enum { SLOTS = 32 };

    aml_name(a, name);
    aml_package(a, (SLOTS - 1) * 4);
    for (unsigned slot = 1; slot < SLOTS; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            char link[] = "\\_SB.LNKA";
            unsigned pirq = dsdt_pirq(c, slot, pin);
            link[sizeof(link) - 2] = 'A' + pirq;
            aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            if (direct)
                aml_int(a, 0);
            else
                aml_path(a, link);
            aml_int(a, direct ? 16 + pirq : 0);
            aml_end(a);
        }
    }
    aml_end(a);
}

/* Q35: in APIC mode, which the system announces by _PIC, the PIRQs are inputs of their own. */
static void dsdt_prt_q35(struct aml *a, const struct acpi_config *c)
{
    dsdt_prt(a, c, "PRTP", false);
    dsdt_prt(a, c, "PRTA", true);
    aml_method(a, "_PRT", 0, false);
    aml_if(a);
    aml_path(a, "\\PICF");
    aml_op(a, AML_RETURN), aml_path(a, "PRTA");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_path(a, "PRTP");
    aml_end(a);
}

static void dsdt_pic_mode(struct aml *a)
{
    aml_name_int(a, "\\PICF", 0);
    aml_method(a, "\\_PIC", 1, false);
    aml_op(a, AML_STORE), aml_op(a, AML_ARG0), aml_path(a, "\\PICF");
    aml_end(a);
}

/* The system may take over hot plug, power management events, error reporting and the capability itself of PCI Express. */
static void dsdt_osc(struct aml *a)
{
    enum { GRANTED = 0x1d, UNKNOWN_UUID = 4, UNKNOWN_REVISION = 8, MASKED = 0x10 };
    static const u8 uuid[16] = { 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40, 0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66 };

    aml_method(a, "_OSC", 4, true);
    aml_dword_field_op(a, AML_ARG3, 0, "CDW1");
    aml_if(a);
    aml_op(a, AML_LEQUAL), aml_op(a, AML_ARG0), aml_buffer(a, uuid, sizeof(uuid));
    aml_dword_field_op(a, AML_ARG3, 8, "CDW3");
    aml_op(a, AML_AND), aml_path(a, "CDW3"), aml_int(a, GRANTED), aml_op(a, AML_LOCAL0);
    aml_if(a);
    aml_op(a, AML_LNOT), aml_op(a, AML_LEQUAL), aml_op(a, AML_ARG1), aml_int(a, 1);
    aml_op(a, AML_OR), aml_path(a, "CDW1"), aml_int(a, UNKNOWN_REVISION), aml_path(a, "CDW1");
    aml_end(a);
    aml_if(a);
    aml_op(a, AML_LNOT), aml_op(a, AML_LEQUAL), aml_path(a, "CDW3"), aml_op(a, AML_LOCAL0);
    aml_op(a, AML_OR), aml_path(a, "CDW1"), aml_int(a, MASKED), aml_path(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_STORE), aml_op(a, AML_LOCAL0), aml_path(a, "CDW3");
    aml_end(a);
    aml_else(a);
    aml_op(a, AML_OR), aml_path(a, "CDW1"), aml_int(a, UNKNOWN_UUID), aml_path(a, "CDW1");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_op(a, AML_ARG3);
    aml_end(a);
}

/* The memory windows below the I/O APIC: all but what configuration space takes. */
static void dsdt_mem_windows(struct aml *a, const struct acpi_config *c)
{
    u32 after = c->ecam + c->ecam_size;

    if (!c->q35) {
        aml_res_mem_window(a, c->pci_mem_start, LAST_PCI_MEM, false);
        return;
    }
    aml_res_mem_window(a, c->ecam > c->pci_mem_start ? c->pci_mem_start : after, c->ecam > c->pci_mem_start ? c->ecam - 1 : LAST_PCI_MEM,
                       false);
    aml_res_mem_window(a, after, LAST_PCI_MEM, false);
}

static void dsdt_slot_name(char name[5], unsigned slot)
{
    g_snprintf(name, 5, "S%02X_", slot & 31);
}

/* Hot plug: hw/machine/acpi_hotplug.c. A device for each slot, which can be ejected; methods that pass on what has changed. */
static void dsdt_hotplug(struct aml *a, const struct acpi_config *c)
{
    static const char *const state[] = { "PCIU", "PCID" }, *const eject[] = { "B0EJ" }, *const bus[] = { "BNUM" };
    char name[5];

    aml_op_region(a, "PCST", AML_SYSTEM_IO, ACPI_HOTPLUG_PORT, 8);
    aml_dword_fields(a, "PCST", state, ARRAY_LEN(state));
    aml_op_region(a, "SEJ", AML_SYSTEM_IO, ACPI_HOTPLUG_PORT + 8, 4);
    aml_dword_fields(a, "SEJ", eject, ARRAY_LEN(eject));
    aml_op_region(a, "BNMR", AML_SYSTEM_IO, ACPI_HOTPLUG_PORT + 16, 4);
    aml_dword_fields(a, "BNMR", bus, ARRAY_LEN(bus));
    aml_name_int(a, "BSEL", 0);
    for (unsigned slot = 0; slot < 32; slot++) {
        if (!(c->hotplug_slots & BIT(slot)))
            continue;
        dsdt_slot_name(name, slot);
        aml_device(a, name);
        aml_name_int(a, "_ADR", slot << 16);
        aml_name_int(a, "_SUN", slot);
        aml_method(a, "_EJ0", 1, true);
        aml_op(a, AML_STORE), aml_int(a, 0), aml_path(a, "BNUM");
        aml_op(a, AML_STORE), aml_int(a, BIT(slot)), aml_path(a, "B0EJ");
        aml_end(a);
        aml_end(a);
    }
    aml_method(a, "DVNT", 2, true); /* slots, what to notify them of */
    for (unsigned slot = 0; slot < 32; slot++) {
        if (!(c->hotplug_slots & BIT(slot)))
            continue;
        dsdt_slot_name(name, slot);
        aml_if(a);
        aml_op(a, AML_AND), aml_op(a, AML_ARG0), aml_int(a, BIT(slot)), aml_op(a, AML_NULL_NAME);
        aml_op(a, AML_NOTIFY), aml_path(a, name), aml_op(a, AML_ARG1);
        aml_end(a);
    }
    aml_end(a);
    aml_method(a, "PCNT", 0, true);
    aml_op(a, AML_STORE), aml_int(a, 0), aml_path(a, "BNUM");
    aml_path(a, "DVNT"), aml_path(a, "PCIU"), aml_int(a, 1); /* device check */
    aml_path(a, "DVNT"), aml_path(a, "PCID"), aml_int(a, 3); /* eject request */
    aml_end(a);
}

static void dsdt_pci_root(struct aml *a, const struct acpi_config *c)
{
    aml_device(a, "PCI0");
    aml_name_eisaid(a, "_HID", c->q35 ? "PNP0A08" : "PNP0A03");
    if (c->q35)
        aml_name_eisaid(a, "_CID", "PNP0A03");
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_ADR", 0);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_bus_window(a, 0, 0xff);
    aml_res_io(a, 0xcf8, 8);
    aml_res_io_window(a, 0, 0xcf7);
    aml_res_io_window(a, 0xd00, 0xffff);
    aml_res_mem_window(a, 0xa0000, 0xbffff, true);
    dsdt_mem_windows(a, c);
    if (c->pci64_end)
        aml_res_mem64_window(a, c->pci64_start, c->pci64_end - 1);
    aml_resources_end(a);
    if (c->q35) {
        dsdt_osc(a);
        dsdt_prt_q35(a, c);
    } else {
        dsdt_prt(a, c, "_PRT", false);
    }
    dsdt_isa(a, c);
    if (c->hotplug_slots)
        dsdt_hotplug(a, c);
    aml_end(a);
}

/* What takes up addresses without a driver, and platform devices outside PCI. */
static void dsdt_platform(struct aml *a, const struct acpi_config *c)
{
    dsdt_isa_device(a, "MBRD", "PNP0C02");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, c->pm_base, c->q35 ? PM_ICH9_SIZE : PM_SIZE);
    aml_res_io(a, PM_SMI_CMD, 2);
    aml_res_io(a, 0x4d0, 2);
    aml_res_io(a, 0x92, 1);
    if (c->hotplug_slots)
        aml_res_io(a, ACPI_HOTPLUG_PORT, ACPI_HOTPLUG_PORTS);
    if (c->q35) {
        aml_res_mem32(a, c->ecam, c->ecam_size, true);
        aml_res_mem32(a, ICH9_RCBA_BASE, 16 * KiB, true);
    }
    aml_resources_end(a);
    aml_end(a);

    aml_device(a, "FWCF");
    aml_name(a, "_HID");
    aml_string(a, "QEMU0002");
    aml_name_int(a, "_STA", 0x0b);
    dsdt_isa_resources(a, FW_CFG_PORT, FW_CFG_PORTS, 0, -1);

    if (c->hpet) {
        dsdt_isa_device(a, "HPET", "PNP0103");
        aml_name_int(a, "_UID", 0);
        aml_name(a, "_CRS");
        aml_resources(a);
        aml_res_mem32(a, HPET_BASE, 0x400, false);
        aml_resources_end(a);
        aml_end(a);
    }
}

/* A driver finds pvpanic's port in its resources. */
static void dsdt_pvpanic(struct aml *a, const struct acpi_config *c)
{
    aml_device(a, "PEVT");
    aml_name(a, "_HID");
    aml_string(a, "QEMU0001");
    aml_name_int(a, "_STA", 0x0f);
    dsdt_isa_resources(a, c->pvpanic_port, 1, 0, -1);
}

/* Transports that a driver finds by the _HID which Linux' virtio_mmio has registered for them. */
static void dsdt_virtio_mmio(struct aml *a, const struct acpi_config *c)
{
    char name[5];

    for (unsigned i = 0; i < c->n_virtio_mmio; i++) {
        g_snprintf(name, sizeof(name), "VR%02X", i & 0xff);
        aml_device(a, name);
        aml_name(a, "_HID");
        aml_string(a, "LNRO0005");
        aml_name_int(a, "_UID", i);
        aml_name(a, "_CRS");
        aml_resources(a);
        aml_res_mem32(a, c->virtio_mmio[i].addr, VIRTIO_MMIO_SIZE, true);
        aml_res_interrupt(a, &c->virtio_mmio[i].gsi, 1);
        aml_resources_end(a);
        aml_end(a);
    }
}

static void dsdt_hotplug_event(struct aml *a)
{
    aml_scope(a, "\\_GPE");
    aml_method(a, "_E01", 0, true);
    aml_path(a, "\\_SB.PCI0.PCNT");
    aml_end(a);
    aml_end(a);
}

static void aml_sleep_state(struct aml *a, const char *name, unsigned slp_typ)
{
    aml_name(a, name);
    aml_package(a, 4);
    aml_int(a, slp_typ);
    aml_int(a, slp_typ);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a);
}

void acpi_dsdt_build(const struct acpi_config *c, GByteArray *out)
{
    struct aml a = { .out = out };

    if (c->q35)
        dsdt_pic_mode(&a);
    aml_scope(&a, "\\_SB");
    dsdt_pci_root(&a, c);
    for (unsigned i = 0; i < (c->q35 ? 8 : 4); i++)
        dsdt_link(&a, i);
    dsdt_platform(&a, c);
    if (c->pvpanic_port)
        dsdt_pvpanic(&a, c);
    dsdt_virtio_mmio(&a, c);
    for (unsigned i = 0; i < c->cpus; i++) {
        char name[5];
        g_snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        aml_processor(&a, name, i);
        aml_end(&a);
    }
    aml_end(&a);
    if (c->hotplug_slots)
        dsdt_hotplug_event(&a);
    aml_sleep_state(&a, "\\_S3", PM_SLP_TYP_S3);
    aml_sleep_state(&a, "\\_S5", PM_SLP_TYP_S5);
    assert(a.depth == 0);
}
