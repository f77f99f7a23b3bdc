/* Fuzz target of the qcow2 driver: the input is an image, opened for reading and writing, checked, repaired, snapshotted. It lives in
 * memory (memfd); backing files are not opened. */
#include <glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw/backend/blk_snapshot.h"
#include "hw/backend/qcow2_check.h"
#include "tests/fuzz/fuzz.h"

#define PART (256 * KiB)

static struct blk_node *open_image(const char *path, unsigned flags)
{
    struct opts *o = opts_new();
    struct err e;
    struct blk_node *n;

    opts_set(o, "driver", "qcow2");
    opts_set(o, "file.locking", "off");
    n = node_open(path, o, flags | NODE_NO_BACKING | NODE_NO_FLUSH, &e);
    opts_free(o);
    return n;
}

static void use(struct blk_node *n)
{
    static u8 buf[PART];
    u64 size = node_size(n), at[] = { 0, size / 2, size - MIN_OF(size, PART) };
    struct blk_extent x;
    struct err e;

    for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
        node_read(n, at[i], buf, MIN_OF(PART, size - at[i]));
        node_status(n, at[i], size - at[i], &x);
    }
    if (n->readonly) {
        if (node_snapshot_count(n)) {
            struct blk_snapshot s;
            node_snapshot_nth(n, 0, &s);
            char *name = g_strdup(s.name);
            if (node_snapshot_show(n, name, &e) == 0)
                node_read(n, 0, buf, MIN_OF(PART, node_size(n)));
            g_free(name);
        }
        return;
    }
    node_write(n, size / 3, buf, MIN_OF(5000, size - size / 3));
    node_zero(n, 0, MIN_OF(size, 70000), BLK_MAY_UNMAP);
    node_discard(n, size / 2, MIN_OF(70000, size - size / 2));
    node_flush(n);
    if (size <= 16 * MiB) {
        node_snapshot_create(n, "fuzz", &e);
        node_write(n, 0, buf, MIN_OF(PART, size));
        node_snapshot_apply(n, "fuzz", &e);
        node_snapshot_delete(n, "fuzz", &e);
        node_truncate(n, ALIGN_UP(size, 512) + MiB, NULL, &e);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const unsigned modes[] = { 0, NODE_RDWR | NODE_UNMAP, NODE_RDWR | NODE_CHECK };
    char path[64];

    for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
        int fd = memfd_create("image", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
            abort();
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        struct blk_node *n = open_image(path, modes[i]);
        if (n && (modes[i] & NODE_CHECK)) {
            struct qcow2_check c = { .out = NULL };
            qcow2_check(n, QCOW2_FIX_ALL, &c);
        } else if (n) {
            use(n);
        }
        node_put(n);
        close(fd);
    }
    return 0;
}
