/* Inside of virtio-serial: the adapter (virtio_serial.c: queues, control messages, the bus) and its ports (virtio_port.c: back ends). The
 * machine lock held. VIRTIO 1.2, 5.3. */
#ifndef HW_VIRTIO_VIRTIO_SERIAL_H
#define HW_VIRTIO_VIRTIO_SERIAL_H
#include "hw/virtio/virtio_pci.h"

#define CONSOLE_F_MULTIPORT BIT64(1)
#define CONSOLE_F_EMERG_WRITE BIT64(2)
enum { SERIAL_PORTS_MAX = 31, PORT_NR_AUTO = 0xffffffff };
enum serial_event { /* 5.3.6.2 */
    PORT_EV_DEVICE_READY = 0, PORT_EV_DEVICE_ADD = 1, PORT_EV_DEVICE_REMOVE = 2, PORT_EV_PORT_READY = 3, PORT_EV_CONSOLE = 4,
    PORT_EV_RESIZE = 5, PORT_EV_OPEN = 6, PORT_EV_NAME = 7,
};

struct virtio_serial {
    struct virtio v;
    u32 max_ports;             /* properties */
    bool emergency_write;
    struct bus bus;            /* type "virtio-serial-bus" */
    struct serial_port *port[SERIAL_PORTS_MAX];
    u64 out_done[SERIAL_PORTS_MAX]; /* bytes of the port's first chain that are written [saved] */
    struct _GByteArray *control; /* messages that wait for buffers: u16 length, bytes [saved] */
};

struct serial_port {
    struct device dev;
    struct chr *chr;           /* properties */
    char *name;
    u32 nr;
    struct virtio_serial *s;
    bool console;
    u8 guest_open;             /* a program has it open [saved] */
    struct _GByteArray *input; /* from the back end, waits for buffers [saved] */
    struct virtq_elem *out;    /* a chain of output that the back end has not taken whole (s->out_done), or NULL */
    bool blocked;              /* output waits for the back end */
};

/* virtio_serial.c */
struct virtq *serial_rx(struct serial_port *p);
struct virtq *serial_tx(struct serial_port *p);
void serial_control(struct virtio_serial *s, u32 nr, enum serial_event event, u16 value, const char *name);
/* virtio_port.c; the guest's side */
void port_output(struct serial_port *p, struct virtq *q);
void port_input_ready(struct serial_port *p);
void port_set_guest_open(struct serial_port *p, bool open);
bool port_host_open(struct serial_port *p);
void port_reset(struct serial_port *p);
/* Its output queue was reset, or is about to be loaded: the chain in hand is forgotten. */
void port_forget_output(struct serial_port *p);

#endif
