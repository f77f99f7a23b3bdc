/* Direct boot of a Linux bzImage through the 32-bit boot protocol. Main thread, called by hw/machine/boot.c.
 * "The Linux/x86 Boot Protocol" (Documentation/arch/x86/boot.rst), versions 2.02 to 2.15, and zero-page.rst. */
#include "hw/display/vga_boot.h"
#include "hw/machine/boot_image.h"

enum linux_header { /* offsets in the file and in the zero page alike */
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    BOOT_FLAG = 0x1fe,
    JUMP = 0x200,
    HEADER = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    KERNEL_ALIGNMENT = 0x230,
    RELOCATABLE = 0x234,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END = 0x268,
};
enum zero_page { ZP_EXT_MEM_K = 0x002, ZP_VIDEO_MODE = 0x006, ZP_VIDEO_COLS = 0x007, ZP_VIDEO_EGA_BX = 0x00a,
                 ZP_VIDEO_LINES = 0x00e, ZP_VIDEO_IS_VGA = 0x00f, ZP_VIDEO_POINTS = 0x010, ZP_ACPI_RSDP = 0x070, ZP_ALT_MEM_K = 0x1e0, ZP_E820_ENTRIES = 0x1e8,
                 ZP_EDD_MBR = 0x290, ZP_E820 = 0x2d0, ZP_SIZE = 4096 };
enum { LOADED_HIGH = 0x01, CAN_USE_HEAP = 0x80, LOADER_UNKNOWN = 0xff, SECTOR = 512, HIGH_BASE = 0x100000 };

bool linux_probe(const struct file *f)
{
    return f->len >= HEADER_END && ld16(f->data + BOOT_FLAG) == 0xaa55 && !memcmp(f->data + HEADER, "HdrS", 4);
}

struct linux_image {
    const u8 *h;         /* the file */
    u16 version;
    u64 setup, payload;  /* bytes of the real-mode part and of the protected-mode kernel */
    u64 base, init_size; /* where the kernel goes and what it needs there */
};

static int linux_parse(const struct boot *b, const struct file *f, struct linux_image *k, struct err *e)
{
    const u8 *h = f->data;
    unsigned sects = h[SETUP_SECTS] ? h[SETUP_SECTS] : 4;

    k->h = h;
    k->version = ld16(h + VERSION);
    k->setup = (sects + 1) * SECTOR;
    if (k->version < 0x202)
        return err_set(e, "%s: '%s' uses Linux boot protocol %u.%02u; 2.02 is the oldest supported", b->option, b->path,
                       k->version >> 8, k->version & 0xff);
    if (!(h[LOADFLAGS] & LOADED_HIGH))
        return err_set(e, "%s: '%s' is a zImage (loaded low); only bzImage kernels are supported", b->option, b->path);
    k->payload = (k->version >= 0x204 ? ld32(h + SYSSIZE) : ld16(h + SYSSIZE)) * 16ull;
    if (f->len <= k->setup || f->len - k->setup + 15 < k->payload) /* syssize is rounded up */
        return err_set(e, "%s: '%s' is truncated: the kernel has %llu bytes, the file %llu", b->option, b->path,
                       (unsigned long long)(k->setup + k->payload), (unsigned long long)f->len);
    k->payload = f->len - k->setup; /* signatures and the like may follow */
    return 0;
}

/* A relocatable kernel goes to its preferred address, which spares it moving itself, unless there is no memory. */
static void linux_choose_base(const struct boot *b, struct linux_image *k)
{
    u64 pref, align, init = 0;

    k->base = HIGH_BASE;
    if (k->version >= 0x20a) {
        init = ld32(k->h + INIT_SIZE);
        pref = ld64(k->h + PREF_ADDRESS);
        align = ld32(k->h + KERNEL_ALIGNMENT);
        if (k->h[RELOCATABLE] && align && !(align & (align - 1)) && pref >= HIGH_BASE && pref < b->acpi_base) {
            u64 at = ALIGN_UP(pref, align);
            if (at + MAX_OF(init, k->payload) <= b->acpi_base)
                k->base = at;
        }
    }
    k->init_size = MAX_OF(init, k->payload);
    if (k->base == HIGH_BASE && k->base + k->init_size > b->acpi_base)
        k->init_size = k->payload; /* let the kernel itself find that memory is short */
}

static int linux_place_initrd(struct boot *b, const struct linux_image *k, u8 *zp, struct err *e)
{
    const char *path = b->m->cfg.initrd;
    u64 max = k->version >= 0x203 ? ld32(k->h + INITRD_ADDR_MAX) + 1ull : 0x38000000, at;
    struct file f;

    if (!path)
        return 0;
    if (file_read("-initrd", path, &f, e) < 0)
        return -1;
    if (boot_place_below(b, "-initrd image", max, PAGE_SIZE, f.data, f.len, f.len, &at, e) < 0)
        return -1;
    st32(zp + RAMDISK_IMAGE, at);
    st32(zp + RAMDISK_SIZE, f.len);
    return 0;
}

static int linux_place_cmdline(struct boot *b, const struct linux_image *k, u8 *zp, struct err *e)
{
    const char *cmdline = b->m->cfg.append ? b->m->cfg.append : "";
    u64 max = k->version >= 0x206 ? ld32(k->h + CMDLINE_SIZE) : 255, at;

    if (strlen(cmdline) > max)
        return err_set(e, "-append: the command line has %zu characters; this kernel takes at most %llu",
                       strlen(cmdline), (unsigned long long)max);
    if (boot_place_table(b, "command line", cmdline, strlen(cmdline) + 1, &at, e) < 0)
        return -1;
    st32(zp + CMD_LINE_PTR, at);
    return 0;
}

/* The text mode that the display is in. */
static void fill_screen_info(const struct boot *b, u8 *zp)
{
    if (!vga_boot_present(b->m))
        return;
    zp[ZP_VIDEO_MODE] = VGA_BOOT_MODE;
    zp[ZP_VIDEO_COLS] = VGA_BOOT_COLS;
    st16(zp + ZP_VIDEO_EGA_BX, 3); /* 256 KiB of video memory */
    zp[ZP_VIDEO_LINES] = VGA_BOOT_ROWS;
    zp[ZP_VIDEO_IS_VGA] = 1;
    st16(zp + ZP_VIDEO_POINTS, VGA_BOOT_POINTS);
}

static void linux_fill_zero_page(const struct boot *b, const struct linux_image *k, u8 *zp)
{
    u64 header_end = MIN_OF(HEADER + (u64)k->h[JUMP + 1], (u64)ZP_EDD_MBR); /* the jump at 0x200 skips the header */
    struct e820_entry map[BOOT_E820_MAX];
    unsigned n = boot_e820(b, map);

    memcpy(zp + SETUP_SECTS, k->h + SETUP_SECTS, MAX_OF(header_end, HEADER_END) - SETUP_SECTS);
    zp[TYPE_OF_LOADER] = LOADER_UNKNOWN;
    zp[LOADFLAGS] |= CAN_USE_HEAP;
    st16(zp + HEAP_END_PTR, 0xfe00);
    st32(zp + CODE32_START, k->base);
    zp[ZP_E820_ENTRIES] = n;
    memcpy(zp + ZP_E820, map, n * sizeof(map[0]));
    fill_screen_info(b, zp);
    st16(zp + ZP_EXT_MEM_K, MIN_OF(boot_mem_upper(b), 0xfc00));
    st32(zp + ZP_ALT_MEM_K, boot_mem_upper(b));
    if (k->version >= 0x20e)
        st64(zp + ZP_ACPI_RSDP, BOOT_RSDP);
}

int linux_load(struct boot *b, struct file *f, struct err *e)
{
    struct linux_image k = { 0 };
    u8 zp[ZP_SIZE] = { 0 };
    u64 at;

    if (linux_parse(b, f, &k, e) < 0)
        return -1;
    linux_choose_base(b, &k);
    if (boot_place(b, "kernel", k.base, g_memdup2(f->data + k.setup, k.payload), k.payload, k.init_size, e) < 0)
        return -1;
    linux_fill_zero_page(b, &k, zp);
    if (linux_place_cmdline(b, &k, zp, e) < 0 || linux_place_initrd(b, &k, zp, e) < 0 ||
        boot_place_below(b, "zero page", BOOT_LOW_LIMIT, PAGE_SIZE, g_memdup2(zp, sizeof(zp)), sizeof(zp), sizeof(zp), &at,
                         e) < 0)
        return -1;
    b->state.rsi = at;
    return boot_enter_flat(b, k.base, e);
}
