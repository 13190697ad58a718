/* Compiles JsonLogic. */
#include <string.h>

#include "daemon/lang/logic.h"
#include "proto/mem.h"

static const struct logic_op *find_op(const char *name)
{
    for (const struct logic_op *op = logic_ops; op->name; op++)
        if (strcmp(op->name, name) == 0)
            return op;
    return NULL;
}

/* The variable at the beginning of a dotted path. */
static void use_variable(struct parser *p, const json_t *path)
{
    const char *s = json_string_value(path);
    if (!s || p->data_depth > 0)
        return;
    size_t n = strcspn(s, ".");
    if (is_name(s, n))
        scope_use(p, atoms_intern(&p->program->atoms, s, n));
}

/* Operators whose second argument is applied to each item of the first. */
static bool is_iteration(const char *op)
{
    static const char *const names[] = {"map", "filter", "reduce", "all", "none", "some", NULL};
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], op) == 0)
            return true;
    return false;
}

static struct expr *parse_argument(struct parser *p, const json_t *json, bool inner)
{
    p->data_depth += inner;
    struct expr *e = parser_logic(p, json);
    p->data_depth -= inner;
    return e;
}

static void parse_arguments(struct parser *p, struct expr *e, const json_t *json)
{
    if (!json_is_array(json)) {
        e->args = xmalloc(sizeof(struct expr *));
        e->args[e->n++] = parser_logic(p, json);
        return;
    }
    e->args = xmalloc((json_array_size(json) + 1) * sizeof(struct expr *));
    bool iteration = is_iteration(e->op->name);
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *item = json_array_get(json, i);
        parser_enter_index(p, i);
        struct expr *path = e->op->lazy ? NULL : expr_of_splice(p, item);
        if (path)
            e->args[e->n++] = expr_splice(p, path);
        else
            e->args[e->n++] = parse_argument(p, item, iteration && i == 1);
        parser_leave(p);
    }
}

static struct expr *parse_op(struct parser *p, const char *name, const json_t *json)
{
    const struct logic_op *op = find_op(name);
    if (!op) {
        struct hint h = parser_hint(p, name);
        for (op = logic_ops; op->name; op++)
            hint_try(&h, op->name);
        parser_complain_key(p, name, hint_text(&h), "unknown operator \"%s\" of JsonLogic", name);
        return expr_of_value(p, value_null());
    }
    struct expr *e = xcalloc(1, sizeof *e);
    e->kind = EXPR_LOGIC;
    e->op = op;
    e->atoms = &p->program->atoms;
    parser_enter_key(p, name);
    parse_arguments(p, e, json);
    if (strcmp(name, "var") == 0) {
        bool list = json_is_array(json);
        if (!list || json_array_size(json) == 1) /* with a default it may be missing */
            use_variable(p, list ? json_array_get(json, 0) : json);
    }
    parser_leave(p);
    return e;
}

struct expr *parser_logic(struct parser *p, const json_t *json)
{
    if (json_is_array(json))
        return expr_of_list(p, json, parser_logic);
    if (!json_is_object(json) || json_object_size(json) != 1)
        return parser_expr(p, json); /* data */
    void *only = json_object_iter((json_t *)(uintptr_t)json);
    return parse_op(p, json_object_iter_key(only), json_object_iter_value(only));
}
