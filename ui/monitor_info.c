/* The monitor's `info` commands. Main thread, called from monitor.c, which has stopped the VM for those that look into CPUs;
 * device state is read under the machine lock. */
#include "config.h"
#include "hw/core/machine.h"
#include "mmu/aspace.h"
#include "ui/monitor_cmd.h"

typedef unsigned long long ull;

/* --- info registers --- */

/* Bits of `attr` spelled out: "DPL=0 CS64 [-RA]". */
static void print_seg_type(struct mon *m, const struct seg_reg *s, bool lma)
{
    static const char *const sys16_32[16] = {
        "Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16", "TrapGate16",
        "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved", "IntGate32", "TrapGate32",
    };
    static const char *const sys64[16] = {
        "<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved", "Reserved", "Reserved",
        "Reserved", "TSS64-avl", "Reserved", "TSS64-busy", "CallGate64", "Reserved", "IntGate64", "TrapGate64",
    };
    unsigned type = s->attr & SEGA_TYPE;
    bool big = s->attr & SEGA_DB;

    mon_print(m, " DPL=%d ", (s->attr & SEGA_DPL) >> 5);
    if (!(s->attr & SEGA_S)) {
        mon_print(m, "%s", (lma ? sys64 : sys16_32)[type]);
        return;
    }
    if (type & 8)
        mon_print(m, "%s [%c%c", lma && s->attr & SEGA_L ? "CS64" : big ? "CS32" : "CS16", type & 4 ? 'C' : '-',
                  type & 2 ? 'R' : '-');
    else
        mon_print(m, "%s [%c%c", lma || big ? "DS  " : "DS16", type & 4 ? 'E' : '-', type & 2 ? 'W' : '-');
    mon_print(m, "%c]", type & 1 ? 'A' : '-');
}

static void print_seg(struct mon *m, const char *name, const struct seg_reg *s, const struct cpu *c)
{
    bool is64 = cpu_is64(c);

    mon_print(m, "%-3s=%04x %0*llx %08x %08x", name, s->sel, is64 ? 16 : 8, (ull)s->base, s->limit, (u32)s->attr << 8);
    if (c->cr0 & CR0_PE && s->attr & SEGA_P)
        print_seg_type(m, s, c->efer & EFER_LMA);
    mon_print(m, "\n");
}

static void print_gprs(struct mon *m, const struct cpu *c)
{
    static const char *const names[16] = { "AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI", "8 ", "9 ", "10", "11", "12", "13",
                                           "14", "15" };
    static const u8 order[16] = { R_AX, R_BX, R_CX, R_DX, R_SI, R_DI, R_BP, R_SP, 8, 9, 10, 11, 12, 13, 14, 15 };
    bool is64 = cpu_is64(c);
    u64 f = cpu_rflags(c);

    for (unsigned i = 0; i < (is64 ? 16 : 8); i++)
        mon_print(m, "%c%s=%0*llx%c", is64 ? 'R' : 'E', names[order[i]], is64 ? 16 : 8,
                  (ull)(is64 ? c->gpr[order[i]] : (u32)c->gpr[order[i]]), i % 4 == 3 ? '\n' : ' ');
    mon_print(m, is64 ? "RIP=%016llx RFL=%08x" : "EIP=%08llx EFL=%08x", (ull)c->rip, (u32)f);
    mon_print(m, " [%c%c%c%c%c%c%c] CPL=%d II=%d A20=%d SMM=%d HLT=%d\n", f & F_DF ? 'D' : '-', f & F_OF ? 'O' : '-',
              f & F_SF ? 'S' : '-', f & F_ZF ? 'Z' : '-', f & F_AF ? 'A' : '-', f & F_PF ? 'P' : '-', f & F_CF ? 'C' : '-',
              cpu_cpl(c), c->int_shadow != 0, vm_machine(m->vm)->a20_enabled, c->smm, c->halted);
}

static void print_system(struct mon *m, const struct cpu *c)
{
    static const char *const segs[SEG_COUNT] = { "ES", "CS", "SS", "DS", "FS", "GS" };
    int d = cpu_is64(c) ? 16 : 8;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        print_seg(m, segs[i], &c->seg[i], c);
    print_seg(m, "LDT", &c->ldt, c);
    print_seg(m, "TR", &c->tr, c);
    mon_print(m, "GDT=     %0*llx %08x\nIDT=     %0*llx %08x\n", d, (ull)c->gdt.base, c->gdt.limit, d, (ull)c->idt.base,
              c->idt.limit);
    mon_print(m, "CR0=%08x CR2=%0*llx CR3=%0*llx CR4=%08x\n", (u32)c->cr0, d, (ull)c->cr2, d, (ull)c->cr3, (u32)c->cr4);
    for (unsigned i = 0; i < 4; i++)
        mon_print(m, "DR%u=%0*llx%c", i, d, (ull)c->dr[i], i == 3 ? '\n' : ' ');
    mon_print(m, "DR6=%0*llx DR7=%0*llx\nEFER=%016llx\n", d, (ull)c->dr[6], d, (ull)c->dr[7], (ull)c->efer);
}

/* fx is the FXSAVE image: FCW, FSW, abridged FTW, ... ST0..7 at 32. */
static void print_fpu(struct mon *m, const struct cpu *c)
{
    mon_print(m, "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08x\n", ld16(c->fx), ld16(c->fx + 2), c->fx[3] >> 3 & 7,
              c->fx[4], c->mxcsr);
    for (unsigned i = 0; i < 8; i++)
        mon_print(m, "FPR%u=%016llx %04x%c", i, (ull)ld64(c->fx + 32 + i * 16), ld16(c->fx + 40 + i * 16),
                  i & 1 ? '\n' : ' ');
    for (unsigned i = 0; i < (cpu_is64(c) ? 16 : 8); i++)
        mon_print(m, "XMM%02u=%016llx%016llx%c", i, (ull)ld64(c->vreg[i] + 8), (ull)ld64(c->vreg[i]), i & 1 ? '\n' : ' ');
}

static void print_registers(struct mon *m, unsigned i)
{
    const struct cpu *c = vm_cpu(m->vm, i);

    mon_print(m, "\nCPU#%u\n", i);
    print_gprs(m, c);
    print_system(m, c);
    print_fpu(m, c);
}

static void info_registers(struct mon *m, char *args)
{
    bool all = !strcmp(args, "-a");

    if (*args && !all) {
        mon_print(m, "usage: info registers [-a]\n");
        return;
    }
    for (unsigned i = 0; i < vm_cpu_count(m->vm); i++)
        if (all || i == *m->cpu)
            print_registers(m, i);
}

static void info_cpus(struct mon *m, char *args)
{
    for (unsigned i = 0; i < vm_cpu_count(m->vm); i++) {
        const struct cpu *c = vm_cpu(m->vm, i);
        mon_print(m, "%c CPU #%u: pc=0x%016llx%s\n", i == *m->cpu ? '*' : ' ', i, (ull)(c->seg[S_CS].base + c->rip),
                  c->wait_sipi ? " (waiting for SIPI)" : c->halted ? " (halted)" : "");
    }
}

/* --- the VM --- */

static void info_status(struct mon *m, char *args)
{
    const char *name = vm_state_name(m->vm);

    if (vm_state(m->vm) == VM_RUNNING)
        mon_print(m, "VM status: running\n");
    else
        mon_print(m, strcmp(name, "paused") ? "VM status: paused (%s)\n" : "VM status: %s\n", name);
}

static void info_version(struct mon *m, char *args)
{
    mon_print(m, "%s\n", GEMEL_VERSION);
}

static void info_name(struct mon *m, char *args)
{
    mon_print(m, "%s\n", m->ui->name ? m->ui->name : "");
}

static void info_jit(struct mon *m, char *args)
{
    vm_info_jit(m->vm, m->out);
}

static void info_mtree(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);

    lock_acquire(&mc->lock);
    aspace_print(mc->mem, m->out);
    mon_print(m, "\n");
    aspace_print(mc->io, m->out);
    lock_release(&mc->lock);
}

/* --- devices --- */

static u64 field_uint(const char *at, unsigned size)
{
    u64 v = 0;

    memcpy(&v, at, MIN_OF(size, sizeof(v)));
    return v;
}

/* One saved field; arrays and byte strings in hex on one line, sub-structures indented. */
static void print_fields(struct mon *m, const struct snap_field *f, const char *obj, unsigned depth)
{
    for (; f->kind != SNAP_END; f++) {
        const char *at = obj + f->offset;
        mon_print(m, "%*s%s", (int)depth * 2, "", f->name);
        switch (f->kind) {
        case SNAP_UINT:
            mon_print(m, " = 0x%llx", (ull)field_uint(at, f->size));
            break;
        case SNAP_TIMER:
            if (((const struct timer *)(const void *)at)->pending)
                mon_print(m, " = %lld ns", (long long)((const struct timer *)(const void *)at)->deadline);
            else
                mon_print(m, " = off");
            break;
        case SNAP_BYTES:
            mon_print(m, " =");
            for (unsigned i = 0; i < f->size && i < 64; i++)
                mon_print(m, " %02x", (u8)at[i]);
            break;
        case SNAP_ARRAY_UINT:
            mon_print(m, " =");
            for (unsigned i = 0; i < f->count && i < 64; i++)
                mon_print(m, " %llx", (ull)field_uint(at + i * f->size, f->size));
            break;
        }
        mon_print(m, "\n");
        for (unsigned i = 0; (f->kind == SNAP_STRUCT || f->kind == SNAP_ARRAY_STRUCT) && i < f->count && i < 64; i++) {
            if (f->kind == SNAP_ARRAY_STRUCT)
                mon_print(m, "%*s[%u]\n", (int)depth * 2 + 1, "", i);
            print_fields(m, f->sub, at + (size_t)i * f->size, depth + 1);
        }
    }
}

/* The saved fields of every device whose class is one of `classes` (NULL at the end), or is called `name`. */
static void print_devices(struct mon *m, const char *const *classes, const char *name)
{
    struct machine *mc = vm_machine(m->vm);
    unsigned found = 0;

    lock_acquire(&mc->lock);
    for (const struct device *d = mc->devices; d; d = d->next) {
        bool wanted = name && (!strcmp(name, d->cls->name) || (d->id && !strcmp(name, d->id)));
        for (unsigned i = 0; classes && classes[i]; i++)
            wanted |= !strcmp(classes[i], d->cls->name);
        if (!wanted)
            continue;
        found++;
        mon_print(m, "%s%s%s:\n", d->cls->name, d->id ? " " : "", d->id ? d->id : "");
        if (d->cls->fields)
            print_fields(m, d->cls->fields, (const char *)d, 1);
    }
    lock_release(&mc->lock);
    if (!found)
        mon_print(m, "no such device\n");
}

static void info_pic(struct mon *m, char *args)
{
    static const char *const classes[] = { "isa-pic", "ioapic", NULL };

    print_devices(m, classes, NULL);
}

static void info_lapic(struct mon *m, char *args)
{
    static const char *const classes[] = { "apic", NULL };

    print_devices(m, classes, NULL);
}

static void info_device(struct mon *m, char *args)
{
    if (!*args)
        mon_print(m, "usage: info device CLASS|ID\n");
    else
        print_devices(m, NULL, args);
}

const struct mon_cmd mon_info_cmds[] = {
    { "balloon", NULL, "", "show how much memory the balloon leaves the guest", mon_info_balloon, false },
    { "block", NULL, "", "show the disks", mon_info_block, false },
    { "blockstats", NULL, "", "show how much the disks were used", mon_info_blockstats, false },
    { "chardev", NULL, "", "show the character back ends", mon_info_chardev, false },
    { "cpus", NULL, "", "show each CPU", info_cpus, true },
    { "device", NULL, "CLASS|ID", "show the saved state of a device", info_device, false },
    { "hotpluggable-cpus", NULL, "", "show the places of CPUs", mon_info_hotpluggable_cpus, false },
    { "iothreads", NULL, "", "show the I/O threads", mon_info_iothreads, false },
    { "irq", NULL, "", "show how often each interrupt has come", mon_info_irq, false },
    { "jit", NULL, "", "show the translator's statistics", info_jit, true },
    { "kvm", NULL, "", "show whether KVM runs the guest", mon_info_kvm, false },
    { "lapic", NULL, "", "show the local APICs", info_lapic, false },
    { "mem", NULL, "", "show the virtual memory mappings", mon_info_mem, true },
    { "memory_size_summary", NULL, "", "show how much memory the guest has", mon_info_memory_size_summary, false },
    { "mice", NULL, "", "show the pointing devices, the one in use marked", mon_info_mice, false },
    { "mtree", NULL, "", "show the memory and port maps", info_mtree, false },
    { "name", NULL, "", "show the name of the VM", info_name, false },
    { "network", NULL, "", "show the networks", mon_info_network, false },
    { "numa", NULL, "", "show the NUMA nodes", mon_info_numa, false },
    { "pci", NULL, "", "show the PCI functions", mon_info_pci, false },
    { "pic", NULL, "", "show the interrupt controllers", info_pic, false },
    { "qom-tree", NULL, "", "show the tree of devices and objects", mon_info_qom_tree, false },
    { "qtree", NULL, "", "show the devices, each on its bus", mon_info_qtree, false },
    { "registers", NULL, "[-a]", "show the registers of this CPU (-a: of all)", info_registers, true },
    { "roms", NULL, "", "show the ROMs", mon_info_roms, false },
    { "snapshots", NULL, "", "show the disks' internal snapshots", mon_info_snapshots, false },
    { "status", NULL, "", "show whether the VM runs", info_status, false },
    { "tlb", NULL, "", "show the virtual to physical mappings", mon_info_tlb, true },
    { "usb", NULL, "", "show the USB devices", mon_info_usb, false },
    { "usernet", NULL, "", "show the connections of user networking", mon_info_usernet, false },
    { "uuid", NULL, "", "show the UUID of the VM", mon_info_uuid, false },
    { "version", NULL, "", "show the version", info_version, false },
    { "vnc", NULL, "", "show the VNC servers and their clients", mon_info_vnc, false },
    { 0 },
};
