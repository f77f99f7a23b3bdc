/* The MC146818 real-time clock and its CMOS RAM. Machine lock held. */
#ifndef HW_TIMER_RTC_H
#define HW_TIMER_RTC_H
#include "hw/core/device.h"

/* Ports 0x70..0x73, starting at m->cfg.rtc_base, moved by the host's wall clock or by VM time (rtc_vm_clock). irq8: m->gsi[8], or hpet_legacy_in(hpet, 1) if there is an HPET. */
struct device *rtc_new(struct machine *m, struct irq_line irq8, struct err *e);
/* The machine's own CMOS contents (memory sizes, boot order ...): idx 0x0e..0x7f, and 0x80..0xff for the extended bank. */
void rtc_cmos_set(struct device *d, u8 idx, u8 val);
u8 rtc_cmos_get(struct device *d, u8 idx);

#endif
