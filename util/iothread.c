/* I/O threads and their list. The list belongs to the main thread; a thread runs nothing but its main context. */
#include "util/iothread.h"
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "util/handover.h"
#include "util/lock.h"

struct iothread {
    char *id;
    GMainContext *ctx;
    GMainLoop *loop;
    pthread_t thread;
    int tid;             /* [atomic] */
    unsigned users;      /* [atomic] */
    struct iothread *next;
};

static struct iothread *first;

static void *iothread_run(void *opaque)
{
    struct iothread *t = opaque;

    __atomic_store_n(&t->tid, (int)gettid(), __ATOMIC_RELAXED);
    g_main_context_push_thread_default(t->ctx);
    g_main_loop_run(t->loop);
    g_main_context_pop_thread_default(t->ctx);
    return NULL;
}

/* GLib ends the process if a context gets no descriptor: better to know before. */
static int check_descriptors(struct err *e)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    if (fd < 0)
        return err_set(e, "cannot make an eventfd for an I/O thread: %s", g_strerror(errno));
    close(fd);
    return 0;
}

struct iothread *iothread_new(const char *id, struct err *e)
{
    struct iothread *t, **tail = &first;
    char name[16];

    if (iothread_find(id)) {
        err_set(e, "there is an I/O thread '%s' already", id);
        return NULL;
    }
    if (check_descriptors(e) < 0)
        return NULL;
    t = g_new0(struct iothread, 1);
    t->id = g_strdup(id);
    t->ctx = g_main_context_new();
    t->loop = g_main_loop_new(t->ctx, FALSE);
    snprintf(name, sizeof(name), "IO %s", id);
    if (thread_start(&t->thread, name, iothread_run, t) < 0) {
        err_set(e, "cannot start the I/O thread '%s'", id);
        g_main_loop_unref(t->loop);
        g_main_context_unref(t->ctx);
        g_free(t->id);
        g_free(t);
        return NULL;
    }
    iothread_sync(t); /* from now on its tid can be told */
    while (*tail)
        tail = &(*tail)->next;
    *tail = t;
    return t;
}

struct iothread *iothread_find(const char *id)
{
    for (struct iothread *t = first; t; t = t->next)
        if (!strcmp(t->id, id))
            return t;
    return NULL;
}

struct iothread *iothread_nth(unsigned i)
{
    struct iothread *t = first;

    while (t && i--)
        t = t->next;
    return t;
}

const char *iothread_id(const struct iothread *t) { return t->id; }
int iothread_tid(const struct iothread *t) { return __atomic_load_n(&t->tid, __ATOMIC_RELAXED); }
GMainContext *iothread_context(struct iothread *t) { return t->ctx; }
void iothread_get(struct iothread *t) { __atomic_fetch_add(&t->users, 1, __ATOMIC_RELAXED); }
void iothread_put(struct iothread *t) { __atomic_fetch_sub(&t->users, 1, __ATOMIC_RELEASE); }

struct sync {
    pthread_mutex_t m;
    pthread_cond_t c;
    bool done;
};

static gboolean on_sync(gpointer opaque)
{
    struct sync *s = opaque;

    handover_take(s);
    pthread_mutex_lock(&s->m);
    s->done = true;
    pthread_cond_signal(&s->c);
    pthread_mutex_unlock(&s->m);
    return G_SOURCE_REMOVE;
}

void iothread_sync(struct iothread *t)
{
    struct sync s = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };
    GSource *src = g_idle_source_new();

    g_source_set_callback(src, on_sync, &s, NULL);
    handover_give(&s);
    g_source_attach(src, t->ctx);
    g_source_unref(src);
    pthread_mutex_lock(&s.m);
    while (!s.done)
        pthread_cond_wait(&s.c, &s.m);
    pthread_mutex_unlock(&s.m);
}

static gboolean on_quit(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

int iothread_free(const char *id, struct err *e)
{
    struct iothread **p = &first, *t;
    GSource *src;

    while (*p && strcmp((*p)->id, id))
        p = &(*p)->next;
    t = *p;
    if (!t)
        return err_set(e, "there is no I/O thread '%s'", id);
    if (__atomic_load_n(&t->users, __ATOMIC_ACQUIRE))
        return err_set(e, "object '%s' is in use, can not be deleted", id);
    *p = t->next;
    src = g_idle_source_new(); /* in its own loop, which may not run yet */
    g_source_set_callback(src, on_quit, t->loop, NULL);
    g_source_attach(src, t->ctx);
    g_source_unref(src);
    pthread_join(t->thread, NULL);
    g_main_loop_unref(t->loop);
    g_main_context_unref(t->ctx);
    g_free(t->id);
    g_free(t);
    return 0;
}
