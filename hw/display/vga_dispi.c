/* Bochs' display interface: 16-bit registers at ports 0x1ce (index) and 0x1cf or 0x1d0 (data) that set linear modes with their depth,
 * bank, virtual size and offset. vCPU threads, machine lock held. Bochs VBE DISPI interface, IDs 0xb0c0-0xb0c5; QEMU's
 * docs/specs/standard-vga. */
#include "hw/core/machine.h"
#include "hw/display/vga.h"
#include "mmu/ram.h"
#include "util/log.h"

enum { ID_FIRST = 0xb0c0, ID_LAST = 0xb0c5, MAX_XRES = 16000, MAX_YRES = 12000, MAX_BPP = 32 };

bool vga_dispi_enabled(const struct vga *v)
{
    return v->dispi[DISPI_ENABLE] & DISPI_ENABLED;
}

/* Bits of a pixel in memory: 15 takes 16; a pixel of 4 takes a bit in each plane. */
static u32 memory_bits(const struct vga *v)
{
    u32 bpp = v->dispi[DISPI_BPP];

    return bpp == 15 ? 16 : bpp;
}

static u32 virt_width(const struct vga *v)
{
    return MAX_OF(v->dispi[DISPI_VIRT_WIDTH], v->dispi[DISPI_XRES]);
}

u32 vga_dispi_pitch(const struct vga *v)
{
    return virt_width(v) * memory_bits(v) / 8;
}

static u32 virt_height(const struct vga *v)
{
    u32 pitch = vga_dispi_pitch(v);

    return pitch ? MIN_OF(v->vram_size / pitch, 0xffff) : 0;
}

u16 vga_dispi_read(const struct vga *v, unsigned index)
{
    bool caps = v->dispi[DISPI_ENABLE] & DISPI_GETCAPS;

    if (index >= DISPI_REGS)
        return 0;
    switch (index) {
    case DISPI_XRES: return caps ? MAX_XRES : v->dispi[index];
    case DISPI_YRES: return caps ? MAX_YRES : v->dispi[index];
    case DISPI_BPP: return caps ? MAX_BPP : v->dispi[index];
    case DISPI_VIRT_WIDTH: return virt_width(v);
    case DISPI_VIRT_HEIGHT: return virt_height(v);
    case DISPI_MEMORY_64K: return v->vram_size / (64 * KiB);
    default: return v->dispi[index];
    }
}

/* A mode begins: its memory is blank, the picture at its top left, and the VGA's own registers fit it. */
static void mode_begin(struct vga *v)
{
    u64 size = MIN_OF((u64)vga_dispi_pitch(v) * v->dispi[DISPI_YRES], v->vram_size);

    v->dispi[DISPI_VIRT_WIDTH] = v->dispi[DISPI_XRES];
    v->dispi[DISPI_X_OFFSET] = v->dispi[DISPI_Y_OFFSET] = v->dispi[DISPI_BANK] = 0;
    v->gr[6] = (v->gr[6] & ~0x0c) | 0x05;
    v->sr[2] = 0x0f;
    v->sr[4] = v->dispi[DISPI_BPP] == 4 ? 0x06 : 0x0e;
    if (!(v->dispi[DISPI_ENABLE] & DISPI_NOCLEAR)) {
        memset(v->vram->host, 0, size);
        ram_written(v->vram, 0, size);
    }
}

static bool bpp_known(u16 bpp)
{
    return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

void vga_dispi_post_load(struct vga *v)
{
    v->dispi[DISPI_XRES] = MIN_OF(v->dispi[DISPI_XRES], MAX_XRES) & ~7;
    v->dispi[DISPI_YRES] = MIN_OF(v->dispi[DISPI_YRES], MAX_YRES);
    if (!bpp_known(v->dispi[DISPI_BPP]))
        v->dispi[DISPI_BPP] = 8;
}

static void enable_write(struct vga *v, u16 val)
{
    bool was = vga_dispi_enabled(v);

    v->dispi[DISPI_ENABLE] = val;
    if (vga_dispi_enabled(v) && !was)
        mode_begin(v);
    else if (!vga_dispi_enabled(v))
        v->dispi[DISPI_BANK] = 0;
}

void vga_dispi_write(struct vga *v, unsigned index, u16 val)
{
    switch (index) {
    case DISPI_ID:
        if (val >= ID_FIRST && val <= ID_LAST)
            v->dispi[DISPI_ID] = val;
        return;
    case DISPI_XRES:
        if (val > MAX_XRES)
            break;
        v->dispi[index] = val & ~7;
        return;
    case DISPI_YRES:
        if (val > MAX_YRES)
            break;
        v->dispi[index] = val;
        return;
    case DISPI_BPP:
        if (!bpp_known(val ? val : 8))
            break;
        v->dispi[index] = val ? val : 8;
        vga_window_update(v);
        return;
    case DISPI_ENABLE:
        enable_write(v, val);
        vga_window_update(v);
        return;
    case DISPI_BANK:
        v->dispi[index] = val;
        vga_window_update(v);
        return;
    case DISPI_VIRT_WIDTH:
        v->dispi[index] = val & ~7;
        return;
    case DISPI_X_OFFSET: case DISPI_Y_OFFSET:
        v->dispi[index] = val;
        return;
    default:
        return; /* read-only, or not there */
    }
    GUEST_ERROR("vga: display interface register %u cannot be %u", index, val);
}

static u64 ports_read(void *opaque, u64 off, unsigned size)
{
    struct vga *v = opaque;

    return off ? vga_dispi_read(v, v->dispi_index) : v->dispi_index;
}

static void ports_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct vga *v = opaque;

    if (off)
        vga_dispi_write(v, v->dispi_index, val);
    else
        v->dispi_index = val;
}

const struct region_ops vga_dispi_ops = { ports_read, ports_write, 1, 2 };
