/* Selector and data ports, the file directory, the DMA interface. */
#include <glib.h>
#include "hw/machine/fw_cfg.h"
#include "mmu/dma.h"
#include "tests/lib/fake_machine.h"

enum { CTL_ERROR = 1, CTL_READ = 2, CTL_SKIP = 4, CTL_SELECT = 8, CTL_WRITE = 16 };

static struct fake_machine *setup(void)
{
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "fw_cfg_io", NULL);
    fw_cfg_add_uint(f->m.fw_cfg, FW_CFG_NB_CPUS, 3, 2);
    fw_cfg_add_file(f->m.fw_cfg, "etc/one", "hello", 5);
    fw_cfg_add_file(f->m.fw_cfg, "etc/two", "0123456789", 10);
    return f;
}

static void test_ports(void)
{
    struct fake_machine *f = setup();
    fm_out(f, 0x510, FW_CFG_SIGNATURE, 2);
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 'Q');
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 'E');
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 'M');
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 'U');
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 0); /* past the end */
    fm_out(f, 0x510, FW_CFG_ID, 2);
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 3);
    fm_out(f, 0x510, FW_CFG_NB_CPUS | 0x4000, 2); /* the old write channel bit is ignored */
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 3);
    fm_out(f, 0x510, 0x3ff, 2); /* no such item */
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 0);
    fm_out(f, 0x511, 0xff, 1); /* items cannot be written */
    fm_out(f, 0x510, FW_CFG_SIGNATURE, 2);
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, 'Q');
    fake_machine_free(f);
}

static void test_directory(void)
{
    struct fake_machine *f = setup();
    u8 dir[4 + 2 * 64];
    fm_out(f, 0x510, FW_CFG_FILE_DIR, 2);
    for (unsigned i = 0; i < sizeof(dir); i++)
        dir[i] = fm_in(f, 0x511, 1);
    g_assert_cmpuint(__builtin_bswap32(ld32(dir)), ==, 2);
    g_assert_cmpuint(__builtin_bswap32(ld32(dir + 4 + 64)), ==, 10);
    g_assert_cmpstr((char *)dir + 12, ==, "etc/one");
    g_assert_cmpstr((char *)dir + 12 + 64, ==, "etc/two");
    fm_out(f, 0x510, __builtin_bswap16(ld16(dir + 8 + 64)), 2);
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, '0');
    g_assert_cmphex(fm_in(f, 0x511, 1), ==, '1');
    fake_machine_free(f);
}

/* Runs one DMA command; returns the control word afterwards. */
static u32 dma(struct fake_machine *f, u32 control, u32 len, u64 addr)
{
    u8 d[16];
    st32(d, __builtin_bswap32(control));
    st32(d + 4, __builtin_bswap32(len));
    st64(d + 8, __builtin_bswap64(addr));
    dma_write(f->m.mem, 0x1000, d, sizeof(d));
    fm_out(f, 0x514, 0, 4);
    fm_out(f, 0x518, __builtin_bswap32(0x1000), 4);
    dma_read(f->m.mem, 0x1000, d, sizeof(d));
    return __builtin_bswap32(ld32(d));
}

static void test_dma(void)
{
    struct fake_machine *f = setup();
    char buf[16];
    g_assert_cmphex(fm_in(f, 0x514, 4), ==, __builtin_bswap32(0x51454d55));
    g_assert_cmphex(fm_in(f, 0x518, 4), ==, __builtin_bswap32(0x20434647));
    u32 select_two = (FW_CFG_FILE_FIRST + 1) << 16 | CTL_SELECT;
    g_assert_cmphex(dma(f, select_two | CTL_READ, 4, 0x2000), ==, 0);
    dma_read(f->m.mem, 0x2000, buf, 4);
    g_assert_cmpint(memcmp(buf, "0123", 4), ==, 0);
    g_assert_cmphex(dma(f, CTL_SKIP, 3, 0), ==, 0);
    memset(buf, 0xee, sizeof(buf));
    dma_write(f->m.mem, 0x2000, buf, sizeof(buf));
    g_assert_cmphex(dma(f, CTL_READ, 8, 0x2000), ==, 0);
    dma_read(f->m.mem, 0x2000, buf, 9);
    g_assert_cmpint(memcmp(buf, "789\0\0\0\0\0\xee", 9), ==, 0);
    g_assert_cmphex(dma(f, select_two | CTL_WRITE, 4, 0x2000), ==, CTL_ERROR);
    g_assert_cmphex(dma(f, select_two | CTL_READ, 4, 0xfffffffffffff000), ==, CTL_ERROR);
    g_assert_cmphex(dma(f, select_two | CTL_READ, 0xffffffff, 0x2000), ==, CTL_ERROR); /* stops at the end of RAM */
    fm_out(f, 0x518, 0xffffffff, 4); /* a descriptor outside RAM: ignored */
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fw_cfg/ports", test_ports);
    g_test_add_func("/fw_cfg/directory", test_directory);
    g_test_add_func("/fw_cfg/dma", test_dma);
    return g_test_run();
}
