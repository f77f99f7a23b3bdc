/* QMP queries about the machine as a whole: name, CPUs and their models, memory, threads. Main thread, from ui/qmp.c. */
#include "cpu/cpuid.h"
#include "ui/qmp_cmd.h"
#include "ui/quiesce.h"
#include "util/iothread.h"
#include "util/uuid.h"

int qmp_query_name(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    if (c->ui->name)
        json_str(b, "name", c->ui->name);
    json_close(b);
    return qmp_answer(c, b);
}

int qmp_query_uuid(struct qmp_call *c)
{
    char *text = uuid_text(c->m->cfg.uuid);
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    json_str(b, "UUID", text);
    json_close(b);
    c->ret = json_take(b);
    g_free(text);
    return 0;
}

int qmp_query_kvm(struct qmp_call *c)
{
    bool kvm = !strcmp(vm_engine_name(c->vm), "kvm");
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    json_bool(b, "enabled", kvm);
    json_bool(b, "present", kvm);
    json_close(b);
    return qmp_answer(c, b);
}

int qmp_query_jit(struct qmp_call *c)
{
    g_autoptr(GString) text = g_string_new(NULL);
    JsonBuilder *b = json_builder_new();
    bool resume = ui_quiesce(c->ui);

    vm_info_jit(c->vm, text);
    ui_resume(c->ui, resume);
    json_open(b, NULL);
    json_str(b, "human-readable-text", text->str);
    json_close(b);
    return qmp_answer(c, b);
}

int qmp_query_target(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    json_str(b, "arch", "x86_64");
    json_close(b);
    return qmp_answer(c, b);
}

int qmp_query_machines(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    const struct machine_board *t;

    json_open_array(b, NULL);
    for (unsigned i = 0; (t = machine_board_nth(i)); i++) {
        json_open(b, NULL);
        json_str(b, "name", t->name);
        if (i == 0)
            json_bool(b, "is-default", true);
        json_int(b, "cpu-max", ARRAY_LEN(c->m->lapic));
        json_bool(b, "hotpluggable-cpus", false);
        json_bool(b, "numa-mem-supported", false);
        json_bool(b, "deprecated", false);
        json_str(b, "default-cpu-type", "max-x86_64-cpu");
        json_bool(b, "acpi", true);
        json_close(b);
    }
    json_close_array(b);
    return qmp_answer(c, b);
}

int qmp_query_current_machine(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    json_bool(b, "wakeup-suspend-support", true);
    json_close(b);
    return qmp_answer(c, b);
}

/* --- CPUs --- */

/* Where CPU i sits: CPUs are numbered without gaps. */
static void add_props(struct qmp_call *c, JsonBuilder *b, unsigned i)
{
    const struct accel_config *cfg = vm_config(c->vm);
    unsigned threads = MAX_OF(cfg->threads, 1u), cores = MAX_OF(cfg->cores, 1u);

    json_open(b, "props");
    json_int(b, "core-id", i / threads % cores);
    json_int(b, "thread-id", i % threads);
    json_int(b, "socket-id", i / threads / cores);
    json_close(b);
}

static char *cpu_path(unsigned i)
{
    return g_strdup_printf("/machine/cpu[%u]", i);
}

int qmp_query_cpus_fast(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open_array(b, NULL);
    for (unsigned i = 0; i < vm_cpu_count(c->vm); i++) {
        char *path = cpu_path(i);
        json_open(b, NULL);
        json_int(b, "thread-id", vm_cpu_tid(c->vm, i));
        add_props(c, b, i);
        json_str(b, "qom-path", path);
        json_int(b, "cpu-index", i);
        json_str(b, "target", "x86_64");
        json_close(b);
        g_free(path);
    }
    json_close_array(b);
    return qmp_answer(c, b);
}

int qmp_query_hotpluggable_cpus(struct qmp_call *c)
{
    char *type = g_strdup_printf("%s-x86_64-cpu", vm_cpu_model(c->vm)->name);
    JsonBuilder *b = json_builder_new();

    json_open_array(b, NULL);
    for (unsigned i = vm_cpu_count(c->vm); i-- > 0;) {
        char *path = cpu_path(i);
        json_open(b, NULL);
        add_props(c, b, i);
        json_int(b, "vcpus-count", 1);
        json_str(b, "qom-path", path);
        json_str(b, "type", type);
        json_close(b);
        g_free(path);
    }
    json_close_array(b);
    c->ret = json_take(b);
    g_free(type);
    return 0;
}

static bool model_has(const struct cpu_model *m, const char *feature)
{
    const char *name;

    for (unsigned i = 0; (name = cpu_feature_name_nth(i)); i++)
        if (!strcmp(name, feature))
            return feat_on(m, i + 1);
    return false;
}

/* Features of the row and those it builds on that are not among what this host can execute. */
static void add_unavailable(JsonBuilder *b, const struct cpu_model_def *d, const struct cpu_model *can)
{
    json_open_array(b, "unavailable-features");
    for (; d; d = d->parent ? cpu_model_def_find(d->parent) : NULL) {
        char **words = g_strsplit(d->features && strcmp(d->features, "*") ? d->features : "", " ", -1);
        for (char **w = words; *w; w++)
            if (**w && !model_has(can, *w))
                json_str(b, NULL, *w);
        g_strfreev(words);
    }
    json_close_array(b);
}

int qmp_query_cpu_definitions(struct qmp_call *c)
{
    struct cpu_model *can = cpu_model_new("max", 1, 1, 1, &c->err);
    const struct cpu_model_def *d;
    JsonBuilder *b;

    if (!can)
        return -1;
    b = json_builder_new();
    json_open_array(b, NULL);
    for (unsigned i = 0; (d = cpu_model_def_nth(i)); i++) {
        char *type = g_strdup_printf("%s-x86_64-cpu", d->name);
        json_open(b, NULL);
        json_str(b, "name", d->name);
        json_str(b, "typename", type);
        add_unavailable(b, d, can);
        json_bool(b, "static", !strcmp(d->name, "base"));
        json_bool(b, "migration-safe", strcmp(d->features ? d->features : "", "*"));
        json_bool(b, "deprecated", false);
        json_close(b);
        g_free(type);
    }
    json_close_array(b);
    c->ret = json_take(b);
    cpu_model_free(can);
    return 0;
}

/* "base,+avx2,-x2apic" from a CpuModelInfo. NULL with the error set if a property is no switch. */
static char *model_spec(struct qmp_call *c, JsonObject *model)
{
    GString *s = g_string_new(json_object_get_string_member(model, "name"));
    JsonNode *props = json_object_get_member(model, "props"), *v;
    JsonObjectIter it;
    const char *name;

    if (!props || !JSON_NODE_HOLDS_OBJECT(props))
        return g_string_free(s, FALSE);
    json_object_iter_init(&it, json_node_get_object(props));
    while (json_object_iter_next(&it, &name, &v)) {
        if (json_node_get_value_type(v) != G_TYPE_BOOLEAN) {
            err_set(&c->err, "Invalid parameter type for 'model.props.%s', expected: boolean", name);
            g_string_free(s, TRUE);
            return NULL;
        }
        g_string_append_printf(s, ",%c%s", json_node_get_boolean(v) ? '+' : '-', name);
    }
    return g_string_free(s, FALSE);
}

/* static: on top of "base", which has no features of its own to name; full: the same list, for all features. */
int qmp_query_cpu_model_expansion(struct qmp_call *c)
{
    bool full = !strcmp(qmp_str(c, "type"), "full");
    JsonObject *in = json_object_get_object_member(c->args, "model");
    char *spec = model_spec(c, in);
    struct cpu_model *m = spec ? cpu_model_new(spec, 1, 1, 1, &c->err) : NULL;
    JsonBuilder *b;
    const char *name;

    g_free(spec);
    if (!m)
        return -1;
    b = json_builder_new();
    json_open(b, NULL);
    json_open(b, "model");
    json_str(b, "name", full ? json_object_get_string_member(in, "name") : "base");
    json_open(b, "props");
    for (unsigned i = 0; (name = cpu_feature_name_nth(i)); i++)
        json_bool(b, name, model_has(m, name));
    json_close(b);
    json_close(b);
    json_close(b);
    c->ret = json_take(b);
    cpu_model_free(m);
    return 0;
}

/* --- memory and threads --- */

/* I/O threads sleep until something happens: there is no polling to tune, nor batches. */
static const char *const polling[] = { "poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch" };

int qmp_query_memory_size_summary(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    json_int(b, "base-memory", (i64)c->m->cfg.ram_size);
    json_int(b, "plugged-memory", 0);
    json_close(b);
    return qmp_answer(c, b);
}

static int empty_array(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open_array(b, NULL);
    json_close_array(b);
    return qmp_answer(c, b);
}

int qmp_query_iothreads(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    struct iothread *t;

    json_open_array(b, NULL);
    for (unsigned i = 0; (t = iothread_nth(i)); i++) {
        json_open(b, NULL);
        json_str(b, "id", iothread_id(t));
        json_int(b, "thread-id", iothread_tid(t));
        for (unsigned k = 0; k < ARRAY_LEN(polling); k++)
            json_int(b, polling[k], 0);
        json_close(b);
    }
    json_close_array(b);
    return qmp_answer(c, b);
}

/* There are no memory devices, nor ACPI slots that report (_OST) for them or for CPUs. */
int qmp_query_memory_devices(struct qmp_call *c)
{
    return empty_array(c);
}

int qmp_query_acpi_ospm_status(struct qmp_call *c)
{
    return empty_array(c);
}
