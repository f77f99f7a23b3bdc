/* QMP's events: what devices and the VM emit (util/event.h), on any thread and under any lock, is put into a queue and sent from the main
 * loop; some kinds at most once a second. Changes of the run state become events here. */
#include "hw/core/machine.h"
#include "ui/qmp_cmd.h"
#include "util/event.h"
#include "util/handover.h"

#define RATE_MS 1000
#define EMITTED_MAX 1024 /* then a guest that floods the main loop with events of a limited kind loses some */

/* Emitted and not yet sent; kept for the life of the process. [any thread; the queue locks itself] */
static GAsyncQueue *emitted;

/* Kinds of which only the first and the last of each second are sent; `by` is the member that tells sources apart. */
static const struct {
    const char *name, *by;
} limited[] = {
    { "RTC_CHANGE", NULL }, { "WATCHDOG", NULL }, { "BALLOON_CHANGE", NULL }, { "VSERPORT_CHANGE", "id" },
};

/* One kind (and source) during its second. */
struct throttle {
    char *key;
    JsonNode *held; /* the last that came meanwhile, or NULL */
    guint timer;
};
/* key -> struct throttle. [main] */
static GHashTable *throttles;

/* --- from the emitter --- */

/* Sets "a.b" as member b of an object a. */
static void set_member(JsonObject *o, const char *name, JsonNode *v)
{
    const char *dot = strchr(name, '.');
    char *head;

    if (!dot) {
        json_object_set_member(o, name, v);
        return;
    }
    head = g_strndup(name, dot - name);
    if (!json_object_has_member(o, head))
        json_object_set_object_member(o, head, json_object_new());
    set_member(json_object_get_object_member(o, head), dot + 1, v);
    g_free(head);
}

static JsonNode *member_node(const struct event_member *m)
{
    JsonNode *n = json_node_alloc();

    switch (m->kind) {
    case EV_BOOL: return json_node_init_boolean(n, m->n != 0);
    case EV_INT: return json_node_init_int(n, m->n);
    default: return json_node_init_string(n, m->str);
    }
}

static JsonNode *event_node(const char *name, const struct event_member *members)
{
    JsonObject *o = json_object_new(), *time = json_object_new(), *data = json_object_new();
    gint64 now = g_get_real_time();
    JsonNode *n;

    json_object_set_int_member(time, "seconds", now / G_USEC_PER_SEC);
    json_object_set_int_member(time, "microseconds", now % G_USEC_PER_SEC);
    json_object_set_object_member(o, "timestamp", time);
    json_object_set_string_member(o, "event", name);
    for (const struct event_member *m = members; m->kind != EV_END; m++)
        if (m->kind != EV_STR || m->str)
            set_member(data, m->name, member_node(m));
    if (json_object_get_size(data))
        json_object_set_object_member(o, "data", data);
    else
        json_object_unref(data);
    n = json_object_node(o);
    json_object_unref(o);
    return n;
}

static gboolean on_emitted(gpointer opaque)
{
    qmp_events_flush();
    return G_SOURCE_REMOVE;
}

static bool is_limited(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(limited); i++)
        if (!strcmp(limited[i].name, name))
            return true;
    return false;
}

/* Any thread, any lock held. */
static void sink(void *opaque, const char *name, const struct event_member *members)
{
    JsonNode *n;

    if (g_async_queue_length(emitted) > EMITTED_MAX && is_limited(name))
        return;
    n = event_node(name, members);
    handover_give(n);
    g_async_queue_push(emitted, n);
    g_idle_add_full(G_PRIORITY_HIGH, on_emitted, NULL, NULL);
}

/* --- on the main thread --- */

static void throttle_free(gpointer p)
{
    struct throttle *t = p;

    if (t->timer)
        g_source_remove(t->timer);
    if (t->held)
        json_node_unref(t->held);
    g_free(t->key);
    g_free(t);
}

/* The second is over: what was held back is sent, and a new second begins. */
static gboolean on_second(gpointer opaque)
{
    struct throttle *t = opaque;
    JsonNode *n = t->held;

    if (!n) {
        t->timer = 0;
        g_hash_table_remove(throttles, t->key);
        return G_SOURCE_REMOVE;
    }
    t->held = NULL;
    qmp_broadcast(n);
    json_node_unref(n);
    return G_SOURCE_CONTINUE;
}

/* What the event is counted under; NULL: it is not limited. */
static char *throttle_key(JsonNode *n)
{
    JsonObject *o = json_node_get_object(n);
    const char *name = json_object_get_string_member(o, "event");

    for (unsigned i = 0; i < ARRAY_LEN(limited); i++) {
        if (strcmp(limited[i].name, name))
            continue;
        JsonObject *data = json_object_has_member(o, "data") ? json_object_get_object_member(o, "data") : NULL;
        const char *by = limited[i].by;
        return g_strdup_printf("%s:%s", name, by && data && json_object_has_member(data, by) ? json_object_get_string_member(data, by) : "");
    }
    return NULL;
}

/* Sends n now or later; takes it. */
static void dispatch(JsonNode *n)
{
    char *key = throttle_key(n);
    struct throttle *t = key ? g_hash_table_lookup(throttles, key) : NULL;

    if (t) {
        if (t->held)
            json_node_unref(t->held);
        t->held = n;
        g_free(key);
        return;
    }
    if (key) {
        t = g_new0(struct throttle, 1);
        t->key = key;
        t->timer = g_timeout_add(RATE_MS, on_second, t);
        g_hash_table_insert(throttles, t->key, t);
    }
    qmp_broadcast(n);
    json_node_unref(n);
}

void qmp_events_flush(void)
{
    JsonNode *n;

    while (emitted && (n = g_async_queue_try_pop(emitted))) {
        handover_take(n);
        if (throttles)
            dispatch(n);
        else
            json_node_unref(n);
    }
}

/* Stops for a moment, for somebody who looks into the VM, are nobody's business. */
static void on_state(void *opaque, const struct vm_stop_info *i)
{
    struct ui *ui = opaque;

    if (!ui->transient)
        event_emit(i->state == VM_RUNNING ? "RESUME" : "STOP", NULL);
}

void qmp_events_start(struct ui *ui)
{
    if (!emitted)
        emitted = g_async_queue_new_full((GDestroyNotify)json_node_unref);
    throttles = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, throttle_free);
    event_set_sink(sink, NULL);
    vm_add_listener(ui->vm, on_state, ui);
}

void qmp_events_stop(void)
{
    if (!throttles)
        return;
    event_set_sink(NULL, NULL);
    qmp_events_flush();
    g_clear_pointer(&throttles, g_hash_table_unref);
}
