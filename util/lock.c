/* Ranked mutexes, waits and named threads. Any thread. In debug builds every acquisition is checked against the ranks
 * that the thread already holds, so that a lock-order mistake aborts on its first run and not on its first deadlock. */
#include "util/lock.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef NDEBUG
#define HELD_MAX 16
static __thread const struct lock *held_locks[HELD_MAX];
static __thread unsigned held_count;

static void rank_push(const struct lock *l)
{
    for (unsigned i = 0; i < held_count; i++) {
        if (held_locks[i]->rank >= l->rank) {
            fprintf(stderr, "gemel: lock order: taking %s (%d) while holding %s (%d)\n", l->name, l->rank,
                    held_locks[i]->name, held_locks[i]->rank);
            abort();
        }
    }
    assert(held_count < HELD_MAX);
    held_locks[held_count++] = l;
}

static void rank_pop(const struct lock *l)
{
    for (unsigned i = held_count; i-- > 0;) {
        if (held_locks[i] == l) {
            memmove(&held_locks[i], &held_locks[i + 1], (held_count - i - 1) * sizeof(held_locks[0]));
            held_count--;
            return;
        }
    }
    assert(!"released a lock that is not held");
}
#else
static void rank_push(const struct lock *l) {}
static void rank_pop(const struct lock *l) {}
#endif

/* The owner fields are written by the holder only; other threads may look at them to learn that they are not it. */
static void owner_set(struct lock *l)
{
    __atomic_store_n(&l->owner, pthread_self(), __ATOMIC_RELAXED);
    __atomic_store_n(&l->held, true, __ATOMIC_RELAXED);
}

static void owner_clear(struct lock *l)
{
    __atomic_store_n(&l->held, false, __ATOMIC_RELAXED);
}

void lock_init(struct lock *l, const char *name, int rank)
{
    memset(l, 0, sizeof(*l));
    pthread_mutex_init(&l->m, NULL);
    l->name = name;
    l->rank = rank;
}

void lock_fini(struct lock *l)
{
    assert(!l->held);
    pthread_mutex_destroy(&l->m);
}

void lock_acquire(struct lock *l)
{
    rank_push(l);
    pthread_mutex_lock(&l->m);
    owner_set(l);
}

bool lock_try(struct lock *l)
{
    if (pthread_mutex_trylock(&l->m))
        return false;
    rank_push(l);
    owner_set(l);
    return true;
}

void lock_release(struct lock *l)
{
    assert(lock_is_mine(l));
    owner_clear(l);
    pthread_mutex_unlock(&l->m);
    rank_pop(l);
}

bool lock_is_mine(const struct lock *l)
{
    return __atomic_load_n(&l->held, __ATOMIC_RELAXED) &&
           pthread_equal(__atomic_load_n(&l->owner, __ATOMIC_RELAXED), pthread_self());
}

void lock_wait(struct lock *l, pthread_cond_t *c)
{
    assert(lock_is_mine(l));
    owner_clear(l);
    pthread_cond_wait(c, &l->m);
    owner_set(l);
}

bool lock_wait_ns(struct lock *l, pthread_cond_t *c, i64 ns)
{
    struct timespec ts;
    assert(lock_is_mine(l));
    clock_gettime(CLOCK_MONOTONIC, &ts);
    if (ns < 0)
        ns = 0;
    ts.tv_sec += ns / NS_PER_SEC;
    ts.tv_nsec += ns % NS_PER_SEC;
    if (ts.tv_nsec >= NS_PER_SEC) {
        ts.tv_sec++;
        ts.tv_nsec -= NS_PER_SEC;
    }
    owner_clear(l);
    int r = pthread_cond_clockwait(c, &l->m, CLOCK_MONOTONIC, &ts);
    owner_set(l);
    return r != ETIMEDOUT;
}

int thread_start(pthread_t *t, const char *name, void *(*fn)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(t, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r)
        return -1;
    pthread_setname_np(*t, name);
    return 0;
}
