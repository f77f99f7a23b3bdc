/* Properties of devices: defaults, setting from text, text of a value. Main thread with the machine lock held; called by
 * hw/core/device.c. */
#include "hw/core/prop.h"
#include <glib.h>
#include <stdio.h>
#include "hw/backend/blk.h"
#include "hw/backend/chr.h"
#include "hw/backend/net.h"
#include "util/opts.h"

const struct prop *prop_find(const struct dev_class *cls, const char *name)
{
    for (const struct prop *p = cls->props; p && p->kind != PROP_END; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

static bool owns_string(const struct prop *p)
{
    return p->kind == PROP_STR || p->kind == PROP_ENUM;
}

/* Bytes of a number in the state struct, 0 for other kinds. */
static unsigned number_size(const struct prop *p)
{
    static const u8 size[] = { [PROP_U8] = 1, [PROP_AUTO] = 1, [PROP_U16] = 2, [PROP_U32] = 4, [PROP_I32] = 4, [PROP_U64] = 8,
                               [PROP_SIZE] = 8, [PROP_BOOL] = sizeof(bool), [PROP_NET] = 0 };
    return size[p->kind];
}

void props_init(struct device *d)
{
    for (const struct prop *p = d->cls->props; p && p->kind != PROP_END; p++) {
        char *at = (char *)d + p->offset;
        if (owns_string(p))
            *(char **)at = g_strdup(p->def_str);
        else if (p->kind == PROP_BOOL)
            *(bool *)at = p->def != 0;
        else
            memcpy(at, &p->def, number_size(p));
    }
}

void props_fini(struct device *d)
{
    for (const struct prop *p = d->cls->props; p && p->kind != PROP_END; p++) {
        if (owns_string(p))
            g_free(*(char **)((char *)d + p->offset));
        else if (p->kind == PROP_CHR)
            chr_release(*(struct chr **)((char *)d + p->offset));
    }
}

/* -- setting -------------------------------------------------------------------------------------------------------- */

/* Index of value in words, or -1. */
static int word_index(const char *value, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(value, words[i]))
            return i;
    return -1;
}

static int parse_bool(const char *value, bool *out)
{
    static const char *const words[] = { "off", "on", "false", "true", "no", "yes", "0", "1", NULL };
    int i = word_index(value, words);

    *out = i & 1;
    return i < 0 ? -1 : 0;
}

/* Decimal, 0x or 0 octal, no sign, at most max. */
static int parse_uint(const char *value, u64 max, u64 *out)
{
    char *end;
    errno = 0;
    *out = g_ascii_strtoull(value, &end, 0);
    return errno || !g_ascii_isdigit(value[0]) || *end || *out > max ? -1 : 0;
}

static int parse_i32(const char *value, i32 *out)
{
    char *end;
    errno = 0;
    i64 v = g_ascii_strtoll(value, &end, 0);
    *out = (i32)v;
    return errno || end == value || *end || v != *out ? -1 : 0;
}

static int parse_mac(const char *value, u8 mac[6])
{
    for (unsigned i = 0; i < 6; i++, value += 2) {
        int hi = g_ascii_xdigit_value(value[0]), lo = hi < 0 ? -1 : g_ascii_xdigit_value(value[1]);
        if (lo < 0)
            return -1;
        mac[i] = hi << 4 | lo;
        if (i < 5 && value[2] != ':' && value[2] != '-')
            return -1;
        value += i < 5;
    }
    return *value ? -1 : 0;
}

/* True if word is one of "a|b|c: text". */
static bool word_listed(const char *list, const char *word)
{
    size_t n = strlen(word), span;

    for (;; list += span + 1) {
        span = strcspn(list, "|:");
        if (span == n && !memcmp(list, word, n))
            return true;
        if (list[span] != '|')
            return false;
    }
}

static int set_string(const struct prop *p, void *at, const char *value, struct err *e, const char *cls)
{
    if (p->kind == PROP_ENUM && !word_listed(p->help, value))
        return err_set(e, "%s.%s: '%s' is not one of %.*s", cls, p->name, value, (int)strcspn(p->help, ":"), p->help);
    g_free(*(char **)at);
    *(char **)at = g_strdup(value);
    return 0;
}

/* The device's own from now on, in place of what it had. */
static int set_chr(const struct prop *p, struct chr **at, const char *value, struct err *e, const char *cls)
{
    struct chr *c = chr_find(value), *mine;

    if (!c)
        return err_set(e, "%s.%s: there is no -chardev with id '%s'", cls, p->name, value);
    mine = chr_claim(c, e);
    if (!mine)
        return err_prefix(e, "%s.%s", cls, p->name);
    chr_release(*at);
    *at = mine;
    return 0;
}

static int set_backend(const struct prop *p, void *at, const char *value, struct err *e, const char *cls)
{
    void *found = p->kind == PROP_DRIVE ? (void *)blk_find(value) : (void *)net_find(value);
    static const char *const option[] = { [PROP_DRIVE] = "-drive or -blockdev", [PROP_NET] = "-netdev" };

    *(void **)at = found;
    return found ? 0 : err_set(e, "%s.%s: there is no %s with id '%s'", cls, p->name, option[p->kind], value);
}

static int set_number(const struct prop *p, void *at, const char *value, struct err *e, const char *cls)
{
    static const char *const autos[] = { "off", "on", "auto", NULL };
    unsigned bits = number_size(p) * 8;
    u64 v;
    int w;

    switch ((enum prop_kind)p->kind) {
    case PROP_BOOL:
        return parse_bool(value, at) < 0 ? err_set(e, "%s.%s: '%s' is neither on nor off", cls, p->name, value) : 0;
    case PROP_AUTO:
        w = word_index(value, autos);
        *(u8 *)at = w;
        return w < 0 ? err_set(e, "%s.%s: '%s' is not on, off or auto", cls, p->name, value) : 0;
    case PROP_I32:
        return parse_i32(value, at) < 0 ? err_set(e, "%s.%s: '%s' is not a number of 32 bits", cls, p->name, value) : 0;
    case PROP_SIZE:
        return size_parse(value, 1, at) < 0 ? err_set(e, "%s.%s: '%s' is not a size", cls, p->name, value) : 0;
    case PROP_MAC:
        return parse_mac(value, at) < 0 ? err_set(e, "%s.%s: '%s' is not a MAC address like 52:54:00:12:34:56", cls, p->name, value)
                                        : 0;
    default:
        if (parse_uint(value, MASK64(bits), &v) < 0)
            return err_set(e, "%s.%s: '%s' is not a number of %u bits", cls, p->name, value, bits);
        memcpy(at, &v, bits / 8);
        return 0;
    }
}

int device_set_prop(struct device *d, const char *name, const char *value, struct err *e)
{
    const struct prop *p = prop_find(d->cls, name);
    void *at;

    if (!p)
        return err_set(e, "device %s has no property '%s' (-device %s,help lists them)", d->cls->name, name, d->cls->name);
    at = (char *)d + p->offset;
    if (owns_string(p))
        return set_string(p, at, value, e, d->cls->name);
    if (p->kind == PROP_CHR)
        return set_chr(p, at, value, e, d->cls->name);
    if (p->kind == PROP_DRIVE || p->kind == PROP_NET)
        return set_backend(p, at, value, e, d->cls->name);
    return set_number(p, at, value, e, d->cls->name);
}

/* -- reading -------------------------------------------------------------------------------------------------------- */

static char *backend_id(const struct prop *p, void *backend)
{
    if (!backend)
        return g_strdup("");
    return g_strdup(p->kind == PROP_CHR ? chr_id(backend) : p->kind == PROP_DRIVE ? blk_id(backend) : net_id(backend));
}

char *device_get_prop(const struct device *d, const char *name)
{
    const struct prop *p = prop_find(d->cls, name);
    const u8 *at;
    u64 v = 0;

    if (!p)
        return NULL;
    at = (const u8 *)d + p->offset;
    memcpy(&v, at, number_size(p));
    switch ((enum prop_kind)p->kind) {
    case PROP_STR: case PROP_ENUM:
        return g_strdup(*(char *const *)at ? *(char *const *)at : "");
    case PROP_CHR: case PROP_DRIVE: case PROP_NET:
        return backend_id(p, *(void *const *)at);
    case PROP_BOOL:
        return g_strdup(*(const bool *)at ? "true" : "false");
    case PROP_AUTO:
        return g_strdup(v == AUTO_OFF ? "off" : v == AUTO_ON ? "on" : "auto");
    case PROP_I32:
        return g_strdup_printf("%d", (i32)v);
    case PROP_MAC:
        return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", at[0], at[1], at[2], at[3], at[4], at[5]);
    default:
        return g_strdup_printf("%llu", (unsigned long long)v);
    }
}
