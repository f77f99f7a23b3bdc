/* Inside of the monitor: the context of a running command, and the commands that live in files of their own. */
#ifndef UI_MONITOR_CMD_H
#define UI_MONITOR_CMD_H
#include <glib.h>
#include <json-glib/json-glib.h>
#include "accel/accel.h"
#include "ui/ui.h"

struct mon {
    struct ui *ui;
    struct vm *vm;
    unsigned *cpu;   /* the CPU that commands are about */
    GString *out;
};

struct mon_cmd {
    const char *name, *alias, *params, *help;
    void (*fn)(struct mon *m, char *args); /* args: the rest of the line, stripped */
    bool quiesce;                          /* looks into CPUs: stop the VM meanwhile */
};

void mon_print(struct mon *m, const char *fmt, ...) PRINTF(2, 3);
/* The next word of *p, which is advanced; NULL at the end. */
char *mon_word(char **p);

/* monitor.c */
extern const struct mon_cmd mon_cmds[];
/* monitor_complete.c: adds strings (to be freed) that the last word of the line may become; returns where it begins. */
unsigned monitor_complete(struct ui *ui, const char *line, GPtrArray *out);
/* monitor_info.c */
extern const struct mon_cmd mon_info_cmds[];
/* monitor_qmp.c. mon_qmp runs a QMP command (args may be NULL, else it is taken); NULL after it has printed the error. */
JsonNode *mon_qmp(struct mon *m, const char *name, JsonObject *args);
struct err;
void mon_error(struct mon *m, const struct err *e);
void mon_device_add(struct mon *m, char *args);
void mon_device_del(struct mon *m, char *args);
void mon_netdev_add(struct mon *m, char *args);
void mon_netdev_del(struct mon *m, char *args);
void mon_object_add(struct mon *m, char *args);
void mon_object_del(struct mon *m, char *args);
void mon_chardev_add(struct mon *m, char *args);
void mon_chardev_remove(struct mon *m, char *args);
void mon_chardev_send_break(struct mon *m, char *args);
void mon_ringbuf_read(struct mon *m, char *args);
void mon_ringbuf_write(struct mon *m, char *args);
void mon_eject(struct mon *m, char *args);
void mon_change(struct mon *m, char *args);
void mon_balloon(struct mon *m, char *args);
void mon_block_resize(struct mon *m, char *args);
void mon_block_set_io_throttle(struct mon *m, char *args);
void mon_set_password(struct mon *m, char *args);
void mon_expire_password(struct mon *m, char *args);
void mon_snapshot_blkdev_internal(struct mon *m, char *args);
void mon_snapshot_delete_blkdev_internal(struct mon *m, char *args);
void mon_set_link(struct mon *m, char *args);
void mon_hostfwd_add(struct mon *m, char *args);
void mon_hostfwd_remove(struct mon *m, char *args);
void mon_cont(struct mon *m, char *args);
void mon_system_powerdown(struct mon *m, char *args);
void mon_system_wakeup(struct mon *m, char *args);
void mon_watchdog_action(struct mon *m, char *args);
void mon_getfd(struct mon *m, char *args);
void mon_closefd(struct mon *m, char *args);
void mon_qom_list(struct mon *m, char *args);
void mon_qom_get(struct mon *m, char *args);
void mon_qom_set(struct mon *m, char *args);
void mon_info_qom_tree(struct mon *m, char *args);
/* monitor_show.c */
void mon_info_block(struct mon *m, char *args);
void mon_info_blockstats(struct mon *m, char *args);
void mon_info_network(struct mon *m, char *args);
void mon_info_usb(struct mon *m, char *args);
void mon_info_usernet(struct mon *m, char *args);
void mon_info_pci(struct mon *m, char *args);
void mon_info_chardev(struct mon *m, char *args);
void mon_info_hotpluggable_cpus(struct mon *m, char *args);
void mon_info_vnc(struct mon *m, char *args);
void mon_info_uuid(struct mon *m, char *args);
void mon_info_balloon(struct mon *m, char *args);
void mon_info_kvm(struct mon *m, char *args);
void mon_info_memory_size_summary(struct mon *m, char *args);
void mon_info_numa(struct mon *m, char *args);
/* monitor_disk.c */
void mon_drive_add(struct mon *m, char *args);
void mon_drive_del(struct mon *m, char *args);
void mon_commit(struct mon *m, char *args);
void mon_info_snapshots(struct mon *m, char *args);
/* monitor_devices.c */
void mon_info_qtree(struct mon *m, char *args);
/* monitor_hw.c */
void mon_info_roms(struct mon *m, char *args);
void mon_info_irq(struct mon *m, char *args);
void mon_info_iothreads(struct mon *m, char *args);
void mon_boot_set(struct mon *m, char *args);
void mon_dump_guest_memory(struct mon *m, char *args);
/* monitor_mem.c */
void mon_x(struct mon *m, char *args);
void mon_xp(struct mon *m, char *args);
void mon_p(struct mon *m, char *args);
void mon_gva2gpa(struct mon *m, char *args);
void mon_memsave(struct mon *m, char *args);
void mon_pmemsave(struct mon *m, char *args);
void mon_in(struct mon *m, char *args);
void mon_out(struct mon *m, char *args);
void mon_sum(struct mon *m, char *args);
/* monitor_input.c */
void mon_screendump(struct mon *m, char *args);
void mon_sendkey(struct mon *m, char *args);
void mon_mouse_move(struct mon *m, char *args);
void mon_mouse_button(struct mon *m, char *args);
void mon_mouse_set(struct mon *m, char *args);
void mon_info_mice(struct mon *m, char *args);
/* monitor_pages.c */
void mon_info_mem(struct mon *m, char *args);
void mon_info_tlb(struct mon *m, char *args);
/* monitor_expr.c: a C-like integer expression with $registers; advances *p behind it. 0, or -1 after a message. */
int mon_expr(struct mon *m, char **p, u64 *out);
/* "$NAME" without the dollar; 0, or -1 if there is no such register. */
int mon_register(struct mon *m, const char *name, u64 *out);

#endif
