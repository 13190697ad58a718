/* asyncio.Lock, Semaphore, Event, Condition and Barrier as of CPython 3.13. */
#include "daemon/task/job.h"
#include "daemon/task/object.h"

static struct waiters *lock_waiters(struct object *o)
{
    return &o->waiters[LIST_LOCK];
}

bool lock_is_locked(const struct object *o)
{
    if (object_is(o, IS_ANY_SEMAPHORE))
        return o->value == 0 || waiters_any(&o->waiters[LIST_LOCK]);
    return o->flag;
}

bool lock_try(struct object *o, const struct job *job)
{
    if (lock_is_locked(o) || waiters_any(lock_waiters(o)))
        return false;
    if (object_is(o, IS_ANY_SEMAPHORE))
        o->value--;
    else
        o->flag = true;
    hold_add(o, job);
    object_touch(o);
    return true;
}

/* What the woken one gets is taken for it now. */
static bool semaphore_wake(struct object *o)
{
    const struct waiter *first = waiters_first(lock_waiters(o));
    if (!first)
        return false;
    hold_add(o, first->task->job);
    waiters_wake(lock_waiters(o), true);
    o->value--;
    return true;
}

void lock_pass_on(struct object *o)
{
    object_touch(o);
    if (object_is(o, IS_ANY_SEMAPHORE))
        while (o->value > 0 && semaphore_wake(o))
            ;
    else if (!o->flag)
        waiters_wake_first(lock_waiters(o));
}

void lock_waited(struct object *o, const struct job *job, bool woken, bool ok)
{
    if (object_is(o, IS_ANY_SEMAPHORE)) {
        if (woken && !ok) {
            o->value++;
            hold_remove(o, job);
        }
    } else if (ok) {
        o->flag = true;
        hold_add(o, job);
    }
    lock_pass_on(o);
}

bool lock_release(struct object *o, const struct job *job, struct value **error)
{
    if (named_is_removed(o))
        return true; /* nobody waits for it any more */
    if (o->type == OBJECT_BOUNDED_SEMAPHORE && o->value >= o->limit) {
        *error = error_new("ValueError", "BoundedSemaphore released too many times");
        return false;
    }
    object_touch(o);
    if (object_is(o, IS_ANY_SEMAPHORE)) {
        o->value++;
        hold_remove(o, job);
        semaphore_wake(o);
        return true;
    }
    if (!o->flag) {
        *error = error_new("RuntimeError", "Lock is not acquired.");
        return false;
    }
    o->flag = false;
    hold_remove(o, job);
    waiters_wake_first(lock_waiters(o));
    return true;
}

void event_set(struct object *o)
{
    if (o->flag)
        return;
    o->flag = true;
    object_touch(o);
    waiters_wake_all(lock_waiters(o), false);
}

void event_clear(struct object *o)
{
    o->flag = false;
    object_touch(o);
}

void condition_wake(struct object *o, int64_t n)
{
    while (n-- > 0 && waiters_wake(&o->waiters[LIST_NOTIFY], false))
        ;
}

bool condition_notify(struct object *o, int64_t n, struct value **error)
{
    if (!o->flag) {
        *error = error_new("RuntimeError", "cannot notify on un-acquired lock");
        return false;
    }
    condition_wake(o, n);
    return true;
}

static void barrier_shrink(struct object *o, int64_t n)
{
    object_touch(o);
    o->value -= n < o->value ? n : o->value;
    if (o->value > 0)
        return;
    if (o->state == BARRIER_RESETTING || o->state == BARRIER_DRAINING)
        o->state = BARRIER_FILLING;
    condition_wake(o, INT64_MAX);
}

void barrier_exit(struct object *o, const struct job *job)
{
    hold_remove(o, job);
    barrier_shrink(o, 1);
}

void lock_forfeit(struct object *o, uint64_t n)
{
    int64_t most = n < INT32_MAX ? (int64_t)n : INT32_MAX;
    if (object_is(o, IS_BARRIER))
        barrier_shrink(o, most);
    else if (object_is(o, IS_ANY_SEMAPHORE))
        o->value += most;
    else
        o->flag = false;
    lock_pass_on(o);
}

void barrier_reset(struct object *o)
{
    o->state = o->value > 0 ? BARRIER_RESETTING : BARRIER_FILLING;
    object_touch(o);
    condition_wake(o, INT64_MAX);
}

void barrier_abort(struct object *o)
{
    o->state = BARRIER_BROKEN;
    object_touch(o);
    condition_wake(o, INT64_MAX);
}
