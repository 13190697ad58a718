/* `raise: error`; null raises the one being handled again. */
#include "daemon/task/save.h"
#include "daemon/task/star.h"
#include "proto/mem.h"

struct raise_node {
    struct node node;
    struct expr *error;
};

static bool is_error(const struct value *v)
{
    const struct value *type = value_find(v, "type"), *message = value_find(v, "message");
    return value_type(v) == VALUE_OBJECT && type && value_type(type) == VALUE_STRING &&
           *value_get_string(type, NULL) && message && value_type(message) == VALUE_STRING;
}

/* The error that v describes; takes over v. */
static struct value *error_of(struct value *v)
{
    if (is_error(v))
        return v;
    struct value *type = value_find(v, "type"), *message = value_find(v, "message");
    struct value *error;
    if (!type || value_type(type) != VALUE_STRING || !*value_get_string(type, NULL)) {
        error =
            error_new("TypeError", "exceptions must have a type, not be %s", value_type_name(v));
    } else {
        struct buf text = {0};
        if (message)
            value_write_text(&text, message);
        error = error_make(value_get_string(type, NULL), buf_cstr(&text), value_find(v, "data"),
                           value_find(v, "cause"));
        buf_release(&text);
    }
    value_unref(v);
    return error;
}

static void raise_start(struct task *t, struct act *a)
{
    struct value *v = task_eval(t, ((const struct raise_node *)(const void *)a->node)->error);
    if (!v)
        return;
    if (value_type(v) != VALUE_NULL) {
        task_raise(t, error_of(v));
        return;
    }
    while (a && !try_handled(a))
        a = act_below(a);
    if (!a) {
        task_done(t, DONE_RAISE, error_new("RuntimeError", "No active exception to reraise"));
        return;
    }
    star_raise_again(a);
    task_done(t, DONE_RAISE, value_ref(try_handled(a)));
}

static void raise_check(struct parser *p, struct node *n)
{
    const struct value *v = expr_literal(((const struct raise_node *)(void *)n)->error);
    if (!v || value_type(v) == VALUE_NULL)
        return;
    const struct value *type = value_find(v, "type"), *message = value_find(v, "message");
    if (!type || value_type(type) != VALUE_STRING || !*value_get_string(type, NULL))
        parser_complain(p, NULL, "\"raise\" takes {\"type\": …, \"message\": …} or null");
    else if (message && value_type(message) != VALUE_STRING)
        parser_complain(p, NULL, "an error's message is a string");
}

static const struct field raise_fields[] = {
    {"raise", &field_expr, offsetof(struct raise_node, error), true,
     "{type, message, data}; null: the error that is being handled."},
    {NULL},
};

const struct node_kind node_raise = {
    .verb = {.name = "raise",
             .fields = raise_fields,
             .size = sizeof(struct raise_node),
             .check = raise_check},
    .act_size = sizeof(struct act),
    .start = raise_start,
};
