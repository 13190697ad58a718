/* `run: [argv…]`: a program, no shell. */
#include "daemon/task/leaf.h"

static const struct field run_fields[] = {
    {"run", &field_argv, offsetof(struct leaf_node, argv), true, "The program and its arguments."},
    COMMAND_FIELDS,
};

const struct node_kind node_run = LEAF_KIND("run", run_fields, struct leaf_node);
