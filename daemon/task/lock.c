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

bool lock_try(struct object *o)
{
    if (lock_is_locked(o) || waiters_any(lock_waiters(o)))
        return false;
    if (object_is(o, IS_ANY_SEMAPHORE))
        o->value--;
    else
        o->flag = true;
    object_touch(o);
    return true;
}

static bool semaphore_wake(struct object *o)
{
    if (!waiters_wake(lock_waiters(o), true))
        return false;
    o->value--;
    return true;
}

void lock_waited(struct object *o, bool woken, bool ok)
{
    object_touch(o);
    if (object_is(o, IS_ANY_SEMAPHORE)) {
        if (woken && !ok)
            o->value++;
        while (o->value > 0 && semaphore_wake(o))
            ;
    } else if (ok) {
        o->flag = true;
    } else if (!o->flag) {
        waiters_wake_first(lock_waiters(o));
    }
}

bool lock_release(struct object *o, struct value **error)
{
    if (o->type == OBJECT_BOUNDED_SEMAPHORE && o->value >= o->limit) {
        *error = error_new("ValueError", "BoundedSemaphore released too many times");
        return false;
    }
    object_touch(o);
    if (object_is(o, IS_ANY_SEMAPHORE)) {
        o->value++;
        semaphore_wake(o);
        return true;
    }
    if (!o->flag) {
        *error = error_new("RuntimeError", "Lock is not acquired.");
        return false;
    }
    o->flag = false;
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

void barrier_exit(struct object *o)
{
    object_touch(o);
    if (--o->value > 0)
        return;
    if (o->state == BARRIER_RESETTING || o->state == BARRIER_DRAINING)
        o->state = BARRIER_FILLING;
    condition_wake(o, INT64_MAX);
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
