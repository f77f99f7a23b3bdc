/* The PC: which chips there are and how they are wired, RAM and ROM, and what firmware needs to know about them; what the machines "pc"
 * and "q35" have in common, their chipsets are in pc_piix.c and pc_q35.c. Main
 * thread under the machine lock; interrupt and A20 lines are also driven by vCPU threads and timers with that lock held. */
#include <glib.h>
#include "hw/backend/drive.h"
#include "hw/char/debugcon.h"
#include "hw/char/uart.h"
#include "hw/display/vga_boot.h"
#include "hw/dma/i8257.h"
#include "hw/input/i8042.h"
#include "hw/input/vmmouse.h"
#include "hw/intc/lapic.h"
#include "hw/intc/pic.h"
#include "hw/machine/acpi_hotplug.h"
#include "hw/machine/pc.h"
#include "hw/machine/fw_cfg.h"
#include "hw/machine/pc_firmware.h"
#include "hw/machine/rom.h"
#include "hw/machine/smbios.h"
#include "hw/misc/vmport.h"
#include "hw/pci/shadow.h"
#include "hw/storage/fdc.h"
#include "hw/timer/hpet.h"
#include "hw/timer/pit.h"
#include "hw/timer/pm.h"
#include "hw/timer/rtc.h"
#include "mmu/ram.h"

#define PCI_MEM_END 0xfec00000u /* where direct boot puts BARs */
#define PCI_IO_FIRST 0xc000
#define DEBUGCON_PORT 0xe9
#define FERR_PORT 0xf0
#define CMOS_SHUTDOWN 0x0f
#define SHUTDOWN_S3_WAKE 0xfe /* tells firmware to go to the waking vector */
static const u8 pirq_irq[8] = { 10, 10, 11, 11, 10, 10, 11, 11 }; /* as PC firmware routes them */

/* -- lines that fan out or in --------------------------------------------------------------------------------------- */

/* A global system interrupt: an ISA IRQ goes to both controllers, where IRQ 0 arrives at pin 2 of the I/O APIC. */
static void pc_gsi_set(void *opaque, int n, int level)
{
    struct pc *pc = opaque;

    if (n < 16 && n != 2)
        irq_set(&pc->pic_in[n], level);
    if (n != 2)
        irq_set(&pc->ioapic_in[n == 0 ? 2 : n], level);
}

/* The A20 gate opens if either the keyboard controller or port 92 asks for it. */
static void pc_a20_set(void *opaque, int source, int level)
{
    struct machine *m = opaque;
    struct pc *pc = m->board_state;
    bool on;

    pc->a20_in[source] = level;
    on = pc->a20_in[A20_FROM_I8042] || pc->a20_in[A20_FROM_PORT92];
    if (on == m->a20_enabled)
        return;
    m->a20_enabled = on;
    if (m->a20_changed)
        m->a20_changed(m->a20_opaque, on);
}

/* A write to port 0xf0 takes the coprocessor's interrupt back and ignores its error. */
static void pc_ferr_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct machine *m = opaque;

    if (m->pins.ignne)
        m->pins.ignne(m->pins.opaque, 0);
}

static const struct region_ops pc_ferr_ops = { NULL, pc_ferr_write, 1, 1 };

static void pc_power_button(struct machine *m)
{
    pm_power_button(((struct pc *)m->board_state)->pm);
}

/* -- memory --------------------------------------------------------------------------------------------------------- */

static int pc_add_ram(struct machine *m, struct pc *pc, struct err *e)
{
    u64 size = m->cfg.ram_size;

    if (size < 1 * MiB)
        return err_set(e, "-m: a PC needs at least 1 MiB of memory");
    pc->ram.low = pc->chipset->low_ram(size);
    pc->ram.high = size - pc->ram.low;
    m->ram = ram_new("pc.ram", size, e);
    if (!m->ram)
        return -1;
    if (m->cfg.no_guest_core)
        ram_no_core(m->ram);
    region_init_ram(&pc->ram_low, "ram-low", m->ram, 0, PC_LOW_HOLE);
    region_add(&m->mem_root, 0, &pc->ram_low, 0);
    if (pc->ram.low > 1 * MiB) {
        region_init_ram(&pc->ram_mid, "ram", m->ram, 1 * MiB, pc->ram.low - 1 * MiB);
        region_add(&m->mem_root, 1 * MiB, &pc->ram_mid, 0);
    }
    if (pc->ram.high) {
        region_init_ram(&pc->ram_high, "ram-high", m->ram, pc->ram.low, pc->ram.high);
        region_add(&m->mem_root, 4 * GiB, &pc->ram_high, 0);
    }
    return 0;
}

/* -- what is booted ------------------------------------------------------------------------------------------------- */

/* Options about firmware, which a kernel does not get. */
static int pc_check_no_firmware(const struct machine_config *cfg, const struct pc *pc, struct err *e)
{
    const struct { const char *option, *value; } firmware[] = {
        { "-bios ", cfg->bios }, { "-machine pflash0=", cfg->pflash[0] }, { "-machine pflash1=", cfg->pflash[1] },
        { "-option-rom ", cfg->n_option_roms ? cfg->option_roms[0] : NULL },
    };

    for (unsigned i = 0; i < ARRAY_LEN(firmware); i++)
        if (firmware[i].value)
            return err_set(e, "%s%s: a kernel (%s %s) is started without firmware; leave one of them out", firmware[i].option,
                           firmware[i].value, pc->kernel_option, pc->kernel);
    return 0;
}

static int pc_choose_boot(struct machine *m, struct pc *pc, struct err *e)
{
    const struct machine_config *cfg = &m->cfg;
    enum image_kind kind;

    if (cfg->kernel) {
        pc->kernel_option = "-kernel";
        pc->kernel = cfg->kernel;
    }
    if (cfg->image) {
        if (image_probe(cfg->image, &kind, e) < 0)
            return -1;
        if (kind == IMAGE_DISK) {
            if (drive_add_image(cfg->image, e) < 0)
                return -1;
        } else if (cfg->kernel) {
            return err_set(e, "image '%s' is a kernel, not a disk, and -kernel names another", cfg->image);
        } else {
            pc->kernel_option = "image";
            pc->kernel = cfg->image;
        }
    }
    if (!pc->kernel && (cfg->initrd || cfg->append))
        return err_set(e, "%s: needs a kernel to be started directly", cfg->initrd ? "-initrd" : "-append");
    return pc->kernel ? pc_check_no_firmware(cfg, pc, e) : rom_load(m, cfg->bios, &pc->rom, e);
}

/* -- chips ---------------------------------------------------------------------------------------------------------- */

/* Interrupt controllers first: everybody else takes lines from them. */
static int pc_add_interrupts(struct machine *m, struct pc *pc, struct err *e)
{
    if (!(pc->bus = apic_bus_new(m, e)) || !(pc->pic = pic_new(m, apic_bus_lint(pc->bus, 0), e)) ||
        !(pc->ioapic = ioapic_new(m, e)))
        return -1;
    apic_bus_connect(pc->bus, pc->pic, pc->ioapic);
    for (unsigned i = 0; i < ARRAY_LEN(pc->pic_in); i++)
        pc->pic_in[i] = i == 2 ? (struct irq_line){ NULL, NULL, 0 } : pic_line(pc->pic, i);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        pc->ioapic_in[i] = ioapic_line(pc->ioapic, i);
        m->gsi[i] = (struct irq_line){ pc_gsi_set, pc, i };
    }
    return 0;
}

static int pc_add_at(struct machine *m, const char *cls, const char *addr, struct err *e)
{
    struct device *d = device_alloc(m, cls, e);

    if (!d)
        return -1;
    if (device_set_prop(d, "addr", addr, e) < 0) {
        device_abandon(d);
        return -1;
    }
    return device_realize(d, e);
}

/* The display adapter of -vga and the USB controller of -usb, where PCs have them. */
static int pc_add_optional(struct machine *m, const struct pc *pc, struct err *e)
{
    const struct pc_chipset *c = pc->chipset;

    if (m->cfg.vga && pc_add_at(m, m->cfg.vga, c->display_addr, e) < 0)
        return -1;
    if (m->cfg.usb && !c->usb_class)
        return err_set(e, "-usb: machine %s has no USB controller of its own here; use -device qemu-xhci", m->cfg.type);
    return m->cfg.usb ? pc_add_at(m, c->usb_class, c->usb_addr, e) : 0;
}

/* The clock's interrupt is the alarm event of ACPI, too. */
static void pc_rtc_set(void *opaque, int n, int level)
{
    struct pc *pc = opaque;

    irq_set(&pc->rtc_irq, level);
    if (level)
        pm_rtc_alarm(pc->pm);
}

static struct device *pc_rtc_new(struct machine *m, struct pc *pc, struct device *hpet, struct err *e)
{
    pc->rtc_irq = hpet ? hpet_legacy_in(hpet, 1) : m->gsi[8];
    return rtc_new(m, (struct irq_line){ pc_rtc_set, pc, 0 }, e);
}

/* The 440FX machine always has a floppy disk controller, Q35 at need. */
static bool pc_has_floppies(const struct pc *pc)
{
    return pc->chipset == &piix_chipset || drive_find(DRIVE_FLOPPY, 0, 0) || drive_find(DRIVE_FLOPPY, 0, 1);
}

static int pc_add_legacy(struct machine *m, struct pc *pc, struct err *e)
{
    struct irq_line a20_i8042 = { pc_a20_set, m, A20_FROM_I8042 }, a20_port92 = { pc_a20_set, m, A20_FROM_PORT92 };
    struct device *hpet = m->cfg.no_hpet ? NULL : hpet_new(m, e), *i8042, *vmport;

    if ((!hpet && !m->cfg.no_hpet) || (!m->cfg.no_pit && !pit_new(m, hpet ? hpet_legacy_in(hpet, 0) : m->gsi[0], e)) || !(pc->rtc = pc_rtc_new(m, pc, hpet, e)) ||
        !(i8042 = i8042_new(m, m->gsi[1], m->gsi[12], a20_i8042, e)) || !port92_new(m, a20_port92, e) || !reset_ctl_new(m, e))
        return -1;
    if (!m->cfg.no_vmport && (!(vmport = vmport_new(m, e)) || !vmmouse_new(m, vmport, i8042, e)))
        return -1;
    if (!i8257_new(m, e) || (pc_has_floppies(pc) && !fdc_new(m, e)))
        return -1;
    region_init_io(&pc->ferr, "ferr", 1, &pc_ferr_ops, m, &m->lock);
    region_add(&m->io_root, FERR_PORT, &pc->ferr, 0);
    for (unsigned i = 0; i < PC_COM_PORTS; i++)
        if (m->cfg.serial_chr[i] && !uart_new(m, i, m->cfg.serial_chr[i], e))
            return -1;
    if (m->cfg.debugcon_chr && !debugcon_new(m, DEBUGCON_PORT, m->cfg.debugcon_chr, e))
        return -1;
    return 0;
}

/* -- the board ------------------------------------------------------------------------------------------------------ */

static int pc_build(struct machine *m, const struct pc_chipset *chipset, struct err *e)
{
    struct pc *pc = g_new0(struct pc, 1);

    m->board_state = pc;
    pc->chipset = chipset;
    m->a20_enabled = true;
    m->power_button = pc_power_button;
    if (pc_choose_boot(m, pc, e) < 0 || pc_add_ram(m, pc, e) < 0 || pc_add_interrupts(m, pc, e) < 0 ||
        pc->chipset->add(m, pc, e) < 0 || pc_add_optional(m, pc, e) < 0 || pc_add_legacy(m, pc, e) < 0)
        return -1;
    return fw_cfg_new(m, e) ? 0 : -1;
}

/* With a kernel there is no firmware: leave the chipset as firmware would. */
static void pc_reset(struct machine *m)
{
    struct pc *pc = m->board_state;
    struct pci_windows windows = { .io = PCI_IO_FIRST, .io_end = 64 * KiB, .mem_end = PCI_MEM_END, .mem64 = pc_pci64_start(pc),
                                   .mem64_end = PCI_MEM64_END };

    m->boot = (struct boot_state){ 0 };
    if (pc->hotplug)
        acpi_hotplug_reset(pc->hotplug);
    pc_reset_boot_order(m, pc);
    if (m->suspended)
        rtc_cmos_set(pc->rtc, CMOS_SHUTDOWN, SHUTDOWN_S3_WAKE);
    if (!pc->boot)
        return;
    region_txn_begin();
    pc->chipset->setup(m, pc, pirq_irq, &windows);
    pci_bus_assign(m->pci, &windows, pirq_irq);
    region_txn_commit();
    if (m->suspended)
        boot_wake(pc->boot);
    else
        boot_install(pc->boot);
    vga_boot_text(m);
}

static void pc_free(struct machine *m)
{
    struct pc *pc = m->board_state;

    boot_free(pc->boot);
    acpi_free(pc->acpi);
    smbios_free(pc->smbios);
    if (pc->ferr.parent)
        region_del(&pc->ferr);
}

static void pc_free_memory(struct machine *m)
{
    struct pc *pc = m->board_state;

    if (m->pci)
        pci_bus_free(m->pci);
    m->pci = NULL;
    rom_free(pc->rom);
    if (m->ram)
        ram_free(m->ram);
    m->ram = NULL;
    g_free(pc);
    m->board_state = NULL;
}

static int pc_finish(struct machine *m, struct err *e)
{
    return pc_add_tables(m, m->board_state, e);
}

static int piix_build(struct machine *m, struct err *e)
{
    return pc_build(m, &piix_chipset, e);
}

static int q35_build(struct machine *m, struct err *e)
{
    return pc_build(m, &q35_chipset, e);
}

const struct machine_board pc_board = {
    .name = "pc",
    .build = piix_build,
    .finish = pc_finish,
    .reset = pc_reset,
    .firmware_file = pc_firmware_file,
    .set_boot_order = pc_set_boot_order,
    .free = pc_free,
    .free_memory = pc_free_memory,
};

const struct machine_board q35_board = {
    .name = "q35",
    .build = q35_build,
    .finish = pc_finish,
    .reset = pc_reset,
    .firmware_file = pc_firmware_file,
    .set_boot_order = pc_set_boot_order,
    .free = pc_free,
    .free_memory = pc_free_memory,
};
