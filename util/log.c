/* The log of -d and -D: item names, the output stream, and the rate limit of repeated lines. Any thread writes; the lock of
 * this file keeps lines whole. The mask is set by the command line and by the monitor's `log`. */
#include "util/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "util/err.h"
#include "util/lock.h"

/* In a burst of lines longer than this within one second, the rest of the second is only counted. It applies to the items
 * that a guest can trigger at will; traces asked for (in_asm, exec ...) are never cut. */
#define BURST_LINES 1000

u32 log_mask;

static struct {
    struct lock lock;
    FILE *file;           /* NULL: stderr */
    i64 burst_start;      /* second that burst_count counts */
    unsigned burst_count;
    unsigned dropped;
} out = { .lock = { .m = PTHREAD_MUTEX_INITIALIZER, .name = "log", .rank = RANK_LOG } };

static const struct item {
    const char *name;
    u32 mask;
    const char *help;
} items[] = {
    { "out_asm", LOG_OUT_ASM, "show emitted host code of each translated block" },
    { "in_asm", LOG_IN_ASM, "show guest code of each translated block" },
    { "op", LOG_IR, "show the IR of each translated block" },
    { "op_opt", LOG_IR_OPT, "show the IR after the passes" },
    { "int", LOG_INT, "show interrupts and exceptions as they are delivered" },
    { "exec", LOG_EXEC, "show each block as it is entered (many lines; chaining is off)" },
    { "cpu", LOG_CPU, "show the registers before each block (many lines; chaining is off)" },
    { "mmu", LOG_MMU, "show page walks that fault and changes of mode" },
    { "pcall", LOG_PCALL, "show protected-mode far calls, returns and task switches" },
    { "cpu_reset", LOG_RESET, "show the CPU state before each reset" },
    { "unimp", LOG_UNIMP, "show guest requests for what is not implemented" },
    { "guest_errors", LOG_GUEST_ERRORS, "show what a guest should not do, such as writing a read-only register" },
    { "dev", LOG_DEV, "show accesses to device registers" },
};

#define LIMITED (LOG_GUEST_ERRORS | LOG_UNIMP)

FILE *log_file(void)
{
    return out.file ? out.file : stderr;
}

/* True if this line is one too many of this second. The lock is held. */
static bool burst_is_over(void)
{
    struct timespec now;

    if (log_mask & ~LIMITED)
        return false;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec != out.burst_start) {
        if (out.dropped)
            fprintf(log_file(), "(%u more lines)\n", out.dropped);
        out.burst_start = now.tv_sec;
        out.burst_count = 0;
        out.dropped = 0;
    }
    if (++out.burst_count <= BURST_LINES)
        return false;
    out.dropped++;
    return true;
}

void log_print(const char *fmt, ...)
{
    char small[1024];
    char *line = small;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof(small)) {
        line = malloc((size_t)n + 1);
        if (!line)
            return;
        va_start(ap, fmt);
        vsnprintf(line, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    lock_acquire(&out.lock);
    if (!burst_is_over()) {
        fwrite(line, 1, (size_t)n, log_file());
        if (n == 0 || line[n - 1] != '\n')
            fputc('\n', log_file());
        fflush(log_file());
    }
    lock_release(&out.lock);
    if (line != small)
        free(line);
}

static const struct item *item_find(const char *name, size_t len)
{
    for (unsigned i = 0; i < ARRAY_LEN(items); i++)
        if (strlen(items[i].name) == len && !strncmp(items[i].name, name, len))
            return &items[i];
    return NULL;
}

int log_parse(const char *list, struct err *e)
{
    u32 mask = 0;

    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        const struct item *it = item_find(p, len);
        if (len == 3 && !strncmp(p, "all", 3)) {
            for (unsigned i = 0; i < ARRAY_LEN(items); i++)
                mask |= items[i].mask;
        } else if (len == 4 && !strncmp(p, "none", 4)) {
            mask = 0;
        } else if (it) {
            mask |= it->mask;
        } else {
            return err_set(e, "unknown log item '%.*s'; '-d help' lists them", (int)len, p);
        }
        p += len;
        if (*p == ',')
            p++;
    }
    __atomic_store_n(&log_mask, mask, __ATOMIC_RELAXED);
    return 0;
}

int log_open(const char *path, struct err *e)
{
    FILE *f = fopen(path, "we");

    if (!f)
        return err_set(e, "cannot open log file '%s': %s", path, strerror(errno));
    lock_acquire(&out.lock);
    if (out.file)
        fclose(out.file);
    out.file = f;
    lock_release(&out.lock);
    return 0;
}

const char *log_item_name(unsigned i, const char **help)
{
    if (i >= ARRAY_LEN(items))
        return NULL;
    if (help)
        *help = items[i].help;
    return items[i].name;
}
