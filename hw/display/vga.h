/* Inside of the VGA: the state that vga.c (memory, ports, console), vga_pci.c (the PCI functions), vga_regs.c (registers), vga_mem.c (the CPU's window), vga_dispi.c (Bochs'
 * display interface) and vga_draw.c (the picture) share. Machine lock held by every caller. Register names are IBM's (VGA
 * Technical Reference, 1988): SR sequencer, CR CRT controller, GR graphics controller, AR attribute controller. */
#ifndef HW_DISPLAY_VGA_H
#define HW_DISPLAY_VGA_H
#include "hw/core/console.h"
#include "hw/core/device.h"
#include "mmu/region.h"

#define VGA_PLANES_SIZE (256 * KiB) /* what the VGA's own modes reach: 4 planes of 64 KiB, byte n of plane p at 4n + p */

enum vga_dispi {
    DISPI_ID, DISPI_XRES, DISPI_YRES, DISPI_BPP, DISPI_ENABLE, DISPI_BANK, DISPI_VIRT_WIDTH, DISPI_VIRT_HEIGHT, DISPI_X_OFFSET,
    DISPI_Y_OFFSET, DISPI_MEMORY_64K, DISPI_REGS,
};
enum { DISPI_ENABLED = 0x01, DISPI_GETCAPS = 0x02, DISPI_8BIT_DAC = 0x20, DISPI_LFB = 0x40, DISPI_NOCLEAR = 0x80 };

enum vga_kind { VGA_BLANK, VGA_TEXT, VGA_PLANAR, VGA_CGA /* 2-bit pixels */, VGA_256, VGA_LINEAR /* display interface */ };

/* What the registers say about the picture; compared as bytes, so no padding. */
struct vga_mode {
    u32 kind;
    u32 width, height;       /* of the picture in dots */
    u32 start, pitch;        /* LINEAR: bytes; else in the address counter's units */
    u32 bpp;                 /* LINEAR */
    u32 line_compare;        /* scan line after which the address counter starts at 0 again */
    u32 row_scan, row_lines; /* first scan line shown of the first row; scan lines of a row */
    u32 doubled;             /* each scan line twice */
    u32 pan, pan_below;      /* dots to the left, above and below the line compare */
    u32 count_shift;         /* the address counter steps each 2 or 4 characters */
    u32 addressing;          /* 0 bytes, 1 words, 2 dwords */
    u32 wrap13, sub;         /* word mode: bit 13, not 15, comes round; CRTC mode bits 0, 1: row scan for address bits 13, 14 */
    u32 cell_width, wide;    /* TEXT: dots of a cell's glyph (8, 9); each dot twice */
    u32 font[2];             /* plane offset of the glyphs for attribute bit 3 clear and set */
    u32 attr_mode;           /* AR10: blinking, line graphics */
    u32 cols;
    u32 cursor, cursor_top, cursor_bottom, underline;
    u32 blink, cursor_on;    /* phases */
};

struct vga {
    struct machine *m;
    u32 vram_size;           /* bytes, a power of two */
    struct ram_block *vram;
    struct region lfb;       /* all of it: BAR 0 */
    struct region window;    /* 0xa0000..0xbffff, register path */
    struct region direct;    /* the same as RAM, at one of the window's maps, while addressing is linear */
    struct region *window_parent; /* NULL: there is no VGA, just the display interface */
    struct region io_crtc_mono, io_status_mono, io_main, io_crtc, io_status, io_dispi;

    /* saved */
    u8 misc, feature;
    u8 sr_index, sr[8], gr_index, gr[16], cr_index, cr[32], ar_index, ar[32];
    bool ar_data;            /* the next write to 0x3c0 is data */
    u8 dac_mask, dac_state, dac_read, dac_write, dac_sub, dac_latch[3], dac[768];
    u32 latch;
    u16 dispi_index, dispi[DISPI_REGS];

    /* derived: drawing */
    struct console *con;
    bool redraw;             /* everything, whatever is dirty */
    struct vga_mode drawn;   /* what the surface shows */
    u32 palette[256];        /* x8r8g8b8 */
    u32 *line;               /* one scan line under construction */
    u8 *pages;               /* dirty pages, one byte each */
};

extern const struct snap_field vga_fields[];

/* The memory, which the caller frees, the ports, the window at 0xa0000 of `parent` (NULL: none), and the console. -1 with e set on failure. */
int vga_init(struct vga *v, struct machine *m, struct device *owner, struct region *parent, u32 vram_size, struct err *e);
void vga_fini(struct vga *v);
void vga_reset(struct vga *v);
void vga_post_load(struct vga *v);

/* vga_regs.c: ports 0x3b4..0x3da. */
u8 vga_port_read(struct vga *v, u16 port);
void vga_port_write(struct vga *v, u16 port, u8 val);
/* vga_mem.c: maps and unmaps the direct window after a register that matters has changed. */
extern const struct region_ops vga_window_ops;
void vga_window_update(struct vga *v);
/* vga_dispi.c */
u16 vga_dispi_read(const struct vga *v, unsigned index);
void vga_dispi_write(struct vga *v, unsigned index, u16 val);
bool vga_dispi_enabled(const struct vga *v);
/* Bytes of a scan line in memory. */
u32 vga_dispi_pitch(const struct vga *v);
/* Values that a damaged file has and registers cannot. */
void vga_dispi_post_load(struct vga *v);
extern const struct region_ops vga_dispi_ops;
/* vga_mode.c */
void vga_mode_get(const struct vga *v, struct vga_mode *mode);
void vga_palette_get(const struct vga *v, const struct vga_mode *mode, u32 palette[256]);
/* Plane offset (0..0xffff) that the CRT controller fetches for column col of the row whose first address is ma, on scan line `scan` of the row. */
u32 vga_fetch_address(const struct vga_mode *mode, u32 ma, u32 col, u32 scan);
/* vga_draw.c */
extern const struct console_ops vga_console_ops;

#endif
