/* A CPU with memory but without engine or machine; see fake_cpu.h. Test threads. */
#include "tests/lib/fake_cpu.h"
#include <setjmp.h>
#include <stdlib.h>
#include "cpu/fault.h"
#include "cpu/platform.h"
#include "mmu/aspace.h"
#include "mmu/codepage.h"
#include "util/err.h"

struct fake_board {
    struct ram_block *ram;
    struct region root, ram_region, dev;
    struct aspace *mem;
    unsigned users, dev_reads, dev_writes;
};
static unsigned code_writes;
static u64 code_bytes;

static u64 dev_read(void *opaque, u64 off, unsigned size)
{
    ((struct fake_board *)opaque)->dev_reads++;
    return off & MASK64(size * 8);
}

static void dev_write(void *opaque, u64 off, u64 val, unsigned size) { ((struct fake_board *)opaque)->dev_writes++; }

static const struct region_ops dev_ops = { dev_read, dev_write, 1, 8 };

static void code_written(void *opaque, struct ram_block *b, u64 off, u64 len) 
{
    __atomic_fetch_add(&code_writes, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&code_bytes, len, __ATOMIC_RELAXED);
}

static struct fake_board *board_new(void)
{
    struct fake_board *b = calloc(1, sizeof(*b));
    struct err e;
    b->ram = ram_new("test", FAKE_RAM_SIZE, &e);
    assert(b->ram);
    region_init_container(&b->root, "root", 1ull << 40);
    region_init_ram(&b->ram_region, "ram", b->ram, 0, FAKE_RAM_SIZE);
    region_init_io(&b->dev, "dev", PAGE_SIZE, &dev_ops, b, NULL);
    region_add(&b->root, 0, &b->ram_region, 0);
    region_add(&b->root, FAKE_DEV_BASE, &b->dev, 1);
    b->mem = aspace_new("test", &b->root);
    codepage_set_listener(code_written, NULL, NULL);
    u64 *table = (u64 *)(void *)b->ram->host;
    table[0x1000 / 8] = 0x2007;
    table[0x2000 / 8] = 0x3007;
    table[0x3000 / 8] = FAKE_PT | 7;
    for (u64 i = 0; i < 512; i++)
        table[FAKE_PT / 8 + i] = i * PAGE_SIZE | 7;
    return b;
}

/* --- platform --- */
static struct fake_port *port_note(struct cpu *c, bool write, u16 port, unsigned size, u64 val)
{
    struct fake_cpu *f = c->plat_opaque;
    struct fake_port *p = &f->port[f->n_port++ % FAKE_PORTS];
    *p = (struct fake_port){ write, port, (u8)size, val };
    return p;
}

static u64 plat_port_read(struct cpu *c, u16 port, unsigned size)
{
    struct fake_cpu *f = c->plat_opaque;
    return port_note(c, false, port, size, f->port_value++)->val;
}
static void plat_port_write(struct cpu *c, u16 port, u64 val, unsigned size) { port_note(c, true, port, size, val); }
static u32 plat_port_string(struct cpu *c, u16 port, unsigned size, void *buf, u32 n, bool write)
{
    struct fake_cpu *f = c->plat_opaque;
    n = MIN_OF(n, f->string_max);
    for (u32 i = 0; i < n; i++) {
        u64 v = 0;
        if (write) {
            memcpy(&v, (u8 *)buf + i * size, size);
            plat_port_write(c, port, v, size);
        } else {
            v = plat_port_read(c, port, size);
            memcpy((u8 *)buf + i * size, &v, size);
        }
    }
    f->strings += n != 0;
    return n;
}
static u64 plat_random(struct cpu *c) { return ((struct fake_cpu *)c->plat_opaque)->random; }
static void plat_pause(struct cpu *c) { ((struct fake_cpu *)c->plat_opaque)->pauses++; }
static u64 plat_zero(struct cpu *c) { return 0; }
static void plat_kick(struct cpu *c, u32 apic_id) { }
static void plat_pmu_timer(struct cpu *c, u64 tsc) { }
static void plat_nothing(struct cpu *c) { }
static int plat_no_msr(struct cpu *c, u32 msr, u64 *val) { return -1; }
static int plat_no_msr_write(struct cpu *c, u32 msr, u64 val) { return -1; }

static const struct cpu_platform platform = {
    .port_read = plat_port_read, .port_write = plat_port_write, .port_string = plat_port_string, .random = plat_random, .pause = plat_pause,
    .tsc = plat_zero, .wall_ns = plat_zero, .real_ns = plat_zero, .steal_ns = plat_zero, .kick = plat_kick, .pmu_timer = plat_pmu_timer,
    .triple_fault = plat_nothing, .halt = plat_nothing, .wbinvd = plat_nothing,
    .mode_changed = plat_nothing, .tlb_flushed = plat_nothing, .ferr = plat_nothing,
    .ext_msr_read = plat_no_msr, .ext_msr_write = plat_no_msr_write,
};

/* --- the CPU --- */
static void set_mode(struct cpu *c, unsigned bits)
{
    struct walk_regs *r = &c->tlb.regs;
    r->phys_bits = 40;
    for (unsigned s = 0; s < SEG_COUNT; s++)
        c->seg[s] = (struct seg_reg){ .limit = bits == 16 ? 0xffff : 0xffffffff,
                                      .attr = (u16)(SEGA_P | SEGA_S | (s == S_CS ? 0xb : 3) | (bits == 32 ? SEGA_DB : 0)) };
    if (bits == 16) {
        c->mode = MODE_16 | MODE_IOPL_OK;
        return;
    }
    c->cr0 = CR0_PE;
    c->mode = MODE_PE | MODE_IOPL_OK | MODE_FLAT | MODE_SS32 | (bits == 64 ? MODE_64 | MODE_LMA : MODE_32);
    if (bits == 64) {
        c->cr0 |= CR0_PG | CR0_WP;
        c->efer = EFER_LME | EFER_LMA | EFER_NX;
        *r = (struct walk_regs){ .pg = true, .pae = true, .lma = true, .wp = true, .nxe = true, .phys_bits = 40, .cr3 = 0x1000 };
    }
}

struct fake_cpu *fake_cpu_new(unsigned bits, struct fake_cpu *share)
{
    aspace_thread_online();
    struct fake_cpu *f = calloc(1, sizeof(*f));
    f->board = share ? share->board : board_new();
    f->board->users++;
    f->ram = f->board->ram->host;
    f->c = aligned_alloc(64, ALIGN_UP(sizeof(*f->c), 64));
    struct cpu *c = f->c;
    memset(c, 0, sizeof(*c));
    c->plat = &platform;
    c->plat_opaque = f;
    c->mem = f->board->mem;
    c->memctx = (struct mem_ctx){ .tlb = &c->tlb, .mem = c->mem };
    c->mxcsr = 0x1f80;
    tlb_init(&c->tlb);
    c->jc_mask = JC_MASK;
    cpu_set_rflags(c, 2);
    set_mode(c, bits);
    return f;
}

void fake_cpu_free(struct fake_cpu *f)
{
    struct fake_board *b = f->board;
    if (!--b->users) {
        region_del(&b->dev);
        region_del(&b->ram_region);
        aspace_free(b->mem);
        ram_free(b->ram);
        free(b);
    }
    free(f->c);
    free(f);
}

void fake_cpu_map(struct fake_cpu *f, gla_t a, u64 flags)
{
    st64(f->ram + FAKE_PT + (a >> PAGE_BITS) * 8, (a & PAGE_MASK) | flags);
    tlb_flush(&f->c->tlb, true);
}

void fake_cpu_code(struct fake_cpu *f, gpa_t a, bool on)
{
    if (on)
        codepage_set(f->board->ram, a, ~0ull);
    else
        codepage_clear(f->board->ram, a, ~0ull);
    tlb_flush(&f->c->tlb, true);
}

unsigned fake_cpu_code_writes(const struct fake_cpu *f) { return __atomic_load_n(&code_writes, __ATOMIC_RELAXED); }
u64 fake_cpu_code_bytes(const struct fake_cpu *f) { return __atomic_load_n(&code_bytes, __ATOMIC_RELAXED); }
unsigned fake_cpu_dev_reads(const struct fake_cpu *f) { return f->board->dev_reads; }
unsigned fake_cpu_dev_writes(const struct fake_cpu *f) { return f->board->dev_writes; }

int fake_cpu_try(struct fake_cpu *f, void (*fn)(struct cpu *c, void *opaque), void *opaque)
{
    jmp_buf land;
    f->c->fault_jmp = &land;
    f->unwound = setjmp(land);
    if (f->unwound)
        return f->c->fault.vector;
    fn(f->c, opaque);
    return -1;
}
