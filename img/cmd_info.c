/* gemel-img info, map and check: what an image is, where its data is, whether it is sound. Main thread. */
#include <string.h>
#include <time.h>
#include "img/img.h"
#include "hw/backend/blk_snapshot.h"
#include "hw/backend/qcow2_check.h"

/* -- info ------------------------------------------------------------------------------------------------------------- */

void print_snapshots(const struct blk_node *n)
{
    GString *s = g_string_new("Snapshot list:\n");

    node_snapshots_print(n, s);
    fputs(s->str, stdout);
    g_string_free(s, TRUE);
}

static void info_human(struct blk_node *n, const char *name)
{
    struct blk_info i;
    char *virt = size_text(node_size(n)), *disk = size_text(node_allocated(n));

    node_info(n, &i);
    printf("image: %s\nfile format: %s\nvirtual size: %s (%llu bytes)\ndisk size: %s\n", name, i.format, virt,
           (unsigned long long)node_size(n), disk);
    if (i.dirty)
        printf("cleanly shut down: no\n");
    if (i.cluster_size)
        printf("cluster_size: %u\n", i.cluster_size);
    if (i.backing_file) {
        char *full = node_backing_path(n->filename, i.backing_file);
        printf("backing file: %s", i.backing_file);
        if (strcmp(full, i.backing_file))
            printf(" (actual path: %s)", full);
        printf("\n");
        g_free(full);
    }
    if (i.backing_format)
        printf("backing file format: %s\n", i.backing_format);
    if (node_snapshot_count(n))
        print_snapshots(n);
    if (i.compat) {
        printf("Format specific information:\n    compat: %s\n    compression type: %s\n", i.compat, i.compression);
        if (strcmp(i.compat, "0.10"))
            printf("    lazy refcounts: %s\n", i.lazy_refcounts ? "true" : "false");
        printf("    refcount bits: %u\n", i.refcount_bits);
        if (strcmp(i.compat, "0.10"))
            printf("    corrupt: %s\n    extended l2: false\n", i.corrupt ? "true" : "false");
    }
    g_free(virt);
    g_free(disk);
}

static void json_snapshots(struct json_out *j, const struct blk_node *n)
{
    json_open(j, "snapshots", '[');
    for (unsigned i = 0; i < node_snapshot_count(n); i++) {
        struct blk_snapshot s;
        node_snapshot_nth(n, i, &s);
        json_open(j, NULL, '{');
        if (s.icount != ~0ull)
            json_int(j, "icount", s.icount);
        json_int(j, "vm-clock-nsec", s.vm_clock_nsec % 1000000000);
        json_str(j, "name", s.name);
        json_int(j, "date-sec", s.date_sec);
        json_int(j, "date-nsec", s.date_nsec);
        json_int(j, "vm-clock-sec", s.vm_clock_nsec / 1000000000);
        json_str(j, "id", s.id);
        json_int(j, "vm-state-size", s.vm_state_size);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_specific(struct json_out *j, const struct blk_info *i)
{
    json_open(j, "format-specific", '{');
    json_str(j, "type", i->format);
    json_open(j, "data", '{');
    json_str(j, "compat", i->compat);
    json_str(j, "compression-type", i->compression);
    if (strcmp(i->compat, "0.10"))
        json_bool(j, "lazy-refcounts", i->lazy_refcounts);
    json_int(j, "refcount-bits", i->refcount_bits);
    if (strcmp(i->compat, "0.10")) {
        json_bool(j, "corrupt", i->corrupt);
        json_bool(j, "extended-l2", i->extended_l2);
    }
    json_close(j, '}');
    json_close(j, '}');
}

static void info_json(struct json_out *j, struct blk_node *n, const char *name)
{
    struct blk_info i;

    node_info(n, &i);
    json_open(j, NULL, '{');
    if (node_snapshot_count(n))
        json_snapshots(j, n);
    if (i.backing_format)
        json_str(j, "backing-filename-format", i.backing_format);
    json_int(j, "virtual-size", node_size(n));
    json_str(j, "filename", name);
    if (i.cluster_size)
        json_int(j, "cluster-size", i.cluster_size);
    json_str(j, "format", i.format);
    json_int(j, "actual-size", node_allocated(n));
    if (i.compat)
        json_specific(j, &i);
    if (i.backing_file) {
        char *full = node_backing_path(n->filename, i.backing_file);
        json_str(j, "full-backing-filename", full);
        json_str(j, "backing-filename", i.backing_file);
        g_free(full);
    }
    json_bool(j, "dirty-flag", i.dirty);
    json_close(j, '}');
}

/* One image, or it and all below it. */
static int info_chain(const char *first, struct image_options o, bool chain)
{
    GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    struct json_out j = { 0, true };
    char *name = g_strdup(first), *format = NULL;
    int r = 0;

    if (o.json && chain)
        json_open(&j, NULL, '[');
    for (unsigned i = 0; name; i++) {
        struct blk_info info;
        struct blk_node *n = g_hash_table_add(seen, g_strdup(name)) ? image_open(name, &o, NODE_NO_BACKING) : NULL;
        if (!n) {
            r = g_hash_table_size(seen) == i ? fail("Backing file '%s' creates an infinite loop.", name) : 1;
            break;
        }
        if (!o.json && i)
            printf("\n");
        if (o.json)
            info_json(&j, n, name);
        else
            info_human(n, name);
        node_info(n, &info);
        char *next = chain && info.backing_file ? node_backing_path(n->filename, info.backing_file) : NULL;
        g_free(format);
        o.format = format = g_strdup(info.backing_format);
        o.image_opts = false;
        g_free(name);
        name = next;
        node_put(n);
    }
    if (o.json && chain)
        json_close(&j, ']');
    g_free(name);
    g_free(format);
    g_hash_table_unref(seen);
    return r;
}

int cmd_info(int argc, char **argv)
{
    struct image_options o = { 0 };
    bool chain = false;

    for (int c; (c = getopt_long(argc, argv, ":hf:U", img_long_options, NULL)) != -1;) {
        if (c == OPT_BACKING_CHAIN)
            chain = true;
        else if (!output_option(&o, c, optarg))
            return fail_usage("unrecognized option '%s'", argv[optind - 1]);
    }
    if (optind != argc - 1)
        return fail_usage("Expecting one image file name");
    return check_output(&o) ? 1 : info_chain(argv[optind], o, chain);
}

/* -- map -------------------------------------------------------------------------------------------------------------- */

struct mapped {
    struct blk_extent x;
    u64 start;
    unsigned depth;
    struct blk_node *layer;
};

static bool goes_on(const struct mapped *a, const struct mapped *b)
{
    return a->x.zero == b->x.zero && a->x.data == b->x.data && a->depth == b->depth && a->x.allocated == b->x.allocated &&
           a->x.compressed == b->x.compressed && a->x.has_offset == b->x.has_offset && a->layer == b->layer &&
           (!a->x.has_offset || a->x.offset + a->x.len == b->x.offset);
}

static int print_mapped(const struct mapped *m, bool json, bool first)
{
    if (json) {
        printf("%s{ \"start\": %llu, \"length\": %llu, \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s", first ? "[" : ",\n",
               (unsigned long long)m->start, (unsigned long long)m->x.len, m->depth, m->x.allocated ? "true" : "false",
               m->x.zero ? "true" : "false", m->x.data ? "true" : "false");
        if (m->x.has_offset)
            printf(", \"offset\": %llu", (unsigned long long)m->x.offset);
        printf("}");
        return 0;
    }
    if (m->x.data && !m->x.has_offset)
        return fail("File contains external, encrypted or compressed clusters.");
    if (m->x.data && !m->x.zero)
        printf("%#-16llx%#-16llx%#-16llx%s\n", (unsigned long long)m->start, (unsigned long long)m->x.len, (unsigned long long)m->x.offset,
               m->layer->filename);
    return 0;
}

static int map_image(struct blk_node *n, bool json, u64 off, u64 end)
{
    struct mapped cur = { .x.len = 0 }, m;
    bool first = true;
    int r = 0;

    if (!json)
        printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
    for (; off < end && !r; off += m.x.len) {
        m.start = off;
        r = chain_status(n, off, end - off, &m.x, &m.depth, &m.layer);
        if (r < 0)
            return fail("Failed to read image metadata: %s", g_strerror(-r));
        if (cur.x.len && goes_on(&cur, &m)) {
            cur.x.len += m.x.len;
            continue;
        }
        if (cur.x.len) {
            r = print_mapped(&cur, json, first);
            first = false;
        }
        cur = m;
    }
    if (!r && cur.x.len)
        r = print_mapped(&cur, json, first);
    if (json && !r)
        printf("%s]\n", cur.x.len ? "" : "[");
    return r;
}

int cmd_map(int argc, char **argv)
{
    struct image_options o = { 0 };
    u64 start = 0, max = INT64_MAX;
    struct blk_node *n;
    int r;

    for (int c; (c = getopt_long(argc, argv, ":hf:U", img_long_options, NULL)) != -1;) {
        if ((c == OPT_START && size_parse(optarg, 1, &start) == 0) || (c == OPT_MAX_LENGTH && size_parse(optarg, 1, &max) == 0))
            continue;
        if (!output_option(&o, c, optarg))
            return fail_usage("unrecognized option '%s'", argv[optind - 1]);
    }
    if (optind != argc - 1)
        return fail_usage("Expecting one image file name");
    if (check_output(&o) || !(n = image_open(argv[optind], &o, 0)))
        return 1;
    start = MIN_OF(start, node_size(n));
    r = map_image(n, o.json, start, start + MIN_OF(max, node_size(n) - start));
    node_put(n);
    return r;
}

/* -- check ------------------------------------------------------------------------------------------------------------ */

static void check_json(const struct qcow2_check *c, struct blk_node *n, const char *name)
{
    const struct { const char *name; u64 v; bool always; } m[] = {
        { "image-end-offset", c->image_end_offset, true }, { "total-clusters", c->total_clusters, true },
        { "check-errors", c->check_errors, true }, { "corruptions", c->corruptions, false }, { "leaks", c->leaks, false },
        { "corruptions-fixed", c->corruptions_fixed, false }, { "leaks-fixed", c->leaks_fixed, false },
        { "allocated-clusters", c->allocated_clusters, false }, { "fragmented-clusters", c->fragmented_clusters, false },
        { "compressed-clusters", c->compressed_clusters, false },
    };
    struct json_out j = { 0, true };

    json_open(&j, NULL, '{');
    for (unsigned i = 0; i < ARRAY_LEN(m); i++)
        if (m[i].v || m[i].always)
            json_int(&j, m[i].name, m[i].v);
    json_str(&j, "filename", name);
    json_str(&j, "format", n->drv->name);
    json_close(&j, '}');
}

static void check_human(const struct qcow2_check *c)
{
    u64 alloc = MAX_OF(c->allocated_clusters, 1), total = MAX_OF(c->total_clusters, 1);

    if (!c->corruptions && !c->leaks && !c->check_errors)
        printf("No errors were found on the image.\n");
    if (c->corruptions)
        printf("\n%llu errors were found on the image.\nData may be corrupted, or further writes to the image may corrupt it.\n",
               (unsigned long long)c->corruptions);
    if (c->leaks)
        printf("\n%llu leaked clusters were found on the image.\nThis means waste of disk space, but no harm to data.\n", (unsigned long long)c->leaks);
    if (c->check_errors)
        printf("\n%llu internal errors have occurred during the check.\n", (unsigned long long)c->check_errors);
    if (c->total_clusters && c->allocated_clusters)
        printf("%llu/%llu = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n", (unsigned long long)c->allocated_clusters,
               (unsigned long long)c->total_clusters, 100.0 * c->allocated_clusters / total, 100.0 * c->fragmented_clusters / alloc,
               100.0 * c->compressed_clusters / alloc);
    if (c->image_end_offset)
        printf("Image end offset: %llu\n", (unsigned long long)c->image_end_offset);
}

static int check_image(struct blk_node *n, const char *name, const struct image_options *o, unsigned fix)
{
    struct qcow2_check c = { .out = o->quiet ? NULL : stderr };
    int r;

    if (n->drv != &blk_qcow2) {
        fail("This image format does not support checks");
        return 63;
    }
    r = qcow2_check(n, fix, &c);
    if (r < 0)
        return fail("Check failed: %s", g_strerror(-r));
    if (c.corruptions_fixed || c.leaks_fixed) {
        u64 cf = c.corruptions_fixed, lf = c.leaks_fixed;
        if (!o->quiet && !o->json)
            printf("The following inconsistencies were found and repaired:\n\n    %llu leaked clusters\n    %llu corruptions\n\n"
                   "Double checking the fixed image now...\n", (unsigned long long)lf, (unsigned long long)cf);
        r = qcow2_check(n, 0, &c);
        c.corruptions_fixed = cf;
        c.leaks_fixed = lf;
    }
    if (r < 0)
        return fail("Check failed: %s", g_strerror(-r));
    if (o->json)
        check_json(&c, n, name);
    else if (!o->quiet)
        check_human(&c);
    return c.check_errors ? 1 : c.corruptions ? 2 : c.leaks ? 3 : 0;
}

int cmd_check(int argc, char **argv)
{
    struct image_options o = { 0 };
    unsigned fix = 0;
    struct blk_node *n;
    int r;

    for (int c; (c = getopt_long(argc, argv, ":hf:r:T:qU", img_long_options, NULL)) != -1;) {
        if (c == 'r') {
            fix = !strcmp(optarg, "leaks") ? QCOW2_FIX_LEAKS : !strcmp(optarg, "all") ? QCOW2_FIX_ALL : 0;
            if (!fix)
                return fail_usage("--repair (-r) expects 'leaks' or 'all' not '%s'", optarg);
        } else if (!output_option(&o, c, optarg)) {
            return fail_usage("unrecognized option '%s'", argv[optind - 1]);
        }
    }
    if (optind != argc - 1)
        return fail_usage("Expecting one image file name");
    if (check_output(&o) || !(n = image_open(argv[optind], &o, NODE_NO_BACKING | NODE_CHECK | (fix ? NODE_RDWR : 0))))
        return 1;
    r = check_image(n, argv[optind], &o, fix);
    node_put(n);
    return r;
}
