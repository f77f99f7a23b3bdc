/* The program: options to configurations, builds engine, machine and user interface, runs the GLib main loop on the main
 * thread until the guest, the user or a signal ends it, and takes everything down again. */
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "accel/accel.h"
#include "hw/backend/chr.h"
#include "hw/backend/drive.h"
#include "hw/backend/object.h"
#include "hw/backend/net.h"
#include "hw/core/machine.h"
#include "ui/daemon.h"
#include "ui/display.h"
#include "ui/gdb.h"
#include "ui/monitor.h"
#include "ui/options.h"
#include "ui/qmp.h"
#include "ui/streams.h"
#include "util/event.h"
#include "util/fdset.h"
#include "util/log.h"

struct program {
    struct ui ui;
    struct options options;
    struct streams streams;
    struct display display;
    struct machine *machine;
    bool machine_built;
    struct monitor *monitors[MONITORS_MAX];
    struct qmp *qmps[MONITORS_MAX];
    const char *end_reason; /* of the SHUTDOWN event, NULL: the guest's own end was reported already */
    GMainLoop *loop;
    int status;
    bool ended; /* quit was asked for, perhaps before the loop ran */
};

static void program_quit(struct program *p, int status, const char *reason)
{
    if (!p->ended) {
        p->status = status;
        p->end_reason = reason;
    }
    p->ended = true;
    g_main_loop_quit(p->loop);
}

static void ui_quit(struct ui *ui, int status)
{
    program_quit(container_of(ui, struct program, ui), status, "host-qmp-quit");
}

static void on_vm_exit(void *opaque, int status)
{
    program_quit(opaque, status, NULL);
}

static void on_exit_key(void *opaque)
{
    program_quit(opaque, 0, "host-ui");
}

static gboolean on_signal(struct program *p, int sig)
{
    fprintf(stderr, "gemel: terminating on signal %d\n", sig);
    program_quit(p, 0, "host-signal");
    return G_SOURCE_CONTINUE;
}

static gboolean on_sigint(gpointer opaque)
{
    return on_signal(opaque, SIGINT);
}

static gboolean on_sigterm(gpointer opaque)
{
    return on_signal(opaque, SIGTERM);
}

static gboolean on_sighup(gpointer opaque)
{
    return on_signal(opaque, SIGHUP);
}

static int program_start_log(struct program *p, struct err *e)
{
    if (p->options.log_path && log_open(p->options.log_path, e) < 0)
        return err_prefix(e, "-D");
    if (p->options.log_items && log_parse(p->options.log_items, e) < 0)
        return err_prefix(e, "-d");
    return 0;
}

/* A descriptor 0, 1 or 2 that the caller closed must not become guest memory or a disk that somebody prints to. */
static void reserve_standard_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* A drive's error policy wants the VM stopped. */
static void on_io_error(void *opaque)
{
    struct machine *m = opaque;

    m->request(m, REQ_IO_ERROR, 0);
}

/* No request is under way in a stopped VM; failed ones that wait for it are tried again when it goes on. */
static void on_run_state(void *opaque, const struct vm_stop_info *i)
{
    if (i->state == VM_RUNNING)
        blk_resume_all();
    else
        blk_drain_all();
}

static void start_monitors(struct program *p)
{
    qmp_events_start(&p->ui);
    for (unsigned i = 0; i < p->streams.n_monitors; i++) {
        const struct stream_monitor *m = &p->streams.monitor[i];
        if (m->qmp)
            p->qmps[i] = qmp_new(&p->ui, m->chr, m->pretty);
        else
            p->monitors[i] = monitor_new(&p->ui, m->chr);
    }
}

/* Everything from the options to a VM that runs (or waits, under -S). */
static int program_start(struct program *p, struct err *e)
{
    if (program_start_log(p, e) < 0 || (p->options.pidfile && pidfile_write(p->options.pidfile, e) < 0))
        return -1;
    p->ui.name = p->options.name;
    p->ui.vm = vm_new(&p->options.accel, e);
    if (!p->ui.vm)
        return -1;
    if (objects_open(&p->options, false, e) < 0 || streams_open(&p->options, &p->streams, e) < 0 || nets_open(&p->options, e) < 0 ||
        objects_open(&p->options, true, e) < 0)
        return -1;
    if (options_open_drives(&p->options, e) < 0)
        return -1;
    p->machine = g_new0(struct machine, 1);
    vm_attach_machine(p->ui.vm, p->machine);
    p->options.machine.tsc_khz = p->machine->cfg.tsc_khz;
    if (machine_build(p->machine, &p->options.machine, e) < 0)
        return -1;
    p->machine_built = true;
    blk_set_stop_hook(on_io_error, p->machine);
    vm_add_listener(p->ui.vm, on_run_state, p);
    vm_set_exit_handler(p->ui.vm, on_vm_exit, p);
    chr_set_exit_handler(on_exit_key, p);
    if (p->options.gdb && gdb_start(&p->ui, p->options.gdb, e) < 0)
        return err_prefix(e, "-gdb");
    p->ui.display = &p->display;
    if (display_start(&p->display, &p->ui, p->machine, &p->options.display, e) < 0)
        return -1;
    start_monitors(p);
    /* Before the guest can say anything that somebody answers with a signal. */
    g_unix_signal_add(SIGINT, on_sigint, p);
    g_unix_signal_add(SIGTERM, on_sigterm, p);
    g_unix_signal_add(SIGHUP, on_sighup, p);
    return vm_start(p->ui.vm, e);
}

/* The last event: why it ends. */
static void say_why(struct program *p)
{
    const struct event_member members[] = { EVENT_BOOL("guest", false), EVENT_ENUM("reason", p->end_reason), EVENT_DONE };

    if (p->end_reason)
        event_emit("SHUTDOWN", members);
    qmp_events_flush();
}

static void program_end(struct program *p)
{
    say_why(p);
    display_stop(&p->display);
    gdb_exit(&p->ui, p->status);
    gdb_stop(&p->ui);
    for (unsigned i = 0; i < MONITORS_MAX; i++) {
        monitor_free(p->monitors[i]);
        qmp_free(p->qmps[i]);
    }
    qmp_events_stop();
    if (p->ui.vm)
        vm_free(p->ui.vm);
    if (p->machine_built)
        machine_free(p->machine);
    drives_free();
    blk_close_all();
    net_free_all();
    object_free_all();
    chr_free_all();
    fdset_free_all();
    pidfile_remove();
    g_free(p->machine);
    options_free(&p->options);
    g_main_loop_unref(p->loop);
}

int main(int argc, char **argv)
{
    struct program p = { .ui.quit = ui_quit };
    struct err e = { "" };

    reserve_standard_streams();
    signal(SIGPIPE, SIG_IGN);
    /* From now on what other threads invoke on the default context waits for this thread's loop. */
    g_main_context_acquire(NULL);
    p.loop = g_main_loop_new(NULL, FALSE);
    switch (options_parse(&p.options, argc, argv, &e)) {
    case OPTIONS_DONE:
        program_end(&p);
        return fflush(stdout) || ferror(stdout) ? 1 : 0;
    case OPTIONS_ERROR:
        p.status = 1;
        break;
    case OPTIONS_RUN:
        if ((p.options.daemonize && daemon_begin(&e) < 0) || program_start(&p, &e) < 0)
            p.status = 1;
        break;
    }
    if (p.status == 1) {
        program_end(&p);
        err_report(&e);
        return 1;
    }
    daemon_ready();
    if (!p.ended)
        g_main_loop_run(p.loop);
    program_end(&p);
    return p.status;
}
