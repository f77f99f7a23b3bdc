/* The PCI functions with video memory in BAR 0 and registers in BAR 2: "VGA" (-vga std), 1234:1111 with all of a VGA, and "bochs-display",
 * which has Bochs' display interface only. Registers: vCPU threads, machine lock held. QEMU's docs/specs/standard-vga. */
#include "hw/display/vga_pci.h"
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/display/edid.h"
#include "hw/display/vga.h"
#include "util/log.h"

#define MMIO_SIZE 4096
enum { MMIO_EDID_END = 0x400, MMIO_VGA = 0x400, MMIO_DISPI = 0x500, MMIO_EXT = 0x600, EXT_SIZE = 8, EXT_LITTLE = 0x1e1e1e1e };

struct vga_pci {
    struct pci_device pci;
    struct vga vga;
    struct region mmio;
    u8 edid_data[EDID_SIZE];
    bool legacy;  /* the VGA's own ports and window */
    /* properties */
    u32 vgamem_mb, xres, yres;
    u64 vgamem;   /* bochs-display's */
    bool edid;
};

struct vga *vga_pci_core(struct device *d)
{
    return &container_of(d, struct vga_pci, pci.dev)->vga;
}

static u64 mmio_read(void *opaque, u64 off, unsigned size)
{
    struct vga_pci *p = opaque;
    u64 val = 0;

    if (off + size <= EDID_SIZE && p->edid) {
        memcpy(&val, p->edid_data + off, size);
    } else if (p->legacy && off >= MMIO_VGA && off < MMIO_VGA + 0x20) {
        for (unsigned i = 0; i < size; i++)
            val |= (u64)vga_port_read(&p->vga, 0x3c0 + (off - MMIO_VGA) + i) << (8 * i);
    } else if (off >= MMIO_DISPI && off < MMIO_DISPI + 2 * DISPI_REGS) {
        val = vga_dispi_read(&p->vga, (off - MMIO_DISPI) / 2) >> (8 * (off & 1));
    } else if (off == MMIO_EXT) {
        val = EXT_SIZE;
    } else if (off == MMIO_EXT + 4) {
        val = EXT_LITTLE;
    }
    return val;
}

static void mmio_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct vga_pci *p = opaque;

    if (p->legacy && off >= MMIO_VGA && off < MMIO_VGA + 0x20) {
        for (unsigned i = 0; i < size; i++)
            vga_port_write(&p->vga, 0x3c0 + (off - MMIO_VGA) + i, val >> (8 * i));
    } else if (off >= MMIO_DISPI && off < MMIO_DISPI + 2 * DISPI_REGS && !(off & 1)) {
        vga_dispi_write(&p->vga, (off - MMIO_DISPI) / 2, val);
    } else if (off == MMIO_EXT + 4 && val != EXT_LITTLE) {
        GUEST_ERROR("vga: the frame buffer is little-endian only");
    }
}

static const struct region_ops mmio_ops = { mmio_read, mmio_write, 1, 4 };

static int vga_pci_check(const struct vga_pci *p, u64 size, struct err *e)
{
    const char *cls = p->pci.dev.cls->name;

    if (size < MiB || size > 512 * MiB || (size & (size - 1)))
        return err_set(e, "%s.%s: video memory is a power of two from 1 to 512 MiB", cls, p->legacy ? "vgamem_mb" : "vgamem");
    if (p->xres < 16 || p->xres > 4095 || p->yres < 16 || p->yres > 4095)
        return err_set(e, "%s: xres=%u, yres=%u: both must be from 16 to 4095", cls, p->xres, p->yres);
    return 0;
}

static int vga_pci_realize(struct device *d, struct err *e)
{
    struct vga_pci *p = container_of(d, struct vga_pci, pci.dev);
    struct pci_id id = { .vendor = 0x1234, .device = 0x1111, .class_code = 0x0300, .revision = 2, .subsys_vendor = 0x1af4, .subsys_id = 0x1100 };
    u64 size;

    p->legacy = d->cls == &vga_pci_class;
    size = p->legacy ? p->vgamem_mb * MiB : p->vgamem;
    id.class_code = p->legacy ? 0x0300 : 0x0380;
    if (vga_pci_check(p, size, e) < 0 || pci_attach(&p->pci, &id, e) < 0)
        return -1;
    if (vga_init(&p->vga, d->m, d, p->legacy ? &pci_bus_root(p->pci.bus)->mem : NULL, size, e) < 0) {
        pci_detach(&p->pci);
        return -1;
    }
    pci_root_keep_ram(pci_bus_root(p->pci.bus), p->vga.vram);
    edid_fill(p->edid_data, p->xres, p->yres);
    region_init_io(&p->mmio, "vga-mmio", MMIO_SIZE, &mmio_ops, p, &d->m->lock);
    pci_bar_init(&p->pci, 0, &p->vga.lfb, PCI_BAR_MEM32 | PCI_BAR_PREFETCH);
    pci_bar_init(&p->pci, 2, &p->mmio, PCI_BAR_MEM32);
    return 0;
}

static void vga_pci_unrealize(struct device *d)
{
    struct vga_pci *p = container_of(d, struct vga_pci, pci.dev);

    pci_detach(&p->pci);
    vga_fini(&p->vga);
}

static void vga_pci_reset(struct device *d)
{
    struct vga_pci *p = container_of(d, struct vga_pci, pci.dev);

    pci_reset(&p->pci);
    vga_reset(&p->vga);
}

static void vga_pci_post_load(struct device *d)
{
    struct vga_pci *p = container_of(d, struct vga_pci, pci.dev);

    pci_post_load(&p->pci);
    vga_post_load(&p->vga);
}

#define MONITOR_PROPS \
    { "edid", PROP_BOOL, offsetof(struct vga_pci, edid), 1, NULL, "the guest can read what the monitor is" }, \
    { "xres", PROP_U32, offsetof(struct vga_pci, xres), 1280, NULL, "preferred width" }, \
    { "yres", PROP_U32, offsetof(struct vga_pci, yres), 800, NULL, "preferred height" }

static const struct prop vga_pci_props[] = {
    PCI_PROPS_ROM("vgabios-stdvga.bin"),
    { "vgamem_mb", PROP_U32, offsetof(struct vga_pci, vgamem_mb), 16, NULL, "video memory in MiB, a power of two" },
    MONITOR_PROPS, PROP_DONE
};
static const struct prop bochs_display_props[] = {
    PCI_PROPS_ROM("vgabios-bochs-display.bin"),
    { "vgamem", PROP_SIZE, offsetof(struct vga_pci, vgamem), 16 * MiB, NULL, "video memory, a power of two" },
    MONITOR_PROPS, PROP_DONE
};
static const struct snap_field vga_pci_fields[] = { PCI_SNAP, SNAP_S(struct vga_pci, vga, vga_fields), SNAP_DONE };

const struct dev_class vga_pci_class = {
    .name = "VGA",
    .desc = "standard VGA with Bochs' display interface",
    .state_size = sizeof(struct vga_pci),
    .user_creatable = true,
    .no_hotplug = true, /* front ends look at its console */
    .bus_type = "PCI",
    .props = vga_pci_props,
    .fields = vga_pci_fields,
    .snap_version = 1,
    .realize = vga_pci_realize,
    .reset = vga_pci_reset,
    .unrealize = vga_pci_unrealize,
    .post_load = vga_pci_post_load,
};

const struct dev_class bochs_display_class = {
    .name = "bochs-display",
    .desc = "Bochs' display interface without a VGA",
    .state_size = sizeof(struct vga_pci),
    .user_creatable = true,
    .no_hotplug = true, /* front ends look at its console */
    .bus_type = "PCI",
    .props = bochs_display_props,
    .fields = vga_pci_fields,
    .snap_version = 1,
    .realize = vga_pci_realize,
    .reset = vga_pci_reset,
    .unrealize = vga_pci_unrealize,
    .post_load = vga_pci_post_load,
};
