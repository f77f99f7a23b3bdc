/* Saves and loads saved-field tables. Any thread that holds the object's lock.
 * Format of one object: a u16 count of fields, then for each a u8 name length, the name, a u8 kind, a u32 data length and the
 * data. Integers are little-endian; a timer is a u8 "pending" and the i64 deadline; structs nest as objects. */
#include "util/snap.h"
#include <glib.h>
#include "util/clock.h"

static void put_uint(GByteArray *out, u64 v, unsigned size)
{
    g_byte_array_append(out, (const guint8 *)&v, size);
}

static u64 field_uint(const void *p, unsigned size)
{
    u64 v = 0;
    memcpy(&v, p, size);
    return v;
}

static void save_value(const struct snap_field *f, const void *obj, GByteArray *out)
{
    const u8 *p = (const u8 *)obj + f->offset;
    switch ((enum snap_kind)f->kind) {
    case SNAP_UINT:
    case SNAP_ARRAY_UINT:
        for (u32 i = 0; i < f->count; i++)
            put_uint(out, field_uint(p + i * f->size, f->size), f->size);
        break;
    case SNAP_BYTES:
        g_byte_array_append(out, p, f->size);
        break;
    case SNAP_TIMER: {
        const struct timer *t = (const struct timer *)p;
        put_uint(out, t->pending, 1);
        put_uint(out, t->pending ? (u64)t->deadline : 0, 8);
        break;
    }
    case SNAP_STRUCT:
    case SNAP_ARRAY_STRUCT:
        for (u32 i = 0; i < f->count; i++)
            snap_save(f->sub, p + i * f->size, out);
        break;
    case SNAP_VARIABLE: {
        const struct snap_var *v = (const struct snap_var *)p;
        if (v->len)
            g_byte_array_append(out, v->data, v->len);
        break;
    }
    case SNAP_BUFFER: {
        const GByteArray *a = *(GByteArray *const *)p;
        if (a)
            g_byte_array_append(out, a->data, a->len);
        break;
    }
    case SNAP_END:
        break;
    }
}

void snap_save(const struct snap_field *f, const void *obj, GByteArray *out)
{
    unsigned n = 0;
    while (f && f[n].kind != SNAP_END)
        n++;
    put_uint(out, n, 2);
    for (unsigned i = 0; i < n; i++) {
        unsigned name_len = strlen(f[i].name);
        assert(name_len < 256);
        put_uint(out, name_len, 1);
        g_byte_array_append(out, (const guint8 *)f[i].name, name_len);
        put_uint(out, f[i].kind, 1);
        unsigned at = out->len;
        put_uint(out, 0, 4);
        save_value(&f[i], obj, out);
        st32(out->data + at, out->len - at - 4);
    }
}

struct reader {
    const u8 *p, *end;
};

/* NULL if fewer than n bytes are left. */
static const u8 *take(struct reader *r, u64 n)
{
    if ((u64)(r->end - r->p) < n)
        return NULL;
    const u8 *p = r->p;
    r->p += n;
    return p;
}

static int load_value(const struct snap_field *f, void *obj, const u8 *data, u32 len)
{
    u8 *p = (u8 *)obj + f->offset;
    switch ((enum snap_kind)f->kind) {
    case SNAP_UINT:
    case SNAP_ARRAY_UINT:
        if (len != f->count * f->size)
            return -1;
        for (u32 i = 0; f->is_bool && i < len; i++)
            if (data[i] > 1)
                return -1;
        memcpy(p, data, len); /* guest and host are both little-endian */
        return 0;
    case SNAP_BYTES:
        if (len != f->size)
            return -1;
        memcpy(p, data, len);
        return 0;
    case SNAP_TIMER:
        if (len != 9)
            return -1;
        if (data[0])
            timer_set((struct timer *)p, (i64)ld64(data + 1));
        else
            timer_cancel((struct timer *)p);
        return 0;
    case SNAP_STRUCT:
    case SNAP_ARRAY_STRUCT:
        for (u32 i = 0; i < f->count; i++) {
            i64 used = snap_load(f->sub, p + i * f->size, data, len);
            if (used < 0)
                return -1;
            data += used;
            len -= used;
        }
        return len ? -1 : 0;
    case SNAP_VARIABLE: {
        struct snap_var *v = (struct snap_var *)p;
        if (len != v->len)
            return -1;
        if (len)
            memcpy(v->data, data, len);
        return 0;
    }
    case SNAP_BUFFER: {
        GByteArray **a = (GByteArray **)p;
        if (!*a)
            *a = g_byte_array_new();
        g_byte_array_set_size(*a, 0);
        g_byte_array_append(*a, data, len);
        return 0;
    }
    case SNAP_END:
        break;
    }
    return -1;
}

static const struct snap_field *find_field(const struct snap_field *f, const u8 *name, unsigned len)
{
    for (; f && f->kind != SNAP_END; f++)
        if (strlen(f->name) == len && !memcmp(f->name, name, len))
            return f;
    return NULL;
}

i64 snap_load(const struct snap_field *f, void *obj, const u8 *data, u64 len)
{
    struct reader r = { data, data + len };
    const u8 *p = take(&r, 2);
    if (!p)
        return -1;
    for (unsigned n = ld16(p); n > 0; n--) {
        const u8 *name_len = take(&r, 1);
        const u8 *name = name_len ? take(&r, *name_len) : NULL;
        const u8 *head = name ? take(&r, 5) : NULL;
        const u8 *value = head ? take(&r, ld32(head + 1)) : NULL;
        const struct snap_field *field = value ? find_field(f, name, *name_len) : NULL;
        if (!field || field->kind != head[0] || load_value(field, obj, value, ld32(head + 1)) < 0)
            return -1;
    }
    return r.p - data;
}
