/* `sh: "script"`: /bin/sh -c. */
#include "daemon/task/leaf.h"

static const struct field sh_fields[] = {
    {"sh", &field_script, offsetof(struct leaf_node, script), true,
     "The shell's text, as it is: values go through `env` or `args`."},
    {"args", &field_expr, offsetof(struct leaf_node, args), false, "$1, $2, …"},
    COMMAND_FIELDS,
};

const struct node_kind node_sh = LEAF_KIND("sh", sh_fields, struct leaf_node);
