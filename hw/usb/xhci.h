/* Inside of the xHCI controller: the state that xhci.c (registers, ports, events), xhci_cmd.c (the command ring) and xhci_xfer.c (transfer
 * rings) share. Machine lock held. eXtensible Host Controller Interface for USB, revision 1.1; names are its. */
#ifndef HW_USB_XHCI_H
#define HW_USB_XHCI_H
#include "hw/pci/pci.h"
#include "hw/usb/usb.h"

#define XHCI_SLOTS 16
#define XHCI_EPS 32        /* device context indices 1..31 */
#define XHCI_CONTROL_MAX 512 /* bytes of a control transfer's data */

enum trb_type {
    TRB_NORMAL = 1, TRB_SETUP = 2, TRB_DATA = 3, TRB_STATUS = 4, TRB_LINK = 6, TRB_EVENT_DATA = 7, TRB_NOOP = 8,
    CMD_ENABLE_SLOT = 9, CMD_DISABLE_SLOT = 10, CMD_ADDRESS = 11, CMD_CONFIGURE = 12, CMD_EVALUATE = 13, CMD_RESET_EP = 14,
    CMD_STOP_EP = 15, CMD_SET_DEQUEUE = 16, CMD_RESET_DEVICE = 17, CMD_NOOP = 23,
    EV_TRANSFER = 32, EV_COMMAND = 33, EV_PORT = 34,
};
enum trb_control { TRB_CYCLE = BIT(0), TRB_TOGGLE = BIT(1), TRB_ISP = BIT(2), TRB_CHAIN = BIT(4), TRB_IOC = BIT(5), TRB_IDT = BIT(6),
                   TRB_BSR = BIT(9), TRB_DIR_IN = BIT(16) };
enum completion {
    CC_SUCCESS = 1, CC_TRB_ERROR = 5, CC_STALL = 6, CC_NO_SLOTS = 9, CC_SLOT_DISABLED = 11, CC_EP_DISABLED = 12, CC_SHORT = 13, CC_PARAMETER = 17,
    CC_CONTEXT_STATE = 19, CC_COMMAND_STOPPED = 24, CC_STOPPED = 26, CC_BABBLE = 3, CC_USB_ERROR = 4,
};
enum ep_state { EP_DISABLED, EP_RUNNING, EP_HALTED, EP_STOPPED, EP_ERROR };
enum slot_state { SLOT_DEFAULT = 1, SLOT_ADDRESSED = 2, SLOT_CONFIGURED = 3 };

struct trb {
    u64 param;
    u32 status, control;
};
static inline unsigned trb_type(const struct trb *t) { return t->control >> 10 & 0x3f; }

struct xhci_ring {
    u64 dequeue;
    u8 cycle;
};
struct xhci_ep {
    u8 state, waiting;   /* waiting: its transfer descriptor waits for the device */
    struct xhci_ring ring;
};
struct xhci_slot {
    u8 enabled, port;    /* port: from 1, of the root hub; 0: not addressed */
    u64 ctx;             /* output device context */
    struct xhci_ep ep[XHCI_EPS];
    /* the control transfer under way on endpoint 0 */
    u8 setup[8], has_setup;
    u8 data[XHCI_CONTROL_MAX];
    u16 data_len, data_pos; /* IN: got from the device, given to the guest; OUT: collected */
    u8 failed;           /* it was stalled */
};
struct xhci_port {
    u32 sc;              /* PORTSC */
};

struct xhci {
    struct pci_device pci;
    struct usb_bus bus;
    struct region bar;
    u32 p2, p3;          /* properties: ports of USB 2 and 3 */
    u32 usbcmd, usbsts, dnctrl, config;
    u64 crcr, dcbaap;
    struct xhci_ring command;
    u32 iman, imod /* IMODI only */, erstsz;
    bool ipe;            /* an event waits for its interrupt (IPE) */
    i64 imod_end;        /* VM ns at which IMODC reaches 0 */
    struct timer imod_timer;
    u64 erstba, erdp;
    u64 er_base;
    u32 er_size, er_enqueue;
    u8 er_cycle;
    struct xhci_port port[2 * USB_PORTS_MAX];
    struct xhci_slot slot[XHCI_SLOTS + 1]; /* from 1 */
};

/* xhci.c */
void xhci_event(struct xhci *x, const struct trb *ev); /* puts it into the event ring and interrupts */
/* The next TRB of a ring, past links; *at is its address. False: none, or the ring is damaged. The ring goes on behind it. */
bool xhci_ring_next(struct xhci *x, struct xhci_ring *r, struct trb *t, u64 *at);
struct usb_device *xhci_device(struct xhci *x, unsigned slot); /* NULL: gone */
/* Memory of the guest, if the function may be bus master. */
bool xhci_read(struct xhci *x, u64 gpa, void *buf, unsigned len);
bool xhci_write(struct xhci *x, u64 gpa, const void *buf, unsigned len);
/* xhci_cmd.c */
void xhci_commands(struct xhci *x);
void xhci_slot_disable(struct xhci *x, unsigned slot);
/* The endpoint's context in guest memory gets its state and, with ring, its dequeue pointer. */
void xhci_ep_update(struct xhci *x, unsigned slot, unsigned dci, bool ring);
/* xhci_xfer.c */
void xhci_doorbell(struct xhci *x, unsigned slot, unsigned dci);
/* Reports the transfer that waits as stopped. */
void xhci_ep_stop(struct xhci *x, unsigned slot, unsigned dci);

#endif
