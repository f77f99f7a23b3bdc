/* Builds the boot order for firmware: an Open Firmware device path for each device with a bootindex. Main thread, machine lock held, from
 * hw/machine/pc_firmware.c. IEEE 1275, section 3.2.1.1; PCI Bus Binding to IEEE 1275, section 2.2.1. */
#include "hw/machine/boot_order.h"
#include <stdlib.h>
#include "hw/core/machine.h"
#include "hw/pci/pci.h"

enum { NAME_MAX_BYTES = 80 };

/* Generic names by class code; others are named by their IDs. */
static const struct { u16 class_code; const char *name; } pci_names[] = {
    { 0x0100, "scsi" }, { 0x0101, "ide" }, { 0x0102, "fdc" }, { 0x0200, "ethernet" }, { 0x0300, "VGA" }, { 0x0600, "host" },
    { 0x0601, "isa" }, { 0x0604, "pci-bridge" }, { 0x0c03, "usb" }, { 0x0c05, "smbus" },
};

static void pci_node_name(const struct pci_device *d, char *buf, unsigned size)
{
    u16 class_code = ld16(d->config + PCI_CLASS);
    char unit[16];

    if (PCI_FUNC(d->devfn))
        g_snprintf(unit, sizeof(unit), "%x,%x", PCI_SLOT(d->devfn), PCI_FUNC(d->devfn));
    else
        g_snprintf(unit, sizeof(unit), "%x", PCI_SLOT(d->devfn));
    for (unsigned i = 0; i < ARRAY_LEN(pci_names); i++) {
        if (pci_names[i].class_code == class_code) {
            g_snprintf(buf, size, "%s@%s", pci_names[i].name, unit);
            return;
        }
    }
    g_snprintf(buf, size, "pci%x,%x@%s", ld16(d->config), ld16(d->config + PCI_DEVICE_ID), unit);
}

static void node_name(const struct device *d, char *buf, unsigned size)
{
    if (d->cls->fw_name)
        d->cls->fw_name(d, buf, size);
    else if (d->bus && !strcmp(d->bus->type, "PCI"))
        pci_node_name((const struct pci_device *)d, buf, size);
    else
        g_snprintf(buf, size, "%s", d->cls->name);
}

void boot_order_path(const struct device *d, GString *out)
{
    char name[NAME_MAX_BYTES];

    if (d->bus && d->bus->owner)
        boot_order_path(d->bus->owner, out);
    else if (d->bus && !strcmp(d->bus->type, "PCI"))
        g_string_append(out, "/pci@i0cf8");
    else if (!d->bus)
        g_string_append(out, !strcmp(d->m->board->name, "q35") ? "/pci@i0cf8/isa@1f" : "/pci@i0cf8/isa@1");
    node_name(d, name, sizeof(name));
    if (*name)
        g_string_append_printf(out, "/%s", name);
}

struct entry {
    int index;
    struct device *d;
};

static int compare_entries(gconstpointer a, gconstpointer b)
{
    const struct entry *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static GArray *entries_collect(struct machine *m)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(struct entry));

    for (struct device *d = m->devices; d; d = d->next) {
        char *text = device_get_prop(d, "bootindex");
        struct entry entry = { text ? atoi(text) : -1, d };
        g_free(text);
        if (entry.index >= 0)
            g_array_append_val(list, entry);
    }
    g_array_sort(list, compare_entries);
    return list;
}

int boot_order_build(struct machine *m, bool strict, GByteArray *out, struct err *e)
{
    GArray *list = entries_collect(m);
    GString *text = g_string_new(NULL);
    int r = 0;

    for (unsigned i = 0; i < list->len; i++) {
        const struct entry *x = &g_array_index(list, struct entry, i);
        if (i && x->index == x[-1].index)
            r = err_set(e, "The bootindex %d has already been used (%s, %s)", x->index, x[-1].d->cls->name, x->d->cls->name);
        if (i)
            g_string_append_c(text, '\n');
        boot_order_path(x->d, text);
    }
    if (strict)
        g_string_append_printf(text, "%sHALT", text->len ? "\n" : "");
    if (r == 0 && text->len)
        g_byte_array_append(out, (const u8 *)text->str, text->len + 1);
    g_string_free(text, TRUE);
    g_array_free(list, TRUE);
    return r;
}
