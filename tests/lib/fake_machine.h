/* A machine without CPUs or chipset for device tests: manual clock, RAM, address spaces, recorded lines, MSIs and
 * requests. Used by one test thread. */
#ifndef TESTS_LIB_FAKE_MACHINE_H
#define TESTS_LIB_FAKE_MACHINE_H
#include "hw/core/machine.h"

struct fake_machine {
    struct machine m;
    struct region low_ram;
    int level[24];          /* of each GSI */
    unsigned rises[24];     /* 0 to 1 transitions of each GSI */
    unsigned falls[24];
    u64 msi_addr;           /* last message */
    u32 msi_data;
    struct msi msi;         /* all of it */
    unsigned msis;
    enum machine_request request; /* last request */
    int request_code;
    unsigned requests;
    unsigned kicks[64], nmis[64], smis[64], inits[64], sipis[64]; /* of cpu_pins */
    u8 sipi_vector[64];
    u32 io_regs[IO_REGS];   /* of the vCPU that the test plays */
    unsigned io_changed;    /* which of them a device has set, bits 1 << IO_... */
    bool io_by_monitor;     /* the accesses are none of a vCPU's */
    u64 tsc_offset;         /* the fake TSC runs at 1 tick a ns plus this */
};

/* 16 MiB of RAM at 0, all gsi lines recording, machine lock NOT held. cpus: m.cfg.cpus. Aborts on failure. */
struct fake_machine *fake_machine_new(unsigned cpus);
/* With its devices, the newest first, and its PCI bus, if the test has made any. */
void fake_machine_free(struct fake_machine *f);
/* Makes a device by class name and properties, machine lock taken; fails the test on error. */
struct device *fake_device(struct fake_machine *f, const char *cls, const char *props);
/* Port and memory accesses as a vCPU makes them. */
u64 fm_in(struct fake_machine *f, u16 port, unsigned size);
void fm_out(struct fake_machine *f, u16 port, u64 val, unsigned size);
u64 fm_read(struct fake_machine *f, u64 gpa, unsigned size);
void fm_write(struct fake_machine *f, u64 gpa, u64 val, unsigned size);
/* PCI configuration cycles on bus 0 through ports 0xcf8 and 0xcfc, which a host bridge of the test's must have. */
void fm_config_write(struct fake_machine *f, unsigned slot, unsigned fn, unsigned reg, u32 v, unsigned size);
u32 fm_config_read(struct fake_machine *f, unsigned slot, unsigned fn, unsigned reg, unsigned size);
/* Advances the clock with the machine lock held around the timer callbacks. */
void fm_step(struct fake_machine *f, i64 ns);
/* A line that records like GSI n's. */
struct irq_line fm_line(struct fake_machine *f, unsigned n);
/* Resets every device. */
void fm_reset(struct fake_machine *f);

#endif
