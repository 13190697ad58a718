#include "daemon/task/waiter.h"

#include "daemon/task/task.h"

static struct waiter_queue *queue_of(struct waiters *l, const struct waiter *w)
{
    return w->where == WAITER_PENDING ? &l->pending : &l->settled;
}

/* By its seq; who comes or is woken does so in order, nearly always. */
static void insert(struct waiters *l, struct waiter *w, enum waiter_where where)
{
    w->where = (uint8_t)where;
    struct waiter_queue *q = queue_of(l, w);
    struct waiter *before = q->last;
    while (before && before->seq > w->seq)
        before = before->prev;
    w->prev = before;
    w->next = before ? before->next : q->first;
    *(w->next ? &w->next->prev : &q->last) = w;
    *(before ? &before->next : &q->first) = w;
    l->woken += where == WAITER_WOKEN;
}

void waiters_remove(struct waiters *l, struct waiter *w)
{
    if (w->where == WAITER_NOWHERE)
        return;
    struct waiter_queue *q = queue_of(l, w);
    *(w->prev ? &w->prev->next : &q->first) = w->next;
    *(w->next ? &w->next->prev : &q->last) = w->prev;
    l->woken -= w->where == WAITER_WOKEN;
    w->where = WAITER_NOWHERE;
}

void waiters_add(struct waiters *l, struct waiter *w, struct task *t)
{
    w->task = t;
    w->seq = l->seq++;
    insert(l, w, WAITER_PENDING);
}

bool waiters_wake(struct waiters *l, bool stay)
{
    struct waiter *w = l->pending.first;
    if (!w)
        return false;
    waiters_remove(l, w);
    if (stay)
        insert(l, w, WAITER_WOKEN);
    wait_settle(w->task, FUTURE_DONE);
    return true;
}

void waiters_wake_all(struct waiters *l, bool stay)
{
    while (waiters_wake(l, stay))
        ;
}

void waiters_wake_first(struct waiters *l)
{
    const struct waiter *pending = l->pending.first, *settled = l->settled.first;
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
    if (t->future == FUTURE_PENDING)
        insert(l, w, WAITER_PENDING);
    else if (t->future == FUTURE_CANCELLED)
        insert(l, w, WAITER_CANCELLED);
    else if (stay)
        insert(l, w, WAITER_WOKEN);
}
