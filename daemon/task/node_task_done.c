/* The verbs of queues that don't wait for items: `task_done: q`, `join: q`, `shutdown: q`. */
#include "daemon/task/object_act.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct queue_node {
    struct node node;
    struct expr *queue, *immediate;
};

static const struct queue_node *node_of(const struct act *a)
{
    return (const struct queue_node *)(const void *)a->node;
}

static void task_done_start(struct task *t, struct act *act)
{
    cleanup_value struct value *v = NULL;
    struct value *error = NULL;
    struct object *q =
        object_eval(t, node_of(act)->queue, IS_ANY_QUEUE, "task_done", "a queue", &v);
    if (!q)
        return;
    if (queue_task_done(q, &error))
        task_done(t, DONE_NORMAL, value_null());
    else
        task_raise(t, error);
}

static const struct field task_done_fields[] = {
    {"task_done", &field_object, offsetof(struct queue_node, queue), true,
     "A queue: an item that came from it is dealt with."},
    {NULL},
};

const struct node_kind node_task_done = {
    .verb = {.name = "task_done", .fields = task_done_fields, .size = sizeof(struct queue_node)},
    .act_size = sizeof(struct act),
    .start = task_done_start,
};

static void join_start(struct task *t, struct act *act)
{
    struct object_act *a = (struct object_act *)act;
    cleanup_value struct value *v = NULL;
    struct object *q = object_eval(t, node_of(act)->queue, IS_ANY_QUEUE, "join", "a queue", &v);
    if (!q)
        return;
    a->object = object_ref(q);
    if (q->value > 0)
        object_suspend(t, a, LIST_JOINERS);
    else
        task_done(t, DONE_NORMAL, value_null());
}

static void join_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    object_awake(t, (struct object_act *)act);
    task_done(t, how, v);
}

static bool join_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    return queue_act_load(act, LIST_JOINERS, l, r);
}

static const struct field join_fields[] = {
    {"join", &field_object, offsetof(struct queue_node, queue), true,
     "A queue: waits until all its items are dealt with."},
    {NULL},
};

const struct node_kind node_join = {
    .verb = {.name = "join", .fields = join_fields, .size = sizeof(struct queue_node)},
    .start = join_start,
    .on_event = join_on_event,
    OBJECT_ACT(join_load),
};

static void shutdown_start(struct task *t, struct act *act)
{
    const struct queue_node *n = node_of(act);
    cleanup_value struct value *v = NULL;
    bool immediate;
    struct object *q = object_eval(t, n->queue, IS_ANY_QUEUE, "shutdown", "a queue", &v);
    if (!q || !task_eval_bool(t, n->immediate, "immediate", false, &immediate))
        return;
    queue_shutdown(q, immediate);
    task_done(t, DONE_NORMAL, value_null());
}

static const struct field shutdown_fields[] = {
    {"shutdown", &field_object, offsetof(struct queue_node, queue), true,
     "A queue: nothing more can be put; it ends when it is empty."},
    {"immediate", &field_bool, offsetof(struct queue_node, immediate), false,
     "true: its items go away."},
    {NULL},
};

const struct node_kind node_shutdown = {
    .verb = {.name = "shutdown", .fields = shutdown_fields, .size = sizeof(struct queue_node)},
    .act_size = sizeof(struct act),
    .start = shutdown_start,
};
