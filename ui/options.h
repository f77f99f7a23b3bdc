/* The command line: QEMU's option names and syntax, checked and turned into the configurations of machine, engine and
 * user interface. Main thread, from main.c, once. */
#ifndef UI_OPTIONS_H
#define UI_OPTIONS_H
#include <glib.h>
#include "accel/accel.h"
#include "hw/core/machine.h"
#include "ui/display.h"
#include "util/err.h"

#define SERIAL_MAX 4

struct mon_option {
    const char *arg;
    enum { MON_HMP, MON_QMP, MON_QMP_PRETTY, MON_CHARDEV } form;
};

struct options {
    struct accel_config accel;
    struct machine_config machine;
    const char *serial[SERIAL_MAX]; /* specs; "none" leaves the port out */
    unsigned n_serial;
    const char *gdb, *debugcon; /* specs; NULL: none */
    GArray *mons;               /* struct mon_option: -monitor, -qmp, -mon, in order */
    const char *log_items, *log_path;
    const char *pidfile; /* NULL: none */
    bool daemonize;
    const char *name;
    bool nographic;
    struct display_options display;
    const char *vga; /* -vga as a device class, "" for none; NULL: not given */
    GPtrArray *chardevs; /* -chardev arguments */
    GPtrArray *drives, *blockdevs; /* options_block.c's */
    bool snapshot;       /* -snapshot */

    /* while parsing */
    GPtrArray *devices, *globals, *data_dirs, *fw_cfg, *smbios, *option_roms;
    GPtrArray *strings;  /* owns what the pointers above point to */
    bool ram_given;
    bool monitor_given;
    GPtrArray *netdevs;  /* struct net_option, in order */
    GPtrArray *objects;  /* options_object.c's */
    bool net_given;      /* some option was about networks */
    unsigned n_nics, n_hub_ports;
};

/* What a network option asks for, and the option itself for messages. */
struct net_option {
    struct opts *opts;
    char *option;
};

enum options_result { OPTIONS_ERROR = -1, OPTIONS_RUN, OPTIONS_DONE /* something was printed; exit with status 0 */ };

enum options_result options_parse(struct options *o, int argc, char **argv, struct err *e);
void options_free(struct options *o);

/* Opens the network back ends. Before machine_build. */
int nets_open(struct options *o, struct err *e);
/* Makes the objects of -object; late: those that need network back ends, else the others. */
int objects_open(struct options *o, bool late, struct err *e);

/* --- for options*.c --- */
/* options_machine.c */
enum options_result options_machine(struct options *o, const char *arg, struct err *e);
/* Letters as -boot order= takes them. 0, or -1 with e set. */
int boot_letters_check(const char *letters, struct err *e);
enum options_result options_boot(struct options *o, const char *arg, struct err *e);
enum options_result options_option_rom(struct options *o, const char *arg, struct err *e);
enum options_result options_fw_cfg(struct options *o, const char *arg, struct err *e);
enum options_result options_smbios(struct options *o, const char *arg, struct err *e);
enum options_result options_uuid(struct options *o, const char *arg, struct err *e);
enum options_result options_no_acpi(struct options *o, const char *arg, struct err *e);
enum options_result options_no_hpet(struct options *o, const char *arg, struct err *e);
enum options_result options_watchdog(struct options *o, const char *arg, struct err *e);
enum options_result options_netdev(struct options *o, const char *arg, struct err *e);
enum options_result options_nic(struct options *o, const char *arg, struct err *e);
enum options_result options_net(struct options *o, const char *arg, struct err *e);
enum options_result options_object(struct options *o, const char *arg, struct err *e);
enum options_result options_net_default(struct options *o, struct err *e); /* after all options */
void net_option_free(gpointer p);
void object_option_free(gpointer p);
struct option {
    const char *name;
    const char *arg;  /* placeholder of the argument, NULL if there is none */
    enum options_result (*fn)(struct options *o, const char *arg, struct err *e);
    const char *help;
};
extern const struct option option_table[];
/* --- options_control.c --- */
extern const struct option control_options[];
bool option_is_refused(const char *name); /* an option of QEMU that is known and does not exist here */
const struct option *option_find(const char *name);
void options_print_usage(void);
enum options_result options_print_cpus(void);
enum options_result options_print_machines(void);
enum options_result options_print_accels(void);
enum options_result options_print_log_items(void);
enum options_result options_print_devices(void);
/* Properties of one class. */
enum options_result options_print_device(const char *cls, struct err *e);
/* --- options_block.c --- */
extern const struct option block_options[];
void options_block_init(struct options *o);
void options_block_free(struct options *o);
/* Gives every drive its place and id, and if=virtio its device; after all options are read. 0 or -1. */
int options_place_drives(struct options *o, struct err *e);
/* Opens what -blockdev, -drive and their short forms name, and puts it in the list of hw/backend/drive.h. 0 or -1. */
int options_open_drives(struct options *o, struct err *e);

int options_parse_size(const char *s, u64 unit, u64 *out);

#endif
