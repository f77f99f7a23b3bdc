/* Secrets: bytes with an id, from the command line or a file; see secret.h. Main thread. */
#include "hw/backend/secret.h"
#include <fcntl.h>
#include <glib.h>
#include <unistd.h>
#include "util/err.h"
#include "util/fdset.h"
#include "util/opts.h"

#define SECRET_MAX (64 * KiB)

struct secret {
    char *id;
    GByteArray *bytes;
    struct secret *next;
};

/* [main] */
static struct secret *secrets;

static struct secret **secret_find(const char *id)
{
    struct secret **p = &secrets;

    while (*p && strcmp((*p)->id, id))
        p = &(*p)->next;
    return p;
}

static int read_file(const char *path, GByteArray *out, struct err *e)
{
    int fd = host_open(path, O_RDONLY, 0);
    u8 buf[4096];
    ssize_t n = -1;

    while (fd >= 0 && out->len <= SECRET_MAX && (n = read(fd, buf, sizeof(buf))) > 0)
        g_byte_array_append(out, buf, (guint)n);
    if (n < 0)
        err_set(e, "secret: cannot read '%s': %s", path, strerror(errno));
    else if (out->len > SECRET_MAX)
        n = err_set(e, "secret: '%s' has more than %llu bytes", path, (unsigned long long)SECRET_MAX);
    if (fd >= 0)
        close(fd);
    return n < 0 ? -1 : 0;
}

/* In place of its text, with white space left out. */
static int decode(GByteArray *b, struct err *e)
{
    char *text = g_strndup((const char *)b->data, b->len), *end = text;
    gsize len = 0;

    for (const char *p = text; *p; p++)
        if (!g_ascii_isspace(*p))
            *end++ = *p;
    *end = 0;
    bool ok = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == strlen(text) && strlen(text) % 4 == 0;
    u8 *raw = ok ? g_base64_decode(text, &len) : NULL;
    g_byte_array_set_size(b, 0);
    if (ok)
        g_byte_array_append(b, raw, (guint)len);
    g_free(raw);
    g_free(text);
    return ok ? 0 : err_set(e, "secret: the data is not base64");
}

int secret_add(struct opts *o, struct err *e)
{
    static const char *const formats[] = { "raw", "base64", NULL };
    const char *id = opts_get(o, "id"), *data = opts_get(o, "data"), *file = opts_get(o, "file");
    GByteArray *b;
    int format, r = 0;

    opts_get(o, "qom-type");
    if (opts_enum(o, "format", formats, 0, &format, e) < 0 || opts_all_used(o, e) < 0)
        return -1;
    if (!data == !file)
        return err_set(e, "secret: give either data= or file=");
    b = g_byte_array_new();
    if (data)
        g_byte_array_append(b, (const u8 *)data, (guint)strlen(data));
    else
        r = read_file(file, b, e);
    if (r == 0 && format == 1)
        r = decode(b, e);
    if (r < 0) {
        g_byte_array_unref(b);
        return r;
    }
    struct secret *s = g_new0(struct secret, 1);
    *s = (struct secret){ g_strdup(id), b, secrets };
    secrets = s;
    return 0;
}

static void secret_unlink(struct secret **p)
{
    struct secret *s = *p;

    *p = s->next;
    g_free(s->id);
    if (s->bytes->len) /* else there may be no memory at all */
        explicit_bzero(s->bytes->data, s->bytes->len);
    g_byte_array_unref(s->bytes);
    g_free(s);
}

int secret_del(const char *id, struct err *e)
{
    struct secret **p = secret_find(id);

    if (!*p)
        return err_set(e, "there is no secret '%s'", id);
    secret_unlink(p);
    return 0;
}

void secret_free_all(void)
{
    while (secrets)
        secret_unlink(&secrets);
}

const u8 *secret_get(const char *id, u64 *len, struct err *e)
{
    struct secret *s = *secret_find(id);

    if (!s) {
        err_set(e, "No secret with id '%s'", id);
        return NULL;
    }
    if (len)
        *len = s->bytes->len;
    g_byte_array_append(s->bytes, (const u8 *)"", 1); /* a password is a string for those who want one */
    g_byte_array_set_size(s->bytes, s->bytes->len - 1);
    return s->bytes->data;
}
