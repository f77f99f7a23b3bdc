/* What several users of sockets need. Any thread. */
#ifndef UTIL_SOCK_H
#define UTIL_SOCK_H
#include <errno.h>
#include <sys/socket.h>

/* How a connection that was being made has ended: 0, or an errno. */
static inline int sock_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

#endif
