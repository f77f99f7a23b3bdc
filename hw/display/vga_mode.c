/* From the VGA's registers to what they say about the picture: kind of mode, geometry, addressing, palette. No state is changed; called by
 * vga_draw.c, machine lock held. IBM PS/2 Video Subsystem Technical Reference (VGA), chapter 2. */
#include "hw/core/machine.h"
#include "hw/display/vga.h"

#define CURSOR_BLINK_NS 266666667ll /* 16 frames of 60 Hz */
enum { SR1_8DOTS = 0x01, SR1_HALF_CLOCK = 0x08, SR1_OFF = 0x20, GR6_GRAPHICS = 0x01, GR5_CGA = 0x20, GR5_256 = 0x40,
       AR_VIDEO = 0x20, AR10_LINE_GRAPHICS = 0x04, AR10_BLINK = 0x08, AR10_PAN_TOP_ONLY = 0x20, AR10_P54 = 0x80 };

/* The sequencer or the attribute controller keeps the picture dark; an adapter without them cannot. */
static bool is_off(const struct vga *v)
{
    return v->window_parent ? (v->sr[1] & SR1_OFF) || !(v->ar_index & AR_VIDEO) : !vga_dispi_enabled(v);
}

static u32 font_offset(u32 index)
{
    return (index & 3) * 0x4000 + (index >> 2) * 0x2000;
}

static void get_cursor(const struct vga *v, struct vga_mode *m)
{
    i64 now = clock_ns(v->m->clock);

    m->cursor = (v->cr[0x0e] << 8 | v->cr[0x0f]) & 0xffff;
    m->cursor_top = v->cr[0x0a] & 0x1f;
    m->cursor_bottom = v->cr[0x0b] & 0x1f;
    m->cursor_on = !(v->cr[0x0a] & 0x20) && !(now / CURSOR_BLINK_NS & 1);
    m->blink = (v->ar[0x10] & AR10_BLINK) && (now / (2 * CURSOR_BLINK_NS) & 1);
}

static void get_text(const struct vga *v, struct vga_mode *m)
{
    m->cell_width = (v->sr[1] & SR1_8DOTS) ? 8 : 9;
    m->font[0] = font_offset((v->sr[3] & 3) | (v->sr[3] >> 2 & 4));
    m->font[1] = font_offset((v->sr[3] >> 2 & 3) | (v->sr[3] >> 3 & 4));
    m->attr_mode = v->ar[0x10] & (AR10_BLINK | AR10_LINE_GRAPHICS | 0x02);
    m->underline = v->cr[0x14] & 0x1f;
    m->width = m->cols * m->cell_width * (m->wide + 1);
    get_cursor(v, m);
}

static void get_vga(const struct vga *v, struct vga_mode *m)
{
    const u8 *cr = v->cr;
    u32 pan = v->ar[0x13] & 7;

    m->kind = !(v->gr[6] & GR6_GRAPHICS) ? VGA_TEXT : (v->gr[5] & GR5_256) ? VGA_256 : (v->gr[5] & GR5_CGA) ? VGA_CGA : VGA_PLANAR;
    m->cols = cr[0x01] + 1;
    m->height = (cr[0x12] | (cr[0x07] & 0x02) << 7 | (cr[0x07] & 0x40) << 3) + 1;
    m->start = (cr[0x0c] << 8 | cr[0x0d]) + (cr[0x08] >> 5 & 3);
    m->pitch = cr[0x13] * 2;
    m->line_compare = cr[0x18] | (cr[0x07] & 0x10) << 4 | (cr[0x09] & 0x40) << 3;
    m->row_scan = cr[0x08] & 0x1f;
    m->row_lines = (cr[0x09] & 0x1f) + 1;
    m->doubled = cr[0x09] >> 7;
    m->count_shift = (cr[0x14] & 0x20) ? 2 : (cr[0x17] & 0x08) ? 1 : 0;
    m->addressing = (cr[0x14] & 0x40) ? 2 : (cr[0x17] & 0x40) ? 0 : 1;
    if (m->addressing == 2 && (v->sr[4] & 0x08))
        m->addressing = 0; /* chain-4 stores pixel n at byte n here, with no gaps for the dwords to step over */
    m->wrap13 = !(cr[0x17] & 0x20);
    m->sub = ~cr[0x17] & 3;
    m->wide = (v->sr[1] & SR1_HALF_CLOCK) != 0;
    m->width = m->cols * 8 * (m->wide + 1);
    if (m->kind == VGA_TEXT) {
        get_text(v, m);
        pan = m->cell_width == 9 ? (v->ar[0x13] >= 8 ? 0 : pan + 1) : pan;
    } else if (m->kind == VGA_256) {
        pan &= ~1u; /* a pixel takes two dots */
    }
    m->pan = pan * (m->wide + 1);
    m->pan_below = (v->ar[0x10] & AR10_PAN_TOP_ONLY) ? 0 : m->pan;
    if (is_off(v))
        m->kind = VGA_BLANK;
}

/* The picture must lie in memory: what does not fit is cut off below. */
static void get_dispi(const struct vga *v, struct vga_mode *m)
{
    const u16 *r = v->dispi;
    u32 bpp = r[DISPI_BPP], bits = bpp == 15 ? 16 : bpp, room = bpp == 4 ? VGA_PLANES_SIZE / 4 : v->vram_size;
    u32 pitch = bpp == 4 ? vga_dispi_pitch(v) / 4 : vga_dispi_pitch(v);
    u64 start = (u64)r[DISPI_Y_OFFSET] * pitch + (bpp == 4 ? r[DISPI_X_OFFSET] / 8u : r[DISPI_X_OFFSET] * bits / 8u);

    m->width = r[DISPI_XRES];
    m->height = r[DISPI_YRES];
    m->bpp = bpp;
    m->pitch = pitch;
    m->start = MIN_OF(start, room);
    if (pitch)
        m->height = MIN_OF(m->height, (room - m->start) / pitch);
    if (bpp == 4) {
        m->kind = VGA_PLANAR;
        m->cols = m->width / 8;
        m->row_lines = 1;
        m->line_compare = 0xffff;
    } else {
        m->kind = VGA_LINEAR;
    }
    if (!m->width || !m->height || !pitch || is_off(v))
        m->kind = VGA_BLANK;
}

void vga_mode_get(const struct vga *v, struct vga_mode *m)
{
    memset(m, 0, sizeof(*m));
    if (vga_dispi_enabled(v))
        get_dispi(v, m);
    else
        get_vga(v, m);
    if (m->kind == VGA_BLANK) /* dark, as large as before */
        *m = (struct vga_mode){ .kind = VGA_BLANK, .width = v->drawn.width ? v->drawn.width : 640, .height = v->drawn.height ? v->drawn.height : 480 };
}

u32 vga_fetch_address(const struct vga_mode *m, u32 ma, u32 col, u32 scan)
{
    u32 a = (ma + (col >> m->count_shift)) & 0xffff;

    if (m->addressing == 1)
        a = (a << 1 | (a >> (m->wrap13 ? 13 : 15) & 1)) & 0xffff;
    else if (m->addressing == 2)
        a = (a << 2 | (a >> 14)) & 0xffff;
    if (m->sub & 1)
        a = (a & ~0x2000u) | (scan & 1) << 13;
    if (m->sub & 2)
        a = (a & ~0x4000u) | (scan & 2) << 13;
    return a;
}

/* -- colours ---------------------------------------------------------------------------------------------------------- */

static u32 dac_color(const struct vga *v, u8 index)
{
    const u8 *c = v->dac + (index & v->dac_mask) * 3;
    u32 rgb = 0;

    for (unsigned i = 0; i < 3; i++) {
        u8 x = v->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC ? c[i] : (c[i] & 0x3f) << 2 | (c[i] & 0x3f) >> 4;
        rgb = rgb << 8 | x;
    }
    return rgb;
}

void vga_palette_get(const struct vga *v, const struct vga_mode *m, u32 palette[256])
{
    u8 high = (v->ar[0x14] & 0x0c) << 4, mid = (v->ar[0x14] & 3) << 4;

    if (m->kind == VGA_256 || m->kind == VGA_LINEAR) {
        for (unsigned i = 0; i < 256; i++)
            palette[i] = dac_color(v, i);
        return;
    }
    for (unsigned i = 0; i < 256; i++) {
        u8 a = v->ar[i & 15 & v->ar[0x12]];
        palette[i] = dac_color(v, high | ((v->ar[0x10] & AR10_P54) ? mid | (a & 0x0f) : a));
    }
}
