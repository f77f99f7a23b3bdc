/* What `make bench` measures, and what issue 4 wants of it: two tables. Counts make a program run 0.2 to 0.5 s on the host. */
#include "bench/driver/bench.h"

/* clang-format off */
const struct row rows[] = {
    { "integer", "sort", 50, SESSION_ONE },
    { "integer", "hash", 300, SESSION_ONE },
    { "integer", "crc32", 75, SESSION_ONE },
    { "integer", "lz", 350, SESSION_ONE },
    { "integer", "sha256", 170, SESSION_ONE },
    { "integer", "switch", 30, SESSION_ONE },
    { "integer", "goto", 45, SESSION_ONE },
    { "integer", "calls", 190, SESSION_ONE },
    { "integer", "core", 100, SESSION_ONE },
    { "fp", "nbody", 330, SESSION_ONE },
    { "fp", "mandelbrot", 200, SESSION_ONE },
    { "fp", "spectral", 300, SESSION_ONE },
    { "fp", "wave", 320, SESSION_ONE },
    { "fp", "x87", 350, SESSION_ONE },
    { "memory", "chase", 80, SESSION_ONE },
    { "memory", "copy", 500, SESSION_ONE },
    { "memory", "triad", 600, SESSION_ONE },
    { "memory", "rep-movs", 1300, SESSION_ONE },
    { "memory", "rep-stos", 1500, SESSION_ONE },
    { "memory", "update", 120, SESSION_ONE },
    { "os", "getpid", 150, SESSION_ONE },
    { "os", "clock", 700, SESSION_ONE },
    { "os", "pipe", 100, SESSION_ONE },
    { "os", "fork", 150, SESSION_ONE },
    { "os", "exec", 100, SESSION_ONE },
    { "os", "mmap", 100, SESSION_ONE },
    { "os", "signal", 75, SESSION_ONE },
    { "os", "fault", 60, SESSION_ONE },
    { "os", "threads", 100, SESSION_ONE },
    { "smp", "one", 8, SESSION_ONE },
    { "smp", "two", 8, SESSION_TWO },
    { "boot", "init", 0, SESSION_BOOT },
    { "start", "first instruction", 0, SESSION_START },
    { "selftest", "right", 20, SESSION_ONE },
    { "selftest", "wrong", 20, SESSION_ONE },
};
const unsigned row_count = G_N_ELEMENTS(rows);

const struct target targets[] = {
    { "integer", "integer", TARGET_SLOWDOWN, 2.0 },
    { "fp", "scalar floating point", TARGET_SLOWDOWN, 1.6 },
    { "simd", "SIMD", TARGET_SLOWDOWN, 1.6 },
    { "memory", "memory", TARGET_SLOWDOWN, 2.5 },
    { "os", "OS", TARGET_SLOWDOWN, 5 },
    { "codegen", "code generation in the guest", TARGET_SLOWDOWN, 20 },
    { "boot", "boot to init, of the peer's time", TARGET_PEER, 0.5 },
    { "start", "start to first guest instruction, ms", TARGET_SECONDS, 0.015 },
    { "smp", "two vCPUs against one", TARGET_SCALING, 1.9 },
};
const unsigned target_count = G_N_ELEMENTS(targets);
/* clang-format on */
