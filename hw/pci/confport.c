/* The configuration ports of a PC's host bridge: address latch and data window. vCPU threads, machine lock held.
 * PCI Local Bus Specification 3.0, section 3.2.2.3.2. */
#include "hw/pci/confport.h"
#include "hw/core/machine.h"

enum { CONFIG_ENABLE = 0x80000000u, CONFADD_PORT = 0xcf8, CONFDATA_PORT = 0xcfc, CONFADD_LOW = 3 };

/* CONFADD takes only aligned dwords; every other cycle passes on to what lies behind it (0xcf9: reset control). */
static const struct region *confadd_behind(const struct pci_confport *p, u64 off, unsigned size)
{
    u64 port = CONFADD_PORT + off;

    for (const struct region *r = p->m->io_root.children; r; r = r->next)
        if (r != &p->addr_ports && r->kind == REGION_IO && r->enabled && port >= r->addr &&
            port + size <= r->addr + r->size)
            return r;
    return NULL;
}

static u64 confadd_read(void *opaque, u64 off, unsigned size)
{
    struct pci_confport *p = opaque;
    const struct region *r;

    if (off == 0 && size == 4)
        return p->addr & ~(u32)CONFADD_LOW;
    r = confadd_behind(p, off, size);
    return r && r->ops->read ? r->ops->read(r->opaque, CONFADD_PORT + off - r->addr, size) : MASK64(8 * size);
}

static void confadd_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pci_confport *p = opaque;
    const struct region *r;

    if (off == 0 && size == 4)
        p->addr = val & ~0x7f000000u;
    else if ((r = confadd_behind(p, off, size)) && r->ops->write)
        r->ops->write(r->opaque, CONFADD_PORT + off - r->addr, val, size);
}

/* The bus and register that the latched address and a port offset select; NULL if the cycle has no target. Programs that leave the low bits of a
 * register's number in CONFADD, where they are reserved and read as zeros, and access port 0xcfc get what they mean, as with QEMU. */
static struct pci_bus *confdata_target(const struct pci_confport *p, u64 off, unsigned size, unsigned *reg)
{
    u32 a = p->addr, low = (a & CONFADD_LOW) | off;

    *reg = (a & 0xfc) + (low + size <= 4 ? low : off);
    return (a & CONFIG_ENABLE) ? pci_bus_number(p->m->pci, a >> 16) : NULL;
}

static u64 confdata_read(void *opaque, u64 off, unsigned size)
{
    struct pci_confport *p = opaque;
    unsigned reg;
    struct pci_bus *b = confdata_target(p, off, size, &reg);

    return b ? pci_config_read(b, p->addr >> 8, reg, size) : MASK64(8 * size);
}

static void confdata_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pci_confport *p = opaque;
    unsigned reg;
    struct pci_bus *b = confdata_target(p, off, size, &reg);

    if (b)
        pci_config_write(b, p->addr >> 8, reg, val, size);
}

static const struct region_ops confadd_ops = { confadd_read, confadd_write, 1, 4 };
static const struct region_ops confdata_ops = { confdata_read, confdata_write, 1, 4 };

void pci_confport_init(struct pci_confport *p, struct machine *m)
{
    p->m = m;
    region_init_io(&p->addr_ports, "pci-confadd", 4, &confadd_ops, p, &m->lock);
    region_init_io(&p->data_ports, "pci-confdata", 4, &confdata_ops, p, &m->lock);
    region_add(&m->io_root, CONFADD_PORT, &p->addr_ports, 2); /* before reset control's 1 byte at 0xcf9 */
    region_add(&m->io_root, CONFDATA_PORT, &p->data_ports, 1);
}

void pci_confport_fini(struct pci_confport *p)
{
    region_del(&p->addr_ports);
    region_del(&p->data_ports);
}
