/* Options about the machine and what its firmware finds: -machine, -boot, -fw_cfg, -smbios, -uuid and their like. Main thread, from
 * options.c. */
#include <string.h>
#include "ui/options.h"
#include "util/opts.h"
#include "util/uuid.h"

typedef enum options_result result;

/* A copy of a value that lives as long as the options. */
static const char *keep_copy(struct options *o, const char *s)
{
    char *copy = g_strdup(s);

    if (copy)
        g_ptr_array_add(o->strings, copy);
    return copy;
}

/* --- -machine ---------------------------------------------------------------------------------------------------------- */

/* Properties of which only some values can be had, and which then change nothing. */
static const struct { const char *name, *values; } fixed_props[] = {
    { "smm", "off auto" }, { "nvdimm", "off" }, { "i8042", "on" }, { "hmat", "off" },
    { "kernel-irqchip", "on off split" }, { "kernel_irqchip", "on off split" }, { "mem-merge", "on off" },
    { "suppress-vmdesc", "on off" }, { "sata", "on" }, { "smbus", "on" },
};

static bool word_in(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; n && (p = strstr(p, word)); p++)
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    return false;
}

/* 1: known and taken, 0: not one of these, -1: a value that cannot be had. */
static int take_fixed(const char *name, const char *value, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_LEN(fixed_props); i++)
        if (!strcmp(name, fixed_props[i].name))
            return word_in(fixed_props[i].values, value)
                       ? 1
                       : err_set(e, "-machine %s=%s: not available; there is %s", name, value, fixed_props[i].values);
    return 0;
}

static int read_strings(struct options *o, struct opts *p)
{
    static const struct { const char *name; size_t offset; } strings[] = {
        { "type", offsetof(struct options, machine.type) },       { "accel", offsetof(struct options, accel.accel) },
        { "kernel", offsetof(struct options, machine.kernel) },   { "initrd", offsetof(struct options, machine.initrd) },
        { "append", offsetof(struct options, machine.append) },   { "firmware", offsetof(struct options, machine.bios) },
        { "pflash0", offsetof(struct options, machine.pflash[0]) }, { "pflash1", offsetof(struct options, machine.pflash[1]) },
    };

    for (unsigned i = 0; i < ARRAY_LEN(strings); i++) {
        const char *v = opts_get(p, strings[i].name);
        if (v)
            *(const char **)((char *)o + strings[i].offset) = keep_copy(o, v);
    }
    return 0;
}

static int read_switches(struct options *o, struct opts *p, struct err *e)
{
    static const char *const entry_points[] = { "32", "64", "auto", NULL }, *const vmport[] = { "on", "off", "auto", NULL };
    bool on;
    int entry, port;

    if (opts_bool(p, "usb", o->machine.usb, &o->machine.usb, e) < 0 || opts_bool(p, "pit", !o->machine.no_pit, &on, e) < 0)
        return -1;
    o->machine.no_pit = !on;
    if (opts_bool(p, "hpet", !o->machine.no_hpet, &on, e) < 0)
        return -1;
    o->machine.no_hpet = !on;
    if (opts_peek(p, "acpi") && !strcmp(opts_peek(p, "acpi"), "auto"))
        opts_set(p, "acpi", "on");
    if (opts_bool(p, "acpi", !o->machine.no_acpi, &on, e) < 0)
        return -1;
    o->machine.no_acpi = !on;
    if (opts_bool(p, "dump-guest-core", !o->machine.no_guest_core, &on, e) < 0)
        return -1;
    o->machine.no_guest_core = !on;
    if (opts_bool(p, "graphics", true, &on, e) < 0 || opts_enum(p, "smbios-entry-point-type", entry_points, o->machine.smbios_v3, &entry, e) < 0)
        return -1;
    o->machine.smbios_v3 = entry == 1;
    if (opts_enum(p, "vmport", vmport, o->machine.vmport_user ? 0 : o->machine.no_vmport ? 1 : 2, &port, e) < 0)
        return -1;
    o->machine.vmport_user = port == 0;
    o->machine.no_vmport = port == 1;
    if (!on)
        o->nographic = true;
    return 0;
}

result options_machine(struct options *o, const char *arg, struct err *e)
{
    struct opts *p;
    int r;

    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        return options_print_machines();
    if (!*arg)
        return err_set(e, "-machine: the name of the machine is missing ('-machine help' lists them)");
    p = opts_parse(arg, "type", e);
    r = p ? read_strings(o, p) : -1;
    if (r == 0)
        r = read_switches(o, p, e) < 0 ? err_prefix(e, "-machine") : 0;
    for (unsigned i = 0; r == 0 && i < opts_count(p); i++) {
        int taken = take_fixed(opts_name(p, i), opts_value(p, i), e);
        if (taken > 0)
            opts_mark_used(p, i);
        r = MIN_OF(taken, 0);
    }
    if (r == 0)
        r = opts_all_used(p, e) < 0 ? err_prefix(e, "-machine %s", arg) : 0;
    opts_free(p);
    return r < 0 ? OPTIONS_ERROR : OPTIONS_RUN;
}

result options_no_acpi(struct options *o, const char *arg, struct err *e)
{
    o->machine.no_acpi = true;
    return OPTIONS_RUN;
}

result options_no_hpet(struct options *o, const char *arg, struct err *e)
{
    o->machine.no_hpet = true;
    return OPTIONS_RUN;
}

/* --- -boot -------------------------------------------------------------------------------------------------------------- */

int boot_letters_check(const char *letters, struct err *e)
{
    for (const char *p = letters; *p; p++) {
        if (!strchr("acdn", *p))
            return err_set(e, "Invalid boot device '%c': there are a (floppy), c (disk), d (CD-ROM) and n (network)", *p);
        if (strchr(p + 1, *p))
            return err_set(e, "Boot device '%c' was given twice", *p);
    }
    return *letters ? 0 : err_set(e, "which device to boot from is missing");
}

static int check_ms(struct opts *p, const char *name, int min, struct err *e)
{
    const char *v = opts_get(p, name);
    char *end;
    gint64 n = v ? g_ascii_strtoll(v, &end, 10) : 0;

    return v && (end == v || *end || n < min || n > 0xffff) ? err_set(e, "-boot %s=%s: not a number of ms from %d to 65535", name, v, min) : 0;
}

result options_boot(struct options *o, const char *arg, struct err *e)
{
    struct opts *p = opts_parse(arg, "order", e);
    struct machine_config *m = &o->machine;
    const char *order = p ? opts_get(p, "order") : NULL, *once = p ? opts_get(p, "once") : NULL;
    int r = p ? 0 : -1;

    if (r == 0 && (opts_peek(p, "splash")))
        r = err_set(e, "-boot splash=: boot splash pictures are not available");
    if (r == 0 && ((order && boot_letters_check(order, e) < 0) || (once && boot_letters_check(once, e) < 0)))
        r = err_prefix(e, "-boot");
    if (r == 0 && (check_ms(p, "splash-time", 0, e) < 0 || check_ms(p, "reboot-timeout", -1, e) < 0))
        r = -1;
    if (r == 0 && (opts_bool(p, "menu", m->boot_menu, &m->boot_menu, e) < 0 || opts_bool(p, "strict", m->boot_strict, &m->boot_strict, e) < 0 ||
                   opts_all_used(p, e) < 0))
        r = err_prefix(e, "-boot");
    if (r == 0) {
        m->boot_order = order ? keep_copy(o, order) : m->boot_order;
        m->boot_once = once ? keep_copy(o, once) : m->boot_once;
        m->splash_time = opts_get(p, "splash-time") ? keep_copy(o, opts_get(p, "splash-time")) : m->splash_time;
        m->reboot_timeout = opts_get(p, "reboot-timeout") ? keep_copy(o, opts_get(p, "reboot-timeout")) : m->reboot_timeout;
    }
    opts_free(p);
    return r < 0 ? OPTIONS_ERROR : OPTIONS_RUN;
}

/* --- what the machine reads itself ----------------------------------------------------------------------------------------- */

result options_option_rom(struct options *o, const char *arg, struct err *e)
{
    g_ptr_array_add(o->option_roms, (char *)arg);
    return OPTIONS_RUN;
}

result options_fw_cfg(struct options *o, const char *arg, struct err *e)
{
    g_ptr_array_add(o->fw_cfg, (char *)arg);
    return OPTIONS_RUN;
}

result options_smbios(struct options *o, const char *arg, struct err *e)
{
    g_ptr_array_add(o->smbios, (char *)arg);
    return OPTIONS_RUN;
}

result options_uuid(struct options *o, const char *arg, struct err *e)
{
    if (uuid_parse(arg, o->machine.uuid) < 0)
        return err_set(e, "-uuid %s: not of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", arg);
    return OPTIONS_RUN;
}

/* --- watchdogs ---------------------------------------------------------------------------------------------------------------- */

/* The older way of -device. */
result options_watchdog(struct options *o, const char *arg, struct err *e)
{
    if (strcmp(arg, "i6300esb") && strcmp(arg, "ib700"))
        return err_set(e, "-watchdog %s: there are i6300esb and ib700", arg);
    g_ptr_array_add(o->devices, (char *)arg);
    return OPTIONS_RUN;
}
