/* `with: x, do`, as `async with x: …`: what was acquired is released whatever happens. */
#include "daemon/task/object_act.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct with_node {
    struct node node;
    struct expr *object;
    struct node *body;
};

static void go_on(struct task *t, struct object_act *a, enum progress p, struct value *error)
{
    if (p == PROGRESS_FAILED) {
        task_raise(t, error);
    } else if (p == PROGRESS_DONE) {
        a->part = PART_BODY;
        task_child(t, ((const struct with_node *)(const void *)a->act.node)->body);
    }
}

static struct object *eval(struct task *t, const struct act *act, struct value **v)
{
    struct value *error = NULL;
    *v = task_eval(t, ((const struct with_node *)(const void *)act->node)->object);
    if (!*v)
        return NULL;
    struct object *o = object_of(*v);
    if (o && object_is(o, IS_LOCKABLE | IS_BARRIER))
        return o;
    if (o)
        error = error_new("TypeError",
                          "'%s' object does not support the asynchronous context manager protocol",
                          object_verb(o));
    else
        object_needed(*v, 0, "with", "a lock, a semaphore, a condition or a barrier", &error);
    task_raise(t, error);
    return NULL;
}

static void with_start(struct task *t, struct act *act)
{
    struct object_act *a = (struct object_act *)act;
    cleanup_value struct value *v = NULL;
    struct value *error = NULL;
    struct object *o = eval(t, act, &v);
    if (!o)
        return;
    a->object = object_ref(o);
    a->part = PART_ENTER;
    enum progress p = object_is(o, IS_BARRIER) ? barrier_begin(t, a, &error) : acquire_begin(t, a);
    go_on(t, a, p, error);
}

static void with_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct object_act *a = (struct object_act *)act;
    struct value *error = NULL;
    if (how == DONE_RAISE)
        error = v;
    else
        value_unref(v);
    enum progress p = object_is(a->object, IS_BARRIER) ? barrier_go_on(t, a, how, &error)
                                                       : acquire_go_on(t, a, how, &error);
    go_on(t, a, p, error);
}

static void with_on_child(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct object_act *a = (struct object_act *)act;
    struct value *error = NULL;
    if (object_is(a->object, IS_BARRIER) || lock_release(a->object, t->job, &error)) {
        task_done(t, how, v);
        return;
    }
    /* Somebody inside has released it. */
    if (how == DONE_RAISE) {
        struct value *with = value_with(error, "cause", v);
        if (with) {
            value_unref(error);
            error = with;
        }
    }
    value_unref(v);
    if (how == DONE_RAISE)
        task_done(t, DONE_RAISE, error);
    else
        task_raise(t, error);
}

static bool with_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    return lock_act_load(act, IS_LOCKABLE | IS_BARRIER, l, r) &&
           (((const struct object_act *)act)->part != PART_NONE || load_fail(l, "a with"));
}

static const struct field with_fields[] = {
    {"with", &field_object, offsetof(struct with_node, object), true,
     "A lock, semaphore, condition or barrier."},
    {"do", &field_node, offsetof(struct with_node, body), true,
     "What is done while it is held; its value is the value."},
    {NULL},
};

const struct node_kind node_with = {
    .verb = {.name = "with", .fields = with_fields, .size = sizeof(struct with_node)},
    .start = with_start,
    .on_event = with_on_event,
    .on_child = with_on_child,
    OBJECT_ACT(with_load),
};
