/* `put: value, into: q`, `put_nowait`, as Queue.put() and put_nowait(). */
#include "daemon/task/object_act.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct put_node {
    struct node node;
    struct expr *value, *queue;
};

/* `queue.put(value)`: the queue first. NULL: raised. */
static struct object *eval(struct task *t, const struct act *act, const char *verb,
                           struct value **handle, struct value **item)
{
    const struct put_node *n = (const struct put_node *)(const void *)act->node;
    struct object *q = object_eval(t, n->queue, IS_ANY_QUEUE, verb, "a queue", handle);
    if (!q)
        return NULL;
    *item = task_eval(t, n->value);
    return *item ? q : NULL;
}

static void end(struct task *t, bool ok, struct value *error)
{
    if (ok)
        task_done(t, DONE_NORMAL, value_null());
    else
        task_raise(t, error);
}

static void put_go_on(struct task *t, struct object_act *a)
{
    struct value *error = NULL;
    if (queue_is_full(a->object) && !a->object->flag) {
        object_suspend(t, a, LIST_PUTTERS);
        return;
    }
    bool ok = queue_put_nowait(a->object, a->value, &error);
    end(t, ok, error);
}

static void put_start(struct task *t, struct act *act)
{
    struct object_act *a = (struct object_act *)act;
    cleanup_value struct value *v = NULL, *item = NULL;
    struct object *q = eval(t, act, "put", &v, &item);
    if (!q)
        return;
    a->object = object_ref(q);
    a->value = steal(&item);
    put_go_on(t, a);
}

static void put_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct object_act *a = (struct object_act *)act;
    bool woken = object_awake(t, a);
    if (how == DONE_NORMAL) {
        value_unref(v);
        put_go_on(t, a);
        return;
    }
    if (woken && !queue_is_full(a->object)) /* somebody else can have the place */
        waiters_wake(&a->object->waiters[LIST_PUTTERS], false);
    task_done(t, how, v);
}

static bool put_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    return queue_act_load(act, LIST_PUTTERS, l, r);
}

static const struct field put_fields[] = {
    {"put", &field_expr, offsetof(struct put_node, value), true, "The item."},
    {"into", &field_object, offsetof(struct put_node, queue), true,
     "The queue: waits until there is room in it."},
    {NULL},
};

const struct node_kind node_put = {
    .verb = {.name = "put", .fields = put_fields, .size = sizeof(struct put_node)},
    .start = put_start,
    .on_event = put_on_event,
    OBJECT_ACT(put_load),
};

static void put_nowait_start(struct task *t, struct act *act)
{
    cleanup_value struct value *v = NULL, *item = NULL;
    struct value *error = NULL;
    struct object *q = eval(t, act, "put_nowait", &v, &item);
    if (!q)
        return;
    bool ok = queue_put_nowait(q, item, &error);
    end(t, ok, error);
}

static const struct field put_nowait_fields[] = {
    {"put_nowait", &field_expr, offsetof(struct put_node, value), true, "The item."},
    {"into", &field_object, offsetof(struct put_node, queue), true,
     "The queue; when it is full: QueueFull."},
    {NULL},
};

const struct node_kind node_put_nowait = {
    .verb = {.name = "put_nowait", .fields = put_nowait_fields, .size = sizeof(struct put_node)},
    .act_size = sizeof(struct act),
    .start = put_nowait_start,
};
