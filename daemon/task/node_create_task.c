/* `create_task: node`: a task; it starts at the next tick. */
#include "daemon/task/save.h"

struct what {
    struct node *node;  /* a branch or a call … */
    struct expr *value; /* … or a coroutine's handle */
};
struct create_task_node {
    struct node node;
    struct what what;
    struct expr *in;
};

static void what_parse(struct parser *p, const json_t *json, void *out)
{
    struct what *w = out;
    if (json_is_string(json))
        w->value = parser_expr(p, json);
    else
        w->node = parser_branch(p, json);
    const struct value *literal = expr_literal(w->value);
    if (literal)
        parser_complain(p, NULL, "a task needs a node or a coroutine");
}

static void what_release(void *out)
{
    expr_free(((struct what *)out)->value);
}

static const struct field_type field_what = {what_parse, what_release, "a node or a coroutine"};

/* As asyncio: a coroutine that no task can be made of is closed. */
static struct task *start(struct task *t, struct coro *c, struct value *name,
                          const struct watch *group, struct value **error)
{
    if (!group || group_may_create(group, error))
        return spawn_coro(t, c, name, NULL);
    coro_close(c);
    return NULL;
}

static struct task *create_coro(struct task *t, const struct what *w, struct value *name,
                                const struct watch *group, struct value **error)
{
    cleanup_value struct value *v = task_try_eval(t, w->value, error);
    if (!v)
        return NULL;
    struct coro *c = coro_of(v);
    if (c)
        return start(t, c, name, group, error);
    struct buf text = {0};
    value_write_text(&text, v);
    *error = error_new("TypeError", "a coroutine was expected, got %.200s", buf_cstr(&text));
    buf_release(&text);
    return NULL;
}

static struct task *create(struct task *t, const struct create_task_node *n, struct value *name,
                           const struct watch *group, struct value **error)
{
    if (!may_spawn(t->job, 1, error))
        return NULL;
    if (!n->what.node)
        return create_coro(t, &n->what, name, group, error);
    if (n->what.node->verb == &node_call.verb) {
        struct coro *c = coro_new(t, (const struct call_node *)(const void *)n->what.node, error);
        if (!c)
            return NULL;
        struct task *made = start(t, c, name, group, error);
        coro_unref(c);
        return made;
    }
    cleanup_value struct value *own = NULL;
    if (!name && !task_eval_name(t, n->what.node, &own, error))
        return NULL;
    if (group && !group_may_create(group, error))
        return NULL;
    return spawn_branch(t, n->what.node, scope_new(t->job, t->scope), name ? name : own, NULL);
}

/* The group of `in`; NULL: none, or *error. The handle is in *v. */
static struct watch *eval_group(struct task *t, const struct expr *in, struct value **v,
                                struct value **error)
{
    if (!in || !(*v = task_try_eval(t, in, error)))
        return NULL;
    struct watch *w = group_of(*v);
    if (!w)
        *error = error_new("TypeError", "in takes a task_group, not %s", value_type_name(*v));
    return w;
}

static void create_task_start(struct task *t, struct act *a)
{
    const struct create_task_node *n = (const struct create_task_node *)(const void *)a->node;
    struct value *error = NULL;
    cleanup_value struct value *name = NULL, *in = NULL;
    struct watch *group = NULL;
    struct task *made = NULL;
    if (task_eval_name(t, &n->node, &name, &error))
        group = eval_group(t, n->in, &in, &error);
    if (!error)
        made = create(t, n, name, group, &error);
    if (made && group)
        watch_add_child(group, made);
    if (made)
        task_done(t, DONE_NORMAL, task_value(made));
    else
        task_raise(t, error);
}

static const struct field create_task_fields[] = {
    {"create_task", &field_what, offsetof(struct create_task_node, what), true,
     "A node, or a coroutine that `call` made."},
    {"in", &field_expr, offsetof(struct create_task_node, in), false, "Its task_group."},
    {NULL},
};

const struct node_kind node_create_task = {
    .verb = {.name = "create_task",
             .fields = create_task_fields,
             .size = sizeof(struct create_task_node)},
    .act_size = sizeof(struct act),
    .start = create_task_start,
};
