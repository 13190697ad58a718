/* Waiting at conditions, barriers and events: `wait: x`, and what `with` does at a barrier. */
#include "daemon/task/object_act.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

/* ---- asyncio.Condition.wait() ---- */

enum progress condition_begin(struct task *t, struct object_act *a, struct value **error)
{
    struct object *o = a->object;
    if (!o->flag) {
        *error = error_new("RuntimeError", "cannot wait on un-acquired lock");
        return PROGRESS_FAILED;
    }
    lock_release(o, t->job, error);
    a->relock = false;
    object_suspend(t, a, LIST_NOTIFY);
    return PROGRESS_WAITS;
}

enum progress condition_go_on(struct task *t, struct object_act *a, enum completion how,
                              struct value **error)
{
    bool woken = object_awake(t, a);
    enum progress p;
    if (named_is_removed(a->object) && how == DONE_NORMAL) {
        *error = named_removed_error(a->object);
        return PROGRESS_FAILED;
    }
    if (a->relock)
        lock_waited(a->object, t->job, woken, how == DONE_NORMAL);
    if (how == DONE_RAISE) { /* the last one is raised, with the lock */
        value_unref(a->value);
        a->value = steal(error);
    }
    if (a->relock && how == DONE_NORMAL) {
        p = PROGRESS_DONE;
    } else {
        a->relock = true;
        p = acquire_begin(t, a);
    }
    if (p == PROGRESS_WAITS)
        return p;
    a->relock = false;
    if (!a->value)
        return PROGRESS_DONE;
    condition_wake(a->object, 1); /* somebody else, should it have been notified */
    *error = steal(&a->value);
    return PROGRESS_FAILED;
}

/* ---- asyncio.Barrier.wait() ---- */

static enum progress barrier_leave(const struct task *t, struct object_act *a, bool failed)
{
    struct value *none = NULL;
    barrier_exit(a->object, t->job);
    lock_release(a->object, t->job, &none);
    value_unref(none);
    return failed ? PROGRESS_FAILED : PROGRESS_DONE;
}

/* Inside, with the lock. */
static enum progress barrier_fill(struct task *t, struct object_act *a, struct value **error)
{
    const struct object *o = a->object;
    a->part = PART_WAIT;
    if (o->state == BARRIER_FILLING)
        return condition_begin(t, a, error);
    bool broken = o->state == BARRIER_BROKEN || o->state == BARRIER_RESETTING;
    if (broken)
        *error = error_new("BrokenBarrierError", "Abort or reset of barrier");
    return barrier_leave(t, a, broken);
}

static enum progress barrier_enter(struct task *t, struct object_act *a, struct value **error)
{
    struct object *o = a->object;
    struct value *none = NULL;
    a->part = PART_BLOCK;
    if (o->state == BARRIER_DRAINING || o->state == BARRIER_RESETTING)
        return condition_begin(t, a, error);
    if (o->state == BARRIER_BROKEN) {
        *error = error_new("BrokenBarrierError", "Barrier aborted");
        lock_release(o, t->job, &none);
        value_unref(none);
        return PROGRESS_FAILED;
    }
    a->act.count = (uint32_t)o->value++;
    hold_add(o, t->job);
    object_touch(o);
    if (o->value < o->limit)
        return barrier_fill(t, a, error);
    o->state = BARRIER_DRAINING;
    condition_wake(o, INT64_MAX);
    return barrier_leave(t, a, false);
}

enum progress barrier_begin(struct task *t, struct object_act *a, struct value **error)
{
    a->part = PART_ENTER;
    enum progress p = acquire_begin(t, a);
    return p == PROGRESS_DONE ? barrier_enter(t, a, error) : p;
}

enum progress barrier_go_on(struct task *t, struct object_act *a, enum completion how,
                            struct value **error)
{
    struct value *none = NULL;
    bool enters = a->part == PART_ENTER;
    enum progress p = enters ? acquire_go_on(t, a, how, error) : condition_go_on(t, a, how, error);
    if (p == PROGRESS_WAITS || (p == PROGRESS_FAILED && enters))
        return p;
    if (a->part == PART_WAIT)
        return p == PROGRESS_FAILED ? barrier_leave(t, a, true) : barrier_fill(t, a, error);
    if (p == PROGRESS_DONE)
        return barrier_enter(t, a, error);
    lock_release(a->object, t->job, &none);
    value_unref(none);
    return p;
}

/* ---- wait: x ---- */

static void end(struct task *t, struct object_act *a, enum progress p, struct value *error)
{
    if (p == PROGRESS_FAILED)
        task_raise(t, error);
    else if (p == PROGRESS_DONE)
        task_done(t, DONE_NORMAL,
                  object_is(a->object, IS_BARRIER) ? value_int(a->act.count) : value_bool(true));
}

static void wait_begin(struct task *t, struct object_act *a)
{
    struct value *error = NULL;
    enum progress p = PROGRESS_DONE;
    if (object_is(a->object, IS_CONDITION)) {
        p = condition_begin(t, a, &error);
    } else if (object_is(a->object, IS_BARRIER)) {
        p = barrier_begin(t, a, &error);
    } else if (!a->object->flag) {
        object_suspend(t, a, LIST_LOCK);
        p = PROGRESS_WAITS;
    }
    end(t, a, p, error);
}

static void wait_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct object_act *a = (struct object_act *)act;
    struct value *error = how == DONE_RAISE ? v : NULL;
    enum progress p;
    if (how != DONE_RAISE)
        value_unref(v);
    if (object_is(a->object, IS_CONDITION)) {
        p = condition_go_on(t, a, how, &error);
    } else if (object_is(a->object, IS_BARRIER)) {
        p = barrier_go_on(t, a, how, &error);
    } else {
        object_awake(t, a);
        p = how == DONE_RAISE ? PROGRESS_FAILED : PROGRESS_DONE;
        if (p == PROGRESS_DONE && named_is_removed(a->object)) {
            error = named_removed_error(a->object);
            p = PROGRESS_FAILED;
        }
    }
    end(t, a, p, error);
}

static bool wait_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    return lock_act_load(act, IS_EVENT | IS_CONDITION | IS_BARRIER, l, r) &&
           (act->phase > 0 || load_fail(l, "a wait"));
}

bool object_wait(struct task *t, const struct node *n, const struct value *x, const double *seconds,
                 struct value **error)
{
    struct object *o = object_needed(x, IS_EVENT | IS_CONDITION | IS_BARRIER, "wait",
                                     "tasks, an event, a condition or a barrier", error);
    if (!o)
        return false;
    object_ref(o);
    task_pop(t);
    struct object_act *a = NULL;
    if (!seconds || timeout_push(t, n, *seconds))
        a = (struct object_act *)task_push(t, ACT_WAIT, n);
    if (a) {
        a->object = o;
        wait_begin(t, a);
    } else {
        object_unref(o);
        t->op = OP_DELIVER;
        t->how = DONE_RAISE;
        t->value =
            task_in_context(t, error_new("RuntimeError", "maximum recursion depth exceeded"));
    }
    return true;
}

const struct node_kind kind_wait = {
    .verb = {.name = "<wait>"},
    .on_event = wait_on_event,
    OBJECT_ACT(wait_load),
};
