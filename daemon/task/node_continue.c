/* `continue`: the next turn of the loop it stands in. */
#include "daemon/task/save.h"

struct continue_node {
    struct node node;
    char nothing;
};

static void continue_start(struct task *t, struct act *a)
{
    (void)a;
    task_done(t, DONE_CONTINUE, value_null());
}

static void continue_check(struct parser *p, struct node *n)
{
    (void)n;
    parser_leaves(p, "continue", true);
}

static const struct field continue_fields[] = {
    {"continue", &field_null, offsetof(struct continue_node, nothing), true, "null."},
    {NULL},
};

const struct node_kind node_continue = {
    .verb = {.name = "continue",
             .fields = continue_fields,
             .size = sizeof(struct continue_node),
             .check = continue_check},
    .act_size = sizeof(struct act),
    .start = continue_start,
};
