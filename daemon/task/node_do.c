/* `do: node`. */
#include "daemon/task/save.h"

struct do_node {
    struct node node;
    struct node *body;
};

static void do_start(struct task *t, struct act *a)
{
    task_child(t, ((const struct do_node *)(const void *)a->node)->body);
}

static const struct field do_fields[] = {
    {"do", &field_node, offsetof(struct do_node, body), true, "The node."},
    {NULL},
};

const struct node_kind node_do = {
    .verb = {.name = "do", .fields = do_fields, .size = sizeof(struct do_node)},
    .act_size = sizeof(struct act),
    .start = do_start,
};
