/* `await: x`: a task, a coroutine, a list of them, or a node. */
#include "daemon/task/save.h"
#include "proto/mem.h"

struct await_node {
    struct node node;
    struct operand what;
};

enum { AWAIT_NODE = 1, AWAIT_RESULT };

struct await_act {
    struct act act;        /* count: items of the document's list that were begun */
    struct value *handles; /* a list that a template gave, or NULL */
    uint32_t at;           /* its next */
    uint32_t n, cap;
    struct value **results; /* of a list */
    bool many;              /* the value is a list */
};

static const struct await_node *node_of(const struct act *a)
{
    return (const struct await_node *)(const void *)a->node;
}

/* The value when it is there at once; else NULL: it waits, or has raised. */
static struct value *await_task(struct task *t, struct task *target)
{
    struct value *error = NULL;
    if (target == t) {
        task_suspend(t, WAIT_YIELD, NULL);
        job_soon_task(t->job, HANDLE_SELF, t);
        return NULL;
    }
    if (!task_is_done(target)) {
        task_suspend(t, WAIT_TASK, target);
        return NULL;
    }
    struct value *v = task_result(target, &error);
    if (!v)
        task_raise(t, error);
    return v;
}

static struct value *await_value(struct task *t, struct act *a, const struct value *what)
{
    struct value *error = NULL;
    struct task *target = task_of(what);
    struct coro *c = coro_of(what);
    a->phase = AWAIT_RESULT;
    if (target)
        return await_task(t, target);
    if (!c) {
        task_raise(t, error_new("TypeError", "object %s can't be used in 'await' expression",
                                value_python_type(what)));
        return NULL;
    }
    /* The stack may move: `a` is not used after this. */
    c->refs++;
    if (!coro_enter(t, c, &error))
        task_raise(t, error);
    coro_unref(c);
    return NULL;
}

static void add_result(struct await_act *a, struct value *v)
{
    if (a->n == a->cap) {
        size_t cap = a->cap;
        a->results = xgrow(a->results, &cap, (size_t)a->n + 1, sizeof(struct value *));
        a->cap = (uint32_t)cap;
    }
    a->results[a->n++] = v;
}

static void finish_list(struct task *t, struct await_act *a)
{
    struct value *list = value_list(a->results, a->n);
    a->n = 0;
    if (list)
        task_done(t, DONE_NORMAL, list);
    else
        task_raise(t, error_new("ValueError", "the results are too large for one value"));
}

/* Begins the next one of a list. False: there is none; else *v is its value if it is there already.
 */
static bool next_item(struct task *t, struct await_act *a, struct value **v)
{
    const struct operand *what = &node_of(&a->act)->what;
    if (a->handles) {
        if (a->at < value_count(a->handles)) {
            *v = await_value(t, &a->act, value_item(a->handles, a->at++));
            return true;
        }
        value_unref(steal(&a->handles));
    }
    if (a->act.count >= what->list.n)
        return false;
    const struct item *item = &what->list.all[a->act.count++];
    if (item->node) {
        a->act.phase = AWAIT_NODE;
        task_child(t, item->node);
        return true;
    }
    cleanup_value struct value *x = task_eval(t, item->value);
    if (!x)
        return true;
    if (value_type(x) == VALUE_LIST && (item->splice || !what->is_list)) {
        a->many = true;
        a->handles = value_ref(x);
        a->at = 0;
        return next_item(t, a, v);
    }
    *v = await_value(t, &a->act, x);
    return true;
}

static void go_on(struct task *t, struct act *act)
{
    struct value *v;
    do {
        struct await_act *a = (struct await_act *)act;
        v = NULL;
        if (!next_item(t, a, &v)) {
            finish_list(t, a);
            return;
        }
        if (v && !a->many) {
            task_done(t, DONE_NORMAL, v);
            return;
        }
        if (v)
            add_result(a, v);
    } while (v);
}

static void got(struct task *t, struct act *act, struct value *v)
{
    struct await_act *a = (struct await_act *)act;
    if (!a->many) {
        task_done(t, DONE_NORMAL, v);
        return;
    }
    add_result(a, v);
    go_on(t, act);
}

static void await_start(struct task *t, struct act *act)
{
    ((struct await_act *)act)->many = node_of(act)->what.is_list;
    go_on(t, act);
}

/* Only what `call` and `create_task` make is awaited as an object. */
static bool makes_object(const struct act *act)
{
    const struct operand *what = &node_of(act)->what;
    const struct node *n =
        act->count > 0 && act->count <= what->list.n ? what->list.all[act->count - 1].node : NULL;
    n = n ? node_inner(n) : NULL;
    return n && (n->verb == &node_call.verb || n->verb == &node_create_task.verb);
}

static void await_on_child(struct task *t, struct act *act, enum completion how, struct value *v)
{
    if (how != DONE_NORMAL) {
        task_done(t, how, v);
        return;
    }
    if (act->phase == AWAIT_NODE && makes_object(act)) {
        struct value *result = await_value(t, act, v);
        value_unref(v);
        if (result)
            got(t, act, result);
        return;
    }
    got(t, act, v);
}

static void await_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    if (how == DONE_NORMAL)
        got(t, act, v);
    else
        task_done(t, how, v);
}

static void await_release(struct task *t, struct act *act)
{
    (void)t;
    struct await_act *a = (struct await_act *)act;
    for (uint32_t i = 0; i < a->n; i++)
        value_unref(a->results[i]);
    free(steal(&a->results));
    a->n = 0;
    value_unref(steal(&a->handles));
}

static void await_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct await_act *a = (const struct await_act *)act;
    value_save_opt(a->handles, out);
    put_varint(out, a->at);
    put_u8(out, a->many);
    put_varint(out, a->n);
    for (uint32_t i = 0; i < a->n; i++)
        value_save(out, a->results[i]);
}

static bool await_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    struct await_act *a = (struct await_act *)act;
    if (act->phase > AWAIT_RESULT || !value_load_opt(l, r, &a->handles) ||
        (a->handles && value_type(a->handles) != VALUE_LIST))
        return load_fail(l, "an await");
    a->at = (uint32_t)get_varint(r);
    a->many = get_u8(r) != 0;
    for (uint64_t n = get_varint(r); n > 0; n--) {
        struct value *v = r->failed ? NULL : value_load(r, load_resolve, l);
        if (!v)
            return load_fail(l, "a result of await");
        add_result(a, v);
    }
    return !r->failed || load_fail(l, "an await");
}

static const struct field await_fields[] = {
    {"await", &field_operand, offsetof(struct await_node, what), true,
     "A task, a coroutine, a list of them (one after the other), or a node."},
    {NULL},
};

const struct node_kind node_await = {
    .verb = {.name = "await", .fields = await_fields, .size = sizeof(struct await_node)},
    .act_size = sizeof(struct await_act),
    .start = await_start,
    .on_child = await_on_child,
    .on_event = await_on_event,
    .save = await_save,
    .load = await_load,
    .release = await_release,
};
