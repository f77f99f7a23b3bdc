/* The firmware of the PC: SeaBIOS as the host's distribution installs it, -bios FILE as a ROM, or flash memory. Main thread, called by
 * hw/machine/pc.c while the machine is built. */
#include <glib.h>
#include <sys/stat.h>
#include "hw/backend/drive.h"
#include "hw/core/datafile.h"
#include "hw/core/machine.h"
#include "hw/machine/rom.h"
#include "hw/misc/pflash.h"
#include "mmu/ram.h"

#define ROM_UNIT (64 * KiB)
#define ROM_MAX (16 * MiB)
#define ROM_LOW_SIZE (128 * KiB) /* what also appears below 1 MiB */

#define FLASH_MAX (8 * MiB)      /* all units */
#define FLASH_UNITS 2

struct rom {
    struct ram_block *ram;   /* what ends at 4 GiB */
    struct ram_block *flash; /* the second unit of flash memory, or NULL */
    struct region high, low;
};

/* -bios NAME or SeaBIOS, where data files are; the caller frees it. */
static char *rom_find(const struct machine *m, const char *name, struct err *e)
{
    char *path = datafile_find(m, name ? name : "bios-256k.bin");

    if (!path && !name)
        err_set(e, "booting from a disk needs the firmware SeaBIOS: install the package 'seabios' (/usr/share/seabios/bios-256k.bin) or name a "
                "file with -bios");
    return path || !name ? path : g_strdup(name);
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

static void rom_map_low(struct rom *r, struct machine *m)
{
    u64 size = r->ram->size, low = MIN_OF(size, ROM_LOW_SIZE);

    region_init_rom(&r->low, "bios-low", r->ram, size - low, low, NULL, NULL, NULL);
    region_add(&m->mem_root, 1 * MiB - low, &r->low, 0);
}

static int rom_load_file(struct machine *m, const char *path, struct rom *r, struct err *e)
{
    gchar *data;
    gsize len;
    char *file = rom_find(m, path, e);
    int read = file ? rom_read(file, &data, &len, e) : -1;

    g_free(file);
    if (read < 0)
        return -1;
    r->ram = ram_new("pc.bios", len, e);
    if (r->ram)
        memcpy(r->ram->host, data, len);
    g_free(data);
    if (!r->ram)
        return -1;
    region_init_rom(&r->high, "bios", r->ram, 0, len, NULL, NULL, NULL);
    region_add(&m->mem_root, 4 * GiB - len, &r->high, 0);
    rom_map_low(r, m);
    return 0;
}

/* -- flash memory ---------------------------------------------------------------------------------------------------- */

/* The back end of a unit: -machine pflash0=NODE, or -drive if=pflash,unit=0. *out is NULL if there is none. */
static int flash_blk(struct machine *m, unsigned unit, struct blk **out, struct err *e)
{
    const char *node = m->cfg.pflash[unit];
    struct drive *d = drive_find(DRIVE_PFLASH, 0, unit);

    *out = d ? d->blk : NULL;
    if (d)
        d->taken = true;
    if (!node)
        return 0;
    if (d)
        return err_set(e, "-machine pflash%u=%s: %s is that unit already", unit, node, d->option);
    *out = blk_find(node);
    return *out ? 0 : err_set(e, "-machine pflash%u=%s: there is no -blockdev of that name", unit, node);
}

/* Makes unit n, which ends at *end, and moves that to where it starts. */
static int flash_load(struct machine *m, unsigned n, struct blk *b, struct ram_block **ram, u64 *end, struct err *e)
{
    u64 size = blk_size(b);
    int r;

    if (!size || size % PFLASH_BLOCK || size > FLASH_MAX - (4 * GiB - *end))
        return err_set(e, "flash memory, unit %u: '%s' has %llu bytes; it must be a multiple of %u, and all units together at most %llu", n,
                       blk_path(b), (unsigned long long)size, PFLASH_BLOCK, FLASH_MAX);
    *ram = ram_new(n ? "system.flash1" : "system.flash0", size, e);
    if (!*ram)
        return -1;
    *end -= size;
    if (!pflash_new(m, b, *ram, *end, e))
        return err_prefix(e, "flash memory, unit %u", n);
    r = blk_pread(b, 0, (*ram)->host, size); /* now that nobody else writes it */
    return r < 0 ? err_set(e, "flash memory, unit %u: cannot read '%s': %s", n, blk_path(b), g_strerror(-r)) : 0;
}

/* Unit 0 ends at 4 GiB, unit 1 in front of it. */
static int rom_load_flash(struct machine *m, struct blk *const units[FLASH_UNITS], struct rom *r, struct err *e)
{
    u64 end = 4 * GiB;

    if (flash_load(m, 0, units[0], &r->ram, &end, e) < 0)
        return -1;
    rom_map_low(r, m);
    return units[1] ? flash_load(m, 1, units[1], &r->flash, &end, e) : 0;
}

int rom_load(struct machine *m, const char *path, struct rom **out, struct err *e)
{
    struct blk *units[FLASH_UNITS];
    struct rom *r = *out = g_new0(struct rom, 1);

    for (unsigned i = 0; i < FLASH_UNITS; i++)
        if (flash_blk(m, i, &units[i], e) < 0)
            return -1;
    if (!units[0] && units[1])
        return err_set(e, "flash memory, unit 1: there is no unit 0");
    if (units[0] && path)
        return err_set(e, "-bios %s: unit 0 of the flash memory holds the firmware already", path);
    return units[0] ? rom_load_flash(m, units, r, e) : rom_load_file(m, path, r, e);
}

struct ram_block *rom_ram(struct rom *r)
{
    return r->ram;
}

void rom_free(struct rom *r)
{
    if (!r)
        return;
    if (r->high.parent)
        region_del(&r->high);
    if (r->low.parent)
        region_del(&r->low);
    if (r->ram)
        ram_free(r->ram);
    if (r->flash)
        ram_free(r->flash);
    g_free(r);
}
