/* Fuzz target: a driver of an e1000 or an RTL8139C+ that writes what it likes into registers, rings and buffers, with frames and link changes coming
 * from the other end. The card survives, stays inside guest memory, and sends and receives again after a reset. */
#include "tests/fuzz/fuzz.h"
#include "tests/lib/nic_rig.h"

enum { OPS_MAX = 400, RING_AREA = 0x10000, DATA_AREA = 0x100000 };
enum op { OP_WRITE, OP_READ, OP_MEMORY, OP_FRAME, OP_TIME, OP_LINK, OP_RUN, OP_RING, OPS };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    g_main_context_acquire(NULL);
    return 0;
}

/* Registers, of which those of the e1000's rings and control are met often enough. */
static u32 take_register(struct fuzz_in *in, bool e1000)
{
    static const u16 hot[] = { 0x0000, 0x0010, 0x0014, 0x0020, 0x00c4, 0x00c8, 0x00d0, 0x0100, 0x0400, 0x2800, 0x2808, 0x2810, 0x2818,
                               0x3800, 0x3808, 0x3810, 0x3818, 0x3828, 0x5000 };
    u32 v = fuzz_take(in, 1);

    if (!e1000)
        return v;
    return v < 192 ? hot[v % ARRAY_LEN(hot)] : fuzz_take(in, 2) & 0x1fffc;
}

static void put_descriptor(struct nic_rig *r, struct fuzz_in *in)
{
    u8 d[16];
    u32 at = RING_AREA + (fuzz_take(in, 1) & 63) * 16;

    st64(d, DATA_AREA + (fuzz_take(in, 2) << 4));
    st64(d + 8, fuzz_take(in, 8));
    if (fuzz_take(in, 1) & 1) /* the RTL8139's order of fields */
        memcpy(d, (const u8[16]){ [0] = d[8], d[9], d[10], d[11] }, 4);
    nic_rig_put(r, at, d, 16);
}

static void send_frame(struct nic_rig *r, struct fuzz_in *in)
{
    u8 f[2200];
    unsigned len = rig_ip4_frame(f, fuzz_take(in, 1) & 1 ? 6 : 17, fuzz_take(in, 2) % 2000);

    for (unsigned i = fuzz_take(in, 1) & 7; i; i--)
        f[fuzz_take(in, 1) % len] = fuzz_take(in, 1);
    nic_rig_send(r, f, len, fuzz_take(in, 1) & NET_F_DATA_VALID);
}

static void set_link(bool up)
{
    struct err e;

    net_set_link("dev", up, &e);
}

/* What a working driver does first, so that there is something to disturb. */
static void start(struct nic_rig *r, bool e1000)
{
    static const u32 intel[][2] = { { 0x3800, RING_AREA }, { 0x3808, 512 }, { 0x0400, 0x0a }, { 0x2800, RING_AREA + 512 }, { 0x2808, 512 },
                                    { 0x2818, 31 }, { 0x5000, 0x300 }, { 0x0100, 0x0200801a }, { 0x00d0, 0xffff } };

    for (unsigned i = 0; e1000 && i < ARRAY_LEN(intel); i++)
        fm_write(r->f, RIG_MMIO + intel[i][0], intel[i][1], 4);
    if (e1000)
        return;
    fm_out(r->f, RIG_IO + 0xe0, 0x63, 2);
    fm_out(r->f, RIG_IO + 0x20, RING_AREA, 4);
    fm_out(r->f, RIG_IO + 0xe4, RING_AREA + 512, 4);
    fm_out(r->f, RIG_IO + 0x30, RING_AREA + 0x8000, 4);
    fm_out(r->f, RIG_IO + 0x44, 0x0f, 4);
    fm_out(r->f, RIG_IO + 0x37, 0x0c, 1);
}

static void step(struct nic_rig *r, struct fuzz_in *in, bool e1000)
{
    u8 buf[64];
    u32 reg, n;

    switch ((enum op)(fuzz_take(in, 1) % OPS)) {
    case OP_WRITE:
        reg = take_register(in, e1000);
        if (e1000)
            fm_write(r->f, RIG_MMIO + reg, fuzz_take(in, 4), 4);
        else
            fm_out(r->f, RIG_IO + reg, fuzz_take(in, 4), 1u << fuzz_take(in, 1) % 3);
        break;
    case OP_READ:
        reg = take_register(in, e1000);
        e1000 ? fm_read(r->f, RIG_MMIO + reg, 4) : fm_in(r->f, RIG_IO + reg, 1u << fuzz_take(in, 1) % 3);
        break;
    case OP_MEMORY:
        reg = fuzz_take(in, 3) & 0x1fffff;
        n = fuzz_take(in, 1) & 63;
        for (u32 i = 0; i < n; i++)
            buf[i] = fuzz_take(in, 1);
        nic_rig_put(r, reg, buf, n);
        break;
    case OP_FRAME: send_frame(r, in); break;
    case OP_TIME: fm_step(r->f, fuzz_take(in, 3)); break;
    case OP_LINK: set_link(fuzz_take(in, 1) & 1); break;
    case OP_RUN: nic_rig_run(r); break;
    case OP_RING: put_descriptor(r, in); break;
    case OPS: break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct fuzz_in in = { data, data + size };
    bool e1000 = fuzz_take(&in, 1) & 1;
    struct nic_rig *r = nic_rig_new(e1000 ? "e1000" : "rtl8139", fuzz_take(&in, 1) & NET_CAN_ALL);

    start(r, e1000);
    for (unsigned i = 0; i < OPS_MAX && in.p < in.end; i++)
        step(r, &in, e1000);
    nic_rig_run(r);
    /* It still works. */
    set_link(true);
    fm_reset(r->f);
    lock_acquire(&r->f->m.lock);
    nic_rig_map(r);
    lock_release(&r->f->m.lock);
    start(r, e1000);
    nic_rig_forget(r);
    u8 f[200], d[16] = { 0 };
    unsigned len = rig_ip4_frame(f, 6, 100);
    nic_rig_put(r, DATA_AREA, f, len);
    if (e1000) {
        st64(d, DATA_AREA);
        st32(d + 8, len | 1u << 24);
    } else {
        st32(d, len | 0xf0000000);
        st64(d + 8, DATA_AREA);
    }
    nic_rig_put(r, RING_AREA, d, 16);
    e1000 ? fm_write(r->f, RIG_MMIO + 0x3818, 1, 4) : fm_out(r->f, RIG_IO + 0xd9, 0x40, 1);
    nic_rig_run(r);
    g_assert_cmpuint(r->got->len, ==, 1);
    g_assert_cmpmem(nic_rig_frame(r, 0)->data, nic_rig_frame(r, 0)->len, f, len);
    nic_rig_free(r);
    return 0;
}
