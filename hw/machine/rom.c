/* The firmware ROM of the PC: SeaBIOS as the host's distribution installs it, or -bios FILE. Main thread, called by
 * hw/machine/pc.c while the machine is built. */
#include <glib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config.h"
#include "hw/core/machine.h"
#include "hw/machine/rom.h"
#include "mmu/ram.h"

#define ROM_UNIT (64 * KiB)
#define ROM_MAX (16 * MiB)
#define ROM_LOW_SIZE (128 * KiB) /* what also appears below 1 MiB */

struct rom {
    struct ram_block *ram;
    struct region high, low;
};

static const char *rom_find_default(struct err *e)
{
    static const char *const places[] = {
        GEMEL_PREFIX "/share/gemel/bios-256k.bin",
        "/usr/share/seabios/bios-256k.bin",
        "/usr/share/qemu/bios-256k.bin",
    };

    for (unsigned i = 0; i < ARRAY_LEN(places); i++)
        if (!access(places[i], R_OK))
            return places[i];
    err_set(e, "booting from a disk needs the firmware SeaBIOS: install the package 'seabios' (%s) or name a file with -bios",
            places[1]);
    return NULL;
}

/* Reads the file; its size must be a multiple of 64 KiB, for its last byte lies at 4 GiB - 1. */
static int rom_read(const char *path, gchar **data, gsize *len, struct err *e)
{
    struct stat st;
    GError *ge = NULL;

    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (u64)st.st_size > ROM_MAX)
        return err_set(e, "-bios: '%s' has %llu bytes; a ROM has at most %llu", path, (unsigned long long)st.st_size,
                       ROM_MAX);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(e, "-bios: '%s' is not a file", path);
    if (!g_file_get_contents(path, data, len, &ge)) {
        err_set(e, "-bios: cannot read '%s': %s", path, g_strerror(errno));
        g_error_free(ge);
        return -1;
    }
    if (*len == 0 || *len % ROM_UNIT) {
        err_set(e, "-bios: '%s' has %zu bytes; a ROM image is a multiple of 64 KiB (is it truncated?)", path, *len);
        g_free(*data);
        return -1;
    }
    return 0;
}

struct rom *rom_load(struct machine *m, const char *path, struct err *e)
{
    struct rom *r;
    gchar *data;
    gsize len;

    if (!path)
        path = rom_find_default(e);
    if (!path || rom_read(path, &data, &len, e) < 0)
        return NULL;
    r = g_new0(struct rom, 1);
    r->ram = ram_new("pc.bios", len, e);
    if (!r->ram) {
        g_free(data);
        g_free(r);
        return NULL;
    }
    memcpy(r->ram->host, data, len);
    g_free(data);
    u64 low = MIN_OF(len, ROM_LOW_SIZE);
    region_init_rom(&r->high, "bios", r->ram, 0, len, NULL, NULL, NULL);
    region_init_rom(&r->low, "bios-low", r->ram, len - low, low, NULL, NULL, NULL);
    region_add(&m->mem_root, 4 * GiB - len, &r->high, 0);
    region_add(&m->mem_root, 1 * MiB - low, &r->low, 0);
    return r;
}

struct ram_block *rom_ram(struct rom *r)
{
    return r->ram;
}

void rom_free(struct rom *r)
{
    if (!r)
        return;
    region_del(&r->high);
    region_del(&r->low);
    ram_free(r->ram);
    g_free(r);
}
