/* Descriptors handed over by the user, see fdset.h. Main thread: command line, monitor, QMP; host_open also from back ends' threads. */
#include "util/fdset.h"
#include <fcntl.h>
#include <glib.h>
#include <sys/stat.h>
#include <unistd.h>

struct member {
    i64 set;
    int fd;
    char *opaque;
};

/* What the process was given. [main] */
static GArray *members;  /* struct member, ordered by set */
static GHashTable *names; /* name -> fd */

static struct member *member_at(unsigned i)
{
    return &g_array_index(members, struct member, i);
}

static int fdset_open(i64 set, int flags)
{
    bool found = false;

    for (unsigned i = 0; members && i < members->len; i++) {
        struct member *m = member_at(i);
        int have = fcntl(m->fd, F_GETFL);
        if (m->set != set)
            continue;
        found = true;
        if (have >= 0 && (have & O_ACCMODE) == (flags & O_ACCMODE))
            return fcntl(m->fd, F_DUPFD_CLOEXEC, 3);
    }
    errno = found ? EACCES : ENOENT;
    return -1;
}

int host_open(const char *path, int flags, unsigned mode)
{
    const char *number = g_str_has_prefix(path, "/dev/fdset/") ? path + strlen("/dev/fdset/") : NULL;
    char *end;

    if (!number)
        return open(path, flags | O_CLOEXEC, mode);
    i64 set = g_ascii_strtoll(number, &end, 10);
    if (end == number || *end) {
        errno = EINVAL;
        return -1;
    }
    return fdset_open(set, flags);
}

static bool set_exists(i64 set)
{
    for (unsigned i = 0; i < members->len; i++)
        if (member_at(i)->set == set)
            return true;
    return false;
}

i64 fdset_add(i64 set, int fd, const char *opaque, struct err *e)
{
    struct member m = { .fd = fd };
    unsigned at = 0;

    if (fcntl(fd, F_GETFD) < 0)
        return err_set(e, "%d is not an open file descriptor", fd);
    if (!members)
        members = g_array_new(FALSE, FALSE, sizeof(struct member));
    for (m.set = set < 0 ? 0 : set; set < 0 && set_exists(m.set);)
        m.set++;
    m.opaque = g_strdup(opaque);
    while (at < members->len && member_at(at)->set <= m.set)
        at++;
    g_array_insert_val(members, at, m);
    return m.set;
}

int fdset_remove(i64 set, int fd, struct err *e)
{
    bool found = false;

    for (unsigned i = members ? members->len : 0; i-- > 0;) {
        struct member m = *member_at(i);
        if (m.set != set || (fd >= 0 && m.fd != fd))
            continue;
        found = true;
        close(m.fd);
        g_free(m.opaque);
        g_array_remove_index(members, i);
    }
    if (found)
        return 0;
    return fd < 0 ? err_set(e, "File descriptor named 'fdset-id:%lld' not found", (long long)set)
                  : err_set(e, "File descriptor named 'fdset-id:%lld, fd:%d' not found", (long long)set, fd);
}

bool fdset_nth(unsigned n, struct fdset_info *out)
{
    if (!members || n >= members->len)
        return false;
    *out = (struct fdset_info){ member_at(n)->set, member_at(n)->fd, member_at(n)->opaque };
    return true;
}

int fdname_add(const char *name, int fd, struct err *e)
{
    if (!g_ascii_isalpha(*name))
        return err_set(e, "Parameter 'fdname' expects a name not starting with a digit");
    if (!names)
        names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    fdname_close(name, NULL);
    g_hash_table_insert(names, g_strdup(name), GINT_TO_POINTER(fd));
    return 0;
}

/* Out of the table; -1 if it is not there. */
static int fdname_remove(const char *name)
{
    gpointer fd;

    if (!names || !g_hash_table_lookup_extended(names, name, NULL, &fd))
        return -1;
    g_hash_table_remove(names, name);
    return GPOINTER_TO_INT(fd);
}

int fdname_close(const char *name, struct err *e)
{
    int fd = fdname_remove(name);

    if (fd < 0)
        return err_set(e, "File descriptor named '%s' not found", name);
    close(fd);
    return 0;
}

int fdname_take(const char *word, struct err *e)
{
    char *end;
    u64 n;
    int fd;

    if (!g_ascii_isdigit(*word)) {
        fd = fdname_remove(word);
        return fd < 0 ? err_set(e, "File descriptor named '%s' has not been found", word) : fd;
    }
    n = g_ascii_strtoull(word, &end, 10);
    if (*end || n > 0x7fffffff || fcntl((int)n, F_GETFD) < 0)
        return err_set(e, "fd=%s: not an open file descriptor", word);
    fcntl((int)n, F_SETFD, FD_CLOEXEC);
    return (int)n;
}

void fdset_free_all(void)
{
    while (members && members->len)
        fdset_remove(member_at(0)->set, -1, NULL);
    g_clear_pointer(&members, g_array_unref);
    g_clear_pointer(&names, g_hash_table_unref);
}
