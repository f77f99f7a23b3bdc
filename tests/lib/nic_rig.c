/* A network card with a peer, see nic_rig.h. One test thread, which plays vCPU and main loop. */
#include "tests/lib/nic_rig.h"
#include "mmu/dma.h"
#include "util/opts.h"

static void set_pirq(void *opaque, int pirq, int level)
{
    struct nic_rig *r = opaque;

    r->interrupts += level && !r->pirq;
    r->pirq = level;
}

static bool peer_can_receive(void *opaque) { return true; }

static void peer_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o)
{
    struct nic_rig *r = opaque;
    GByteArray *a = g_byte_array_new();

    g_byte_array_append(a, frame, len);
    g_ptr_array_add(r->got, a);
    g_array_append_val(r->offloads, *o);
}

static const struct net_dev_ops peer_ops = { .can_receive = peer_can_receive, .receive = peer_receive };

static struct net *open_port(const char *text)
{
    struct err e = { "" };
    struct opts *o = opts_parse(text, "type", &e);
    struct net *n = net_new(o, &e);

    if (!n)
        g_error("%s: %s", text, e.msg);
    opts_free(o);
    return n;
}

void nic_rig_map(struct nic_rig *r)
{
    struct pci_device *p = (struct pci_device *)r->nic;

    for (unsigned i = 0; i < PCI_BARS; i++)
        if (p->bar[i].region && p->bar[i].region != &p->rom_region)
            pci_config_write(p->bus, p->devfn, PCI_BAR0 + 4 * i, p->bar[i].type & PCI_BAR_IO ? RIG_IO : RIG_MMIO, 4);
    pci_config_write(p->bus, p->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
}

struct nic_rig *nic_rig_new(const char *cls, unsigned peer_caps)
{
    struct nic_rig *r = g_new0(struct nic_rig, 1);
    struct err e = { "" };

    r->f = fake_machine_new(1);
    r->got = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    r->offloads = g_array_new(FALSE, FALSE, sizeof(struct net_offload));
    r->dev = open_port("hubport,id=dev,hubid=0");
    r->peer = open_port("hubport,id=peer,hubid=0");
    lock_acquire(&r->f->m.lock);
    r->f->m.pci = pci_bus_new(&r->f->m);
    r->f->m.pci->set_pirq = set_pirq;
    r->f->m.pci->pirq_opaque = r;
    g_assert_cmpint(net_attach(r->peer, &peer_ops, r, NULL, &e), ==, 0);
    net_set_receiver_offloads(r->peer, peer_caps);
    r->nic = device_create(&r->f->m, cls, NULL, "netdev=dev,rombar=0,romfile=", &e);
    if (!r->nic)
        g_error("%s: %s", cls, e.msg);
    nic_rig_map(r);
    lock_release(&r->f->m.lock);
    return r;
}

void nic_rig_free(struct nic_rig *r)
{
    lock_acquire(&r->f->m.lock);
    device_free(r->nic);
    net_detach(r->peer);
    lock_release(&r->f->m.lock);
    net_free(r->dev);
    net_free(r->peer);
    fake_machine_free(r->f);
    g_ptr_array_unref(r->got);
    g_array_unref(r->offloads);
    g_free(r);
}

void nic_rig_run(struct nic_rig *r)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

void nic_rig_send(struct nic_rig *r, const void *frame, unsigned len, u8 flags)
{
    struct iovec iov = { (void *)(uintptr_t)frame, len };
    struct net_offload o = { .flags = flags };

    net_send(r->peer, &iov, 1, &o);
    nic_rig_run(r);
}

const GByteArray *nic_rig_frame(struct nic_rig *r, unsigned n)
{
    g_assert_cmpuint(n, <, r->got->len);
    return r->got->pdata[n];
}

void nic_rig_forget(struct nic_rig *r)
{
    g_ptr_array_set_size(r->got, 0);
    g_array_set_size(r->offloads, 0);
}

void nic_rig_put(struct nic_rig *r, gpa_t at, const void *p, unsigned len)
{
    g_assert_cmpint(dma_write(r->f->m.mem, at, p, len), ==, 0);
}

void nic_rig_get(struct nic_rig *r, gpa_t at, void *p, unsigned len)
{
    g_assert_cmpint(dma_read(r->f->m.mem, at, p, len), ==, 0);
}

/* -- frames --------------------------------------------------------------------------------------------------------- */

static u16 slow_sum(const u8 *p, unsigned len, u32 sum)
{
    for (unsigned i = 0; i < len; i++)
        sum += i & 1 ? p[i] : p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static u16 l4_sum(const u8 *f, unsigned len)
{
    return slow_sum(f + 34, len - 34, slow_sum(f + 26, 8, f[23]) + (len - 34));
}

static void put_be(u8 *p, u16 v)
{
    p[0] = v >> 8;
    p[1] = v;
}

unsigned rig_ip4_frame(u8 *f, u8 proto, unsigned payload)
{
    static const u8 head[34] = {
        0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x52, 0x55, 10, 0, 2, 2, 8, 0,
        0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 0, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2,
    };
    unsigned l4 = proto == 6 ? 20 : 8, len = 34 + l4 + payload, at = proto == 6 ? 50 : 40;

    memcpy(f, head, 34);
    put_be(f + 16, len - 14);
    f[23] = proto;
    put_be(f + 24, ~slow_sum(f + 14, 20, 0));
    memset(f + 34, 0, l4);
    put_be(f + 34, 1234);
    put_be(f + 36, 80);
    if (proto == 6) {
        put_be(f + 38, 0xfff0);
        put_be(f + 46, 0x5018);
    } else {
        put_be(f + 38, len - 34);
    }
    for (unsigned i = 0; i < payload; i++)
        f[34 + l4 + i] = i * 13 + payload;
    put_be(f + at, ~l4_sum(f, len));
    return len;
}

bool rig_csums_good(const u8 *f, unsigned len)
{
    unsigned total = f[16] << 8 | f[17];

    return total + 14 <= len && slow_sum(f + 14, 20, 0) == 0xffff && l4_sum(f, total + 14) == 0xffff;
}
