#include "daemon/task/parts.h"

#include "daemon/task/job.h"
#include "daemon/task/source.h"
#include "proto/mem.h"

static struct part *add_part(struct parts *p)
{
    if (p->n == p->cap)
        p->all = xgrow(p->all, &p->cap, p->n + 1, sizeof *p->all);
    p->all[p->n] = (struct part){0};
    return &p->all[p->n++];
}

void parts_clear(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++) {
        scope_unref(p->all[i].own);
        value_unref(p->all[i].name);
        coro_unref(p->all[i].coro);
        value_unref(p->all[i].given);
    }
    p->n = 0;
}

void parts_release(struct parts *p)
{
    parts_clear(p);
    free(p->all);
}

/* A call makes its coroutine at once; a branch gets its variables. The variables of the task are
 * the comprehension's meanwhile. */
static bool add_node(struct task *t, struct parts *parts, const struct node *n, struct scope *own,
                     struct value **error)
{
    struct part *p = add_part(parts);
    p->own = own;
    struct scope *outer = t->scope;
    t->scope = own;
    bool ok;
    if (n->verb == &node_call.verb) {
        p->coro = coro_new(t, (const struct call_node *)(const void *)n, error);
        ok = p->coro != NULL;
    } else {
        p->branch = n;
        ok = task_eval_name(t, n, &p->name, error);
    }
    t->scope = outer;
    if (p->coro) {
        p->coro->refs++;
        coro_list_add(frame_made(t), p->coro);
    }
    return ok;
}

static bool add_value(struct task *t, struct parts *parts, const struct item *item,
                      struct value **error)
{
    cleanup_value struct value *v = task_try_eval(t, item->value, error);
    if (!v)
        return false;
    if (value_type(v) != VALUE_LIST || !item->splice) {
        add_part(parts)->given = value_ref(v);
        return true;
    }
    for (size_t i = 0; i < value_count(v); i++)
        add_part(parts)->given = value_ref(value_item(v, i));
    return true;
}

bool parts_add_item(struct task *t, const struct item *item, struct parts *parts,
                    struct value **error)
{
    return item->node ? add_node(t, parts, item->node, scope_new(t->job, t->scope), error)
                      : add_value(t, parts, item, error);
}

bool parts_add_turn(struct task *t, const struct items *items, struct value *v, struct parts *parts,
                    struct value **error)
{
    struct scope *own = scope_new(t->job, t->scope);
    scope_set(own, items->var, v);
    return add_node(t, parts, items->body, own, error);
}

static bool collect_comprehension(struct task *t, const struct items *items, struct parts *parts,
                                  struct value **error)
{
    struct iterator it = {0};
    bool ok = iterator_begin(&it, t, &items->source, error) && may_spawn(t->job, it.n, error);
    struct value *v;
    while (ok && (v = iterator_next(&it)))
        ok = parts_add_turn(t, items, v, parts, error);
    iterator_release(&it);
    return ok;
}

bool parts_collect(struct task *t, const struct items *items, struct parts *parts,
                   struct value **error)
{
    if (items->var)
        return collect_comprehension(t, items, parts, error);
    for (size_t i = 0; i < items->n; i++)
        if (!parts_add_item(t, &items->all[i], parts, error))
            return false;
    return true;
}

struct task *part_spawn(struct task *t, struct part *p, struct sem *sem)
{
    if (p->branch)
        return spawn_branch(t, p->branch, steal(&p->own), p->name, sem);
    return spawn_coro(t, p->coro, NULL, sem);
}

struct task *part_spawn_given(struct task *t, struct part *p, struct value *value)
{
    struct task *given = task_new(t->job, t, p->branch ? p->branch : &p->coro->node->node);
    task_set_name(given, p->branch ? p->name : p->coro->name);
    if (p->coro)
        p->coro->started = true; /* nobody forgot to await it */
    given->op = OP_DELIVER;
    given->how = DONE_NORMAL;
    given->value = value;
    task_touch(given);
    return given;
}
