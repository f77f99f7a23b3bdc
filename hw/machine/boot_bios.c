/* What real-mode code finds of a BIOS after direct kernel boot: interrupt vectors, the data areas, and services that answer "not
 * supported". Kernels that drop to real mode to ask (Xen's trampoline, for one) then go by what the boot protocol told
 * them. Main thread, called by boot.c. Vectors and data areas: IBM PS/2 and PC BIOS Interface Technical Reference, sections 2 and 3. */
#include "hw/display/vga_boot.h"
#include "hw/machine/boot_image.h"

enum { VECTORS = 256, STUB_SEG = 0xf000, STUB_OFF = 0xf000 };
enum { STUB_IRET = 0, STUB_MASTER = 1, STUB_SLAVE = 8, STUB_SERVICE = 17, STUB_EQUIPMENT = 28, STUB_MEMORY = 37 };

static const u8 stubs[] = {
    [STUB_IRET] = 0xcf,                                             /* iret */
    [STUB_MASTER] = 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf,       /* push ax; mov al,20; out 20,al; pop ax; iret */
    [STUB_SLAVE] = 0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf,
    [STUB_SERVICE] = 0x55, 0x89, 0xe5, 0x80, 0x4e, 0x06, 0x01,      /* push bp; mov bp,sp; or byte [bp+6],1: CF */
    0x5d, 0xb4, 0x86, 0xcf,                                         /* pop bp; mov ah,86; iret */
    [STUB_EQUIPMENT] = 0x1e, 0x6a, 0x40, 0x1f, 0xa1, 0x10, 0, 0x1f, 0xcf, /* push ds; push 40; pop ds; mov ax,[10]; pop ds; iret */
    [STUB_MEMORY] = 0x1e, 0x6a, 0x40, 0x1f, 0xa1, 0x13, 0, 0x1f, 0xcf,
};

static u16 vector_stub(unsigned n)
{
    if (n >= 0x08 && n <= 0x0f)
        return STUB_MASTER;
    if (n >= 0x70 && n <= 0x77)
        return STUB_SLAVE;
    if (n == 0x11)
        return STUB_EQUIPMENT;
    if (n == 0x12)
        return STUB_MEMORY;
    return n >= 0x10 && n <= 0x1a ? STUB_SERVICE : STUB_IRET;
}

static int place_vectors(struct boot *b, struct err *e)
{
    u8 *ivt = g_malloc(4 * VECTORS);

    for (unsigned n = 0; n < VECTORS; n++) {
        st16(ivt + 4 * n, STUB_OFF + vector_stub(n));
        st16(ivt + 4 * n + 2, STUB_SEG);
    }
    return boot_place(b, "interrupt vectors", 0, ivt, 4 * VECTORS, 4 * VECTORS, e);
}

/* The text mode that the display is in. */
static void fill_video(const struct boot *b, u8 *bda)
{
    if (!vga_boot_present(b->m))
        return;
    bda[0x49] = VGA_BOOT_MODE;
    st16(bda + 0x4a, VGA_BOOT_COLS);
    st16(bda + 0x4c, 2 * VGA_BOOT_COLS * VGA_BOOT_ROWS);
    st16(bda + 0x60, 0x0d0e); /* cursor's scan lines */
    st16(bda + 0x63, 0x3d4);
    bda[0x84] = VGA_BOOT_ROWS - 1;
    st16(bda + 0x85, VGA_BOOT_POINTS);
}

int boot_place_bios(struct boot *b, struct err *e)
{
    static const u16 com_ports[4] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    u8 *bda = g_malloc0(256), *ebda = g_malloc0(1024);
    unsigned coms = 0;

    for (unsigned i = 0; i < ARRAY_LEN(com_ports); i++) {
        if (b->m->cfg.serial_chr[i]) {
            st16(bda + 2 * i, com_ports[i]);
            coms++;
        }
    }
    st16(bda + 0x0e, BOOT_EBDA >> 4);
    st16(bda + 0x10, 0x06 | coms << 9); /* equipment: coprocessor, PS/2 mouse, serial ports */
    st16(bda + 0x13, BOOT_EBDA / KiB);
    fill_video(b, bda);
    ebda[0] = 1; /* its size in KiB */
    if (boot_place(b, "BIOS data area", 0x400, bda, 256, 256, e) < 0) {
        g_free(ebda);
        return -1;
    }
    if (boot_place(b, "extended BIOS data area", BOOT_EBDA, ebda, 1024, 1024, e) < 0 || place_vectors(b, e) < 0)
        return -1;
    return boot_place(b, "BIOS services", STUB_SEG * 16 + STUB_OFF, g_memdup2(stubs, sizeof(stubs)), sizeof(stubs), sizeof(stubs), e);
}
