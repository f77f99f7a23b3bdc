/* The software's side of VT-d for tests, see vtd_rig.h. Used by one test thread. */
#include "tests/lib/vtd_rig.h"
#include <glib.h>
#include "hw/iommu/intel_iommu.h"
#include "mmu/dma.h"

enum { GSTS_ONE_SHOT = 1 << 30 | 1 << 24 };

static struct pci_device *add_edu(struct vtd_rig *x, const char *addr)
{
    struct err e = { "" };
    struct device *d = device_create(&x->f->m, "edu", NULL, addr, &e);

    g_assert_cmpstr(e.msg, ==, "");
    d->cls->reset(d);
    pci_config_write(x->f->m.pci, ((struct pci_device *)d)->devfn, PCI_COMMAND, PCI_CMD_MASTER, 2);
    return (struct pci_device *)d;
}

/* One edu is there before the IOMMU, the other comes after it. */
struct vtd_rig *rig_new(const char *props)
{
    struct vtd_rig *x = g_new0(struct vtd_rig, 1);
    struct err e = { "" };

    x->f = fake_machine_new(1);
    x->next = RIG_FREE;
    lock_acquire(&x->f->m.lock);
    x->f->m.pci = pci_root_new(&x->f->m, true, NULL);
    x->edu[0] = add_edu(x, "addr=3");
    x->iommu = device_create(&x->f->m, "intel-iommu", NULL, props, &e);
    g_assert_cmpstr(e.msg, ==, "");
    x->edu[1] = add_edu(x, "addr=4");
    lock_release(&x->f->m.lock); /* which register accesses take */
    return x;
}

void rig_free(struct vtd_rig *x)
{
    fake_machine_free(x->f);
    g_free(x);
}

u32 rig_get(struct vtd_rig *x, u64 off) { return fm_read(x->f, INTEL_IOMMU_BASE + off, 4); }
u64 rig_get64(struct vtd_rig *x, u64 off) { return fm_read(x->f, INTEL_IOMMU_BASE + off, 8); }
void rig_set(struct vtd_rig *x, u64 off, u32 v) { fm_write(x->f, INTEL_IOMMU_BASE + off, v, 4); }
void rig_set64(struct vtd_rig *x, u64 off, u64 v) { fm_write(x->f, INTEL_IOMMU_BASE + off, v, 8); }

u64 rig_peek(struct vtd_rig *x, u64 gpa)
{
    u64 v;

    g_assert_cmpint(dma_read(x->f->m.mem, gpa, &v, 8), ==, 0);
    return v;
}

void rig_poke(struct vtd_rig *x, u64 gpa, u64 v)
{
    g_assert_cmpint(dma_write(x->f->m.mem, gpa, &v, 8), ==, 0);
}

void rig_command(struct vtd_rig *x, u32 on, u32 off)
{
    u32 was = rig_get(x, 0x1c) & ~(u32)GSTS_ONE_SHOT;

    rig_set(x, 0x18, (was | on) & ~off);
    g_assert_cmphex(rig_get(x, 0x1c) & (on | off), ==, on);
}

static u64 new_page(struct vtd_rig *x)
{
    u64 at = x->next;

    x->next += PAGE_SIZE;
    g_assert_cmpuint(x->next, <=, 1 * MiB);
    for (u64 i = 0; i < PAGE_SIZE; i += 8)
        rig_poke(x, at + i, 0);
    return at;
}

u64 rig_context(struct vtd_rig *x, u16 source, unsigned tt, unsigned width, u16 domain)
{
    u64 table = new_page(x), entry = RIG_CONTEXT + 16 * (source & 0xff);

    rig_poke(x, RIG_ROOT + 16 * (source >> 8), RIG_CONTEXT | 1);
    rig_poke(x, entry, table | tt << 2 | 1);
    rig_poke(x, entry + 8, (u64)domain << 8 | width);
    return table;
}

u64 rig_map(struct vtd_rig *x, u64 table, unsigned levels, u64 iova, u64 gpa, unsigned level, unsigned perms)
{
    for (;; levels--) {
        u64 at = table + 8 * (iova >> (3 + 9 * levels) & 511);
        if (levels == level) {
            rig_poke(x, at, gpa | perms | (level > 1 ? RIG_PS : 0));
            return at;
        }
        if (!(rig_peek(x, at) & 3))
            rig_poke(x, at, new_page(x) | RIG_R | RIG_W);
        table = rig_peek(x, at) & PAGE_MASK;
    }
}

void rig_on(struct vtd_rig *x)
{
    rig_set64(x, 0x20, RIG_ROOT);
    rig_command(x, RIG_SRTP, 0);
    rig_command(x, RIG_TE, 0);
}

void rig_flush(struct vtd_rig *x)
{
    rig_set64(x, 0x28, 1ull << 63 | 1ull << 61);
    g_assert_cmphex(rig_get64(x, 0x28) >> 59, ==, 1 << 2 | 1);
    rig_set64(x, 0xf8, 1ull << 63 | 1ull << 60);
    g_assert_cmphex(rig_get64(x, 0xf8) >> 57, ==, 1 << 3 | 1);
}

bool rig_read(struct vtd_rig *x, unsigned n, u64 iova, void *buf, u64 len)
{
    lock_acquire(&x->f->m.lock);
    int r = dma_read(x->edu[n]->dma, iova, buf, len);
    lock_release(&x->f->m.lock);
    return r == 0;
}

bool rig_write(struct vtd_rig *x, unsigned n, u64 iova, const void *buf, u64 len)
{
    lock_acquire(&x->f->m.lock);
    int r = dma_write(x->edu[n]->dma, iova, buf, len);
    lock_release(&x->f->m.lock);
    return r == 0;
}

unsigned rig_fault(struct vtd_rig *x, unsigned n, u16 *source, u64 *addr, bool *read)
{
    u64 low = rig_get64(x, 0x220 + 16 * n), high = rig_get64(x, 0x228 + 16 * n);

    if (!(high >> 63))
        return 0;
    if (source)
        *source = (u16)high;
    if (addr)
        *addr = low;
    if (read)
        *read = high >> 62 & 1;
    return high >> 32 & 0xff;
}

void rig_clear_faults(struct vtd_rig *x)
{
    for (unsigned n = 0; n < 8; n++)
        rig_set(x, 0x22c + 16 * n, 1u << 31);
    rig_set(x, 0x34, 1);
    g_assert_cmphex(rig_get(x, 0x34) & 0xff, ==, 0);
}

void rig_queue_on(struct vtd_rig *x, unsigned size)
{
    x->tail = 0;
    rig_set64(x, 0x88, 0);
    rig_set64(x, 0x90, RIG_QUEUE | size);
    rig_command(x, RIG_QIE, 0);
}

void rig_queue(struct vtd_rig *x, u64 low, u64 high)
{
    u32 size = 4096u << (rig_get(x, 0x90) & 7);

    rig_poke(x, RIG_QUEUE + x->tail, low);
    rig_poke(x, RIG_QUEUE + x->tail + 8, high);
    x->tail = (x->tail + 16) % size;
    rig_set64(x, 0x88, x->tail);
}
