/* `task_group: [nodes]`, `{name: node}` or `{for, in, do}`: `async with asyncio.TaskGroup()`. */
#include "daemon/task/parts.h"
#include "daemon/task/save.h"
#include "daemon/task/source.h"
#include "proto/mem.h"

struct task_group_node {
    struct node node;
    struct items items;
    uint32_t group;
    struct node *body;
};

enum { GROUP_BODY, GROUP_WAITING };

struct task_group_act {
    struct act act; /* count: how the body was completed */
    struct watch *watch;
    struct task **listed; /* counted */
    size_t n, cap;
    struct value *value;     /* what the body was completed with */
    struct value *cancelled; /* asyncio's propagate_cancellation_error */
};

static const struct task_group_node *node_of(const struct act *a)
{
    return (const struct task_group_node *)(const void *)a->node;
}

/* ---- the children ---- */

static bool create(struct task *t, struct task_group_act *a, struct part *p, struct value **error)
{
    struct coro *c = p->given ? coro_of(p->given) : NULL;
    if (p->given && !c) {
        struct buf text = {0};
        value_write_text(&text, p->given);
        *error = error_new("TypeError", "a coroutine was expected, got %.200s", buf_cstr(&text));
        buf_release(&text);
        return false;
    }
    if (!may_spawn(t->job, 1, error))
        return false;
    struct task *child = c ? spawn_coro(t, c, NULL, NULL) : part_spawn(t, p, NULL);
    if (a->n == a->cap)
        a->listed = xgrow(a->listed, &a->cap, a->n + 1, sizeof(struct task *));
    a->listed[a->n++] = task_ref(child);
    watch_add_child(a->watch, child);
    return true;
}

static bool create_all(struct task *t, struct task_group_act *a, struct parts *parts, uint32_t name,
                       struct value **error)
{
    for (size_t i = 0; i < parts->n; i++) {
        if (!create(t, a, &parts->all[i], error))
            return false;
        if (name)
            scope_set(t->scope, name, task_value(a->listed[a->n - 1]));
    }
    parts_clear(parts);
    return true;
}

static bool create_listed(struct task *t, struct task_group_act *a, const struct items *items,
                          struct value **error)
{
    struct parts parts = {0};
    bool ok = true;
    if (items->var) {
        struct iterator it = {0};
        struct value *v;
        ok = iterator_begin(&it, t, &items->source, error) && may_spawn(t->job, it.n, error);
        while (ok && (v = iterator_next(&it)))
            ok = parts_add_turn(t, items, v, &parts, error) && create_all(t, a, &parts, 0, error);
        iterator_release(&it);
    }
    for (size_t i = 0; ok && i < items->n; i++)
        ok = parts_add_item(t, &items->all[i], &parts, error) &&
             create_all(t, a, &parts, items->all[i].name, error);
    parts_release(&parts);
    return ok;
}

/* ---- the end ---- */

static struct value *result_of(const struct task *child)
{
    if (child->outcome == OUTCOME_VALUE)
        return value_ref(child->value);
    struct value_member m = {value_text("error"), child->value
                                                      ? value_ref(child->value)
                                                      : error_new("CancelledError", "%s", "")};
    struct value *v = value_object(&m, 1);
    return v ? v : value_null();
}

static struct value *results(const struct task *t, const struct task_group_act *a)
{
    const struct items *items = &node_of(&a->act)->items;
    if (!items->named) {
        cleanup_free struct value **all = xmalloc((a->n + 1) * sizeof(struct value *));
        for (size_t i = 0; i < a->n; i++)
            all[i] = result_of(a->listed[i]);
        return value_list(all, a->n);
    }
    cleanup_free struct value_member *all = xmalloc((a->n + 1) * sizeof *all);
    size_t n = a->n < items->n ? a->n : items->n;
    for (size_t i = 0; i < n; i++)
        all[i] = (struct value_member){
            value_text(program_atom_name(t->job->program, items->all[i].name)),
            result_of(a->listed[i])};
    return value_object(all, n);
}

static void raise_group(struct task *t, struct task_group_act *a)
{
    struct watch *w = a->watch;
    if (task_extra(t)->cancels >
        0) { /* from outside: keeps the count, and arrives at the next wait */
        task_uncancel(t);
        task_cancel(t);
    }
    static const char message[] = "unhandled errors in a TaskGroup";
    struct value *handled = task_handled(t);
    struct value *group = error_group(message, w->errors, w->n_errors, NULL);
    /* As task_in_context(), but with its cause before its errors. */
    if (handled && value_depth(handled) <= VALUE_MAX_DEPTH / 2 && !value_equal(handled, group)) {
        value_unref(group);
        group = error_group(message, w->errors, w->n_errors, handled);
    }
    task_done(t, DONE_RAISE, group);
}

static void finish(struct task *t, struct task_group_act *a)
{
    struct watch *w = a->watch;
    enum completion how = (enum completion)a->act.count;
    bool cancelled = how == DONE_RAISE && strcmp(error_type(a->value), "CancelledError") == 0;
    if (w->parent_cancelled && task_uncancel(t) == 0)
        value_unref(steal(&a->cancelled));
    if (a->cancelled && w->n_errors == 0) {
        task_done(t, DONE_RAISE, value_ref(a->cancelled));
        return;
    }
    if (how == DONE_RAISE && !cancelled)
        group_add_error(w, value_ref(a->value));
    if (w->n_errors > 0) {
        raise_group(t, a);
        return;
    }
    if (how != DONE_NORMAL) {
        task_done(t, how, steal(&a->value));
        return;
    }
    struct value *v = results(t, a);
    if (v)
        task_done(t, DONE_NORMAL, v);
    else
        task_raise(
            t, error_new("ValueError", "the results of task_group are too large for one value"));
}

static void wait_or_finish(struct task *t, struct task_group_act *a)
{
    if (a->watch->left == 0) {
        finish(t, a);
        return;
    }
    a->act.phase = GROUP_WAITING;
    watch_suspend(a->watch);
}

/* asyncio's __aexit__(); takes over v. */
static void leave(struct task *t, struct task_group_act *a, enum completion how, struct value *v)
{
    a->act.count = how;
    a->value = v;
    a->watch->exiting = true;
    if (how == DONE_RAISE) {
        if (strcmp(error_type(v), "CancelledError") == 0)
            a->cancelled = value_ref(v);
        if (!a->watch->aborting)
            group_abort(a->watch);
    }
    wait_or_finish(t, a);
}

static void task_group_start(struct task *t, struct act *act)
{
    struct task_group_act *a = (struct task_group_act *)act;
    const struct task_group_node *n = node_of(act);
    struct value *error = NULL;
    a->watch = watch_new(t, WATCH_GROUP);
    if (n->group)
        scope_set(t->scope, n->group, group_value(a->watch));
    if (!create_listed(t, a, &n->items, &error))
        leave(t, a, DONE_RAISE, task_in_context(t, error));
    else if (n->body)
        task_child(t, n->body);
    else
        leave(t, a, DONE_NORMAL, value_null());
}

static void task_group_on_child(struct task *t, struct act *act, enum completion how,
                                struct value *v)
{
    leave(t, (struct task_group_act *)act, how, v);
}

static void task_group_on_event(struct task *t, struct act *act, enum completion how,
                                struct value *v)
{
    struct task_group_act *a = (struct task_group_act *)act;
    a->watch->waiting = false;
    if (how == DONE_RAISE && !a->watch->aborting) {
        value_unref(a->cancelled);
        a->cancelled = value_ref(v);
        group_abort(a->watch);
    }
    value_unref(v);
    wait_or_finish(t, a);
}

static bool task_group_cancel(struct task *t, struct act *act)
{
    (void)t;
    (void)act;
    return true;
}

static bool task_group_waiting(const struct act *a)
{
    return a->phase == GROUP_WAITING;
}

static void task_group_release(struct task *t, struct act *act)
{
    (void)t;
    struct task_group_act *a = (struct task_group_act *)act;
    struct watch *w = steal(&a->watch);
    struct task **listed = steal(&a->listed);
    for (size_t i = 0; i < a->n; i++)
        task_unref(listed[i]);
    free(listed);
    value_unref(steal(&a->value));
    value_unref(steal(&a->cancelled));
    if (w)
        watch_abandon(w);
    watch_unref(w);
}

/* ---- rows ---- */

static void task_group_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct task_group_act *a = (const struct task_group_act *)act;
    watch_save(a->watch, out);
    tasks_save(a->listed, a->n, out);
    value_save_opt(a->value, out);
    value_save_opt(a->cancelled, out);
}

static bool task_group_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    struct task_group_act *a = (struct task_group_act *)act;
    a->watch = watch_load(t, WATCH_GROUP, l, r);
    bool ok = a->watch && tasks_load(l, r, &a->listed, &a->n);
    a->cap = a->n;
    if (!ok || !value_load_opt(l, r, &a->value) || !value_load_opt(l, r, &a->cancelled))
        return load_fail(l, "a task_group");
    if (act->phase > GROUP_WAITING || act->count > DONE_CONTINUE ||
        (act->phase == GROUP_WAITING) != (a->value != NULL) ||
        a->watch->exiting != (act->phase == GROUP_WAITING))
        return load_fail(l, "a task_group's state");
    a->watch->waiting = act->phase == GROUP_WAITING;
    return true;
}

static void task_group_awaits(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct task_group_act *a = (const struct task_group_act *)act;
    buf_printf(out, "task_group, %u tasks left", a->watch->left);
}

static const struct field task_group_fields[] = {
    {"task_group", &field_items_named, offsetof(struct task_group_node, items), true,
     "A list of nodes and coroutines, {name: node}, or {for, in, do}."},
    {"group", &field_name, offsetof(struct task_group_node, group), false,
     "The variable for the group."},
    {"do", &field_node, offsetof(struct task_group_node, body), false, "The body."},
    {NULL},
};

const struct node_kind node_task_group = {
    .verb = {.name = "task_group",
             .fields = task_group_fields,
             .size = sizeof(struct task_group_node)},
    .act_size = sizeof(struct task_group_act),
    .start = task_group_start,
    .on_child = task_group_on_child,
    .on_event = task_group_on_event,
    .cancel = task_group_cancel,
    .waiting = task_group_waiting,
    .save = task_group_save,
    .load = task_group_load,
    .release = task_group_release,
    .awaits = task_group_awaits,
};
