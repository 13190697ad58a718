/* `print: value`: a line of the job's output. */
#include "daemon/task/save.h"

struct print_node {
    struct node node;
    struct expr *value;
};

static void print_start(struct task *t, struct act *a)
{
    cleanup_value struct value *v =
        task_eval(t, ((const struct print_node *)(const void *)a->node)->value);
    if (!v)
        return;
    struct buf text = {0};
    value_write_text(&text, v);
    job_print(t->job, buf_cstr(&text), text.len);
    buf_release(&text);
    task_done(t, DONE_NORMAL, value_null());
}

static const struct field print_fields[] = {
    {"print", &field_expr, offsetof(struct print_node, value), true,
     "The line: a string as it is, anything else as JSON."},
    {NULL},
};

const struct node_kind node_print = {
    .verb = {.name = "print", .fields = print_fields, .size = sizeof(struct print_node)},
    .act_size = sizeof(struct act),
    .start = print_start,
};
