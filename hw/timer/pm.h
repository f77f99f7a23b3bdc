/* ACPI power management: PM1a and GPE0 blocks, PM timer, SMI command port; and the reset ports 0xcf9 and 0x92.
 * Machine lock held. */
#ifndef HW_TIMER_PM_H
#define HW_TIMER_PM_H
#include "hw/core/device.h"

/* Offsets in the PM I/O block of PM_SIZE bytes, for the FADT. */
#define PM_SIZE 64
#define PM_ICH9_SIZE 128
#define PM_ICH9_GPE0 0x20 /* 16 bytes: 64 status bits, 64 enable bits; the first 16 of each are there */
#define PM_PM1_EVT 0x00 /* 4 bytes: status, enable */
#define PM_PM1_CNT 0x04 /* 2 bytes */
#define PM_TMR 0x08     /* 4 bytes */
#define PM_GPE0 0x0c    /* 4 bytes: 16 status bits, 16 enable bits */
#define PM_SMI_CMD 0xb2 /* port, with 0xb3 as the status byte */
#define PM_ACPI_ENABLE 0xf1
#define PM_ACPI_DISABLE 0xf0
#define PM_SLP_TYP_S5 0 /* for \_S5 and \_S3 in the DSDT */
#define PM_SLP_TYP_S3 1

/* sci is level triggered: m->gsi[9]. The block is mapped by pm_map (a PCI function's PMBASE or the machine). */
struct device *acpi_pm_new(struct machine *m, struct irq_line sci, struct err *e);
/* With the block laid out as in ICH9. */
struct device *ich9_pm_new(struct machine *m, struct irq_line sci, struct err *e);
void pm_map(struct device *d, u16 base, bool enabled);
/* A write to the SMI command port also raises SMI# on CPU 0 if on (PIIX4 DEVACTB.APMC_EN); off at reset. */
void pm_set_smi_enabled(struct device *d, bool on);
/* General-purpose event n (0..15): a rising edge sets its status bit. */
struct irq_line pm_gpe_line(struct device *d, unsigned n);
/* Fixed power button: what `system_powerdown` presses. */
void pm_power_button(struct device *d);
/* The alarm of the real-time clock has gone off: a fixed event, which wakes from S3 if it is enabled. */
void pm_rtc_alarm(struct device *d);

/* Reset control register 0xcf9 (PIIX3/ICH). */
struct device *reset_ctl_new(struct machine *m, struct err *e);
/* System control port A, 0x92: fast A20 and fast reset. a20 is 0 after reset: the machine ors it with the keyboard
 * controller's, which is 1. */
struct device *port92_new(struct machine *m, struct irq_line a20, struct err *e);

#endif
