/* `get: q`, `get_nowait: q`, as Queue.get() and get_nowait(). */
#include "daemon/task/object_act.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct get_node {
    struct node node;
    struct expr *queue;
};

enum progress get_begin(struct task *t, struct object *q, struct waiter *w, struct value **item,
                        struct value **error)
{
    if (queue_is_empty(q) && !q->flag) {
        task_suspend(t, WAIT_OWN, NULL);
        waiters_add(&q->waiters[LIST_GETTERS], w, t);
        return PROGRESS_WAITS;
    }
    *item = queue_get_nowait(q, error);
    return *item ? PROGRESS_DONE : PROGRESS_FAILED;
}

enum progress get_go_on(struct task *t, struct object *q, struct waiter *w, enum completion how,
                        struct value **item, struct value **error)
{
    waiters_remove(&q->waiters[LIST_GETTERS], w);
    if (how == DONE_NORMAL)
        return get_begin(t, q, w, item, error);
    /* It was woken and then cancelled: somebody else can have the item. */
    if (t->future == FUTURE_DONE && !queue_is_empty(q))
        waiters_wake(&q->waiters[LIST_GETTERS], false);
    return PROGRESS_FAILED;
}

static void end(struct task *t, struct object_act *a, enum progress p, struct value *item,
                struct value *error)
{
    a->act.phase = p == PROGRESS_WAITS ? LIST_GETTERS + 1 : 0;
    if (p == PROGRESS_DONE)
        task_done(t, DONE_NORMAL, item);
    else if (p == PROGRESS_FAILED)
        task_raise(t, error);
}

static void get_start(struct task *t, struct act *act)
{
    struct object_act *a = (struct object_act *)act;
    cleanup_value struct value *v = NULL;
    struct value *item = NULL, *error = NULL;
    struct object *q = object_eval(t, ((const struct get_node *)(const void *)act->node)->queue,
                                   IS_ANY_QUEUE, "get", "a queue", &v);
    if (!q)
        return;
    a->object = object_ref(q);
    enum progress p = get_begin(t, q, &a->waiter, &item, &error);
    end(t, a, p, item, error);
}

static void get_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct object_act *a = (struct object_act *)act;
    struct value *item = NULL, *error = NULL;
    enum progress p = get_go_on(t, a->object, &a->waiter, how, &item, &error);
    if (how == DONE_RAISE)
        error = v;
    else
        value_unref(v);
    end(t, a, p, item, error);
}

static bool get_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    return queue_act_load(act, LIST_GETTERS, l, r);
}

static const struct field get_fields[] = {
    {"get", &field_object, offsetof(struct get_node, queue), true,
     "A queue: waits for an item and takes it."},
    {NULL},
};

const struct node_kind node_get = {
    .verb = {.name = "get", .fields = get_fields, .size = sizeof(struct get_node)},
    .start = get_start,
    .on_event = get_on_event,
    OBJECT_ACT(get_load),
};

static void get_nowait_start(struct task *t, struct act *act)
{
    cleanup_value struct value *v = NULL;
    struct value *error = NULL;
    struct object *q = object_eval(t, ((const struct get_node *)(const void *)act->node)->queue,
                                   IS_ANY_QUEUE, "get_nowait", "a queue", &v);
    if (!q)
        return;
    struct value *item = queue_get_nowait(q, &error);
    if (item)
        task_done(t, DONE_NORMAL, item);
    else
        task_raise(t, error);
}

static const struct field get_nowait_fields[] = {
    {"get_nowait", &field_object, offsetof(struct get_node, queue), true,
     "A queue: takes an item, or raises QueueEmpty."},
    {NULL},
};

const struct node_kind node_get_nowait = {
    .verb = {.name = "get_nowait", .fields = get_nowait_fields, .size = sizeof(struct get_node)},
    .act_size = sizeof(struct act),
    .start = get_nowait_start,
};
