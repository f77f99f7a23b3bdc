/* Writes a guest's memory into an ELF core file: a PT_NOTE with each CPU's registers, a PT_LOAD for each piece of RAM or ROM at its physical
 * address. Main thread, from ui/qmp_dump.c, the VM stopped. Sources: ELF specification (gABI 4.1), AMD64 and i386 psABI supplements, Linux's
 * elfcore notes (core(5), <sys/procfs.h>); the layout of the note "QEMU", which crash(8) reads, is what qemu-system-x86_64 7.2 writes. */
#include "ui/dump.h"
#include <elf.h>
#include <glib.h>
#include <sys/procfs.h>
#include <unistd.h>
#include "hw/core/machine.h"
#include "mmu/aspace.h"

#define PIECES_MAX 4096     /* of memory; a flat view has a few dozen */
#define WRITE_MAX (1u << 30) /* bytes for one write(2) */

struct piece {
    u64 addr, len;
    const u8 *host;
};

/* Pieces that lie side by side stay apart: each is as the view has it. */
static GArray *pieces(struct vm *vm, const struct dump_range *r)
{
    GArray *a = g_array_new(FALSE, FALSE, sizeof(struct piece));
    u64 end = !r->length || r->begin + r->length < r->begin ? ~0ull : r->begin + r->length;
    const struct frange *f;

    for (u64 at = r->begin; at < end && (f = aspace_next(vm_machine(vm)->mem, at)) && a->len < PIECES_MAX; at = f->end) {
        struct piece p = { .addr = MAX_OF(at, f->start) };
        if (f->start >= end)
            break;
        if (!f->host)
            continue;
        p.len = MIN_OF(end, f->end) - p.addr;
        p.host = f->host + (p.addr - f->start);
        g_array_append_val(a, p);
    }
    return a;
}

static u64 pieces_size(const GArray *a)
{
    u64 sum = 0;

    for (unsigned i = 0; i < a->len; i++)
        sum += g_array_index(a, struct piece, i).len;
    return sum;
}

u64 dump_size(struct vm *vm, const struct dump_range *r)
{
    GArray *a;
    u64 sum;

    aspace_thread_online();
    a = pieces(vm, r);
    sum = pieces_size(a);
    g_array_unref(a);
    aspace_thread_offline();
    return sum;
}

/* --- notes --- */

static void add_note(GByteArray *out, const char *name, u32 type, const void *desc, u32 len)
{
    static const u8 zeros[4];
    Elf64_Nhdr h = { (u32)strlen(name) + 1, len, type }; /* the 32-bit form is the same */

    g_byte_array_append(out, (const u8 *)&h, sizeof(h));
    g_byte_array_append(out, (const u8 *)name, h.n_namesz);
    g_byte_array_append(out, zeros, -h.n_namesz & 3);
    g_byte_array_append(out, desc, len);
    g_byte_array_append(out, zeros, -len & 3);
}

/* struct elf_prstatus of x86-64 Linux; i386's has 4-byte fields and other registers. */
struct prstatus32 {
    u32 signo, code, error;
    u16 cursig, pad;
    u32 sigpend, sighold, pid, ppid, pgrp, sid, times[8];
    u32 ebx, ecx, edx, esi, edi, ebp, eax, ds, es, fs, gs, orig_eax, eip, cs, eflags, esp, ss;
    u32 fpvalid;
};
static_assert(sizeof(struct prstatus32) == 144, "i386's elf_prstatus");

static void add_prstatus64(GByteArray *out, const struct cpu *c, u32 pid)
{
    static const u8 order[] = { 15, 14, 13, 12, R_BP, R_BX, 11, 10, 9, 8, R_AX, R_CX, R_DX, R_SI, R_DI };
    static_assert(sizeof(struct elf_prstatus) == 336, "x86-64's elf_prstatus");
    struct elf_prstatus s = { .pr_pid = (pid_t)pid };
    elf_greg_t *reg = s.pr_reg;

    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        *reg++ = c->gpr[order[i]];
    *reg++ = 0; /* orig_rax */
    *reg++ = c->rip;
    *reg++ = c->seg[S_CS].sel;
    *reg++ = cpu_rflags(c);
    *reg++ = c->gpr[R_SP];
    *reg++ = c->seg[S_SS].sel;
    *reg++ = c->seg[S_FS].base;
    *reg++ = c->seg[S_GS].base;
    *reg++ = c->seg[S_DS].sel;
    *reg++ = c->seg[S_ES].sel;
    *reg++ = c->seg[S_FS].sel;
    *reg++ = c->seg[S_GS].sel;
    add_note(out, "CORE", NT_PRSTATUS, &s, sizeof(s));
}

static void add_prstatus32(GByteArray *out, const struct cpu *c, u32 pid)
{
    struct prstatus32 s = {
        .pid = pid, .eax = (u32)c->gpr[R_AX], .ebx = (u32)c->gpr[R_BX], .ecx = (u32)c->gpr[R_CX], .edx = (u32)c->gpr[R_DX],
        .esi = (u32)c->gpr[R_SI], .edi = (u32)c->gpr[R_DI], .ebp = (u32)c->gpr[R_BP], .esp = (u32)c->gpr[R_SP], .eip = (u32)c->rip,
        .eflags = (u32)cpu_rflags(c), .cs = c->seg[S_CS].sel, .ss = c->seg[S_SS].sel, .ds = c->seg[S_DS].sel, .es = c->seg[S_ES].sel,
        .fs = c->seg[S_FS].sel, .gs = c->seg[S_GS].sel,
    };

    add_note(out, "CORE", NT_PRSTATUS, &s, sizeof(s));
}

struct qemu_seg {
    u32 sel, limit, flags, pad;
    u64 base;
};
struct qemu_state {
    u32 version, size;
    u64 ax, bx, cx, dx, si, di, sp, bp, r[8], rip, rflags;
    struct qemu_seg cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
    u64 cr[5], kernel_gs_base;
};
static_assert(sizeof(struct qemu_state) == 440, "version 1 of the note QEMU");

static struct qemu_seg qemu_seg(const struct seg_reg *s)
{
    return (struct qemu_seg){ s->sel, s->limit, (u32)s->attr << 8, 0, s->base };
}

static void add_qemu(GByteArray *out, const struct cpu *c)
{
    struct qemu_state s = {
        .version = 1, .size = sizeof(s), .ax = c->gpr[R_AX], .bx = c->gpr[R_BX], .cx = c->gpr[R_CX], .dx = c->gpr[R_DX], .si = c->gpr[R_SI],
        .di = c->gpr[R_DI], .sp = c->gpr[R_SP], .bp = c->gpr[R_BP], .rip = c->rip, .rflags = cpu_rflags(c), .cs = qemu_seg(&c->seg[S_CS]),
        .ds = qemu_seg(&c->seg[S_DS]), .es = qemu_seg(&c->seg[S_ES]), .fs = qemu_seg(&c->seg[S_FS]), .gs = qemu_seg(&c->seg[S_GS]),
        .ss = qemu_seg(&c->seg[S_SS]), .ldt = qemu_seg(&c->ldt), .tr = qemu_seg(&c->tr),
        .gdt = { .limit = c->gdt.limit, .base = c->gdt.base }, .idt = { .limit = c->idt.limit, .base = c->idt.base },
        .cr = { c->cr0, 0, c->cr2, c->cr3, c->cr4 }, .kernel_gs_base = c->kernel_gs_base,
    };

    memcpy(s.r, &c->gpr[8], sizeof(s.r));
    add_note(out, "QEMU", 0, &s, sizeof(s));
}

static GByteArray *notes(struct vm *vm, bool is64)
{
    GByteArray *out = g_byte_array_new();

    for (unsigned i = 0; i < vm_cpu_count(vm); i++)
        (is64 ? add_prstatus64 : add_prstatus32)(out, vm_cpu(vm, i), i + 1);
    for (unsigned i = 0; i < vm_cpu_count(vm); i++)
        add_qemu(out, vm_cpu(vm, i));
    return out;
}

/* --- headers --- */

static const u8 ident[] = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, 0, ELFDATA2LSB, EV_CURRENT };

static void add_headers64(GByteArray *out, const GArray *mem, u32 notes_len, u16 machine)
{
    u64 off = sizeof(Elf64_Ehdr) + (mem->len + 1) * sizeof(Elf64_Phdr);
    Elf64_Ehdr h = {
        .e_type = ET_CORE, .e_machine = machine, .e_version = EV_CURRENT, .e_phoff = sizeof(h), .e_ehsize = sizeof(h),
        .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = (u16)(mem->len + 1),
    };
    Elf64_Phdr p = { .p_type = PT_NOTE, .p_offset = off, .p_filesz = notes_len, .p_memsz = notes_len };

    memcpy(h.e_ident, ident, sizeof(ident));
    h.e_ident[EI_CLASS] = ELFCLASS64;
    g_byte_array_append(out, (const u8 *)&h, sizeof(h));
    g_byte_array_append(out, (const u8 *)&p, sizeof(p));
    off += notes_len;
    for (unsigned i = 0; i < mem->len; i++) {
        const struct piece *m = &g_array_index(mem, struct piece, i);
        p = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = off, .p_vaddr = m->addr, .p_paddr = m->addr, .p_filesz = m->len, .p_memsz = m->len };
        g_byte_array_append(out, (const u8 *)&p, sizeof(p));
        off += m->len;
    }
}

static void add_headers32(GByteArray *out, const GArray *mem, u32 notes_len)
{
    u32 off = (u32)(sizeof(Elf32_Ehdr) + (mem->len + 1) * sizeof(Elf32_Phdr));
    Elf32_Ehdr h = {
        .e_type = ET_CORE, .e_machine = EM_386, .e_version = EV_CURRENT, .e_phoff = sizeof(h), .e_ehsize = sizeof(h),
        .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = (u16)(mem->len + 1),
    };
    Elf32_Phdr p = { .p_type = PT_NOTE, .p_offset = off, .p_filesz = notes_len, .p_memsz = notes_len };

    memcpy(h.e_ident, ident, sizeof(ident));
    h.e_ident[EI_CLASS] = ELFCLASS32;
    g_byte_array_append(out, (const u8 *)&h, sizeof(h));
    g_byte_array_append(out, (const u8 *)&p, sizeof(p));
    off += notes_len;
    for (unsigned i = 0; i < mem->len; i++) {
        const struct piece *m = &g_array_index(mem, struct piece, i);
        p = (Elf32_Phdr){
            .p_type = PT_LOAD, .p_offset = off, .p_vaddr = (u32)m->addr, .p_paddr = (u32)m->addr, .p_filesz = (u32)m->len, .p_memsz = (u32)m->len,
        };
        g_byte_array_append(out, (const u8 *)&p, sizeof(p));
        off += (u32)m->len;
    }
}

/* --- the file --- */

static int put(int fd, const u8 *p, u64 len, u64 *done, struct err *e)
{
    while (len) {
        ssize_t n = write(fd, p, MIN_OF(len, WRITE_MAX));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(e, "dump: failed to write: %s", n ? g_strerror(errno) : "nothing was taken");
        p += n;
        len -= (u64)n;
        if (done)
            *done += (u64)n;
    }
    return 0;
}

/* A 32-bit file must have 32-bit offsets and addresses. */
static bool fits_in_32_bits(const GArray *mem)
{
    const struct piece *last = &g_array_index(mem, struct piece, mem->len - 1);

    return last->addr + last->len <= 4 * GiB && pieces_size(mem) < 4 * GiB - 16 * MiB;
}

int dump_write(struct vm *vm, const struct dump_range *range, int fd, u64 *done, struct err *e)
{
    bool is64 = vm_cpu(vm, 0)->efer & EFER_LMA;
    GByteArray *head = g_byte_array_new(), *note = notes(vm, is64);
    GArray *mem;
    int r;

    *done = 0;
    aspace_thread_online();
    mem = pieces(vm, range);
    if (!mem->len)
        r = err_set(e, "dump: no guest memory to dump");
    else {
        if (is64 || !fits_in_32_bits(mem))
            add_headers64(head, mem, note->len, is64 ? EM_X86_64 : EM_386);
        else
            add_headers32(head, mem, note->len);
        r = put(fd, head->data, head->len, NULL, e);
        if (r == 0)
            r = put(fd, note->data, note->len, NULL, e);
        for (unsigned i = 0; i < mem->len && r == 0; i++) {
            const struct piece *m = &g_array_index(mem, struct piece, i);
            r = put(fd, m->host, m->len, done, e);
        }
    }
    aspace_thread_offline();
    g_array_unref(mem);
    g_byte_array_unref(note);
    g_byte_array_unref(head);
    return r;
}
