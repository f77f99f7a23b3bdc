/* What the adapters share: video memory, ports, the window, the console, reset and saved fields. Machine lock held; called by
 * vga_pci.c. IBM PS/2 Video Subsystem Technical Reference (VGA). */
#include "hw/display/vga.h"
#include <glib.h>
#include "hw/core/machine.h"
#include "mmu/ram.h"

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
    vga_dispi_post_load(v);
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
