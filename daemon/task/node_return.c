/* `return: value`: ends the coroutine it stands in. */
#include "daemon/task/save.h"

struct return_node {
    struct node node;
    struct expr *value;
};

static void return_start(struct task *t, struct act *a)
{
    struct value *v = task_eval(t, ((const struct return_node *)(const void *)a->node)->value);
    if (v)
        task_done(t, DONE_RETURN, v);
}

static void return_check(struct parser *p, struct node *n)
{
    (void)n;
    parser_leaves(p, "return", false);
}

static const struct field return_fields[] = {
    {"return", &field_expr, offsetof(struct return_node, value), true,
     "The coroutine's value; null for none."},
    {NULL},
};

const struct node_kind node_return = {
    .verb = {.name = "return",
             .fields = return_fields,
             .size = sizeof(struct return_node),
             .check = return_check},
    .act_size = sizeof(struct act),
    .start = return_start,
};
