/* VMware's backdoor: an IN or OUT at port 0x5658 with a magic number in EAX and a command in CX is answered in the vCPU's registers. vCPU threads,
 * machine lock held. Specification: the backdoor as open-vm-tools' documentation has it; properties and answers of QEMU's device of this name, as
 * measured. What user mode may do with it is cpu/vmware.h's matter. */
#include "hw/misc/vmport.h"
#include "hw/core/machine.h"
#include "hw/intc/lapic.h"
#include "util/log.h"

#define PORT 0x5658
#define MAGIC 0x564d5868u /* "VMXh" */
#define PORTS 4           /* that an access of any size begins in it is enough; the other three are not there */
#define RAM_MAGIC 0x1177
#define NO_ANSWER 0xffffffffu

enum { GETVERSION = 0x0a, GETBIOSUUID = 0x13, GETRAMSIZE = 0x14, GETHZ = 0x2d, GET_VCPU_INFO = 0x44 };

struct vmport {
    struct device dev;
    u32 vmx_version;
    u8 vmx_type;
    bool read_set_eax, signal_unsupported, report_type, cmds_v2;
    struct vmport_command {
        vmport_fn *fn;
        void *opaque;
    } command[VMPORT_COMMANDS];
    struct region io;
};

static u32 get_version(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    const struct vmport *s = opaque;

    r[IO_EBX] = MAGIC;
    *changed = BIT(IO_EBX);
    if (s->report_type) {
        r[IO_ECX] = s->vmx_type;
        *changed |= BIT(IO_ECX);
    }
    return s->vmx_version;
}

/* The bytes in the order of the UUID's text. */
static u32 get_uuid(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    const u8 *uuid = ((struct vmport *)opaque)->dev.m->cfg.uuid;

    r[IO_EBX] = ld32(uuid + 4);
    r[IO_ECX] = ld32(uuid + 8);
    r[IO_EDX] = ld32(uuid + 12);
    *changed = BIT(IO_EBX) | BIT(IO_ECX) | BIT(IO_EDX);
    return ld32(uuid);
}

static u32 get_ram_size(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    r[IO_EBX] = RAM_MAGIC;
    *changed = BIT(IO_EBX);
    return (u32)((struct vmport *)opaque)->dev.m->cfg.ram_size;
}

/* EBX:EAX is the TSC's frequency, ECX the local APIC timers'. */
static u32 get_hz(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    u64 hz = (u64)((struct vmport *)opaque)->dev.m->cfg.tsc_khz * 1000;

    r[IO_EBX] = hz >> 32;
    r[IO_ECX] = LAPIC_BUS_HZ;
    *changed = BIT(IO_EBX) | BIT(IO_ECX);
    return (u32)hz;
}

/* No bit: nothing is promised about x2APIC mode without interrupt remapping. */
static u32 get_vcpu_info(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    return 0;
}

static const struct {
    u8 num;
    bool v2; /* of x-cmds-v2 */
    vmport_fn *fn;
} commands[] = {
    { GETVERSION, false, get_version }, { GETBIOSUUID, true, get_uuid }, { GETRAMSIZE, false, get_ram_size },
    { GETHZ, true, get_hz },            { GET_VCPU_INFO, true, get_vcpu_info },
};

void vmport_set_command(struct device *d, unsigned num, vmport_fn *fn, void *opaque)
{
    struct vmport *s = container_of(d, struct vmport, dev);

    assert(num < VMPORT_COMMANDS);
    s->command[num] = (struct vmport_command){ fn, opaque };
}

/* Carries out what the registers say; what EAX is then. */
static u32 execute(struct vmport *s, u32 r[IO_REGS])
{
    const struct io_regs_ops *regs = &s->dev.m->io_regs;
    unsigned num = r[IO_ECX] & 0xffff, changed = 0;
    const struct vmport_command *c = num < VMPORT_COMMANDS ? &s->command[num] : NULL;

    if (r[IO_EAX] != MAGIC || !c || !c->fn) {
        GUEST_ERROR("vmport: unknown command 0x%x, magic 0x%x", num, r[IO_EAX]);
        return s->signal_unsupported ? NO_ANSWER : r[IO_EAX];
    }
    u32 eax = c->fn(c->opaque, r, &changed);
    for (unsigned i = IO_EBX; i < IO_REGS; i++)
        if (changed & BIT(i))
            regs->set(regs->opaque, i, r[i]);
    return eax;
}

/* False: the access began at another port, or no vCPU makes it. */
static bool instruction_is_ours(const struct vmport *s, u64 off, u32 r[IO_REGS])
{
    const struct io_regs_ops *regs = &s->dev.m->io_regs;

    return !off && regs->get && regs->get(regs->opaque, r) && (r[IO_EDX] & 0xffff) == PORT;
}

static u64 vmport_read(void *opaque, u64 off, unsigned size)
{
    struct vmport *s = opaque;
    u32 r[IO_REGS], eax;

    if (!instruction_is_ours(s, off, r))
        return MASK64(size * 8);
    eax = execute(s, r);
    if (s->read_set_eax)
        s->dev.m->io_regs.set(s->dev.m->io_regs.opaque, IO_EAX, eax);
    return eax;
}

static void vmport_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct vmport *s = opaque;
    u32 r[IO_REGS];

    if (instruction_is_ours(s, off, r))
        s->dev.m->io_regs.set(s->dev.m->io_regs.opaque, IO_EAX, execute(s, r));
}

static const struct region_ops vmport_ops = { vmport_read, vmport_write, 1, 4 };

static int vmport_realize(struct device *d, struct err *e)
{
    struct vmport *s = container_of(d, struct vmport, dev);

    for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
        if (!commands[i].v2 || s->cmds_v2)
            vmport_set_command(d, commands[i].num, commands[i].fn, s);
    region_init_io(&s->io, "vmport", PORTS, &vmport_ops, s, &d->m->lock);
    region_add(&d->m->io_root, PORT, &s->io, 0);
    return 0;
}

static void vmport_unrealize(struct device *d)
{
    region_del(&container_of(d, struct vmport, dev)->io);
}

struct device *vmport_new(struct machine *m, struct err *e)
{
    struct device *d = device_alloc(m, "vmport", e);

    return d && device_realize(d, e) == 0 ? d : NULL;
}

#define P(name, kind, field, def, help) { name, kind, offsetof(struct vmport, field), def, NULL, help }
static const struct prop vmport_props[] = {
    P("vmware-vmx-version", PROP_U32, vmx_version, 6, "EAX of command 0x0a"),
    P("vmware-vmx-type", PROP_U8, vmx_type, 2, "ECX of command 0x0a"),
    P("x-read-set-eax", PROP_BOOL, read_set_eax, true, "IN of any size sets all of EAX"),
    P("x-signal-unsupported-cmd", PROP_BOOL, signal_unsupported, true, "EAX = -1 for unknown commands and a wrong magic, else unchanged"),
    P("x-report-vmx-type", PROP_BOOL, report_type, true, "command 0x0a sets ECX"),
    P("x-cmds-v2", PROP_BOOL, cmds_v2, true, "commands 0x13, 0x2d and 0x44 are there"),
    PROP_DONE,
};
#undef P
static const struct snap_field vmport_fields[] = { SNAP_DONE };

const struct dev_class vmport_class = {
    .name = "vmport",
    .desc = "VMware's backdoor port",
    .state_size = sizeof(struct vmport),
    .props = vmport_props,
    .fields = vmport_fields,
    .snap_version = 1,
    .realize = vmport_realize,
    .unrealize = vmport_unrealize,
};
