/*
 * The handlers of `except*` (PEP 654): each takes its part of the error, several may run; what they
 * raise and what nobody took is raised at the end. The activation stands above that of its `try`.
 */
#include "daemon/task/star.h"

#include "daemon/task/save.h"
#include "proto/mem.h"

enum { STAR_RUNNING, STAR_AGAIN }; /* AGAIN: the handler has said `raise: null` */

struct star_act {
    struct act act;        /* count: the handler; node: the `try` */
    struct value *error;   /* the body's */
    struct value *part;    /* the handler's */
    struct value *value;   /* of the last handler that ended well */
    struct value **raised; /* by the handlers */
    uint32_t n, cap;
    uint8_t *again; /* by handler: 1: what it took is raised again */
};

static const struct handlers *handlers_of(const struct star_act *a)
{
    return &((const struct try_node *)(const void *)a->act.node)->star;
}

static size_t taker(void *arg, const struct value *error)
{
    const struct handlers *all = handlers_of(arg);
    bool group = error_is_group(error) && strcmp(error_type(error), "ExceptionGroup") == 0;
    for (size_t i = 0; !group && i < all->n; i++) {
        if (!all->all[i].types && error_matches(error, "Exception"))
            return i;
        for (char **type = all->all[i].types; type && *type; type++)
            if (error_matches(error, *type))
                return i;
    }
    return SIZE_MAX;
}

static bool is_current(void *arg, size_t by)
{
    return by == ((const struct star_act *)arg)->act.count;
}

static bool is_left(void *arg, size_t by)
{
    return by == SIZE_MAX || ((const struct star_act *)arg)->again[by];
}

static struct value *wrap(const struct star_act *a, struct value *part)
{
    if (!part || error_is_group(a->error))
        return part;
    struct value *group = error_group("", &part, 1, NULL);
    value_unref(part);
    return group;
}

static void add_raised(struct star_act *a, struct value *error)
{
    if (a->n == a->cap) {
        size_t cap = a->cap;
        a->raised = xgrow(a->raised, &cap, (size_t)a->n + 1, sizeof(struct value *));
        a->cap = (uint32_t)cap;
    }
    a->raised[a->n++] = error;
}

static void finish(struct task *t, struct star_act *a)
{
    struct value *left = error_part(a->error, taker, is_left, a);
    if (left && !error_is_group(a->error) && left == a->error && taker(a, left) != SIZE_MAX)
        left = wrap(a, left); /* it was raised again as its handler saw it */
    if (left)
        add_raised(a, left);
    if (a->n == 0)
        task_done(t, DONE_NORMAL, a->value ? steal(&a->value) : value_null());
    else if (a->n == 1)
        task_done(t, DONE_RAISE, value_ref(a->raised[0]));
    else
        task_done(t, DONE_RAISE, error_group("", a->raised, a->n, NULL));
}

/* Goes to the next handler that has something to do, from act.count on. */
static void go_on(struct task *t, struct star_act *a)
{
    const struct handlers *all = handlers_of(a);
    for (; a->act.count < all->n; a->act.count++) {
        const struct handler *h = &all->all[a->act.count];
        a->part = wrap(a, error_part(a->error, taker, is_current, a));
        if (!a->part)
            continue;
        a->act.phase = STAR_RUNNING;
        if (h->as && t->scope)
            scope_set(t->scope, h->as, value_ref(a->part));
        task_child(t, h->body);
        return;
    }
    finish(t, a);
}

void star_begin(struct task *t, const struct node *n, struct value *error)
{
    struct star_act *a = (struct star_act *)task_push(t, ACT_STAR, n);
    if (!a) {
        value_unref(error);
        t->op = OP_DELIVER;
        t->how = DONE_RAISE;
        t->value = error_new("RuntimeError", "maximum recursion depth exceeded");
        return;
    }
    a->error = error;
    a->again = xcalloc(handlers_of(a)->n + 1, 1);
    go_on(t, a);
}

struct value *star_handled(const struct act *a)
{
    return a->role == ACT_STAR ? ((const struct star_act *)a)->part : NULL;
}

void star_raise_again(struct act *a)
{
    if (a->role == ACT_STAR)
        a->phase = STAR_AGAIN;
}

static void star_on_child(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct star_act *a = (struct star_act *)act;
    if (how != DONE_NORMAL && how != DONE_RAISE) { /* refused by the check */
        task_done(t, how, v);
        return;
    }
    if (how == DONE_NORMAL) {
        value_unref(a->value);
        a->value = v;
    } else if (act->phase == STAR_AGAIN && value_equal(v, a->part)) {
        a->again[act->count] = 1;
        value_unref(v);
    } else {
        add_raised(a, v);
    }
    value_unref(steal(&a->part));
    act->count++;
    go_on(t, a);
}

static void star_release(struct task *t, struct act *act)
{
    (void)t;
    struct star_act *a = (struct star_act *)act;
    value_unref(steal(&a->error));
    value_unref(steal(&a->part));
    value_unref(steal(&a->value));
    for (uint32_t i = 0; i < a->n; i++)
        value_unref(a->raised[i]);
    a->n = 0;
    free(steal(&a->raised));
    free(steal(&a->again));
}

static void star_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct star_act *a = (const struct star_act *)act;
    value_save(out, a->error);
    value_save(out, a->part);
    value_save_opt(a->value, out);
    put_varint(out, a->n);
    for (uint32_t i = 0; i < a->n; i++)
        value_save(out, a->raised[i]);
    for (uint32_t i = 0; i < act->count; i++)
        put_u8(out, a->again[i]);
}

static bool star_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    struct star_act *a = (struct star_act *)act;
    const struct handlers *all = handlers_of(a);
    if (act->count >= all->n || act->phase > STAR_AGAIN)
        return load_fail(l, "an except*");
    a->again = xcalloc(all->n + 1, 1);
    if (!(a->error = value_load(r, load_resolve, l)) ||
        !(a->part = value_load(r, load_resolve, l)) || !value_load_opt(l, r, &a->value))
        return load_fail(l, "an error of except*");
    uint64_t n = get_varint(r);
    while (!r->failed && a->n < n) {
        struct value *v = value_load(r, load_resolve, l);
        if (!v)
            break;
        add_raised(a, v);
    }
    for (uint32_t i = 0; i < act->count; i++)
        a->again[i] = get_u8(r) != 0;
    return (!r->failed && a->n == n) || load_fail(l, "an except*");
}

const struct node_kind kind_star = {
    .verb = {.name = "<except*>"},
    .act_size = sizeof(struct star_act),
    .on_child = star_on_child,
    .save = star_save,
    .load = star_load,
    .release = star_release,
};
