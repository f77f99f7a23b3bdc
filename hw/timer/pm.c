/* ACPI power management: the PM1a event and control registers, the PM timer, one general-purpose event block and the SMI command
 * port. vCPU threads and timer callbacks, machine lock held.
 * Specification: ACPI 6.5 chapter 4.8; Intel PIIX4 data sheet (290562) power management; ICH9 data sheet (316972), section 13.8. */
#include "hw/timer/pm.h"
#include "hw/core/machine.h"
#include "util/log.h"

#define PM_TIMER_HZ 3579545ll

#define STS_TMR BIT(0)
#define STS_BM BIT(4)
#define STS_GBL BIT(5)
#define STS_PWRBTN BIT(8)
#define STS_SLPBTN BIT(9)
#define STS_RTC BIT(10)
#define STS_WAK BIT(15)
#define STS_ALL (STS_TMR | STS_BM | STS_GBL | STS_PWRBTN | STS_SLPBTN | STS_RTC | STS_WAK)
#define EN_ALL (STS_TMR | STS_GBL | STS_PWRBTN | STS_SLPBTN | STS_RTC)
#define CNT_SCI_EN BIT(0)
#define CNT_GBL_RLS BIT(2)
#define CNT_SLP_EN BIT(13)
#define CNT_WRITABLE 0x1c07 /* SLP_TYP, GBL_RLS, BM_RLD, SCI_EN */

struct pm {
    struct device dev;
    struct irq_line sci;
    u16 pm1_sts, pm1_en, pm1_cnt;
    u16 gpe_sts, gpe_en, gpe_lines;
    u8 apmc, apms;       /* SMI command and status bytes */
    bool wide_timer;     /* 32 bits instead of 24 */
    bool ich9;           /* laid out as in ICH9, else as in PIIX4 */
    bool smi_enabled;
    bool mapped;
    u16 base;
    i64 tick_seen;       /* PM timer ticks up to which overflow has been accounted for */
    struct timer overflow;
    struct region io, apm_io;
};

/* PM timer ticks since the machine started, not yet cut to 24 or 32 bits. */
static i64 ticks_now(struct pm *s)
{
    return (i64)((i128)clock_ns(s->dev.m->clock) * PM_TIMER_HZ / NS_PER_SEC);
}

/* TMR_STS is set whenever the counter's highest bit changes. */
static i64 overflow_period(const struct pm *s)
{
    return 1ll << (s->wide_timer ? 31 : 23);
}

static void pm_account_overflow(struct pm *s)
{
    i64 now = ticks_now(s), period = overflow_period(s);
    if (now / period != s->tick_seen / period)
        s->pm1_sts |= STS_TMR;
    s->tick_seen = now;
}

/* SCI follows the enabled status bits; the host timer is armed only while the overflow can be seen. */
static void pm_update(struct pm *s)
{
    i64 period = overflow_period(s);
    pm_account_overflow(s);
    bool want = (s->pm1_sts & s->pm1_en & EN_ALL) || (s->gpe_sts & s->gpe_en);
    irq_set(&s->sci, want && (s->pm1_cnt & CNT_SCI_EN));
    if ((s->pm1_en & STS_TMR) && !(s->pm1_sts & STS_TMR)) {
        i64 tick = (s->tick_seen / period + 1) * period;
        timer_set(&s->overflow, (i64)(((i128)tick * NS_PER_SEC + PM_TIMER_HZ - 1) / PM_TIMER_HZ));
    } else {
        timer_cancel(&s->overflow);
    }
}

static void overflow_timer(void *opaque)
{
    pm_update(opaque);
}

/* In S3 an enabled fixed event wakes the machine. */
static void pm_wake(struct pm *s)
{
    struct machine *m = s->dev.m;
    if (m->suspended && (s->pm1_sts & s->pm1_en & (STS_RTC | STS_PWRBTN)))
        m->request(m, REQ_WAKEUP, 0);
}

static void pm_suspend(struct pm *s)
{
    s->dev.m->suspended = true;
    s->dev.m->request(s->dev.m, REQ_SUSPEND, 0);
    pm_wake(s); /* what is up already wakes at once */
}

static void pm_sleep(struct pm *s)
{
    struct machine *m = s->dev.m;
    unsigned type = s->pm1_cnt >> 10 & 7;
    if (type == PM_SLP_TYP_S5)
        m->request(m, REQ_SHUTDOWN, 0);
    else if (type == PM_SLP_TYP_S3)
        pm_suspend(s);
    else
        GUEST_ERROR("pm: sleep type %u is none that the DSDT names", type);
}

/* ICH9 has its general-purpose events further up, 64 of them in two blocks, and registers for SMIs, which are not raised: APMC_EN reads as
 * set, so that firmware does not install a handler. */
enum { ICH9_GPE0_STS = 0x20, ICH9_GPE0_EN = 0x28, ICH9_SMI_EN = 0x30, SMI_EN_SET_UP = 0x21, REG_NONE = 0xff, REG_SMI_EN = 0xfe };

/* The register, as an offset in PIIX4's layout, that the 16 bits at `off` belong to. */
static unsigned pm_reg(const struct pm *s, unsigned off)
{
    if (!s->ich9 || off < PM_GPE0)
        return off;
    return off == ICH9_GPE0_STS ? PM_GPE0 : off == ICH9_GPE0_EN ? PM_GPE0 + 2 : off == ICH9_SMI_EN ? REG_SMI_EN : REG_NONE;
}

static u16 pm_read16(struct pm *s, unsigned off)
{
    switch (pm_reg(s, off)) {
    case PM_PM1_EVT:
        pm_account_overflow(s);
        return s->pm1_sts;
    case PM_PM1_EVT + 2:
        return s->pm1_en;
    case PM_PM1_CNT:
        return s->pm1_cnt;
    case PM_TMR: /* 24 bits, or 32 */
        return ticks_now(s);
    case PM_TMR + 2:
        return ticks_now(s) >> 16 & (s->wide_timer ? 0xffff : 0xff);
    case PM_GPE0:
        return s->gpe_sts;
    case PM_GPE0 + 2:
        return s->gpe_en;
    case REG_SMI_EN:
        return SMI_EN_SET_UP;
    }
    return 0;
}

/* mask: the bits of the register that this access covers. */
static void pm_write16(struct pm *s, unsigned off, u16 val, u16 mask)
{
    switch (pm_reg(s, off)) {
    case PM_PM1_EVT:
        pm_account_overflow(s);
        s->pm1_sts &= ~(val & mask & STS_ALL);
        break;
    case PM_PM1_EVT + 2:
        s->pm1_en = ((s->pm1_en & ~mask) | (val & mask)) & EN_ALL;
        break;
    case PM_PM1_CNT:
        s->pm1_cnt = ((s->pm1_cnt & ~mask) | (val & mask)) & CNT_WRITABLE & ~CNT_GBL_RLS;
        if (val & mask & CNT_SLP_EN)
            pm_sleep(s);
        break;
    case PM_GPE0:
        s->gpe_sts &= ~(val & mask);
        /* A level event whose line is still up comes back at once. */
        s->gpe_sts |= s->gpe_lines & val & mask;
        break;
    case PM_GPE0 + 2:
        s->gpe_en = (s->gpe_en & ~mask) | (val & mask);
        break;
    default:
        return;
    }
    pm_update(s);
}

static u64 pm_read(void *opaque, u64 off, unsigned size)
{
    struct pm *s = opaque;
    if (off == PM_TMR && size == 4)
        return ticks_now(s) & MASK64(s->wide_timer ? 32 : 24);
    if (size == 4)
        return pm_read16(s, off) | (u32)pm_read16(s, off + 2) << 16;
    return zext(pm_read16(s, off & ~1u) >> (off & 1) * 8, size);
}

static void pm_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pm *s = opaque;
    if (size == 4) {
        pm_write16(s, off, val, 0xffff);
        pm_write16(s, off + 2, val >> 16, 0xffff);
    } else if (size == 2) {
        pm_write16(s, off & ~1u, val, 0xffff);
    } else {
        unsigned shift = (off & 1) * 8;
        pm_write16(s, off & ~1u, (val & 0xff) << shift, 0xff << shift);
    }
}

static u64 apm_read(void *opaque, u64 off, unsigned size)
{
    struct pm *s = opaque;
    return off ? s->apms : s->apmc;
}

/* What ACPI asks of firmware's SMI handler (turn ACPI mode on or off) is done here; SMI# comes on top if it is enabled. */
static void apm_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pm *s = opaque;
    const struct cpu_pins *pins = &s->dev.m->pins;
    if (off) {
        s->apms = val;
        return;
    }
    s->apmc = val;
    if (val == PM_ACPI_ENABLE)
        s->pm1_cnt |= CNT_SCI_EN;
    else if (val == PM_ACPI_DISABLE)
        s->pm1_cnt &= ~CNT_SCI_EN;
    pm_update(s);
    if (s->smi_enabled && pins->smi)
        pins->smi(pins->opaque, 0);
}

static const struct region_ops pm_ops = { pm_read, pm_write, 1, 4 };
static const struct region_ops apm_ops = { apm_read, apm_write, 1, 1 };

void pm_map(struct device *d, u16 base, bool enabled)
{
    struct pm *s = container_of(d, struct pm, dev);
    s->base = base;
    s->mapped = enabled;
    region_txn_begin();
    region_set_addr(&s->io, ALIGN_DOWN(base, s->io.size));
    region_set_enabled(&s->io, enabled);
    region_txn_commit();
}

void pm_set_smi_enabled(struct device *d, bool on)
{
    container_of(d, struct pm, dev)->smi_enabled = on;
}

static void gpe_set(void *opaque, int n, int level)
{
    struct pm *s = opaque;
    if (level && !(s->gpe_lines & BIT(n)))
        s->gpe_sts |= BIT(n);
    s->gpe_lines = level ? s->gpe_lines | BIT(n) : s->gpe_lines & ~BIT(n);
    pm_update(s);
}

struct irq_line pm_gpe_line(struct device *d, unsigned n)
{
    assert(n < 16);
    return (struct irq_line){ gpe_set, container_of(d, struct pm, dev), n };
}

void pm_power_button(struct device *d)
{
    struct pm *s = container_of(d, struct pm, dev);
    s->pm1_sts |= STS_PWRBTN;
    pm_update(s);
    pm_wake(s);
}

void pm_rtc_alarm(struct device *d)
{
    struct pm *s = container_of(d, struct pm, dev);
    s->pm1_sts |= STS_RTC;
    pm_update(s);
    pm_wake(s);
}

static int pm_realize(struct device *d, struct err *e)
{
    struct pm *s = container_of(d, struct pm, dev);
    struct machine *m = d->m;
    timer_init(&s->overflow, m->clock, overflow_timer, s);
    region_init_io(&s->io, "pm", s->ich9 ? PM_ICH9_SIZE : PM_SIZE, &pm_ops, s, &m->lock);
    region_init_io(&s->apm_io, "apm", 2, &apm_ops, s, &m->lock);
    s->io.enabled = false;
    region_add(&m->io_root, 0, &s->io, 0);
    region_add(&m->io_root, PM_SMI_CMD, &s->apm_io, 0);
    return 0;
}

static void pm_unrealize(struct device *d)
{
    struct pm *s = container_of(d, struct pm, dev);
    timer_cancel(&s->overflow);
    region_del(&s->io);
    region_del(&s->apm_io);
}

static void pm_reset(struct device *d)
{
    struct pm *s = container_of(d, struct pm, dev);
    if (d->m->suspended) { /* these registers are in the well that stays powered */
        s->pm1_sts |= STS_WAK;
        s->pm1_cnt &= CNT_SCI_EN;
    } else {
        s->pm1_sts = s->pm1_en = s->pm1_cnt = 0;
        s->gpe_sts = s->gpe_en = 0;
    }
    s->apmc = s->apms = 0;
    s->smi_enabled = false;
    s->tick_seen = ticks_now(s);
    pm_update(s);
}

static void pm_post_load(struct device *d)
{
    struct pm *s = container_of(d, struct pm, dev);
    pm_map(d, s->base, s->mapped);
}

static struct device *pm_new(struct machine *m, struct irq_line sci, bool ich9, struct err *e)
{
    struct device *d = device_alloc(m, "acpi-pm", e);
    if (!d)
        return NULL;
    container_of(d, struct pm, dev)->sci = sci;
    container_of(d, struct pm, dev)->ich9 = ich9;
    return device_realize(d, e) < 0 ? NULL : d;
}

struct device *acpi_pm_new(struct machine *m, struct irq_line sci, struct err *e)
{
    return pm_new(m, sci, false, e);
}

struct device *ich9_pm_new(struct machine *m, struct irq_line sci, struct err *e)
{
    return pm_new(m, sci, true, e);
}

static const struct prop pm_props[] = {
    { "timer32", PROP_BOOL, offsetof(struct pm, wide_timer), 0, NULL, "PM timer of 32 bits instead of 24" },
    PROP_DONE,
};
static const struct snap_field pm_fields[] = {
    SNAP_U(struct pm, pm1_sts),
    SNAP_U(struct pm, pm1_en),
    SNAP_U(struct pm, pm1_cnt),
    SNAP_U(struct pm, gpe_sts),
    SNAP_U(struct pm, gpe_en),
    SNAP_U(struct pm, gpe_lines),
    SNAP_U(struct pm, apmc),
    SNAP_U(struct pm, apms),
    SNAP_U(struct pm, smi_enabled),
    SNAP_U(struct pm, mapped),
    SNAP_U(struct pm, base),
    SNAP_U(struct pm, tick_seen),
    SNAP_T(struct pm, overflow),
    SNAP_DONE,
};

const struct dev_class acpi_pm_class = {
    .name = "acpi-pm",
    .desc = "ACPI power management and PM timer",
    .state_size = sizeof(struct pm),
    .props = pm_props,
    .fields = pm_fields,
    .snap_version = 1,
    .realize = pm_realize,
    .reset = pm_reset,
    .unrealize = pm_unrealize,
    .post_load = pm_post_load,
};
