/* The monitor's `info` about what QMP queries tell: disks, networks, PCI, streams, CPUs' places. Main thread. */
#include "hw/backend/net.h"
#include "hw/core/machine.h"
#include "ui/display.h"
#include "ui/monitor_cmd.h"
#include "ui/qmp.h"

typedef long long ll;

static const char *str(JsonObject *o, const char *name)
{
    return json_object_has_member(o, name) ? json_object_get_string_member(o, name) : "";
}

static ll num(JsonObject *o, const char *name)
{
    return json_object_has_member(o, name) ? json_object_get_int_member(o, name) : 0;
}

/* Calls fn for each element of a query's array. */
static void for_each(struct mon *m, const char *query, void (*fn)(struct mon *m, JsonObject *o))
{
    JsonNode *n = mon_qmp(m, query, NULL);

    for (unsigned i = 0; n && i < json_array_get_length(json_node_get_array(n)); i++)
        fn(m, json_array_get_object_element(json_node_get_array(n), i));
    if (n)
        json_node_unref(n);
}

/* --- disks --- */

static void show_inserted(struct mon *m, JsonObject *in)
{
    JsonObject *cache = json_object_get_object_member(in, "cache");

    mon_print(m, "    Cache mode:       %s%s%s\n", json_object_get_boolean_member(cache, "writeback") ? "writeback" : "writethrough",
              json_object_get_boolean_member(cache, "direct") ? ", direct" : "",
              json_object_get_boolean_member(cache, "no-flush") ? ", ignore flushes" : "");
    if (num(in, "backing_file_depth"))
        mon_print(m, "    Backing file:     %s (chain depth: %lld)\n", str(in, "backing_file"), num(in, "backing_file_depth"));
    if (strcmp(str(in, "detect_zeroes"), "off"))
        mon_print(m, "    Detect zeroes:    %s\n", str(in, "detect_zeroes"));
    if (num(in, "bps") || num(in, "bps_rd") || num(in, "bps_wr") || num(in, "iops") || num(in, "iops_rd") || num(in, "iops_wr"))
        mon_print(m, "    I/O throttling:   bps=%lld bps_rd=%lld bps_wr=%lld iops=%lld iops_rd=%lld iops_wr=%lld\n", num(in, "bps"),
                  num(in, "bps_rd"), num(in, "bps_wr"), num(in, "iops"), num(in, "iops_rd"), num(in, "iops_wr"));
}

static void show_block(struct mon *m, JsonObject *o)
{
    JsonObject *in = json_object_has_member(o, "inserted") ? json_object_get_object_member(o, "inserted") : NULL;
    bool removable = json_object_get_boolean_member(o, "removable");

    if (in)
        mon_print(m, "%s (%s): %s (%s%s)\n", str(o, "device"), str(in, "node-name"), str(in, "file"), str(in, "drv"),
                  json_object_get_boolean_member(in, "ro") ? ", read-only" : "");
    else
        mon_print(m, "%s: [not inserted]\n", str(o, "device"));
    if (json_object_has_member(o, "qdev"))
        mon_print(m, "    Attached to:      %s\n", str(o, "qdev"));
    if (removable)
        mon_print(m, "    Removable device: %slocked, tray %s\n", json_object_get_boolean_member(o, "locked") ? "" : "not ",
                  json_object_get_boolean_member(o, "tray_open") ? "open" : "closed");
    if (json_object_has_member(o, "io-status") && strcmp(str(o, "io-status"), "ok"))
        mon_print(m, "    I/O status:       %s\n", str(o, "io-status"));
    if (in)
        show_inserted(m, in);
    mon_print(m, "\n");
}

void mon_info_block(struct mon *m, char *args)
{
    for_each(m, "query-block", show_block);
}

static void show_stats(struct mon *m, JsonObject *o)
{
    static const char *const names[] = { "rd_bytes", "wr_bytes", "rd_operations", "wr_operations", "flush_operations", "wr_total_time_ns",
                                         "rd_total_time_ns", "flush_total_time_ns" };
    JsonObject *s = json_object_get_object_member(o, "stats");

    mon_print(m, "%s:", str(o, "device"));
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        mon_print(m, " %s=%lld", names[i], num(s, names[i]));
    mon_print(m, "\n");
}

void mon_info_blockstats(struct mon *m, char *args)
{
    for_each(m, "query-blockstats", show_stats);
}

/* --- networks --- */

static void print_owned(struct mon *m, char *text)
{
    mon_print(m, "%s", text);
    if (*text && text[strlen(text) - 1] != '\n')
        mon_print(m, "\n");
    g_free(text);
}

void mon_info_network(struct mon *m, char *args) { print_owned(m, net_info_all()); }
void mon_info_usernet(struct mon *m, char *args) { print_owned(m, net_user_info()); }

void mon_info_usb(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);
    unsigned n = 0;

    lock_acquire(&mc->lock);
    for (const struct bus *b = mc->buses; b; b = b->next)
        if (!strcmp(b->type, "usb-bus"))
            print_owned(m, b->ops->info(b, n++));
    lock_release(&mc->lock);
    if (!n)
        mon_print(m, "USB support not enabled\n");
}

/* --- PCI --- */

static void show_region(struct mon *m, JsonObject *r)
{
    ll at = num(r, "address"), size = num(r, "size");

    if (!strcmp(str(r, "type"), "io"))
        mon_print(m, "      BAR%lld: I/O at 0x%04llx [0x%04llx].\n", num(r, "bar"), at, at + size - 1);
    else
        mon_print(m, "      BAR%lld: %d bit%s memory at 0x%08llx [0x%08llx].\n", num(r, "bar"),
                  json_object_get_boolean_member(r, "mem_type_64") ? 64 : 32,
                  json_object_get_boolean_member(r, "prefetch") ? " prefetchable" : "", at, at + size - 1);
}

static void show_function(struct mon *m, JsonObject *o);

static void show_bridge(struct mon *m, JsonObject *bridge)
{
    JsonObject *bus = json_object_get_object_member(bridge, "bus");
    JsonArray *below = json_object_get_array_member(bridge, "devices");

    mon_print(m, "      BUS %lld.\n      secondary bus %lld.\n      subordinate bus %lld.\n", num(bus, "number"), num(bus, "secondary"),
              num(bus, "subordinate"));
    for (unsigned i = 0; i < json_array_get_length(below); i++)
        show_function(m, json_array_get_object_element(below, i));
}

static void show_function(struct mon *m, JsonObject *o)
{
    JsonObject *cls = json_object_get_object_member(o, "class_info"), *id = json_object_get_object_member(o, "id");
    JsonArray *regions = json_object_get_array_member(o, "regions");

    mon_print(m, "  Bus %2lld, device %3lld, function %lld:\n", num(o, "bus"), num(o, "slot"), num(o, "function"));
    if (json_object_has_member(cls, "desc"))
        mon_print(m, "    %s: ", str(cls, "desc"));
    else
        mon_print(m, "    Class %04llx: ", num(cls, "class"));
    mon_print(m, "PCI device %04llx:%04llx\n", num(id, "vendor"), num(id, "device"));
    if (json_object_has_member(id, "subsystem-vendor"))
        mon_print(m, "      PCI subsystem %04llx:%04llx\n", num(id, "subsystem-vendor"), num(id, "subsystem"));
    if (num(o, "irq_pin"))
        mon_print(m, "      IRQ %lld, pin %c\n", num(o, "irq"), (int)('A' + num(o, "irq_pin") - 1));
    for (unsigned i = 0; i < json_array_get_length(regions); i++)
        show_region(m, json_array_get_object_element(regions, i));
    mon_print(m, "      id \"%s\"\n", str(o, "qdev_id"));
    if (json_object_has_member(o, "pci_bridge"))
        show_bridge(m, json_object_get_object_member(o, "pci_bridge"));
}

static void show_pci_bus(struct mon *m, JsonObject *o)
{
    JsonArray *a = json_object_get_array_member(o, "devices");

    for (unsigned i = 0; i < json_array_get_length(a); i++)
        show_function(m, json_array_get_object_element(a, i));
}

void mon_info_pci(struct mon *m, char *args)
{
    for_each(m, "query-pci", show_pci_bus);
}

/* --- streams, CPUs, memory --- */

static void show_chardev(struct mon *m, JsonObject *o)
{
    mon_print(m, "%s: filename=%s\n", str(o, "label"), str(o, "filename"));
}

void mon_info_chardev(struct mon *m, char *args)
{
    for_each(m, "query-chardev", show_chardev);
}

static void show_cpu_place(struct mon *m, JsonObject *o)
{
    JsonObject *p = json_object_get_object_member(o, "props");

    mon_print(m, "  type: \"%s\"\n  vcpus_count: \"%lld\"\n  qom_path: \"%s\"\n  CPUInstance Properties:\n    socket-id: \"%lld\"\n"
              "    core-id: \"%lld\"\n    thread-id: \"%lld\"\n", str(o, "type"), num(o, "vcpus-count"), str(o, "qom-path"),
              num(p, "socket-id"), num(p, "core-id"), num(p, "thread-id"));
}

void mon_info_hotpluggable_cpus(struct mon *m, char *args)
{
    mon_print(m, "Hotpluggable CPUs:\n");
    for_each(m, "query-hotpluggable-cpus", show_cpu_place);
}

static void show_vnc_end(struct mon *m, const char *what, JsonObject *o)
{
    bool v6 = !strcmp(str(o, "family"), "ipv6");

    mon_print(m, "  %s: %s%s%s%s%s (%s%s)\n", what, v6 ? "[" : "", str(o, "host"), v6 ? "]" : "", *str(o, "service") ? ":" : "", str(o, "service"),
              str(o, "family"), json_object_get_boolean_member(o, "websocket") ? ", Websocket" : "");
}

static void show_vnc(struct mon *m, JsonObject *o)
{
    JsonArray *servers = json_object_get_array_member(o, "server"), *clients = json_object_get_array_member(o, "clients");

    mon_print(m, "%s:\n", str(o, "id"));
    for (unsigned i = 0; i < json_array_get_length(servers); i++) {
        show_vnc_end(m, "Server", json_array_get_object_element(servers, i));
        mon_print(m, "    Auth: %s (Sub: none)\n", str(o, "auth"));
    }
    for (unsigned i = 0; i < json_array_get_length(clients); i++)
        show_vnc_end(m, "Client", json_array_get_object_element(clients, i));
}

void mon_info_vnc(struct mon *m, char *args)
{
    if (!m->ui->display || !m->ui->display->n_vnc)
        mon_print(m, "None\n");
    for_each(m, "query-vnc-servers", show_vnc);
}

/* One object of which one or two members are told. */
static JsonNode *query(struct mon *m, const char *name, JsonObject **o)
{
    JsonNode *n = mon_qmp(m, name, NULL);

    *o = n ? json_node_get_object(n) : NULL;
    return n;
}

void mon_info_uuid(struct mon *m, char *args)
{
    JsonObject *o;
    JsonNode *n = query(m, "query-uuid", &o);

    if (n) {
        mon_print(m, "%s\n", str(o, "UUID"));
        json_node_unref(n);
    }
}

void mon_info_kvm(struct mon *m, char *args)
{
    JsonObject *o;
    JsonNode *n = query(m, "query-kvm", &o);

    if (n) {
        mon_print(m, "kvm support: %s\n", json_object_get_boolean_member(o, "enabled") ? "enabled" : "disabled");
        json_node_unref(n);
    }
}

void mon_info_balloon(struct mon *m, char *args)
{
    JsonObject *o;
    JsonNode *n = query(m, "query-balloon", &o);

    if (n) {
        mon_print(m, "balloon: actual=%lld\n", num(o, "actual") / (ll)MiB);
        json_node_unref(n);
    }
}

void mon_info_memory_size_summary(struct mon *m, char *args)
{
    JsonObject *o;
    JsonNode *n = query(m, "query-memory-size-summary", &o);

    if (n) {
        mon_print(m, "base memory: %lld\nplugged memory: %lld\n", num(o, "base-memory"), num(o, "plugged-memory"));
        json_node_unref(n);
    }
}

void mon_info_numa(struct mon *m, char *args)
{
    mon_print(m, "0 nodes\n"); /* -numa is refused */
}
