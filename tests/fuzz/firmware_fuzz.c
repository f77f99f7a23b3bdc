/* Fuzz target: what users give firmware: -smbios with files and values, -fw_cfg, -option-rom, the ROM of a PCI card (romfile=), -boot and
 * -uuid. The machine is refused with one line, or built, and then a guest finds what it was given: each fw_cfg item has the length that the
 * directory says, and the card's ROM is readable to its end. */
#include <glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw/pci/pci.h"
#include "mmu/aspace.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/test_pc.h"
#include "util/uuid.h"

enum { LINES_MAX = 12, ROM_AT = 0xf0000000, ROM_SLOT = 7, DIR_ENTRY = 64 };

static int fd;
static char path[40], bios[40];
/* The options of one input. */
static struct {
    const char *smbios[LINES_MAX], *fw_cfg[LINES_MAX], *option_rom[LINES_MAX], *device[LINES_MAX], *global[LINES_MAX];
    struct machine_config cfg;
} o;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    int rom = memfd_create("bios", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(rom, 65536), ==, 0);
    snprintf(bios, sizeof(bios), "/proc/self/fd/%d", rom);
    fd = memfd_create("file", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return 0;
}

static bool take_value(const char *line, const char *option, const char **value)
{
    size_t n = strlen(option);

    if (strncmp(line, option, n))
        return false;
    *value = line + n;
    return true;
}

/* One line is one option; what is none of these is left out. */
static void take_line(const char *line)
{
    struct machine_config *c = &o.cfg;
    const char *v;

    if (take_value(line, "-smbios ", &v))
        o.smbios[c->n_smbios++] = v;
    else if (take_value(line, "-fw_cfg ", &v))
        o.fw_cfg[c->n_fw_cfg++] = v;
    else if (take_value(line, "-option-rom ", &v))
        o.option_rom[c->n_option_roms++] = v;
    else if (take_value(line, "-device ", &v))
        o.device[c->n_devices++] = v;
    else if (take_value(line, "-global ", &v))
        o.global[c->n_globals++] = v;
    else if (take_value(line, "-order ", &v))
        c->boot_order = v;
    else if (take_value(line, "-splash-time ", &v))
        c->splash_time = v;
    else if (take_value(line, "-reboot-timeout ", &v))
        c->reboot_timeout = v;
    else if (take_value(line, "-uuid ", &v) && uuid_parse(v, c->uuid) < 0)
        memset(c->uuid, 0, 16);
}

/* The guest reads every file of fw_cfg to its end, and a bit further. */
static void read_items(struct test_pc *p)
{
    u8 *dir, head[4];
    u32 n;

    pc_out(p, 0x510, 0x19, 2);
    for (unsigned i = 0; i < 4; i++)
        head[i] = (u8)pc_in(p, 0x511, 1);
    n = __builtin_bswap32(ld32(head));
    g_assert_cmpuint(n, <, 200);
    dir = g_malloc(n * DIR_ENTRY);
    for (u32 i = 0; i < n * DIR_ENTRY; i++)
        dir[i] = (u8)pc_in(p, 0x511, 1);
    for (u32 i = 0; i < n; i++) {
        const u8 *d = dir + i * DIR_ENTRY;
        u32 len = __builtin_bswap32(ld32(d));
        g_assert_nonnull(memchr(d + 8, 0, DIR_ENTRY - 8));
        pc_out(p, 0x510, __builtin_bswap16(ld16(d + 4)), 2);
        for (u32 k = 0; k < MIN_OF(len, 0x30000u) + 3; k++)
            g_assert_true(pc_in(p, 0x511, 1) == 0 || k < len);
    }
    g_free(dir);
}

static void read_rom(struct test_pc *p)
{
    u32 address = 0x80000000 | ROM_SLOT << 11, size;

    pc_out(p, 0xcf8, address | PCI_ROM_ADDRESS, 4);
    pc_out(p, 0xcfc, ~0u & ~1u, 4);
    size = -(u32)(pc_in(p, 0xcfc, 4) & ~0x7ffu);
    pc_out(p, 0xcfc, ROM_AT | 1, 4);
    pc_out(p, 0xcf8, address | PCI_COMMAND, 4);
    pc_out(p, 0xcfc, 7, 2);
    for (u32 i = 0; i < MIN_OF(size, 0x20000u); i += 4)
        pc_read(p, ROM_AT + i, 4);
    if (size)
        pc_read(p, ROM_AT + size - 4, 4);
}

static void check_refusal(const struct err *e)
{
    g_assert_cmpuint(strlen(e->msg), >, 0);
    g_assert_null(strchr(e->msg, '\n'));
}

static void build(u8 how)
{
    struct err e = { "" };
    struct test_pc *p;

    o.cfg.type = how & 1 ? "q35" : "pc";
    o.cfg.smbios_v3 = how & 2;
    o.cfg.boot_menu = how & 4;
    o.cfg.ram_size = 2 * MiB;
    o.cfg.bios = bios;
    o.cfg.nodefaults = true;
    o.cfg.smbios = o.smbios;
    o.cfg.fw_cfg = o.fw_cfg;
    o.cfg.option_roms = o.option_rom;
    o.cfg.devices = o.device;
    o.cfg.globals = o.global;
    p = test_pc_new_stepped(&o.cfg, &e);
    if (!p) {
        check_refusal(&e);
        return;
    }
    read_items(p);
    read_rom(p);
    test_pc_free(p);
}

/* The first byte: the machine; then lines of options, in which FILE stands for the file; then, behind a zero byte, the file. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const u8 *text = data + (size > 0), *zero = size > 1 ? memchr(text, 0, size - 1) : NULL, *text_end, *file;

    text_end = zero ? zero : data + size;
    file = zero ? zero + 1 : text_end;
    if (memchr(text, '/', text_end - text)) /* no other file */
        return 0;
    GString *s = g_string_new_len((const char *)text, text_end - text);
    g_string_replace(s, "FILE", path, 0);
    g_auto(GStrv) line = g_strsplit(s->str, "\n", LINES_MAX);
    g_string_free(s, TRUE);
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_assert_cmpint(pwrite(fd, file, data + size - file, 0), ==, data + size - file);
    memset(&o, 0, sizeof(o));
    for (char **l = line; *l; l++) {
        g_strdelimit(*l, "\n", ' '); /* the last of LINES_MAX has the rest */
        take_line(*l);
    }
    build(size ? data[0] : 0);
    return 0;
}
