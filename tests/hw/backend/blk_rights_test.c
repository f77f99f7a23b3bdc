/* Who may have an image besides whom: the locks that drives, nodes and devices take and give back, and who is refused, in one process and by
 * files that are opened twice. What is expected was measured with QEMU 7.2. */
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <unistd.h>
#include "hw/backend/blk_commit.h"
#include "hw/backend/blk_front.h"
#include "hw/backend/blk_media.h"
#include "tests/lib/test_pc.h"

static char *raw, *qcow2, *overlay;

/* The bytes that others have locked: "100 101 201". */
static const char *locks(const char *path)
{
    static char text[128];
    int fd = open(path, O_RDONLY), n = 0;

    text[0] = 0;
    for (unsigned byte = 90; byte < 220; byte++) {
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
        g_assert_cmpint(fcntl(fd, F_OFD_GETLK, &l), ==, 0);
        if (l.l_type != F_UNLCK)
            n += snprintf(text + n, sizeof(text) - n, "%s%u", n ? " " : "", byte);
    }
    close(fd);
    return text;
}

static void create(const char *path, const char *backing)
{
    struct opts *o = opts_new();
    struct blk_create c = { .filename = path, .size = 1 * MiB, .backing_file = backing, .o = o };
    struct err e = { "" };

    c.backing_format = !backing ? NULL : backing == raw ? "raw" : "qcow2";
    g_assert_cmpint(driver_find("qcow2")->create(&c, &e), ==, 0);
    opts_free(o);
}

static void setup(void)
{
    u8 *data = g_malloc0(1 * MiB);

    raw = test_file(data, 1 * MiB);
    qcow2 = g_strconcat(raw, ".qcow2", NULL);
    overlay = g_strconcat(raw, ".overlay", NULL);
    create(qcow2, NULL);
    create(overlay, raw);
    g_free(data);
}

static void teardown(void)
{
    blk_close_all();
    g_assert_cmpstr(locks(raw), ==, "");
    g_assert_cmpstr(locks(qcow2), ==, "");
    unlink(qcow2);
    unlink(overlay);
    test_file_free(raw);
    g_free(qcow2);
    g_free(overlay);
}

/* A -drive; NULL with e set if it is refused. */
static struct blk *drive(const char *id, const char *path, const char *options, struct err *e)
{
    struct opts *o = opts_parse(options, NULL, e);
    struct blk *b;

    e->msg[0] = 0;
    opts_set(o, "file", path);
    b = blk_open_opts(id, o, false, e);
    opts_free(o);
    return b;
}

/* A -blockdev on the raw file. */
static struct blk_node *blockdev(const char *options)
{
    struct err e = { "" };
    struct opts *o = opts_parse(options, "driver", &e);
    struct blk_node *n;

    opts_set(o, "filename", raw);
    n = node_open_blockdev(o, NODE_RDWR, &e);
    g_assert_cmpstr(e.msg, ==, "");
    opts_free(o);
    return n;
}

static int attach(struct blk *b, unsigned how, struct err *e)
{
    e->msg[0] = 0;
    return blk_attach(b, NULL, NULL, NULL, how, e);
}

#define refused(r, pattern, e) do { \
        g_assert_cmpint(r, ==, -1); \
        if (!g_pattern_match_simple(pattern, (e).msg)) \
            g_error("%s instead of %s", (e).msg, pattern); \
    } while (0)

/* What is locked without a device, with one, and after it. */
static void test_locks(void)
{
    static const struct { char file /* r, q, o: with overlay's backing file looked at */; const char *options; unsigned how; const char *idle, *used; } t[] = {
        { 'r', "format=raw", BLK_WRITES, "100", "100 101 201" },
        { 'r', "format=raw", BLK_WRITES | BLK_SHARE_RW, "100", "100 101" },
        { 'r', "format=raw", BLK_WRITES | BLK_FIXED_SIZE, "100", "100 101 201 203" },
        { 'r', "format=raw", BLK_FIXED_SIZE, "100", "100 201 203" },
        { 'r', "format=raw", BLK_FIXED_SIZE | BLK_SHARE_RW, "100", "100 203" },
        { 'r', "format=raw,readonly=on", BLK_WRITES, "100", "100 201" },
        { 'r', "format=raw,readonly=on", BLK_WRITES | BLK_SHARE_RW, "100", "100" },
        { 'r', "format=raw,snapshot=on", BLK_WRITES, "100", "100 201 203" },
        { 'r', "driver=file", BLK_WRITES, "100", "100 101 201" },
        { 'r', "format=raw,file.locking=off", BLK_WRITES, "", "" },
        { 'r', "format=raw,readonly=on,force-share=on", 0, "", "" },
        { 'q', "format=qcow2", BLK_WRITES, "100 101 103 201 203", "100 101 103 201 203" },
        { 'q', "format=qcow2", BLK_WRITES | BLK_SHARE_RW, "100 101 103 201 203", "100 101 103 201 203" },
        { 'q', "format=qcow2,readonly=on", BLK_SHARE_RW, "100 201 203", "100 201 203" },
        { 'o', "format=qcow2", BLK_WRITES, "100", "100 201 203" },
        { 'o', "format=qcow2", BLK_WRITES | BLK_SHARE_RW, "100", "100" },
    };
    struct err e;

    setup();
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        const char *look = t[i].file == 'q' ? qcow2 : raw;
        struct blk *b = drive("d", t[i].file == 'o' ? overlay : look, t[i].options, &e);
        g_test_message("%c %s %u", t[i].file, t[i].options, t[i].how);
        g_assert_nonnull(b);
        g_assert_cmpstr(locks(look), ==, t[i].idle);
        for (unsigned n = 0; n < 2; n++) {
            g_assert_cmpint(attach(b, t[i].how, &e), ==, 0);
            g_assert_cmpstr(locks(look), ==, t[i].used);
            blk_detach(b);
            g_assert_cmpstr(locks(look), ==, t[i].idle);
        }
        blk_close(b);
        g_assert_cmpstr(locks(look), ==, "");
    }
    teardown();
}

/* A file that is opened twice, as by two processes: the second device, and what stays as it was when it is refused. */
static void test_files(void)
{
    static const struct { const char *options; unsigned first, second; const char *refusal; } t[] = {
        { "format=raw", BLK_WRITES, BLK_WRITES, "Failed to get \"write\" lock. Is another process using the image [*]?" },
        { "format=raw", BLK_WRITES, BLK_WRITES | BLK_SHARE_RW, "Failed to get \"write\" lock. Is another*" },
        { "format=raw", BLK_WRITES | BLK_SHARE_RW, BLK_WRITES, "Failed to get shared \"write\" lock. Is another*" },
        { "format=raw", BLK_WRITES | BLK_SHARE_RW, BLK_WRITES | BLK_SHARE_RW, NULL },
        { "format=raw", BLK_WRITES | BLK_SHARE_RW, 0, "Failed to get shared \"write\" lock. Is another*" },
        { "format=raw", BLK_WRITES | BLK_SHARE_RW, BLK_SHARE_RW | BLK_FIXED_SIZE, NULL },
        { "format=raw,readonly=on", BLK_WRITES, BLK_WRITES, NULL },
        { "format=raw,readonly=on", 0, BLK_SHARE_RW, NULL },
    };
    struct err e;

    setup();
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct blk *a = drive("a", raw, t[i].options, &e), *b = drive("b", raw, t[i].options, &e);
        g_test_message("%u", i);
        g_assert_cmpint(attach(a, t[i].first, &e), ==, 0);
        char *before = g_strdup(locks(raw));
        if (t[i].refusal)
            refused(attach(b, t[i].second, &e), t[i].refusal, e);
        else
            g_assert_cmpint(attach(b, t[i].second, &e), ==, 0);
        blk_detach(b);
        g_assert_cmpstr(locks(raw), ==, before);
        blk_detach(a);
        g_assert_cmpint(attach(b, t[i].second, &e), ==, 0); /* now it may */
        blk_detach(b);
        g_free(before);
        blk_close_all();
    }
    struct blk *q = drive("q", qcow2, "format=qcow2", &e);
    g_assert_nonnull(q);
    g_assert_null(drive("q2", qcow2, "format=qcow2", &e)); /* a format has its file alone, devices or not */
    refused(-1, "Failed to get \"write\" lock. Is another*", e);
    g_assert_null(drive("q2", qcow2, "format=qcow2,readonly=on", &e));
    refused(-1, "Failed to get shared \"write\" lock. Is another*", e);
    g_assert_nonnull(drive("q2", qcow2, "format=qcow2,readonly=on,force-share=on", &e));
    teardown();
}

/* A node with two devices. */
static void test_node(void)
{
    struct err e;

    setup();
    struct blk_node *n = blockdev("file,node-name=f");
    g_assert_cmpstr(locks(raw), ==, "");
    struct blk *a = blk_find("f");
    g_assert_cmpint(attach(a, BLK_WRITES | BLK_SHARE_RW, &e), ==, 0);
    struct blk *b = blk_find("f");
    g_assert_true(a != b);
    refused(attach(b, BLK_WRITES, &e), "Permission conflict on node 'f': 'write' is required*share-rw=on*", e);
    refused(attach(b, 0, &e), "Permission conflict on node 'f': 'write' is required*", e);
    g_assert_cmpstr(locks(raw), ==, "100 101");
    g_assert_true(blk_find("f") == b);
    g_assert_cmpint(attach(b, BLK_WRITES | BLK_SHARE_RW, &e), ==, 0);
    g_assert_cmpint(attach(b, BLK_WRITES | BLK_SHARE_RW, &e), ==, -1); /* a drive has one device */
    blk_detach(a);
    g_assert_cmpstr(locks(raw), ==, "100 101");
    blk_detach(b);
    g_assert_cmpstr(locks(raw), ==, "");
    g_assert_cmpint(attach(a, BLK_WRITES, &e), ==, 0);
    refused(attach(b, BLK_WRITES | BLK_SHARE_RW, &e), "Permission conflict on node 'f': 'write' is required*", e);
    blk_detach(a);
    g_assert_true(n->users_own);
    g_assert_cmpint(node_del("f", &e), ==, 0);
    g_assert_null(node_find("f"));
    teardown();
}

static void on_media_changed(void *opaque, bool loaded) { }

/* A drive without a tray, whose media come and go. */
static void test_media(void)
{
    static const struct blk_dev_ops ops = { .media_changed = on_media_changed };
    struct err e = { "" };

    setup();
    struct blk *b = drive("d", raw, "format=raw", &e), *other = drive("o", raw, "format=raw", &e);
    g_assert_cmpint(blk_attach(b, &ops, NULL, NULL, BLK_WRITES | BLK_FIXED_SIZE, &e), ==, 0);
    g_assert_cmpstr(locks(raw), ==, "100 101 201 203");
    g_assert_cmpint(blk_eject(b, "d", false, &e), ==, 0);
    g_assert_cmpstr(locks(raw), ==, "100"); /* the other one's */
    g_assert_cmpint(attach(other, BLK_WRITES | BLK_SHARE_RW, &e), ==, 0);
    refused(blk_change_medium(b, "d", raw, "raw", BLK_RETAIN, false, &e), "Failed to get shared \"write\" lock*", e);
    g_assert_false(blk_present(b));
    refused(blk_change_medium(b, "d", raw, "raw", BLK_READ_ONLY, false, &e), "Failed to get shared \"write\" lock*", e);
    g_assert_cmpstr(locks(raw), ==, "100 101");
    blk_detach(other);
    blk_close(other);
    g_assert_cmpint(blk_change_medium(b, "d", raw, "raw", BLK_READ_ONLY, false, &e), ==, 0);
    g_assert_cmpstr(locks(raw), ==, "100 201 203");
    g_assert_cmpint(blk_change_medium(b, "d", raw, "raw", BLK_READ_WRITE, false, &e), ==, 0);
    g_assert_cmpstr(locks(raw), ==, "100 101 201 203");
    refused(blk_resize(b, 2 * MiB, &e), "Permission conflict on node '*': 'resize' is required*", e);
    blk_detach(b);
    g_assert_cmpint(blk_resize(b, 2 * MiB, &e), ==, 0);
    g_assert_cmpuint(blk_size(b), ==, 2 * MiB);
    g_assert_cmpstr(locks(raw), ==, "100");
    teardown();
}

/* A commit writes the backing file, so nobody else may have it meanwhile. */
static void test_commit(void)
{
    static const u8 sector[512] = { 1, 2, 3 };
    struct err e;
    u8 buf[512];

    setup();
    struct blk *b = drive("d", overlay, "format=qcow2", &e), *other = drive("o", raw, "format=raw,readonly=on", &e);
    g_assert_cmpint(node_write(b->root, 4096, sector, 512), ==, 0);
    g_assert_cmpint(attach(b, BLK_WRITES, &e), ==, 0);
    g_assert_cmpint(attach(other, 0, &e), ==, 0);
    refused(blk_commit(b, &e), "Could not open backing file for writing: Failed to get \"write\" lock*", e);
    g_assert_cmpstr(locks(raw), ==, "100 201 203");
    g_assert_true(b->root->backing->readonly);
    blk_detach(other);
    g_assert_cmpint(blk_commit(b, &e), ==, 0);
    g_assert_cmpstr(locks(raw), ==, "100 201 203");
    g_assert_true(b->root->backing->readonly);
    g_assert_cmpint(node_read(b->root->backing, 4096, buf, 512), ==, 0);
    g_assert_cmpmem(buf, 512, sector, 512);
    blk_detach(b);
    teardown();
}

/* Many images on top of each other: what the uppermost one's users want reaches the lowest one, and comes back from there, without work for each
 * way through the files. */
static void test_chain(void)
{
    char *image[60];
    struct err e;

    setup();
    for (unsigned i = 0; i < ARRAY_LEN(image); i++) {
        image[i] = g_strdup_printf("%s.%u", raw, i);
        create(image[i], i ? image[i - 1] : raw);
    }
    struct blk *b = drive("d", image[ARRAY_LEN(image) - 1], "format=qcow2", &e), *other = drive("o", raw, "format=raw", &e);
    g_assert_cmpstr(locks(raw), ==, "100");
    g_assert_cmpint(attach(b, BLK_WRITES, &e), ==, 0);
    g_assert_cmpstr(locks(raw), ==, "100 201 203");
    refused(attach(other, BLK_WRITES, &e), "Failed to get \"write\" lock*", e);
    blk_detach(b);
    g_assert_cmpstr(locks(raw), ==, "100");
    g_assert_cmpint(attach(other, BLK_WRITES, &e), ==, 0);
    refused(attach(b, BLK_WRITES, &e), "Failed to get shared \"write\" lock*", e);
    g_assert_cmpstr(locks(raw), ==, "100 101 201");
    blk_detach(other);
    for (unsigned i = 0; i < ARRAY_LEN(image); i++) {
        unlink(image[i]);
        g_free(image[i]);
    }
    teardown();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/blk-rights/locks", test_locks);
    g_test_add_func("/blk-rights/files", test_files);
    g_test_add_func("/blk-rights/node", test_node);
    g_test_add_func("/blk-rights/media", test_media);
    g_test_add_func("/blk-rights/commit", test_commit);
    g_test_add_func("/blk-rights/chain", test_chain);
    return g_test_run();
}
