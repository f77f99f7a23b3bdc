/* Tests hw/intc/apic_bus.c: who receives an IPI or an MSI, in every addressing mode. */
#include "hw/intc/lapic.h"
#include <glib.h>
#include "mmu/dma.h"
#include "tests/lib/fake_machine.h"

#define CPUS 5

static struct fake_machine *f;
static const struct lapic_ops *ops;

static void setup(void)
{
    struct err e;
    f = fake_machine_new(CPUS);
    lock_acquire(&f->m.lock);
    apic_bus_new(&f->m, &e);
    lock_release(&f->m.lock);
    ops = f->m.lapic_ops;
    for (unsigned i = 0; i < CPUS; i++) {
        ops->mmio_write(f->m.lapic[i], 0xf0, 0x1ff, 4);
        ops->mmio_write(f->m.lapic[i], 0xd0, 1u << (24 + i), 4);
    }
}

static void icr(unsigned from, u8 dest, u32 low)
{
    ops->mmio_write(f->m.lapic[from], 0x310, (u32)dest << 24, 4);
    ops->mmio_write(f->m.lapic[from], 0x300, low, 4);
}

/* The set of CPUs that got the vector; takes the interrupts away. */
static unsigned takers(u8 vector)
{
    unsigned set = 0;
    for (unsigned i = 0; i < CPUS; i++) {
        int v = ops->ack(f->m.lapic[i]);
        if (v >= 0) {
            g_assert_cmphex(v, ==, vector);
            set |= 1u << i;
            ops->mmio_write(f->m.lapic[i], 0xb0, 0, 4);
        }
    }
    return set;
}

static void msi(u64 addr, u32 data)
{
    lock_acquire(&f->m.lock);
    msi_send(&f->m.msi, &(struct msi){ .addr = addr, .data = data });
    lock_release(&f->m.lock);
}

static void test_physical(void)
{
    setup();
    icr(0, 3, 0x4041);
    g_assert_cmphex(takers(0x41), ==, 1u << 3);
    icr(0, 0xff, 0x4041);
    g_assert_cmphex(takers(0x41), ==, 0x1f);
    icr(0, 9, 0x4041);
    g_assert_cmphex(takers(0x41), ==, 0);
    icr(2, 0, 0x44041); /* shorthands: self, all, others */
    g_assert_cmphex(takers(0x41), ==, 1u << 2);
    icr(2, 0, 0x84041);
    g_assert_cmphex(takers(0x41), ==, 0x1f);
    icr(2, 0, 0xc4041);
    g_assert_cmphex(takers(0x41), ==, 0x1b);
    g_assert_cmphex(ops->mmio_read(f->m.lapic[2], 0x300, 4), ==, 0xc4041); /* never busy */
    fake_machine_free(f);
}

static void test_logical_flat(void)
{
    setup();
    icr(0, 0x16, 0x4842);
    g_assert_cmphex(takers(0x42), ==, 0x16);
    icr(0, 0xff, 0x4842);
    g_assert_cmphex(takers(0x42), ==, 0x1f);
    fake_machine_free(f);
}

static void test_logical_cluster(void)
{
    setup();
    for (unsigned i = 0; i < CPUS; i++) {
        ops->mmio_write(f->m.lapic[i], 0xe0, 0, 4);
        ops->mmio_write(f->m.lapic[i], 0xd0, (i / 4) << 28 | 1u << (24 + i % 4), 4);
    }
    icr(0, 0x05, 0x4843);
    g_assert_cmphex(takers(0x43), ==, 0x05);
    icr(0, 0x1f, 0x4843);
    g_assert_cmphex(takers(0x43), ==, 0x10);
    icr(0, 0xf1, 0x4843); /* broadcast to all clusters */
    g_assert_cmphex(takers(0x43), ==, 0x11);
    fake_machine_free(f);
}

static void test_lowest_priority(void)
{
    setup();
    for (unsigned i = 0; i < CPUS; i++)
        ops->set_tpr(f->m.lapic[i], i == 3 ? 0x10 : 0x20);
    icr(0, 0x1f, 0x4944);
    g_assert_cmphex(takers(0x44), ==, 1u << 3);
    ops->set_tpr(f->m.lapic[3], 0x20);
    unsigned seen = 0;
    for (unsigned i = 0; i < CPUS; i++) { /* ties go round */
        icr(0, 0x1f, 0x4944);
        unsigned t = takers(0x44);
        g_assert_cmphex(t & (t - 1), ==, 0);
        seen |= t;
    }
    g_assert_cmphex(seen, ==, 0x1f);
    ops->mmio_write(f->m.lapic[1], 0xf0, 0xff, 4); /* disabled ones do not take part */
    icr(0, 0x02, 0x4944);
    g_assert_cmphex(takers(0x44), ==, 0);
    fake_machine_free(f);
}

static void test_special_modes(void)
{
    setup();
    ops->mmio_write(f->m.lapic[1], 0xf0, 0xff, 4); /* software-disabled still takes these */
    icr(0, 1, 0x4400);
    g_assert_cmpuint(f->nmis[1], ==, 1);
    icr(0, 1, 0x4200);
    g_assert_cmpuint(f->smis[1], ==, 1);
    icr(0, 1, 0xc500); /* INIT, level assert */
    icr(0, 1, 0x8500); /* level de-assert: nothing */
    g_assert_cmpuint(f->inits[1], ==, 1);
    icr(0, 1, 0x4699);
    g_assert_cmpuint(f->sipis[1], ==, 1);
    g_assert_cmphex(f->sipi_vector[1], ==, 0x99);
    icr(0, 0, 0xc4500);
    g_assert_cmpuint(f->inits[0], ==, 0);
    g_assert_cmpuint(f->inits[4], ==, 1);
    icr(0, 1, 0x4041);
    g_assert_cmphex(takers(0x41), ==, 0);
    fake_machine_free(f);
}

static void test_msi(void)
{
    setup();
    msi(0xfee02000, 0x0045);
    g_assert_cmphex(takers(0x45), ==, 1u << 2);
    msi(0xfeeff000, 0x0045);
    g_assert_cmphex(takers(0x45), ==, 0x1f);
    msi(0xfee12004, 0x0045); /* logical */
    g_assert_cmphex(takers(0x45), ==, 0x12);
    msi(0xfee1f00c, 0x0145); /* redirection hint, lowest priority: one of them */
    unsigned t = takers(0x45);
    g_assert_cmpuint(__builtin_popcount(t), ==, 1);
    msi(0xfee02000, 0x0400);
    g_assert_cmpuint(f->nmis[2], ==, 1);
    msi(0xfee02000, 0x0645); /* reserved for MSIs: start-up */
    msi(0xfee02000, 0x0345);
    g_assert_cmpuint(f->sipis[2], ==, 0);
    msi(0x1000, 0xdeadbeef); /* not the APIC range: memory */
    u32 word;
    dma_read(f->m.mem, 0x1000, &word, 4);
    g_assert_cmphex(word, ==, 0xdeadbeef);
    g_assert_cmphex(takers(0x45), ==, 0);
    fake_machine_free(f);
}

static void test_x2apic_destinations(void)
{
    setup();
    for (unsigned i = 0; i < CPUS; i++)
        g_assert_cmpint(ops->set_base(f->m.lapic[i], ops->get_base(f->m.lapic[i]) | 0x400), ==, 0);
    struct { u64 icr; unsigned set; } cases[] = {
        { 0x0000000300004046, 1u << 3 },
        { 0xffffffff00004046, 0x1f },
        { 0x000000ff00004046, 0 },      /* 0xff is an ID like any other */
        { 0x0000001200004846, 0x12 },   /* logical: cluster 0 */
        { 0x0001001f00004846, 0 },      /* cluster 1 */
        { 0xffffffff00004846, 0x1f },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned set = 0;
        g_assert_cmpint(ops->x2_write(f->m.lapic[0], 0x830, cases[i].icr), ==, 0);
        for (unsigned n = 0; n < CPUS; n++) {
            if (ops->ack(f->m.lapic[n]) >= 0) {
                set |= 1u << n;
                ops->x2_write(f->m.lapic[n], 0x80b, 0);
            }
        }
        g_assert_cmphex(set, ==, cases[i].set);
    }
    fake_machine_free(f);
}

/* Messages of an IOMMU: 32-bit destinations. */
static void test_wide(void)
{
    static const struct { u32 dest; u64 addr; unsigned set; } cases[] = {
        { 3, 0xfee00000, 1u << 3 }, { 0x12, 0xfee00004, 0x12 }, { 0x1001f, 0xfee00004, 0 }, { 0x103, 0xfee00000, 0 }, { 0xff, 0xfee00000, 0 },
        { ~0u, 0xfee00000, 0x1f },
    };
    setup();
    for (unsigned i = 0; i < CPUS; i++)
        g_assert_cmpint(ops->set_base(f->m.lapic[i], ops->get_base(f->m.lapic[i]) | 0x400), ==, 0);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned set = 0;
        lock_acquire(&f->m.lock);
        msi_send(&f->m.msi, &(struct msi){ .addr = cases[i].addr, .data = 0x47, .wide = true, .dest = cases[i].dest });
        lock_release(&f->m.lock);
        for (unsigned n = 0; n < CPUS; n++) {
            if (ops->ack(f->m.lapic[n]) >= 0) {
                set |= 1u << n;
                ops->x2_write(f->m.lapic[n], 0x80b, 0);
            }
        }
        g_assert_cmphex(set, ==, cases[i].set);
    }
    fake_machine_free(f);
}

static void test_cpu_count(void)
{
    struct fake_machine *g = fake_machine_new(65);
    struct err e;
    lock_acquire(&g->m.lock);
    g_assert_null(apic_bus_new(&g->m, &e));
    lock_release(&g->m.lock);
    g_assert_true(g_str_has_prefix(e.msg, "-smp 65"));
    fake_machine_free(g);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/apic-bus/physical", test_physical);
    g_test_add_func("/apic-bus/logical-flat", test_logical_flat);
    g_test_add_func("/apic-bus/logical-cluster", test_logical_cluster);
    g_test_add_func("/apic-bus/lowest-priority", test_lowest_priority);
    g_test_add_func("/apic-bus/special-modes", test_special_modes);
    g_test_add_func("/apic-bus/msi", test_msi);
    g_test_add_func("/apic-bus/x2apic", test_x2apic_destinations);
    g_test_add_func("/apic-bus/wide", test_wide);
    g_test_add_func("/apic-bus/cpu-count", test_cpu_count);
    return g_test_run();
}
