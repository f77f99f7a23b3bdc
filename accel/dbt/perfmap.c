/* The map file for perf(1). Written by whoever translates; opened and closed by the engine (run.c). */
#include <stdio.h>
#include <unistd.h>
#include "accel/dbt/perfmap.h"

static FILE *map; /* NULL: not asked for */
static long common_end; /* offset of the first block's line */

int perfmap_open(struct err *e)
{
    char name[64];
    snprintf(name, sizeof(name), "/tmp/perf-%d.map", (int)getpid());
    unlink(name); /* of an older process; what lies behind a link of somebody's is left alone */
    map = fopen(name, "wxe");
    if (!map)
        return err_set(e, "-perfmap: %s: %s", name, strerror(errno));
    setvbuf(map, NULL, _IOLBF, 0); /* a killed process leaves whole lines */
    return 0;
}

void perfmap_close(void)
{
    if (map)
        fclose(map);
    map = NULL;
}

void perfmap_common(const char *name, const u8 *start, const u8 *end)
{
    if (map)
        fprintf(map, "%lx %lx gemel:%s\n", (unsigned long)start, (unsigned long)(end - start), name);
    common_end = map ? ftell(map) : 0;
}

void perfmap_flush(void)
{
    if (map && (fflush(map) || ftruncate(fileno(map), common_end) || fseek(map, common_end, SEEK_SET)))
        perfmap_close();
}

void perfmap_block(const struct tb *tb)
{
    if (!map)
        return;
    const char *who = mode_cpl(tb->mode) == 3 ? "user" : "kernel";
    fprintf(map, "%lx %x %s:%llx\n", (unsigned long)tb->code.entry, (unsigned)(tb->code.body + tb->code.size - tb->code.entry), who,
            (unsigned long long)tb->pc);
    fprintf(map, "%lx %x %s:%llx(cold)\n", (unsigned long)tb->code.cold, tb->code.cold_size, who, (unsigned long long)tb->pc);
}

void perfmap_region(const struct tb *tb, const u8 *start, u64 size)
{
    if (map)
        fprintf(map, "%lx %lx %s:%llx(region)\n", (unsigned long)start, (unsigned long)size, mode_cpl(tb->mode) == 3 ? "user" : "kernel",
                (unsigned long long)tb->pc);
}
