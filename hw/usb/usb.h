/* USB: what host controllers and devices say to each other. A device answers whole control transfers and interrupt transfers; a bus is the
 * root hub's ports of a controller. Machine lock held throughout. Universal Serial Bus Specification 2.0, chapter 9. */
#ifndef HW_USB_USB_H
#define HW_USB_USB_H
#include "hw/core/device.h"

#define USB_PORTS_MAX 16

struct usb_device;
struct usb_bus;

enum { USB_NAK = -1 /* nothing now: wakeup follows */, USB_STALL = -2, USB_BABBLE = -3 /* more than there is room for */ };
enum usb_speed { USB_SPEED_FULL = 1, USB_SPEED_LOW = 2, USB_SPEED_HIGH = 3 };

struct usb_setup {
    u8 type, request;
    u16 value, index, length;
};
enum {
    USB_IN = 0x80, USB_CLASS = 0x20, USB_INTERFACE = 0x01, USB_ENDPOINT = 0x02,
    USB_GET_STATUS = 0, USB_CLEAR_FEATURE = 1, USB_SET_FEATURE = 3, USB_SET_ADDRESS = 5, USB_GET_DESCRIPTOR = 6,
    USB_GET_CONFIGURATION = 8, USB_SET_CONFIGURATION = 9, USB_GET_INTERFACE = 10, USB_SET_INTERFACE = 11,
    USB_DESC_DEVICE = 1, USB_DESC_CONFIG = 2, USB_DESC_STRING = 3,
};

/* What a kind of device is. */
struct usb_kind {
    const u8 *device, *config; /* descriptors; config with all that belongs to it */
    unsigned config_len;
    const char *const *strings; /* 1, 2, ...; NULL-terminated */
    /* A request to an interface, standard or of the class: bytes (IN), 0 (OUT), or USB_STALL. */
    int (*request)(struct usb_device *d, const struct usb_setup *s, u8 *data, unsigned len);
    /* A packet from interrupt endpoint ep: bytes, USB_NAK or USB_STALL. */
    int (*in)(struct usb_device *d, unsigned ep, u8 *data, unsigned len);
    void (*reset)(struct usb_device *d);
    /* The guest has begun (configuration 1) or ceased to use the device. */
    void (*configured)(struct usb_device *d, bool on);
};

/* A control transfer in pieces (hw/usb/packet.h). */
enum usb_stage { USB_STAGE_IDLE, USB_STAGE_SETUP /* and perhaps data to the device */, USB_STAGE_RAN };
struct usb_control_state {
    u8 stage, setup[8];
    u8 data[512];
    u16 len, pos;
};

/* FIRST member of every USB device's state struct. */
struct usb_device {
    struct device dev;
    const struct usb_kind *kind;
    struct usb_bus *bus;   /* NULL: not attached */
    unsigned port;         /* from 0 */
    char *port_prop;       /* property "port": a number from 1 */
    u8 address, configuration;
    bool remote_wakeup, halted; /* halted: the interrupt endpoint */
    struct usb_control_state control;
};
#define USB_PROPS { "port", PROP_STR, offsetof(struct usb_device, port_prop), 0, NULL, "port of the root hub, from 1" }
extern const struct snap_field usb_snap_fields[];
/* From the class's post_load. */
void usb_post_load(struct usb_device *d);
#define USB_SNAP { "usb", SNAP_STRUCT, sizeof(struct usb_device), 0, 1, usb_snap_fields, false }

/* The controller's side. */
struct usb_host_ops {
    /* A device came to the port or has left it. */
    void (*port_changed)(void *opaque, unsigned port);
    /* The device has something to say: ask it again. */
    void (*wakeup)(void *opaque, struct usb_device *d);
};
struct usb_bus {
    struct bus bus; /* type "usb-bus", "usb-bus.0" */
    struct usb_device *port[USB_PORTS_MAX];
    unsigned n_ports;
    const struct usb_host_ops *ops;
    void *opaque;
};

void usb_bus_init(struct usb_bus *b, struct device *owner, unsigned ports, const struct usb_host_ops *ops, void *opaque);
void usb_bus_fini(struct usb_bus *b); /* frees the devices, too */

/* From a device's realize and unrealize. */
int usb_attach(struct usb_device *d, const struct usb_kind *kind, struct err *e);
void usb_detach(struct usb_device *d);

/* From controllers. A port's reset: the device has no address and no configuration again. */
void usb_reset(struct usb_device *d);
struct usb_setup usb_setup_parse(const u8 raw[8]);
/* A whole control transfer. IN: data gets at most len bytes; OUT: data has len. Returns bytes, 0, or USB_STALL. */
int usb_control(struct usb_device *d, const struct usb_setup *s, u8 *data, unsigned len);
int usb_interrupt_in(struct usb_device *d, unsigned ep, u8 *data, unsigned len);
/* From devices: usb_interrupt_in would say something else than NAK now. */
void usb_wakeup(struct usb_device *d);

#endif
