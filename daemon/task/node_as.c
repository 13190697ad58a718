/* The modifier `as`: binds the value. */
#include "daemon/task/save.h"

static void as_start(struct task *t, struct act *a)
{
    task_child(t, ((const struct as_node *)(const void *)a->node)->child);
}

static void as_on_child(struct task *t, struct act *a, enum completion how, struct value *v)
{
    const struct as_node *n = (const struct as_node *)(const void *)a->node;
    if (how == DONE_NORMAL && t->scope)
        scope_set(t->scope, n->name, value_ref(v));
    task_done(t, how, v);
}

const struct node_kind node_as = {
    .verb = {.name = "<as>", .size = sizeof(struct as_node)},
    .act_size = sizeof(struct act),
    .start = as_start,
    .on_child = as_on_child,
};
