/* `set: {name: value…}`, one after the other. */
#include "daemon/task/save.h"

struct set_node {
    struct node node;
    struct bindings bindings;
};

static void set_start(struct task *t, struct act *a)
{
    const struct set_node *n = (const struct set_node *)(const void *)a->node;
    for (size_t i = 0; i < n->bindings.n; i++) {
        struct value *v = task_eval(t, n->bindings.all[i].value);
        if (!v)
            return;
        scope_set(t->scope, n->bindings.all[i].name, v);
    }
    task_done(t, DONE_NORMAL, value_null());
}

static const struct field set_fields[] = {
    {"set", &field_bindings, offsetof(struct set_node, bindings), true,
     "Names and values; a later value sees the names before it."},
    {NULL},
};

const struct node_kind node_set = {
    .verb = {.name = "set", .fields = set_fields, .size = sizeof(struct set_node)},
    .act_size = sizeof(struct act),
    .start = set_start,
};
