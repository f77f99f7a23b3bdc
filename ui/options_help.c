/* The lists that options print: usage, CPU models, machines, engines, log items, devices. Main thread, from options.c;
 * everything here goes to standard output, for a person or a pipe. */
#include <stdio.h>
#include "config.h"
#include "cpu/cpuid.h"
#include "hw/core/device.h"
#include "ui/options.h"
#include "util/log.h"

#define COLUMN 34

static void print_options(const struct option *table)
{
    for (const struct option *t = table; t->name; t++) {
        int n = printf("-%s%s%s", t->name, t->arg ? " " : "", t->arg ? t->arg : "");
        if (n >= COLUMN)
            n = printf("\n") - 1;
        printf("%*s%s\n", COLUMN - n, "", t->help);
    }
}

void options_print_usage(void)
{
    printf("Gemel emulator version %s\nusage: gemel [OPTION]... [IMAGE]\n\n"
           "IMAGE is a kernel or a disk; what it is, is found out. Options may begin with one or two dashes.\n\n",
           GEMEL_VERSION);
    print_options(option_table);
    print_options(block_options);
    print_options(control_options);
    printf("\nIn -nographic mode Ctrl-a x ends the program, Ctrl-a c switches to the monitor, Ctrl-a h lists the keys.\n"
           "Exit status: 0 guest powered off, 1 wrong usage or unusable host, 3 triple fault under -no-reboot,\n"
           "2*N+1 after the guest wrote N to isa-debug-exit.\n");
}

enum options_result options_print_cpus(void)
{
    const char *name, *desc;
    int col = 0;

    printf("Available CPUs:\n");
    for (unsigned i = 0; (name = cpu_model_name_nth(i, &desc)); i++)
        printf("  %-22s %s\n", name, desc ? desc : "");
    printf("\nRecognized CPUID flags:\n");
    for (unsigned i = 0; (name = cpu_feature_name_nth(i)); i++) {
        if (col + (int)strlen(name) > 74) {
            printf("\n");
            col = 0;
        }
        col += printf("%s%s", col ? " " : "  ", name);
    }
    printf("\n");
    return OPTIONS_DONE;
}

enum options_result options_print_machines(void)
{
    printf("Supported machines are:\n%-20s %s\n%-20s %s\n", "pc", "PC with PCI, ACPI and legacy devices (default)", "q35",
           "PC with PCI Express (Q35 and ICH9 chipset)");
    return OPTIONS_DONE;
}

enum options_result options_print_accels(void)
{
    printf("Accelerators supported in this build:\ndbt\n");
    return OPTIONS_DONE;
}

enum options_result options_print_log_items(void)
{
    const char *name, *help;

    printf("Log items (comma separated):\n");
    for (unsigned i = 0; (name = log_item_name(i, &help)); i++)
        printf("%-15s %s\n", name, help);
    return OPTIONS_DONE;
}

enum options_result options_print_devices(void)
{
    const struct dev_class *c;

    for (unsigned i = 0; (c = dev_class_nth(i)); i++)
        if (c->user_creatable)
            printf("name \"%s\", desc \"%s\"\n", c->name, c->desc ? c->desc : "");
    return OPTIONS_DONE;
}

static void print_prop(const struct prop *p)
{
    static const char *const kinds[] = {
        [PROP_U8] = "uint8", [PROP_U16] = "uint16", [PROP_U32] = "uint32", [PROP_U64] = "uint64",
        [PROP_BOOL] = "bool", [PROP_I32] = "int32", [PROP_SIZE] = "size", [PROP_AUTO] = "on|off|auto", [PROP_STR] = "str",
        [PROP_ENUM] = "str", [PROP_MAC] = "str", [PROP_CHR] = "str", [PROP_DRIVE] = "str", [PROP_NET] = "str",
    };
    char def[64] = "";

    if (p->kind == PROP_BOOL)
        snprintf(def, sizeof(def), " (default: %s)", p->def ? "on" : "off");
    else if (p->kind == PROP_I32)
        snprintf(def, sizeof(def), " (default: %d)", (int)(i32)p->def);
    else if (p->kind == PROP_AUTO)
        snprintf(def, sizeof(def), " (default: %s)", p->def == AUTO_OFF ? "off" : p->def == AUTO_ON ? "on" : "auto");
    else if (p->kind < PROP_STR)
        snprintf(def, sizeof(def), " (default: %#llx)", (unsigned long long)p->def);
    else if (p->def_str)
        snprintf(def, sizeof(def), " (default: \"%s\")", p->def_str);
    printf("  %s=<%s>%*s- %s%s\n", p->name, kinds[p->kind], (int)MAX_OF(1, 20 - (int)strlen(p->name)), "",
           p->help ? p->help : "", def);
}

enum options_result options_print_device(const char *name, struct err *e)
{
    const struct dev_class *c = dev_class_find(name);

    if (!c || !c->user_creatable)
        return err_set(e, "-device %s: there is no such device; '-device help' lists them", name);
    printf("%s options:\n", c->name);
    for (const struct prop *p = c->props; p && p->kind != PROP_END; p++)
        print_prop(p);
    return OPTIONS_DONE;
}
