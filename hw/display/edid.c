/* Builds the EDID block of an imaginary monitor. Called by display adapters when they are made. VESA Enhanced EDID Standard release A,
 * revision 2 (EDID 1.4), section 3. */
#include "hw/display/edid.h"

#define DPI 100
enum { PREFERRED = 54, DESCRIPTOR = 18 };

static unsigned to_mm(unsigned dots)
{
    return dots * 254 / (10 * DPI);
}

/* Detailed timing: blanking of about a quarter and a thirtieth, 60 frames a second. */
static void put_timing(u8 *d, unsigned x, unsigned y)
{
    unsigned hblank = (x / 4 + 7) & ~7u, hfront = (hblank / 6 + 7) & ~7u, hsync = (hblank / 4 + 7) & ~7u;
    unsigned vblank = y / 30 + 8, vfront = 3, vsync = 5, mmx = to_mm(x), mmy = to_mm(y);
    u64 clock = (u64)(x + hblank) * (y + vblank) * 60 / 10000;

    st16(d, MIN_OF(clock, 0xffff));
    d[2] = x;
    d[3] = hblank;
    d[4] = x >> 8 << 4 | hblank >> 8;
    d[5] = y;
    d[6] = vblank;
    d[7] = y >> 8 << 4 | vblank >> 8;
    d[8] = hfront;
    d[9] = hsync;
    d[10] = vfront << 4 | vsync;
    d[11] = (hfront >> 8 & 3) << 6 | (hsync >> 8 & 3) << 4;
    d[12] = mmx;
    d[13] = mmy;
    d[14] = mmx >> 8 << 4 | (mmy >> 8 & 15);
    d[17] = 0x18; /* digital separate sync */
}

/* A descriptor of 13 characters, ended by a line feed. */
static void put_text(u8 *d, u8 tag, const char *text)
{
    size_t n = strlen(text);

    memset(d, 0, 5);
    d[3] = tag;
    memset(d + 5, ' ', 13);
    memcpy(d + 5, text, MIN_OF(n, 13));
    if (n < 13)
        d[5 + n] = '\n';
}

static void put_ranges(u8 *d)
{
    static const u8 ranges[DESCRIPTOR] = { 0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 255, 0x01, '\n', ' ', ' ', ' ', ' ', ' ', ' ' };

    memcpy(d, ranges, DESCRIPTOR);
}

void edid_fill(u8 e[EDID_SIZE], unsigned xres, unsigned yres)
{
    static const u8 head[8] = { 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00 };
    /* chromaticity of sRGB; then the established timings 640x480, 800x600, 1024x768, all at 60 Hz */
    static const u8 color[10] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 }, established[3] = { 0x21, 0x08, 0x00 };
    u8 sum = 0;

    memset(e, 0, EDID_SIZE);
    memcpy(e, head, 8);
    e[8] = ('G' - '@') << 2 | ('M' - '@') >> 3; /* manufacturer GML */
    e[9] = (u8)(('M' - '@') << 5) | ('L' - '@');
    st16(e + 10, 1);
    e[17] = 2024 - 1990;
    e[18] = 1;
    e[19] = 4;
    e[20] = 0xa5; /* digital, 8 bits a colour, DisplayPort */
    e[21] = MIN_OF(to_mm(xres) / 10, 255);
    e[22] = MIN_OF(to_mm(yres) / 10, 255);
    e[23] = 120; /* gamma 2.2 */
    e[24] = 0x06; /* sRGB; the first timing is the preferred one */
    memcpy(e + 25, color, sizeof(color));
    memcpy(e + 35, established, sizeof(established));
    memset(e + 38, 0x01, 16); /* no standard timings */
    put_timing(e + PREFERRED, xres, yres);
    put_ranges(e + PREFERRED + DESCRIPTOR);
    put_text(e + PREFERRED + 2 * DESCRIPTOR, 0xfc, "Gemel Monitor");
    put_text(e + PREFERRED + 3 * DESCRIPTOR, 0xff, "0");
    for (unsigned i = 0; i < EDID_SIZE - 1; i++)
        sum += e[i];
    e[127] = -sum;
}
