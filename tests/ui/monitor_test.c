/* Tests ui/monitor*.c: commands, expressions, formats, page-table listings, and a session with its line editor. */
#include <glib.h>
#include "mmu/aspace.h"
#include "mmu/ram.h"
#include "tests/lib/fake_chr.h"
#include "tests/ui/fake_vm.h"
#include "ui/monitor.h"
#include "util/log.h"

static char *run(struct vm *vm, const char *line)
{
    static char buf[1 << 16];
    unsigned cpu = 0;
    GString *out = g_string_new(NULL);

    monitor_run(&vm->ui, &cpu, line, out);
    g_strlcpy(buf, out->str, sizeof(buf));
    g_string_free(out, TRUE);
    return buf;
}

static void test_run_control(void)
{
    struct vm *vm = fake_vm_new(2);

    g_assert_cmpstr(run(vm, "info status"), ==, "VM status: running\n");
    g_assert_cmpstr(run(vm, "stop"), ==, "");
    g_assert_cmpstr(run(vm, " info   status "), ==, "VM status: paused\n");
    run(vm, "c");
    g_assert_cmpint(vm->state, ==, VM_RUNNING);
    run(vm, "system_reset");
    run(vm, "nmi");
    g_assert_cmpuint(vm->resets, ==, 1);
    g_assert_cmpuint(vm->nmis, ==, 1);
    g_assert_cmpstr(run(vm, "system_powerdown"), ==, "Error: this machine has no power button\n");
    run(vm, "q");
    g_assert_true(vm->quit);
    fake_vm_free(vm);
}

static void test_unknown(void)
{
    struct vm *vm = fake_vm_new(1);

    g_assert_cmpstr(run(vm, "frobnicate 1"), ==, "unknown command: 'frobnicate'\n");
    g_assert_cmpstr(run(vm, "info frobs"), ==, "unknown info subcommand: 'frobs'\n");
    g_assert_nonnull(strstr(run(vm, "cpu 1"), "no CPU '1'"));
    g_assert_nonnull(strstr(run(vm, "help"), "system_reset"));
    g_assert_nonnull(strstr(run(vm, "info"), "info registers"));
    g_assert_nonnull(strstr(run(vm, "log frobs"), "unknown log item 'frobs'"));
    fake_vm_free(vm);
}

static void test_log(void)
{
    struct vm *vm = fake_vm_new(1);

    run(vm, "log int,guest_errors");
    g_assert_cmpuint(log_mask, ==, LOG_INT | LOG_GUEST_ERRORS);
    run(vm, "log none");
    g_assert_cmpuint(log_mask, ==, 0);
    fake_vm_free(vm);
}

static void test_expressions(void)
{
    static const struct {
        const char *line, *out;
    } t[] = {
        { "p 1+2*3", "0x7\n" }, { "p/d (1+2)*3", "9\n" }, { "p $rax", "0x1234567890\n" }, { "p $eax+1", "0x34567891\n" },
        { "p/d -5", "-5\n" }, { "p ~0", "0xffffffffffffffff\n" }, { "p/o 8", "010\n" }, { "p/c 65", "'A'\n" },
        { "p 7/0", "division by zero\n" }, { "p $zzz", "unknown register\n" }, { "p (1", "')' expected\n" },
        { "p", "unexpected end of expression\n" }, { "p @", "invalid char in expression\n" }, { "p $cs.base", "0xf0000\n" },
        { "p 0xf0&0x3c|1", "0x31\n" }, { "p/u 0-1", "18446744073709551615\n" },
    };
    struct vm *vm = fake_vm_new(1);

    vm->cpu[0]->gpr[R_AX] = 0x1234567890;
    vm->cpu[0]->seg[S_CS].base = 0xf0000;
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        g_assert_cmpstr(run(vm, t[i].line), ==, t[i].out);
    GString *deep = g_string_new("p ");
    for (unsigned i = 0; i < 100000; i++)
        g_string_append_c(deep, '(');
    g_assert_nonnull(strstr(run(vm, deep->str), "too deeply"));
    g_string_free(deep, TRUE);
    fake_vm_free(vm);
}

static void test_examine(void)
{
    struct vm *vm = fake_vm_new(1);

    for (unsigned i = 0; i < 32; i++)
        vm->mem[0x1000 + i] = (u8)i;
    g_assert_cmpstr(run(vm, "x 0x1000"), ==, "00001000: 0x03020100\n");
    g_assert_cmpstr(run(vm, "x/5xw 0x1000"), ==,
                    "00001000: 0x03020100 0x07060504 0x0b0a0908 0x0f0e0d0c\n00001010: 0x13121110\n");
    g_assert_cmpstr(run(vm, "x /2xg 0x1000"), ==, "00001000: 0x0706050403020100 0x0f0e0d0c0b0a0908\n");
    g_assert_cmpstr(run(vm, "x/3db 0x1001"), ==, "00001001: 1 2 3\n");
    g_assert_cmpstr(run(vm, "x/2xw 0x1fffc"), ==, "0001fffc: 0x00000000 Cannot access memory\n");
    g_assert_cmpstr(run(vm, "x/z 0"), ==, "invalid char in format: 'z'\n");
    memcpy(vm->mem + 0x2000, "\xb8\x01\x00\x00\x00\xf4", 6);
    vm->cpu[0]->mode = MODE_32 | MODE_PE;
    g_assert_cmpstr(run(vm, "x/2i 0x2000"), ==,
                    "0x00002000:  b8 01 00 00 00           movl $1, %eax\n"
                    "0x00002005:  f4                       hlt\n");
    /* The VM was stopped for each look and runs again. */
    g_assert_cmpint(vm->state, ==, VM_RUNNING);
    g_assert_cmpuint(vm->stops, ==, vm->conts);
    fake_vm_free(vm);
}

static void test_registers(void)
{
    struct vm *vm = fake_vm_new(2);
    struct cpu *c = vm->cpu[0];
    char *out;

    c->rip = 0xfff0;
    c->seg[S_CS] = (struct seg_reg){ .base = 0xffff0000, .limit = 0xffff, .sel = 0xf000, .attr = 0x9b };
    cpu_set_rflags(c, F_ZF | F_CF);
    out = run(vm, "info registers");
    g_assert_nonnull(strstr(out, "EIP=0000fff0 EFL=00000043 [---Z--C] CPL=0"));
    g_assert_nonnull(strstr(out, "CS =f000 ffff0000 0000ffff 00009b00\n"));
    g_assert_null(strstr(out, "CPU#1"));
    g_assert_nonnull(strstr(run(vm, "info registers -a"), "CPU#1"));
    c->mode = MODE_64 | MODE_PE | MODE_LMA;
    c->cr0 = CR0_PE | CR0_PG;
    c->efer = EFER_LMA;
    c->seg[S_CS].attr = 0x209b;
    c->gpr[15] = 0x1122334455667788;
    out = run(vm, "info registers");
    g_assert_nonnull(strstr(out, "R15=1122334455667788"));
    g_assert_nonnull(strstr(out, "00209b00 DPL=0 CS64 [-RA]"));
    g_assert_nonnull(strstr(run(vm, "info cpus"), "* CPU #0: pc=0x00000000ffffff"));
    fake_vm_free(vm);
}

/* 4-level tables in real guest RAM: two 4 KiB pages in a row, a 2 MiB page, one of them for users. */
static void test_pages(void)
{
    struct vm *vm = fake_vm_new(1);
    struct cpu *c = vm->cpu[0];
    struct region ram;
    struct err e;
    struct ram_block *block = ram_new("ram", 64 * KiB, &e);
    u64 *t;

    g_assert_nonnull(block);
    region_init_container(&vm->machine.mem_root, "memory", BIT64(40));
    region_init_ram(&ram, "ram", block, 0, 64 * KiB);
    vm->machine.mem = aspace_new("memory", &vm->machine.mem_root);
    region_add(&vm->machine.mem_root, 0, &ram, 0);
    t = (void *)block->host;
    t[0x1000 / 8 + 511] = 0x2000 | 7; /* PML4 */
    t[0x2000 / 8] = 0x3000 | 7;       /* PDPT */
    t[0x3000 / 8] = 0x4000 | 7;       /* PD */
    t[0x3000 / 8 + 1] = 0x600000 | 0x83;
    t[0x4000 / 8 + 5] = 0x7000 | 0x63;
    t[0x4000 / 8 + 6] = 0x9000 | 0x63 | BIT64(63);
    c->cr3 = 0x1000;
    g_assert_cmpstr(run(vm, "info mem"), ==, "PG disabled\n");
    c->cr0 = CR0_PG | CR0_PE;
    c->cr4 = CR4_PAE;
    c->efer = EFER_LMA;
    g_assert_cmpstr(run(vm, "info mem"), ==,
                    "ffffff8000005000-ffffff8000007000 0000000000002000 -rw\n"
                    "ffffff8000200000-ffffff8000400000 0000000000200000 -rw\n");
    g_assert_cmpstr(run(vm, "info tlb"), ==,
                    "ffffff8000005000: 0000000000007000 ---DA---W\n"
                    "ffffff8000006000: 0000000000009000 X--DA---W\n"
                    "ffffff8000200000: 0000000000600000 --P-----W\n");
    g_assert_cmpstr(run(vm, "xp/xg 0x3000"), ==, "0000000000003000: 0x0000000000004007\n");
    for (unsigned i = 0; i < 512; i++)
        t[0x1000 / 8 + i] = 0x1000 | 7; /* every entry leads back: endless, if it were not for the limit */
    g_assert_nonnull(strstr(run(vm, "info mem"), "0000000000000000-"));
    fake_vm_free(vm);
}

static void test_session(void)
{
    struct vm *vm = fake_vm_new(1);
    struct chr *chr = fake_chr_new("mon");
    struct monitor *m = monitor_new(&vm->ui, chr);

    fake_chr_input(chr, "infx\177o  versionn\b\r");
    g_assert_nonnull(strstr(fake_chr_output(chr), "infx\b \bo  versionn\b \b\r\n0."));
    fake_chr_input(chr, "garbage\025stop\n");
    g_assert_cmpint(vm->state, ==, VM_PAUSED);
    g_assert_true(g_str_has_suffix(fake_chr_output(chr), "(gemel) "));
    fake_chr_input(chr, "\033[A\033[Bcont\n"); /* cursor keys are swallowed */
    g_assert_cmpint(vm->state, ==, VM_RUNNING);
    monitor_free(m);
    chr_free(chr);
    fake_vm_free(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/monitor/run-control", test_run_control);
    g_test_add_func("/monitor/unknown", test_unknown);
    g_test_add_func("/monitor/log", test_log);
    g_test_add_func("/monitor/expressions", test_expressions);
    g_test_add_func("/monitor/examine", test_examine);
    g_test_add_func("/monitor/registers", test_registers);
    g_test_add_func("/monitor/pages", test_pages);
    g_test_add_func("/monitor/session", test_session);
    return g_test_run();
}
