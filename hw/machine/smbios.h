/* SMBIOS tables. Main thread. */
#ifndef HW_MACHINE_SMBIOS_H
#define HW_MACHINE_SMBIOS_H
#include <glib.h>
#include "util/err.h"

#define SMBIOS_TABLES_FILE "etc/smbios/smbios-tables"
#define SMBIOS_ANCHOR_FILE "etc/smbios/smbios-anchor"

struct smbios_config {
    const char *product, *version; /* of the machine */
    u64 ram_low, ram_high;         /* bytes below the PCI hole and from 4 GiB up */
    unsigned sockets, cores, threads; /* in all; cores and threads of a socket */
    u8 uuid[16];                   /* -uuid; all zeros: not settable */
    const char *const *options; unsigned n_options; /* -smbios */
    bool v3;                       /* 64-bit entry point */
};

struct smbios {
    GByteArray *tables, *anchor;   /* the anchor's table address is 0 until placed */
};

/* NULL with e set: an option that is wrong. */
struct smbios *smbios_build(const struct smbios_config *c, struct err *e);
/* The anchor's address of the tables and its checksums. */
void smbios_place(struct smbios *s, u64 tables_gpa);
void smbios_free(struct smbios *s);

#endif
