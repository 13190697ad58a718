/* [ … ]: one node after the other. The activation's count is the child that runs. */
#include "daemon/task/save.h"

static void block_start(struct task *t, struct act *a)
{
    const struct block *b = (const struct block *)(const void *)a->node;
    if (b->n == 0)
        task_done(t, DONE_NORMAL, value_null());
    else
        task_child(t, b->children[0]);
}

static void block_on_child(struct task *t, struct act *a, enum completion how, struct value *v)
{
    const struct block *b = (const struct block *)(const void *)a->node;
    if (how != DONE_NORMAL || a->count + 1 >= b->n) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    task_child(t, b->children[++a->count]);
}

const struct node_kind node_block = {
    .verb = {.name = "<block>", .size = sizeof(struct block)},
    .act_size = sizeof(struct act),
    .start = block_start,
    .on_child = block_on_child,
};
