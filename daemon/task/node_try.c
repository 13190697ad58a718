/* `try, except, else, finally`. */
#include "daemon/task/save.h"
#include "daemon/task/star.h"
#include "proto/mem.h"

enum { TRY_BODY, TRY_HANDLER, TRY_ELSE, TRY_FINALLY };

struct try_act {
    struct act act;      /* count: in FINALLY, how the rest was completed */
    struct value *value; /* HANDLER: the error; FINALLY: what the rest gave */
};

static const struct try_node *node_of(const struct act *a)
{
    return (const struct try_node *)(const void *)a->node;
}

struct value *try_handled(const struct act *act)
{
    if (act->role == ACT_STAR)
        return star_handled(act);
    if (act_kind(act) != &node_try)
        return NULL;
    if (act->phase == TRY_HANDLER || (act->phase == TRY_FINALLY && act->count == DONE_RAISE))
        return ((const struct try_act *)act)->value;
    return NULL;
}

static void try_start(struct task *t, struct act *act)
{
    task_child(t, node_of(act)->body);
}

static const struct handler *find_handler(const struct handlers *all, const struct value *error)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct handler *h = &all->all[i];
        if (!h->types && error_matches(error, "Exception"))
            return h;
        for (char **type = h->types; type && *type; type++)
            if (error_matches(error, *type))
                return h;
    }
    return NULL;
}

/* All but `finally` is over. */
static void leave(struct task *t, struct act *act, enum completion how, struct value *v)
{
    const struct try_node *n = node_of(act);
    if (!n->finally) {
        task_done(t, how, v);
        return;
    }
    act->phase = TRY_FINALLY;
    act->count = how;
    ((struct try_act *)act)->value = v;
    task_child(t, n->finally);
}

static void body_over(struct task *t, struct act *act, enum completion how, struct value *v)
{
    const struct try_node *n = node_of(act);
    if (how == DONE_NORMAL && n->otherwise) {
        value_unref(v);
        act->phase = TRY_ELSE;
        task_child(t, n->otherwise);
        return;
    }
    if (how == DONE_RAISE && n->star.n > 0) {
        act->phase = TRY_HANDLER;
        ((struct try_act *)act)->value = value_ref(v);
        star_begin(t, act->node, v);
        return;
    }
    const struct handler *h = how == DONE_RAISE ? find_handler(&n->except, v) : NULL;
    if (!h) {
        leave(t, act, how, v);
        return;
    }
    if (h->as && t->scope)
        scope_set(t->scope, h->as, value_ref(v));
    act->phase = TRY_HANDLER;
    ((struct try_act *)act)->value = v;
    task_child(t, h->body);
}

static void try_on_child(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct try_act *a = (struct try_act *)act;
    switch (act->phase) {
    case TRY_BODY:
        body_over(t, act, how, v);
        break;
    case TRY_HANDLER:
        value_unref(steal(&a->value));
        leave(t, act, how, v);
        break;
    case TRY_ELSE:
        leave(t, act, how, v);
        break;
    default: /* what `finally` does counts when it does not just end */
        if (how == DONE_NORMAL) {
            value_unref(v);
            how = (enum completion)act->count;
            v = steal(&a->value);
        }
        task_done(t, how, v);
        break;
    }
}

static void try_release(struct task *t, struct act *act)
{
    (void)t;
    value_unref(steal(&((struct try_act *)act)->value));
}

static void try_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    value_save_opt(((const struct try_act *)act)->value, out);
}

static bool try_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    (void)t;
    struct try_act *a = (struct try_act *)act;
    if (act->phase > TRY_FINALLY || act->count > DONE_CONTINUE ||
        !value_load_opt(l, r, &a->value) ||
        (a->value != NULL) != (act->phase == TRY_HANDLER || act->phase == TRY_FINALLY))
        return load_fail(l, "a try");
    return true;
}

static void try_check(struct parser *p, struct node *n)
{
    const struct try_node *t = (const struct try_node *)(void *)n;
    size_t handlers = t->except.n + t->star.n;
    if (t->except.n > 0 && t->star.n > 0)
        parser_complain(p, NULL, "a \"try\" has \"except\" or \"except*\", not both");
    else if (handlers == 0 && !t->finally)
        parser_complain(p, NULL, "\"try\" needs \"except\" or \"finally\"");
    else if (handlers == 0 && t->otherwise)
        parser_complain(p, NULL, "\"else\" of \"try\" needs \"except\"");
}

static const struct field try_fields[] = {
    {"try", &field_node, offsetof(struct try_node, body), true, "The body."},
    {"except", &field_handlers, offsetof(struct try_node, except), false,
     "A list of {type, as, do}: the first that fits handles the error."},
    {"except*", &field_handlers_star, offsetof(struct try_node, star), false,
     "A list of {type, as, do}: each handles its part of an ExceptionGroup."},
    {"else", &field_node, offsetof(struct try_node, otherwise), false,
     "When the body ended without an error."},
    {"finally", &field_node, offsetof(struct try_node, finally), false, "In any case, at last."},
    {NULL},
};

const struct node_kind node_try = {
    .verb = {.name = "try",
             .fields = try_fields,
             .size = sizeof(struct try_node),
             .check = try_check},
    .act_size = sizeof(struct try_act),
    .start = try_start,
    .on_child = try_on_child,
    .save = try_save,
    .load = try_load,
    .release = try_release,
};
