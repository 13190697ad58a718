/* `break`: ends the loop it stands in. */
#include "daemon/task/save.h"

struct break_node {
    struct node node;
    char nothing;
};

static void break_start(struct task *t, struct act *a)
{
    (void)a;
    task_done(t, DONE_BREAK, value_null());
}

static void break_check(struct parser *p, struct node *n)
{
    (void)n;
    parser_leaves(p, "break", true);
}

static const struct field break_fields[] = {
    {"break", &field_null, offsetof(struct break_node, nothing), true, "null."},
    {NULL},
};

const struct node_kind node_break = {
    .verb = {.name = "break",
             .fields = break_fields,
             .size = sizeof(struct break_node),
             .check = break_check},
    .act_size = sizeof(struct act),
    .start = break_start,
};
