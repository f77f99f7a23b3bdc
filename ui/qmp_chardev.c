/* QMP commands about character back ends. Main thread, from ui/qmp.c and, through it, the monitor. */
#include "hw/backend/chr.h"
#include "ui/qmp_cmd.h"
#include "util/opts.h"

int qmp_query_chardev(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open_array(b, NULL);
    for (struct chr *k = chr_next(NULL); k; k = chr_next(k)) {
        json_open(b, NULL);
        json_bool(b, "frontend-open", chr_has_front_end(k));
        json_str(b, "filename", chr_filename(k));
        json_str(b, "label", chr_id(k));
        json_close(b);
    }
    json_close_array(b);
    return qmp_answer(c, b);
}

int qmp_query_chardev_backends(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    const char *name;

    json_open_array(b, NULL);
    for (unsigned i = 0; (name = chr_kind_nth(i)); i++) {
        json_open(b, NULL);
        json_str(b, "name", name);
        json_close(b);
    }
    json_close_array(b);
    return qmp_answer(c, b);
}

/* Members of ChardevBackend's data that -chardev calls otherwise. Dotted names come from nested objects; "addr.type" only chooses. */
static const struct {
    const char *json, *opt;
} renamed[] = {
    { "out", "path" }, { "in", "input-path" }, { "device", "path" }, { "addr.data.path", "path" }, { "addr.data.abstract", "abstract" },
    { "addr.data.tight", "tight" }, { "addr.data.host", "host" }, { "addr.data.port", "port" }, { "addr.data.to", "to" },
    { "addr.data.ipv4", "ipv4" }, { "addr.data.ipv6", "ipv6" }, { "addr.data.str", "fd" }, { "remote.data.host", "host" },
    { "remote.data.port", "port" }, { "remote.data.ipv4", "ipv4" }, { "remote.data.ipv6", "ipv6" }, { "local.data.host", "localaddr" },
    { "local.data.port", "localport" }, { "addr.type", NULL }, { "remote.type", NULL }, { "local.type", NULL },
};

static void add_option(struct opts *out, const char *name, const char *value)
{
    for (unsigned i = 0; i < ARRAY_LEN(renamed); i++)
        if (!strcmp(renamed[i].json, name)) {
            if (renamed[i].opt)
                opts_set(out, renamed[i].opt, value);
            return;
        }
    opts_set(out, name, value);
}

/* The options of -chardev that say the same. */
static struct opts *backend_opts(struct qmp_call *c)
{
    struct opts *all = qmp_opts(c), *data = opts_sub(all, "backend.data"), *out = opts_new();
    const char *type = opts_get(all, "backend.type");

    opts_set(out, "id", qmp_str(c, "id"));
    opts_set(out, "backend", type);
    if (!strcmp(type, "socket")) { /* over QMP, sockets are servers that wait for nobody unless told otherwise */
        const char *server = opts_get(data, "server");
        opts_set(out, "server", server ? server : "on");
        if (strcmp(opts_get(out, "server"), "off"))
            opts_set(out, "wait", "off");
    }
    for (unsigned i = 0; i < opts_count(data); i++)
        add_option(out, opts_name(data, i), opts_value(data, i));
    if (!strcmp(opts_peek(out, "backend"), "socket") && !strcmp(opts_peek(out, "server"), "off"))
        opts_unset(out, "wait");
    opts_free(data);
    opts_free(all);
    return out;
}

int qmp_chardev_add(struct qmp_call *c)
{
    struct opts *o = backend_opts(c);
    struct chr *k = chr_new_opts(o, &c->err);
    JsonBuilder *b;

    opts_free(o);
    if (!k)
        return -1;
    b = json_builder_new();
    json_open(b, NULL);
    if (g_str_has_prefix(chr_filename(k), "pty:"))
        json_str(b, "pty", chr_filename(k) + strlen("pty:"));
    json_close(b);
    return qmp_answer(c, b);
}

int qmp_chardev_remove(struct qmp_call *c)
{
    return chr_remove(qmp_str(c, "id"), &c->err);
}

int qmp_chardev_send_break(struct qmp_call *c)
{
    struct chr *k = chr_find(qmp_str(c, "id"));

    if (!k)
        return err_set(&c->err, "Chardev '%s' not found", qmp_str(c, "id"));
    chr_send_break(k);
    return 0;
}

/* --- ring buffers --- */

static struct chr *ring_find(struct qmp_call *c)
{
    struct chr *k = chr_find(qmp_str(c, "device"));

    if (!k)
        err_set(&c->err, "Device '%s' not found", qmp_str(c, "device"));
    return k;
}

static bool is_base64(struct qmp_call *c)
{
    return qmp_has(c, "format") && !strcmp(qmp_str(c, "format"), "base64");
}

/* Bytes that are no UTF-8 become U+FFFD: an answer is text. */
int qmp_ringbuf_read(struct qmp_call *c)
{
    struct chr *k = ring_find(c);
    i64 size = qmp_int(c, "size", 0);
    u8 *buf;
    char *text;
    int n;

    if (!k)
        return -1;
    if (size <= 0)
        return err_set(&c->err, "size must be greater than zero");
    buf = g_malloc(MIN_OF((u64)size, 64 * MiB));
    n = chr_ring_read(k, buf, (unsigned)MIN_OF((u64)size, 64 * MiB));
    if (n >= 0) {
        text = is_base64(c) ? g_base64_encode(buf, (gsize)n) : g_utf8_make_valid((char *)buf, n);
        c->ret = json_string_node(text);
        g_free(text);
    }
    g_free(buf);
    return n < 0 ? err_set(&c->err, "%s is not a ringbuf device", qmp_str(c, "device")) : 0;
}

int qmp_ringbuf_write(struct qmp_call *c)
{
    struct chr *k = ring_find(c);
    const char *data = qmp_str(c, "data");
    gsize len = strlen(data);
    u8 *buf;
    int n;

    if (!k)
        return -1;
    buf = is_base64(c) ? g_base64_decode(data, &len) : (u8 *)g_strdup(data);
    n = chr_ring_write(k, buf, (unsigned)len);
    g_free(buf);
    return n < 0 ? err_set(&c->err, "%s is not a ringbuf device", qmp_str(c, "device")) : 0;
}
