/* VMware's pointer: commands, packets in both modes, the PS/2 mouse's word for it, a full queue, what a driver sees that gives up and comes back, and
 * snapshots. Answers are those of QEMU's device, measured, but where the file says otherwise. */
#include "hw/input/vmmouse.h"
#include <glib.h>
#include "hw/core/input.h"
#include "hw/input/i8042.h"
#include "hw/misc/vmport.h"
#include "tests/lib/fake_machine.h"

enum { PORT = 0x5658, MAGIC = 0x564d5868, DATA = 39, STATUS = 40, COMMAND = 41 };
enum { ENABLE = 0x45414552, DISABLE = 0xf5, RELATIVE = 0x4c455252, ABSOLUTE = 0x53424152, VERSION = 0x3442554a };

static struct fake_machine *f;
static struct device *mouse;

static void setup(void)
{
    struct err e;
    f = fake_machine_new(1);
    struct device *port = fake_device(f, "vmport", NULL);
    lock_acquire(&f->m.lock);
    struct device *kbc = i8042_new(&f->m, f->m.gsi[1], f->m.gsi[12], fm_line(f, 20), &e);
    mouse = vmmouse_new(&f->m, port, kbc, &e);
    lock_release(&f->m.lock);
    g_assert_nonnull(mouse);
    fm_out(f, 0x64, 0x60, 1);
    fm_out(f, 0x60, 0x47, 1); /* both interrupts */
    fm_out(f, 0x64, 0xd4, 1);
    fm_out(f, 0x60, 0xf4, 1); /* the PS/2 mouse reports */
    g_assert_cmphex(fm_in(f, 0x60, 1), ==, 0xfa);
}

/* EAX; all registers are written. */
static u32 cmd(u32 num, u32 ebx)
{
    const u32 r[IO_REGS] = { MAGIC, ebx, num, PORT, 0x51, 0xd1 };
    memcpy(f->io_regs, r, sizeof(r));
    f->io_changed = 0;
    u32 v = fm_in(f, PORT, 4);
    g_assert_cmphex(f->io_changed, ==, BIT(IO_REGS) - 1);
    return v;
}

static u32 status(void) { return cmd(STATUS, 0x77); }

static void move(int x, int y, int wheel, unsigned buttons)
{
    lock_acquire(&f->m.lock);
    input_rel(f->m.input, x, y, wheel, buttons);
    lock_release(&f->m.lock);
}

static void point(int x, int y, int wheel, unsigned buttons)
{
    lock_acquire(&f->m.lock);
    input_abs(f->m.input, x, y, wheel, buttons);
    lock_release(&f->m.lock);
}

static const char *pointer(void) { return input_pointer(f->m.input)->name; }

static void start(u32 mode)
{
    g_assert_cmphex(cmd(COMMAND, ENABLE), ==, MAGIC);
    g_assert_cmphex(status(), ==, 1);
    g_assert_cmphex(cmd(DATA, 1), ==, VERSION);
    g_assert_cmphex(f->io_regs[IO_ECX], ==, DATA); /* the others are as they were */
    g_assert_cmphex(cmd(COMMAND, mode), ==, MAGIC);
    g_assert_cmphex(status(), ==, 0);
}

#define PACKET(flags, x, y, wheel) do {                        \
        g_assert_cmphex(cmd(DATA, 4), ==, (u32)(flags));       \
        g_assert_cmphex(f->io_regs[IO_EBX], ==, (u32)(x));     \
        g_assert_cmphex(f->io_regs[IO_ECX], ==, (u32)(y));     \
        g_assert_cmphex(f->io_regs[IO_EDX], ==, (u32)(wheel)); \
        g_assert_cmphex(f->io_regs[IO_ESI], ==, 0x51);         \
    } while (0)

/* The PS/2 mouse has something to say: a movement to the right by so much. */
static void nudged(unsigned by)
{
    g_assert_cmpint(f->level[12], ==, 1);
    g_assert_cmphex(fm_in(f, 0x64, 1) & 0x21, ==, 0x21);
    g_assert_cmphex(fm_in(f, 0x60, 1), ==, 8);
    g_assert_cmphex(fm_in(f, 0x60, 1), ==, by);
    g_assert_cmphex(fm_in(f, 0x60, 1), ==, 0);
    g_assert_cmphex(fm_in(f, 0x64, 1) & 1, ==, 0);
}

static void test_absolute(void)
{
    setup();
    start(ABSOLUTE);
    g_assert_true(input_is_absolute(f->m.input));
    point(0x1234, INPUT_ABS_MAX, 0, 0);
    nudged(1);
    g_assert_cmphex(status(), ==, 4);
    PACKET(0, 0x2468, 0xfffe, 0);
    g_assert_cmphex(status(), ==, 0);
    point(1, 2, 1, INPUT_LEFT | INPUT_MIDDLE);
    point(1, 2, -2, INPUT_RIGHT | INPUT_SIDE);
    move(0, 0, 0, INPUT_LEFT); /* stays where it is */
    move(5, 7, 0, 0);          /* a movement, y up */
    g_assert_cmphex(status(), ==, 16);
    PACKET(0x28, 2, 4, -1);
    PACKET(0x10, 2, 4, 2);
    PACKET(0x20, 2, 4, 0);
    PACKET(0x10000, 5, -7, 0);
    fake_machine_free(f);
}

static void test_relative(void)
{
    setup();
    start(RELATIVE);
    g_assert_false(input_is_absolute(f->m.input));
    move(-300, 20, 1, INPUT_RIGHT);
    nudged(1);
    move(0, 0, 0, 0);
    point(9, 9, 0, 0); /* nobody takes positions */
    g_assert_cmphex(status(), ==, 8);
    PACKET(0x10010, -300, -20, -1);
    PACKET(0x10000, 0, 0, 0);
    cmd(COMMAND, ABSOLUTE);
    g_assert_true(input_is_absolute(f->m.input));
    cmd(COMMAND, RELATIVE);
    g_assert_false(input_is_absolute(f->m.input));
    fake_machine_free(f);
}

static void test_not_enabled(void)
{
    setup();
    g_assert_cmphex(status(), ==, 0xffff0000);
    g_assert_cmphex(cmd(DATA, 1), ==, MAGIC);
    cmd(COMMAND, ABSOLUTE);
    cmd(COMMAND, 0x1234);
    g_assert_cmphex(status(), ==, 0xffff0000);
    g_assert_cmpstr(pointer(), ==, "PS/2 mouse");
    move(10, 20, 0, 0);
    g_assert_cmphex(fm_in(f, 0x60, 1), ==, 0x28);
    g_assert_cmphex(status(), ==, 0xffff0000);
    cmd(COMMAND, ENABLE);
    g_assert_false(input_is_absolute(f->m.input));
    fake_machine_free(f);
}

/* A driver that gives up, and one that asks for what is not there, find the version first when they begin again. */
static void test_again(void)
{
    static const u32 bad[] = { 0, 7, 9, 0xffffffff };
    setup();
    start(ABSOLUTE);
    point(3, 3, 0, 0);
    cmd(COMMAND, DISABLE);
    g_assert_cmphex(status(), ==, 0xffff0004);
    g_assert_cmpstr(pointer(), ==, "PS/2 mouse");
    PACKET(0, 6, 6, 0);
    point(4, 4, 0, 0);
    g_assert_cmphex(status(), ==, 0xffff0000);
    cmd(COMMAND, ENABLE);
    g_assert_true(input_is_absolute(f->m.input)); /* the mode is kept */
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        start(ABSOLUTE);
        point(3, 3, 0, 0);
        point(4, 4, 0, 0);
        g_assert_cmphex(cmd(DATA, bad[i]), ==, MAGIC);
        g_assert_cmphex(f->io_regs[IO_EBX], ==, bad[i]);
        g_assert_cmphex(status(), ==, 0xffff0008);
        g_assert_cmpstr(pointer(), ==, "PS/2 mouse");
    }
    start(ABSOLUTE);
    fake_machine_free(f);
}

static void test_words(void)
{
    setup();
    start(ABSOLUTE);
    for (unsigned i = 1; i <= 3; i++)
        point(i, i, 0, 0);
    cmd(DATA, 6); /* one and a half */
    g_assert_cmphex(f->io_regs[IO_ESI], ==, 0);
    g_assert_cmphex(f->io_regs[IO_EDI], ==, 4);
    g_assert_cmphex(status(), ==, 6);
    g_assert_cmphex(cmd(DATA, 2), ==, 4);
    PACKET(0, 6, 6, 0);
    fake_machine_free(f);
}

/* The newest position, and that no button is down any more, is what must not be lost. */
static void test_full(void)
{
    setup();
    start(ABSOLUTE);
    for (unsigned i = 0; i < 1000; i++)
        point(i, i, 0, i < 999 ? INPUT_LEFT : 0);
    g_assert_cmphex(status(), ==, 1024);
    for (unsigned i = 0; i < 255; i++)
        PACKET(0x20, 2 * i, 2 * i, 0);
    PACKET(0, 2 * 999, 2 * 999, 0);
    g_assert_cmphex(status(), ==, 0);
    cmd(COMMAND, ENABLE); /* one word more than packets: one packet less */
    for (unsigned i = 0; i < 300; i++)
        point(i, i, 0, 0);
    g_assert_cmphex(status(), ==, 1021);
    for (unsigned i = 0; i < 10; i++)
        cmd(COMMAND, ENABLE);
    g_assert_cmphex(status(), ==, 1);
    fake_machine_free(f);
}

/* The PS/2 mouse keeps its counsel while its reports are off, and tells afterwards. */
static void test_reports_off(void)
{
    setup();
    start(ABSOLUTE);
    fm_out(f, 0x64, 0xd4, 1);
    fm_out(f, 0x60, 0xf5, 1);
    fm_in(f, 0x60, 1);
    point(1, 1, 0, 0);
    point(2, 2, 0, 0);
    g_assert_cmphex(fm_in(f, 0x64, 1) & 1, ==, 0);
    g_assert_cmphex(status(), ==, 8);
    fm_out(f, 0x64, 0xd4, 1);
    fm_out(f, 0x60, 0xf4, 1);
    fm_in(f, 0x60, 1);
    nudged(2);
    fake_machine_free(f);
}

static void test_reset_and_state(void)
{
    struct err e;
    setup();
    start(ABSOLUTE);
    point(1, 2, 0, 0);
    point(3, 4, 0, INPUT_LEFT);
    cmd(DATA, 1);
    GByteArray *data = g_byte_array_new();
    lock_acquire(&f->m.lock);
    device_save(mouse, data);
    lock_release(&f->m.lock);
    fm_reset(f);
    g_assert_cmphex(status(), ==, 0xffff0000);
    g_assert_cmpstr(pointer(), ==, "PS/2 mouse");
    cmd(COMMAND, ENABLE);
    g_assert_false(input_is_absolute(f->m.input));
    fm_reset(f);
    lock_acquire(&f->m.lock);
    g_assert_cmpint(device_load(mouse, data->data, data->len, &e), ==, data->len);
    g_assert_cmpint(device_load(mouse, data->data, data->len, &e), ==, data->len);
    lock_release(&f->m.lock);
    g_byte_array_free(data, TRUE);
    g_assert_true(input_is_absolute(f->m.input));
    g_assert_cmphex(status(), ==, 7);
    cmd(DATA, 3);
    PACKET(0x20, 6, 8, 0);
    move(0, 0, 0, 0);
    PACKET(0, 6, 8, 0);
    lock_acquire(&f->m.lock);
    device_free(mouse);
    lock_release(&f->m.lock);
    g_assert_cmpstr(pointer(), ==, "PS/2 mouse");
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmmouse/absolute", test_absolute);
    g_test_add_func("/vmmouse/relative", test_relative);
    g_test_add_func("/vmmouse/not-enabled", test_not_enabled);
    g_test_add_func("/vmmouse/again", test_again);
    g_test_add_func("/vmmouse/words", test_words);
    g_test_add_func("/vmmouse/full", test_full);
    g_test_add_func("/vmmouse/reports-off", test_reports_off);
    g_test_add_func("/vmmouse/reset-and-state", test_reset_and_state);
    return g_test_run();
}
