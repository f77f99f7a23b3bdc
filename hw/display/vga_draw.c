/* The VGA's picture: turns video memory into pixels, one scan line after the other, and reports the rectangles in which pixels have
 * changed. Main thread, machine lock held; called through hw/core/console.h by those who look. */
#include "hw/core/machine.h"
#include "hw/display/vga.h"
#include "mmu/dirty.h"
#include "mmu/ram.h"

#define FONT_LINES 32
#define LINE_DOTS_MAX CONSOLE_MAX_WIDTH

static u32 fetch(const struct vga *v, u32 addr)
{
    return ld32(v->vram->host + 4 * addr);
}

/* -- a character clock's worth of dots -------------------------------------------------------------------------------- */

/* 8 pixels, the leftmost in bit 7 of each plane. */
static void dots_planar(const struct vga *v, u32 data, u32 *out)
{
    for (unsigned i = 0; i < 8; i++) {
        u32 bit = data >> (7 - i);
        out[i] = v->palette[(bit & 1) | (bit >> 7 & 2) | (bit >> 14 & 4) | (bit >> 21 & 8)];
    }
}

/* 4 pixels of plane 0, then 4 of plane 1; planes 2 and 3 have their upper two bits. */
static void dots_cga(const struct vga *v, u32 data, u32 *out)
{
    for (unsigned i = 0; i < 8; i++) {
        u32 d = data >> (i & 4 ? 8 : 0) >> (6 - 2 * (i & 3));
        out[i] = v->palette[(d & 3) | (d >> 14 & 0x0c)];
    }
}

static void dots_256(const struct vga *v, u32 data, u32 *out)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = v->palette[data >> (8 * (i / 2)) & 0xff];
}

/* A row of a character. */
static void dots_text(const struct vga *v, const struct vga_mode *m, u32 data, u32 addr, u32 scan, u32 *out)
{
    u8 ch = data, attr = data >> 8;
    u8 bits = scan < FONT_LINES ? fetch(v, (m->font[attr >> 3 & 1] + ch * FONT_LINES + scan) & 0xffff) >> 16 : 0;
    u32 fg = v->palette[attr & 0x0f], bg = v->palette[attr >> 4];
    bool ninth = (m->attr_mode & 0x04) && ch >= 0xc0 && ch <= 0xdf && (bits & 1);

    if (m->attr_mode & 0x08) { /* bit 7 blinks */
        bg = v->palette[attr >> 4 & 7];
        if ((attr & 0x80) && m->blink)
            bits = 0, ninth = false;
    }
    if ((m->attr_mode & 0x02) && (attr & 7) == 1 && scan == m->underline)
        bits = 0xff, ninth = true;
    if (m->cursor_on && addr == m->cursor && scan >= m->cursor_top && scan <= m->cursor_bottom)
        bits = 0xff, ninth = true;
    for (unsigned i = 0; i < 8; i++)
        out[i] = bits & (0x80 >> i) ? fg : bg;
    out[8] = ninth ? fg : bg;
}

/* -- scan lines of the VGA's own modes -------------------------------------------------------------------------------- */

/* Which row's first address, and which of its scan lines, scan line y of the picture shows. */
static void locate(const struct vga_mode *m, u32 y, u32 *ma, u32 *scan, bool *below)
{
    u32 line = y, first = m->row_scan, start = m->start;

    *below = y > m->line_compare;
    if (*below) {
        line = y - m->line_compare - 1;
        first = start = 0;
    }
    line = (line >> m->doubled) + first;
    *scan = line % m->row_lines;
    *ma = start + line / m->row_lines * m->pitch;
}

static void draw_vga_line(struct vga *v, const struct vga_mode *m, u32 y)
{
    u32 ma, scan, cell = m->kind == VGA_TEXT ? m->cell_width : 8, pan, out[9], at = 0, *line = v->line;
    bool below;

    locate(m, y, &ma, &scan, &below);
    pan = (below ? m->pan_below : m->pan);
    for (u32 col = 0; at < m->width + pan; col++) {
        u32 addr = vga_fetch_address(m, ma, col, scan), data = fetch(v, addr);
        switch (m->kind) {
        case VGA_TEXT: dots_text(v, m, data, (ma + (col >> m->count_shift)) & 0xffff, scan, out); break;
        case VGA_PLANAR: dots_planar(v, data, out); break;
        case VGA_CGA: dots_cga(v, data, out); break;
        default: dots_256(v, data, out); break;
        }
        for (u32 i = 0; i < cell; i++) {
            line[at++] = out[i];
            if (m->wide)
                line[at++] = out[i];
        }
    }
    if (pan)
        memmove(line, line + pan, 4 * m->width);
}

/* -- linear modes ----------------------------------------------------------------------------------------------------- */

static pixman_format_code_t pixel_format(u32 bpp)
{
    return bpp == 15 ? PIXMAN_x1r5g5b5 : bpp == 16 ? PIXMAN_r5g6b5 : bpp == 24 ? PIXMAN_r8g8b8 : PIXMAN_x8r8g8b8;
}

/* Pixels of more than 8 bits, by pixman; it wants rows at multiples of 4. */
static void convert_line(struct vga *v, const u8 *src, const struct vga_mode *m)
{
    u32 bytes = m->width * ((m->bpp + 7) / 8), room = ALIGN_UP(bytes, 4);
    u32 *copy = v->line + LINE_DOTS_MAX;
    pixman_image_t *from, *to;

    memcpy(copy, src, bytes);
    from = pixman_image_create_bits_no_clear(pixel_format(m->bpp), m->width, 1, copy, room);
    to = pixman_image_create_bits_no_clear(PIXMAN_x8r8g8b8, m->width, 1, v->line, 4 * m->width);
    if (from && to)
        pixman_image_composite32(PIXMAN_OP_SRC, from, NULL, to, 0, 0, 0, 0, 0, 0, m->width, 1);
    if (from)
        pixman_image_unref(from);
    if (to)
        pixman_image_unref(to);
}

/* The scan line's pixels: where they are, or in v->line. */
static const u32 *linear_line(struct vga *v, const struct vga_mode *m, u32 y)
{
    const u8 *src = v->vram->host + m->start + (u64)y * m->pitch;

    if (m->bpp == 32)
        return (const u32 *)(const void *)src;
    if (m->bpp == 8)
        for (u32 x = 0; x < m->width; x++)
            v->line[x] = v->palette[src[x]];
    else
        convert_line(v, src, m);
    return v->line;
}

/* -- what has changed ------------------------------------------------------------------------------------------------- */

/* A rectangle that grows line by line. */
struct area {
    u32 x0, x1, y0, y1; /* ends exclusive; y1 == 0: empty */
};

static void area_flush(struct vga *v, struct area *a)
{
    if (a->y1)
        console_dirty(v->con, a->x0, a->y0, a->x1 - a->x0, a->y1 - a->y0);
    a->y1 = 0;
}

/* Puts a line, which may be the guest's memory and change meanwhile, into the surface; the changed part of it joins the area, which is reported
 * when it cannot grow on. */
static void put_line(struct vga *v, const struct surface *s, struct area *a, u32 y, const u32 *line, u32 width)
{
    u32 *at = s->data + (u64)y * s->stride, x0 = 0, x1 = width;

    if (!memcmp(at, line, 4 * width))
        return;
    while (x0 < x1 && at[x0] == line[x0])
        x0++;
    while (x1 > x0 && at[x1 - 1] == line[x1 - 1])
        x1--;
    if (x0 == x1)
        return;
    memcpy(at + x0, line + x0, 4 * (x1 - x0));
    if (a->y1 && a->y1 != y)
        area_flush(v, a);
    if (!a->y1)
        *a = (struct area){ x0, x1, y, y };
    a->x0 = MIN_OF(a->x0, x0);
    a->x1 = MAX_OF(a->x1, x1);
    a->y1 = y + 1;
}

/* True if a page of [off, off + len) is dirty; pages[0] is memory's first. */
static bool pages_dirty(const struct vga *v, u64 off, u64 len)
{
    return memchr(v->pages + (off >> PAGE_BITS), 1, ((off + len - 1) >> PAGE_BITS) - (off >> PAGE_BITS) + 1) != NULL;
}

static void draw(struct vga *v, const struct vga_mode *m, const struct surface *s, bool all)
{
    struct area a = { 0 };

    for (u32 y = 0; y < m->height; y++) {
        const u32 *line = v->line;
        if (m->kind == VGA_LINEAR) {
            if (!all && !pages_dirty(v, m->start + (u64)y * m->pitch, m->width * ((m->bpp + 7) / 8)))
                continue;
            line = linear_line(v, m, y);
        } else if (m->kind == VGA_BLANK) {
            memset(v->line, 0, 4 * m->width);
        } else {
            draw_vga_line(v, m, y);
        }
        put_line(v, s, &a, y, line, m->width);
    }
    area_flush(v, &a);
}

/* The dirty pages of the memory that the picture lies in. */
static bool collect(struct vga *v, const struct vga_mode *m)
{
    u64 from = m->kind == VGA_LINEAR ? m->start : 0;
    u64 to = m->kind == VGA_LINEAR ? from + (u64)m->height * m->pitch : VGA_PLANES_SIZE;
    u64 first = from >> PAGE_BITS, last = (MIN_OF(to, v->vram_size) - 1) >> PAGE_BITS;

    return dirty_collect(v->vram, DIRTY_DISPLAY, first, last - first + 1, v->pages + first);
}

static void vga_update(void *opaque, bool all)
{
    struct vga *v = opaque;
    struct vga_mode mode;
    u32 palette[256];
    const struct surface *s;
    bool dirty;

    vga_mode_get(v, &mode);
    vga_palette_get(v, &mode, palette);
    s = console_resize(v->con, mode.width, mode.height);
    dirty = v->vram->dirty_clients & BIT(DIRTY_DISPLAY) ? collect(v, &mode) : true;
    all = all || v->redraw || memcmp(&mode, &v->drawn, sizeof(mode)) || memcmp(palette, v->palette, sizeof(palette));
    if (!all && !dirty)
        return;
    memcpy(v->palette, palette, sizeof(palette));
    v->drawn = mode;
    v->redraw = false;
    draw(v, &mode, s, all);
}

static bool vga_text(void *opaque, struct console_text *t)
{
    struct vga *v = opaque;
    struct vga_mode m;
    u32 shift;

    vga_mode_get(v, &m);
    if (m.kind == VGA_BLANK) {
        *t = (struct console_text){ .cols = 80, .rows = 25, .cursor = -1 };
        for (unsigned i = 0; i < 80 * 25; i++)
            t->cell[i] = 0x0720;
        return true;
    }
    if (m.kind != VGA_TEXT)
        return false;
    shift = m.doubled;
    t->cols = m.cols;
    t->rows = MAX_OF((m.height >> shift) / m.row_lines, 1);
    t->rows = MIN_OF(t->rows, CONSOLE_TEXT_MAX / t->cols);
    t->cursor = -1;
    for (u32 i = 0; i < t->cols * t->rows; i++) {
        u32 ma, scan, col = i % t->cols;
        bool below;
        locate(&m, (i / t->cols * m.row_lines) << shift, &ma, &scan, &below);
        t->cell[i] = fetch(v, vga_fetch_address(&m, ma, col, scan));
        if (((ma + col) & 0xffff) == m.cursor && !(v->cr[0x0a] & 0x20) && m.cursor_top <= m.cursor_bottom)
            t->cursor = i;
    }
    return true;
}

static void vga_watched(void *opaque, bool on)
{
    struct vga *v = opaque;

    dirty_watch(v->vram, DIRTY_DISPLAY, on);
}

const struct console_ops vga_console_ops = { vga_update, vga_text, vga_watched };
