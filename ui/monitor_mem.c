/* Monitor commands that look at guest memory: x, xp, p, gva2gpa, memsave, pmemsave. Main thread, the VM is stopped, called
 * from monitor.c. Physical reads touch RAM and ROM only, never a device's registers. */
#include <stdio.h>
#include <stdlib.h>
#include "disas/disas.h"
#include "hw/core/machine.h"
#include "mmu/aspace.h"
#include "mmu/dma.h"
#include "mmu/walk.h"
#include "ui/monitor_cmd.h"

#define COUNT_MAX 65536

struct format {
    unsigned count, size; /* of one item: 1, 2, 4, 8 */
    char kind;            /* x d u o c i */
};

/* "/4xw" at *p, if there is a slash. */
static int parse_format(struct mon *m, char **p, struct format *f)
{
    *f = (struct format){ .count = 1, .size = 4, .kind = 'x' };
    if (**p != '/')
        return 0;
    ++*p;
    if (g_ascii_isdigit(**p)) {
        unsigned long n = strtoul(*p, p, 10);
        f->count = (unsigned)MIN_OF(n, COUNT_MAX);
    }
    for (; **p && **p != ' '; ++*p) {
        switch (**p) {
        case 'b': f->size = 1; break;
        case 'h': f->size = 2; break;
        case 'w': f->size = 4; break;
        case 'g': case 'L': f->size = 8; break;
        case 'x': case 'd': case 'u': case 'o': case 'c': case 'i': f->kind = **p; break;
        default:
            mon_print(m, "invalid char in format: '%c'\n", **p);
            return -1;
        }
    }
    if (f->kind == 'c')
        f->size = 1;
    while (**p == ' ')
        ++*p;
    return 0;
}

static void print_value(struct mon *m, const struct format *f, u64 v)
{
    static const u8 octal_digits[] = { [1] = 3, [2] = 6, [4] = 11, [8] = 22 };

    switch (f->kind) {
    case 'd': mon_print(m, "%lld", (long long)sext(v, f->size)); break;
    case 'u': mon_print(m, "%llu", (unsigned long long)v); break;
    case 'o': mon_print(m, "0%0*llo", octal_digits[f->size], (unsigned long long)v); break;
    case 'c':
        mon_print(m, v >= 32 && v < 127 && v != '\'' && v != '\\' ? "'%c'" : "'\\x%02x'", (unsigned)v);
        break;
    default: mon_print(m, "0x%0*llx", (int)f->size * 2, (unsigned long long)v);
    }
}

/* Physical memory as a CPU reads it: device registers, too (the display's window at 0xa0000 is one). -1 where nothing is. */
static int fetch_phys(struct aspace *as, u64 addr, u8 *buf, u64 len)
{
    bool there = true;

    if (!dma_read(as, addr, buf, len))
        return 0;
    aspace_thread_online();
    for (u64 i = 0; i < len; i++)
        there &= aspace_find(as, addr + i) != NULL;
    aspace_thread_offline();
    for (u64 n; there && len; addr += n, buf += n, len -= n) {
        n = len >= 4 && !(addr & 3) ? 4 : len >= 2 && !(addr & 1) ? 2 : 1;
        u64 v = aspace_read_uint(as, addr, n);
        memcpy(buf, &v, n);
    }
    return there ? 0 : -1;
}

static int fetch(struct mon *m, bool phys, u64 addr, void *buf, u64 len)
{
    return phys ? fetch_phys(vm_machine(m->vm)->mem, addr, buf, len) : vm_mem_read(m->vm, *m->cpu, addr, buf, len);
}

static void print_code(struct mon *m, const struct format *f, u64 addr, bool phys)
{
    struct cpu *c = vm_cpu(m->vm, *m->cpu);
    unsigned bits = mode_bits(c->mode);

    for (unsigned i = 0; i < f->count; i++) {
        u8 code[15];
        unsigned n = sizeof(code);
        while (n && fetch(m, phys, addr, code, n) < 0)
            n--; /* the mapping may end within the instruction */
        if (!n) {
            mon_print(m, "0x%08llx:  Cannot access memory\n", (unsigned long long)addr);
            return;
        }
        addr += disas_print(m->out, bits, addr, code, n, 1);
    }
}

static void print_data(struct mon *m, const struct format *f, u64 addr, bool phys)
{
    unsigned per_line = f->size == 1 ? 8 : 16 / f->size;
    int digits = phys || vm_cpu(m->vm, *m->cpu)->mode & MODE_LMA ? 16 : 8;

    for (unsigned i = 0; i < f->count; i++, addr += f->size) {
        u64 v = 0;
        if (i % per_line == 0)
            mon_print(m, "%s%0*llx:", i ? "\n" : "", digits, (unsigned long long)addr);
        if (fetch(m, phys, addr, &v, f->size) < 0) {
            mon_print(m, " Cannot access memory");
            break;
        }
        mon_print(m, " ");
        print_value(m, f, v);
    }
    mon_print(m, "\n");
}

static void examine(struct mon *m, char *args, bool phys)
{
    struct format f;
    u64 addr;

    if (parse_format(m, &args, &f) < 0 || mon_expr(m, &args, &addr) < 0)
        return;
    if (*args)
        mon_print(m, "extraneous characters at the end of line\n");
    else if (f.kind == 'i')
        print_code(m, &f, addr, phys);
    else
        print_data(m, &f, addr, phys);
}

void mon_x(struct mon *m, char *args)
{
    examine(m, args, false);
}

void mon_xp(struct mon *m, char *args)
{
    examine(m, args, true);
}

void mon_p(struct mon *m, char *args)
{
    struct format f;
    u64 v;

    if (parse_format(m, &args, &f) < 0 || mon_expr(m, &args, &v) < 0)
        return;
    if (f.kind == 'x')
        mon_print(m, "0x%llx", (unsigned long long)v);
    else if (f.kind == 'o')
        mon_print(m, "0%llo", (unsigned long long)v);
    else
        print_value(m, &(struct format){ .kind = f.kind, .size = 8 }, v);
    mon_print(m, "\n");
}

void mon_gva2gpa(struct mon *m, char *args)
{
    struct cpu *c = vm_cpu(m->vm, *m->cpu);
    struct walk w;
    u64 addr;

    if (mon_expr(m, &args, &addr) < 0)
        return;
    if (walk_page(&c->tlb.regs, vm_machine(m->vm)->mem, addr, ACC_READ, true, &w) < 0)
        mon_print(m, "Unmapped\n");
    else
        mon_print(m, "gpa: 0x%llx\n", (unsigned long long)w.gpa);
}

/* ADDR SIZE FILE */
static void save(struct mon *m, char *args, bool phys)
{
    char *addr_s = mon_word(&args), *size_s = mon_word(&args), *path = mon_word(&args);
    JsonObject *o;
    JsonNode *n;
    u64 addr, size;

    if (!path) {
        mon_print(m, "usage: memsave ADDR SIZE FILE\n");
        return;
    }
    if (mon_expr(m, &addr_s, &addr) < 0 || mon_expr(m, &size_s, &size) < 0)
        return;
    o = json_object_new();
    json_object_set_int_member(o, "val", (i64)addr);
    json_object_set_int_member(o, "size", (i64)size);
    json_object_set_string_member(o, "filename", path);
    if (!phys)
        json_object_set_int_member(o, "cpu-index", *m->cpu);
    n = mon_qmp(m, phys ? "pmemsave" : "memsave", o);
    if (n)
        json_node_unref(n);
}

void mon_memsave(struct mon *m, char *args)
{
    save(m, args, false);
}

void mon_pmemsave(struct mon *m, char *args)
{
    save(m, args, true);
}

/* --- ports --- */

/* i/FMT PORT: as a CPU's IN would. */
void mon_in(struct mon *m, char *args)
{
    struct format f;
    u64 port, v;

    if (parse_format(m, &args, &f) < 0 || mon_expr(m, &args, &port) < 0)
        return;
    if (*args || f.size > 4 || port > 0xffff) {
        mon_print(m, "usage: i/[b|h|w] PORT\n");
        return;
    }
    aspace_thread_online();
    v = aspace_read_uint(vm_machine(m->vm)->io, port, f.size);
    aspace_thread_offline();
    mon_print(m, "port%c[0x%04llx] = 0x%0*llx\n", f.size == 1 ? 'b' : f.size == 2 ? 'w' : 'l', (unsigned long long)port, (int)f.size * 2,
              (unsigned long long)v);
}

/* o/FMT PORT VALUE */
void mon_out(struct mon *m, char *args)
{
    struct format f;
    u64 port, v;

    if (parse_format(m, &args, &f) < 0 || mon_expr(m, &args, &port) < 0)
        return;
    while (*args == ' ')
        args++;
    if (mon_expr(m, &args, &v) < 0)
        return;
    if (*args || f.size > 4 || port > 0xffff) {
        mon_print(m, "usage: o/[b|h|w] PORT VALUE\n");
        return;
    }
    aspace_thread_online();
    aspace_write_uint(vm_machine(m->vm)->io, port, v & MASK64(f.size * 8), f.size);
    aspace_thread_offline();
}

/* ADDR SIZE: the 16-bit rotating sum of BSD. */
void mon_sum(struct mon *m, char *args)
{
    char *addr_s = mon_word(&args), *size_s = mon_word(&args);
    u64 addr, size;
    u16 sum = 0;

    if (!size_s) {
        mon_print(m, "usage: sum ADDR SIZE\n");
        return;
    }
    if (mon_expr(m, &addr_s, &addr) < 0 || mon_expr(m, &size_s, &size) < 0)
        return;
    for (; size; size--, addr++) {
        u8 b;
        if (dma_read(vm_machine(m->vm)->mem, addr, &b, 1) < 0) {
            mon_print(m, "cannot access memory at 0x%llx\n", (unsigned long long)addr);
            return;
        }
        sum = (u16)((sum >> 1 | sum << 15) + b);
    }
    mon_print(m, "%05u\n", sum);
}
