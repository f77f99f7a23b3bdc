/* Tests hw/display/vga*.c: the picture of each kind of mode against colours worked out by hand from the memory layout of IBM's manual, the
 * graphics controller's modes, the display interface, what is reported as changed, and registers under random writes. */
#include "hw/display/vga.h"
#include <glib.h>
#include "hw/display/vga_boot.h"
#include "hw/pci/pci.h"
#include "mmu/aspace.h"
#include "tests/lib/fake_machine.h"

#define LFB 0xe0000000ull
#define MMIO 0xe8000000ull

struct fixture {
    struct fake_machine *f;
    struct pci_device *pci;
    struct console *con;
    struct console_listener look;
    const struct surface *s;
    unsigned resizes, updates;
    int x0, y0, x1, y1; /* what was reported since forget() */
};

static void on_resize(void *opaque, const struct surface *s)
{
    struct fixture *x = opaque;
    x->s = s;
    x->resizes++;
}

static void on_update(void *opaque, int px, int py, int w, int h)
{
    struct fixture *x = opaque;
    x->x0 = x->updates ? MIN_OF(x->x0, px) : px;
    x->y0 = x->updates ? MIN_OF(x->y0, py) : py;
    x->x1 = x->updates ? MAX_OF(x->x1, px + w) : px + w;
    x->y1 = x->updates ? MAX_OF(x->y1, py + h) : py + h;
    x->updates++;
}

static bool refresh(struct fixture *x)
{
    x->updates = 0;
    lock_acquire(&x->f->m.lock);
    bool r = console_refresh(x->con);
    lock_release(&x->f->m.lock);
    return r;
}

/* Pages are reported twice: after this nothing is new. */
static void settle(struct fixture *x)
{
    refresh(x);
    refresh(x);
}

static struct fixture *start_class(const char *cls, const char *props)
{
    struct fixture *x = g_new0(struct fixture, 1);
    struct machine *m;
    x->f = fake_machine_new(1);
    m = &x->f->m;
    lock_acquire(&m->lock);
    region_del(&x->f->low_ram); /* PCs have no RAM where the window is */
    region_init_ram(&x->f->low_ram, "ram", m->ram, 0, 640 * KiB);
    region_add(&m->mem_root, 0, &x->f->low_ram, 0);
    m->pci = pci_bus_new(m);
    lock_release(&m->lock);
    struct device *d = fake_device(x->f, cls, props);
    x->pci = (struct pci_device *)d;
    lock_acquire(&m->lock);
    d->cls->reset(d);
    pci_config_write(m->pci, x->pci->devfn, PCI_BAR0, LFB, 4);
    pci_config_write(m->pci, x->pci->devfn, PCI_BAR0 + 8, MMIO, 4);
    pci_config_write(m->pci, x->pci->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY, 2);
    x->con = console_first(m);
    x->look = (struct console_listener){ on_resize, on_update, x, NULL };
    console_listen(x->con, &x->look);
    lock_release(&m->lock);
    return x;
}

static struct fixture *start(const char *props) { return start_class("VGA", props); }

static void end(struct fixture *x)
{
    struct machine *m = &x->f->m;
    lock_acquire(&m->lock);
    console_unlisten(x->con, &x->look);
    lock_release(&m->lock);
    fake_machine_free(x->f);
    g_free(x);
}

static void out(struct fixture *x, u16 port, u8 index, u8 val)
{
    fm_out(x->f, port, index | val << 8, 2);
}

/* A standard mode's registers: miscellaneous output, SR1-4, CR0-18, GR0-8, AR10-14. */
struct regs {
    u8 misc, sr[4], cr[25], gr[9], ar[5];
};
static const struct regs mode3 = { 0x67, { 0x00, 0x03, 0x00, 0x02 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
    { 0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff }, { 0x0c, 0, 0x0f, 0x08, 0 } };
static const struct regs mode4 = { 0x63, { 0x09, 0x03, 0x00, 0x02 },
    { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff },
    { 0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff }, { 0x01, 0, 0x03, 0, 0 } };
static const struct regs mode12 = { 0xe3, { 0x01, 0x0f, 0x00, 0x06 },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff },
    { 0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff }, { 0x01, 0, 0x0f, 0, 0 } };
static const struct regs mode13 = { 0x63, { 0x01, 0x0f, 0x00, 0x0e },
    { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
    { 0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff }, { 0x41, 0, 0x0f, 0, 0 } };

static void set_ar(struct fixture *x, u8 index, u8 val)
{
    fm_in(x->f, 0x3da, 1);
    fm_out(x->f, 0x3c0, index, 1);
    fm_out(x->f, 0x3c0, val, 1);
    fm_out(x->f, 0x3c0, 0x20, 1);
}

/* The colour that set_mode gives DAC entry i, 6 bits each. */
static u32 color(u8 i)
{
    u32 r = (i * 3) & 0x3f, g = (i * 5 + 1) & 0x3f, b = (i * 7 + 2) & 0x3f;
    return (r << 2 | r >> 4) << 16 | (g << 2 | g >> 4) << 8 | (b << 2 | b >> 4);
}

static void set_mode(struct fixture *x, const struct regs *r)
{
    fm_out(x->f, 0x3c2, r->misc, 1);
    for (unsigned i = 0; i < 4; i++)
        out(x, 0x3c4, i + 1, r->sr[i]);
    out(x, 0x3d4, 0x11, 0);
    for (unsigned i = 0; i < 25; i++)
        out(x, 0x3d4, i, r->cr[i]);
    for (unsigned i = 0; i < 9; i++)
        out(x, 0x3ce, i, r->gr[i]);
    for (unsigned i = 0; i < 16; i++)
        set_ar(x, i, i);
    for (unsigned i = 0; i < 5; i++)
        set_ar(x, 0x10 + i, r->ar[i]);
    fm_out(x->f, 0x3c6, 0xff, 1);
    fm_out(x->f, 0x3c8, 0, 1);
    for (unsigned i = 0; i < 256; i++) {
        fm_out(x->f, 0x3c9, (i * 3) & 0x3f, 1);
        fm_out(x->f, 0x3c9, (i * 5 + 1) & 0x3f, 1);
        fm_out(x->f, 0x3c9, (i * 7 + 2) & 0x3f, 1);
    }
}

static u32 dot(const struct fixture *x, int px, int py)
{
    g_assert_cmpint(px, <, x->s->width);
    g_assert_cmpint(py, <, x->s->height);
    return x->s->data[(size_t)py * x->s->stride + px] & 0xffffff;
}

/* -- text ------------------------------------------------------------------------------------------------------------ */

static u8 glyph(u8 ch, unsigned line) { return ch * 17 + line * 29; }

/* Puts glyphs into plane 2 as a BIOS does: sequential access, map at 0xa0000. */
static void load_font(struct fixture *x, u32 at, u8 change)
{
    out(x, 0x3c4, 2, 4);
    out(x, 0x3c4, 4, 6);
    out(x, 0x3ce, 5, 0);
    out(x, 0x3ce, 6, 4);
    for (unsigned ch = 0; ch < 256; ch++)
        for (unsigned l = 0; l < 16; l++)
            fm_write(x->f, 0xa0000 + at + ch * 32 + l, glyph(ch, l) ^ change, 1);
    out(x, 0x3c4, 2, 3);
    out(x, 0x3c4, 4, 2);
    out(x, 0x3ce, 5, 0x10);
    out(x, 0x3ce, 6, 0x0e);
}

static void put_char(struct fixture *x, unsigned cell, u8 ch, u8 attr)
{
    fm_write(x->f, 0xb8000 + 2 * cell, ch | attr << 8, 2);
}

/* All dots of one cell. */
static void check_cell(const struct fixture *x, unsigned col, unsigned row, u8 ch, u32 fg, u32 bg, u8 change)
{
    for (unsigned l = 0; l < 16; l++) {
        u8 bits = glyph(ch, l) ^ change;
        for (unsigned i = 0; i < 8; i++)
            g_assert_cmphex(dot(x, col * 9 + i, row * 16 + l), ==, bits & (0x80 >> i) ? fg : bg);
        g_assert_cmphex(dot(x, col * 9 + 8, row * 16 + l), ==, ch >= 0xc0 && ch <= 0xdf && (bits & 1) ? fg : bg);
    }
}

static void test_text(void)
{
    struct fixture *x = start(NULL);
    static struct console_text t;
    set_mode(x, &mode3);
    out(x, 0x3d4, 0x0e, 0x07); /* the cursor is somewhere else */
    out(x, 0x3d4, 0x0f, 0x80);
    load_font(x, 0, 0);
    load_font(x, 0x4000, 0xff);
    for (unsigned i = 0; i < 2000; i++)
        put_char(x, i, 'A' + i % 7, 0x07);
    put_char(x, 81, 0xc4, 0x1e);
    put_char(x, 82, 'x', 0x4b);
    refresh(x);
    g_assert_cmpint(x->s->width, ==, 720);
    g_assert_cmpint(x->s->height, ==, 400);
    check_cell(x, 0, 0, 'A', color(7), color(0), 0);
    check_cell(x, 79, 24, 'A' + 1999 % 7, color(7), color(0), 0);
    check_cell(x, 1, 1, 0xc4, color(14), color(1), 0);
    check_cell(x, 2, 1, 'x', color(11), color(4), 0);
    g_assert_cmphex(fm_read(x->f, 0xb8000 + 2 * 82, 2), ==, 0x4b78);
    out(x, 0x3c4, 3, 0x04); /* attribute bit 3 chooses the font at 16 KiB */
    refresh(x);
    check_cell(x, 2, 1, 'x', color(11), color(4), 0xff);
    check_cell(x, 0, 0, 'A', color(7), color(0), 0);
    lock_acquire(&x->f->m.lock);
    g_assert_true(console_text(x->con, &t));
    lock_release(&x->f->m.lock);
    g_assert_cmpuint(t.cols, ==, 80);
    g_assert_cmpuint(t.rows, ==, 25);
    g_assert_cmphex(t.cell[81], ==, 0x1ec4);
    g_assert_cmpint(t.cursor, ==, 0x780);
    out(x, 0x3c4, 1, 0x20); /* screen off: a blank text */
    lock_acquire(&x->f->m.lock);
    g_assert_true(console_text(x->con, &t));
    lock_release(&x->f->m.lock);
    g_assert_cmphex(t.cell[81], ==, 0x0720);
    g_assert_cmpint(t.cursor, ==, -1);
    end(x);
}

static void test_cursor_and_blink(void)
{
    struct fixture *x = start(NULL);
    set_mode(x, &mode3);
    load_font(x, 0, 0);
    put_char(x, 0, 'x', 0x81);
    out(x, 0x3d4, 0x0e, 0);
    out(x, 0x3d4, 0x0f, 5);
    refresh(x);
    check_cell(x, 0, 0, 'x', color(1), color(0), 0);
    for (unsigned l = 0; l < 16; l++) /* scan lines 13 and 14, in the colour of attribute 0: none is black here */
        g_assert_cmphex(dot(x, 5 * 9 + 8, l), ==, color(0));
    put_char(x, 5, 0, 0x02);
    refresh(x);
    for (unsigned l = 0; l < 16; l++)
        g_assert_cmphex(dot(x, 5 * 9 + 8, l), ==, l == 13 || l == 14 ? color(2) : color(0));
    fm_step(x->f, 300000000);
    g_assert_true(refresh(x)); /* cursor off */
    g_assert_cmphex(dot(x, 5 * 9 + 8, 13), ==, color(0));
    fm_step(x->f, 300000000);
    refresh(x); /* blinking characters off */
    for (unsigned i = 0; i < 9; i++)
        g_assert_cmphex(dot(x, i, 3), ==, color(0));
    end(x);
}

static void test_split_and_scroll(void)
{
    struct fixture *x = start(NULL);
    set_mode(x, &mode3);
    load_font(x, 0, 0);
    for (unsigned i = 0; i < 4000; i++)
        put_char(x, i, i / 80, 0x07);
    out(x, 0x3d4, 0x0a, 0x20); /* no cursor */
    out(x, 0x3d4, 0x0d, 80);   /* one row on */
    out(x, 0x3d4, 0x18, 0x1f); /* scan lines after 0x1f start at 0 again */
    out(x, 0x3d4, 0x07, 0x0f);
    out(x, 0x3d4, 0x09, 0x0f);
    refresh(x);
    check_cell(x, 3, 0, 1, color(7), color(0), 0);
    check_cell(x, 3, 1, 2, color(7), color(0), 0);
    check_cell(x, 3, 2, 0, color(7), color(0), 0);
    check_cell(x, 3, 3, 1, color(7), color(0), 0);
    out(x, 0x3d4, 0x08, 5); /* smooth scrolling: the first row starts with its scan line 5 */
    set_ar(x, 0x13, 1);     /* and 2 dots to the left; 8 is none */
    refresh(x);
    for (unsigned i = 0; i < 6; i++)
        g_assert_cmphex(dot(x, i, 0), ==, glyph(1, 5) & (0x80 >> (i + 2)) ? color(7) : color(0));
    end(x);
}

/* -- graphics --------------------------------------------------------------------------------------------------------- */

static void test_planar(void)
{
    struct fixture *x = start(NULL);
    set_mode(x, &mode12);
    refresh(x);
    g_assert_cmpint(x->s->width, ==, 640);
    g_assert_cmpint(x->s->height, ==, 480);
    for (unsigned p = 0; p < 4; p++) { /* byte n of plane p */
        out(x, 0x3c4, 2, 1 << p);
        for (unsigned n = 0; n < 38400; n += 7)
            fm_write(x->f, 0xa0000 + n, n * (p + 3), 1);
    }
    refresh(x);
    for (unsigned n = 0; n < 38400; n += 7)
        for (unsigned i = 0; i < 8; i++) {
            u8 c = 0;
            for (unsigned p = 0; p < 4; p++)
                c |= ((u8)(n * (p + 3)) >> (7 - i) & 1) << p;
            g_assert_cmphex(dot(x, n % 80 * 8 + i, n / 80), ==, color(c));
        }
    set_ar(x, 5, 9);
    set_ar(x, 0x12, 0x07); /* plane 3 is not shown */
    out(x, 0x3c4, 2, 15);
    out(x, 0x3ce, 0, 0x0d); /* set/reset */
    out(x, 0x3ce, 1, 0x0f);
    fm_write(x->f, 0xa0000, 0, 1);
    refresh(x);
    g_assert_cmphex(dot(x, 0, 0), ==, color(9));
    end(x);
}

static u8 plane(struct fixture *x, u32 off, u8 p)
{
    out(x, 0x3ce, 4, p);
    return fm_read(x->f, 0xa0000 + off, 1);
}

static void test_graphics_controller(void)
{
    struct fixture *x = start(NULL);
    set_mode(x, &mode12);
    for (unsigned p = 0; p < 4; p++) {
        out(x, 0x3c4, 2, 1 << p);
        fm_write(x->f, 0xa0010, 0x11 << p, 1);
    }
    out(x, 0x3c4, 2, 15);
    fm_read(x->f, 0xa0010, 1);
    out(x, 0x3ce, 5, 1); /* write mode 1: the latches */
    fm_write(x->f, 0xa0020, 0xff, 1);
    out(x, 0x3ce, 5, 0);
    g_assert_cmphex(plane(x, 0x20, 0), ==, 0x11);
    g_assert_cmphex(plane(x, 0x20, 3), ==, 0x88);
    out(x, 0x3ce, 5, 2); /* write mode 2: a colour, through the bit mask */
    out(x, 0x3ce, 8, 0xf0);
    fm_read(x->f, 0xa0010, 1);
    fm_write(x->f, 0xa0021, 0x05, 1);
    out(x, 0x3ce, 8, 0xff);
    out(x, 0x3ce, 5, 0);
    g_assert_cmphex(plane(x, 0x21, 0), ==, 0xf1);
    g_assert_cmphex(plane(x, 0x21, 1), ==, 0x02);
    g_assert_cmphex(plane(x, 0x21, 2), ==, 0xf4);
    out(x, 0x3ce, 5, 3); /* write mode 3: set/reset where the rotated data and the mask have ones */
    out(x, 0x3ce, 0, 0x0a);
    out(x, 0x3ce, 3, 4);
    fm_read(x->f, 0xa0010, 1);
    fm_write(x->f, 0xa0022, 0xf0, 1);
    out(x, 0x3ce, 3, 0);
    out(x, 0x3ce, 5, 0);
    g_assert_cmphex(plane(x, 0x22, 0), ==, 0x10);
    g_assert_cmphex(plane(x, 0x22, 1), ==, 0x2f);
    out(x, 0x3ce, 3, 0x18 | 1); /* XOR with the latches, rotated by one */
    fm_read(x->f, 0xa0010, 1);
    fm_write(x->f, 0xa0023, 0x03, 1);
    out(x, 0x3ce, 3, 0);
    g_assert_cmphex(plane(x, 0x23, 1), ==, 0x22 ^ 0x81);
    out(x, 0x3ce, 5, 8); /* read mode 1: where the colour is 1, plane 3 ignored */
    out(x, 0x3ce, 2, 1);
    out(x, 0x3ce, 7, 7);
    g_assert_cmphex(fm_read(x->f, 0xa0010, 1), ==, 0x11);
    end(x);
}

static void test_cga(void)
{
    struct fixture *x = start(NULL);
    set_mode(x, &mode4);
    for (unsigned i = 0; i < 0x4000; i++)
        fm_write(x->f, 0xb8000 + i, i * 5 + (i >> 8), 1);
    refresh(x);
    g_assert_cmpint(x->s->width, ==, 640);
    g_assert_cmpint(x->s->height, ==, 400);
    for (unsigned y = 0; y < 200; y++)
        for (unsigned px = 0; px < 320; px++) {
            unsigned off = (y & 1) * 0x2000 + y / 2 * 80 + px / 4;
            u8 c = (u8)(off * 5 + (off >> 8)) >> (6 - 2 * (px & 3)) & 3;
            g_assert_cmphex(dot(x, px * 2, y * 2), ==, color(c));
            g_assert_cmphex(dot(x, px * 2 + 1, y * 2 + 1), ==, color(c));
        }
    end(x);
}

static void test_256(void)
{
    struct fixture *x = start(NULL);
    set_mode(x, &mode13);
    for (unsigned i = 0; i < 64000; i++)
        fm_write(x->f, 0xa0000 + i, i * 3 + i / 320, 1);
    refresh(x);
    g_assert_cmpint(x->s->width, ==, 640);
    g_assert_cmpint(x->s->height, ==, 400);
    for (unsigned i = 0; i < 64000; i += 3)
        g_assert_cmphex(dot(x, i % 320 * 2 + (i & 1), i / 320 * 2 + (i & 1)), ==, color(i * 3 + i / 320));
    /* unchained: four pixels at an address, one a plane */
    out(x, 0x3c4, 4, 6);
    out(x, 0x3d4, 0x14, 0);
    out(x, 0x3d4, 0x17, 0xe3);
    for (unsigned p = 0; p < 4; p++) {
        out(x, 0x3c4, 2, 1 << p);
        for (unsigned i = 0; i < 16000; i++)
            fm_write(x->f, 0xa0000 + i, i * 7 + p * 50, 1);
    }
    refresh(x);
    for (unsigned i = 0; i < 64000; i += 3)
        g_assert_cmphex(dot(x, i % 320 * 2, i / 320 * 2), ==, color(i / 4 * 7 + i % 4 * 50));
    out(x, 0x3d4, 0x0c, 0x40); /* the other page */
    refresh(x);
    g_assert_cmphex(dot(x, 0, 0), ==, color(0));
    out(x, 0x3c4, 1, 0x21); /* screen off */
    refresh(x);
    g_assert_cmphex(dot(x, 100, 100), ==, 0);
    end(x);
}

/* -- the display interface -------------------------------------------------------------------------------------------- */

static void dispi(struct fixture *x, u16 index, u16 val)
{
    fm_out(x->f, 0x1ce, index, 2);
    fm_out(x->f, 0x1cf, val, 2);
}

static u16 dispi_get(struct fixture *x, u16 index)
{
    fm_out(x->f, 0x1ce, index, 2);
    return fm_in(x->f, 0x1cf, 2);
}

static void dispi_mode(struct fixture *x, u16 w, u16 h, u16 bpp)
{
    dispi(x, DISPI_ENABLE, 0);
    dispi(x, DISPI_XRES, w);
    dispi(x, DISPI_YRES, h);
    dispi(x, DISPI_BPP, bpp);
    dispi(x, DISPI_ENABLE, DISPI_ENABLED | DISPI_LFB);
    set_ar(x, 0, 0);
}

static void test_linear(void)
{
    struct fixture *x = start("vgamem_mb=32");
    set_mode(x, &mode3);
    g_assert_cmphex(dispi_get(x, DISPI_ID), ==, 0xb0c5);
    g_assert_cmpuint(dispi_get(x, DISPI_MEMORY_64K), ==, 512);
    dispi_mode(x, 3840, 2160, 32);
    refresh(x);
    g_assert_cmpint(x->s->width, ==, 3840);
    g_assert_cmpint(x->s->height, ==, 2160);
    fm_write(x->f, LFB + 4 * (2159 * 3840 + 3839), 0x123456, 4);
    settle(x);
    g_assert_cmphex(dot(x, 3839, 2159), ==, 0x123456);
    dispi_mode(x, 800, 600, 24);
    fm_write(x->f, LFB + 3 * (599 * 800 + 1), 0x563412, 4);
    refresh(x);
    g_assert_cmphex(dot(x, 1, 599), ==, 0x563412);
    dispi_mode(x, 1024, 768, 16);
    fm_write(x->f, LFB + 2 * (10 * 1024 + 5), 0xf81f, 2);
    refresh(x);
    g_assert_cmphex(dot(x, 5, 10), ==, 0xff00ff);
    dispi_mode(x, 1024, 768, 15);
    fm_write(x->f, LFB + 2 * (10 * 1024 + 6), 0x03e0, 2);
    refresh(x);
    g_assert_cmphex(dot(x, 6, 10), ==, 0x00ff00);
    dispi_mode(x, 640, 480, 8);
    fm_write(x->f, LFB + 640, 77, 1);
    refresh(x);
    g_assert_cmphex(dot(x, 0, 1), ==, color(77));
    dispi(x, DISPI_ENABLE, DISPI_ENABLED | DISPI_LFB | DISPI_8BIT_DAC);
    fm_out(x->f, 0x3c8, 77, 1);
    for (unsigned i = 0; i < 3; i++)
        fm_out(x->f, 0x3c9, 0xa0 + i, 1);
    refresh(x);
    g_assert_cmphex(dot(x, 0, 1), ==, 0xa0a1a2);
    end(x);
}

static void test_bank_and_offset(void)
{
    struct fixture *x = start(NULL);
    set_mode(x, &mode3);
    dispi_mode(x, 640, 480, 32);
    dispi(x, DISPI_BANK, 3);
    fm_write(x->f, 0xa0004, 0xabcdef, 4);
    g_assert_cmphex(fm_read(x->f, LFB + 0x30004, 4), ==, 0xabcdef);
    dispi(x, DISPI_VIRT_WIDTH, 1024);
    g_assert_cmpuint(dispi_get(x, DISPI_VIRT_HEIGHT), ==, 4096);
    dispi(x, DISPI_X_OFFSET, 8);
    dispi(x, DISPI_Y_OFFSET, 100);
    fm_write(x->f, LFB + 4 * (100 * 1024 + 9), 0x112233, 4);
    refresh(x);
    g_assert_cmphex(dot(x, 1, 0), ==, 0x112233);
    dispi(x, DISPI_Y_OFFSET, 4000); /* the picture ends where memory does */
    refresh(x);
    g_assert_cmpint(x->s->height, ==, 95);
    dispi(x, DISPI_Y_OFFSET, 0xffff);
    refresh(x);
    dispi(x, DISPI_ENABLE, DISPI_GETCAPS);
    g_assert_cmpuint(dispi_get(x, DISPI_BPP), ==, 32);
    end(x);
}

static void test_mmio(void)
{
    struct fixture *x = start("xres=1600,yres=900");
    u8 sum = 0;
    set_mode(x, &mode3);
    for (unsigned i = 0; i < 128; i++)
        sum += fm_read(x->f, MMIO + i, 1);
    g_assert_cmphex(fm_read(x->f, MMIO, 4), ==, 0xffffff00);
    g_assert_cmpuint(sum, ==, 0);
    g_assert_cmpuint(fm_read(x->f, MMIO + 56, 1) | (fm_read(x->f, MMIO + 58, 1) & 0xf0) << 4, ==, 1600);
    fm_write(x->f, MMIO + 0x500 + 2 * DISPI_XRES, 1024, 2);
    g_assert_cmpuint(dispi_get(x, DISPI_XRES), ==, 1024);
    fm_write(x->f, MMIO + 0x414, 0x5a0f, 2); /* port 0x3d4: index and data at once */
    g_assert_cmphex(fm_read(x->f, MMIO + 0x415, 1), ==, 0x5a);
    g_assert_cmphex(fm_read(x->f, MMIO + 0x604, 4), ==, 0x1e1e1e1e);
    end(x);
}

/* -- what is reported ------------------------------------------------------------------------------------------------- */

static void test_changes(void)
{
    struct fixture *x = start(NULL);
    set_mode(x, &mode3);
    dispi_mode(x, 640, 480, 32);
    settle(x);
    g_assert_false(refresh(x));
    g_assert_cmpuint(x->updates, ==, 0);
    fm_write(x->f, LFB + 4 * (200 * 640 + 17), 0xffffff, 4);
    fm_write(x->f, LFB + 4 * (201 * 640 + 19), 0xffffff, 4);
    g_assert_true(refresh(x));
    g_assert_cmpuint(x->updates, ==, 1);
    g_assert_true(x->x0 == 17 && x->x1 == 20 && x->y0 == 200 && x->y1 == 202);
    g_assert_false(refresh(x));
    fm_write(x->f, LFB + 4 * (200 * 640 + 17), 0xffffff, 4); /* the same again */
    g_assert_false(refresh(x));
    fm_write(x->f, LFB + 4 * (300 * 640), 1, 4);
    lock_acquire(&x->f->m.lock);
    console_unlisten(x->con, &x->look); /* nobody looks: nothing is drawn, but a snapshot is up to date */
    g_assert_false(console_refresh(x->con));
    g_assert_cmphex(console_snapshot(x->con)->data[300 * 640], ==, 1);
    lock_release(&x->f->m.lock);
    end(x);
}

/* Random registers, memory and refreshes: nothing outside may be touched (the sanitizers tell). */
static void test_random(void)
{
    struct fixture *x = start("vgamem_mb=1");
    for (unsigned i = 0; i < 20000; i++) {
        u32 v = g_test_rand_int();
        switch (g_test_rand_int_range(0, 10)) {
        case 0: case 1: out(x, 0x3d4, v % 0x1a, v >> 8); break;
        case 2: out(x, 0x3c4, v % 5, v >> 8); break;
        case 3: out(x, 0x3ce, v % 9, v >> 8); break;
        case 4: set_ar(x, v % 0x15, v >> 8); break;
        case 5: dispi(x, v % 11, v >> 8 & (v & 0x80 ? 0xffff : 0x7ff)); break;
        case 6: fm_write(x->f, 0xa0000 + (v & 0x1ffff), v, 1u << (v >> 20 & 3)); break;
        case 7: fm_read(x->f, 0xa0000 + (v & 0x1ffff), 1u << (v >> 20 & 3)); break;
        case 8: fm_out(x->f, 0x3c0 + (v & 15), v >> 8, 1); break;
        default:
            if (i % 8 == 0)
                refresh(x);
            static struct console_text t;
            lock_acquire(&x->f->m.lock);
            console_text(x->con, &t);
            lock_release(&x->f->m.lock);
        }
    }
    end(x);
}

static void test_retrace(void)
{
    struct fixture *x = start(NULL);
    unsigned retrace = 0, blank = 0;
    set_mode(x, &mode3);
    for (unsigned i = 0; i < 14268; i++) { /* one frame of 70.09 Hz */
        u8 st = fm_in(x->f, 0x3da, 1);
        retrace += st >> 3 & 1;
        blank += st & 1;
        fm_step(x->f, 1000);
    }
    g_assert_cmpuint(retrace, >, 40); /* 2 of 449 lines */
    g_assert_cmpuint(retrace, <, 90);
    g_assert_cmpuint(blank, >, 3500); /* 49 lines, and a fifth of the others */
    g_assert_cmpuint(blank, <, 5500);
    end(x);
}

static void test_bochs_display(void)
{
    struct fixture *x = start_class("bochs-display", "vgamem=8M,romfile=");
    g_assert_cmphex(fm_read(x->f, MMIO + 0x500, 2), ==, 0xb0c5);
    g_assert_cmphex(fm_in(x->f, 0x3cc, 1), ==, 0xff); /* no VGA */
    fm_write(x->f, MMIO + 0x500 + 2 * DISPI_XRES, 1024, 2);
    fm_write(x->f, MMIO + 0x500 + 2 * DISPI_YRES, 768, 2);
    fm_write(x->f, MMIO + 0x500 + 2 * DISPI_BPP, 32, 2);
    fm_write(x->f, MMIO + 0x500 + 2 * DISPI_ENABLE, DISPI_ENABLED | DISPI_LFB, 2);
    fm_write(x->f, LFB + 4 * (767 * 1024 + 1023), 0x13579b, 4);
    refresh(x);
    g_assert_cmpint(x->s->width, ==, 1024);
    g_assert_cmphex(dot(x, 1023, 767), ==, 0x13579b);
    g_assert_cmpuint(fm_read(x->f, MMIO + 0x500 + 2 * DISPI_MEMORY_64K, 2), ==, 128);
    end(x);
}

/* Text mode 3 as a video BIOS leaves it: grey on black, the cursor where cell 0 is. */
static void test_boot_text(void)
{
    struct fixture *x = start("romfile=");
    static struct console_text t;
    lock_acquire(&x->f->m.lock);
    vga_boot_text(&x->f->m);
    g_assert_true(vga_boot_present(&x->f->m));
    g_assert_true(console_text(x->con, &t));
    lock_release(&x->f->m.lock);
    g_assert_cmpuint(t.cols, ==, 80);
    g_assert_cmpuint(t.rows, ==, 25);
    g_assert_cmphex(t.cell[1999], ==, 0x0720);
    g_assert_cmpint(t.cursor, ==, 0);
    g_assert_cmphex(fm_read(x->f, 0xb8000, 4), ==, 0x07200720);
    fm_write(x->f, 0xb8000, 0x4e41, 2);
    refresh(x);
    g_assert_cmphex(dot(x, 0, 0), ==, 0xaa0000); /* red behind a character without glyph */
    end(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/display/vga/text", test_text);
    g_test_add_func("/hw/display/vga/cursor", test_cursor_and_blink);
    g_test_add_func("/hw/display/vga/split", test_split_and_scroll);
    g_test_add_func("/hw/display/vga/planar", test_planar);
    g_test_add_func("/hw/display/vga/graphics-controller", test_graphics_controller);
    g_test_add_func("/hw/display/vga/cga", test_cga);
    g_test_add_func("/hw/display/vga/256", test_256);
    g_test_add_func("/hw/display/vga/linear", test_linear);
    g_test_add_func("/hw/display/vga/bank", test_bank_and_offset);
    g_test_add_func("/hw/display/vga/mmio", test_mmio);
    g_test_add_func("/hw/display/vga/bochs-display", test_bochs_display);
    g_test_add_func("/hw/display/vga/boot-text", test_boot_text);
    g_test_add_func("/hw/display/vga/changes", test_changes);
    g_test_add_func("/hw/display/vga/retrace", test_retrace);
    g_test_add_func("/hw/display/vga/random", test_random);
    return g_test_run();
}
