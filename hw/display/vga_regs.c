/* The VGA's registers at ports 0x3b4-0x3da: index and data pairs, the attribute controller's flip-flop, the DAC, the status registers with
 * the beam's position. vCPU threads, machine lock held. IBM PS/2 Video Subsystem Technical Reference (VGA), chapter 2. */
#include "hw/core/machine.h"
#include "hw/display/vga.h"

enum { MISC_COLOR = 0x01, CR11_PROTECT = 0x80, ST1_BLANK = 0x01, ST1_VRETRACE = 0x08, AR_INDEX_MASK = 0x3f };

static const u8 sr_mask[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const u8 gr_mask[16] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const u8 ar_mask[32] = { [0 ... 15] = 0x3f, [16] = 0xef, [17] = 0xff, [18] = 0x3f, [19] = 0x0f, [20] = 0x0f };
#define CR_COUNT 0x19

/* -- where the beam is ------------------------------------------------------------------------------------------------ */

static u32 cr_total(const struct vga *v)
{
    return (v->cr[0x06] | (v->cr[0x07] & 0x01) << 8 | (v->cr[0x07] & 0x20) << 4) + 2;
}

static u32 cr_display_end(const struct vga *v)
{
    return (v->cr[0x12] | (v->cr[0x07] & 0x02) << 7 | (v->cr[0x07] & 0x40) << 3) + 1;
}

static u32 cr_retrace_start(const struct vga *v)
{
    return v->cr[0x10] | (v->cr[0x07] & 0x04) << 6 | (v->cr[0x07] & 0x80) << 2;
}

/* Input status 1: a frame takes what the dot clock says; the horizontal blank is the last part of each line. */
static u8 beam_status(const struct vga *v)
{
    static const u32 khz[4] = { 25175, 28322, 25175, 25175 };
    u64 dots = (u64)(v->cr[0] + 5) * ((v->sr[1] & 1) ? 8 : 9) * ((v->sr[1] & 8) ? 2 : 1);
    u64 line_ns = MAX_OF(dots * 1000000 / khz[(v->misc >> 2) & 3], 1000), lines = MAX_OF(cr_total(v), 2);
    u64 at = (u64)clock_ns(v->m->clock) % (line_ns * lines), y = at / line_ns;
    u32 start = cr_retrace_start(v);
    u32 length = ((v->cr[0x11] - start) & 0x0f) ? ((v->cr[0x11] - start) & 0x0f) : 16;
    bool hblank = at % line_ns * (v->cr[0] + 5) >= line_ns * (v->cr[1] + 1u);
    u8 st = 0;

    if (y >= cr_display_end(v) || hblank)
        st |= ST1_BLANK;
    if (start >= lines ? y == lines - 1 : y >= start && y < start + length)
        st |= ST1_VRETRACE | ST1_BLANK;
    return st;
}

/* -- attribute controller and DAC ------------------------------------------------------------------------------------- */

static void ar_write(struct vga *v, u8 val)
{
    unsigned i = v->ar_index & 0x1f;

    if (!v->ar_data)
        v->ar_index = val & AR_INDEX_MASK;
    else
        v->ar[i] = val & ar_mask[i];
    v->ar_data = !v->ar_data;
}

static u8 dac_read(struct vga *v)
{
    u8 val = v->dac[v->dac_read * 3 + v->dac_sub];

    if (++v->dac_sub == 3) {
        v->dac_sub = 0;
        v->dac_read++;
    }
    return val;
}

static void dac_write(struct vga *v, u8 val)
{
    v->dac_latch[v->dac_sub++] = val;
    if (v->dac_sub < 3)
        return;
    memcpy(v->dac + v->dac_write * 3, v->dac_latch, 3);
    v->dac_sub = 0;
    v->dac_write++;
}

/* -- the ports -------------------------------------------------------------------------------------------------------- */

/* The CRT controller and status register 1 are at 0x3d. or at 0x3b., as the miscellaneous output register says. */
static bool port_absent(const struct vga *v, u16 port)
{
    bool color = v->misc & MISC_COLOR;

    return (port >= 0x3b0 && port <= 0x3bf && color) || (port >= 0x3d0 && port <= 0x3df && !color);
}

u8 vga_port_read(struct vga *v, u16 port)
{
    if (port_absent(v, port))
        return 0xff;
    switch (port) {
    case 0x3c0: return v->ar_data ? 0 : v->ar_index;
    case 0x3c1: return v->ar[v->ar_index & 0x1f];
    case 0x3c2: return 0x10; /* input status 0: a monitor is there */
    case 0x3c4: return v->sr_index;
    case 0x3c5: return v->sr[v->sr_index];
    case 0x3c6: return v->dac_mask;
    case 0x3c7: return v->dac_state;
    case 0x3c8: return v->dac_write;
    case 0x3c9: return dac_read(v);
    case 0x3ca: return v->feature;
    case 0x3cc: return v->misc;
    case 0x3ce: return v->gr_index;
    case 0x3cf: return v->gr[v->gr_index];
    case 0x3b4: case 0x3d4: return v->cr_index;
    case 0x3b5: case 0x3d5: return v->cr_index < CR_COUNT ? v->cr[v->cr_index] : 0;
    case 0x3ba: case 0x3da:
        v->ar_data = false;
        return beam_status(v);
    default: return 0xff;
    }
}

static void cr_write(struct vga *v, u8 val)
{
    unsigned i = v->cr_index;

    if (i >= CR_COUNT)
        return;
    if ((v->cr[0x11] & CR11_PROTECT) && i <= 7) { /* but for a bit of the line compare */
        if (i == 7)
            v->cr[7] = (v->cr[7] & ~0x10) | (val & 0x10);
        return;
    }
    v->cr[i] = val;
}

void vga_port_write(struct vga *v, u16 port, u8 val)
{
    if (port_absent(v, port))
        return;
    switch (port) {
    case 0x3c0:
        ar_write(v, val);
        break;
    case 0x3c2:
        v->misc = val & ~0x10;
        vga_window_update(v);
        break;
    case 0x3c4:
        v->sr_index = val & 7;
        break;
    case 0x3c5:
        v->sr[v->sr_index] = val & sr_mask[v->sr_index];
        vga_window_update(v);
        break;
    case 0x3c6:
        v->dac_mask = val;
        break;
    case 0x3c7:
        v->dac_read = val;
        v->dac_sub = 0;
        v->dac_state = 3;
        break;
    case 0x3c8:
        v->dac_write = val;
        v->dac_sub = 0;
        v->dac_state = 0;
        break;
    case 0x3c9:
        dac_write(v, val);
        break;
    case 0x3ce:
        v->gr_index = val & 0x0f;
        break;
    case 0x3cf:
        v->gr[v->gr_index] = val & gr_mask[v->gr_index];
        vga_window_update(v);
        break;
    case 0x3b4: case 0x3d4:
        v->cr_index = val;
        break;
    case 0x3b5: case 0x3d5:
        cr_write(v, val);
        break;
    case 0x3ba: case 0x3da:
        v->feature = val & 0x0b;
        break;
    }
}
