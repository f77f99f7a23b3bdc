/* Types of `make bench`'s driver: rows are what is measured, machines where, results the samples of each in each. One thread. */
#ifndef BENCH_DRIVER_BENCH_H
#define BENCH_DRIVER_BENCH_H
#include <glib.h>
#include <stdbool.h>

/* How a row is measured, and in which kind of session. */
enum session_kind {
    SESSION_START,  /* a ROM whose first instruction writes a byte: to that byte */
    SESSION_BOOT,   /* a kernel and the agent: to the agent's first line */
    SESSION_ONE,    /* programs on one CPU */
    SESSION_TWO,    /* programs on two CPUs */
    SESSION_REAL,   /* programs of Debian's, in a root of their own */
    SESSION_KINDS
};

struct row {
    const char *group, *name;
    unsigned count; /* rounds; 0: there are no programs in this kind of session */
    enum session_kind session;
};
extern const struct row rows[];
extern const unsigned row_count;

/* What issue 4 wants of a group. */
enum target_kind {
    TARGET_SLOWDOWN, /* geometric mean of slowdowns, CPU time, at most */
    TARGET_PEER,     /* CPU time over the first peer's, at most */
    TARGET_WARM,     /* the same, only of an engine with code of earlier runs */
    TARGET_SECONDS,  /* wall time, at most */
    TARGET_SCALING   /* throughput of two CPUs over one's, at least */
};

struct target {
    const char *group, *what;
    enum target_kind kind;
    double wanted;
};
extern const struct target targets[];
extern const unsigned target_count;

struct sample {
    double wall, cpu; /* seconds */
    unsigned count;   /* rounds that were run */
};

struct result {
    GArray *samples; /* struct sample, one for each run */
    bool absent;     /* the processor there has not what it takes */
    bool wrong;
};

struct machine {
    char *name;
    int patience;           /* seconds after which a boot or a program is given up */
    char **argv;            /* of an emulator, QEMU's options will follow; NULL: the host itself */
    struct result *results; /* [row_count] */
};

struct config {
    char *kernel, *initrd[SESSION_KINDS], *rom, *programs, *root, *out, *only;
    int runs, divide;           /* the rows' counts are divided */
    double limit;               /* seconds of one program in an emulator, about; less rounds are run then */
    struct machine *machines;   /* the host, Gemel, peers */
    unsigned machine_count, first_peer;
};

/* session.c. measure_session: one session of a kind on a machine, all rows in it that are chosen. Returns the number of failures, which it tells
 * about on standard error. */
unsigned measure_session(const struct config *c, struct machine *m, enum session_kind kind);
/* Is the row chosen by ONLY, by its group or as GROUP/NAME? */
bool row_chosen(const struct config *c, const struct row *row);

/* figures.c. What is measured: wall or CPU time of one round. */
enum figure { WALL, CPU };
double result_median(const struct result *r, enum figure f); /* NAN without samples */
double result_min(const struct result *r, enum figure f);
/* Median, or minimum, over the host's; NAN if either is not known. */
double slowdown(const struct config *c, const struct machine *m, unsigned row, enum figure f, bool minimum);
double group_slowdown(const struct config *c, const struct machine *m, const char *group, enum figure f, bool minimum);
double group_scaling(const struct machine *m, const char *group);
/* What a machine reaches of a target, NAN if that was not measured; and is it enough? */
double target_measured(const struct config *c, const struct machine *m, const struct target *t);
bool target_met(const struct target *t, double measured);

/* report.c, plot.c */
void report_print(const struct config *c);
bool report_write_json(const struct config *c, const char *file, GError **err);
bool plot_write(const struct config *c, const char *file, GError **err);
#endif
