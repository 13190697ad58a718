/* `gather: [nodes]` or `gather: {for, in, do}`, as `await asyncio.gather(…)`. */
#include "daemon/task/save.h"
#include "daemon/task/source.h"
#include "proto/mem.h"

struct gather_node {
    struct node node;
    struct items items;
    struct expr *return_exceptions, *limit;
};
struct gather_act {
    struct act act;
    struct gather *gather;
};

/* An item, evaluated: all are, before the first becomes a task. */
struct part {
    const struct node *branch;
    struct scope *own;   /* the branch's */
    struct value *name;  /* the branch's */
    struct coro *coro;   /* of a call in the document */
    struct value *given; /* a handle */
};
struct parts {
    struct part *all;
    size_t n, cap;
};

static struct part *add_part(struct parts *p)
{
    if (p->n == p->cap)
        p->all = xgrow(p->all, &p->cap, p->n + 1, sizeof *p->all);
    p->all[p->n] = (struct part){0};
    return &p->all[p->n++];
}

static void parts_release(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++) {
        scope_unref(p->all[i].own);
        value_unref(p->all[i].name);
        coro_unref(p->all[i].coro);
        value_unref(p->all[i].given);
    }
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

static bool collect_list(struct task *t, const struct items *items, struct parts *parts,
                         struct value **error)
{
    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = &items->all[i];
        if (item->node ? !add_node(t, parts, item->node, scope_new(t->job, t->scope), error)
                       : !add_value(t, parts, item, error))
            return false;
    }
    return true;
}

static bool collect_comprehension(struct task *t, const struct items *items, struct parts *parts,
                                  struct value **error)
{
    struct iterator it = {0};
    bool ok = iterator_begin(&it, t, &items->source, error) && may_spawn(t->job, it.n, error);
    struct value *v;
    while (ok && (v = iterator_next(&it))) {
        struct scope *own = scope_new(t->job, t->scope);
        scope_set(own, items->var, v);
        ok = add_node(t, parts, items->body, own, error);
    }
    iterator_release(&it);
    return ok;
}

static struct task *spawn_part(struct task *t, struct gather *g, struct part *p, struct sem *sem)
{
    if (p->branch)
        return spawn_branch(t, p->branch, steal(&p->own), p->name, sem);
    if (p->coro)
        return spawn_coro(t, p->coro, NULL, sem);
    struct coro *c = coro_of(p->given);
    if (!c)
        return task_of(p->given);
    if (c->mark == g->id && c->place < g->n) /* the same one twice is one task */
        return g->children[c->place];
    c->mark = g->id;
    c->place = g->n;
    return spawn_coro(t, c, NULL, NULL); /* what is given is not limited */
}

static bool spawn_all(struct task *t, struct gather *g, struct parts *parts, struct sem *sem,
                      struct value **error)
{
    for (size_t i = 0; i < parts->n; i++) {
        struct task *child = spawn_part(t, g, &parts->all[i], sem);
        if (!child) {
            *error = error_new("TypeError",
                               "An asyncio.Future, a coroutine or an awaitable is required");
            return false;
        }
        gather_add(g, child);
    }
    return true;
}

static bool options(struct task *t, const struct gather_node *n, bool *return_exceptions,
                    double *limit, struct value **error)
{
    if (!eval_bool(t, n->return_exceptions, "return_exceptions", false, return_exceptions, error) ||
        !eval_number(t, n->limit, "the limit of gather", 0, limit, error))
        return false;
    if (n->limit && (*limit < 0 || (*limit > 0 && *limit < 1))) {
        *error = error_new("ValueError", "the limit of gather must be at least 1");
        return false;
    }
    return true;
}

/* The gather with its children; NULL: *error. */
static struct gather *begin(struct task *t, const struct gather_node *n, struct value **error)
{
    bool return_exceptions;
    double limit;
    struct parts parts = {0};
    struct gather *g = NULL;
    bool ok = n->items.var ? collect_comprehension(t, &n->items, &parts, error)
                           : collect_list(t, &n->items, &parts, error);
    if (ok && options(t, n, &return_exceptions, &limit, error) &&
        may_spawn(t->job, parts.n, error)) {
        g = gather_new(t->job, return_exceptions);
        struct sem *sem =
            limit >= 1 ? sem_new(g->id, limit < 1e9 ? (int64_t)limit : 1000000000) : NULL;
        if (!spawn_all(t, g, &parts, sem, error)) {
            gather_abandon(g);
            gather_unref(g);
            g = NULL;
        }
        sem_unref(sem);
    }
    parts_release(&parts);
    return g;
}

static void gather_start(struct task *t, struct act *act)
{
    const struct gather_node *n = (const struct gather_node *)(const void *)act->node;
    struct value *error = NULL;
    struct gather *g = begin(t, n, &error);
    if (!g) {
        task_raise(t, error);
        return;
    }
    ((struct gather_act *)act)->gather = g;
    gather_begin(g);
    if (g->state == GATHER_PENDING) {
        task_suspend(t, WAIT_GATHER, g);
        return;
    }
    struct value *v = g->state == GATHER_RESULTS ? gather_results(g, &error) : NULL;
    if (v)
        task_done(t, DONE_NORMAL, v);
    else
        task_done(t, DONE_RAISE, error ? error : value_ref(g->error));
}

static void gather_release(struct task *t, struct act *act)
{
    (void)t;
    struct gather *g = steal(&((struct gather_act *)act)->gather);
    if (!g)
        return;
    gather_abandon(g);
    gather_unref(g);
}

static void gather_act_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    gather_save(((const struct gather_act *)act)->gather, out);
}

static bool gather_act_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    uint64_t id = get_varint(r);
    if (r->failed || id == 0 || id > l->job->next_gather)
        return load_fail(l, "a gather's number");
    struct gather *g = load_gather(l, (uint32_t)id);
    ((struct gather_act *)act)->gather = g;
    if (g->awaiter || g->n > 0 || g->shutdown)
        return load_fail(l, "a gather that is there twice");
    g->awaiter = t;
    return gather_load(g, l, r);
}

static const struct field gather_fields[] = {
    {"gather", &field_items, offsetof(struct gather_node, items), true,
     "A list of nodes and handles, or {for, in, do}."},
    {"return_exceptions", &field_bool, offsetof(struct gather_node, return_exceptions), false,
     "Errors become results."},
    {"limit", &field_number, offsetof(struct gather_node, limit), false,
     "At most so many at once."},
    {NULL},
};

const struct node_kind node_gather = {
    .verb = {.name = "gather", .fields = gather_fields, .size = sizeof(struct gather_node)},
    .act_size = sizeof(struct gather_act),
    .start = gather_start,
    .save = gather_act_save,
    .load = gather_act_load,
    .release = gather_release,
};
