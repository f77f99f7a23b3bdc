/* Loads what the optimiser's worker sends: an ELF object file with functions r0, r1 ... becomes code in the code cache. Nothing in it is trusted as
 * to form; code lock. */
#ifndef ACCEL_DBT_OPT_OBJECT_H
#define ACCEL_DBT_OPT_OBJECT_H
#include "util/base.h"

#define OBJECT_SECTIONS_MAX 24
struct object {
    const u8 *bytes;
    size_t size;
    struct object_section { /* loaded ones */
        unsigned index;     /* in the file */
        const u8 *from;     /* NULL: zeros */
        size_t size, align, at; /* at: offset in the image */
    } sec[OBJECT_SECTIONS_MAX];
    unsigned n_sec;
    size_t image;           /* bytes that it takes when loaded */
};
/* The address that an undefined symbol has, 0: unknown. */
typedef u64 object_symbol_fn(void *opaque, const char *name);

/* 0, or -1: not an object that this knows. bytes stay the caller's. */
int object_open(struct object *o, const u8 *bytes, size_t size);
/* Copies it to rw, image bytes that will be executed at rx (aligned to 64), and relocates it. 0 or -1. */
int object_load(const struct object *o, u8 *rw, const u8 *rx, object_symbol_fn *symbol, void *opaque);
/* Offset of function r<n> in the image; -1: there is none. */
i64 object_function(const struct object *o, unsigned n);

#endif
