/* Rows of fields: how any object of a document is read. */
#include "daemon/lang/parser.h"

#include <string.h>

#include "proto/mem.h"

const char *json_what(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        break;
    }
    return "null";
}

void parser_wrong(struct parser *p, const char *what, const json_t *json)
{
    parser_complain(p, NULL, "%s is needed here, not %s", what, json_what(json));
}

static const struct field *find_field(const struct field *fields, const char *name)
{
    for (const struct field *f = fields; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static void complain_unknown(struct parser *p, const char *what, const struct field *fields,
                             const char *key)
{
    struct hint h = parser_hint(p, key);
    for (const struct field *f = fields; f->name; f++)
        hint_try(&h, f->name);
    parser_complain_key(p, key, hint_text(&h), "unknown key \"%s\" of %s", key, what);
}

static void parse_row(struct parser *p, const char *what, const struct field *f, const json_t *json,
                      void *out)
{
    const json_t *member = json_object_get(json, f->name);
    if (member) {
        parser_enter_key(p, f->name);
        f->type->parse(p, member, (char *)out + f->offset);
        parser_leave(p);
    } else if (f->required) {
        parser_complain(p, NULL, "%s needs the key \"%s\"", what, f->name);
    }
}

void parser_rows(struct parser *p, const char *what, const struct field *fields, const json_t *json,
                 void *out)
{
    for (const struct field *f = fields; f->name; f++)
        parse_row(p, what, f, json, out);
}

void parser_fields(struct parser *p, const char *what, const struct field *fields,
                   const json_t *json, void *out)
{
    if (!json_is_object(json)) {
        parser_wrong(p, "an object", json);
        return;
    }
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        if (!find_field(fields, json_object_iter_key(it)))
            complain_unknown(p, what, fields, json_object_iter_key(it));
    parser_rows(p, what, fields, json, out);
}

void parser_fields_release(const struct field *fields, void *out)
{
    for (const struct field *f = fields; f->name; f++)
        f->type->release((char *)out + f->offset);
}

uint32_t parser_atom(struct parser *p, const char *name)
{
    return atoms_intern(&p->program->atoms, name, strlen(name));
}

uint32_t parser_name(struct parser *p, const json_t *json)
{
    const char *s = json_string_value(json);
    if (s && is_name(s, json_string_length(json)))
        return parser_atom(p, s);
    if (s)
        parser_complain(p, NULL,
                        "\"%s\" is no name: letters, digits and _, not beginning with a digit", s);
    else
        parser_wrong(p, "a name", json);
    return 0;
}

uint32_t parser_binding(struct parser *p, const json_t *json)
{
    uint32_t atom = parser_name(p, json);
    if (atom)
        scope_bind(p, atom);
    return atom;
}

int parser_choice(struct parser *p, const json_t *json, const char *const *words)
{
    const char *s = json_string_value(json);
    struct hint h = parser_hint(p, s ? s : "");
    struct buf all = {0};
    int found = -1;
    for (int i = 0; words[i]; i++) {
        if (s && strcmp(s, words[i]) == 0)
            found = i;
        hint_try(&h, words[i]);
        buf_printf(&all, "%s\"%s\"", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    if (found < 0) {
        cleanup_free char *hint = hint_text(&h);
        if (s)
            parser_complain(p, hint, "%s is needed here, not \"%s\"", buf_cstr(&all), s);
        else
            parser_wrong(p, buf_cstr(&all), json);
    }
    buf_release(&all);
    return found;
}
