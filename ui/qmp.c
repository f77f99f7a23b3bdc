/* QMP sessions: greeting, negotiation, framing, dispatch, answers. One for each back end. Commands run in order, one at a time, from the
 * main loop; those that are sent by exec-oob run at once. Main thread, from the back end's callbacks. Source: QEMU's documentation,
 * "QEMU Machine Protocol Specification". */
#include "ui/qmp.h"
#include <stdarg.h>
#include <stdio.h>
#include "config.h"
#include "hw/backend/chr.h"
#include "ui/json_stream.h"
#include "ui/json_text.h"
#include "ui/qmp_cmd.h"
#include "ui/qmp_schema.h"
#include "util/opts.h"

#define QUEUE_MAX 8 /* commands that wait, with out-of-band ones; then the peer has to */

struct qmp {
    struct ui *ui;
    struct chr *chr;
    bool pretty;
    bool open;          /* a peer is there */
    bool ready;         /* the negotiation is over */
    bool oob;           /* agreed upon */
    struct json_stream in;
    GQueue *queue;      /* struct request *: in-band, in order */
    guint idle;         /* runs the queue */
    struct qmp *next;
};

/* What waits for its turn: a request, or the answer to something that is none. */
struct request {
    JsonObject *o; /* NULL: error */
    char *error;
    JsonNode *id;  /* of error; may be NULL */
};

/* All sessions, for events. [main] */
static struct qmp *sessions;

/* --- commands --- */

static const struct {
    const char *name;
    qmp_fn *fn;
} commands[] = {
#define QMP(name, fn) { name, fn },
#include "ui/qmp_commands.def"
#undef QMP
};

qmp_fn *qmp_fn_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
        if (!strcmp(commands[i].name, name))
            return commands[i].fn;
    return NULL;
}

bool qmp_has(const struct qmp_call *c, const char *name)
{
    return json_object_has_member(c->args, name);
}

const char *qmp_str(const struct qmp_call *c, const char *name)
{
    return qmp_has(c, name) ? json_object_get_string_member(c->args, name) : NULL;
}

i64 qmp_int(const struct qmp_call *c, const char *name, i64 def)
{
    return qmp_has(c, name) ? json_object_get_int_member(c->args, name) : def;
}

bool qmp_bool(const struct qmp_call *c, const char *name, bool def)
{
    return qmp_has(c, name) ? json_object_get_boolean_member(c->args, name) : def;
}

struct opts *qmp_opts(const struct qmp_call *c)
{
    JsonNode *n = json_object_node(c->args);
    char *text = json_to_string(n, FALSE);
    struct opts *o = opts_parse(text, NULL, NULL);

    g_free(text);
    json_node_unref(n);
    return o;
}

int qmp_answer(struct qmp_call *c, JsonBuilder *b)
{
    c->ret = json_take(b);
    return 0;
}

int qmp_fail(struct qmp_call *c, const char *cls, const char *fmt, ...)
{
    va_list ap;

    c->cls = cls;
    va_start(ap, fmt);
    vsnprintf(c->err.msg, sizeof(c->err.msg), fmt, ap);
    va_end(ap);
    return -1;
}

int qmp_no_device(struct qmp_call *c, const char *name)
{
    return qmp_fail(c, "DeviceNotFound", "Device '%s' not found", name);
}

/* Checks and runs; the answer or NULL with c->err set. */
static JsonNode *run(struct qmp_call *c, const char *name)
{
    const struct qmp_def *d = qmp_def_find(QMP_COMMAND, name);
    qmp_fn *fn = qmp_fn_find(name);
    int r;

    c->cls = "GenericError";
    c->vm = c->ui->vm;
    c->m = vm_machine(c->vm);
    if (!d || !fn)
        r = qmp_fail(c, "CommandNotFound", "The command %s has not been found", name);
    else
        r = qmp_check_args(d, c->args, &c->err);
    if (r == 0)
        r = fn(c);
    if (r < 0) {
        g_clear_pointer(&c->ret, json_node_unref);
        return NULL;
    }
    return c->ret ? c->ret : json_object_node(json_object_new());
}

JsonNode *qmp_execute(struct ui *ui, const char *name, JsonObject *args, const char **cls, struct err *e)
{
    struct qmp_call c = { .ui = ui, .args = args ? json_object_ref(args) : json_object_new() };
    JsonNode *n = run(&c, name);

    json_object_unref(c.args);
    if (!n) {
        err_set(e, "%s", c.err.msg);
        if (cls)
            *cls = c.cls;
    }
    return n;
}

/* --- output --- */

static void send_node(struct qmp *q, JsonNode *n)
{
    char *text = json_text(n, q->pretty), *line = g_strconcat(text, "\r\n", NULL);

    chr_write(q->chr, (const u8 *)line, (unsigned)strlen(line));
    g_free(line);
    g_free(text);
}

/* {"return": ret, "id": id} or {"error": ..., "id": id}; takes ret. id may be NULL. */
static void answer(struct qmp *q, JsonNode *ret, const char *cls, const char *desc, JsonNode *id)
{
    JsonObject *o = json_object_new();
    JsonNode *n;

    if (ret) {
        json_object_set_member(o, "return", ret);
    } else {
        JsonObject *error = json_object_new();
        json_object_set_string_member(error, "class", cls);
        json_object_set_string_member(error, "desc", desc);
        json_object_set_object_member(o, "error", error);
    }
    if (id)
        json_object_set_member(o, "id", json_node_copy(id));
    n = json_object_node(o);
    json_object_unref(o);
    qmp_events_flush(); /* what the command caused is told before it is answered */
    send_node(q, n);
    json_node_unref(n);
}

static void answer_error(struct qmp *q, const char *cls, const char *desc, JsonNode *id)
{
    answer(q, NULL, cls, desc, id);
}

void qmp_broadcast(JsonNode *event)
{
    for (struct qmp *q = sessions; q; q = q->next)
        if (q->ready && q->open)
            send_node(q, event);
}

static void greet(struct qmp *q)
{
    struct err e;
    JsonBuilder *b = json_builder_new();
    JsonNode *n;

    json_open(b, NULL);
    json_open(b, "QMP");
    json_builder_add_value(json_name(b, "version"), qmp_execute(q->ui, "query-version", NULL, NULL, &e));
    json_open_array(b, "capabilities");
    json_str(b, NULL, "oob");
    json_close_array(b);
    json_close(b);
    json_close(b);
    n = json_take(b);
    send_node(q, n);
    json_node_unref(n);
}

/* --- requests --- */

/* Checks the envelope of a request; NULL, or what is wrong with it. */
static const char *check_request(JsonObject *o, char **text)
{
    static const char *const members[] = { "execute", "exec-oob", "arguments", "id" };
    const char *verb = json_object_has_member(o, "exec-oob") ? "exec-oob" : "execute";
    GList *names = json_object_get_members(o);
    JsonNode *n;

    for (GList *l = names; l && !*text; l = l->next) {
        bool known = false;
        for (unsigned i = 0; i < ARRAY_LEN(members); i++)
            known |= !strcmp(l->data, members[i]);
        if (!known)
            *text = g_strdup_printf("QMP input member '%s' is unexpected", (char *)l->data);
    }
    g_list_free(names);
    n = json_object_get_member(o, verb);
    if (*text)
        return *text;
    if (!n)
        return "QMP input lacks member 'execute'";
    if (json_node_get_value_type(n) != G_TYPE_STRING)
        return verb[4] == '-' ? "QMP input member 'exec-oob' must be a string" : "QMP input member 'execute' must be a string";
    if (json_object_has_member(o, "arguments") && !JSON_NODE_HOLDS_OBJECT(json_object_get_member(o, "arguments")))
        return "QMP input member 'arguments' must be an object";
    if (json_object_has_member(o, "execute") && json_object_has_member(o, "exec-oob"))
        return "QMP input members 'execute' and 'exec-oob' exclude each other";
    return NULL;
}

/* The one command that the session itself carries out. */
static void negotiate(struct qmp *q, JsonObject *args, JsonNode *id)
{
    const struct qmp_def *d = qmp_def_find(QMP_COMMAND, "qmp_capabilities");
    JsonArray *a;
    struct err e;

    if (q->ready) {
        answer_error(q, "CommandNotFound", "Capabilities negotiation is already complete, command ignored", id);
        return;
    }
    if (qmp_check_args(d, args, &e) < 0) {
        answer_error(q, "GenericError", e.msg, id);
        return;
    }
    a = json_object_has_member(args, "enable") ? json_object_get_array_member(args, "enable") : NULL;
    q->oob = a && json_array_get_length(a); /* the schema knows no other capability */
    answer(q, json_object_node(json_object_new()), NULL, NULL, id);
    q->ready = true;
}

/* May q's peer run this now, and this way? NULL, or why not. */
static const char *refusal(struct qmp *q, const char *name, bool oob, const char **cls, char **text)
{
    const struct qmp_def *d = qmp_def_find(QMP_COMMAND, name);

    *cls = "CommandNotFound";
    if (!q->ready && strcmp(name, "qmp_capabilities"))
        return "Expecting capabilities negotiation with 'qmp_capabilities'";
    if (!d)
        return *text = g_strdup_printf("The command %s has not been found", name);
    *cls = "GenericError";
    if (oob && !d->oob)
        return *text = g_strdup_printf("The command %s does not support OOB", name);
    return NULL;
}

static void execute(struct qmp *q, JsonObject *o)
{
    bool oob = json_object_has_member(o, "exec-oob");
    const char *name = json_object_get_string_member(o, oob ? "exec-oob" : "execute"), *cls, *why;
    JsonNode *id = json_object_get_member(o, "id"), *ret;
    JsonObject *args = json_object_has_member(o, "arguments") ? json_object_ref(json_object_get_object_member(o, "arguments"))
                                                              : json_object_new();
    struct qmp_call c = { .ui = q->ui, .chr = q->chr, .args = args };
    char *text = NULL;

    why = refusal(q, name, oob, &cls, &text);
    if (why)
        answer_error(q, cls, why, id);
    else if (!strcmp(name, "qmp_capabilities"))
        negotiate(q, args, id);
    else {
        ret = run(&c, name);
        answer(q, ret, c.cls, c.err.msg, id);
    }
    g_free(text);
    json_object_unref(args);
}

static void request_free(struct request *r)
{
    g_clear_pointer(&r->o, json_object_unref);
    g_clear_pointer(&r->id, json_node_unref);
    g_free(r->error);
    g_free(r);
}

static gboolean run_queue(gpointer opaque)
{
    struct qmp *q = opaque;
    struct request *r = g_queue_pop_head(q->queue);

    if (r) {
        if (r->o)
            execute(q, r->o);
        else
            answer_error(q, "GenericError", r->error, r->id);
        request_free(r);
    }
    if (!g_queue_is_empty(q->queue))
        return G_SOURCE_CONTINUE;
    q->idle = 0;
    chr_accept_input(q->chr);
    return G_SOURCE_REMOVE;
}

static void enqueue(struct qmp *q, JsonObject *o, const char *error, JsonNode *id)
{
    struct request *r = g_new0(struct request, 1);

    r->o = o ? json_object_ref(o) : NULL;
    r->error = g_strdup(error);
    r->id = id ? json_node_copy(id) : NULL;
    g_queue_push_tail(q->queue, r);
    if (!q->idle)
        q->idle = g_idle_add_full(G_PRIORITY_DEFAULT, run_queue, q, NULL);
}

static void take_request(struct qmp *q, JsonNode *n)
{
    JsonObject *o;
    const char *why;
    char *text = NULL;

    if (!n || !JSON_NODE_HOLDS_OBJECT(n)) {
        enqueue(q, NULL, "QMP input must be a JSON object", NULL);
        return;
    }
    o = json_node_get_object(n);
    why = check_request(o, &text);
    if (!why && json_object_has_member(o, "exec-oob")) {
        if (q->oob)
            execute(q, o);
        else
            why = "QMP input member 'exec-oob' is unexpected";
    } else if (!why) {
        enqueue(q, o, NULL, NULL);
    }
    if (why)
        enqueue(q, NULL, why, json_object_get_member(o, "id"));
    g_free(text);
}

/* The four digits behind a backslash and u; negative if they are not. */
static int escape_value(const char *p)
{
    int v = 0;

    for (unsigned i = 0; i < 4; i++) {
        if (!g_ascii_isxdigit(p[i]))
            return -1;
        v = v << 4 | g_ascii_xdigit_value(p[i]);
    }
    return v;
}

/* The first \uXXXX that stands for no character (NUL ends C strings; half a surrogate pair; the noncharacters), or NULL. */
static const char *find_bad_escape(const char *p)
{
    for (int v; (p = strchr(p, '\\')) && p[1]; p += 2) {
        if (p[1] != 'u' || (v = escape_value(p + 2)) < 0)
            continue;
        int low = p[6] == '\\' && p[7] == 'u' ? escape_value(p + 8) : -1;
        if (v >= 0xd800 && v < 0xdc00 && low >= 0xdc00 && low < 0xe000)
            p += 6;
        else if (v == 0 || (v >= 0xd800 && v < 0xe000) || (v >= 0xfdd0 && v < 0xfdf0) || v >= 0xfffe)
            return p;
    }
    return NULL;
}

static void take_text(struct qmp *q, const GString *text)
{
    JsonParser *p = json_parser_new_immutable();
    const char *bad;
    GError *ge = NULL;

    if (!g_utf8_validate(text->str, (gssize)text->len, NULL)) {
        enqueue(q, NULL, "JSON parse error, the text is not UTF-8", NULL);
    } else if ((bad = find_bad_escape(text->str))) {
        char *desc = g_strdup_printf("JSON parse error, %.6s is not a valid Unicode character", bad);
        enqueue(q, NULL, desc, NULL);
        g_free(desc);
    } else if (!json_parser_load_from_data(p, text->str, (gssize)text->len, &ge)) {
        char *desc = g_strdup_printf("JSON parse error, %s", ge->message);
        enqueue(q, NULL, desc, NULL);
        g_free(desc);
    } else {
        take_request(q, json_parser_get_root(p));
    }
    g_clear_error(&ge);
    g_object_unref(p);
}

/* --- the back end --- */

static void take_byte(struct qmp *q, u8 b)
{
    static const char *const wrong[] = {
        [JSON_TOO_LARGE] = "JSON token size limit exceeded", [JSON_TOO_DEEP] = "JSON nesting depth limit exceeded",
        [JSON_UNBALANCED] = "JSON parse error, expecting value",
    };
    enum json_stream_result r = json_stream_feed(&q->in, b);

    if (r == JSON_MORE)
        return;
    if (r == JSON_DONE)
        take_text(q, q->in.text);
    else
        enqueue(q, NULL, wrong[r], NULL);
    json_stream_reset(&q->in);
}

/* Only what may overtake commands is read while some wait: a peer that ends its input behind its last command is not taken to be gone before. */
static unsigned on_can_read(void *opaque)
{
    struct qmp *q = opaque;

    return g_queue_get_length(q->queue) < (q->oob ? QUEUE_MAX : 1) ? 4096 : 0;
}

static void on_read(void *opaque, const u8 *buf, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        take_byte(opaque, buf[i]);
}

/* Each peer begins anew. */
static void session_reset(struct qmp *q)
{
    struct request *r;

    while ((r = g_queue_pop_head(q->queue)))
        request_free(r);
    q->ready = q->oob = false;
    json_stream_reset(&q->in);
}

static void on_event(void *opaque, enum chr_event ev)
{
    struct qmp *q = opaque;

    if (ev != CHR_OPENED && ev != CHR_CLOSED)
        return;
    q->open = ev == CHR_OPENED;
    session_reset(q);
    if (q->open)
        greet(q);
}

struct qmp *qmp_new(struct ui *ui, struct chr *chr, bool pretty)
{
    struct qmp *q = g_new0(struct qmp, 1);

    q->ui = ui;
    q->chr = chr;
    q->pretty = pretty;
    q->queue = g_queue_new();
    json_stream_init(&q->in);
    q->next = sessions;
    sessions = q;
    chr_attach(chr, on_can_read, on_read, on_event, q);
    return q;
}

void qmp_free(struct qmp *q)
{
    if (!q)
        return;
    for (struct qmp **p = &sessions; *p; p = &(*p)->next)
        if (*p == q) {
            *p = q->next;
            break;
        }
    chr_release(q->chr);
    session_reset(q);
    if (q->idle)
        g_source_remove(q->idle);
    g_queue_free(q->queue);
    json_stream_fini(&q->in);
    g_free(q);
}
