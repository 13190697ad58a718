/* The document around the nodes. */
#include <limits.h>
#include <string.h>

#include "daemon/lang/json.h"
#include "daemon/lang/number.h"
#include "daemon/lang/parser.h"
#include "proto/json_out.h"
#include "proto/mem.h"

enum { PRIORITY_MAX = 1000, UMASK_MAX = 0777 };

static void release_nothing(void *out)
{
    (void)out;
}

static struct value *parse_value(struct parser *p, const json_t *json)
{
    struct value *v = value_from_json(json);
    if (!v)
        parser_complain(p, NULL, "the value is larger than %d MiB or deeper than %d",
                        VALUE_MAX_BYTES / 1024 / 1024, VALUE_MAX_DEPTH);
    return v;
}

static void release_value(void *out)
{
    value_unref(*(struct value **)out);
}

static void remember_input(struct parser *p, const struct value_member *m)
{
    size_t len;
    const char *name = value_get_string(m->key, &len);
    if (!is_name(name, len)) {
        parser_complain_key(p, name, NULL, "\"%s\" is no name for a variable", name);
        return;
    }
    struct program *g = p->program;
    uint32_t atom = parser_atom(p, name);
    if (atom > g->n_inputs) {
        size_t cap = g->n_inputs;
        g->inputs = xgrow(g->inputs, &cap, atom, sizeof(struct value *));
        memset(g->inputs + g->n_inputs, 0, (cap - g->n_inputs) * sizeof(struct value *));
        g->n_inputs = cap;
    }
    g->inputs[atom - 1] = m->value;
    scope_input(p, atom);
}

static void parse_input(struct parser *p, const json_t *json, void *out)
{
    if (!json_is_object(json)) {
        parser_wrong(p, "an object", json);
        return;
    }
    struct value *v = parse_value(p, json);
    *(struct value **)out = v;
    for (size_t i = 0; v && i < value_count(v); i++)
        remember_input(p, value_member(v, i));
}

/* What goes into the environment and into labels: in the former a number is taken as its text, and
 * null takes a variable away. */
static struct value *parse_string(struct parser *p, const json_t *json, bool env)
{
    char text[NUMBER_TEXT_MAX];
    if (json_is_string(json)) {
        if (!memchr(json_string_value(json), '\0', json_string_length(json)))
            return value_string(json_string_value(json), json_string_length(json));
        parser_complain(p, NULL, "a NUL byte can't stand in this string");
    } else if (env && json_is_integer(json)) {
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        return value_text(text);
    } else if (env && json_is_real(json)) {
        number_text(json_real_value(json), text);
        return value_text(text);
    } else if (!env || !json_is_null(json)) {
        parser_wrong(p, env ? "a string, a number or null" : "a string", json);
    }
    return value_null();
}

static void parse_strings(struct parser *p, const json_t *json, struct value **out, bool env)
{
    if (!json_is_object(json)) {
        parser_wrong(p, "an object of strings", json);
        return;
    }
    json_t *object = (json_t *)(uintptr_t)json;
    cleanup_free struct value_member *m = xmalloc((json_object_size(json) + 1) * sizeof *m);
    size_t n = 0;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        parser_enter_key(p, key);
        if (env)
            check_env_name(p, key);
        m[n++] = (struct value_member){value_text(key),
                                       parse_string(p, json_object_iter_value(it), env)};
        parser_leave(p);
    }
    *out = value_object(m, n);
    if (!*out)
        parser_complain(p, NULL, "these strings are larger than %d MiB",
                        VALUE_MAX_BYTES / 1024 / 1024);
}

static void parse_env(struct parser *p, const json_t *json, void *out)
{
    parse_strings(p, json, out, true);
}

static void parse_labels(struct parser *p, const json_t *json, void *out)
{
    parse_strings(p, json, out, false);
}

static void parse_umask(struct parser *p, const json_t *json, void *out)
{
    const char *s = json_string_value(json);
    size_t len = json_string_length(json);
    long mask = json_is_integer(json) && json_integer_value(json) <= UMASK_MAX
                    ? (long)json_integer_value(json)
                    : -1;
    if (s && len > 0 && len <= 4 && strspn(s, "01234567") == len)
        mask = strtol(s, NULL, 8);
    if (mask < 0 || mask > UMASK_MAX)
        parser_complain(p, NULL,
                        "a umask is a string of octal digits such as \"022\", or a "
                        "whole number up to 511");
    else
        *(int *)out = (int)mask;
}

static void parse_priority(struct parser *p, const json_t *json, void *out)
{
    json_int_t i = json_integer_value(json);
    if (!json_is_integer(json) || i < -PRIORITY_MAX || i > PRIORITY_MAX)
        parser_complain(p, NULL, "a priority is a whole number from %d to %d", -PRIORITY_MAX,
                        PRIORITY_MAX);
    else
        *(int *)out = (int)i;
}

static void parse_timeout(struct parser *p, const json_t *json, void *out)
{
    if (json_is_number(json) && json_number_value(json) >= 0)
        *(double *)out = json_number_value(json);
    else if (!json_is_null(json))
        parser_complain(p, NULL, "a timeout is a number of seconds from 0, or null");
}

static void parse_main(struct parser *p, const json_t *json, void *out)
{
    (void)out;
    scope_begin(p, NULL);
    p->program->main = parser_node(p, json);
    scope_end(p);
}

static void parse_define(struct parser *p, const json_t *json, void *out)
{
    (void)out;
    functions_parse(p, json);
}

static void parse_hold(struct parser *p, const json_t *json, void *out)
{
    if (json_is_boolean(json))
        *(bool *)out = json_is_true(json);
    else
        parser_wrong(p, "true or false", json);
}

static void parse_delay(struct parser *p, const json_t *json, void *out)
{
    double s = json_number_value(json);
    if (json_is_number(json) && s >= 0 && s <= DELAY_MAX_S)
        *(double *)out = s;
    else
        parser_complain(p, NULL, "a delay is a number of seconds from 0 to %d", DELAY_MAX_S);
}

static void parse_at(struct parser *p, const json_t *json, void *out)
{
    const char *text = json_string_value(json);
    if (!text || !rfc3339_parse(text, out))
        parser_complain(p, NULL, "a time is written as RFC 3339 has it: \"2026-12-24T22:30:00Z\"");
}

static const struct field_type input_type = {parse_input, release_value, "an object"};
static const struct field_type define_type = {parse_define, release_nothing, "functions"};
static const struct field_type main_type = {parse_main, release_nothing, "a node"};
static const struct field_type env_type = {parse_env, release_value, "an object of strings"};
static const struct field_type labels_type = {parse_labels, release_value, "an object of strings"};
static const struct field_type umask_type = {parse_umask, release_nothing, "octal digits"};
static const struct field_type priority_type = {parse_priority, release_nothing, "a whole number"};
static const struct field_type timeout_type = {parse_timeout, release_nothing, "seconds"};
static const struct field_type hold_type = {parse_hold, release_nothing, "true or false"};
static const struct field_type delay_type = {parse_delay, release_nothing, "seconds"};
static const struct field_type at_type = {parse_at, release_nothing, "a time"};

/* Read in this order: what the bodies may name (input, environment, functions) comes first. */
static const struct field document_fields[] = {
    {"name", &field_text, offsetof(struct document, name), false, NULL},
    {"input", &input_type, offsetof(struct document, input), false, NULL},
    {"env", &env_type, offsetof(struct document, env), false, NULL},
    {"define", &define_type, 0, false, NULL},
    {"main", &main_type, 0, true, NULL},
    {"cwd", &field_text, offsetof(struct document, cwd), false, NULL},
    {"umask", &umask_type, offsetof(struct document, umask), false, NULL},
    {"pool", &field_text, offsetof(struct document, pool), false, NULL},
    {"priority", &priority_type, offsetof(struct document, priority), false, NULL},
    {"timeout", &timeout_type, offsetof(struct document, timeout), false, NULL},
    {"labels", &labels_type, offsetof(struct document, labels), false, NULL},
    {"key", &field_text, offsetof(struct document, key), false, NULL},
    {"hold", &hold_type, offsetof(struct document, hold), false, NULL},
    {"delay", &delay_type, offsetof(struct document, delay), false, NULL},
    {"at", &at_type, offsetof(struct document, at_us), false, NULL},
    {"after", &after_type, offsetof(struct document, after), false, NULL},
    {NULL},
};

/* Keys that only a document has. */
static bool is_document_key(const char *key)
{
    if (strcmp(key, "name") == 0 || strcmp(key, "timeout") == 0)
        return false; /* a node's modifiers, too */
    for (const struct field *f = document_fields; f->name; f++)
        if (strcmp(f->name, key) == 0)
            return true;
    return false;
}

/* A document, rather than a bare node: by its keys; of unknown keys by what they are nearest to. */
static bool is_document(const struct parser *p, const json_t *json)
{
    if (!json_is_object(json))
        return false;
    if (json_object_get(json, "main") || json_object_get(json, "define"))
        return true;
    if (json_object_size(json) > GUESS_MAX_KEYS)
        return false;
    json_t *object = (json_t *)(uintptr_t)json;
    bool document = false;
    unsigned nearest = UINT_MAX;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        if (find_verb(p->kinds, key))
            return false;
        if (is_document_key(key)) {
            document = true;
            nearest = 0;
        }
        struct hint verb = {.word = key}, field = {.word = key};
        hint_verbs(&verb, p->kinds);
        for (const struct field *f = document_fields; f->name; f++)
            hint_try(&field, f->name);
        if (verb.best && verb.distance < nearest) {
            nearest = verb.distance;
            document = false;
        }
        if (field.best && field.distance > 0 && field.distance < nearest) {
            nearest = field.distance;
            document = true;
        }
    }
    return document;
}

void document_parse(struct parser *p, const json_t *json)
{
    struct document *d = &p->program->document;
    d->umask = -1;
    d->timeout = -1;
    d->delay = -1;
    if (is_document(p, json))
        parser_fields(p, "a job", document_fields, json, d);
    else
        parse_main(p, json, NULL);
    if (!d->input)
        d->input = value_object(NULL, 0);
    d->summary = document_summary(p, json);
}

void document_release(struct document *d)
{
    free(d->summary);
    parser_fields_release(document_fields, d);
}
