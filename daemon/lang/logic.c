/* JsonLogic's operators (jsonlogic.com/operations.html): those that choose what to evaluate, and
 * those that read data. */
#include "daemon/lang/logic.h"

#include <string.h>

#include "daemon/lang/utf8.h"
#include "proto/mem.h"

bool value_truthy(const struct value *v)
{
    size_t len;
    switch (value_type(v)) {
    case VALUE_NULL:
        return false;
    case VALUE_BOOL:
        return value_is_true(v);
    case VALUE_INT:
    case VALUE_REAL:
        return value_get_number(v) != 0;
    case VALUE_STRING:
        value_get_string(v, &len);
        return len > 0;
    case VALUE_LIST:
        return value_count(v) > 0;
    case VALUE_OBJECT:
    case VALUE_HANDLE:
        break;
    }
    return true;
}

/* Argument i, null when it is not there. */
static struct value *argument(struct eval *ev, const struct expr *e, size_t i)
{
    return i < e->n ? eval_expr(ev, e->args[i]) : value_null();
}

struct value *logic_if(struct eval *ev, const struct expr *e)
{
    size_t i = 0;
    for (; i + 1 < e->n; i += 2) {
        cleanup_value struct value *condition = eval_expr(ev, e->args[i]);
        if (!condition)
            return NULL;
        if (value_truthy(condition))
            return eval_expr(ev, e->args[i + 1]);
    }
    return argument(ev, e, i);
}

/* The first argument whose truth is `stop`, or the last. */
static struct value *first(struct eval *ev, const struct expr *e, bool stop)
{
    struct value *v = value_null();
    for (size_t i = 0; i < e->n; i++) {
        value_unref(v);
        v = eval_expr(ev, e->args[i]);
        if (!v || value_truthy(v) == stop)
            return v;
    }
    return v;
}

struct value *logic_and(struct eval *ev, const struct expr *e)
{
    return first(ev, e, false);
}

struct value *logic_or(struct eval *ev, const struct expr *e)
{
    return first(ev, e, true);
}

/* The rule (argument 1) with the item as its data. */
static struct value *apply(struct eval *ev, const struct expr *e, struct value *data)
{
    struct value *outer = ev->data;
    ev->data = data;
    struct value *v = argument(ev, e, 1);
    ev->data = outer;
    return v;
}

/* map (all results) and filter (the items whose result is true). */
static struct value *collect(struct eval *ev, const struct expr *e, bool filter)
{
    cleanup_value struct value *list = argument(ev, e, 0);
    if (!list)
        return NULL;
    size_t count = value_type(list) == VALUE_LIST ? value_count(list) : 0, n = 0;
    cleanup_free struct value **kept = xmalloc((count + 1) * sizeof *kept);
    for (size_t i = 0; i < count; i++) {
        struct value *item = value_item(list, i), *v = apply(ev, e, item);
        if (!v) {
            while (n > 0)
                value_unref(kept[--n]);
            return NULL;
        }
        if (!filter) {
            kept[n++] = v;
            continue;
        }
        if (value_truthy(v))
            kept[n++] = value_ref(item);
        value_unref(v);
    }
    return eval_limit(ev, value_list(kept, n));
}

struct value *logic_map(struct eval *ev, const struct expr *e)
{
    return collect(ev, e, false);
}

struct value *logic_filter(struct eval *ev, const struct expr *e)
{
    return collect(ev, e, true);
}

/* Whether the rule gives `wanted` for some item: 1, 0, or -1 for an error; *count is set. */
static int find(struct eval *ev, const struct expr *e, bool wanted, size_t *count)
{
    cleanup_value struct value *list = argument(ev, e, 0);
    if (!list)
        return -1;
    *count = value_type(list) == VALUE_LIST ? value_count(list) : 0;
    for (size_t i = 0; i < *count; i++) {
        cleanup_value struct value *v = apply(ev, e, value_item(list, i));
        if (!v)
            return -1;
        if (value_truthy(v) == wanted)
            return 1;
    }
    return 0;
}

struct value *logic_all(struct eval *ev, const struct expr *e)
{
    size_t count = 0;
    int found = find(ev, e, false, &count);
    return found < 0 ? NULL : value_bool(!found && count > 0);
}

struct value *logic_none(struct eval *ev, const struct expr *e)
{
    size_t count;
    int found = find(ev, e, true, &count);
    return found < 0 ? NULL : value_bool(!found);
}

struct value *logic_some(struct eval *ev, const struct expr *e)
{
    size_t count;
    int found = find(ev, e, true, &count);
    return found < 0 ? NULL : value_bool(found);
}

struct value *logic_reduce(struct eval *ev, const struct expr *e)
{
    cleanup_value struct value *list = argument(ev, e, 0);
    struct value *so_far = list ? argument(ev, e, 2) : NULL;
    size_t count = list && value_type(list) == VALUE_LIST ? value_count(list) : 0;
    for (size_t i = 0; so_far && i < count; i++) {
        struct value_member m[] = {{value_text("current"), value_ref(value_item(list, i))},
                                   {value_text("accumulator"), so_far}};
        cleanup_value struct value *data = eval_limit(ev, value_object(m, 2));
        so_far = data ? apply(ev, e, data) : NULL;
    }
    return so_far;
}

/* A place in a list or a string: digits only; SIZE_MAX: none. */
static size_t place(const char *s, size_t len)
{
    size_t i = 0;
    if (len == 0 || len > 9 || strspn(s, "0123456789") < len || (len > 1 && *s == '0'))
        return SIZE_MAX;
    while (len-- > 0)
        i = 10 * i + (size_t)(*s++ - '0');
    return i;
}

/* One part of a dotted path: a new reference, NULL when it is not there (or with ev->error). */
static struct value *look_into(struct eval *ev, const struct value *v, const char *key, size_t len)
{
    struct value *found = NULL;
    bool length = len == 6 && memcmp(key, "length", 6) == 0;
    if (value_type(v) == VALUE_HANDLE) {
        cleanup_free char *name = xstrndup(key, len);
        return value_handle_class(v)->attribute(value_handle_object(v), name, &ev->error);
    }
    if (value_type(v) == VALUE_OBJECT)
        found = value_find_bytes(v, key, len);
    else if (value_type(v) == VALUE_LIST && !length)
        found = value_item(v, place(key, len));
    else if (value_type(v) == VALUE_LIST)
        return value_int((int64_t)value_count(v));
    else if (value_type(v) == VALUE_STRING && length) {
        size_t bytes;
        const char *s = value_get_string(v, &bytes);
        return value_int((int64_t)utf8_count(s, bytes));
    }
    return found ? value_ref(found) : NULL;
}

/* What the dotted path leads to: a new reference, NULL when nothing is there (or ev->error). */
static struct value *look_up(struct eval *ev, const struct atoms *atoms, const char *path,
                             size_t len)
{
    const char *end = path + len;
    struct value *at = ev->data ? value_ref(ev->data) : NULL;
    for (bool start = true; start || (at && path <= end); start = false) {
        const char *dot = memchr(path, '.', (size_t)(end - path));
        size_t n = (size_t)((dot ? dot : end) - path);
        if (at) {
            struct value *next = look_into(ev, at, path, n);
            value_unref(at);
            at = next;
        } else {
            uint32_t atom = atoms_find(atoms, path, n);
            at = atom ? ev->names->lookup(ev->names->arg, atom) : NULL;
            at = at ? value_ref(at) : NULL;
        }
        path += n + 1;
    }
    return at;
}

/* The same for a path that is any value. Without one (null, "") it leads to all of the data; the
 * variables are no value as a whole. */
static struct value *look_for(struct eval *ev, const struct expr *e, const struct value *path)
{
    enum value_type type = value_type(path);
    if (type == VALUE_NULL || (type == VALUE_STRING && !value_truthy(path)))
        return ev->data ? value_ref(ev->data) : NULL;
    struct buf text = {0};
    js_text(&text, path);
    struct value *v = NULL;
    if (eval_charge(ev, 1 + text.len / 64))
        v = look_up(ev, e->atoms, buf_cstr(&text), text.len);
    buf_release(&text);
    return v;
}

struct value *logic_var(struct eval *ev, const struct expr *e)
{
    cleanup_value struct value *path = argument(ev, e, 0);
    if (!path)
        return NULL;
    struct value *v = look_for(ev, e, path);
    return v || ev->error ? v : argument(ev, e, 1);
}

/* The paths (a list) under which there is nothing, null or "". */
static struct value *missing(struct eval *ev, const struct expr *e, const struct value *paths)
{
    size_t n = 0;
    cleanup_free struct value **gone = xmalloc((value_count(paths) + 1) * sizeof *gone);
    for (size_t i = 0; i < value_count(paths) && !ev->error; i++) {
        struct value *path = value_item(paths, i);
        struct value *v = look_for(ev, e, path);
        if (!v || value_type(v) == VALUE_NULL ||
            (value_type(v) == VALUE_STRING && !value_truthy(v)))
            gone[n++] = value_ref(path);
        value_unref(v);
    }
    struct value *list = value_list(gone, n);
    if (!ev->error)
        return eval_limit(ev, list);
    value_unref(list);
    return NULL;
}

struct value *logic_missing(struct eval *ev, const struct expr *e)
{
    size_t n;
    cleanup_free struct value **args = eval_all(ev, e->args, e->n, &n);
    if (!args)
        return NULL;
    struct value *paths;
    if (n > 0 && value_type(args[0]) == VALUE_LIST) {
        paths = value_ref(args[0]);
        while (n > 0)
            value_unref(args[--n]);
    } else {
        paths = eval_limit(ev, value_list(args, n));
    }
    struct value *gone = paths ? missing(ev, e, paths) : NULL;
    value_unref(paths);
    return gone;
}

struct value *logic_missing_some(struct eval *ev, const struct expr *e)
{
    cleanup_value struct value *need = argument(ev, e, 0);
    cleanup_value struct value *paths = need ? argument(ev, e, 1) : NULL;
    struct value *gone = paths ? missing(ev, e, paths) : NULL;
    if (!gone || (double)(value_count(paths) - value_count(gone)) < js_number(need))
        return gone;
    value_unref(gone);
    return value_list(NULL, 0);
}
