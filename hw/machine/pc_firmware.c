/* What the PC tells firmware and directly booted kernels about itself; see pc_firmware.h. Main thread, machine lock held; the ACPI tables are
 * brought up to date in the thread of the vCPU that fetches them. */
#include "hw/machine/pc_firmware.h"
#include <glib.h>
#include <stdlib.h>
#include "hw/backend/drive.h"
#include "hw/core/datafile.h"
#include "hw/iommu/intel_iommu.h"
#include "hw/machine/boot_order.h"
#include "hw/machine/fw_cfg.h"
#include "hw/machine/smbios.h"
#include "hw/storage/fdc.h"
#include "hw/timer/pm.h"
#include "hw/timer/rtc.h"
#include "util/opts.h"

#define COM1_PORT 0x3f8
#define FW_CFG_ITEM_MAX (64 * MiB) /* of -fw_cfg and option ROMs */

/* -- CMOS -------------------------------------------------------------------------------------------------------------- */

/* Floppy drives, which -device may have added, and the equipment byte: FPU, PS/2 mouse, how many drives. */
static void pc_fill_cmos_floppies(struct machine *m, const struct pc *pc)
{
    struct device *fdc = fdc_find(m);
    u8 a = fdc_cmos_type(fdc, 0), b = fdc_cmos_type(fdc, 1);

    rtc_cmos_set(pc->rtc, 0x10, a << 4 | b);
    rtc_cmos_set(pc->rtc, 0x14, 0x06 | (a ? 0x01 : 0) | (a && b ? 0x40 : 0));
}

static void pc_fill_cmos(const struct machine *m, const struct pc *pc)
{
    u32 ext_k = MIN_OF((pc->ram.low - 1 * MiB) / KiB, 0xffff);
    u32 above_16m = pc->ram.low > 16 * MiB ? (pc->ram.low - 16 * MiB) / (64 * KiB) : 0;
    u64 above_4g = pc->ram.high / (64 * KiB);
    const struct { u8 idx, val; } cmos[] = {
        { 0x15, 640 & 0xff }, { 0x16, 640 >> 8 },                  /* KiB of conventional memory */
        { 0x17, ext_k }, { 0x18, ext_k >> 8 }, { 0x30, ext_k }, { 0x31, ext_k >> 8 },
        { 0x34, above_16m }, { 0x35, above_16m >> 8 },             /* 64 KiB units */
        { 0x5b, above_4g }, { 0x5c, above_4g >> 8 }, { 0x5d, above_4g >> 16 },
        { 0x5f, m->cfg.cpus - 1 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cmos); i++)
        rtc_cmos_set(pc->rtc, cmos[i].idx, cmos[i].val);
}

/* -boot order=: up to three of a floppy, c disk, d CD, n network, as nibbles: the first two in 0x3d, the third in 0x38. */
static void pc_fill_cmos_boot(const struct pc *pc, const char *order)
{
    u8 n[3] = { 0 };

    for (unsigned i = 0; i < 3 && order[i]; i++)
        n[i] = order[i] == 'a' ? 1 : order[i] == 'c' ? 2 : order[i] == 'd' ? 3 : 4;
    rtc_cmos_set(pc->rtc, 0x3d, n[1] << 4 | n[0]);
    rtc_cmos_set(pc->rtc, 0x38, n[2] << 4);
}

void pc_reset_boot_order(struct machine *m, struct pc *pc)
{
    const char *order = m->cfg.boot_order ? m->cfg.boot_order : "cda";

    if (m->cfg.boot_once && !pc->started) /* the machine's first reset is its start */
        order = m->cfg.boot_once;
    if (!pc->boot_order_set)
        pc_fill_cmos_boot(pc, order);
    pc->started = true;
    pc_fill_cmos_floppies(m, pc);
}

void pc_set_boot_order(struct machine *m, const char *order)
{
    struct pc *pc = m->board_state;

    pc->boot_order_set = true;
    pc_fill_cmos_boot(pc, order);
}

const char *pc_firmware_file(const struct machine *m, unsigned n, u32 *len)
{
    return m->fw_cfg ? fw_cfg_file_nth(m->fw_cfg, n, len) : NULL;
}

/* -- tables ------------------------------------------------------------------------------------------------------------ */

u64 pc_pci64_start(const struct pc *pc)
{
    return ALIGN_UP(4 * GiB + pc->ram.high, 1 * GiB);
}

static u32 pc_prop_u32(const struct device *d, const char *name)
{
    char *text = device_get_prop(d, name);
    u32 v = strtoul(text, NULL, 10);

    g_free(text);
    return v;
}

/* Devices that a driver finds by ACPI alone. */
static void pc_find_platform(const struct machine *m, struct acpi_config *c)
{
    for (const struct device *d = m->devices; d; d = d->next) {
        if (!strcmp(d->cls->name, "pvpanic"))
            c->pvpanic_port = pc_prop_u32(d, "ioport");
        if (!strcmp(d->cls->name, "virtio-mmio") && c->n_virtio_mmio < ACPI_VIRTIO_MMIO_MAX) {
            c->virtio_mmio[c->n_virtio_mmio].addr = pc_prop_u32(d, "addr");
            c->virtio_mmio[c->n_virtio_mmio++].gsi = pc_prop_u32(d, "irq");
        }
    }
}

static struct acpi_tables *pc_build_acpi(const struct machine *m, const struct pc *pc)
{
    struct acpi_config c = { .cpus = m->cfg.cpus, .pci64_start = pc_pci64_start(pc), .pci64_end = PCI_MEM64_END, .hpet = !m->cfg.no_hpet };
    struct intel_iommu_info iommu;

    for (unsigned i = 0; i < PC_COM_PORTS; i++)
        c.com[i] = m->cfg.serial_chr[i] != NULL;
    c.floppy = drive_find(DRIVE_FLOPPY, 0, 0) || drive_find(DRIVE_FLOPPY, 0, 1);
    if (c.pci64_start >= c.pci64_end)
        c.pci64_start = c.pci64_end = 0;
    pc_find_platform(m, &c);
    if (intel_iommu_find(m, &iommu)) {
        c.iommu = iommu.base;
        c.iommu_bits = iommu.address_bits;
        c.intremap = iommu.intremap;
        c.x2apic_opt_out = iommu.intremap && !iommu.eim;
    }
    pc->chipset->describe(pc, &c);
    return acpi_build(&c);
}

/* Firmware fetches the tables when it has placed what they speak of. */
static void pc_refresh_acpi(void *opaque, u8 *data, u32 len)
{
    const struct machine *m = opaque;
    struct acpi_tables *t = pc_build_acpi(m, m->board_state);

    if (t->tables->len == len)
        memcpy(data, t->tables->data, len);
    acpi_free(t);
}

static int pc_build_smbios(struct machine *m, struct pc *pc, struct err *e)
{
    struct smbios_config c = {
        .product = pc->chipset->product, .version = pc->chipset->version, .ram_low = pc->ram.low, .ram_high = pc->ram.high,
        .cores = MAX_OF(m->cfg.cores, 1), .threads = MAX_OF(m->cfg.threads, 1), .options = m->cfg.smbios, .n_options = m->cfg.n_smbios,
        .v3 = m->cfg.smbios_v3,
    };

    c.sockets = MAX_OF(m->cfg.cpus / (c.cores * c.threads), 1);
    memcpy(c.uuid, m->cfg.uuid, 16);
    pc->smbios = smbios_build(&c, e);
    return pc->smbios ? 0 : -1;
}

/* -- firmware configuration ---------------------------------------------------------------------------------------------- */

static int pc_read_item(const char *option, const char *path, gchar **data, gsize *len, struct err *e)
{
    GError *ge = NULL;

    if (!g_file_get_contents(path, data, len, &ge)) {
        err_set(e, "%s: %s", option, ge->message);
        g_error_free(ge);
        return -1;
    }
    if (*len <= FW_CFG_ITEM_MAX)
        return 0;
    g_free(*data);
    return err_set(e, "%s: '%s' has more than %llu bytes", option, path, FW_CFG_ITEM_MAX);
}

/* One -fw_cfg. */
static int pc_add_user_item(struct machine *m, const char *text, struct err *e)
{
    struct opts *o = opts_parse(text, "name", e);
    const char *name = o ? opts_get(o, "name") : NULL, *file = o ? opts_get(o, "file") : NULL, *string = o ? opts_get(o, "string") : NULL;
    gchar *data;
    gsize len;
    int r = o ? 0 : -1;

    if (r == 0 && opts_all_used(o, e) < 0)
        r = err_prefix(e, "-fw_cfg %s", text);
    else if (r == 0 && (!name || !*name || strlen(name) > FW_CFG_NAME_MAX))
        r = err_set(e, "-fw_cfg %s: name= is missing or longer than %u characters", text, FW_CFG_NAME_MAX);
    else if (r == 0 && !file == !string)
        r = err_set(e, "-fw_cfg %s: wants one of file= and string=", text);
    else if (r == 0 && fw_cfg_has_file(m->fw_cfg, name))
        r = err_set(e, "-fw_cfg %s: there is an item of that name already", text);
    else if (r == 0 && string)
        fw_cfg_add_file(m->fw_cfg, name, string, strlen(string));
    else if (r == 0 && (r = pc_read_item("-fw_cfg", file, &data, &len, e)) == 0) {
        fw_cfg_add_file(m->fw_cfg, name, data, len);
        g_free(data);
    }
    if (r == 0 && !g_str_has_prefix(name, "opt/"))
        warn_report("-fw_cfg %s: names of items should begin with \"opt/\"", text);
    opts_free(o);
    return r;
}

/* -option-rom FILE: firmware runs it like the ROM of an adapter. */
static int pc_add_option_rom(struct machine *m, const char *file, struct err *e)
{
    char *path = datafile_find(m, file), *base = g_path_get_basename(file), *name = g_strdup_printf("genroms/%.40s", base);
    gchar *data;
    gsize len;
    int r = path ? pc_read_item("-option-rom", path, &data, &len, e) : err_set(e, "-option-rom %s: there is no such file", file);

    if (r == 0) {
        fw_cfg_add_file(m->fw_cfg, name, data, len);
        g_free(data);
    }
    g_free(path);
    g_free(base);
    g_free(name);
    return r;
}

static void pc_add_boot_items(struct machine *m)
{
    struct fw_cfg *f = m->fw_cfg;
    const u16 splash = m->cfg.splash_time ? atoi(m->cfg.splash_time) : 0;
    const u32 fail = m->cfg.reboot_timeout ? atoi(m->cfg.reboot_timeout) : 0; /* -1: do not reboot */

    fw_cfg_add_uint(f, FW_CFG_BOOT_MENU, m->cfg.boot_menu, 2);
    if (m->cfg.splash_time)
        fw_cfg_add_file(f, "etc/boot-menu-wait", &splash, sizeof(splash));
    if (m->cfg.reboot_timeout)
        fw_cfg_add_file(f, "etc/boot-fail-wait", &fail, sizeof(fail));
}

static int pc_add_boot_order(struct machine *m, struct err *e)
{
    GByteArray *order = g_byte_array_new();
    int r = boot_order_build(m, m->cfg.boot_strict, order, e);

    if (r == 0 && order->len)
        fw_cfg_add_file(m->fw_cfg, "bootorder", order->data, order->len);
    g_byte_array_unref(order);
    return r;
}

static void pc_add_table_items(struct machine *m, struct pc *pc)
{
    struct fw_cfg *f = m->fw_cfg;

    if (pc->kernel) /* direct boot puts them into memory */
        return;
    fw_cfg_add_file(f, SMBIOS_TABLES_FILE, pc->smbios->tables->data, pc->smbios->tables->len);
    fw_cfg_add_file(f, SMBIOS_ANCHOR_FILE, pc->smbios->anchor->data, pc->smbios->anchor->len);
    if (m->cfg.no_acpi)
        return;
    fw_cfg_add_file(f, ACPI_TABLES_FILE, pc->acpi->tables->data, pc->acpi->tables->len);
    fw_cfg_refresh(f, ACPI_TABLES_FILE, pc_refresh_acpi, m);
    fw_cfg_add_file(f, ACPI_RSDP_FILE, pc->acpi->rsdp->data, pc->acpi->rsdp->len);
    fw_cfg_add_file(f, ACPI_LOADER_FILE, pc->acpi->loader->data, pc->acpi->loader->len);
}

static int pc_add_fw_cfg(struct machine *m, struct pc *pc, struct err *e)
{
    static const u8 system_states[6] = { 128, 0, 0, 128 | PM_SLP_TYP_S3, 2, 128 }; /* S0, S3 and S5 (bit 7), no S4 */
    const struct e820_entry e820[] = { { 0, pc->ram.low, E820_RAM }, { 4 * GiB, pc->ram.high, E820_RAM } };
    struct fw_cfg *f;
    u64 *numa;

    f = m->fw_cfg;
    numa = g_new0(u64, 1 + m->cfg.cpus); /* no nodes */
    fw_cfg_add(f, FW_CFG_UUID, m->cfg.uuid, 16);
    fw_cfg_add_uint(f, FW_CFG_RAM_SIZE, m->cfg.ram_size, 8);
    fw_cfg_add_uint(f, FW_CFG_NOGRAPHIC, m->cfg.nographic, 2);
    fw_cfg_add_uint(f, FW_CFG_NB_CPUS, m->cfg.cpus, 2);
    fw_cfg_add_uint(f, FW_CFG_MAX_CPUS, m->cfg.cpus, 2);
    fw_cfg_add(f, FW_CFG_NUMA, numa, 8 * (1 + m->cfg.cpus));
    g_free(numa);
    fw_cfg_add_uint(f, FW_CFG_IRQ0_OVERRIDE, 1, 4);
    pc_add_boot_items(m);
    if (pc_add_boot_order(m, e) < 0)
        return -1;
    fw_cfg_add_file(f, "etc/e820", e820, pc->ram.high ? sizeof(e820) : sizeof(e820[0]));
    fw_cfg_add_file(f, "etc/system-states", system_states, sizeof(system_states));
    if (m->cfg.serial_chr[0] && (m->cfg.nographic || !m->cfg.vga)) { /* firmware's console goes to the serial port */
        const u16 port = COM1_PORT;
        fw_cfg_add_file(f, "etc/sercon-port", &port, sizeof(port));
    }
    pc_add_table_items(m, pc);
    for (unsigned i = 0; i < m->cfg.n_option_roms; i++)
        if (pc_add_option_rom(m, m->cfg.option_roms[i], e) < 0)
            return -1;
    for (unsigned i = 0; i < m->cfg.n_fw_cfg; i++)
        if (pc_add_user_item(m, m->cfg.fw_cfg[i], e) < 0)
            return -1;
    return 0;
}

int pc_add_tables(struct machine *m, struct pc *pc, struct err *e)
{
    pc->acpi = pc_build_acpi(m, pc);
    pc_fill_cmos(m, pc);
    if (pc_build_smbios(m, pc, e) < 0 || pc_add_fw_cfg(m, pc, e) < 0)
        return -1;
    if (!pc->kernel)
        return 0;
    if (m->cfg.no_acpi)
        memset(pc->acpi->rsdp->data, 0, pc->acpi->rsdp->len); /* nobody finds the tables */
    pc->boot = boot_load(m, pc->kernel_option, pc->kernel, &pc->ram, pc->acpi, pc->smbios, e);
    return pc->boot ? 0 : -1;
}
