/* The kinds of field that hold nodes, loops and bindings. */
#include <string.h>

#include "daemon/lang/logic.h"
#include "daemon/lang/parser.h"
#include "proto/mem.h"

static void parse_bindings(struct parser *p, const json_t *json, void *out)
{
    struct bindings *b = out;
    if (!json_is_object(json)) {
        parser_wrong(p, "an object of name: value", json);
        return;
    }
    bool argument = p->verb == p->kinds->call; /* names the callee's variables, not ours */
    b->all = xcalloc(json_object_size(json) + 1, sizeof *b->all);
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        parser_enter_key(p, key);
        uint32_t atom = 0;
        if (is_name(key, strlen(key)))
            atom = parser_atom(p, key);
        else
            parser_complain(p, NULL, "\"%s\" is no name for a variable", key);
        struct expr *value = parser_expr(p, json_object_iter_value(it));
        if (atom && !argument)
            scope_bind(p, atom);
        b->all[b->n++] = (struct binding){atom, value};
        parser_leave(p);
    }
}

static void release_bindings(void *out)
{
    struct bindings *b = out;
    for (size_t i = 0; i < b->n; i++)
        expr_free(b->all[i].value);
    free(b->all);
}

/* A literal must be a whole number. */
static struct expr *parse_bound(struct parser *p, const json_t *json)
{
    struct expr *e = parser_expr(p, json);
    const struct value *v = expr_literal(e);
    if (v && value_type(v) != VALUE_INT)
        parser_wrong(p, "a whole number", json);
    return e;
}

static void parse_range(struct parser *p, const json_t *json, void *out)
{
    struct source *s = out;
    if (!json_is_array(json)) {
        s->stop = parse_bound(p, json);
        return;
    }
    size_t n = json_array_size(json);
    struct expr **one[] = {&s->stop}, **more[] = {&s->start, &s->stop, &s->step};
    if (n < 1 || n > 3) {
        parser_complain(p, NULL, "a range is stop, [start, stop] or [start, stop, step]");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        parser_enter_index(p, i);
        *(n == 1 ? one : more)[i] = parse_bound(p, json_array_get(json, i));
        const struct value *v = i == 2 ? expr_literal(s->step) : NULL;
        if (v && value_type(v) == VALUE_INT && value_get_int(v) == 0)
            parser_complain(p, NULL, "a range's step can't be 0");
        parser_leave(p);
    }
}

static void release_source(void *out)
{
    struct source *s = out;
    expr_free(s->list);
    expr_free(s->start);
    expr_free(s->stop);
    expr_free(s->step);
    expr_free(s->completed);
    expr_free(s->ticker);
}

static const struct field_type range_type = {parse_range, release_source, "a range"};
static const struct field source_fields[] = {
    {"range", &range_type, 0, false, NULL},
    {"lines", &field_node, offsetof(struct source, lines), false, NULL},
    {"ticker", &field_number, offsetof(struct source, ticker), false, NULL},
    {"as_completed", &field_expr, offsetof(struct source, completed), false, NULL},
    {NULL},
};

static void parse_source(struct parser *p, const json_t *json, void *out)
{
    struct source *s = out;
    size_t before = p->complaints;
    if (json_is_object(json) && !json_object_get(json, "expr")) {
        parser_fields(p, "a source", source_fields, json, s);
        if (p->complaints == before && !s->stop + !s->ticker + !s->completed + !s->lines != 3)
            parser_complain(p, NULL,
                            "a source is a list, a handle, {\"range\": …}, {\"lines\": …}, "
                            "{\"ticker\": …} or {\"as_completed\": …}");
        return;
    }
    struct expr *e = parser_expr(p, json);
    const struct value *v = expr_literal(e);
    if (v && value_type(v) != VALUE_LIST && p->complaints == before)
        parser_wrong(p, "a list or another source", json);
    s->list = e;
}

static void parse_source_list(struct parser *p, const json_t *json, void *out)
{
    const struct source *s = out;
    parse_source(p, json, out);
    if (s->ticker || s->completed || s->lines)
        parser_complain(p, NULL, "a list or {\"range\": …} is needed here: others are for \"for\"");
}

/* The inside has its own `return`, its own `break`, or both. */
static struct node *parse_inside(struct parser *p, const json_t *json, bool no_return,
                                 bool no_break)
{
    bool had_return = p->no_return, had_break = p->no_break;
    p->no_return = no_return;
    p->no_break = no_break;
    struct node *n = parser_node(p, json);
    p->no_return = had_return;
    p->no_break = had_break;
    return n;
}

struct node *parser_branch(struct parser *p, const json_t *json)
{
    return parse_inside(p, json, false, false);
}

void parser_leaves(struct parser *p, const char *verb, bool loop)
{
    if (loop ? p->no_break : p->no_return)
        parser_complain(p, NULL, "\"%s\" can't stand in a handler of \"except*\"", verb);
}

static void parse_loop(struct parser *p, const json_t *json, void *out)
{
    *(struct node **)out = parse_inside(p, json, p->no_return, false);
}

static void parse_branch(struct parser *p, const json_t *json, void *out)
{
    *(struct node **)out = parser_branch(p, json);
}

static void parse_star(struct parser *p, const json_t *json, void *out)
{
    *(struct node **)out = parse_inside(p, json, true, true);
}

static void release_nothing(void *out)
{
    (void)out;
}

static const struct field_type branch_type = {parse_branch, release_nothing, "a node"};
static const struct field_type star_type = {parse_star, release_nothing, "a node"};
const struct field_type field_loop = {parse_loop, release_nothing, "a node"};

static const struct field comprehension_fields[] = {
    {"for", &field_name, offsetof(struct items, var), true, NULL},
    {"in", &field_source_list, offsetof(struct items, source), true, NULL},
    {"do", &branch_type, offsetof(struct items, body), true, NULL},
    {NULL},
};

static bool is_comprehension(const json_t *json)
{
    for (const struct field *f = comprehension_fields; f->name; f++)
        if (json_object_get(json, f->name))
            return true;
    return false;
}

static bool is_expr(const json_t *json)
{
    return json_is_object(json) && json_object_size(json) == 1 && json_object_get(json, "expr");
}

/* A node, or a handle: a template alone, or logic. */
static struct item parse_item(struct parser *p, const json_t *json, bool branch)
{
    struct item item = {0};
    if ((json_is_object(json) && !is_expr(json)) || json_is_array(json)) {
        item.node = branch ? parser_branch(p, json) : parser_node(p, json);
        return item;
    }
    size_t before = p->complaints;
    item.value = expr_of_splice(p, json);
    item.splice = item.value != NULL;
    if (!item.value)
        item.value = parser_expr(p, json);
    if (p->complaints == before && (expr_literal(item.value) || item.value->kind == EXPR_TEXT))
        parser_wrong(p, "a node or a handle (\"${task}\")", json);
    return item;
}

static void add_item(struct items *l, struct item item)
{
    l->all[l->n++] = item;
}

static void parse_item_list(struct parser *p, const json_t *json, struct items *l, bool branches)
{
    l->all = xcalloc(json_array_size(json) + 1, sizeof *l->all);
    for (size_t i = 0; i < json_array_size(json); i++) {
        parser_enter_index(p, i);
        add_item(l, parse_item(p, json_array_get(json, i), branches));
        parser_leave(p);
    }
}

/* "${tasks}": the list of all items. */
static void parse_item_template(struct parser *p, const json_t *json, struct items *l, bool branch)
{
    l->all = xcalloc(1, sizeof *l->all);
    add_item(l, parse_item(p, json, branch));
    l->all[0].splice = true;
}

static void parse_named_items(struct parser *p, const json_t *json, struct items *l)
{
    l->named = true;
    l->all = xcalloc(json_object_size(json) + 1, sizeof *l->all);
    json_t *object = (json_t *)(uintptr_t)json;
    void *it;
    /* All names first: each child may await the others. */
    for (it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        uint32_t atom = 0;
        if (is_name(key, strlen(key)))
            atom = parser_atom(p, key);
        else
            parser_complain_key(p, key, NULL, "\"%s\" is no name for a child", key);
        if (atom)
            scope_bind(p, atom);
        l->all[l->n++].name = atom;
    }
    size_t i = 0;
    for (it = json_object_iter(object); it; it = json_object_iter_next(object, it), i++) {
        parser_enter_key(p, json_object_iter_key(it));
        struct item item = parse_item(p, json_object_iter_value(it), true);
        item.name = l->all[i].name;
        if (item.splice)
            parser_complain(p, NULL, "a child with a name is one");
        l->all[i] = item;
        parser_leave(p);
    }
}

static void parse_items_of(struct parser *p, const json_t *json, struct items *l, bool names)
{
    if (json_is_array(json))
        parse_item_list(p, json, l, true);
    else if (json_is_string(json) || is_expr(json))
        parse_item_template(p, json, l, true);
    else if (json_is_object(json) && is_comprehension(json))
        parser_fields(p, "{\"for\", \"in\", \"do\"}", comprehension_fields, json, l);
    else if (json_is_object(json) && names)
        parse_named_items(p, json, l);
    else if (json_is_object(json))
        parser_complain(p, NULL,
                        "a list of nodes or {\"for\", \"in\", \"do\"} is needed here: names for "
                        "the nodes are for \"task_group\"");
    else
        parser_wrong(p, "a list of nodes or {\"for\", \"in\", \"do\"}", json);
}

static void parse_items(struct parser *p, const json_t *json, void *out)
{
    parse_items_of(p, json, out, false);
}

static void parse_items_named(struct parser *p, const json_t *json, void *out)
{
    parse_items_of(p, json, out, true);
}

static void release_items(void *out)
{
    struct items *l = out;
    for (size_t i = 0; i < l->n; i++)
        expr_free(l->all[i].value);
    free(l->all);
    release_source(&l->source);
}

static void parse_operand(struct parser *p, const json_t *json, void *out)
{
    struct operand *o = out;
    o->is_list = json_is_array(json);
    if (o->is_list) {
        parse_item_list(p, json, &o->list, false);
        return;
    }
    parse_item_template(p, json, &o->list, false);
    o->list.all[0].splice = false;
}

static void release_operand(void *out)
{
    release_items(&((struct operand *)out)->list);
}

static void parse_one_item(struct parser *p, const json_t *json, void *out)
{
    *(struct item *)out = parse_item(p, json, true);
    if (json_is_string(json) && strncmp(json_string_value(json), "...", 3) == 0)
        parser_complain(p, NULL, "one is needed here, not a list");
}

static void release_item(void *out)
{
    expr_free(((struct item *)out)->value);
}

static const struct field handler_fields[] = {
    {"type", &field_types, offsetof(struct handler, types), false, NULL},
    {"as", &field_name, offsetof(struct handler, as), false, NULL},
    {"do", &field_node, offsetof(struct handler, body), true, NULL},
    {NULL},
};

static const struct field star_fields[] = {
    {"type", &field_types, offsetof(struct handler, types), false, NULL},
    {"as", &field_name, offsetof(struct handler, as), false, NULL},
    {"do", &star_type, offsetof(struct handler, body), true, NULL},
    {NULL},
};

static void parse_handler_list(struct parser *p, const json_t *json, struct handlers *h,
                               const struct field *fields, const char *what)
{
    if (!json_is_array(json)) {
        parser_wrong(p, "a list of {\"type\", \"as\", \"do\"}", json);
        return;
    }
    h->all = xcalloc(json_array_size(json) + 1, sizeof *h->all);
    for (size_t i = 0; i < json_array_size(json); i++) {
        parser_enter_index(p, i);
        parser_fields(p, what, fields, json_array_get(json, i), &h->all[h->n++]);
        parser_leave(p);
    }
}

static void parse_handlers(struct parser *p, const json_t *json, void *out)
{
    parse_handler_list(p, json, out, handler_fields, "an \"except\"");
}

static void parse_handlers_star(struct parser *p, const json_t *json, void *out)
{
    const struct handlers *h = out;
    parse_handler_list(p, json, out, star_fields, "an \"except*\"");
    for (size_t i = 0; i < h->n; i++)
        for (char **type = h->all[i].types; type && *type; type++)
            if (strcmp(*type, "ExceptionGroup") == 0)
                parser_complain(p, NULL,
                                "catching ExceptionGroup with \"except*\" is not allowed: use "
                                "\"except\"");
}

static void release_handlers(void *out)
{
    struct handlers *h = out;
    for (size_t i = 0; i < h->n; i++)
        parser_fields_release(handler_fields, &h->all[i]); /* the same rows for both */
    free(h->all);
}

const struct field_type field_bindings = {parse_bindings, release_bindings,
                                          "an object of name: value"};
const struct field_type field_source = {parse_source, release_source, "a source"};
const struct field_type field_items = {parse_items, release_items,
                                       "a list of nodes or {for, in, do}"};
const struct field_type field_items_named = {
    parse_items_named, release_items, "a list of nodes, an object of them, or {for, in, do}"};
const struct field_type field_operand = {parse_operand, release_operand,
                                         "a handle, a list of them, or a node"};
const struct field_type field_handlers = {parse_handlers, release_handlers,
                                          "a list of {type, as, do}"};
const struct field_type field_handlers_star = {parse_handlers_star, release_handlers,
                                               "a list of {type, as, do}"};
const struct field_type field_source_list = {parse_source_list, release_source,
                                             "a list or a range"};
const struct field_type field_item = {parse_one_item, release_item, "a node or a handle"};
