/* Sets the VGA's text mode 3 in place of a video BIOS: registers, palette, font. Main thread, machine lock held, at reset. IBM PS/2 Video
 * Subsystem Technical Reference (VGA), BIOS mode tables. */
#include "hw/display/vga_boot.h"
#include "hw/core/machine.h"
#include "hw/display/vga.h"
#include "hw/display/vga_pci.h"
#include "mmu/ram.h"

enum { FONT_SIZE = 256 * VGA_BOOT_POINTS };

static const u8 sr[8] = { 0x03, 0x00, 0x03, 0x00, 0x02 };
static const u8 cr[25] = { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f,
                           0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff };
static const u8 gr[9] = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff };
static const u8 ar[21] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08 };

/* The 8x16 font in a video BIOS: character 0 is blank, character 1 a face that all of them share. NULL if there is none. */
static const u8 *find_font(const struct ram_block *rom)
{
    static const u8 first[2 * VGA_BOOT_POINTS] = { [16] = 0x00, 0x00, 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e };

    for (u64 at = 0; rom && at + FONT_SIZE <= rom->size; at++)
        if (!memcmp(rom->host + at, first, sizeof(first)))
            return rom->host + at;
    return NULL;
}

/* DAC entry i has two bits a colour: 0x04, 0x02, 0x01 are red, green, blue, 0x20, 0x10, 0x08 the same at a third. */
static void fill_dac(struct vga *v)
{
    for (unsigned i = 0; i < 64; i++)
        for (unsigned c = 0; c < 3; c++)
            v->dac[3 * i + c] = (i >> (2 - c) & 1) * 42 + (i >> (5 - c) & 1) * 21;
}

static void fill_memory(struct vga *v, const u8 *font)
{
    u8 *mem = v->vram->host;

    for (unsigned i = 0; i < 0x4000; i++) { /* a cell is at every second address: word mode */
        mem[8 * i] = ' ';
        mem[8 * i + 1] = 0x07;
    }
    for (unsigned i = 0; font && i < 256; i++)
        for (unsigned l = 0; l < VGA_BOOT_POINTS; l++)
            mem[4 * (32 * i + l) + 2] = font[VGA_BOOT_POINTS * i + l];
    ram_written(v->vram, 0, VGA_PLANES_SIZE);
}

static struct device *find_vga(const struct machine *m)
{
    struct device *d = m->devices;

    while (d && d->cls != &vga_pci_class)
        d = d->next;
    return d;
}

void vga_boot_text(struct machine *m)
{
    struct device *d = find_vga(m);
    struct vga *v;

    if (!d)
        return;
    v = vga_pci_core(d);
    v->misc = 0x67;
    memcpy(v->sr, sr, sizeof(sr));
    memcpy(v->cr, cr, sizeof(cr));
    memcpy(v->gr, gr, sizeof(gr));
    memcpy(v->ar, ar, sizeof(ar));
    v->ar_index = 0x20; /* the picture is on */
    fill_dac(v);
    fill_memory(v, find_font(((struct pci_device *)d)->rom));
    vga_window_update(v);
}

bool vga_boot_present(const struct machine *m)
{
    return find_vga(m) != NULL;
}
