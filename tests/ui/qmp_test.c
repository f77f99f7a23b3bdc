/* Tests ui/qmp.c, qmp_schema.c, qmp_event.c and json_stream.c: sessions on a fake back end with a fake VM. What commands do in a real
 * machine is qmp_live_test.c's. */
#include "ui/qmp.h"
#include <glib.h>
#include "hw/backend/blk_int.h"
#include "hw/backend/chr.h"
#include "hw/backend/chr_impl.h"
#include "hw/backend/net.h"
#include "hw/backend/object.h"
#include "tests/lib/fake_chr.h"
#include "tests/ui/fake_vm.h"
#include "ui/json_stream.h"
#include "ui/json_text.h"
#include "ui/qmp_cmd.h"
#include "ui/qmp_schema.h"
#include "util/event.h"

static struct vm *vm;
static struct chr *chr;
static struct qmp *qmp;

static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void begin(void)
{
    vm = fake_vm_new(2);
    vm->ui.name = "guest";
    chr = fake_chr_new("qmp");
    qmp = qmp_new(&vm->ui, chr, false);
    qmp_events_start(&vm->ui);
    fake_chr_event(chr, CHR_OPENED);
}

static void end(void)
{
    qmp_free(qmp);
    qmp_events_stop();
    chr_free(chr);
    settle();
    fake_vm_free(vm);
}

/* Sends text as far as the session takes it at once, lets it work, and so on; returns all that was said. */
static char *say(const char *text)
{
    GString *out = g_string_new(NULL);

    while (*text) {
        text += fake_chr_input(chr, text);
        settle();
        g_string_append(out, fake_chr_output(chr));
    }
    return g_string_free(out, FALSE);
}

#define EXPECT(text, answer)                       \
    do {                                           \
        char *got_ = say(text);                    \
        g_assert_cmpstr(got_, ==, answer "\r\n"); \
        g_free(got_);                              \
    } while (0)

#define OK "{\"return\": {}}"
#define ERROR(desc) "{\"error\": {\"class\": \"GenericError\", \"desc\": \"" desc "\"}}"

static void ready(void)
{
    begin();
    fake_chr_output(chr);
    EXPECT("{\"execute\":\"qmp_capabilities\"}", OK);
}

static void test_greeting(void)
{
    begin();
    g_assert_true(g_str_has_prefix(fake_chr_output(chr), "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": "));
    EXPECT("{\"execute\":\"query-status\"}", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
           "\"Expecting capabilities negotiation with 'qmp_capabilities'\"}}");
    EXPECT("{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"fly\"]}}",
           ERROR("Parameter 'enable[0]' does not accept value 'fly'"));
    EXPECT("{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}", OK);
    EXPECT("{\"execute\":\"qmp_capabilities\",\"id\":null}", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
           "\"Capabilities negotiation is already complete, command ignored\"}, \"id\": null}");
    /* A new peer begins anew. */
    fake_chr_event(chr, CHR_CLOSED);
    fake_chr_event(chr, CHR_OPENED);
    g_assert_true(g_str_has_prefix(fake_chr_output(chr), "{\"QMP\""));
    EXPECT("{\"execute\":\"stop\"}", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
           "\"Expecting capabilities negotiation with 'qmp_capabilities'\"}}");
    end();
}

static void test_errors(void)
{
    ready();
    EXPECT("{\"execute\":\"dance\",\"id\":[1,{\"a\":2}]}", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
           "\"The command dance has not been found\"}, \"id\": [1, {\"a\": 2}]}");
    EXPECT("{\"execute\":\"stop\",\"arguments\":{\"x\":1}}", ERROR("Parameter 'x' is unexpected"));
    EXPECT("{\"execute\":\"memsave\",\"arguments\":{\"val\":1,\"size\":1}}", ERROR("Parameter 'filename' is missing"));
    EXPECT("{\"execute\":\"memsave\",\"arguments\":{\"val\":1.5,\"size\":1,\"filename\":\"x\"}}",
           ERROR("Invalid parameter type for 'val', expected: integer"));
    EXPECT("{\"execute\":\"set-action\",\"arguments\":{\"reboot\":true}}", ERROR("Invalid parameter type for 'reboot', expected: string"));
    EXPECT("{\"execute\":\"stop\",\"because\":1,\"id\":8}",
           "{\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input member 'because' is unexpected\"}, \"id\": 8}");
    EXPECT("{\"execute\":7}", ERROR("QMP input member 'execute' must be a string"));
    EXPECT("{}", ERROR("QMP input lacks member 'execute'"));
    EXPECT("{\"execute\":\"stop\",\"arguments\":[]}", ERROR("QMP input member 'arguments' must be an object"));
    EXPECT("[1]", ERROR("QMP input must be a JSON object"));
    EXPECT("\"stop\"", ERROR("QMP input must be a JSON object"));
    EXPECT("17\n", ERROR("QMP input must be a JSON object"));
    EXPECT("}", ERROR("JSON parse error, expecting value"));
    char *got = say("{\"execute\":\"stop\"}");
    g_assert_true(g_str_has_suffix(got, "\"event\": \"STOP\"}\r\n" OK "\r\n")); /* the event comes before the answer */
    g_free(got);
    end();
}

static void test_broken_text(void)
{
    static const char *const texts[] = { "{\"execute\":}", "{\"execute\" \"stop\"}", "nonsense\n", "{\"a\":\"\xff\"}", "{,}" };

    ready();
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        char *got = say(texts[i]);
        g_assert_nonnull(strstr(got, "\"GenericError\""));
        g_free(got);
    }
    /* Escapes that stand for no character. */
    EXPECT("{\"execute\":\"a\\ud800b\"}", ERROR("JSON parse error, \\\\ud800 is not a valid Unicode character"));
    EXPECT("{\"execute\":\"a\\udc00\\ud800\"}", ERROR("JSON parse error, \\\\udc00 is not a valid Unicode character"));
    EXPECT("{\"execute\":\"stop\\u0000\"}", ERROR("JSON parse error, \\\\u0000 is not a valid Unicode character"));
    EXPECT("{\"execute\":\"\xc3\xa9\\\\ud800\\ud83d\\ude00\x7f\"}", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
           "\"The command \\u00E9\\\\ud800\\uD83D\\uDE00\\u007F has not been found\"}}");
    char *deep = g_strnfill(JSON_DEPTH_MAX + 1, '[');
    EXPECT(deep, ERROR("JSON nesting depth limit exceeded"));
    g_free(deep);
    EXPECT("{\"execute\":\"query-name\"}", "{\"return\": {\"name\": \"guest\"}}"); /* it goes on after all that */
    end();
}

static void test_commands_in_order(void)
{
    ready();
    EXPECT("{\"execute\":\"query-name\",\"id\":1} {\"execute\":\"zz\",\"id\":2}{\"execute\":5,\"id\":3}\n{\"execute\":\"query-name\",\"id\":4}",
           "{\"return\": {\"name\": \"guest\"}, \"id\": 1}\r\n"
           "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command zz has not been found\"}, \"id\": 2}\r\n"
           "{\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input member 'execute' must be a string\"}, \"id\": 3}\r\n"
           "{\"return\": {\"name\": \"guest\"}, \"id\": 4}");
    end();
}

/* While commands wait, one that is sent out-of-band is answered first. */
static void test_oob(void)
{
    begin();
    fake_chr_output(chr);
    EXPECT("{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}", OK);
    EXPECT("{\"execute\":\"query-name\",\"id\":1}{\"exec-oob\":\"query-status\",\"id\":2}",
           "{\"return\": {\"running\": true, \"singlestep\": false, \"status\": \"running\"}, \"id\": 2}\r\n"
           "{\"return\": {\"name\": \"guest\"}, \"id\": 1}");
    EXPECT("{\"exec-oob\":\"query-name\"}", ERROR("The command query-name does not support OOB"));
    end();
    ready();
    EXPECT("{\"exec-oob\":\"query-status\"}", ERROR("QMP input member 'exec-oob' is unexpected"));
    end();
}

/* What comes behind a command is not looked at before it is answered: it may be the end. */
static void test_one_by_one(void)
{
    ready();
    g_assert_cmpuint(chr_can_read(chr), >, 0);
    fake_chr_input(chr, "{\"execute\":\"query-name\"}");
    g_assert_cmpuint(chr_can_read(chr), ==, 0);
    settle();
    g_assert_cmpuint(chr_can_read(chr), >, 0);
    end();
}

/* More commands than the queue holds: the session stops reading, and nothing is lost. */
static void test_flood(void)
{
    GString *in = g_string_new(NULL);
    unsigned answers = 0;
    char *got;

    ready();
    for (unsigned i = 0; i < 1000; i++)
        g_string_append(in, "{\"execute\":\"query-name\"}");
    got = say(in->str);
    for (const char *p = got; (p = strstr(p, "\"return\"")); p++)
        answers++;
    g_assert_cmpuint(answers, ==, 1000);
    g_free(got);
    g_string_free(in, TRUE);
    end();
}

/* --- events --- */

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;

    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

static void *emitter(void *unused)
{
    const struct event_member m[] = { EVENT_STR("device", "d0"), EVENT_STR("gone", NULL), EVENT_INT("a.b", 3), EVENT_BOOL("a.c", true),
                                      EVENT_DONE };

    event_emit("DEVICE_DELETED", m);
    return NULL;
}

static void test_events(void)
{
    const char *out;

    begin();
    fake_chr_output(chr);
    event_emit("POWERDOWN", NULL);
    settle();
    g_assert_cmpstr(fake_chr_output(chr), ==, ""); /* not before the negotiation */
    EXPECT("{\"execute\":\"qmp_capabilities\"}", OK);
    g_thread_join(g_thread_new("emitter", emitter, NULL));
    settle();
    out = fake_chr_output(chr);
    g_assert_true(g_str_has_prefix(out, "{\"timestamp\": {\"seconds\": "));
    g_assert_nonnull(strstr(out, "\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"d0\", \"a\": {\"b\": 3, \"c\": true}}}\r\n"));
    fake_vm_stop(vm, &(struct vm_stop_info){ .state = VM_PAUSED, .cpu = -1 });
    settle();
    g_assert_cmpuint(count(fake_chr_output(chr), "\"event\": \"STOP\""), ==, 1);
    vm->ui.transient = true;
    vm_cont(vm);
    settle();
    g_assert_cmpstr(fake_chr_output(chr), ==, "");
    end();
}

/* The first of a second is sent at once, the last of it at its end. */
static void test_event_rate(void)
{
    gint64 limit = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    const char *out;

    ready();
    for (unsigned i = 0; i < 100; i++) {
        const struct event_member m[] = { EVENT_INT("offset", i), EVENT_STR("qom-path", "/rtc"), EVENT_DONE };
        event_emit("RTC_CHANGE", m);
    }
    settle();
    out = fake_chr_output(chr);
    g_assert_cmpuint(count(out, "RTC_CHANGE"), ==, 1);
    g_assert_nonnull(strstr(out, "\"offset\": 0,"));
    do {
        g_main_context_iteration(NULL, TRUE);
        out = fake_chr_output(chr);
        g_assert_cmpint(g_get_monotonic_time(), <, limit);
    } while (!*out);
    g_assert_cmpuint(count(out, "RTC_CHANGE"), ==, 1);
    g_assert_nonnull(strstr(out, "\"offset\": 99,"));
    end();
}

/* --- the schema --- */

/* Every type that is named exists; every command has a function, and every function a command. */
static void check_type(const char *type)
{
    static const char *const builtins[] = { "str", "int", "number", "bool", "null", "any" };
    char *name = *type == '[' ? g_strndup(type + 1, strlen(type) - 2) : g_strdup(type);
    bool found = qmp_def_find(QMP_STRUCT, name) != NULL;

    for (unsigned i = 0; i < ARRAY_LEN(builtins); i++)
        found |= !strcmp(builtins[i], name);
    if (!found)
        g_test_message("unknown type %s", name);
    g_assert_true(found);
    g_free(name);
}

/* Its tag is a member with the type of an enum, its cases are values of that. */
static void check_union(const struct qmp_def *d)
{
    const struct qmp_def *tag = NULL;

    for (unsigned i = 0; i < d->members->len; i++) {
        const struct qmp_member *m = &g_array_index(d->members, struct qmp_member, i);
        if (!strcmp(m->name, d->tag) && !m->optional)
            tag = qmp_def_find(QMP_ENUM, m->type);
    }
    g_assert_nonnull(tag);
    for (unsigned i = 0; i < d->cases->len; i++) {
        const struct qmp_case *k = &g_array_index(d->cases, struct qmp_case, i);
        bool found = false;
        for (unsigned v = 0; v < tag->values->len; v++)
            found |= !strcmp(tag->values->pdata[v], k->value);
        g_assert_true(found);
        check_type(k->type);
    }
}

static bool has_value(const char *name, const char *value)
{
    const struct qmp_def *d = qmp_def_find(QMP_ENUM, name);

    for (unsigned i = 0; i < d->values->len; i++)
        if (!strcmp(d->values->pdata[i], value))
            return true;
    g_test_message("%s has no %s", name, value);
    return false;
}

/* The kinds of things that the schema lists are those that there are. */
static void test_kinds(void)
{
    const char *name;
    unsigned i;

    for (i = 0; (name = object_type_nth(i)); i++)
        g_assert_true(has_value("ObjectType", name));
    g_assert_cmpuint(qmp_def_find(QMP_ENUM, "ObjectType")->values->len, ==, i);
    for (i = 0; driver_nth(i); i++)
        g_assert_true(has_value("BlockdevDriver", driver_nth(i)->name));
    g_assert_cmpuint(qmp_def_find(QMP_ENUM, "BlockdevDriver")->values->len, ==, i);
    for (i = 0; (name = net_kind_nth(i)); i++)
        g_assert_true(has_value("NetClientDriver", name));
    g_assert_cmpuint(qmp_def_find(QMP_ENUM, "NetClientDriver")->values->len, ==, i);
    for (i = 0; (name = chr_kind_nth(i)); i++)
        g_assert_true(has_value("ChardevBackendKind", name));
}

static void test_unions(void)
{
    ready();
    EXPECT("{\"execute\":\"blockdev-add\",\"arguments\":{\"node-name\":\"n\"}}", ERROR("Parameter 'driver' is missing"));
    EXPECT("{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"pigeon\"}}", ERROR("Parameter 'driver' does not accept value 'pigeon'"));
    EXPECT("{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\"}}", ERROR("Parameter 'file' is missing"));
    EXPECT("{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"null-co\",\"filename\":\"x\"}}", ERROR("Parameter 'filename' is unexpected"));
    EXPECT("{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\",\"file\":7}}",
           ERROR("Invalid parameter type for 'file', expected: BlockdevRef"));
    EXPECT("{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\",\"file\":null}}",
           ERROR("Invalid parameter type for 'file', expected: BlockdevRef"));
    EXPECT("{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\",\"file\":{\"driver\":\"null-co\",\"size\":\"1\"}}}",
           ERROR("Invalid parameter type for 'file.size', expected: integer"));
    EXPECT("{\"execute\":\"netdev_add\",\"arguments\":{\"type\":\"user\",\"id\":\"u\",\"hostfwd\":[{\"str\":\"a\"},\"b\"]}}",
           ERROR("Invalid parameter type for 'hostfwd[1]', expected: object"));
    EXPECT("{\"execute\":\"chardev-add\",\"arguments\":{\"id\":\"c\",\"backend\":{\"type\":\"socket\",\"data\":{\"addr\":{\"type\":\"unix\","
           "\"data\":{}}}}}}", ERROR("Parameter 'backend.data.addr.data.path' is missing"));
    EXPECT("{\"execute\":\"object-add\",\"arguments\":{\"qom-type\":\"rng-builtin\",\"id\":\"r\",\"filename\":\"x\"}}",
           ERROR("Parameter 'filename' is unexpected"));
    end();
}

static void test_schema(void)
{
    static const char *const names[] = {
#define QMP(name, fn) name,
#include "ui/qmp_commands.def"
#undef QMP
    };
    const struct qmp_def *d;
    unsigned commands = 0;

    for (unsigned i = 0; (d = qmp_def_nth(i)); i++) {
        if (d->ret)
            check_type(d->ret);
        if (d->takes)
            check_type(d->takes);
        for (unsigned k = 0; k < d->members->len; k++)
            check_type(g_array_index(d->members, struct qmp_member, k).type);
        for (unsigned k = 0; k < d->values->len && d->kind == QMP_ALTERNATE; k++)
            check_type(d->values->pdata[k]);
        if (d->tag)
            check_union(d);
        if (d->kind != QMP_COMMAND || !strcmp(d->name, "qmp_capabilities"))
            continue;
        commands++;
        if (!qmp_fn_find(d->name))
            g_test_message("no function for %s", d->name);
        g_assert_nonnull(qmp_fn_find(d->name));
    }
    g_assert_cmpuint(commands, ==, ARRAY_LEN(names));
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        g_assert_nonnull(qmp_def_find(QMP_COMMAND, names[i]));
}

/* All types that the introspection names are in it. */
static void test_introspection(void)
{
    static const char *const refs[] = { "arg-type", "ret-type", "element-type" };
    JsonNode *n = qmp_introspect();
    JsonArray *a = json_node_get_array(n);
    GHashTable *seen = g_hash_table_new(g_str_hash, g_str_equal);
    unsigned unions = 0;

    for (unsigned i = 0; i < json_array_get_length(a); i++)
        g_assert_true(g_hash_table_add(seen, (char *)json_object_get_string_member(json_array_get_object_element(a, i), "name")));
    for (unsigned i = 0; i < json_array_get_length(a); i++) {
        JsonObject *o = json_array_get_object_element(a, i);
        for (unsigned k = 0; k < ARRAY_LEN(refs); k++)
            if (json_object_has_member(o, refs[k]))
                g_assert_true(g_hash_table_contains(seen, json_object_get_string_member(o, refs[k])));
        JsonArray *m = json_object_has_member(o, "members") ? json_object_get_array_member(o, "members") : NULL;
        for (unsigned k = 0; m && k < json_array_get_length(m); k++) {
            JsonObject *member = json_array_get_object_element(m, k);
            if (json_object_has_member(member, "type"))
                g_assert_true(g_hash_table_contains(seen, json_object_get_string_member(member, "type")));
        }
        JsonArray *v = json_object_has_member(o, "variants") ? json_object_get_array_member(o, "variants") : NULL;
        g_assert_true(!v == !json_object_has_member(o, "tag"));
        for (unsigned k = 0; v && k < json_array_get_length(v); k++)
            g_assert_true(g_hash_table_contains(seen, json_object_get_string_member(json_array_get_object_element(v, k), "type")));
        unions += v != NULL;
    }
    g_assert_true(g_hash_table_contains(seen, "query-status"));
    g_assert_cmpuint(unions, >=, 6);
    g_hash_table_unref(seen);
    json_node_unref(n);
}

static void test_text(void)
{
    static const char compact[] = "{\"a\": [1, -2, 1.5, true, null, {}], \"b\\n\": \"\\\"\\\\\\u0001\\u00E4\", \"c\": []}";
    JsonNode *n = json_from_string(compact, NULL);
    char *text = json_text(n, false), *again;
    JsonNode *m;

    g_assert_cmpstr(text, ==, compact);
    g_free(text);
    text = json_text(n, true);
    g_assert_true(g_str_has_prefix(text, "{\n    \"a\": [\n        1,\n        -2,\n"));
    m = json_from_string(text, NULL);
    again = json_text(m, false);
    g_assert_cmpstr(again, ==, compact);
    g_free(again);
    g_free(text);
    json_node_unref(m);
    json_node_unref(n);
    /* What is no UTF-8: a file name, perhaps. */
    n = json_node_init_string(json_node_alloc(), "a\xff\xe4\xbd");
    text = json_text(n, false);
    g_assert_cmpstr(text, ==, "\"a\\uFFFD\\uFFFD\\uFFFD\"");
    g_free(text);
    json_node_unref(n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_main_context_acquire(NULL);
    g_test_add_func("/qmp/greeting", test_greeting);
    g_test_add_func("/qmp/errors", test_errors);
    g_test_add_func("/qmp/broken-text", test_broken_text);
    g_test_add_func("/qmp/in-order", test_commands_in_order);
    g_test_add_func("/qmp/oob", test_oob);
    g_test_add_func("/qmp/one-by-one", test_one_by_one);
    g_test_add_func("/qmp/flood", test_flood);
    g_test_add_func("/qmp/events", test_events);
    g_test_add_func("/qmp/event-rate", test_event_rate);
    g_test_add_func("/qmp/schema", test_schema);
    g_test_add_func("/qmp/kinds", test_kinds);
    g_test_add_func("/qmp/unions", test_unions);
    g_test_add_func("/qmp/introspection", test_introspection);
    g_test_add_func("/qmp/text", test_text);
    return g_test_run();
}
