/* Runs in a guest as its first process: times direct I/O on a disk and prints one line for each pattern: "DISK NAME RATE UNIT". Built static by
 * the makefile for bench/disk. Arguments from the kernel's command line: bench.dev=/dev/vda bench.seconds=3 bench.only=PART-OF-A-NAME. */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH_MAX = 32 };

static char dev[64] = "/dev/vda", only[64] = "";
static double seconds = 3;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Keeps `depth` requests of `size` bytes in flight, at random places or one after the other. */
static void run(const char *name, int write, uint64_t size, unsigned depth, int random)
{
    static char *buf;
    struct iocb cb[DEPTH_MAX], *list[DEPTH_MAX];
    struct io_event ev[DEPTH_MAX];
    aio_context_t ctx = 0;
    uint64_t disk = 0, pos = 0, state = 88172645463325252ull, done = 0;
    int fd;

    if (!strstr(name, only))
        return;
    fd = open(dev, O_RDWR | O_DIRECT);
    if (!buf && posix_memalign((void **)&buf, 4096, DEPTH_MAX << 17))
        exit(1);
    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &disk) < 0 || syscall(SYS_io_setup, depth, &ctx) < 0) {
        printf("DISK-ERROR %s: cannot use %s\n", name, dev);
        return;
    }
    memset(cb, 0, sizeof(cb));
    double start = now(), end = start + seconds;
    unsigned idle = depth;
    for (unsigned i = 0; i < depth; i++) {
        list[i] = &cb[i];
        cb[i].aio_buf = (uintptr_t)buf + i * size;
    }
    while (idle < depth || now() < end) {
        if (now() < end) {
            for (unsigned i = 0; i < idle; i++) {
                struct iocb *c = list[i];
                c->aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
                c->aio_fildes = fd;
                c->aio_nbytes = size;
                c->aio_offset = random ? next_random(&state) % (disk / size) * size : pos;
                c->aio_data = (uintptr_t)c;
                pos = pos + 2 * size > disk ? 0 : pos + size;
            }
            if (idle && syscall(SYS_io_submit, ctx, (long)idle, list) != (long)idle)
                exit(1);
            idle = 0;
        }
        if (idle == depth)
            break;
        long n = syscall(SYS_io_getevents, ctx, 1l, (long)depth, ev, NULL);
        for (long i = 0; i < n; i++) {
            if (ev[i].res != (int64_t)size) {
                printf("DISK-ERROR %s: result %lld\n", name, (long long)ev[i].res);
                exit(1);
            }
            list[idle++] = (struct iocb *)(uintptr_t)ev[i].data;
            done++;
        }
    }
    double t = now() - start;
    printf("DISK %s %.0f %s\n", name, size <= 4096 ? done / t : done * size / t / 1e6, size <= 4096 ? "IOPS" : "MB/s");
    syscall(SYS_io_destroy, ctx);
    close(fd);
}

static void modules(void)
{
    pid_t p = fork();
    if (p == 0) {
        execl("/bin/busybox", "modprobe", "-a", "virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", (char *)NULL);
        _exit(1);
    }
    waitpid(p, NULL, 0);
}

int main(void)
{
    char line[1024] = "", *s;
    mkdir("/proc", 0755);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    int fd = open("/proc/cmdline", O_RDONLY);
    if (fd >= 0 && read(fd, line, sizeof(line) - 1) > 0) {
        if ((s = strstr(line, "bench.dev=")))
            sscanf(s, "bench.dev=%63s", dev);
        if ((s = strstr(line, "bench.only=")))
            sscanf(s, "bench.only=%63s", only);
        if ((s = strstr(line, "bench.seconds=")))
            seconds = atof(s + 14);
    }
    modules();
    for (int i = 0; i < 100 && access(dev, F_OK) < 0; i++)
        usleep(100000);
    run("rand-read-4k-qd1", 0, 4096, 1, 1);
    run("rand-write-4k-qd1", 1, 4096, 1, 1);
    run("rand-read-4k-qd32", 0, 4096, 32, 1);
    run("rand-write-4k-qd32", 1, 4096, 32, 1);
    run("seq-read-128k-qd4", 0, 131072, 4, 0);
    run("seq-write-128k-qd4", 1, 131072, 4, 0);
    printf("DISK-END\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 0;
}
