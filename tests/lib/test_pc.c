/* A pc machine for tests: real chips and memory, nobody who runs them. Used by one test thread. */
#include "tests/lib/test_pc.h"
#include <glib.h>
#include <unistd.h>
#include "mmu/aspace.h"

static void pin(void *opaque, unsigned cpu) {}
static void pin_sipi(void *opaque, unsigned cpu, u8 vector) {}
static void pin_ignne(void *opaque, unsigned cpu) { ((struct test_pc *)opaque)->ignnes++; }
static u64 tsc_now(void *opaque, unsigned cpu) { return clock_ns(((struct test_pc *)opaque)->m.clock); } /* 1 GHz */
static i64 tsc_to_ns(void *opaque, unsigned cpu, u64 tsc) { return tsc; }
static void a20_changed(void *opaque, bool on) { ((struct test_pc *)opaque)->a20_changes++; }

static void request(struct machine *m, enum machine_request r, int code)
{
    struct test_pc *p = m->request_opaque;
    p->request = r;
    p->requests++;
}

static struct test_pc *pc_new(const struct machine_config *cfg, struct clock *clock, struct err *e)
{
    struct test_pc *p = g_new0(struct test_pc, 1);
    struct machine_config c = *cfg;

    c.type = c.type ? c.type : "pc";
    c.ram_size = c.ram_size ? c.ram_size : 64 * MiB;
    c.cpus = c.cpus ? c.cpus : 1;
    c.rtc_base = c.rtc_base ? c.rtc_base : "utc";
    c.tsc_khz = 1000000;
    p->m.clock = clock; /* NULL: the machine makes its own */
    p->m.pins = (struct cpu_pins){ p, pin, pin, pin, pin, pin_sipi, pin_ignne };
    p->m.request = request;
    p->m.request_opaque = p;
    p->m.tsc_now = tsc_now;
    p->m.tsc_to_ns = tsc_to_ns;
    p->m.tsc_opaque = p;
    p->m.a20_changed = a20_changed;
    p->m.a20_opaque = p;
    if (machine_build(&p->m, &c, e) < 0) {
        g_free(p);
        return NULL;
    }
    test_pc_reset(p);
    return p;
}

struct test_pc *test_pc_new(const struct machine_config *cfg, struct err *e)
{
    return pc_new(cfg, NULL, e);
}

struct test_pc *test_pc_new_stepped(const struct machine_config *cfg, struct err *e)
{
    return pc_new(cfg, clock_new_manual(), e);
}

void test_pc_free(struct test_pc *p)
{
    machine_free(&p->m);
    g_free(p);
}

void test_pc_reset(struct test_pc *p)
{
    lock_acquire(&p->m.lock);
    machine_reset(&p->m);
    lock_release(&p->m.lock);
}

u64 pc_in(struct test_pc *p, u16 port, unsigned size) { return aspace_read_uint(p->m.io, port, size); }
void pc_out(struct test_pc *p, u16 port, u64 val, unsigned size) { aspace_write_uint(p->m.io, port, val, size); }
u64 pc_read(struct test_pc *p, u64 gpa, unsigned size) { return aspace_read_uint(p->m.mem, gpa, size); }

char *test_file(const void *data, u64 len)
{
    char *path;
    int fd = g_file_open_tmp("gemel-test-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, len), ==, len);
    close(fd);
    return path;
}

void test_file_free(char *path)
{
    unlink(path);
    g_free(path);
}
