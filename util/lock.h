/* Mutexes with a rank and an owner, condition variables and named threads. docs/threads.md lists every lock. */
#ifndef UTIL_LOCK_H
#define UTIL_LOCK_H
#include <pthread.h>
#include "util/base.h"

/* Outer to inner; a thread may only take a lock of a higher rank than all it holds (checked unless NDEBUG). */
enum lock_rank {
    RANK_VM = 10,      /* run state */
    RANK_BUS = 15,     /* accesses that no host instruction makes atomic (mmu/atomic.c) */
    RANK_MACHINE = 20, /* devices */
    RANK_IRQ = 30,     /* interrupt controllers with a lock of their own */
    RANK_REGION = 40,  /* region transactions */
    RANK_BACKEND = 50, /* back-end queues */
    RANK_CODE = 60,    /* translation and code cache */
    RANK_VCPU = 70,    /* a vCPU's work queue and wait condition */
    RANK_CLOCK = 80,   /* timer lists */
    RANK_LOG = 90,
};

struct lock {
    pthread_mutex_t m;
    const char *name;
    int rank;
    pthread_t owner;
    bool held;
};

void lock_init(struct lock *l, const char *name, int rank);
void lock_fini(struct lock *l);
void lock_acquire(struct lock *l);
/* False if another thread has it. Needs no order: it never waits. */
bool lock_try(struct lock *l);
void lock_release(struct lock *l);
/* True if the calling thread holds l; for assertions. */
bool lock_is_mine(const struct lock *l);
/* Waits on c with l held; l is released while waiting. */
void lock_wait(struct lock *l, pthread_cond_t *c);
/* As lock_wait with a relative timeout in ns; returns false on timeout. */
bool lock_wait_ns(struct lock *l, pthread_cond_t *c, i64 ns);
/* Starts a joinable thread whose name (15 characters) shows in top -H. All signals except SIGFPE/SIGSEGV/SIGBUS/
 * SIGILL are blocked in it, so that process signals reach the main thread. */
int thread_start(pthread_t *t, const char *name, void *(*fn)(void *), void *arg);

#endif
