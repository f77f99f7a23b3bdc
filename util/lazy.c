/* Loads libraries and looks up their functions for the entries of util/lazy_jumps.S. Any thread; see util/lazy.h. Source: dlopen(3). */
#include "util/lazy.h"
#include <dlfcn.h>
#include <stdlib.h>
#include "util/err.h"

static const char *const soname[LAZY_COUNT] = {
    [LAZY_SDL2] = SONAME_SDL2, [LAZY_VNC] = SONAME_VNC, [LAZY_NBD] = SONAME_NBD, [LAZY_CAPSTONE] = SONAME_CAPSTONE,
};
static void *handle[LAZY_COUNT]; /* [atomic] */

static const struct {
    enum lazy_lib lib;
    const char *name;
} functions[] = {
#define F(lib, name) { LAZY_##lib, #name },
#include "util/lazy.def"
#undef F
};

extern void *lazy_slot[]; /* [atomic] where each entry jumps to: lazy_jumps.S */
void *lazy_find(unsigned row);

int lazy_load(enum lazy_lib lib, struct err *e)
{
    if (__atomic_load_n(&handle[lib], __ATOMIC_ACQUIRE))
        return 0;
    void *h = dlopen(soname[lib], RTLD_LAZY | RTLD_LOCAL); /* two threads get the same handle */
    if (!h)
        return err_set(e, "cannot load a library: %s", dlerror());
    __atomic_store_n(&handle[lib], h, __ATOMIC_RELEASE);
    return 0;
}

void *lazy_variable(enum lazy_lib lib, const char *name) { return handle[lib] ? dlsym(handle[lib], name) : NULL; }

const char *lazy_name(unsigned row, enum lazy_lib *lib)
{
    if (row >= ARRAY_LEN(functions))
        return NULL;
    *lib = functions[row].lib;
    return functions[row].name;
}

/* Called by an entry the first time: what it is to jump to. There is nothing to return to without the library. */
void *lazy_find(unsigned row)
{
    struct err e;
    void *f = NULL;
    if (lazy_load(functions[row].lib, &e) == 0 && !(f = dlsym(handle[functions[row].lib], functions[row].name)))
        err_set(&e, "%s has no function %s", soname[functions[row].lib], functions[row].name);
    if (!f) {
        err_report(&e);
        exit(1);
    }
    __atomic_store_n(&lazy_slot[row], f, __ATOMIC_RELEASE);
    return f;
}
