#ifndef COROD_TASK_WAITER_H
#define COROD_TASK_WAITER_H
/*
 * Who waits at an object: asyncio's deques of futures. A waiter is inside the activation on top of
 * its task, which stays where it is until the task wakes; its future is the task's (task.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task;

struct waiter {
    struct waiter *prev, *next;
    struct task *task; /* NULL: the waiter is a visit's (named.h) */
    uint64_t seq;
    uint8_t where; /* enum waiter_where */
};
enum waiter_where { WAITER_NOWHERE, WAITER_PENDING, WAITER_WOKEN, WAITER_CANCELLED };

struct waiter_queue {
    struct waiter *first, *last;
};

/* Both queues are in order of coming. A waiter that was woken or cancelled stays in the list until
 * its task runs: a lock is nobody else's as long as the first in the list is on its way. */
struct waiters {
    struct waiter_queue pending, settled;
    size_t n_pending;
    size_t woken; /* of the settled ones: not cancelled */
    uint64_t seq;
    size_t on_way; /* were woken when they were loaded, and are in no list */
    bool outside;  /* others than the job can wake who waits: it is not stuck */
    bool unsorted; /* pending ones were loaded in another order */
};

/* At the end; the task has just been suspended. */
void waiters_add(struct waiters *l, struct waiter *w, struct task *t);
/* The same where it was before. */
void waiters_put_back(struct waiters *l, struct waiter *w);
/* Who is woken next; NULL: nobody. */
struct waiter *waiters_first(struct waiters *l);
/* Takes it out, wherever it is. */
void waiters_remove(struct waiters *l, struct waiter *w);
/* The first pending one wakes; false: there is none. stay: it is in the list until it runs. */
bool waiters_wake(struct waiters *l, bool stay);
void waiters_wake_all(struct waiters *l, bool stay);
/* asyncio's Lock._wake_up_first(): nobody when the first in the list is on its way. */
void waiters_wake_first(struct waiters *l);
/* Its task is being cancelled. */
void waiters_cancel(struct waiters *l, struct waiter *w);
/* Somebody is in the list whose future was not cancelled. */
static inline bool waiters_any(const struct waiters *l)
{
    return l->pending.first || l->woken > 0;
}
/* Puts it where it was when it was saved, by its seq and its task's future. */
void waiters_load(struct waiters *l, struct waiter *w, struct task *t, bool stay);

#endif
