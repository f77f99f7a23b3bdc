/* See unix_path.h. Any thread; called by whoever listens on a unix socket: character back ends, networks, VNC. */
#include "util/unix_path.h"
#include <glib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* True if nobody has the socket open any more. */
static bool is_abandoned(const char *path, int type)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused;

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    refused = fd >= 0 && connect(fd, (const void *)&un, sizeof(un)) < 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

char *unix_path_claim(const char *path, int type, struct err *e)
{
    struct sockaddr_un un;
    struct stat st;

    if (!*path || strlen(path) >= sizeof(un.sun_path)) {
        err_set(e, "the path of a unix socket has 1 to %zu bytes", sizeof(un.sun_path) - 1);
        return NULL;
    }
    if (lstat(path, &st) < 0)
        return g_canonicalize_filename(path, NULL);
    if (!S_ISSOCK(st.st_mode) || !is_abandoned(path, type)) {
        err_set(e, "cannot listen on '%s': %s", path, S_ISSOCK(st.st_mode) ? "another program does" : "the file exists and is no socket");
        return NULL;
    }
    if (unlink(path) < 0) {
        err_set(e, "cannot remove the old socket '%s': %s", path, strerror(errno));
        return NULL;
    }
    return g_canonicalize_filename(path, NULL);
}

void unix_path_remove(char *path)
{
    if (path)
        unlink(path);
    g_free(path);
}
