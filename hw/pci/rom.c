/* Option ROMs of PCI functions: the file of romfile=, made to name the function it is for, behind the expansion ROM BAR. Main thread,
 * machine lock held, from pci_attach. PCI Firmware Specification 3.2, section 5.1. */
#include <glib.h>
#include "hw/core/datafile.h"
#include "hw/core/machine.h"
#include "hw/core/prop.h"
#include "hw/pci/pci_priv.h"
#include "mmu/ram.h"

#define ROM_MAX (16 * MiB)
enum { BLOCK = 512, HEADER = 0x1a, PCIR_SIZE = 0x18, PCIR_POINTER = 0x18, LEGACY = 0, LAST_IMAGE = 0x80, CHECKSUM_AT = 6 };

/* An image for another ID of the same device family (virtio has several) is patched; a legacy image is kept at checksum 0. */
static void rom_patch_image(struct pci_device *d, u8 *image, u32 pcir)
{
    u8 *ids = image + pcir + 4, sum = 0;

    if (ld16(ids) != ld16(d->config + PCI_VENDOR_ID))
        return;
    for (unsigned i = 0; i < 2; i++)
        sum += ids[2 + i] - d->config[PCI_DEVICE_ID + i];
    memcpy(ids + 2, d->config + PCI_DEVICE_ID, 2);
    if (image[pcir + 0x14] == LEGACY)
        image[CHECKSUM_AT] += sum;
}

static void rom_patch(struct pci_device *d, u8 *rom, u32 len)
{
    u32 at = 0, size = BLOCK;

    for (; size && len - at >= HEADER && ld16(rom + at) == 0xaa55; at += size) {
        u8 *image = rom + at;
        u32 pcir = ld16(image + PCIR_POINTER);
        if (pcir + PCIR_SIZE > len - at || memcmp(image + pcir, "PCIR", 4))
            return;
        size = ld16(image + pcir + 0x10) * BLOCK;
        rom_patch_image(d, image, pcir);
        if (image[pcir + 0x15] & LAST_IMAGE || size > len - at)
            return;
    }
}

static int rom_read(struct pci_device *d, const char *path, struct err *e)
{
    gchar *data;
    gsize len;
    GError *ge = NULL;
    u32 size = PCI_ROM_MIN;
    int r = 0;

    if (!g_file_get_contents(path, &data, &len, &ge)) {
        err_set(e, "romfile=%s: %s", path, ge->message);
        g_error_free(ge);
        return -1;
    }
    if (len == 0 || len > ROM_MAX)
        r = err_set(e, "romfile=%s: %zu bytes; an option ROM has 1 to %llu", path, len, ROM_MAX);
    while (size < len)
        size *= 2;
    if (r == 0 && !(d->rom = ram_new("rom", size, e)))
        r = -1;
    if (r == 0) {
        rom_patch(d, (u8 *)data, len);
        memcpy(d->rom->host, data, len);
        memset(d->rom->host + len, 0xff, size - len);
        pci_root_keep_ram(pci_bus_root(d->bus), d->rom);
        region_init_rom(&d->rom_region, "pci-rom", d->rom, 0, size, NULL, NULL, NULL);
        d->bar[PCI_ROM_BAR].region = &d->rom_region;
        st32(d->wmask + PCI_ROM_ADDRESS, ~(size - 1) | PCI_ROM_ENABLE);
    }
    g_free(data);
    return r;
}

/* The ROM that a class has by default may be missing on this host; one that the user names may not. */
static bool rom_is_default(const struct pci_device *d)
{
    const struct prop *p = prop_find(d->dev.cls, "romfile");

    return p->def_str && !strcmp(p->def_str, d->romfile);
}

int pci_rom_init(struct pci_device *d, struct err *e)
{
    char *path;
    int r = 0;

    if (!d->romfile || !*d->romfile || !d->rombar)
        return 0;
    path = datafile_find(d->dev.m, d->romfile);
    if (path)
        r = rom_read(d, path, e);
    else if (!rom_is_default(d))
        r = err_set(e, "romfile=%s: there is no such file, nor one in the usual places for ROMs", d->romfile);
    g_free(path);
    return r;
}
