/* VMware's port: answers and properties as measured of QEMU's device, which registers change, who may ask. */
#include <glib.h>
#include "hw/misc/vmport.h"
#include "tests/lib/fake_machine.h"

enum { PORT = 0x5658, MAGIC = 0x564d5868, NO_ANSWER = -1 };

static void load(struct fake_machine *f, u32 eax, u32 ecx)
{
    const u32 r[IO_REGS] = { eax, 0xb, ecx, 0x12340000 | PORT, 0x51, 0xd1 };

    memcpy(f->io_regs, r, sizeof(r));
    f->io_changed = 0;
}

/* An IN of all of EAX: what it moves, and that the registers with these bits have been set. */
static u32 ask(struct fake_machine *f, u32 eax, u32 ecx, unsigned changed)
{
    load(f, eax, ecx);
    u32 v = fm_in(f, PORT, 4);
    g_assert_cmphex(f->io_changed, ==, changed | BIT(IO_EAX));
    g_assert_cmphex(f->io_regs[IO_EAX], ==, v);
    return v;
}

static void test_commands(void)
{
    struct fake_machine *f = fake_machine_new(1);
    for (unsigned i = 0; i < 16; i++)
        f->m.cfg.uuid[i] = i * 0x11;
    fake_device(f, "vmport", NULL);
    g_assert_cmphex(ask(f, MAGIC, 0x0a, BIT(IO_EBX) | BIT(IO_ECX)), ==, 6);
    g_assert_cmphex(f->io_regs[IO_EBX], ==, MAGIC);
    g_assert_cmphex(f->io_regs[IO_ECX], ==, 2);
    g_assert_cmphex(ask(f, MAGIC, 0xabcd0013, BIT(IO_EBX) | BIT(IO_ECX) | BIT(IO_EDX)), ==, 0x33221100);
    g_assert_cmphex(f->io_regs[IO_EBX], ==, 0x77665544);
    g_assert_cmphex(f->io_regs[IO_ECX], ==, 0xbbaa9988);
    g_assert_cmphex(f->io_regs[IO_EDX], ==, 0xffeeddcc);
    g_assert_cmphex(ask(f, MAGIC, 0x14, BIT(IO_EBX)), ==, 16 * MiB);
    g_assert_cmphex(f->io_regs[IO_EBX], ==, 0x1177);
    f->m.cfg.tsc_khz = 5000000; /* needs more than 32 bits */
    g_assert_cmphex(ask(f, MAGIC, 0x2d, BIT(IO_EBX) | BIT(IO_ECX)), ==, (u32)5000000000ull);
    g_assert_cmphex(f->io_regs[IO_EBX], ==, 1);
    g_assert_cmpuint(f->io_regs[IO_ECX], ==, 1000000000);
    g_assert_cmphex(ask(f, MAGIC, 0x44, 0), ==, 0);
    fake_machine_free(f);
}

static void test_refused(void)
{
    static const u32 unknown[] = { 0, 1, 0x17, 0x2e, 0x7f, 0x80, 0xffff };
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "vmport", NULL);
    for (unsigned i = 0; i < ARRAY_LEN(unknown); i++)
        g_assert_cmphex(ask(f, MAGIC, unknown[i], 0), ==, (u32)NO_ANSWER);
    g_assert_cmphex(ask(f, MAGIC + 1, 0x0a, 0), ==, (u32)NO_ANSWER);
    fake_machine_free(f);
}

/* IN of AX or AL: the device sets EAX whatever the size; the CPU then stores what is moved. */
static void test_sizes(void)
{
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "vmport", "vmware-vmx-version=0x12345678");
    for (unsigned size = 1; size <= 4; size *= 2) {
        load(f, MAGIC, 0x0a);
        g_assert_cmphex(fm_in(f, PORT, size), ==, 0x12345678 & MASK64(size * 8));
        g_assert_cmphex(f->io_regs[IO_EAX], ==, 0x12345678);
        load(f, MAGIC, 0x0a);
        fm_out(f, PORT, 0, size);
        g_assert_cmphex(f->io_changed, ==, BIT(IO_EAX) | BIT(IO_EBX) | BIT(IO_ECX));
        g_assert_cmphex(f->io_regs[IO_EAX], ==, 0x12345678);
    }
    fake_machine_free(f);
}

static void test_not_asked(void)
{
    static const struct { u16 port; unsigned size; } beside[] = { { PORT + 1, 1 }, { PORT + 1, 4 }, { PORT - 1, 1 }, { PORT - 2, 4 }, { PORT - 1, 2 } };
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "vmport", NULL);
    for (unsigned i = 0; i < ARRAY_LEN(beside); i++) {
        load(f, MAGIC, 0x0a);
        f->io_regs[IO_EDX] = beside[i].port;
        g_assert_cmphex(fm_in(f, beside[i].port, beside[i].size), ==, MASK64(beside[i].size * 8));
        fm_out(f, beside[i].port, 0, beside[i].size);
        g_assert_cmphex(f->io_changed, ==, 0);
    }
    load(f, MAGIC, 0x0a);
    f->io_by_monitor = true;
    g_assert_cmphex(fm_in(f, PORT, 4), ==, 0xffffffff);
    fm_out(f, PORT, 0, 4);
    g_assert_cmphex(f->io_changed, ==, 0);
    fake_machine_free(f);
}

static void test_props(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct device *d = fake_device(f, "vmport", "x-read-set-eax=off,x-report-vmx-type=off,x-cmds-v2=off,x-signal-unsupported-cmd=off,vmware-vmx-type=9");
    load(f, MAGIC, 0x0a);
    g_assert_cmphex(fm_in(f, PORT, 2), ==, 6);
    g_assert_cmphex(f->io_changed, ==, BIT(IO_EBX)); /* neither EAX nor the type */
    load(f, MAGIC, 0x0a);
    fm_out(f, PORT, 0, 4);
    g_assert_cmphex(f->io_changed, ==, BIT(IO_EAX) | BIT(IO_EBX)); /* an OUT always answers in EAX */
    static const u32 v2[] = { 0x13, 0x2d, 0x44 };
    for (unsigned i = 0; i < ARRAY_LEN(v2); i++) {
        load(f, MAGIC, v2[i]);
        g_assert_cmphex(fm_in(f, PORT, 4), ==, MAGIC);
        g_assert_cmphex(f->io_changed, ==, 0);
    }
    load(f, 0x1234, 0x0a);
    g_assert_cmphex(fm_in(f, PORT, 4), ==, 0x1234);
    lock_acquire(&f->m.lock);
    device_free(d);
    lock_release(&f->m.lock);
    load(f, MAGIC, 0x0a);
    g_assert_cmphex(fm_in(f, PORT, 4), ==, 0xffffffff);
    fake_device(f, "vmport", "vmware-vmx-type=9");
    ask(f, MAGIC, 0x0a, BIT(IO_EBX) | BIT(IO_ECX));
    g_assert_cmphex(f->io_regs[IO_ECX], ==, 9);
    fake_machine_free(f);
}

static u32 swap(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    u32 esi = r[IO_ESI];
    r[IO_ESI] = r[IO_EDI];
    r[IO_EDI] = esi;
    *changed = BIT(IO_ESI) | BIT(IO_EDI);
    return *(u32 *)opaque;
}

static void test_other_device(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct device *d = fake_device(f, "vmport", NULL);
    u32 answer = 77;
    vmport_set_command(d, 0x27, swap, &answer);
    g_assert_cmpuint(ask(f, MAGIC, 0x27, BIT(IO_ESI) | BIT(IO_EDI)), ==, 77);
    g_assert_cmphex(f->io_regs[IO_ESI], ==, 0xd1);
    g_assert_cmphex(f->io_regs[IO_EDI], ==, 0x51);
    vmport_set_command(d, 0x27, NULL, NULL);
    g_assert_cmphex(ask(f, MAGIC, 0x27, 0), ==, (u32)NO_ANSWER);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmport/commands", test_commands);
    g_test_add_func("/vmport/refused", test_refused);
    g_test_add_func("/vmport/sizes", test_sizes);
    g_test_add_func("/vmport/not-asked", test_not_asked);
    g_test_add_func("/vmport/props", test_props);
    g_test_add_func("/vmport/other-device", test_other_device);
    return g_test_run();
}
