/* `while: cond, do`. */
#include "daemon/task/save.h"

struct while_node {
    struct node node;
    struct expr *cond;
    struct node *body;
};

static void while_start(struct task *t, struct act *a)
{
    const struct while_node *n = (const struct while_node *)(const void *)a->node;
    cleanup_value struct value *v = task_eval(t, n->cond);
    if (!v)
        return;
    if (value_truthy(v))
        task_child(t, n->body);
    else
        task_done(t, DONE_NORMAL, value_null());
}

static void while_on_child(struct task *t, struct act *a, enum completion how, struct value *v)
{
    if (how == DONE_RAISE || how == DONE_RETURN) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    if (how == DONE_BREAK)
        task_done(t, DONE_NORMAL, value_null());
    else
        while_start(t, a);
}

static const struct field while_fields[] = {
    {"while", &field_logic, offsetof(struct while_node, cond), true, "The condition, JsonLogic."},
    {"do", &field_loop, offsetof(struct while_node, body), true, "The body."},
    {NULL},
};

const struct node_kind node_while = {
    .verb = {.name = "while", .fields = while_fields, .size = sizeof(struct while_node)},
    .act_size = sizeof(struct act),
    .start = while_start,
    .on_child = while_on_child,
};
