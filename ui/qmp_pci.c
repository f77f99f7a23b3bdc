/* QMP's query-pci: the functions on every PCI bus, from their configuration space. Main thread, from ui/qmp.c and, through it, the monitor's
 * `info pci`. Source: PCI Local Bus Specification 3.0, chapter 6; PCI Code and ID Assignment Specification for class names. */
#include "hw/pci/pci.h"
#include "ui/qmp_cmd.h"

static const struct {
    u16 code; /* class << 8 | subclass */
    const char *desc;
} class_names[] = {
    { 0x0001, "VGA controller" }, { 0x0100, "SCSI controller" }, { 0x0101, "IDE controller" }, { 0x0102, "Floppy controller" },
    { 0x0104, "RAID controller" }, { 0x0106, "SATA controller" }, { 0x0107, "SAS controller" }, { 0x0108, "NVMe controller" },
    { 0x0180, "Storage controller" }, { 0x0200, "Ethernet controller" }, { 0x0280, "Network controller" }, { 0x0300, "VGA controller" },
    { 0x0301, "XGA controller" }, { 0x0302, "3D controller" }, { 0x0380, "Display controller" }, { 0x0400, "Video controller" },
    { 0x0401, "Audio controller" }, { 0x0403, "Audio controller" }, { 0x0500, "RAM controller" }, { 0x0600, "Host bridge" },
    { 0x0601, "ISA bridge" }, { 0x0604, "PCI bridge" }, { 0x0680, "Bridge" }, { 0x0700, "Serial port" }, { 0x0780, "Communication controller" },
    { 0x0800, "PIC" }, { 0x0880, "System peripheral" }, { 0x0c03, "USB controller" }, { 0x0c05, "SMBus" }, { 0x00ff, NULL },
};

static const char *class_name(u16 code)
{
    for (unsigned i = 0; class_names[i].desc; i++)
        if (class_names[i].code == code)
            return class_names[i].desc;
    return NULL;
}

static u64 bar_address(const struct pci_device *d, unsigned i)
{
    unsigned reg = i == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BAR0 + 4 * i;
    u32 lo = ld32(d->config + reg);

    if (i == PCI_ROM_BAR)
        return lo & ~0x7ffu;
    if (d->bar[i].type & PCI_BAR_IO)
        return lo & ~3u;
    return (d->bar[i].type & PCI_BAR_MEM64 ? (u64)ld32(d->config + reg + 4) << 32 : 0) | (lo & ~15u);
}

static void add_regions(JsonBuilder *b, const struct pci_device *d)
{
    json_open_array(b, "regions");
    for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
        const struct pci_bar *bar = &d->bar[i];
        bool io = bar->type & PCI_BAR_IO && i != PCI_ROM_BAR;
        if (!bar->region)
            continue;
        json_open(b, NULL);
        if (!io) {
            json_bool(b, "prefetch", bar->type & PCI_BAR_PREFETCH);
            json_bool(b, "mem_type_64", bar->type & PCI_BAR_MEM64);
        }
        json_int(b, "bar", i);
        json_int(b, "size", (i64)bar->region->size);
        json_int(b, "address", (i64)bar_address(d, i));
        json_str(b, "type", io ? "io" : "memory");
        json_close(b);
    }
    json_close_array(b);
}

static void add_bus(JsonBuilder *b, const struct pci_bus *bus, unsigned number);

static void add_bridge(JsonBuilder *b, const struct pci_device *d)
{
    unsigned number = d->config[PCI_SECONDARY_BUS];

    json_open(b, "pci_bridge");
    json_open(b, "bus");
    json_int(b, "number", d->config[PCI_PRIMARY_BUS]);
    json_int(b, "secondary", number);
    json_int(b, "subordinate", d->config[PCI_SUBORDINATE_BUS]);
    json_close(b);
    add_bus(b, d->secondary, number);
    json_close(b);
}

static void add_function(JsonBuilder *b, const struct pci_device *d, unsigned bus)
{
    u16 code = ld16(d->config + PCI_CLASS);
    const char *desc = class_name(code);

    json_open(b, NULL);
    json_int(b, "bus", bus);
    json_int(b, "slot", PCI_SLOT(d->devfn));
    json_int(b, "function", PCI_FUNC(d->devfn));
    json_open(b, "class_info");
    if (desc)
        json_str(b, "desc", desc);
    json_int(b, "class", code);
    json_close(b);
    json_open(b, "id");
    json_int(b, "device", ld16(d->config + PCI_DEVICE_ID));
    json_int(b, "vendor", ld16(d->config + PCI_VENDOR_ID));
    if (!d->secondary) {
        json_int(b, "subsystem", ld16(d->config + PCI_SUBSYS_ID));
        json_int(b, "subsystem-vendor", ld16(d->config + PCI_SUBSYS_VENDOR));
    }
    json_close(b);
    if (d->config[PCI_INT_PIN])
        json_int(b, "irq", d->config[PCI_INT_LINE]);
    json_int(b, "irq_pin", d->config[PCI_INT_PIN]);
    json_str(b, "qdev_id", d->dev.id);
    add_regions(b, d);
    if (d->secondary)
        add_bridge(b, d);
    json_close(b);
}

static void add_bus(JsonBuilder *b, const struct pci_bus *bus, unsigned number)
{
    json_open_array(b, "devices");
    for (unsigned i = 0; i < ARRAY_LEN(bus->dev); i++)
        if (bus->dev[i])
            add_function(b, bus->dev[i], number);
    json_close_array(b);
}

int qmp_query_pci(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open_array(b, NULL);
    lock_acquire(&c->m->lock);
    if (c->m->pci) {
        json_open(b, NULL);
        json_int(b, "bus", 0);
        add_bus(b, c->m->pci, 0);
        json_close(b);
    }
    lock_release(&c->m->lock);
    json_close_array(b);
    return qmp_answer(c, b);
}
