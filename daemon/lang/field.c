/* The kinds of field that are one value. */
#include <math.h>
#include <string.h>

#include "daemon/lang/parser.h"
#include "daemon/lang/utf8.h"
#include "proto/mem.h"

static void release_expr(void *out)
{
    expr_free(*(struct expr **)out);
}

static void release_text(void *out)
{
    free(*(char **)out);
}

static void release_nothing(void *out)
{
    (void)out;
}

/* Something that is computed when it is needed, so that its type is not known yet. */
static bool is_computed(const json_t *json)
{
    if (json_is_object(json))
        return json_object_size(json) == 1 && json_object_get(json, "expr");
    const char *s = json_string_value(json);
    return s && memmem(s, json_string_length(json), "${", 2);
}

static void parse_expr(struct parser *p, const json_t *json, void *out)
{
    *(struct expr **)out = parser_expr(p, json);
}

static void parse_logic(struct parser *p, const json_t *json, void *out)
{
    *(struct expr **)out = parser_logic(p, json);
}

static void parse_number(struct parser *p, const json_t *json, void *out)
{
    if (json_is_number(json) && json_number_value(json) < 0)
        parser_complain(p, NULL, "a number from 0 is needed here");
    else if (json_is_number(json) || json_is_null(json) || is_computed(json))
        parse_expr(p, json, out);
    else
        parser_wrong(p, "a number or null", json);
}

static void parse_string(struct parser *p, const json_t *json, void *out)
{
    if (json_is_string(json) || is_computed(json))
        parse_expr(p, json, out);
    else
        parser_wrong(p, "a string", json);
}

static void parse_bool(struct parser *p, const json_t *json, void *out)
{
    if (json_is_boolean(json) || is_computed(json))
        parse_expr(p, json, out);
    else
        parser_wrong(p, "true or false", json);
}

/* Complains unless it may be bytes for a program: a string, or {"base64": …}. */
static void check_bytes(struct parser *p, const json_t *json, bool nul_allowed)
{
    const json_t *base64 = json_is_object(json) ? json_object_get(json, "base64") : NULL;
    if (base64 && json_object_size(json) == 1) {
        if (is_computed(base64))
            return;
        struct buf bytes = {0};
        struct value_member m = {
            value_text("base64"),
            value_text(json_is_string(base64) ? json_string_value(base64) : "not a string")};
        cleanup_value struct value *v = value_object(&m, 1);
        if (!value_to_bytes(v, &bytes))
            parser_complain(p, NULL, "this is no base64 (RFC 4648)");
        else if (!nul_allowed && bytes.len > 0 && memchr(bytes.data, '\0', bytes.len))
            parser_complain(p, NULL, "a NUL byte can't stand in this string");
        buf_release(&bytes);
    } else if (json_is_string(json)) {
        if (!nul_allowed && memchr(json_string_value(json), '\0', json_string_length(json)))
            parser_complain(p, NULL, "a NUL byte can't stand in this string");
    } else if (!is_computed(json)) {
        parser_wrong(p, "a string", json);
    }
}

static void parse_bytes(struct parser *p, const json_t *json, void *out)
{
    check_bytes(p, json, true);
    parse_expr(p, json, out);
}

static void parse_argv(struct parser *p, const json_t *json, void *out)
{
    if (is_computed(json)) {
        parse_expr(p, json, out);
        return;
    }
    if (!json_is_array(json) || json_array_size(json) == 0) {
        if (json_is_array(json))
            parser_complain(p, NULL, "the list is empty: its first string is the program");
        else
            parser_wrong(p, "a list of strings", json);
        return;
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        parser_enter_index(p, i);
        check_bytes(p, json_array_get(json, i), false);
        parser_leave(p);
    }
    parse_expr(p, json, out);
}

void check_env_name(struct parser *p, const char *name)
{
    if (!*name || strchr(name, '='))
        parser_complain(p, NULL, "\"%s\" can't be the name of an environment variable", name);
}

static void parse_env(struct parser *p, const json_t *json, void *out)
{
    if (is_computed(json)) {
        parse_expr(p, json, out);
        return;
    }
    if (!json_is_object(json)) {
        parser_wrong(p, "an object of strings", json);
        return;
    }
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const json_t *v = json_object_iter_value(it);
        parser_enter_key(p, json_object_iter_key(it));
        check_env_name(p, json_object_iter_key(it));
        if (!json_is_number(v) && !json_is_null(v))
            check_bytes(p, v, false);
        parser_leave(p);
    }
    parse_expr(p, json, out);
}

static void parse_node(struct parser *p, const json_t *json, void *out)
{
    *(struct node **)out = parser_node(p, json);
}

static void parse_name(struct parser *p, const json_t *json, void *out)
{
    *(uint32_t *)out = parser_binding(p, json);
}

static void parse_text(struct parser *p, const json_t *json, void *out)
{
    if (!json_is_string(json))
        parser_wrong(p, "a string", json);
    else if (memchr(json_string_value(json), '\0', json_string_length(json)))
        parser_complain(p, NULL, "a NUL byte can't stand in this string");
    else
        *(char **)out = xstrdup(json_string_value(json));
}

/* Whether the script's environment has the name: then `${name}` is meant for the shell. */
static bool in_environment(const struct parser *p, const char *name, size_t len)
{
    const struct value *env = p->program->document.env;
    return json_object_getn(json_object_get(p->object, "env"), name, len) ||
           (env && value_find_bytes(env, name, len));
}

static void parse_script(struct parser *p, const json_t *json, void *out)
{
    parse_text(p, json, out);
    const char *s = *(char **)out;
    while (s && (s = strstr(s, "${")) != NULL) {
        s += 2;
        size_t n = 0;
        while (is_name(s, n + 1))
            n++;
        if (n > 0 && !in_environment(p, s, n))
            scope_script(p, s, n);
    }
}

static void parse_null(struct parser *p, const json_t *json, void *out)
{
    (void)out;
    if (!json_is_null(json) && !(json_is_object(json) && json_object_size(json) == 0))
        parser_wrong(p, "null or {}", json);
}

static void add_type(struct parser *p, const json_t *json, char **types, size_t *n)
{
    if (json_is_string(json) && is_name(json_string_value(json), json_string_length(json)))
        types[(*n)++] = xstrdup(json_string_value(json));
    else if (json_is_string(json))
        parser_complain(p, NULL, "\"%s\" is no name of a type of errors", json_string_value(json));
    else
        parser_wrong(p, "a type of errors (a name)", json);
}

static void parse_types(struct parser *p, const json_t *json, void *out)
{
    size_t n = 0, count = json_is_array(json) ? json_array_size(json) : 1;
    char **types = xcalloc(count + 1, sizeof *types);
    *(char ***)out = types;
    if (!json_is_array(json)) {
        add_type(p, json, types, &n);
        return;
    }
    if (count == 0)
        parser_complain(p, NULL, "the list of types is empty");
    for (size_t i = 0; i < count; i++) {
        parser_enter_index(p, i);
        add_type(p, json_array_get(json, i), types, &n);
        parser_leave(p);
    }
}

static void release_types(void *out)
{
    char **types = *(char ***)out;
    for (size_t i = 0; types && types[i]; i++)
        free(types[i]);
    free(types);
}

static void parse_function(struct parser *p, const json_t *json, void *out)
{
    const char *name = json_string_value(json);
    if (!name) {
        parser_wrong(p, "the name of a function", json);
        return;
    }
    const struct function *f = program_function(p->program, name);
    if (!f) {
        struct hint h = parser_hint(p, name);
        for (size_t i = 0; i < p->program->n_functions; i++)
            hint_try(&h, p->program->functions[i].name);
        cleanup_free char *hint = hint_text(&h);
        parser_complain(p, hint, "no function \"%s\" is defined", name);
    }
    *(const struct function **)out = f;
}

#define FIELD_TYPE(name, parse, release, what)                                                     \
    const struct field_type field_##name = {parse, release, what}

FIELD_TYPE(expr, parse_expr, release_expr, "a value");
FIELD_TYPE(number, parse_number, release_expr, "a number or null");
FIELD_TYPE(string, parse_string, release_expr, "a string");
FIELD_TYPE(bytes, parse_bytes, release_expr, "a string or {\"base64\"}");
FIELD_TYPE(argv, parse_argv, release_expr, "a list of strings");
FIELD_TYPE(env, parse_env, release_expr, "an object of strings");
FIELD_TYPE(bool, parse_bool, release_expr, "true or false");
FIELD_TYPE(logic, parse_logic, release_expr, "JsonLogic");
FIELD_TYPE(node, parse_node, release_nothing, "a node");
FIELD_TYPE(name, parse_name, release_nothing, "a name");
FIELD_TYPE(function, parse_function, release_nothing, "the name of a function");
FIELD_TYPE(text, parse_text, release_text, "a string, taken as it is");
FIELD_TYPE(script, parse_script, release_text, "a shell script, taken as it is");
FIELD_TYPE(types, parse_types, release_types, "a type of errors or a list of them");
FIELD_TYPE(null, parse_null, release_nothing, "null or {}");
