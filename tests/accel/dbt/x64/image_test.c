/* Copies of blocks' code (struct code_image): placed elsewhere, for another descriptor and another PC, they are byte for byte what the translator makes
 * there itself. Typical kernel code, and a lot of random code. */
#include <glib.h>
#include "accel/dbt/tb.h"
#include "accel/dbt/x64/jit.h"
#include "cpu/lift/lift.h"
#include "tests/lib/fake_cpu.h"

#define KERNEL 0xffffffff81234000ull
#define CODE_MAX 256

/* --- what emitted code calls; nothing is run --- */
struct tb *tb_by_host_pc(const void *pc) { return NULL; }
const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc) { g_assert_not_reached(); }

struct code {
    u64 pc;
    u8 b[CODE_MAX];
    unsigned n;
};

static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    const struct code *k = opaque;
    u64 at = pc - k->pc;
    if (at >= k->n)
        return 0;
    n = MIN_OF(n, k->n - (unsigned)at);
    memcpy(buf, k->b + at, n);
    return (int)n;
}

static struct ir_block b;
static struct tb tb[2];
static unsigned n_kept, n_moved;

static int compile(struct fake_cpu *f, struct code *k, struct tb *t)
{
    int n = lift_block(&b, f->c, k->pc, 48, fetch, k);
    if (n <= 0)
        return -1;
    return backend_compile(&b, t, &t->code);
}

/* The code as it is at another address. */
static struct code moved(const struct code *k, u64 delta)
{
    struct code to = *k;
    to.pc += delta;
    for (unsigned i = 0; i < b.n_fields; i++) {
        u8 *f = to.b + b.field[i].off;
        g_assert_cmpuint(b.field[i].off + 4u, <=, b.len);
        st32(f, ld32(f) + (u32)(b.field[i].kind == IR_FIELD_MOVES ? delta : -delta));
    }
    return to;
}

/* Whether addresses of the code would leave the part where they move. */
static bool stays(const struct code *k, const struct code *to)
{
    for (unsigned i = 0; i < b.n_fields; i++) {
        u64 from = sext(ld32(k->b + b.field[i].off), 4), now = sext(ld32(to->b + b.field[i].off), 4), delta = to->pc - k->pc;
        if (b.field[i].kind == IR_FIELD_MOVES ? !ir_moving(now) : now != from - delta)
            return false;
    }
    return true;
}

/* Compiles at one place, keeps a copy, compiles at another one, compares. False: there is no copy to be had. */
static bool check(struct fake_cpu *f, struct code *k, u64 delta)
{
    struct code_image im;
    backend_flush();
    backend_place((int)g_random_int_range(0, 4) * 16);
    if (compile(f, k, &tb[0]))
        return false;
    u32 bytes = backend_image_bytes(&tb[0].code, &im);
    struct code to = moved(k, delta);
    if (!bytes || !stays(k, &to))
        return false;
    g_autofree u8 *copy = g_malloc(bytes);
    backend_save(&tb[0].code, &tb[0], &im, copy);
    g_assert_true(backend_image_fits(&im, bytes));
    g_assert_false(backend_image_fits(&im, bytes + 4));
    bool fields = b.n_fields;
    unsigned insns = b.n_insns;
    for (unsigned i = 0; i < 3; i++) /* so that it lies elsewhere */
        g_assert_cmpint(compile(f, &to, &tb[1]), ==, 0);
    g_assert_cmpuint(b.n_insns, ==, insns);
    int same = backend_same(&tb[1].code, &tb[1], to.pc, f->c->mode, &im, copy, k->pc);
    if (same == IMAGE_UNFIT)
        return false;
    if (!same) {
        g_autoptr(GString) hex = g_string_new(NULL);
        for (unsigned i = 0; i < b.len; i++)
            g_string_append_printf(hex, " %02x", to.b[i]);
        g_error("not the same at %llx, from %llx: %s", (unsigned long long)to.pc, (unsigned long long)k->pc, hex->str);
    }
    n_kept++;
    n_moved += fields;
    return true;
}

static struct code of_hex(const char *hex, u64 pc)
{
    struct code k = { .pc = pc };
    for (char *p = (char *)hex; *p; p += strspn(p, " "))
        k.b[k.n++] = (u8)strtoul(p, &p, 16);
    return k;
}

static const char *const kernel_code[] = {
    "48 c7 c7 00 10 a0 82 e8 11 22 33 00",                   /* mov $string, %rdi; call */
    "48 8b 04 c5 60 29 70 82 48 03 05 10 00 10 00 c3",       /* mov table(,%rax,8), %rax; add var(%rip), %rax; ret */
    "65 48 8b 04 25 c0 fb 01 00 f6 40 08 10 74 20",          /* mov %gs:current, %rax; test; jz */
    "65 8b 05 cc cd de 7e ff c0 75 f0",                      /* mov %gs:cpu_number(%rip), %eax; inc; jnz */
    "48 3d 00 10 a0 82 72 08",                               /* cmp $address, %rax; jb */
    "48 81 fb 00 10 a0 82 0f 84 00 10 00 00",                /* cmp $address, %rbx; je, far */
    "48 c7 45 f0 80 81 40 82 68 10 20 30 83 c3",             /* movq $address, -16(%rbp); push $address; ret */
    "48 c7 04 24 80 81 40 82 e9 00 f0 ff ff",                /* movq $address, (%rsp); jmp backwards */
    "48 8b 87 00 10 a0 82 48 8b 8f 08 10 a0 82 eb e0",       /* two loads of a table by the same register */
    "48 05 00 10 a0 82 48 2d 00 00 a0 82 c3",                /* add, sub $address, %rax */
    "48 8d 3d 00 10 10 00 48 8d b0 00 10 a0 82 ff e0",       /* lea var(%rip), %rdi; lea address(%rax), %rsi; jmp *%rax */
    "48 b8 00 10 a0 82 ff ff ff ff ff d0",                   /* movabs $address, %rax; call *%rax */
    "8a 05 00 10 10 00 88 05 01 10 10 00 f0 48 ff 05 02 10 10 00 74 e0", /* variables */
    "0f b6 80 00 10 a0 82 a8 04 75 05", "f3 a4 c3", "0f 05", "fb f4", "9c 58 fa c3", "cd 80", "0f 22 d8 c3",
    "d9 c0 d8 c1 dd 05 00 10 10 00 c3", "0f 10 05 00 10 10 00 0f 11 04 24 c3", "e2 fe", "e3 10", "48 c7 c0 00 10 a0 82 48 c7 c0 01 10 a0 82 c3",
};

static void test_kernel(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    static const u64 delta[] = { 0, 0x200000, 0x1e400000, (u64)-0x1000000, 0x3000, 0x20123000 };
    for (unsigned i = 0; i < ARRAY_LEN(kernel_code); i++)
        for (unsigned d = 0; d < ARRAY_LEN(delta); d++) {
            struct code k = of_hex(kernel_code[i], KERNEL + 0x123);
            if (!check(f, &k, delta[d]))
                g_test_fail_printf("no copy: %s", kernel_code[i]);
        }
    g_assert_cmpuint(n_moved, >, 40);
    fake_cpu_free(f);
}

/* Random instructions, of a kind that decodes often, with addresses of kernels in them. */
static struct code random_code(u64 pc)
{
    static const char *const often[] = { "48 8b 05", "48 c7 c7", "48 89 84 24", "65 48 8b 05", "e8", "0f 84", "48 81 f8", "8b 04 85", "48 c7 40 08", "68" };
    struct code k = { .pc = pc, .n = (unsigned)g_random_int_range(4, 60) };
    for (unsigned i = 0; i < k.n; i++)
        k.b[i] = (u8)g_random_int();
    for (unsigned i = 0; i + 12 < k.n; i += (unsigned)g_random_int_range(1, 9)) {
        struct code o = of_hex(often[g_random_int_range(0, ARRAY_LEN(often))], 0);
        memcpy(k.b + i, o.b, o.n);
        if (g_random_boolean())
            st32(k.b + i + o.n, 0x81000000u + g_random_int() % 0x30000000u);
        i += o.n;
    }
    return k;
}

static void random_blocks(unsigned bits, unsigned cpl, u64 pc)
{
    struct fake_cpu *f = fake_cpu_new(bits, NULL);
    unsigned before = n_kept, moving = n_moved;
    f->c->mode = (f->c->mode & ~(u32)MODE_CPL) | cpl;
    for (unsigned i = 0; i < 20000; i++) {
        struct code k = random_code(pc + (u64)g_random_int_range(0, 0xf00));
        u64 delta = bits == 64 && cpl == 3 ? (u64)g_random_int() << 12 : ir_moving(pc) ? (u64)g_random_int_range(-0x1000, 0x10000) << 12 : 0;
        check(f, &k, delta);
    }
    g_test_message("%u copies, %u with fields that move", n_kept - before, n_moved - moving);
    g_assert_cmpuint(n_kept - before, >, 10000);
    if (ir_moving(pc) && !cpl)
        g_assert_cmpuint(n_moved - moving, >, 1000);
    fake_cpu_free(f);
}

static void test_random_kernel(void) { random_blocks(64, 0, KERNEL); }
static void test_random_user(void) { random_blocks(64, 3, 0x555555554000ull); }
static void test_random_high(void) { random_blocks(64, 0, 0xffff888000001000ull); }
static void test_random_32(void) { random_blocks(32, 0, 0xc0100000ull); }
static void test_random_16(void) { random_blocks(16, 0, 0x1000); }

int main(int argc, char **argv)
{
    struct err e = { 0 };
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    if (backend_init(4 * MiB, &e))
        g_error("%s", e.msg);
    g_test_add_func("/image/kernel", test_kernel);
    g_test_add_func("/image/random/kernel", test_random_kernel);
    g_test_add_func("/image/random/user", test_random_user);
    g_test_add_func("/image/random/high", test_random_high);
    g_test_add_func("/image/random/32", test_random_32);
    g_test_add_func("/image/random/16", test_random_16);
    return g_test_run();
}
