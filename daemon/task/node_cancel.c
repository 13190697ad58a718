/* `cancel: task or list`, as Task.cancel(). The value says whether it was taken. */
#include "daemon/task/save.h"

struct cancel_node {
    struct node node;
    struct expr *what;
};

static struct value *cancel_one(const struct value *v, struct value **error)
{
    struct task *target = task_of(v);
    if (target)
        return value_bool(task_cancel(target));
    *error = error_new("TypeError", "cancel takes a task, not %s", value_type_name(v));
    return NULL;
}

static void cancel_start(struct task *t, struct act *a)
{
    cleanup_value struct value *v =
        task_eval(t, ((const struct cancel_node *)(const void *)a->node)->what);
    if (!v)
        return;
    struct value *error = NULL, *taken = NULL;
    if (value_type(v) != VALUE_LIST) {
        taken = cancel_one(v, &error);
    } else {
        for (size_t i = 0; i < value_count(v) && !error; i++)
            value_unref(cancel_one(value_item(v, i), &error));
        taken = error ? NULL : value_null();
    }
    if (taken)
        task_done(t, DONE_NORMAL, taken);
    else
        task_raise(t, error);
}

static const struct field cancel_fields[] = {
    {"cancel", &field_expr, offsetof(struct cancel_node, what), true, "A task, or a list."},
    {NULL},
};

const struct node_kind node_cancel = {
    .verb = {.name = "cancel", .fields = cancel_fields, .size = sizeof(struct cancel_node)},
    .act_size = sizeof(struct act),
    .start = cancel_start,
};
