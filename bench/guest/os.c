/* What an operating system is asked for, in `make bench`: system calls, the clock, pipes, processes, memory, signals, threads. Processes and threads that
 * talk to each other stay on one CPU. Run by bench/guest/main.c. */
#include "bench/guest/bench.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t getpids(void)
{
    enum { N = 20000 };
    uint64_t same = 0;
    long pid = getpid();
    for (int i = 0; i < N; i++)
        same += syscall(SYS_getpid) == pid;
    return same;
}

static uint64_t clocks(void)
{
    enum { N = 20000 };
    struct timespec before = { 0, 0 }, now;
    uint64_t forward = 0;
    for (int i = 0; i < N; i++) {
        if (clock_gettime(CLOCK_MONOTONIC, &now))
            failed("clock_gettime");
        forward += now.tv_sec > before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec >= before.tv_nsec);
        before = now;
    }
    return forward;
}

/* The child's exit status; the result of a program must not come from a child that failed. */
static int wait_for(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            failed("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- a number that two processes count up in turn --- */
static uint64_t exchange(int in, int out, uint64_t n, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        if (read(in, &n, sizeof(n)) != sizeof(n))
            failed("read");
        n++;
        if (write(out, &n, sizeof(n)) != sizeof(n))
            failed("write");
    }
    return n;
}

static uint64_t pipes(void)
{
    enum { N = 1000 };
    int there[2], back[2];
    uint64_t n = 0;
    stay_here();
    if (pipe(there) || pipe(back))
        failed("pipe");
    pid_t child = fork();
    if (child < 0)
        failed("fork");
    if (!child) {
        exchange(there[0], back[1], 0, N);
        _exit(0);
    }
    if (write(there[1], &n, sizeof(n)) != sizeof(n))
        failed("write");
    n = exchange(back[0], there[1], 0, N - 1);
    if (read(back[0], &n, sizeof(n)) != sizeof(n) || wait_for(child))
        failed("child");
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
    return n;
}

static uint64_t forks(void)
{
    enum { N = 20 };
    uint64_t sum = 0;
    for (int i = 0; i < N; i++) {
        pid_t child = fork();
        if (child < 0)
            failed("fork");
        if (!child)
            _exit(i);
        sum += (uint64_t)wait_for(child);
    }
    return sum;
}

static uint64_t execs(void)
{
    enum { N = 10 };
    uint64_t good = 0;
    for (int i = 0; i < N; i++) {
        pid_t child = fork();
        if (child < 0)
            failed("fork");
        if (!child) {
            execl("/proc/self/exe", "os", HIDDEN, NULL);
            _exit(1);
        }
        good += !wait_for(child);
    }
    return good;
}

/* --- memory: new pages touched, one changed back and forth, all given back --- */
static uint64_t maps(void)
{
    enum { N = 20, PAGES = 64 };
    uint64_t sum = 0;
    for (int i = 0; i < N; i++) {
        uint8_t *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            failed("mmap");
        for (int k = 0; k < PAGES; k++) {
            sum += p[k * 4096];
            p[k * 4096] = (uint8_t)k;
        }
        for (int k = 0; k < PAGES; k++)
            sum += p[k * 4096];
        if (munmap(p, PAGES * 4096))
            failed("munmap");
    }
    return sum;
}

/* --- signals: sent to oneself, and caused by a page that may not be written --- */
static volatile uint64_t caught;
static uint8_t *guarded;

static void on_signal(int number) { caught++; }

static void on_fault(int number)
{
    caught++;
    mprotect(guarded, 4096, PROT_READ | PROT_WRITE);
}

static uint64_t signals(void)
{
    enum { N = 2000 };
    struct sigaction a = { .sa_handler = on_signal };
    sigaction(SIGUSR1, &a, NULL);
    caught = 0;
    for (int i = 0; i < N; i++)
        kill(getpid(), SIGUSR1);
    return caught;
}

static uint64_t faults(void)
{
    enum { N = 1000 };
    struct sigaction a = { .sa_handler = on_fault };
    sigaction(SIGSEGV, &a, NULL);
    guarded = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guarded == MAP_FAILED)
        failed("mmap");
    caught = 0;
    for (int i = 0; i < N; i++) {
        if (mprotect(guarded, 4096, PROT_READ))
            failed("mprotect");
        (*(volatile uint8_t *)guarded)++;
    }
    munmap(guarded, 4096);
    return caught;
}

/* --- threads that wake each other in turn --- */
enum { SWITCHES = 1000 };
static sem_t ping, pong;
static uint64_t switched;

static void *answer(void *unused)
{
    for (int i = 0; i < SWITCHES; i++) {
        sem_wait(&ping);
        switched++;
        sem_post(&pong);
    }
    return NULL;
}

static uint64_t threads(void)
{
    pthread_t t;
    stay_here();
    switched = 0;
    if (sem_init(&ping, 0, 0) || sem_init(&pong, 0, 0) || pthread_create(&t, NULL, answer, NULL))
        failed("pthread_create");
    for (int i = 0; i < SWITCHES; i++) {
        sem_post(&ping);
        sem_wait(&pong);
        switched++;
    }
    pthread_join(t, NULL);
    return switched;
}

const struct program programs[] = {
    { "getpid", getpids, 20000, NULL },
    { "clock", clocks, 20000, NULL },
    { "pipe", pipes, 2 * 1000 - 1, NULL },
    { "fork", forks, 19 * 20 / 2, NULL },
    { "exec", execs, 10, NULL },
    { "mmap", maps, 20 * 63 * 64 / 2, NULL },
    { "signal", signals, 2000, NULL },
    { "fault", faults, 1000, NULL },
    { "threads", threads, 2 * SWITCHES, NULL },
    { NULL, NULL, 0, NULL },
};
