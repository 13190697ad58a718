#include "daemon/base/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "proto/mem.h"

struct item {
    struct item *next;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct list {
    struct item *first, **last;
};

struct worker {
    struct wakeup *wakeup;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t cond;
    struct list asked, finished;
    bool stop;
};

static void list_init(struct list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(struct list *l, struct item *i)
{
    i->next = NULL;
    *l->last = i;
    l->last = &i->next;
}

static struct item *list_take(struct list *l)
{
    struct item *i = l->first;
    if (i) {
        l->first = i->next;
        if (!l->first)
            l->last = &l->first;
    }
    return i;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->stop && !w->asked.first)
            pthread_cond_wait(&w->cond, &w->mutex);
        if (w->stop)
            break;
        struct item *i = list_take(&w->asked);
        pthread_mutex_unlock(&w->mutex);
        i->work(i->arg);
        pthread_mutex_lock(&w->mutex);
        list_add(&w->finished, i);
        wakeup_send(w->wakeup);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static void on_finished(void *arg)
{
    struct worker *w = arg;
    for (;;) {
        pthread_mutex_lock(&w->mutex);
        struct item *i = list_take(&w->finished);
        pthread_mutex_unlock(&w->mutex);
        if (!i)
            return;
        i->done(i->arg);
        free(i);
    }
}

struct worker *worker_new(struct loop *l, struct err *err)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->wakeup = wakeup_new(l, on_finished, w, err);
    if (!w->wakeup) {
        free(w);
        return NULL;
    }
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->cond, NULL);
    list_init(&w->asked);
    list_init(&w->finished);
    return w;
}

static void start(struct worker *w)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the loop's */
    int e = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    w->started = e == 0;
}

void worker_run(struct worker *w, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct item *i = xcalloc(1, sizeof *i);
    *i = (struct item){NULL, work, done, arg};
    if (!w->started)
        start(w);
    pthread_mutex_lock(&w->mutex);
    if (w->started) {
        list_add(&w->asked, i);
        pthread_cond_signal(&w->cond);
    } else {
        /* No thread to be had: slower, but done. */
        work(arg);
        list_add(&w->finished, i);
        wakeup_send(w->wakeup);
    }
    pthread_mutex_unlock(&w->mutex);
}

void worker_free(struct worker *w, void (*drop)(void *arg))
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
    if (w->started)
        pthread_join(w->thread, NULL);
    struct item *i;
    while ((i = list_take(&w->finished)) || (i = list_take(&w->asked))) {
        drop(i->arg);
        free(i);
    }
    wakeup_free(w->wakeup);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->cond);
    free(w);
}
