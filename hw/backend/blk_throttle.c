/* Leaky buckets: a bucket leaks avg units a second and a request waits while the bucket is too full. With a burst rate (-max) and length a
 * second bucket leaks at that rate and the first may fill up to max * length. Device lock held. */
#include "hw/backend/blk_throttle.h"
#include <glib.h>

struct bucket {
    double level;       /* units above empty, of the average rate */
    double burst_level; /* of the burst rate, when there is a length > 1 */
};

struct blk_throttle {
    struct blk_limits l;
    struct bucket b[THROTTLES];
    i64 last;
};

const char *const throttle_names[THROTTLES] = { "bps-total", "bps-read", "bps-write", "iops-total", "iops-read", "iops-write" };
static const char *const old_names[THROTTLES] = { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr" };

static int read_limit(struct opts *o, const char *prefix, const char *name, const char *suffix, u64 *out, struct err *e)
{
    char *full = g_strdup_printf("%s%s%s", prefix, name, suffix);
    int r = opts_uint(o, full, *out, 0, 1000000000000000ull, out, e);

    g_free(full);
    return r;
}

int throttle_parse(struct opts *o, struct blk_limits *l, struct err *e)
{
    for (unsigned i = 0; i < THROTTLES; i++) {
        l->of[i].length = MAX_OF(l->of[i].length, 1);
        if (read_limit(o, "", old_names[i], "", &l->of[i].avg, e) < 0 || read_limit(o, "", old_names[i], "_max", &l->of[i].max, e) < 0 ||
            read_limit(o, "throttling.", throttle_names[i], "", &l->of[i].avg, e) < 0 ||
            read_limit(o, "throttling.", throttle_names[i], "-max", &l->of[i].max, e) < 0 ||
            read_limit(o, "throttling.", throttle_names[i], "-max-length", &l->of[i].length, e) < 0)
            return -1;
    }
    if (read_limit(o, "", "iops_size", "", &l->iops_size, e) < 0 || read_limit(o, "throttling.", "iops-size", "", &l->iops_size, e) < 0)
        return -1;
    return throttle_check(l, e);
}

int throttle_check(const struct blk_limits *l, struct err *e)
{
    for (unsigned i = 0; i < THROTTLES; i += 3)
        if ((l->of[i].avg && (l->of[i + 1].avg || l->of[i + 2].avg)) || (l->of[i].max && (l->of[i + 1].max || l->of[i + 2].max)))
            return err_set(e, "bps/iops/max total values and read/write values cannot be used at the same time");
    for (unsigned i = 0; i < THROTTLES; i++) {
        if (l->of[i].max && !l->of[i].avg)
            return err_set(e, "bps_max/iops_max require corresponding bps/iops values");
        if (l->of[i].max && l->of[i].max < l->of[i].avg)
            return err_set(e, "bps_max/iops_max cannot be lower than bps/iops");
        if (l->of[i].length == 0)
            return err_set(e, "the burst length cannot be 0");
        if (l->of[i].length > 1 && !l->of[i].max)
            return err_set(e, "burst length set without burst rate");
    }
    if (l->iops_size && !l->of[THROTTLE_IOPS_TOTAL].avg && !l->of[THROTTLE_IOPS_READ].avg && !l->of[THROTTLE_IOPS_WRITE].avg)
        return err_set(e, "iops size requires an iops value to be set");
    return 0;
}

bool throttle_wanted(const struct blk_limits *l)
{
    for (unsigned i = 0; i < THROTTLES; i++)
        if (l->of[i].avg)
            return true;
    return false;
}

struct blk_throttle *throttle_new(const struct blk_limits *l)
{
    struct blk_throttle *t = g_new0(struct blk_throttle, 1);

    t->l = *l;
    return t;
}

void throttle_free(struct blk_throttle *t)
{
    g_free(t);
}

const struct blk_limits *throttle_limits(const struct blk_throttle *t)
{
    return &t->l;
}

static void throttle_leak(struct blk_throttle *t, i64 now)
{
    double s = t->last ? (now - t->last) / 1e9 : 0;

    t->last = now;
    for (unsigned i = 0; i < THROTTLES; i++) {
        t->b[i].level = MAX_OF(t->b[i].level - t->l.of[i].avg * s, 0);
        t->b[i].burst_level = MAX_OF(t->b[i].burst_level - t->l.of[i].max * s, 0);
    }
}

/* Buckets hold a tenth of a second's worth without a burst rate. */
static double bucket_wait(const struct blk_throttle *t, unsigned i)
{
    double avg = t->l.of[i].avg, max = t->l.of[i].max, extra, wait = 0;

    if (!avg)
        return 0;
    extra = t->b[i].level - (max ? max * t->l.of[i].length : avg / 10);
    if (extra > 0)
        wait = extra / avg;
    if (max && t->l.of[i].length > 1 && (extra = t->b[i].burst_level - max / 10) > 0)
        wait = MAX_OF(wait, extra / max);
    return wait;
}

i64 throttle_wait(struct blk_throttle *t, bool write, i64 now)
{
    unsigned own = write ? 2 : 1;
    double wait;

    throttle_leak(t, now);
    wait = MAX_OF(bucket_wait(t, THROTTLE_BPS_TOTAL), bucket_wait(t, THROTTLE_IOPS_TOTAL));
    wait = MAX_OF(wait, MAX_OF(bucket_wait(t, THROTTLE_BPS_TOTAL + own), bucket_wait(t, THROTTLE_IOPS_TOTAL + own)));
    return wait > 0 ? (i64)(wait * 1e9) + 1 : 0;
}

void throttle_account(struct blk_throttle *t, bool write, u64 len, i64 now)
{
    unsigned own = write ? 2 : 1;
    double ops = t->l.iops_size && len > t->l.iops_size ? (double)len / t->l.iops_size : 1;
    const struct { unsigned i; double units; } add[] = {
        { THROTTLE_BPS_TOTAL, len }, { THROTTLE_BPS_TOTAL + own, len }, { THROTTLE_IOPS_TOTAL, ops }, { THROTTLE_IOPS_TOTAL + own, ops },
    };

    throttle_leak(t, now);
    for (unsigned i = 0; i < ARRAY_LEN(add); i++) {
        t->b[add[i].i].level += add[i].units;
        t->b[add[i].i].burst_level += add[i].units;
    }
}
