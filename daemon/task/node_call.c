/* `call: function, args`: makes a coroutine. */
#include "daemon/task/save.h"

static void call_start(struct task *t, struct act *a)
{
    struct value *error = NULL;
    struct coro *c = coro_new(t, (const struct call_node *)(const void *)a->node, &error);
    if (!c) {
        task_raise(t, error);
        return;
    }
    struct value *v = coro_value(c);
    coro_list_add(frame_made(t), c);
    task_done(t, DONE_NORMAL, v);
}

static const struct field call_fields[] = {
    {"call", &field_function, offsetof(struct call_node, function), true,
     "The name of a function."},
    {"args", &field_bindings, offsetof(struct call_node, args), false, "Its arguments, by name."},
    {NULL},
};

const struct node_kind node_call = {
    .verb = {.name = "call", .fields = call_fields, .size = sizeof(struct call_node)},
    .act_size = sizeof(struct act),
    .start = call_start,
};
