/* `gather: [nodes]` or `gather: {for, in, do}`, as `await asyncio.gather(…)`. */
#include "daemon/task/given.h"
#include "daemon/task/parts.h"
#include "daemon/task/save.h"
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

static struct task *spawn_part(struct task *t, struct gather *g, struct part *p, struct sem *sem)
{
    struct coro *c = p->given ? coro_of(p->given) : NULL;
    if (!c)
        return p->given ? task_of(p->given) : part_spawn(t, p, sem);
    if (c->mark == g->id && c->place < g->n) /* the same one twice is one task */
        return g->children[c->place];
    c->mark = g->id;
    c->place = g->n;
    return spawn_coro(t, c, NULL, NULL); /* what is given is not limited */
}

static bool spawn_all(struct task *t, struct gather *g, struct parts *parts, struct sem *sem,
                      struct value **error)
{
    struct job *job = t->job;
    for (size_t i = 0; i < parts->n; i++) {
        struct value *given = given_take(job->given, job->next_task);
        struct task *child = given ? part_spawn_given(t, &parts->all[i], given)
                                   : spawn_part(t, g, &parts->all[i], sem);
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
    bool ok = parts_collect(t, &n->items, &parts, error);
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
    given_free(steal(&t->job->given));
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
        task_raise(t, error ? error : value_ref(g->error));
}

bool gather_is_over_items(const struct node *n)
{
    return n->verb == &node_gather.verb &&
           ((const struct gather_node *)(const void *)n)->items.var != 0;
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
