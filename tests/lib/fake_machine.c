/* The fake machine of the device tests; used by one test thread, which plays the vCPU and the main loop. */
#include "tests/lib/fake_machine.h"
#include "hw/pci/pci.h"
#include <glib.h>
#include "hw/core/input.h"
#include "mmu/aspace.h"
#include "mmu/ram.h"

#define FAKE_RAM (16 * MiB)

static void gsi_set(void *opaque, int n, int level)
{
    struct fake_machine *f = opaque;
    f->rises[n] += level && !f->level[n];
    f->falls[n] += !level && f->level[n];
    f->level[n] = level;
}

static void take_message(void *opaque, const struct msi *msg)
{
    struct fake_machine *f = opaque;
    f->msi_addr = msg->addr;
    f->msi_data = msg->data;
    f->msi = *msg;
    f->msis++;
}

static void request(struct machine *m, enum machine_request r, int code)
{
    struct fake_machine *f = m->request_opaque;
    f->request = r;
    f->request_code = code;
    f->requests++;
}

static void pin_kick(void *opaque, unsigned cpu) { ((struct fake_machine *)opaque)->kicks[cpu]++; }
static void pin_nmi(void *opaque, unsigned cpu) { ((struct fake_machine *)opaque)->nmis[cpu]++; }
static void pin_smi(void *opaque, unsigned cpu) { ((struct fake_machine *)opaque)->smis[cpu]++; }
static void pin_init(void *opaque, unsigned cpu) { ((struct fake_machine *)opaque)->inits[cpu]++; }
static void pin_ignne(void *opaque, unsigned cpu) {}

static void pin_sipi(void *opaque, unsigned cpu, u8 vector)
{
    struct fake_machine *f = opaque;
    f->sipis[cpu]++;
    f->sipi_vector[cpu] = vector;
}

static bool io_regs_get(void *opaque, u32 r[IO_REGS])
{
    struct fake_machine *f = opaque;
    memcpy(r, f->io_regs, sizeof(f->io_regs));
    return !f->io_by_monitor;
}

static void io_regs_set(void *opaque, enum io_reg n, u32 val)
{
    struct fake_machine *f = opaque;
    f->io_regs[n] = val;
    f->io_changed |= BIT(n);
}

static u64 tsc_now(void *opaque, unsigned cpu)
{
    struct fake_machine *f = opaque;
    return clock_ns(f->m.clock) + f->tsc_offset;
}

static i64 tsc_to_ns(void *opaque, unsigned cpu, u64 tsc)
{
    struct fake_machine *f = opaque;
    return tsc - f->tsc_offset;
}

struct fake_machine *fake_machine_new(unsigned cpus)
{
    struct fake_machine *f = g_new0(struct fake_machine, 1);
    struct machine *m = &f->m;
    struct err e;
    m->cfg.type = "fake";
    m->cfg.cpus = cpus;
    m->cfg.ram_size = FAKE_RAM;
    m->cfg.rtc_base = "utc";
    m->cfg.tsc_khz = 1000000;
    lock_init(&m->lock, "machine", RANK_MACHINE);
    m->clock = clock_new_manual();
    m->input = input_new(m->clock);
    region_init_container(&m->mem_root, "memory", 1ull << 52);
    region_init_container(&m->io_root, "io", 64 * KiB);
    m->ram = ram_new("ram", FAKE_RAM, &e);
    g_assert_nonnull(m->ram);
    region_init_ram(&f->low_ram, "ram", m->ram, 0, FAKE_RAM);
    region_add(&m->mem_root, 0, &f->low_ram, 0);
    m->mem = aspace_new("memory", &m->mem_root);
    m->io = aspace_new("io", &m->io_root);
    m->pins = (struct cpu_pins){ f, pin_kick, pin_nmi, pin_smi, pin_init, pin_sipi, pin_ignne };
    m->io_regs = (struct io_regs_ops){ f, io_regs_get, io_regs_set };
    for (unsigned i = 0; i < ARRAY_LEN(m->gsi); i++)
        m->gsi[i] = fm_line(f, i);
    m->msi = (struct msi_sink){ take_message, f };
    m->request = request;
    m->request_opaque = f;
    m->tsc_now = tsc_now;
    m->tsc_to_ns = tsc_to_ns;
    m->tsc_opaque = f;
    aspace_thread_online();
    return f;
}

void fake_machine_free(struct fake_machine *f)
{
    lock_acquire(&f->m.lock);
    while (f->m.devices) { /* the newest first: users before what they use */
        struct device *d = f->m.devices;
        while (d->next)
            d = d->next;
        device_free(d);
    }
    if (f->m.pci)
        pci_bus_free(f->m.pci);
    lock_release(&f->m.lock);
    aspace_free(f->m.mem);
    aspace_free(f->m.io);
    ram_free(f->m.ram);
    input_free(f->m.input);
    clock_free(f->m.clock);
    lock_fini(&f->m.lock);
    g_free(f);
}

struct device *fake_device(struct fake_machine *f, const char *cls, const char *props)
{
    struct err e = { "" };
    lock_acquire(&f->m.lock);
    struct device *d = device_create(&f->m, cls, NULL, props, &e);
    lock_release(&f->m.lock);
    if (!d)
        g_error("%s: %s", cls, e.msg);
    return d;
}

u64 fm_in(struct fake_machine *f, u16 port, unsigned size)
{
    return aspace_read_uint(f->m.io, port, size);
}

void fm_out(struct fake_machine *f, u16 port, u64 val, unsigned size)
{
    aspace_write_uint(f->m.io, port, val, size);
}

u64 fm_read(struct fake_machine *f, u64 gpa, unsigned size)
{
    return aspace_read_uint(f->m.mem, gpa, size);
}

void fm_write(struct fake_machine *f, u64 gpa, u64 val, unsigned size)
{
    aspace_write_uint(f->m.mem, gpa, val, size);
}

void fm_step(struct fake_machine *f, i64 ns)
{
    lock_acquire(&f->m.lock);
    clock_step(f->m.clock, ns);
    lock_release(&f->m.lock);
}

struct irq_line fm_line(struct fake_machine *f, unsigned n)
{
    return (struct irq_line){ gsi_set, f, n };
}

void fm_reset(struct fake_machine *f)
{
    lock_acquire(&f->m.lock);
    for (struct device *d = f->m.devices; d; d = d->next)
        if (d->cls->reset)
            d->cls->reset(d);
    lock_release(&f->m.lock);
}

static u16 config_select(struct fake_machine *f, unsigned slot, unsigned fn, unsigned reg)
{
    fm_out(f, 0xcf8, 0x80000000 | slot << 11 | fn << 8 | (reg & 0xfc), 4);
    return 0xcfc + (reg & 3);
}

void fm_config_write(struct fake_machine *f, unsigned slot, unsigned fn, unsigned reg, u32 v, unsigned size)
{
    fm_out(f, config_select(f, slot, fn, reg), v, size);
}

u32 fm_config_read(struct fake_machine *f, unsigned slot, unsigned fn, unsigned reg, unsigned size)
{
    return fm_in(f, config_select(f, slot, fn, reg), size);
}
