/* The CPU's way to video memory through the window at 0xa0000: planes, latches and write modes of the graphics controller; and the
 * direct mapping of the window where an access needs nothing of that. vCPU threads, machine lock held. IBM PS/2 Video
 * Subsystem Technical Reference (VGA), graphics controller and sequencer registers. */
#include "hw/core/machine.h"
#include "hw/display/vga.h"
#include "mmu/ram.h"

enum { SR4_NO_ODD_EVEN = 0x04, SR4_CHAIN4 = 0x08, MISC_RAM = 0x02, GR5_ODD_EVEN = 0x10 };
#define WINDOW_BASE 0xa0000ull
#define BANK_SIZE (64 * KiB)

/* The part of the window that answers: offset from 0xa0000 and size, by GR6 bits 2-3. */
static const struct { u32 at, size; } window_map[4] = {
    { 0, 128 * KiB }, { 0, 64 * KiB }, { 64 * KiB, 32 * KiB }, { 96 * KiB, 32 * KiB },
};

/* 0xff in the byte of each plane whose bit is set in m. */
static u32 plane_mask(u8 m)
{
    return ((m & 1) | (m & 2) << 7 | (m & 4) << 14 | (u32)(m & 8) << 21) * 0xffu;
}

static u32 *planes(const struct vga *v, u32 addr)
{
    return (u32 *)(void *)(v->vram->host + 4 * (addr & 0xffff));
}

static void planes_written(struct vga *v, u32 addr)
{
    ram_written(v->vram, 4 * (addr & 0xffff), 4);
}

/* Packed pixels one after the other: chain-4, or a mode of the display interface that is not planar. */
static bool is_linear(const struct vga *v)
{
    return vga_dispi_enabled(v) ? v->dispi[DISPI_BPP] != 4 : (v->sr[4] & SR4_CHAIN4) != 0;
}

/* Where the linear window begins in memory. */
static u32 bank_offset(const struct vga *v)
{
    return vga_dispi_enabled(v) ? (u32)(v->dispi[DISPI_BANK] * BANK_SIZE) & (v->vram_size - 1) : 0;
}

/* -- the direct window ------------------------------------------------------------------------------------------------ */

/* Plain stores to all planes, plain loads: nothing for the graphics controller to do. */
static bool is_direct(const struct vga *v)
{
    bool plain = v->gr[8] == 0xff && !(v->gr[5] & 0x0b) && !v->gr[3] && !(v->gr[1]) && (v->sr[2] & 0x0f) == 0x0f && (v->misc & MISC_RAM);

    return is_linear(v) && (plain || vga_dispi_enabled(v));
}

void vga_window_update(struct vga *v)
{
    unsigned map = (v->gr[6] >> 2) & 3;
    u32 off = bank_offset(v), size = MIN_OF(window_map[map].size, v->vram_size - off);
    bool on = is_direct(v);
    struct region *r = &v->direct;

    if (!v->window_parent)
        return;
    if (on == (r->parent != NULL) &&
        (!on || (r->addr == WINDOW_BASE + window_map[map].at && r->size == size && r->ram_off == off)))
        return;
    region_txn_begin();
    if (r->parent)
        region_del(r);
    if (on) {
        region_init_ram(r, "vga-direct", v->vram, off, size);
        region_add(v->window_parent, WINDOW_BASE + window_map[map].at, r, 3);
    }
    region_txn_commit();
}

/* -- the register path ------------------------------------------------------------------------------------------------ */

/* Cuts an offset in the window to the memory map in force; false if nothing answers there. */
static bool window_offset(const struct vga *v, u64 off, u32 *addr)
{
    unsigned map = (v->gr[6] >> 2) & 3;

    if (off - window_map[map].at >= window_map[map].size || !(v->misc & MISC_RAM))
        return false;
    *addr = (u32)off - window_map[map].at;
    return true;
}

static u8 read_planes(struct vga *v, u32 addr, u8 plane)
{
    u32 diff;

    v->latch = *planes(v, addr);
    if (!(v->gr[5] & 0x08))
        return v->latch >> (8 * plane);
    /* read mode 1: bits where every plane that is not ignored has the compare colour */
    diff = (v->latch ^ plane_mask(v->gr[2])) & plane_mask(v->gr[7]);
    return ~(diff | diff >> 8 | diff >> 16 | diff >> 24);
}

static u8 byte_read(struct vga *v, u64 off)
{
    u32 addr;

    if (!window_offset(v, off, &addr))
        return 0xff;
    if (is_linear(v))
        return v->vram->host[(bank_offset(v) + addr) & (v->vram_size - 1)];
    if (v->gr[5] & GR5_ODD_EVEN)
        return read_planes(v, addr & ~1u, (v->gr[4] & 2) | (addr & 1));
    return read_planes(v, addr, v->gr[4] & 3);
}

static u32 rotate(const struct vga *v, u8 val)
{
    unsigned n = v->gr[3] & 7;

    return (u8)(val >> n | val << (8 - n)) * 0x01010101u;
}

static u32 combine(const struct vga *v, u32 data)
{
    switch (v->gr[3] >> 3) {
    case 1: return data & v->latch;
    case 2: return data | v->latch;
    case 3: return data ^ v->latch;
    default: return data;
    }
}

/* Stores one byte of the CPU's to the planes of `mask` as the write mode says. */
static void write_planes(struct vga *v, u32 addr, u8 val, u8 mask)
{
    u32 bits = v->gr[8] * 0x01010101u, data, set, enable, *at = planes(v, addr), m = plane_mask(mask);

    switch (v->gr[5] & 3) {
    case 0:
        set = plane_mask(v->gr[0]);
        enable = plane_mask(v->gr[1]);
        data = combine(v, (rotate(v, val) & ~enable) | (set & enable));
        break;
    case 1:
        data = v->latch;
        bits = 0xffffffff;
        break;
    case 2:
        data = combine(v, plane_mask(val & 0x0f));
        break;
    default:
        bits &= rotate(v, val);
        data = plane_mask(v->gr[0]);
        break;
    }
    data = (data & bits) | (v->latch & ~bits);
    *at = (*at & ~m) | (data & m);
    planes_written(v, addr);
}

static void byte_write(struct vga *v, u64 off, u8 val)
{
    u32 addr, at;

    if (!window_offset(v, off, &addr))
        return;
    if (is_linear(v)) {
        at = (bank_offset(v) + addr) & (v->vram_size - 1);
        if (vga_dispi_enabled(v) || (v->sr[2] >> (addr & 3) & 1)) {
            v->vram->host[at] = val;
            ram_written(v->vram, at, 1);
        }
    } else if (!(v->sr[4] & SR4_NO_ODD_EVEN)) {
        write_planes(v, addr & ~1u, val, v->sr[2] & (addr & 1 ? 0x0a : 0x05)); /* bit 0 chooses the planes */
    } else {
        write_planes(v, addr, val, v->sr[2]);
    }
}

static u64 window_read(void *opaque, u64 off, unsigned size)
{
    u64 val = 0;

    for (unsigned i = 0; i < size; i++)
        val |= (u64)byte_read(opaque, off + i) << (8 * i);
    return val;
}

static void window_write(void *opaque, u64 off, u64 val, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        byte_write(opaque, off + i, val >> (8 * i));
}

const struct region_ops vga_window_ops = { window_read, window_write, 1, 8 };
