/* The process in the background, and the file with its number; see daemon.h. Main thread, from main.c. */
#include "ui/daemon.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int ready_fd = -1;      /* tells the waiting process */
static const char *pid_path;   /* to be removed */

/* Waits for the child's one byte; its death before that is a failure, whose reason it has printed. */
static _Noreturn void wait_for_child(int fd)
{
    char status = 1;
    ssize_t n;

    do {
        n = read(fd, &status, 1);
    } while (n < 0 && errno == EINTR);
    _exit(n == 1 ? status : 1);
}

int daemon_begin(struct err *e)
{
    int p[2];
    pid_t pid;

    if (pipe2(p, O_CLOEXEC) < 0)
        return err_set(e, "-daemonize: %s", strerror(errno));
    pid = fork();
    if (pid < 0)
        return err_set(e, "-daemonize: %s", strerror(errno));
    if (pid > 0) {
        close(p[1]);
        wait_for_child(p[0]);
    }
    close(p[0]);
    ready_fd = p[1];
    setsid();
    pid = fork(); /* no leader of a session can get a terminal again */
    if (pid < 0)
        return err_set(e, "-daemonize: %s", strerror(errno));
    if (pid > 0)
        _exit(0);
    umask(027);
    return 0;
}

void daemon_ready(void)
{
    char ok = 0;
    int null;

    if (ready_fd < 0)
        return;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    if (chdir("/") < 0 || write(ready_fd, &ok, 1) != 1)
        return; /* nobody waits any more */
    close(ready_fd);
    ready_fd = -1;
}

int pidfile_write(const char *path, struct err *e)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    char text[24];
    int n;

    if (fd < 0)
        return err_set(e, "-pidfile: cannot open '%s': %s", path, strerror(errno));
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        close(fd);
        return err_set(e, "-pidfile: '%s' is in use by another process", path);
    }
    n = snprintf(text, sizeof(text), "%d\n", getpid());
    if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n) {
        err_set(e, "-pidfile: cannot write '%s': %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    pid_path = realpath(path, NULL); /* the descriptor stays open: it holds the lock */
    return 0;
}

void pidfile_remove(void)
{
    if (pid_path)
        unlink(pid_path);
    free((char *)pid_path);
    pid_path = NULL;
}
