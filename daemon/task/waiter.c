#include "daemon/task/waiter.h"

#include "daemon/task/job.h"
#include "daemon/task/named.h"

static struct waiter_queue *queue_of(struct waiters *l, const struct waiter *w)
{
    return w->where == WAITER_PENDING ? &l->pending : &l->settled;
}

/* A job is not stuck while one of its tasks waits for what comes from outside. */
static void count(struct waiters *l, const struct waiter *w, size_t n)
{
    if (w->where != WAITER_PENDING)
        return;
    l->n_pending += n;
    if (l->outside && w->task && w->task->job)
        w->task->job->sources += n;
}

static void insert_behind(struct waiters *l, struct waiter *w, struct waiter *before)
{
    struct waiter_queue *q = queue_of(l, w);
    w->prev = before;
    w->next = before ? before->next : q->first;
    *(w->next ? &w->next->prev : &q->last) = w;
    *(before ? &before->next : &q->first) = w;
    l->woken += w->where == WAITER_WOKEN;
    count(l, w, 1);
}

/* By its seq; who comes or is woken does so in order, nearly always. */
static void insert(struct waiters *l, struct waiter *w, enum waiter_where where)
{
    w->where = (uint8_t)where;
    const struct waiter_queue *q = queue_of(l, w);
    struct waiter *before = q->last;
    if (q->first && q->first->seq > w->seq)
        before = NULL;
    while (before && before->seq > w->seq)
        before = before->prev;
    insert_behind(l, w, before);
}

void waiters_remove(struct waiters *l, struct waiter *w)
{
    if (w->where == WAITER_NOWHERE)
        return;
    struct waiter_queue *q = queue_of(l, w);
    *(w->prev ? &w->prev->next : &q->first) = w->next;
    *(w->next ? &w->next->prev : &q->last) = w->prev;
    l->woken -= w->where == WAITER_WOKEN;
    count(l, w, (size_t)-1);
    w->where = WAITER_NOWHERE;
}

void waiters_add(struct waiters *l, struct waiter *w, struct task *t)
{
    w->task = t;
    w->seq = l->seq++;
    w->where = WAITER_PENDING;
    insert_behind(l, w, l->pending.last);
}

void waiters_put_back(struct waiters *l, struct waiter *w)
{
    waiters_first(l); /* in order */
    insert(l, w, WAITER_PENDING);
}

static struct waiter *merge(struct waiter *a, struct waiter *b)
{
    struct waiter *first = NULL, **end = &first;
    while (a && b) {
        struct waiter **less = a->seq < b->seq ? &a : &b;
        *end = *less;
        end = &(*less)->next;
        *less = (*less)->next;
    }
    *end = a ? a : b;
    return first;
}

/* Jobs are loaded one after the other; who waits came in another order. */
static void sort(struct waiter_queue *q)
{
    struct waiter *runs[64] = {NULL}, *all = NULL; /* runs[i]: 2^i sorted ones, or none */
    for (struct waiter *w = q->first, *next; w; w = next) {
        next = w->next;
        w->next = NULL;
        size_t i = 0;
        for (; runs[i]; i++) {
            w = merge(runs[i], w);
            runs[i] = NULL;
        }
        runs[i] = w;
    }
    for (size_t i = 0; i < 64; i++)
        all = merge(runs[i], all);
    q->first = all;
    q->last = NULL;
    for (struct waiter *w = all; w; w = w->next) {
        w->prev = q->last;
        q->last = w;
    }
}

struct waiter *waiters_first(struct waiters *l)
{
    if (l->unsorted)
        sort(&l->pending);
    l->unsorted = false;
    return l->pending.first;
}

bool waiters_wake(struct waiters *l, bool stay)
{
    struct waiter *w = waiters_first(l);
    if (!w)
        return false;
    waiters_remove(l, w);
    if (stay)
        insert(l, w, WAITER_WOKEN);
    if (w->task)
        wait_settle(w->task, FUTURE_DONE);
    else
        visit_woken(w);
    return true;
}

void waiters_wake_all(struct waiters *l, bool stay)
{
    while (waiters_wake(l, stay))
        ;
}

void waiters_wake_first(struct waiters *l)
{
    const struct waiter *pending = waiters_first(l), *settled = l->settled.first;
    if (pending && (!settled || pending->seq < settled->seq))
        waiters_wake(l, true);
}

void waiters_cancel(struct waiters *l, struct waiter *w)
{
    waiters_remove(l, w);
    insert(l, w, WAITER_CANCELLED);
}

void waiters_load(struct waiters *l, struct waiter *w, struct task *t, bool stay)
{
    w->task = t;
    if (w->seq >= l->seq)
        l->seq = w->seq + 1;
    if (t->future == FUTURE_PENDING) {
        l->unsorted |= l->pending.last && l->pending.last->seq > w->seq;
        w->where = WAITER_PENDING;
        insert_behind(l, w, l->pending.last);
    } else if (t->future == FUTURE_CANCELLED) {
        insert(l, w, WAITER_CANCELLED);
    } else if (stay) {
        insert(l, w, WAITER_WOKEN);
    } else {
        l->on_way++;
    }
}
