/* Single packets for controllers that know nothing of transfers (UHCI): the stages of control transfers are put together here. Machine lock. */
#ifndef HW_USB_PACKET_H
#define HW_USB_PACKET_H
#include "hw/usb/usb.h"

enum usb_pid { USB_PID_SETUP = 0x2d, USB_PID_IN = 0x69, USB_PID_OUT = 0xe1 };

/* One packet to or from endpoint ep. IN: buf gets at most len bytes; else it has len. Returns the bytes moved, or USB_NAK, USB_STALL, USB_BABBLE. */
int usb_packet(struct usb_device *d, enum usb_pid pid, unsigned ep, u8 *buf, unsigned len);

#endif
