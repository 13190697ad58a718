/* `acquire`, `release`, and the verbs of events, conditions and barriers. */
#include "daemon/task/object_act.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct lock_node {
    struct node node;
    struct expr *object, *n;
};

static const struct lock_node *node_of(const struct act *a)
{
    return (const struct lock_node *)(const void *)a->node;
}

/* ---- what may wait for a lock ---- */

static void acquire_end(struct task *t, struct object_act *a, enum progress p, struct value *error)
{
    struct value *none = NULL;
    if (p == PROGRESS_FAILED)
        task_raise(t, error);
    if (p != PROGRESS_DONE)
        return;
    if (a->act.node->verb == &node_acquire.verb) {
        task_done(t, DONE_NORMAL, value_bool(true));
        return;
    }
    if (a->act.node->verb == &node_reset.verb)
        barrier_reset(a->object);
    else
        barrier_abort(a->object);
    lock_release(a->object, t->job, &none);
    value_unref(none);
    task_done(t, DONE_NORMAL, value_null());
}

static void acquire(struct task *t, struct act *act, unsigned types, const char *verb,
                    const char *what)
{
    struct object_act *a = (struct object_act *)act;
    cleanup_value struct value *v = NULL;
    struct object *o = object_eval(t, node_of(act)->object, types, verb, what, &v);
    if (!o)
        return;
    a->object = object_ref(o);
    a->part = PART_ENTER;
    enum progress p = acquire_begin(t, a);
    acquire_end(t, a, p, NULL);
}

static void acquire_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct object_act *a = (struct object_act *)act;
    struct value *error = NULL;
    if (how == DONE_RAISE)
        error = v;
    else
        value_unref(v);
    enum progress p = acquire_go_on(t, a, how, &error);
    acquire_end(t, a, p, error);
}

static void acquire_start(struct task *t, struct act *act)
{
    acquire(t, act, IS_LOCKABLE, "acquire", "a lock, a semaphore or a condition");
}

static void reset_start(struct task *t, struct act *act)
{
    acquire(t, act, IS_BARRIER, "reset", "a barrier");
}

static void abort_start(struct task *t, struct act *act)
{
    acquire(t, act, IS_BARRIER, "abort", "a barrier");
}

static bool acquires_load(struct act *act, unsigned types, struct job_loader *l, struct reader *r)
{
    return lock_act_load(act, types, l, r) &&
           (((const struct object_act *)act)->part == PART_ENTER || load_fail(l, "an acquire"));
}

static bool acquire_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    return acquires_load(act, IS_LOCKABLE, l, r);
}

static bool barrier_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    return acquires_load(act, IS_BARRIER, l, r);
}

#define WAITING_VERB(name_, load_, help_)                                                          \
    static const struct field name_##_fields[] = {                                                 \
        {#name_, &field_object, offsetof(struct lock_node, object), true, help_},                  \
        {NULL},                                                                                    \
    };                                                                                             \
    const struct node_kind node_##name_ = {                                                        \
        .verb = {.name = #name_, .fields = name_##_fields, .size = sizeof(struct lock_node)},      \
        .start = name_##_start,                                                                    \
        .on_event = acquire_on_event,                                                              \
        OBJECT_ACT(load_),                                                                         \
    }

WAITING_VERB(acquire, acquire_load, "A lock, semaphore or condition: waits until it can have it.");
WAITING_VERB(reset, barrier_load, "A barrier: who waits gets BrokenBarrierError; then as new.");
WAITING_VERB(abort, barrier_load, "A barrier: who waits or comes gets BrokenBarrierError.");

/* ---- what is done at once ---- */

static bool notify(struct task *t, struct object *o, const struct act *act, struct value **error)
{
    double n;
    if (!eval_number(t, node_of(act)->n, "n", 1, &n, error))
        return false;
    return condition_notify(o, n < JOB_MAX_TASKS ? (int64_t)n : JOB_MAX_TASKS, error);
}

static bool notify_all(struct task *t, struct object *o, const struct act *act,
                       struct value **error)
{
    (void)t;
    (void)act;
    return condition_notify(o, INT64_MAX, error);
}

static bool release(struct task *t, struct object *o, const struct act *act, struct value **error)
{
    (void)act;
    return lock_release(o, t->job, error);
}

static bool set_event(struct task *t, struct object *o, const struct act *act, struct value **error)
{
    (void)t;
    (void)act;
    (void)error;
    event_set(o);
    return true;
}

static bool clear_event(struct task *t, struct object *o, const struct act *act,
                        struct value **error)
{
    (void)t;
    (void)act;
    (void)error;
    event_clear(o);
    return true;
}

static void at_once(struct task *t, struct act *act, unsigned types, const char *what,
                    bool (*go)(struct task *t, struct object *o, const struct act *act,
                               struct value **error))
{
    cleanup_value struct value *v = NULL;
    struct value *error = NULL;
    struct object *o = object_eval(t, node_of(act)->object, types, act->node->verb->name, what, &v);
    if (!o)
        return;
    if (go(t, o, act, &error))
        task_done(t, DONE_NORMAL, value_null());
    else
        task_raise(t, error);
}

#define VERB(name_, types_, what_, help_, ...)                                                     \
    static void name_##_start(struct task *t, struct act *act)                                     \
    {                                                                                              \
        at_once(t, act, types_, what_, name_);                                                     \
    }                                                                                              \
    static const struct field name_##_fields[] = {                                                 \
        {#name_, &field_object, offsetof(struct lock_node, object), true, help_},                  \
        __VA_ARGS__{NULL},                                                                         \
    };                                                                                             \
    const struct node_kind node_##name_ = {                                                        \
        .verb = {.name = #name_, .fields = name_##_fields, .size = sizeof(struct lock_node)},      \
        .act_size = sizeof(struct act),                                                            \
        .start = name_##_start,                                                                    \
    }
#define NOTIFY_N                                                                                   \
    {"n", &field_number, offsetof(struct lock_node, n), false, "How many; 1 unless given."},

VERB(release, IS_LOCKABLE, "a lock, a semaphore or a condition",
     "A lock, semaphore or condition that was acquired.");
VERB(set_event, IS_EVENT, "an event", "An event: who waits for it goes on.");
VERB(clear_event, IS_EVENT, "an event", "An event: it is to be waited for again.");
VERB(notify, IS_CONDITION, "a condition", "A condition: one who waits for it goes on.", NOTIFY_N);
VERB(notify_all, IS_CONDITION, "a condition", "A condition: all who wait for it go on.");
