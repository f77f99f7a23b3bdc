/* Formats and prints host and configuration errors; any thread. The one place that knows how a message to the user looks:
 * "gemel: MESSAGE" on standard error. */
#include "util/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

int err_set(struct err *e, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return -1;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    char old[sizeof(e->msg)];
    va_list ap;
    int n;

    if (!e)
        return -1;
    memcpy(old, e->msg, sizeof(old));
    va_start(ap, fmt);
    n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(e->msg))
        snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %s", old);
    return -1;
}

static bool timestamps;

void err_set_timestamps(bool on)
{
    timestamps = on;
}

/* "2026-11-27T03:21:08.123456Z ", or nothing. */
static const char *stamp(char *buf, size_t size)
{
    struct timespec t;
    struct tm tm;
    size_t n;

    *buf = 0;
    if (!timestamps)
        return buf;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, size - n, ".%06ldZ ", t.tv_nsec / 1000);
    return buf;
}

void err_report(const struct err *e)
{
    char when[64];

    fprintf(stderr, "%sgemel: %s\n", stamp(when, sizeof(when)), e->msg);
}

void warn_report(const char *fmt, ...)
{
    char msg[512], when[64];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    fprintf(stderr, "%sgemel: warning: %s\n", stamp(when, sizeof(when)), msg);
}
