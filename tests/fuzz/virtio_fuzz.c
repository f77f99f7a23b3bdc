/* Fuzz target: a driver of each virtio device that writes what it likes into rings, buffers, registers and configuration, with both ring
 * formats. The device survives, stays inside guest memory, and works again after a reset. */
#include "tests/fuzz/fuzz.h"
#include <glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "hw/backend/net.h"
#include "mmu/dma.h"
#include "tests/lib/fake_chr.h"
#include "tests/lib/virtio_driver.h"
#include "util/opts.h"

enum { DEVICES = 6, QUEUES = 8, SIZE = 8, OPS_MAX = 300, DISK = 256 * 1024 };
static const struct { const char *name, *props; unsigned queues; } kinds[DEVICES] = {
    { "virtio-blk-device", "drive=disk0,num-queues=2,packed=on,queue-size=8", 2 },
    { "virtio-scsi-device", "packed=on,virtqueue_size=8,num_queues=2", 4 },
    { "virtio-net-device", "netdev=near,packed=on,rx_queue_size=8,tx_queue_size=8", 3 },
    { "virtio-serial-device", "packed=on,max_ports=3", 8 },
    { "virtio-balloon-device", "packed=on,free-page-reporting=on", 4 },
    { "virtio-rng-device", "packed=on,max-bytes=4096,period=1", 1 },
};
static struct fake_machine *f;
static struct vdrv *dev[DEVICES];
static struct chr *con;
static struct net *far;

static bool far_can_receive(void *opaque) { return true; }
static void far_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o) {}
static const struct net_dev_ops far_ops = { .can_receive = far_can_receive, .receive = far_receive };

static void open_disk(const char *id)
{
    struct err e = { "" };
    char path[40];
    int fd = memfd_create(id, MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, DISK), ==, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (!blk_open(id, "disk", path, false, &e))
        g_error("%s", e.msg);
}

static struct net *open_port(const char *text)
{
    struct err e;
    struct opts *o = opts_parse(text, "type", &e);
    struct net *n = net_new(o, &e);

    opts_free(o);
    return n;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e;

    f = fake_machine_new(2);
    open_disk("disk0");
    open_disk("disk1");
    open_port("hubport,id=near,hubid=0");
    far = open_port("hubport,id=far,hubid=0");
    net_attach(far, &far_ops, NULL, NULL, &e);
    con = fake_chr_new("con");
    for (unsigned i = 0; i < DEVICES; i++)
        dev[i] = vdrv_new(f, i, kinds[i].name, kinds[i].props);
    fake_device(f, "scsi-hd", "drive=disk1");
    fake_device(f, "virtconsole", "chardev=con");
    fake_device(f, "virtserialport", "name=x");
    return 0;
}

static void settle(void)
{
    blk_drain_all();
    for (unsigned i = 0; i < 4; i++) {
        while (g_main_context_iteration(NULL, FALSE))
            ;
        fm_step(f, 2000000);
    }
}

/* Mostly where the rings and buffers are, sometimes anywhere. */
static u64 address(struct fuzz_in *in, const struct vdrv *d)
{
    u8 kind = fuzz_take(in, 1);
    u64 off = fuzz_take(in, 2);
    const struct vdrv_queue *q = &d->q[kind >> 4 & 7];

    switch (kind & 7) {
    case 0: case 1: case 2: return d->heap + (off & 0x3fff);
    case 3: return (q->desc ? q->desc : d->heap) + (off & 0xff);
    case 4: return (q->used ? q->used : d->heap) + (off & 0x7f);
    case 5: return 16 * MiB - 0x100 + (off & 0x1ff);
    case 6: return off << 48 | off << 12;
    default: return VDRV_BASE + off;
    }
}

static void put_desc(struct fuzz_in *in, struct vdrv *d)
{
    const struct vdrv_queue *q = &d->q[fuzz_take(in, 1) % QUEUES];
    u8 slot = fuzz_take(in, 1), raw[16];
    u64 table = slot & 0x80 ? d->heap + 0x4000 : q->desc;
    u16 a, b;

    if (!table)
        return;
    st64(raw, address(in, d));
    st32(raw + 8, fuzz_take(in, 1) & 1 ? fuzz_take(in, 4) : 16 * fuzz_take(in, 1));
    a = fuzz_take(in, 2);
    b = fuzz_take(in, 2);
    st16(raw + 12, a);
    st16(raw + 14, b);
    dma_write(f->m.mem, table + 16 * (slot & 15), raw, 16);
}

/* A chain as drivers make them: lengths and directions from the input, contents too. */
static void add_chain(struct fuzz_in *in, struct vdrv *d)
{
    unsigned n = fuzz_take(in, 1) % QUEUES, count = 1 + fuzz_take(in, 1) % 4;
    u8 dirs = fuzz_take(in, 1), first = fuzz_take(in, 1);
    struct vbuf b[4];

    if (!d->q[n].size || d->heap > dev[0]->heap + 12 * MiB)
        return;
    for (unsigned i = 0; i < count; i++)
        b[i] = (struct vbuf){ d->heap + 0x1000 * i, i == 0 ? first : fuzz_take(in, 2), dirs >> i & 1 };
    u8 bytes[64];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = fuzz_take(in, 1);
    dma_write(f->m.mem, d->heap, bytes, sizeof(bytes));
    u64 heap = d->heap;
    d->heap += 0x5000; /* of tables */
    vdrv_add(d, n, b, count, dirs & 0x80);
    d->heap = heap;
    vdrv_notify(d, n);
}

static void publish(struct fuzz_in *in, struct vdrv *d)
{
    const struct vdrv_queue *q = &d->q[fuzz_take(in, 1) % QUEUES];
    u8 v[4];

    st16(v, fuzz_take(in, 2));
    st16(v + 2, fuzz_take(in, 2));
    if (q->avail)
        dma_write(f->m.mem, q->avail + (fuzz_take(in, 1) & 0x1f), v, 4);
}

static void scribble(struct fuzz_in *in, struct vdrv *d)
{
    u64 at = address(in, d);
    u8 bytes[32];
    unsigned n = 1 + fuzz_take(in, 1) % sizeof(bytes);

    for (unsigned i = 0; i < n; i++)
        bytes[i] = fuzz_take(in, 1);
    dma_write(f->m.mem, at, bytes, n);
}

static void send_frame(struct fuzz_in *in)
{
    u8 frame[256] = { 0 };
    struct net_offload o = { 0 };
    struct iovec iov = { frame, 14 + fuzz_take(in, 1) % 240 };

    for (unsigned i = 0; i < 40; i++)
        frame[i] = fuzz_take(in, 1);
    net_send(far, &iov, 1, &o);
}

static void start(struct fuzz_in *in, struct vdrv *d, unsigned queues)
{
    u64 want = fuzz_take(in, 1) & 1 ? ~0ull : ~0ull & ~VDRV_F(VDRV_PACKED);

    want &= ~(fuzz_take(in, 1) & 3 ? 0 : VDRV_F(VDRV_EVENT_IDX) | VDRV_F(VDRV_INDIRECT));
    d->heap = 1 * MiB;
    vdrv_start(d, want, queues, SIZE);
}

static void operate(struct fuzz_in *in, struct vdrv *d, unsigned queues)
{
    switch (fuzz_take(in, 1) % 14) {
    case 0: case 1: case 2: add_chain(in, d); break;
    case 3: put_desc(in, d); break;
    case 4: publish(in, d); break;
    case 5: vdrv_notify(d, fuzz_take(in, 1)); break;
    case 6: scribble(in, d); break;
    case 7: vdrv_set(d, fuzz_take(in, 1) & ~3u, fuzz_take(in, 4)); break;
    case 8: vdrv_config_set(d, fuzz_take(in, 1) & 0x3f, fuzz_take(in, 4), 1u << (fuzz_take(in, 1) & 1) * 2); break;
    case 9: settle(); break;
    case 10: vdrv_restore(d); break;
    case 11: fake_chr_input(con, "some keys"); break;
    case 12: send_frame(in); break;
    default: start(in, d, queues); break;
    }
    vdrv_reg(d, fuzz_take(in, 1) & ~3u);
    vdrv_config(d, fuzz_take(in, 1) & 0x3f, 4);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct fuzz_in in = { data, data + size };
    unsigned which = fuzz_take(&in, 1) % DEVICES;
    struct vdrv *d = dev[which];

    start(&in, d, kinds[which].queues);
    for (unsigned i = 0; i < OPS_MAX && in.p < in.end; i++)
        operate(&in, d, kinds[which].queues);
    settle();
    d->heap = 1 * MiB;
    vdrv_start(d, 0, kinds[which].queues, SIZE);
    g_assert_cmphex(vdrv_status(d), ==, 15);
    fm_reset(f);
    fake_chr_output(con);
    return 0;
}
