/* `define`, and calls of what it defines. */
#include <string.h>

#include "daemon/lang/json.h"
#include "daemon/lang/parser.h"
#include "proto/mem.h"

static int compare(const void *a, const void *b)
{
    const struct function *f = a, *g = b;
    return strcmp(f->name, g->name);
}

const struct function *program_function(const struct program *p, const char *name)
{
    struct function key = {.name = name};
    if (p->n_functions == 0)
        return NULL;
    return bsearch(&key, p->functions, p->n_functions, sizeof key, compare);
}

void functions_release(struct program *p)
{
    for (size_t i = 0; i < p->n_functions; i++) {
        struct function *f = &p->functions[i];
        for (size_t j = 0; f->defaults && j < f->n_params; j++)
            value_unref(f->defaults[j]);
        free(f->defaults);
        free(f->params);
        free((char *)(uintptr_t)f->name);
    }
    free(p->functions);
}

static size_t find_param(const struct function *f, uint32_t atom)
{
    size_t i = 0;
    while (i < f->n_params && f->params[i] != atom)
        i++;
    return i;
}

static void parse_params(struct parser *p, const json_t *json, void *out)
{
    struct function *f = out;
    size_t n = json_array_size(json);
    if (!json_is_array(json) || n > PARAMS_MAX) {
        if (json_is_array(json))
            parser_complain(p, NULL, "a function has at most %d parameters", PARAMS_MAX);
        else
            parser_wrong(p, "a list of names", json);
        return;
    }
    f->params = xcalloc(n + 1, sizeof *f->params);
    f->defaults = xcalloc(n + 1, sizeof(struct value *));
    for (size_t i = 0; i < n; i++) {
        parser_enter_index(p, i);
        uint32_t atom = parser_name(p, json_array_get(json, i));
        if (atom && find_param(f, atom) < f->n_params)
            parser_complain(p, NULL, "the parameter \"%s\" comes twice",
                            program_atom_name(p->program, atom));
        else if (atom)
            f->params[f->n_params++] = atom;
        parser_leave(p);
    }
}

static void hint_params(struct parser *p, struct hint *h, const struct function *f)
{
    for (size_t i = 0; i < f->n_params; i++)
        hint_try(h, program_atom_name(p->program, f->params[i]));
}

static void parse_defaults(struct parser *p, const json_t *json, void *out)
{
    struct function *f = out;
    if (!json_is_object(json)) {
        parser_wrong(p, "an object of parameter: value", json);
        return;
    }
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        uint32_t atom = program_atom(p->program, key);
        size_t i = atom ? find_param(f, atom) : f->n_params;
        struct hint h = parser_hint(p, key);
        hint_params(p, &h, f);
        if (i == f->n_params)
            parser_complain_key(p, key, hint_text(&h), "\"%s\" is no parameter", key);
        else if (!(f->defaults[i] = value_from_json(json_object_iter_value(it))))
            parser_complain_key(p, key, NULL, "the value is too large or too deep");
    }
}

/* The head was read before any body: a call may stand before what it calls. */
static void parse_body(struct parser *p, const json_t *json, void *out)
{
    struct function *f = out;
    scope_begin(p, f->name);
    for (size_t i = 0; i < f->n_params; i++)
        scope_bind(p, f->params[i]);
    f->body = parser_node(p, json);
    scope_end(p);
}

static void parse_nothing(struct parser *p, const json_t *json, void *out)
{
    (void)p;
    (void)json;
    (void)out;
}

static const struct field_type params_type = {parse_params, NULL, "a list of names"};
static const struct field_type defaults_type = {parse_defaults, NULL, "parameter: value"};
static const struct field_type body_type = {parse_body, NULL, "a node"};
static const struct field_type nothing_type = {parse_nothing, NULL, ""};
static const struct field head_fields[] = {
    {"params", &params_type, 0, false, NULL},
    {"defaults", &defaults_type, 0, false, NULL},
    {"do", &nothing_type, 0, true, NULL},
    {NULL},
};
static const struct field body_fields[] = {{"do", &body_type, 0, false, NULL}, {NULL}};

static void each_function(struct parser *p, json_t *object, bool heads)
{
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *name = json_object_iter_key(it);
        struct function *f = (struct function *)(uintptr_t)program_function(p->program, name);
        if (!f)
            continue;
        parser_enter_key(p, name);
        cleanup_free char *what = xasprintf("the function \"%s\"", name);
        if (heads)
            parser_fields(p, what, head_fields, json_object_iter_value(it), f);
        else if (json_is_object(json_object_iter_value(it)))
            parser_rows(p, what, body_fields, json_object_iter_value(it), f);
        parser_leave(p);
    }
}

void functions_parse(struct parser *p, const json_t *json)
{
    if (!json_is_object(json)) {
        parser_wrong(p, "an object of function: {\"params\", \"defaults\", \"do\"}", json);
        return;
    }
    struct program *g = p->program;
    json_t *object = (json_t *)(uintptr_t)json;
    g->functions = xcalloc(json_object_size(json) + 1, sizeof *g->functions);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *name = json_object_iter_key(it);
        if (is_name(name, strlen(name)))
            g->functions[g->n_functions++] = (struct function){.name = xstrdup(name), .program = g};
        else
            parser_complain_key(p, name, NULL, "\"%s\" is no name for a function", name);
    }
    qsort(g->functions, g->n_functions, sizeof *g->functions, compare);
    each_function(p, object, true);
    each_function(p, object, false);
}

static bool has_argument(const struct call_node *call, uint32_t atom)
{
    for (size_t i = 0; i < call->args.n; i++)
        if (call->args.all[i].name == atom)
            return true;
    return false;
}

void call_check(struct parser *p, struct call_node *call)
{
    const struct function *f = call->function;
    if (!f)
        return;
    parser_enter_key(p, "args");
    for (size_t i = 0; i < call->args.n; i++) {
        uint32_t atom = call->args.all[i].name;
        if (!atom || find_param(f, atom) < f->n_params)
            continue;
        const char *name = program_atom_name(p->program, atom);
        struct hint h = parser_hint(p, name);
        hint_params(p, &h, f);
        parser_complain_key(p, name, hint_text(&h), "%s() got an unexpected keyword argument '%s'",
                            f->name, name);
    }
    parser_leave(p);
    for (size_t i = 0; i < f->n_params; i++)
        if (!f->defaults[i] && !has_argument(call, f->params[i]))
            parser_complain(p, NULL, "%s() missing the required argument '%s'", f->name,
                            program_atom_name(p->program, f->params[i]));
}
