/* `if: cond, then, else`. */
#include "daemon/task/save.h"

struct if_node {
    struct node node;
    struct expr *cond;
    struct node *then, *otherwise;
};

static void if_start(struct task *t, struct act *a)
{
    const struct if_node *n = (const struct if_node *)(const void *)a->node;
    cleanup_value struct value *v = task_eval(t, n->cond);
    if (!v)
        return;
    const struct node *child = value_truthy(v) ? n->then : n->otherwise;
    if (child)
        task_child(t, child);
    else
        task_done(t, DONE_NORMAL, value_null());
}

static const struct field if_fields[] = {
    {"if", &field_logic, offsetof(struct if_node, cond), true, "The condition, JsonLogic."},
    {"then", &field_node, offsetof(struct if_node, then), false, "When it is true."},
    {"else", &field_node, offsetof(struct if_node, otherwise), false, "When it is not."},
    {NULL},
};

const struct node_kind node_if = {
    .verb = {.name = "if", .fields = if_fields, .size = sizeof(struct if_node)},
    .act_size = sizeof(struct act),
    .start = if_start,
};
