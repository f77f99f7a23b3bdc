/* Fuzz target: monitor command lines, one by one, on a VM without engine (tests/ui/fake_vm.h) with page tables and memory to look at. */
#include "tests/fuzz/fuzz.h"
#include <glib.h>
#include "mmu/aspace.h"
#include "mmu/ram.h"
#include "tests/ui/fake_vm.h"
#include "ui/gdb.h"
#include "ui/monitor.h"
#include "util/err.h"
#include "util/log.h"

enum { RAM_SIZE = 64 * 1024 };

static struct region ram_region;
static struct ram_block *ram;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e;
    ram = ram_new("ram", RAM_SIZE, &e);
    g_assert_nonnull(ram);
    g_main_context_default(); /* it has descriptors */
    return 0;
}

/* Four-level tables at 0x1000 that lead in circles. */
static void fill_ram(void)
{
    for (unsigned i = 0; i < RAM_SIZE; i += 8)
        st64(ram->host + i, i % 0x1000 / 8 % 7 ? 0 : ((u64)(i * 5 / 4096 % 16) << 12 | 0x67));
}

static void connect_memory(struct vm *vm)
{
    region_init_container(&vm->machine.mem_root, "memory", BIT64(40));
    region_init_ram(&ram_region, "ram", ram, 0, RAM_SIZE);
    vm->machine.mem = aspace_new("memory", &vm->machine.mem_root);
    region_add(&vm->machine.mem_root, 0, &ram_region, 0);
    region_init_container(&vm->machine.io_root, "io", 65536);
    vm->machine.io = aspace_new("io", &vm->machine.io_root);
    fill_ram();
}

/* The first byte chooses the CPU's mode. Lines that would take the terminal are left out. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct err e;
    if (!size)
        return 0;
    g_autofree char *text = g_strndup((const char *)data + 1, size - 1);
    if (strstr(text, "stdio"))
        return 0;
    struct vm *vm = fake_vm_new(2);
    connect_memory(vm);
    struct cpu *c = vm->cpu[0];
    c->cr0 = data[0] & 1 ? CR0_PE | CR0_PG : data[0] & 2;
    c->cr4 = data[0] & 4 ? CR4_PAE : CR4_PSE;
    c->efer = data[0] & 8 ? EFER_LMA | EFER_LME : 0;
    c->cr3 = data[0] & 0xf000;
    c->mode = data[0] & 8 ? MODE_64 | MODE_PE : MODE_32;
    unsigned cpu = 0;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *out = g_string_new(NULL);
    fuzz_allow_files(false);
    for (char **l = lines; *l && !vm->quit; l++) {
        g_string_truncate(out, 0);
        monitor_run(&vm->ui, &cpu, *l, out);
        g_assert_cmpuint(cpu, <, vm->cpus);
    }
    fuzz_allow_files(true);
    g_string_free(out, TRUE);
    gdb_stop(&vm->ui);
    log_parse("none", &e);
    region_del(&ram_region);
    aspace_free(vm->machine.mem);
    aspace_free(vm->machine.io);
    fake_vm_free(vm);
    return 0;
}
