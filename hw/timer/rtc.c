/* The MC146818 real-time clock with its CMOS RAM: ports 0x70/0x71 and the extended bank at 0x72/0x73. vCPU threads and timer
 * callbacks, machine lock held. Specification: Motorola MC146818A data sheet; register 0x32 (century): ACPI 4.8.2.4.
 * The time is kept as an offset from its source, the host's wall clock or VM time (-rtc clock=), and turned into registers when somebody
 * looks. */
#include "hw/timer/rtc.h"
#include <glib.h>
#include <stdio.h>
#include "hw/core/machine.h"
#include "util/event.h"

enum {
    R_SEC, R_SEC_ALARM, R_MIN, R_MIN_ALARM, R_HOUR, R_HOUR_ALARM, R_WDAY, R_MDAY, R_MONTH, R_YEAR, R_A, R_B, R_C, R_D,
    R_CENTURY = 0x32,
};
#define A_UIP 0x80
#define B_SET 0x80
#define B_PIE 0x40
#define B_AIE 0x20
#define B_UIE 0x10
#define B_BINARY 0x04
#define B_24H 0x02
#define C_IRQF 0x80
#define C_PF 0x40
#define C_AF 0x20
#define C_UF 0x10
#define D_VRT 0x80
#define YEAR_MAX 2250 /* in 64 bits of ns since 1970 */
#define UIP_NS 244000 /* UIP rises this long before the update */

struct rtc {
    struct device dev;
    struct irq_line irq8;
    u8 cmos[256];      /* registers, RAM, extended bank */
    u8 index, ext_index;
    i64 base;          /* what offset was as -rtc base= says */
    i64 offset;        /* guest time minus the source's, ns; while stopped the registers hold the time */
    i64 seen;          /* last guest second whose update is accounted for in register C */
    i64 periodic_base; /* VM time at which the periodic divider was last (re)started */
    struct timer periodic, update;
    struct region io;
};

static bool rtc_stopped(const struct rtc *s)
{
    return (s->cmos[R_B] & B_SET) || (s->cmos[R_A] & 0x70) >= 0x60;
}

static u8 to_reg(const struct rtc *s, unsigned v)
{
    return s->cmos[R_B] & B_BINARY ? v : v / 10 % 10 << 4 | v % 10;
}

static unsigned from_reg(const struct rtc *s, u8 v)
{
    return s->cmos[R_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static u8 hour_to_reg(const struct rtc *s, unsigned hour)
{
    if (s->cmos[R_B] & B_24H)
        return to_reg(s, hour);
    return to_reg(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static unsigned hour_from_reg(const struct rtc *s, u8 v)
{
    if (s->cmos[R_B] & B_24H)
        return from_reg(s, v);
    return from_reg(s, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Days since 1970-01-01 of a Gregorian date (year's start moved to March, so that leap days come last). */
static i64 days_from_date(i64 y, unsigned mon, unsigned day)
{
    y -= mon <= 2;
    i64 era = y / 400;
    unsigned yoe = y - era * 400;
    unsigned doy = (153 * (mon + (mon > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void date_from_days(i64 days, unsigned *year, unsigned *mon, unsigned *day)
{
    days += 719468;
    i64 era = days / 146097;
    unsigned doe = days - era * 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *mon = mp < 10 ? mp + 3 : mp - 9;
    *year = yoe + era * 400 + (*mon <= 2);
}

static i64 source_ns(struct rtc *s)
{
    struct machine *m = s->dev.m;

    return m->cfg.rtc_vm_clock ? clock_ns(m->clock) : clock_wall_ns(m->clock);
}

/* Guest time in ns since 1970, for a running clock. */
static i64 guest_ns(struct rtc *s)
{
    return source_ns(s) + s->offset;
}

/* Makes the time registers current. */
static void regs_from_time(struct rtc *s)
{
    if (rtc_stopped(s))
        return;
    i64 sec = guest_ns(s) / NS_PER_SEC;
    unsigned tod = sec % 86400, year, mon, day;
    date_from_days(sec / 86400, &year, &mon, &day);
    s->cmos[R_SEC] = to_reg(s, tod % 60);
    s->cmos[R_MIN] = to_reg(s, tod / 60 % 60);
    s->cmos[R_HOUR] = hour_to_reg(s, tod / 3600);
    s->cmos[R_WDAY] = to_reg(s, (sec / 86400 + 4) % 7 + 1); /* 1970-01-01 was a Thursday; Sunday is 1 */
    s->cmos[R_MDAY] = to_reg(s, day);
    s->cmos[R_MONTH] = to_reg(s, mon);
    s->cmos[R_YEAR] = to_reg(s, year % 100);
    s->cmos[R_CENTURY] = to_reg(s, year / 100);
}

/* The guest has set its clock: by how many seconds it is off what -rtc base= says. */
static void tell_change(struct rtc *s)
{
    i64 by = s->offset - s->base;
    char *path = device_path(&s->dev);
    const struct event_member members[] = {
        EVENT_INT("offset", (by + (by < 0 ? -NS_PER_SEC / 2 : NS_PER_SEC / 2)) / NS_PER_SEC), EVENT_STR("qom-path", path), EVENT_DONE,
    };

    event_emit("RTC_CHANGE", members);
    g_free(path);
}

/* Sets the clock to what the registers say plus a fraction of a second; impossible dates are normalised. */
static void time_from_regs(struct rtc *s, i64 fraction)
{
    unsigned mon = from_reg(s, s->cmos[R_MONTH]), day = from_reg(s, s->cmos[R_MDAY]);
    i64 year = from_reg(s, s->cmos[R_CENTURY]) * 100 + from_reg(s, s->cmos[R_YEAR]);
    mon = mon < 1 ? 1 : mon > 12 ? 12 : mon;
    year = year < 1970 ? 1970 : year > YEAR_MAX ? YEAR_MAX : year;
    i64 sec = days_from_date(year, mon, day ? day : 1) * 86400;
    sec += hour_from_reg(s, s->cmos[R_HOUR]) * 3600 + from_reg(s, s->cmos[R_MIN]) * 60 + from_reg(s, s->cmos[R_SEC]);
    s->offset = sec * NS_PER_SEC + fraction - source_ns(s);
    s->seen = sec;
    tell_change(s);
}

static void irq_update(struct rtc *s)
{
    u8 on = s->cmos[R_C] & s->cmos[R_B] & (C_PF | C_AF | C_UF);
    s->cmos[R_C] = (s->cmos[R_C] & ~C_IRQF) | (on ? C_IRQF : 0);
    irq_set(&s->irq8, on != 0);
}

/* ns of the periodic interrupt, 0 if off. */
static i64 periodic_ns(const struct rtc *s)
{
    unsigned rs = s->cmos[R_A] & 0x0f;
    if (!rs || (s->cmos[R_A] & 0x70) != 0x20)
        return 0;
    if (rs < 3)
        rs += 7; /* 1 and 2 stand for 256 and 128 Hz with the 32 kHz time base */
    return (i64)((NS_PER_SEC << (rs - 1)) / 32768);
}

static void periodic_arm(struct rtc *s)
{
    i64 period = periodic_ns(s), now = clock_ns(s->dev.m->clock);
    if (!period || !(s->cmos[R_B] & B_PIE)) {
        timer_cancel(&s->periodic);
        return;
    }
    i64 n = (now - s->periodic_base) / period + 1;
    timer_set(&s->periodic, s->periodic_base + n * period);
}

static void periodic_timer(void *opaque)
{
    struct rtc *s = opaque;
    s->cmos[R_C] |= C_PF;
    irq_update(s);
    periodic_arm(s);
}

/* True if alarm register r (0xc0..0xff: anything) asks for the value v of its unit. */
static bool alarm_wants(const struct rtc *s, unsigned r, unsigned v)
{
    u8 alarm = s->cmos[r];
    return alarm >= 0xc0 || (r == R_HOUR_ALARM ? hour_from_reg(s, alarm) : from_reg(s, alarm)) == v;
}

/* The first guest second after sec that matches the alarm registers; -1 if they hold an impossible time. */
static i64 next_alarm(const struct rtc *s, i64 sec)
{
    unsigned first = 0; /* second of the minute */
    while (first < 60 && !alarm_wants(s, R_SEC_ALARM, first))
        first++;
    if (first == 60)
        return -1;
    for (i64 t = sec + 1; t <= sec + 2 * 86400;) {
        unsigned tod = t % 86400;
        if (!alarm_wants(s, R_HOUR_ALARM, tod / 3600))
            t += 3600 - tod % 3600;
        else if (!alarm_wants(s, R_MIN_ALARM, tod / 60 % 60))
            t += 60 - tod % 60;
        else if (alarm_wants(s, R_SEC_ALARM, tod % 60))
            return t;
        else
            t += (first + 60 - tod % 60) % 60;
    }
    return -1;
}

/* The guest second at which the next update or alarm interrupt may be due, or -1. */
static i64 next_event(const struct rtc *s, i64 sec)
{
    if (s->cmos[R_B] & B_UIE)
        return sec + 1;
    return s->cmos[R_B] & B_AIE ? next_alarm(s, sec) : -1;
}

static void update_arm(struct rtc *s)
{
    i64 now = guest_ns(s);
    i64 sec = rtc_stopped(s) ? -1 : next_event(s, now / NS_PER_SEC);
    if (sec < 0)
        timer_cancel(&s->update);
    else
        timer_set(&s->update, clock_ns(s->dev.m->clock) + sec * NS_PER_SEC - now);
}

/* Sets the update and alarm flags for the seconds that have passed. Run by the timer if somebody waits for an interrupt, and
 * when register C is read. */
static void account_updates(struct rtc *s)
{
    i64 sec = guest_ns(s) / NS_PER_SEC;
    if (rtc_stopped(s) || sec == s->seen)
        return;
    if (sec < s->seen) { /* the host's clock was set back */
        s->seen = sec;
        return;
    }
    i64 alarm = next_alarm(s, s->seen);
    s->cmos[R_C] |= C_UF | (alarm >= 0 && alarm <= sec ? C_AF : 0);
    s->seen = sec;
}

static void update_timer(void *opaque)
{
    struct rtc *s = opaque;
    account_updates(s);
    irq_update(s);
    update_arm(s);
}

/* Registers A and B. A change of DM or 24/12 while SET does not convert the registers: the guest writes them again. */
static void write_control(struct rtc *s, u8 idx, u8 val)
{
    bool was_stopped = rtc_stopped(s), was_set = s->cmos[R_B] & B_SET;
    account_updates(s);
    regs_from_time(s);
    if (idx == R_A)
        val &= ~A_UIP;
    else if (val & B_SET)
        val &= ~B_UIE; /* as the data sheet says */
    s->cmos[idx] = val;
    if (was_stopped && !rtc_stopped(s)) {
        /* After the divider's reset the first update comes half a second later; SET alone leaves the divider running. */
        i64 running = guest_ns(s) % NS_PER_SEC;
        time_from_regs(s, was_set && idx == R_B ? running : NS_PER_SEC / 2);
    }
    if (idx == R_A)
        s->periodic_base = clock_ns(s->dev.m->clock);
    irq_update(s);
    periodic_arm(s);
    update_arm(s);
}

/* A time register: takes effect at once while the clock runs, else when the clock is started. */
static void write_time(struct rtc *s, u8 idx, u8 val)
{
    regs_from_time(s);
    s->cmos[idx] = val;
    if (rtc_stopped(s) || idx == R_WDAY) /* a running clock derives the day of the week from the date */
        return;
    time_from_regs(s, guest_ns(s) % NS_PER_SEC);
    update_arm(s);
}

static void cmos_write(struct rtc *s, u8 idx, u8 val)
{
    switch (idx) {
    case R_SEC: case R_MIN: case R_HOUR: case R_WDAY: case R_MDAY: case R_MONTH: case R_YEAR: case R_CENTURY:
        write_time(s, idx, val);
        break;
    case R_SEC_ALARM: case R_MIN_ALARM: case R_HOUR_ALARM:
        account_updates(s);
        s->cmos[idx] = val;
        update_arm(s);
        break;
    case R_A: case R_B:
        write_control(s, idx, val);
        break;
    case R_C: case R_D:
        break; /* read-only */
    default:
        s->cmos[idx] = val;
    }
}

static u8 cmos_read(struct rtc *s, u8 idx)
{
    u8 val;
    switch (idx) {
    case R_SEC: case R_MIN: case R_HOUR: case R_WDAY: case R_MDAY: case R_MONTH: case R_YEAR: case R_CENTURY:
        regs_from_time(s);
        return s->cmos[idx];
    case R_A:
        val = s->cmos[R_A];
        if (!rtc_stopped(s) && NS_PER_SEC - guest_ns(s) % NS_PER_SEC <= UIP_NS)
            val |= A_UIP;
        return val;
    case R_C:
        account_updates(s);
        irq_update(s);
        val = s->cmos[R_C];
        s->cmos[R_C] = 0;
        irq_update(s);
        return val;
    case R_D:
        return D_VRT;
    default:
        return s->cmos[idx];
    }
}

static u64 rtc_read(void *opaque, u64 off, unsigned size)
{
    struct rtc *s = opaque;
    switch (off) {
    case 1:
        return cmos_read(s, s->index);
    case 2:
        return s->ext_index;
    case 3:
        return s->cmos[0x80 | s->ext_index];
    }
    return 0xff; /* the index register is write-only */
}

static void rtc_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct rtc *s = opaque;
    switch (off) {
    case 0:
        s->index = val & 0x7f; /* bit 7 masks NMIs, of which this machine's port 0x70 has no source */
        break;
    case 1:
        cmos_write(s, s->index, val);
        break;
    case 2:
        s->ext_index = val & 0x7f;
        break;
    case 3:
        s->cmos[0x80 | s->ext_index] = val;
        break;
    }
}

void rtc_cmos_set(struct device *d, u8 idx, u8 val)
{
    assert(idx > R_D);
    container_of(d, struct rtc, dev)->cmos[idx] = val;
}

u8 rtc_cmos_get(struct device *d, u8 idx)
{
    return container_of(d, struct rtc, dev)->cmos[idx];
}

/* -rtc base=utc|localtime|2006-06-17[T16:01:21]: guest time at the start, wall being the host's now. */
static int parse_base(const char *base, i64 wall, i64 *start, struct err *e)
{
    unsigned y, mon, day, h = 0, min = 0, sec = 0;
    int used = 0, date_end = 0;
    *start = wall;
    if (!base || !strcmp(base, "utc"))
        return 0;
    if (!strcmp(base, "localtime")) {
        GDateTime *local = g_date_time_new_from_unix_local(wall / NS_PER_SEC);
        *start += local ? g_date_time_get_utc_offset(local) * 1000 : 0;
        g_clear_pointer(&local, g_date_time_unref);
        return 0;
    }
    int n = sscanf(base, "%4u-%2u-%2u%nT%2u:%2u:%2u%n", &y, &mon, &day, &date_end, &h, &min, &sec, &used);
    if ((n == 3 && base[date_end]) || (n != 3 && (n != 6 || base[used])) || y < 1970 || y > YEAR_MAX || mon < 1 || mon > 12 || day < 1 ||
        day > 31 || h > 23 || min > 59 || sec > 59)
        return err_set(e, "-rtc base=%s: use utc, localtime or a date such as 2006-06-17T16:01:21", base);
    *start = (days_from_date(y, mon, day) * 86400 + h * 3600 + min * 60 + sec) * NS_PER_SEC;
    return 0;
}

static const struct region_ops rtc_ops = { rtc_read, rtc_write, 1, 1 };

static int rtc_realize(struct device *d, struct err *e)
{
    struct rtc *s = container_of(d, struct rtc, dev);
    i64 start;

    if (parse_base(d->m->cfg.rtc_base, clock_wall_ns(d->m->clock), &start, e) < 0)
        return -1;
    s->base = s->offset = start - source_ns(s);
    s->cmos[R_A] = 0x26; /* 32768 Hz time base, 1024 Hz periodic rate */
    s->cmos[R_B] = B_24H;
    s->seen = guest_ns(s) / NS_PER_SEC;
    timer_init(&s->periodic, d->m->clock, periodic_timer, s);
    timer_init(&s->update, d->m->clock, update_timer, s);
    region_init_io(&s->io, "rtc", 4, &rtc_ops, s, &d->m->lock);
    region_add(&d->m->io_root, 0x70, &s->io, 0);
    return 0;
}

static void rtc_unrealize(struct device *d)
{
    struct rtc *s = container_of(d, struct rtc, dev);
    timer_cancel(&s->periodic);
    timer_cancel(&s->update);
    region_del(&s->io);
}

/* The RESET pin: the battery keeps the time and the RAM, interrupts go off. */
static void rtc_reset(struct device *d)
{
    struct rtc *s = container_of(d, struct rtc, dev);
    s->cmos[R_B] &= ~(B_PIE | B_AIE | B_UIE);
    s->cmos[R_C] = 0;
    s->index = s->ext_index = 0;
    irq_update(s);
    periodic_arm(s);
    update_arm(s);
}

static void rtc_post_load(struct device *d)
{
    update_arm(container_of(d, struct rtc, dev)); /* the host's wall clock has moved on */
}

struct device *rtc_new(struct machine *m, struct irq_line irq8, struct err *e)
{
    struct device *d = device_alloc(m, "mc146818rtc", e);
    if (!d)
        return NULL;
    container_of(d, struct rtc, dev)->irq8 = irq8;
    return device_realize(d, e) < 0 ? NULL : d;
}

static const struct snap_field rtc_fields[] = {
    SNAP_A(struct rtc, cmos),
    SNAP_U(struct rtc, index),
    SNAP_U(struct rtc, ext_index),
    SNAP_U(struct rtc, offset),
    SNAP_U(struct rtc, seen),
    SNAP_U(struct rtc, periodic_base),
    SNAP_T(struct rtc, periodic),
    SNAP_T(struct rtc, update),
    SNAP_DONE,
};

const struct dev_class mc146818rtc_class = {
    .name = "mc146818rtc",
    .desc = "real-time clock and CMOS RAM",
    .state_size = sizeof(struct rtc),
    .fields = rtc_fields,
    .snap_version = 1,
    .realize = rtc_realize,
    .reset = rtc_reset,
    .unrealize = rtc_unrealize,
    .post_load = rtc_post_load,
};
