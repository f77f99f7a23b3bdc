/* Runs benchmark programs at the command of bench/driver: as the first process of a guest, its console in between, and on the host, by pipes. Each
 * line of standard input is a command: "run PROGRAM ARGUMENT...", "one-cpu" or "off". Prints "BENCH ready" at the start and "BENCH end STATUS
 * MICROSECONDS" after each program, of CPU time by the program and its children. agent [ROOT]: a folder that is the programs' root. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void must(int result, const char *what)
{
    if (result >= 0)
        return;
    printf("BENCH wrong %s: %m\n", what);
    exit(1);
}

/* A folder, and a file system on it; both may be there already. */
static void mount_on(const char *what, const char *where)
{
    mkdir(where, 0755);
    if (mount(what, where, what, 0, NULL) && errno != EBUSY)
        must(-1, where);
}

/* What a guest's first process has to do before others can run. */
static void begin_guest(void)
{
    struct termios t;
    mount_on("proc", "/proc");
    mount_on("devtmpfs", "/dev");
    mkdir("/tmp", 01777);
    must(tcgetattr(0, &t), "tcgetattr");
    cfmakeraw(&t);
    must(tcsetattr(0, TCSANOW, &t), "tcsetattr");
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    must(f && fputs(text, f) >= 0 && !fclose(f) ? 0 : -1, name);
}

/* A root of its own on the host, with the host's devices, and what is temporary in memory; by a user namespace if that is needed. */
static void enter_root(const char *root)
{
    must(chdir(root), root);
    if (geteuid()) {
        char map[32];
        snprintf(map, sizeof(map), "0 %u 1", geteuid());
        must(unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare");
        write_file("/proc/self/uid_map", map);
    } else {
        must(unshare(CLONE_NEWNS), "unshare");
    }
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount /");
    must(mount("/dev", "dev", NULL, MS_BIND | MS_REC, NULL), "mount dev");
    must(mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL), "mount proc");
    must(mount("tmpfs", "tmp", "tmpfs", 0, NULL), "mount tmp");
    must(chroot("."), "chroot");
}

/* On the host all that belongs to one run stays on one CPU, as in a guest with one. */
static void stay_on_one_cpu(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void run(char *command)
{
    char *argv[16] = { 0 };
    struct rusage use;
    int n = 0, status = -1;
    for (char *w = strtok(command, " "); w && n < 15; w = strtok(NULL, " "))
        argv[n++] = w;
    pid_t pid = n ? fork() : -1;
    must(pid, "fork");
    if (!pid) {
        execv(argv[0], argv);
        printf("BENCH wrong %s: %m\n", argv[0]);
        exit(127);
    }
    must(wait4(pid, &status, 0, &use), "wait");
    printf("BENCH end %d %lld\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
           (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000ll + use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    bool guest = getpid() == 1;
    char line[256];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (guest)
        begin_guest();
    else if (argc > 1)
        enter_root(argv[1]);
    printf("BENCH ready\n");
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!strncmp(line, "run ", 4))
            run(line + 4);
        else if (!strcmp(line, "one-cpu"))
            stay_on_one_cpu();
        else if (!strcmp(line, "off"))
            break;
    }
    if (guest) {
        tcdrain(1);
        reboot(RB_POWER_OFF);
    }
    return 0;
}
