/* Saved-field tables: a struct's persistent fields, declared beside it, from which come save, load, `info` output and
 * the fuzzer's view. Callers hold the lock that owns the object. Values are stored by name, little-endian, versioned. */
#ifndef UTIL_SNAP_H
#define UTIL_SNAP_H
#include "util/base.h"

enum snap_kind { SNAP_END, SNAP_UINT, SNAP_BYTES, SNAP_TIMER, SNAP_ARRAY_UINT, SNAP_STRUCT, SNAP_ARRAY_STRUCT, SNAP_VARIABLE, SNAP_BUFFER };

struct snap_field {
    const char *name;
    u8 kind;       /* enum snap_kind */
    u16 size;      /* bytes of one element: 1, 2, 4, 8 for UINT; total for BYTES; element stride for arrays */
    u32 offset;    /* in the struct */
    u32 count;     /* elements of an array */
    const struct snap_field *sub; /* STRUCT kinds */
    bool is_bool;  /* elements of UINT and arrays: a load takes nothing but 0 and 1 */
};

struct snap_var {
    u8 *data; /* owned by the object */
    u32 len;
};

#define SNAP_IS_BOOL(x) __builtin_types_compatible_p(typeof(x), bool)
#define SNAP_U(type, f) { #f, SNAP_UINT, sizeof(((type *)0)->f), offsetof(type, f), 1, NULL, SNAP_IS_BOOL(((type *)0)->f) }
#define SNAP_B(type, f) { #f, SNAP_BYTES, sizeof(((type *)0)->f), offsetof(type, f), 1, NULL, false }
#define SNAP_T(type, f) { #f, SNAP_TIMER, 0, offsetof(type, f), 1, NULL, false } /* struct timer */
#define SNAP_A(type, f) \
    { #f, SNAP_ARRAY_UINT, sizeof(((type *)0)->f[0]), offsetof(type, f), ARRAY_LEN(((type *)0)->f), NULL, SNAP_IS_BOOL(((type *)0)->f[0]) }
#define SNAP_S(type, f, s) { #f, SNAP_STRUCT, sizeof(((type *)0)->f), offsetof(type, f), 1, s, false }
#define SNAP_AS(type, f, s) { #f, SNAP_ARRAY_STRUCT, sizeof(((type *)0)->f[0]), offsetof(type, f), ARRAY_LEN(((type *)0)->f), s, false }
/* struct snap_var: bytes whose number the object's configuration says; a load wants the same number. */
#define SNAP_V(type, f) { #f, SNAP_VARIABLE, sizeof(struct snap_var), offsetof(type, f), 1, NULL, false }
/* GByteArray *, as long as it is; NULL is saved as empty. A load makes one. */
#define SNAP_BUF(type, f) { #f, SNAP_BUFFER, sizeof(((type *)0)->f), offsetof(type, f), 1, NULL, false }
#define SNAP_DONE { NULL, SNAP_END, 0, 0, 0, NULL, false }

struct _GByteArray;
/* Appends the object's fields to out. */
void snap_save(const struct snap_field *f, const void *obj, struct _GByteArray *out);
/* Reads them back; unknown names and short data are errors: returns the bytes used, or -1. */
i64 snap_load(const struct snap_field *f, void *obj, const u8 *data, u64 len);

#endif
