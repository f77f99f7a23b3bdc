/* Inside of the gdb server: a session, shared by gdb.c (transport, run control) and gdb_packet.c (the packets). Main thread. */
#ifndef UI_GDB_PRIV_H
#define UI_GDB_PRIV_H
#include <glib.h>
#include "accel/accel.h"
#include "ui/gdb_regs.h"
#include "ui/ui.h"

#define PACKET_MAX 0x4000 /* payload that gdb may send */

struct gdb {
    struct ui *ui;
    struct vm *vm;
    struct chr *chr;
    struct chr *opened; /* to be freed in the end; NULL: -chardev's */
    struct gdb_regs *regs;
    bool connected;
    bool no_ack;
    bool swbreak, hwbreak;    /* gdb understands these stop reasons */
    bool waiting;             /* gdb resumed the guest and waits for a stop reply */
    struct vm_stop_info last; /* why the guest stopped last */
    unsigned cpu;             /* of g, m and friends: Hg */
    unsigned cpu_run;         /* of c and s: Hc */
    GArray *hw_breaks;        /* u64 addresses of Z1, to tell their stops from those of Z0 */

    /* receiving */
    enum { RX_IDLE, RX_DATA, RX_SUM1, RX_SUM2 } rx;
    GString *in;
    u8 sum, sum_got;
    GString *sent;            /* last packet, for a '-' */
};

/* A packet whose reply is text, whatever bytes it holds. */
void gdb_send(struct gdb *g, const char *data, size_t len);
void gdb_send_str(struct gdb *g, const char *s);
void gdb_send_fmt(struct gdb *g, const char *fmt, ...) PRINTF(2, 3);
void gdb_send_stop(struct gdb *g);
/* One received packet, NUL-terminated; binary data may hold NULs. */
void gdb_packet(struct gdb *g, char *p, size_t len);
/* Forgets what the peer set: breakpoints, modes. */
void gdb_session_reset(struct gdb *g);

#endif
