/* The machine: what devices hang on, and the requests that devices make of the process (reset, power-off, exit).
 * Owned by the main thread; the machine lock (m->lock) guards the devices. */
#ifndef HW_CORE_MACHINE_H
#define HW_CORE_MACHINE_H
#include "hw/core/device.h"
#include "hw/core/io_regs.h"
#include "util/lock.h"

struct aspace;
struct ram_block;
struct chr;
struct fw_cfg;
struct pci_bus;
struct console;
struct input;
struct machine_board;
struct balloon;

/* From the command line; strings are borrowed for the machine's life. */
struct machine_config {
    const char *type;       /* "pc" */
    u64 ram_size;           /* bytes */
    unsigned cpus;          /* 1..64 */
    const char *kernel, *initrd, *append, *bios, *image; /* NULL if absent */
    const char *serial[4];  /* -serial specs already made into chr below */
    struct chr *serial_chr[4];
    struct chr *debugcon_chr; /* -debugcon */
    const char *rtc_base;   /* "utc", "localtime" or an ISO date */
    bool rtc_vm_clock;      /* -rtc clock=vm: stands still while the machine is stopped */
    const char *cpu_vendor_note;
    const char *const *devices; unsigned n_devices; /* -device arguments, in order */
    const char *const *globals; unsigned n_globals; /* -global driver.prop=value */
    const char *const *data_dirs; unsigned n_data_dirs; /* -L */
    bool nodefaults;
    const char *vga;        /* class of the display adapter, NULL: none */
    bool usb;               /* the chipset's USB controller */
    bool nographic;         /* firmware's console is the first serial port */
    const char *pflash[2];  /* -machine pflash0=, pflash1=: names of -blockdev */
    bool no_pit, no_hpet, no_acpi; /* -machine pit=off, hpet=off, acpi=off */
    bool no_vmport;         /* -machine vmport=off: without VMware's port */
    bool vmport_user;       /* vmport=on: that port, and RDPMC's counters of VMware, are open to user mode */
    bool no_guest_core;     /* -machine dump-guest-core=off */
    unsigned cores, threads; /* of a socket, of a core; 0: 1 */
    u8 uuid[16];            /* -uuid, in the order of its text; zeros: none */
    const char *boot_order, *boot_once; /* -boot: letters a, c, d, n; NULL: not given */
    bool boot_menu, boot_strict;
    const char *splash_time, *reboot_timeout; /* numbers of ms; NULL: not given */
    const char *const *fw_cfg, *const *smbios, *const *option_roms; /* arguments of these options */
    unsigned n_fw_cfg, n_smbios, n_option_roms;
    bool smbios_v3;         /* -machine smbios-entry-point-type=64 */
    u32 tsc_khz;            /* TSC frequency the guest is told */
};

enum machine_request {
    REQ_NONE, REQ_RESET, REQ_SHUTDOWN /* guest power-off */, REQ_EXIT /* isa-debug-exit */, REQ_TRIPLE_FAULT,
    REQ_SUSPEND /* ACPI S3 */, REQ_WAKEUP,
    REQ_IO_ERROR,     /* a drive's error policy: stop ("io-error") until the user continues */
    REQ_PANIC,        /* pvpanic; code 0: panicked, 1: its crash kernel was loaded. What follows is -action panic= */
    REQ_WATCHDOG,     /* a watchdog has fired; what follows is -watchdog-action */
};

struct machine {
    struct machine_config cfg;
    struct lock lock;
    struct clock *clock;              /* set before machine_build by tests that step it; else the host's time */
    struct region mem_root, io_root;  /* io_root: 64 KiB of ports */
    struct aspace *mem, *io;
    struct ram_block *ram;
    struct device *devices;
    struct bus *buses;
    bool running;                     /* built and started once: what is added now is hot-plugged */
    struct cpu_pins pins;             /* filled by accel/ before machine_build */
    struct io_regs_ops io_regs;       /* as pins */
    const struct lapic_ops *lapic_ops; /* set by the machine */
    void *lapic[64];                  /* per CPU, for lapic_ops */
    struct irq_line gsi[24];          /* PIC + IOAPIC fan-out, set by the machine; devices get copies */
    struct msi_sink msi;
    struct fw_cfg *fw_cfg;
    struct pci_bus *pci;              /* NULL on a machine without PCI */
    struct console *consoles;         /* what display adapters show (hw/core/console.h), the primary one first */
    struct input *input;              /* where keys and pointer movements go (hw/core/input.h) */
    const struct machine_board *board; /* the machine type built, and its own state */
    void *board_state;
    /* A20 gate: while false, address line 20 reads as 0 in every CPU access. a20_changed (set by accel/, may be NULL) is
     * called after each change, machine lock held. */
    bool a20_enabled;
    /* ACPI S3: no CPU runs. A reset with this set is the waking: RAM and what a wake event needs stay. Machine lock. */
    bool suspended;
    void (*a20_changed)(void *opaque, bool on);
    void *a20_opaque;
    struct balloon *balloon;          /* NULL: none (hw/core/balloon.h) */
    void (*power_button)(struct machine *m); /* `system_powerdown`; set by the machine, NULL if it has none */
    /* Asks the main thread to act; any thread, returns at once. code: exit status for REQ_EXIT. */
    void (*request)(struct machine *m, enum machine_request r, int code);
    void *request_opaque;
    /* Current TSC of the given vCPU-independent platform clock, in ticks of tsc_khz; used by the TSC deadline timer:
     * converts a guest TSC value of vCPU n to VM clock ns and back. Set by accel/. */
    u64 (*tsc_now)(void *opaque, unsigned cpu);
    i64 (*tsc_to_ns)(void *opaque, unsigned cpu, u64 tsc);
    void *tsc_opaque;
    /* Direct kernel boot and multiboot: initial register state of CPU 0, filled by hw/machine/boot.c; entry_mode 0 means
     * "start at the reset vector". Applied by accel/ after each reset through hw-independent fields. */
    struct boot_state {
        int mode;      /* 0: reset vector; 32: flat protected mode, paging off; 16: real mode at cs:ip */
        u64 rip, rax, rbx, rcx, rdx, rsi, rdi, rsp;
        u16 cs;        /* real mode */
        u32 gdt_base; u16 gdt_limit; u16 sel_code, sel_data; /* 32: flat segments loaded with these selectors */
    } boot;
};

/* A machine type. Main thread, machine lock held. */
struct machine_board {
    const char *name;
    int (*build)(struct machine *m, struct err *e); /* may leave a half-built machine on failure: free follows */
    int (*finish)(struct machine *m, struct err *e); /* after -device has added what it has to */
    void (*reset)(struct machine *m);               /* after every device was reset */
    /* The n-th file that firmware is offered, and its length; NULL past the last. Borrowed. */
    const char *(*firmware_file)(const struct machine *m, unsigned n, u32 *len);
    void (*set_boot_order)(struct machine *m, const char *order); /* letters as of -boot order=, from the next start of the firmware on */
    void (*free)(struct machine *m);                /* before the devices are freed */
    void (*free_memory)(struct machine *m);         /* after the devices and address spaces are gone */
};

const struct machine_board *machine_board_nth(unsigned i); /* the default first; NULL past the last */

/* Builds RAM, chipset, devices, loads images. 0, or -1 with e set. Main thread. */
int machine_build(struct machine *m, const struct machine_config *cfg, struct err *e);
void machine_free(struct machine *m);
/* Resets every device (machine lock held, vCPUs stopped), reloads ROMs and the direct-boot image; or, if m->suspended, ends S3: the guest goes
 * on at its waking vector. */
void machine_reset(struct machine *m);

#endif
