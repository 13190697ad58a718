/* `for: name, in: source, do`. */
#include "daemon/task/save.h"
#include "daemon/task/source.h"

struct for_node {
    struct node node;
    uint32_t name;
    struct source source;
    struct node *body;
};
struct for_act {
    struct act act;
    struct iterator it;
};

static void turn(struct task *t, struct for_act *a)
{
    const struct for_node *n = (const struct for_node *)(const void *)a->act.node;
    struct value *v = iterator_next(&a->it);
    if (!v) {
        task_done(t, DONE_NORMAL, value_null());
        return;
    }
    scope_set(t->scope, n->name, v);
    task_child(t, n->body);
}

static void for_start(struct task *t, struct act *act)
{
    const struct for_node *n = (const struct for_node *)(const void *)act->node;
    struct for_act *a = (struct for_act *)act;
    struct value *error = NULL;
    if (iterator_begin(&a->it, t, &n->source, &error))
        turn(t, a);
    else
        task_raise(t, error);
}

static void for_on_child(struct task *t, struct act *act, enum completion how, struct value *v)
{
    if (how == DONE_RAISE || how == DONE_RETURN) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    if (how == DONE_BREAK)
        task_done(t, DONE_NORMAL, value_null());
    else
        turn(t, (struct for_act *)act);
}

static void for_release(struct task *t, struct act *act)
{
    (void)t;
    iterator_release(&((struct for_act *)act)->it);
}

static void for_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    iterator_save(&((const struct for_act *)act)->it, out);
}

static bool for_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    return iterator_load(&((struct for_act *)act)->it, l, r);
}

static const struct field for_fields[] = {
    {"for", &field_name, offsetof(struct for_node, name), true, "The variable."},
    {"in", &field_source, offsetof(struct for_node, source), true,
     "A list, or {range: n} or {range: [start, stop, step]}."},
    {"do", &field_node, offsetof(struct for_node, body), true, "The body."},
    {NULL},
};

const struct node_kind node_for = {
    .verb = {.name = "for", .fields = for_fields, .size = sizeof(struct for_node)},
    .act_size = sizeof(struct for_act),
    .start = for_start,
    .on_child = for_on_child,
    .save = for_save,
    .load = for_load,
    .release = for_release,
};
