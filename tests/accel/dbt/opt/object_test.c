/* The loader of the optimiser's object files: a file made here by hand, what it becomes, and that no damage to it makes the loader read or write where
 * it should not. Tests accel/dbt/opt/object.c; the sanitizers watch. */
#include <elf.h>
#include <glib.h>
#include "accel/dbt/opt/object.h"

#define CALLED 0x10001000ull

/* Code: CALL gemel_flags; a PC-relative displacement to rodata + 4. Two functions, r0 at 0, r1 at 8. */
struct file {
    Elf64_Ehdr h;
    u8 text[16], rodata[8];
    Elf64_Rela rela[2];
    Elf64_Sym sym[5];
    char names[32];
    Elf64_Shdr sec[6];
};

static struct file *file_new(void)
{
    static const char names[] = "\0r0\0r1\0gemel_flags";
    struct file *f = g_new0(struct file, 1);
    memcpy(f->h.e_ident, ELFMAG, SELFMAG);
    f->h.e_ident[EI_CLASS] = ELFCLASS64;
    f->h.e_type = ET_REL;
    f->h.e_machine = EM_X86_64;
    f->h.e_shoff = offsetof(struct file, sec);
    f->h.e_shentsize = sizeof(Elf64_Shdr);
    f->h.e_shnum = G_N_ELEMENTS(f->sec);
    for (unsigned i = 0; i < sizeof(f->text); i++)
        f->text[i] = (u8)(0x90 + i);
    memcpy(f->rodata, "constant", 8);
    memcpy(f->names, names, sizeof(names));
    f->sec[1] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_offset = offsetof(struct file, text), .sh_size = 16, .sh_addralign = 16 };
    f->sec[2] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_offset = offsetof(struct file, rodata), .sh_size = 8, .sh_addralign = 32 };
    f->sec[3] = (Elf64_Shdr){ .sh_type = SHT_RELA, .sh_offset = offsetof(struct file, rela), .sh_size = sizeof(f->rela), .sh_link = 4, .sh_info = 1 };
    f->sec[4] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB, .sh_offset = offsetof(struct file, sym), .sh_size = sizeof(f->sym), .sh_link = 5 };
    f->sec[5] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct file, names), .sh_size = sizeof(f->names) };
    f->sym[1] = (Elf64_Sym){ .st_name = 1, .st_shndx = 1 };
    f->sym[2] = (Elf64_Sym){ .st_name = 4, .st_shndx = 1, .st_value = 8 };
    f->sym[3] = (Elf64_Sym){ .st_name = 7 };
    f->sym[4] = (Elf64_Sym){ .st_shndx = 2 };
    f->rela[0] = (Elf64_Rela){ 1, ELF64_R_INFO(3, R_X86_64_PLT32), -4 };
    f->rela[1] = (Elf64_Rela){ 12, ELF64_R_INFO(4, R_X86_64_PC32), 0 };
    return f;
}

static u64 symbol(void *opaque, const char *name) { return strcmp(name, "gemel_flags") ? 0 : CALLED; }

static void test_load(void)
{
    struct file *f = file_new();
    struct object o;
    const u8 *rx = (const u8 *)0x10000000ull;
    g_assert_cmpint(object_open(&o, (const u8 *)f, sizeof(*f)), ==, 0);
    g_assert_cmpuint(o.image, ==, 40);
    g_assert_cmpint(object_function(&o, 0), ==, 0);
    g_assert_cmpint(object_function(&o, 1), ==, 8);
    g_assert_cmpint(object_function(&o, 2), ==, -1);
    u8 image[40];
    g_assert_cmpint(object_load(&o, image, rx, symbol, NULL), ==, 0);
    g_assert_cmpint(image[0], ==, 0x90);
    g_assert_cmpuint(ld32(image + 1), ==, CALLED - 4 - (u64)(uintptr_t)(rx + 1));
    g_assert_cmpuint(ld32(image + 12), ==, 32 - 12);
    g_assert_cmpint(memcmp(image + 32, "constant", 8), ==, 0);
    g_free(f);
}

static void test_refused(void)
{
    struct file *f = file_new();
    struct object o;
    u8 image[40];
    f->rela[1].r_offset = 13; /* three bytes are left */
    g_assert_cmpint(object_open(&o, (const u8 *)f, sizeof(*f)), ==, 0);
    g_assert_cmpint(object_load(&o, image, image, symbol, NULL), ==, -1);
    f->rela[1].r_offset = 12;
    f->rela[1].r_info = ELF64_R_INFO(4, R_X86_64_GOTPCREL);
    g_assert_cmpint(object_load(&o, image, image, symbol, NULL), ==, -1);
    f->rela[1].r_info = ELF64_R_INFO(0, R_X86_64_PC32); /* a symbol that nobody knows */
    g_assert_cmpint(object_load(&o, image, image, symbol, NULL), ==, -1);
    f->sec[2].sh_flags |= SHF_WRITE;
    g_assert_cmpint(object_open(&o, (const u8 *)f, sizeof(*f)), ==, -1);
    g_free(f);
}

/* Any few bytes changed, and any length. */
static void test_damaged(void)
{
    unsigned loaded = 0;
    for (unsigned n = 0; n < 200000; n++) {
        struct file *f = file_new();
        struct object o;
        size_t size = n & 1 ? sizeof(*f) : (size_t)g_test_rand_int_range(0, sizeof(*f));
        for (int k = g_test_rand_int_range(1, 4); k; k--)
            ((u8 *)f)[g_test_rand_int_range(0, sizeof(*f))] = (u8)g_test_rand_int();
        u8 *copy = g_memdup2(f, size); /* so that what reads behind it is noticed */
        if (!object_open(&o, copy, size) && o.image < 1 * MiB) {
            u8 *image = g_malloc(o.image);
            loaded += !object_load(&o, image, image, symbol, NULL);
            object_function(&o, 0);
            g_free(image);
        }
        g_free(copy);
        g_free(f);
    }
    g_test_message("%u were loaded all the same", loaded);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/opt/object/load", test_load);
    g_test_add_func("/opt/object/refused", test_refused);
    g_test_add_func("/opt/object/damaged", test_damaged);
    return g_test_run();
}
