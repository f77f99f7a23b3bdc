/* Where firmware and option ROMs are looked for. Main thread, by hw/machine/rom.c and hw/pci/rom.c. */
#include "hw/core/datafile.h"
#include <glib.h>
#include <unistd.h>
#include "config.h"
#include "hw/core/machine.h"

static char *look_in(const char *dir, const char *name)
{
    char *path = g_build_filename(dir, name, NULL);

    if (!access(path, R_OK))
        return path;
    g_free(path);
    return NULL;
}

char *datafile_find(const struct machine *m, const char *name)
{
    static const char *const dirs[] = {
        GEMEL_PREFIX "/share/gemel", "/usr/share/seabios", "/usr/share/qemu", "/usr/lib/ipxe/qemu", "/usr/share/OVMF",
    };
    char *path = NULL;

    if (!access(name, R_OK))
        return g_strdup(name);
    if (strchr(name, '/'))
        return NULL;
    for (unsigned i = 0; !path && i < m->cfg.n_data_dirs; i++)
        path = look_in(m->cfg.data_dirs[i], name);
    for (unsigned i = 0; !path && i < ARRAY_LEN(dirs); i++)
        path = look_in(dirs[i], name);
    return path;
}
