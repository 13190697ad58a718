#include "daemon/task/coro.h"

#include "daemon/task/save.h"
#include "proto/mem.h"

static void args_free(struct value **args, size_t n)
{
    for (size_t i = 0; args && i < n; i++)
        value_unref(args[i]);
    free(args);
}

void coro_unref(struct coro *c)
{
    if (!c || --c->refs > 0)
        return;
    args_free(c->args, c->node->function->n_params);
    value_unref(c->name);
    free(c);
}

static const char *coro_function(const struct coro *c)
{
    return c->node->function->name;
}

uint64_t coro_handle_id(const struct coro *c)
{
    return (uint64_t)c->id << 32 | c->node->node.id;
}

static struct value *coro_attribute(void *object, const char *name, struct value **error)
{
    (void)object;
    *error = error_new("TypeError", "a coroutine has no attribute '%s'", name);
    return NULL;
}

static void coro_text(void *object, struct buf *out)
{
    buf_printf(out, "<coroutine %s>", coro_function(object));
}

static void coro_release(void *object)
{
    coro_unref(object);
}

static const struct handle_class coro_class = {"coroutine", coro_attribute, coro_text,
                                               coro_release};

struct value *coro_value(struct coro *c)
{
    c->refs++;
    return value_handle(&coro_class, c, coro_handle_id(c));
}

struct coro *coro_of(const struct value *v)
{
    return value_handle_class(v) == &coro_class ? value_handle_object(v) : NULL;
}

static bool bind(struct task *maker, const struct call_node *node, struct value **args,
                 struct value **error)
{
    const struct function *f = node->function;
    for (size_t i = 0; i < node->args.n; i++) {
        const struct binding *b = &node->args.all[i];
        size_t at = 0;
        while (at < f->n_params && f->params[at] != b->name)
            at++;
        if (at == f->n_params) {
            *error = error_new("TypeError", "%s() got an unexpected keyword argument '%s'", f->name,
                               program_atom_name(maker->job->program, b->name));
            return false;
        }
        struct value *v = task_try_eval(maker, b->value, error);
        if (!v)
            return false;
        value_unref(args[at]);
        args[at] = v;
    }
    for (size_t i = 0; i < f->n_params; i++) {
        if (args[i])
            continue;
        if (!f->defaults || !f->defaults[i]) {
            *error = error_new("TypeError", "%s() missing 1 required positional argument: '%s'",
                               f->name, program_atom_name(maker->job->program, f->params[i]));
            return false;
        }
        args[i] = value_ref(f->defaults[i]);
    }
    return true;
}

struct coro *coro_new(struct task *maker, const struct call_node *node, struct value **error)
{
    size_t n = node->function->n_params;
    struct value **args = xcalloc(n + 1, sizeof *args);
    struct value *name = NULL;
    if (!bind(maker, node, args, error) || !task_eval_name(maker, &node->node, &name, error)) {
        args_free(args, n);
        return NULL;
    }
    struct coro *c = xcalloc(1, sizeof *c);
    c->refs = 1;
    c->id = maker->job->next_coro++;
    c->job = maker->job;
    c->maker = maker;
    c->node = node;
    c->args = args;
    c->name = name;
    return c;
}

/* A call with timeout or retry: the arguments, for each attempt. */
struct call_act {
    struct act act;
    struct value **args;
};

static struct scope *bind_scope(struct job *job, const struct function *f, struct value **args)
{
    struct scope *s = scope_new(job, NULL);
    for (size_t i = 0; i < f->n_params; i++)
        scope_set(s, f->params[i], value_ref(args[i]));
    return s;
}

bool coro_enter(struct task *t, struct coro *c, struct value **error)
{
    if (c->started) {
        *error = error_new("RuntimeError", "cannot reuse already awaited coroutine");
        return false;
    }
    const struct function *f = c->node->function;
    if (c->maker)
        task_touch(c->maker);
    job_touch(t->job);
    if (!c->node->wrappers) {
        c->started = true;
        task_enter(t, bind_scope(t->job, f, c->args), f->body);
        args_free(steal(&c->args), f->n_params);
        return true;
    }
    struct act *a = task_push(t, ACT_CALL, &c->node->node);
    if (!a) {
        *error = error_new("RuntimeError", "maximum recursion depth exceeded");
        return false;
    }
    c->started = true;
    ((struct call_act *)a)->args = steal(&c->args);
    task_child(t, c->node->wrappers);
    return true;
}

void coro_close(struct coro *c)
{
    if (c->started)
        return;
    if (c->maker)
        task_touch(c->maker);
    c->started = true;
    args_free(steal(&c->args), c->node->function->n_params);
}

void coro_enter_body(struct task *t)
{
    struct act *a = task_top(t);
    while (a && a->role != ACT_CALL && a->role != ACT_FRAME)
        a = act_below(a);
    if (!a || a->role != ACT_CALL) {
        t->op = OP_DELIVER;
        t->how = DONE_NORMAL;
        t->value = value_null();
        return;
    }
    const struct function *f = ((const struct call_node *)(const void *)a->node)->function;
    task_enter(t, bind_scope(t->job, f, ((struct call_act *)a)->args), f->body);
}

static void call_release(struct task *t, struct act *a)
{
    (void)t;
    const struct function *f = ((const struct call_node *)(const void *)a->node)->function;
    args_free(((struct call_act *)a)->args, f->n_params);
}

static void args_save(struct value *const *args, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        value_save(out, args[i]);
}

static struct value **args_load(struct job_loader *l, struct reader *r, size_t n)
{
    struct value **args = xcalloc(n + 1, sizeof *args);
    for (size_t i = 0; i < n; i++) {
        args[i] = value_load(r, load_resolve, l);
        if (!args[i]) {
            args_free(args, n);
            load_fail(l, "an argument");
            return NULL;
        }
    }
    return args;
}

static void call_save(const struct task *t, const struct act *a, struct buf *out)
{
    (void)t;
    const struct call_node *n = (const struct call_node *)(const void *)a->node;
    args_save(((const struct call_act *)a)->args, n->function->n_params, out);
}

static bool call_load(struct task *t, struct act *a, struct job_loader *l, struct reader *r)
{
    (void)t;
    const struct call_node *n = (const struct call_node *)(const void *)a->node;
    return (((struct call_act *)a)->args = args_load(l, r, n->function->n_params)) != NULL;
}

const struct node_kind kind_call = {
    .verb = {.name = "<call>"},
    .act_size = sizeof(struct call_act),
    .save = call_save,
    .load = call_load,
    .release = call_release,
};

static bool gone(const struct coro *c)
{
    return c->started || c->taken;
}

void coro_list_sweep(struct coro_list *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (gone(l->all[i])) {
            l->all[i]->maker = NULL; /* may be freed before the task that took it starts it */
            coro_unref(l->all[i]);
        } else
            l->all[n++] = l->all[i];
    }
    l->n = n;
}

void coro_list_add(struct coro_list *l, struct coro *c)
{
    if (l->n == l->cap)
        coro_list_sweep(l);
    if (l->n * 2 >= l->cap)
        l->all = xgrow(l->all, &l->cap, l->n * 2 + 4, sizeof *l->all);
    l->all[l->n++] = c;
}

void coro_list_release(struct coro_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        l->all[i]->maker = NULL;
        coro_unref(l->all[i]);
    }
    free(l->all);
    *l = (struct coro_list){0};
}

static void warn(struct coro *c, struct job *job)
{
    if (gone(c) || c->warned)
        return;
    c->warned = true;
    cleanup_free char *text =
        xasprintf("warning: coroutine '%s' was never awaited", coro_function(c));
    job_print(job, text, strlen(text));
}

static bool holds(const struct value *v, const struct coro *c)
{
    if (value_type(v) == VALUE_HANDLE)
        return coro_of(v) == c;
    size_t n = value_count(v);
    for (size_t i = 0; i < n; i++)
        if (holds(value_type(v) == VALUE_LIST ? value_item(v, i) : value_member(v, i)->value, c))
            return true;
    return false;
}

void coro_list_settle(struct coro_list *l, struct job *job, const struct value *left)
{
    coro_list_sweep(l);
    for (size_t i = 0; i < l->n; i++) {
        struct coro *c = l->all[i];
        c->maker = NULL;
        if (!left || !holds(left, c))
            warn(c, job);
        if (c->refs > 1) { /* somebody may still run it */
            coro_list_add(&job->left, c);
            job_touch(job);
        } else {
            coro_unref(c);
        }
    }
    l->n = 0;
    coro_list_release(l);
}

void coro_list_warn(struct coro_list *l, struct job *job)
{
    for (size_t i = 0; i < l->n; i++)
        warn(l->all[i], job);
}

void coro_save(const struct coro *c, struct buf *out)
{
    put_varint(out, coro_handle_id(c));
    put_u8(out, c->warned);
    args_save(c->args, c->node->function->n_params, out);
    value_save_opt(c->name, out);
}

struct coro *coro_load(struct job_loader *l, struct reader *r)
{
    struct coro *c = load_coro(l, get_varint(r));
    if (!c || c->args) {
        load_fail(l, "a coroutine");
        coro_unref(c);
        return NULL;
    }
    c->warned = get_u8(r) != 0;
    c->args = args_load(l, r, c->node->function->n_params);
    if (!c->args || !value_load_opt(l, r, &c->name)) {
        coro_unref(c);
        return NULL;
    }
    c->started = false;
    return c;
}

void coro_list_save(const struct coro_list *l, struct buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += !gone(l->all[i]);
    put_varint(out, n);
    for (size_t i = 0; i < l->n; i++)
        if (!gone(l->all[i]))
            coro_save(l->all[i], out);
}

bool coro_list_load(struct coro_list *l, struct job_loader *from, struct reader *r)
{
    for (uint64_t n = get_varint(r); n > 0 && !r->failed; n--) {
        struct coro *c = coro_load(from, r);
        if (!c)
            return false;
        coro_list_add(l, c);
    }
    return !r->failed || load_fail(from, "coroutines");
}
