/* The VGA as a PCI function ("VGA", -vga std): 1234:1111 with video memory in BAR 0 and registers in BAR 2, and what every adapter
 * with a VGA inside shares: its memory, ports and reset. Registers: vCPU threads; picture: main thread; machine lock held. QEMU's
 * docs/specs/standard-vga; IBM PS/2 Video Subsystem Technical Reference (VGA). */
#include "hw/display/vga.h"
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/display/edid.h"
#include "hw/pci/pci.h"
#include "mmu/ram.h"
#include "util/log.h"

/* -- the VGA itself --------------------------------------------------------------------------------------------------- */

static u64 port_read(struct vga *v, u16 base, u64 off)
{
    return vga_port_read(v, base + off);
}

static u64 crtc_mono_read(void *v, u64 off, unsigned size) { return port_read(v, 0x3b4, off); }
static u64 status_mono_read(void *v, u64 off, unsigned size) { return port_read(v, 0x3ba, off); }
static u64 main_read(void *v, u64 off, unsigned size) { return port_read(v, 0x3c0, off); }
static u64 crtc_read(void *v, u64 off, unsigned size) { return port_read(v, 0x3d4, off); }
static u64 status_read(void *v, u64 off, unsigned size) { return port_read(v, 0x3da, off); }
static void crtc_mono_write(void *v, u64 off, u64 val, unsigned size) { vga_port_write(v, 0x3b4 + off, val); }
static void status_mono_write(void *v, u64 off, u64 val, unsigned size) { vga_port_write(v, 0x3ba + off, val); }
static void main_write(void *v, u64 off, u64 val, unsigned size) { vga_port_write(v, 0x3c0 + off, val); }
static void crtc_write(void *v, u64 off, u64 val, unsigned size) { vga_port_write(v, 0x3d4 + off, val); }
static void status_write(void *v, u64 off, u64 val, unsigned size) { vga_port_write(v, 0x3da + off, val); }

static const struct region_ops crtc_mono_ops = { crtc_mono_read, crtc_mono_write, 1, 1 };
static const struct region_ops status_mono_ops = { status_mono_read, status_mono_write, 1, 1 };
static const struct region_ops main_ops = { main_read, main_write, 1, 1 };
static const struct region_ops crtc_ops = { crtc_read, crtc_write, 1, 1 };
static const struct region_ops status_ops = { status_read, status_write, 1, 1 };

static void add_ports(struct vga *v)
{
    const struct { struct region *r; const char *name; u16 at, n; const struct region_ops *ops; } ports[] = {
        { &v->io_crtc_mono, "vga-crtc-mono", 0x3b4, 2, &crtc_mono_ops }, { &v->io_status_mono, "vga-status-mono", 0x3ba, 1, &status_mono_ops },
        { &v->io_main, "vga", 0x3c0, 16, &main_ops },                    { &v->io_crtc, "vga-crtc", 0x3d4, 2, &crtc_ops },
        { &v->io_status, "vga-status", 0x3da, 1, &status_ops },          { &v->io_dispi, "vga-dispi", 0x1ce, 4, &vga_dispi_ops },
    };

    for (unsigned i = 0; i < ARRAY_LEN(ports); i++) {
        region_init_io(ports[i].r, ports[i].name, ports[i].n, ports[i].ops, v, &v->m->lock);
        region_add(&v->m->io_root, ports[i].at, ports[i].r, 0);
    }
}

int vga_init(struct vga *v, struct machine *m, struct device *owner, struct region *parent, u32 vram_size, struct err *e)
{
    v->m = m;
    v->vram_size = vram_size;
    v->vram = ram_new("vga.vram", vram_size, e);
    if (!v->vram)
        return -1;
    v->line = g_new0(u32, 2 * CONSOLE_MAX_WIDTH);
    v->pages = g_new0(u8, vram_size / PAGE_SIZE);
    region_init_ram(&v->lfb, "vga.vram", v->vram, 0, vram_size);
    v->window_parent = parent;
    if (parent) {
        region_init_io(&v->window, "vga-window", 128 * KiB, &vga_window_ops, v, &m->lock);
        region_add(parent, 0xa0000, &v->window, 2);
        add_ports(v);
    }
    v->con = console_new(m, owner, &vga_console_ops, v);
    return 0;
}

void vga_fini(struct vga *v)
{
    struct region *const all[] = { &v->io_crtc_mono, &v->io_status_mono, &v->io_main, &v->io_crtc, &v->io_status, &v->io_dispi,
                                   &v->window, &v->direct };

    console_free(v->con);
    v->con = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->parent)
            region_del(all[i]);
    ram_free(v->vram);
    g_free(v->line);
    g_free(v->pages);
}

void vga_reset(struct vga *v)
{
    v->misc = v->feature = 0;
    v->sr_index = v->gr_index = v->cr_index = v->ar_index = 0;
    memset(v->sr, 0, sizeof(v->sr));
    memset(v->gr, 0, sizeof(v->gr));
    memset(v->cr, 0, sizeof(v->cr));
    memset(v->ar, 0, sizeof(v->ar));
    memset(v->dac, 0, sizeof(v->dac));
    memset(v->dispi, 0, sizeof(v->dispi));
    v->ar_data = false;
    v->dac_mask = 0xff;
    v->dac_state = v->dac_read = v->dac_write = v->dac_sub = 0;
    v->latch = 0;
    v->dispi_index = 0;
    v->dispi[DISPI_ID] = 0xb0c5;
    v->dispi[DISPI_BPP] = 8;
    memset(v->vram->host, 0, VGA_PLANES_SIZE);
    ram_written(v->vram, 0, VGA_PLANES_SIZE);
    v->redraw = true;
    vga_window_update(v);
}

/* Indices of a damaged file must not point outside. */
void vga_post_load(struct vga *v)
{
    v->sr_index &= 7;
    v->gr_index &= 15;
    v->dac_sub %= 3;
    v->dispi[DISPI_XRES] = MIN_OF(v->dispi[DISPI_XRES], 16000);
    v->dispi[DISPI_YRES] = MIN_OF(v->dispi[DISPI_YRES], 12000);
    v->redraw = true;
    vga_window_update(v);
}

const struct snap_field vga_fields[] = {
    SNAP_U(struct vga, misc), SNAP_U(struct vga, feature), SNAP_U(struct vga, sr_index), SNAP_B(struct vga, sr),
    SNAP_U(struct vga, gr_index), SNAP_B(struct vga, gr), SNAP_U(struct vga, cr_index), SNAP_B(struct vga, cr),
    SNAP_U(struct vga, ar_index), SNAP_B(struct vga, ar), SNAP_U(struct vga, ar_data), SNAP_U(struct vga, dac_mask),
    SNAP_U(struct vga, dac_state), SNAP_U(struct vga, dac_read), SNAP_U(struct vga, dac_write), SNAP_U(struct vga, dac_sub),
    SNAP_B(struct vga, dac_latch), SNAP_B(struct vga, dac), SNAP_U(struct vga, latch), SNAP_U(struct vga, dispi_index),
    SNAP_A(struct vga, dispi), SNAP_DONE
};

/* -- the PCI function ------------------------------------------------------------------------------------------------- */

#define MMIO_SIZE 4096
enum { MMIO_EDID_END = 0x400, MMIO_VGA = 0x400, MMIO_DISPI = 0x500, MMIO_EXT = 0x600, EXT_SIZE = 8, EXT_LITTLE = 0x1e1e1e1e };

struct vga_pci {
    struct pci_device pci;
    struct vga vga;
    struct region mmio;
    u8 edid_data[EDID_SIZE];
    /* properties */
    u32 vgamem_mb, xres, yres;
    bool edid;
};

static u64 mmio_read(void *opaque, u64 off, unsigned size)
{
    struct vga_pci *p = opaque;
    u64 val = 0;

    if (off + size <= EDID_SIZE && p->edid) {
        memcpy(&val, p->edid_data + off, size);
    } else if (off >= MMIO_VGA && off < MMIO_VGA + 0x20) {
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

    if (off >= MMIO_VGA && off < MMIO_VGA + 0x20) {
        for (unsigned i = 0; i < size; i++)
            vga_port_write(&p->vga, 0x3c0 + (off - MMIO_VGA) + i, val >> (8 * i));
    } else if (off >= MMIO_DISPI && off < MMIO_DISPI + 2 * DISPI_REGS && !(off & 1)) {
        vga_dispi_write(&p->vga, (off - MMIO_DISPI) / 2, val);
    } else if (off == MMIO_EXT + 4 && val != EXT_LITTLE) {
        GUEST_ERROR("vga: the frame buffer is little-endian only");
    }
}

static const struct region_ops mmio_ops = { mmio_read, mmio_write, 1, 4 };

static int vga_pci_check(const struct vga_pci *p, struct err *e)
{
    if (p->vgamem_mb < 1 || p->vgamem_mb > 512 || (p->vgamem_mb & (p->vgamem_mb - 1)))
        return err_set(e, "VGA.vgamem_mb: %u is not a power of two from 1 to 512", p->vgamem_mb);
    if (p->xres < 16 || p->xres > 4095 || p->yres < 16 || p->yres > 4095)
        return err_set(e, "VGA: xres=%u, yres=%u: both must be from 16 to 4095", p->xres, p->yres);
    return 0;
}

static int vga_pci_realize(struct device *d, struct err *e)
{
    static const struct pci_id id = { .vendor = 0x1234, .device = 0x1111, .class_code = 0x0300, .revision = 2,
                                      .subsys_vendor = 0x1af4, .subsys_id = 0x1100 };
    struct vga_pci *p = container_of(d, struct vga_pci, pci.dev);

    if (vga_pci_check(p, e) < 0 || pci_attach(&p->pci, &id, e) < 0)
        return -1;
    if (vga_init(&p->vga, d->m, d, &pci_bus_root(p->pci.bus)->mem, p->vgamem_mb * MiB, e) < 0) {
        pci_detach(&p->pci);
        return -1;
    }
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

static const struct prop vga_pci_props[] = {
    PCI_PROPS_ROM("vgabios-stdvga.bin"),
    { "vgamem_mb", PROP_U32, offsetof(struct vga_pci, vgamem_mb), 16, NULL, "video memory in MiB, a power of two" },
    { "edid", PROP_BOOL, offsetof(struct vga_pci, edid), 1, NULL, "the guest can read what the monitor is" },
    { "xres", PROP_U32, offsetof(struct vga_pci, xres), 1280, NULL, "preferred width" },
    { "yres", PROP_U32, offsetof(struct vga_pci, yres), 800, NULL, "preferred height" },
    PROP_DONE
};
static const struct snap_field vga_pci_fields[] = { PCI_SNAP, SNAP_S(struct vga_pci, vga, vga_fields), SNAP_DONE };

const struct dev_class vga_pci_class = {
    .name = "VGA",
    .desc = "standard VGA with Bochs' display interface",
    .state_size = sizeof(struct vga_pci),
    .user_creatable = true,
    .props = vga_pci_props,
    .fields = vga_pci_fields,
    .snap_version = 1,
    .realize = vga_pci_realize,
    .reset = vga_pci_reset,
    .unrealize = vga_pci_unrealize,
    .post_load = vga_pci_post_load,
};
