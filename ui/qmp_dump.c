/* QMP's dump-guest-memory and what tells about it. Main thread, from ui/qmp.c and, through it, the monitor. A dump is written in one go; with
 * detach=true that begins when the command was answered. */
#include <fcntl.h>
#include <unistd.h>
#include "ui/dump.h"
#include "ui/qmp_cmd.h"
#include "ui/quiesce.h"
#include "util/event.h"
#include "util/fdset.h"

enum { DUMP_NONE, DUMP_ACTIVE, DUMP_COMPLETED, DUMP_FAILED };
static const char *const words[] = { "none", "active", "completed", "failed" };

/* The last or present dump of the process. [main] */
static struct dump {
    int status;
    u64 done, total;
} last;

struct job {
    struct ui *ui;
    struct dump_range range;
    int fd;
};

/* The CPUs are out of guest code meanwhile. Closes the file. */
static int write_dump(struct ui *ui, const struct dump_range *r, int fd, struct err *e)
{
    bool resume = ui_quiesce(ui);
    int ret = dump_write(ui->vm, r, fd, &last.done, e);

    ui_resume(ui, resume);
    if (close(fd) && ret == 0)
        ret = err_set(e, "dump: failed to write: %s", g_strerror(errno));
    last.status = ret < 0 ? DUMP_FAILED : DUMP_COMPLETED;
    const struct event_member members[] = {
        EVENT_ENUM("result.status", words[last.status]), EVENT_INT("result.completed", (i64)last.done),
        EVENT_INT("result.total", (i64)last.total), EVENT_STR("error", ret < 0 ? e->msg : NULL), EVENT_DONE,
    };
    event_emit("DUMP_COMPLETED", members);
    return ret;
}

static gboolean on_idle(gpointer opaque)
{
    struct job *j = opaque;
    struct err e;

    write_dump(j->ui, &j->range, j->fd, &e);
    g_free(j);
    return G_SOURCE_REMOVE;
}

/* "file:PATH" or "fd:NAME", or -1 with the error set. */
static int open_target(struct qmp_call *c)
{
    const char *protocol = qmp_str(c, "protocol");
    int fd;

    if (g_str_has_prefix(protocol, "fd:"))
        return fdname_take(protocol + 3, &c->err);
    if (!g_str_has_prefix(protocol, "file:"))
        return err_set(&c->err, "Invalid parameter 'protocol'");
    fd = host_open(protocol + 5, O_WRONLY | O_CREAT | O_TRUNC, 0400);
    return fd < 0 ? err_set(&c->err, "Could not open '%s': %s", protocol + 5, g_strerror(errno)) : fd;
}

static int check(struct qmp_call *c, const struct dump_range *r)
{
    if (qmp_bool(c, "paging", false))
        return err_set(&c->err, "Parameter 'paging' must be false: a dump has physical addresses");
    if (qmp_has(c, "begin") != qmp_has(c, "length"))
        return err_set(&c->err, "Parameter '%s' is missing", qmp_has(c, "begin") ? "length" : "begin");
    if (qmp_has(c, "length") && !r->length)
        return err_set(&c->err, "Parameter 'length' expects a non-zero length size");
    if (last.status == DUMP_ACTIVE)
        return err_set(&c->err, "There is a dump in process, please wait.");
    return 0;
}

int qmp_dump_guest_memory(struct qmp_call *c)
{
    struct dump_range r = { (u64)qmp_int(c, "begin", 0), (u64)qmp_int(c, "length", 0) };
    struct job *j;
    u64 size;
    int fd;

    if (check(c, &r) < 0)
        return -1;
    fd = open_target(c);
    if (fd < 0)
        return -1;
    size = dump_size(c->vm, &r);
    if (!size) {
        close(fd);
        return err_set(&c->err, "dump: no guest memory to dump");
    }
    last = (struct dump){ DUMP_ACTIVE, 0, size };
    if (!qmp_bool(c, "detach", false))
        return write_dump(c->ui, &r, fd, &c->err);
    j = g_new(struct job, 1);
    *j = (struct job){ c->ui, r, fd };
    g_idle_add_full(G_PRIORITY_DEFAULT, on_idle, j, NULL);
    return 0;
}

int qmp_query_dump(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    json_int(b, "total", (i64)last.total);
    json_str(b, "status", words[last.status]);
    json_int(b, "completed", (i64)last.done);
    json_close(b);
    return qmp_answer(c, b);
}

int qmp_query_dump_guest_memory_capability(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    json_open_array(b, "formats");
    json_str(b, NULL, "elf");
    json_close_array(b);
    json_close(b);
    return qmp_answer(c, b);
}
