#include "daemon/lang/expr.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/lang/expr_tree.h"
#include "proto/mem.h"

/* One evaluation may take about this many steps: some ten milliseconds. */
enum { STEPS_MAX = 500000, BYTES_PER_STEP = 64, ITEMS_PER_STEP = 16 };

void expr_free(struct expr *e)
{
    if (!e)
        return;
    if (e->kind == EXPR_LITERAL) {
        value_unref(e->literal);
    } else if (e->kind == EXPR_PATH) {
        for (size_t i = 0; i < e->n; i++)
            value_unref(e->steps[i].key);
        free(e->steps);
    } else {
        for (size_t i = 0; i < e->n; i++) {
            expr_free(e->args[i]);
            if (e->keys)
                value_unref(e->keys[i]);
        }
        free(e->args);
        free(e->keys);
    }
    free(e);
}

struct value *expr_literal(const struct expr *e)
{
    return e && e->kind == EXPR_LITERAL ? e->literal : NULL;
}

struct value *eval_fail(struct eval *ev, struct value *error)
{
    value_unref(ev->error);
    ev->error = error;
    return NULL;
}

bool eval_charge(struct eval *ev, size_t steps)
{
    if (steps <= STEPS_MAX - ev->steps) {
        ev->steps += (unsigned)steps;
        return true;
    }
    ev->steps = STEPS_MAX;
    eval_fail(ev, error_new("ValueError", "the expression takes more than %d steps", STEPS_MAX));
    return false;
}

static struct value *too_large(struct eval *ev)
{
    return eval_fail(ev, error_new("ValueError", "the value is larger than %d MiB",
                                   VALUE_MAX_BYTES / 1024 / 1024));
}

struct value *eval_limit(struct eval *ev, struct value *v)
{
    if (v)
        return v;
    return eval_fail(ev,
                     error_new("ValueError", "the value is larger than %d MiB or deeper than %d",
                               VALUE_MAX_BYTES / 1024 / 1024, VALUE_MAX_DEPTH));
}

static struct value *step_index(struct eval *ev, const struct value *v, int64_t index)
{
    if (value_type(v) == VALUE_OBJECT)
        return eval_fail(ev, error_new("KeyError", "%" PRId64, index));
    if (value_type(v) != VALUE_LIST)
        return eval_fail(
            ev, error_new("TypeError", "'%s' object is not subscriptable", value_python_type(v)));
    int64_t n = (int64_t)value_count(v);
    struct value *item = value_item(v, (size_t)(index < 0 ? index + n : index));
    if (!item || index < -n)
        return eval_fail(ev, error_new("IndexError", "list index out of range"));
    return value_ref(item);
}

static struct value *step_key(struct eval *ev, const struct value *v, const struct value *key)
{
    size_t len;
    const char *name = value_get_string(key, &len);
    if (value_type(v) == VALUE_HANDLE) {
        struct value *error = NULL;
        struct value *found =
            value_handle_class(v)->attribute(value_handle_object(v), name, &error);
        return found ? found : eval_fail(ev, error);
    }
    if (value_type(v) == VALUE_LIST)
        return eval_fail(
            ev, error_new("TypeError", "list indices must be integers or slices, not str"));
    if (value_type(v) != VALUE_OBJECT)
        return eval_fail(
            ev, error_new("TypeError", "'%s' object is not subscriptable", value_python_type(v)));
    struct value *found = value_find_bytes(v, name, len);
    return found ? value_ref(found) : eval_fail(ev, error_new("KeyError", "'%s'", name));
}

static struct value *eval_path(struct eval *ev, const struct expr *e)
{
    struct value *at = ev->names->lookup(ev->names->arg, e->atom);
    if (!at)
        return eval_fail(
            ev, error_new("NameError", "name '%s' is not defined", atoms_name(e->atoms, e->atom)));
    at = value_ref(at);
    for (size_t i = 0; at && i < e->n; i++) {
        const struct step *s = &e->steps[i];
        struct value *next = s->key ? step_key(ev, at, s->key) : step_index(ev, at, s->index);
        value_unref(at);
        at = next;
    }
    return at;
}

static bool add_part(struct eval *ev, struct buf *text, const struct expr *e)
{
    cleanup_value struct value *part = eval_expr(ev, e);
    if (!part || !eval_charge(ev, value_bytes(part) / BYTES_PER_STEP))
        return false;
    value_write_text(text, part);
    if (text->len <= VALUE_MAX_BYTES)
        return true;
    too_large(ev);
    return false;
}

static struct value *eval_text(struct eval *ev, const struct expr *e)
{
    struct buf text = {0};
    struct value *result = NULL;
    size_t i = 0;
    while (i < e->n && add_part(ev, &text, e->args[i]))
        i++;
    if (i == e->n)
        result = value_string(text.data ? text.data : "", text.len);
    buf_release(&text);
    return result;
}

struct values {
    struct value **all;
    size_t n, cap;
};

static void values_add(struct values *l, struct value *v)
{
    l->all = xgrow(l->all, &l->cap, l->n + 1, sizeof(struct value *));
    l->all[l->n++] = v;
}

static bool add_spliced(struct eval *ev, struct values *l, const struct expr *path)
{
    cleanup_value struct value *list = eval_expr(ev, path);
    if (!list)
        return false;
    if (value_type(list) != VALUE_LIST) {
        eval_fail(ev, error_new("TypeError", "Value after ... must be a list, not %s",
                                value_python_type(list)));
        return false;
    }
    if (!eval_charge(ev, value_count(list) / ITEMS_PER_STEP))
        return false;
    for (size_t i = 0; i < value_count(list); i++)
        values_add(l, value_ref(value_item(list, i)));
    if (l->n <= VALUE_MAX_BYTES / sizeof(struct value *))
        return true;
    too_large(ev);
    return false;
}

struct value **eval_all(struct eval *ev, struct expr *const *args, size_t n, size_t *ret_n)
{
    struct values l = {0};
    l.all = xgrow(NULL, &l.cap, n + 1, sizeof(struct value *));
    for (size_t i = 0; i < n; i++) {
        struct value *v = NULL;
        bool splice = args[i]->kind == EXPR_SPLICE;
        bool done =
            splice ? add_spliced(ev, &l, args[i]->args[0]) : (v = eval_expr(ev, args[i])) != NULL;
        if (!done) {
            while (l.n > 0)
                value_unref(l.all[--l.n]);
            free(l.all);
            return NULL;
        }
        if (v)
            values_add(&l, v);
    }
    *ret_n = l.n;
    return l.all;
}

static struct value *eval_list(struct eval *ev, const struct expr *e)
{
    size_t n;
    cleanup_free struct value **items = eval_all(ev, e->args, e->n, &n);
    return items ? eval_limit(ev, value_list(items, n)) : NULL;
}

static struct value *eval_object(struct eval *ev, const struct expr *e)
{
    cleanup_free struct value_member *m = xmalloc((e->n + 1) * sizeof *m);
    for (size_t i = 0; i < e->n; i++) {
        struct value *v = eval_expr(ev, e->args[i]);
        if (!v) {
            while (i-- > 0) {
                value_unref(m[i].key);
                value_unref(m[i].value);
            }
            return NULL;
        }
        m[i] = (struct value_member){value_ref(e->keys[i]), v};
    }
    return eval_limit(ev, value_object(m, e->n));
}

/* JsonLogic knows one kind of number: what is whole is shown without a fraction. */
static struct value *whole(struct value *v)
{
    if (!v || value_type(v) != VALUE_REAL)
        return v;
    double d = value_get_number(v);
    if (d < -0x1p63 || d >= 0x1p63 || d != (double)(int64_t)d)
        return v;
    value_unref(v);
    return value_int((int64_t)d);
}

static struct value *eval_logic(struct eval *ev, const struct expr *e)
{
    if (e->op->lazy)
        return whole(e->op->lazy(ev, e));
    size_t n;
    cleanup_free struct value **args = eval_all(ev, e->args, e->n, &n);
    if (!args)
        return NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += value_bytes(args[i]);
    struct value *result = NULL;
    if (eval_charge(ev, bytes / BYTES_PER_STEP))
        result = e->op->eager(ev, args, n);
    for (size_t i = 0; i < n; i++)
        value_unref(args[i]);
    return whole(result);
}

/* As deep as the document is nested, which the parser limited. */
struct value *eval_expr(struct eval *ev, const struct expr *e)
{
    if (!eval_charge(ev, 1))
        return NULL;
    switch (e->kind) {
    case EXPR_LITERAL:
        return value_ref(e->literal);
    case EXPR_PATH:
        return eval_path(ev, e);
    case EXPR_TEXT:
        return eval_text(ev, e);
    case EXPR_LIST:
        return eval_list(ev, e);
    case EXPR_OBJECT:
        return eval_object(ev, e);
    case EXPR_LOGIC:
        return eval_logic(ev, e);
    case EXPR_SPLICE: /* only inside lists */
        break;
    }
    return eval_expr(ev, e->args[0]);
}

struct value *expr_apply(const struct expr *e, const struct names *names, struct value *data,
                         struct value **error)
{
    struct eval ev = {.names = names, .data = data};
    struct value *v = eval_expr(&ev, e);
    if (!v)
        *error = ev.error;
    return v;
}

struct value *expr_eval(const struct expr *e, const struct names *names, struct value **error)
{
    return expr_apply(e, names, NULL, error);
}
