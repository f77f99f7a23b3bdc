/* The loader of the optimiser's object files: sections that are allocated, relocations R_X86_64_64, PC32, PLT32. Code lock; called by tier.c
 * and the x64 backend. Source: System V ABI, AMD64 supplement, chapter 4. */
#include "accel/dbt/opt/object.h"
#include <elf.h>
#include <stdio.h>

static const void *at(const struct object *o, u64 off, u64 len)
{
    return off <= o->size && len <= o->size - off ? o->bytes + off : NULL;
}

static const Elf64_Shdr *section(const struct object *o, unsigned i)
{
    const Elf64_Ehdr *h = (const void *)o->bytes;
    return i < h->e_shnum ? at(o, h->e_shoff + (u64)i * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr)) : NULL;
}

static const struct object_section *loaded(const struct object *o, unsigned index)
{
    for (unsigned i = 0; i < o->n_sec; i++)
        if (o->sec[i].index == index)
            return &o->sec[i];
    return NULL;
}

int object_open(struct object *o, const u8 *bytes, size_t size)
{
    *o = (struct object){ .bytes = bytes, .size = size };
    const Elf64_Ehdr *h = at(o, 0, sizeof(*h));
    if (!h || (uintptr_t)bytes & 7 || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_X86_64 ||
        h->e_type != ET_REL || h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shoff & 7)
        return -1;
    for (unsigned i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s = section(o, i);
        if (!s)
            return -1;
        if (!(s->sh_flags & SHF_ALLOC) || !s->sh_size)
            continue;
        if (s->sh_type == SHT_NOTE)
            continue;
        const u8 *from = s->sh_type == SHT_NOBITS ? NULL : at(o, s->sh_offset, s->sh_size);
        u64 align = MAX_OF(s->sh_addralign, 1ull);
        if (o->n_sec == OBJECT_SECTIONS_MAX || align > 64 || align & (align - 1) || s->sh_flags & SHF_WRITE || (!from && s->sh_type != SHT_NOBITS) ||
            s->sh_size > 64 * MiB)
            return -1;
        size_t place = ALIGN_UP(o->image, align);
        o->sec[o->n_sec++] = (struct object_section){ i, from, s->sh_size, align, place };
        o->image = place + s->sh_size;
    }
    return o->n_sec ? 0 : -1;
}

static const char *string(const struct object *o, unsigned table, u64 off)
{
    const Elf64_Shdr *s = section(o, table);
    const char *text = s ? at(o, s->sh_offset, s->sh_size) : NULL;
    return text && off < s->sh_size && memchr(text + off, 0, s->sh_size - off) ? text + off : NULL;
}

static const Elf64_Sym *symbol_at(const struct object *o, const Elf64_Shdr *table, u64 n)
{
    return table && table->sh_type == SHT_SYMTAB && !(table->sh_offset & 7) && n < table->sh_size / sizeof(Elf64_Sym)
               ? at(o, table->sh_offset + n * sizeof(Elf64_Sym), sizeof(Elf64_Sym)) : NULL;
}

i64 object_function(const struct object *o, unsigned n)
{
    const Elf64_Ehdr *h = (const void *)o->bytes;
    char want[16];
    snprintf(want, sizeof(want), "r%u", n);
    for (unsigned i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *t = section(o, i);
        const Elf64_Sym *s;
        if (!t || t->sh_type != SHT_SYMTAB)
            continue;
        for (u64 k = 0; (s = symbol_at(o, t, k)); k++) {
            const char *name = string(o, t->sh_link, s->st_name);
            const struct object_section *sec = loaded(o, s->st_shndx);
            if (name && sec && !strcmp(name, want) && s->st_value < sec->size)
                return (i64)(sec->at + s->st_value);
        }
    }
    return -1;
}

/* room: bytes that the section still has at rw. */
static int relocate(u8 *rw, u64 room, u64 place, unsigned type, u64 value)
{
    i64 rel = (i64)(value - place);
    if (room < (type == R_X86_64_64 ? 8 : 4))
        return -1;
    switch (type) {
    case R_X86_64_64:
        st64(rw, value);
        return 0;
    case R_X86_64_PC32: case R_X86_64_PLT32:
        st32(rw, (u32)rel);
        return rel == (i32)rel ? 0 : -1;
    default:
        return -1;
    }
}

static int relocate_section(const struct object *o, const Elf64_Shdr *r, u8 *rw, const u8 *rx, object_symbol_fn *symbol, void *opaque)
{
    const struct object_section *to = loaded(o, r->sh_info);
    const Elf64_Shdr *syms = section(o, r->sh_link);
    const Elf64_Rela *a = at(o, r->sh_offset, r->sh_size);
    if (!to)
        return 0;
    if (!a || !syms || r->sh_offset & 7)
        return -1;
    for (u64 i = 0; i < r->sh_size / sizeof(*a); i++) {
        const Elf64_Sym *s = symbol_at(o, syms, ELF64_R_SYM(a[i].r_info));
        if (!s || a[i].r_offset >= to->size)
            return -1;
        const struct object_section *in = loaded(o, s->st_shndx);
        const char *name = string(o, syms->sh_link, s->st_name);
        u64 value = in ? (u64)(uintptr_t)rx + in->at + s->st_value : s->st_shndx == SHN_UNDEF && name ? symbol(opaque, name) : 0;
        u64 off = a[i].r_offset;
        if (!value || relocate(rw + to->at + off, to->size - off, (u64)(uintptr_t)rx + to->at + off, ELF64_R_TYPE(a[i].r_info), value + (u64)a[i].r_addend))
            return -1;
    }
    return 0;
}

int object_load(const struct object *o, u8 *rw, const u8 *rx, object_symbol_fn *symbol, void *opaque)
{
    const Elf64_Ehdr *h = (const void *)o->bytes;
    for (unsigned i = 0; i < o->n_sec; i++) {
        if (o->sec[i].from)
            memcpy(rw + o->sec[i].at, o->sec[i].from, o->sec[i].size);
        else
            memset(rw + o->sec[i].at, 0, o->sec[i].size);
    }
    for (unsigned i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s = section(o, i);
        if (s->sh_type == SHT_RELA && relocate_section(o, s, rw, rx, symbol, opaque))
            return -1;
    }
    return 0;
}
