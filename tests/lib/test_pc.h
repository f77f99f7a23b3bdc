/* A whole pc machine without CPUs, from a configuration, and image files made by tests. Used by one test thread. */
#ifndef TESTS_LIB_TEST_PC_H
#define TESTS_LIB_TEST_PC_H
#include "hw/core/machine.h"

struct test_pc {
    struct machine m;
    enum machine_request request; /* last */
    unsigned requests, ignnes, a20_changes;
};

/* cfg: only what differs from 64 MiB, one CPU, type "pc" needs to be set. NULL with e set if machine_build fails. The machine is
 * reset once. */
struct test_pc *test_pc_new(const struct machine_config *cfg, struct err *e);
/* The same with a clock that only clock_step() moves. */
struct test_pc *test_pc_new_stepped(const struct machine_config *cfg, struct err *e);
void test_pc_free(struct test_pc *p);
void test_pc_reset(struct test_pc *p);
u64 pc_in(struct test_pc *p, u16 port, unsigned size);
void pc_out(struct test_pc *p, u16 port, u64 val, unsigned size);
u64 pc_read(struct test_pc *p, u64 gpa, unsigned size);
/* A temporary file with these contents; free the name with test_file_free, which also deletes the file. */
char *test_file(const void *data, u64 len);
void test_file_free(char *path);

#endif
