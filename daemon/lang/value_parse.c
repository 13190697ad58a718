#include <errno.h>
#include <string.h>

#include "daemon/lang/json.h"
#include "daemon/lang/value.h"
#include "proto/mem.h"

DEFINE_CLEANUP(json_t *, json_decref);

/* Whether lists and objects stand deeper inside each other than max; *place is where they do. */
static bool too_deep(const char *text, size_t len, unsigned max, size_t *place)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"')
            in_string = true;
        else if ((c == '[' || c == '{') && ++depth > max) {
            *place = i;
            return true;
        } else if ((c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return false;
}

json_t *json_parse(const char *text, size_t len, unsigned max_depth, struct err *err)
{
    size_t place;
    if (too_deep(text, len, max_depth, &place)) {
        int line = 1, column = 1;
        for (size_t i = 0; i < place; i++) {
            column = text[i] == '\n' ? 1 : column + 1;
            line += text[i] == '\n';
        }
        err_set(err, EINVAL, "line %d, column %d: nested deeper than %u levels", line, column,
                max_depth);
        return NULL;
    }
    json_error_t e;
    json_t *json =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
    if (!json)
        err_set(err, EINVAL, "line %d, column %d: %s", e.line, e.column, e.text);
    return json;
}

static struct value *list_from_json(const json_t *json)
{
    size_t n = json_array_size(json);
    cleanup_free struct value **items = xmalloc((n + 1) * sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] = value_from_json(json_array_get(json, i));
        if (!items[i]) {
            while (i > 0)
                value_unref(items[--i]);
            return NULL;
        }
    }
    return value_list(items, n);
}

static struct value *object_from_json(const json_t *json)
{
    cleanup_free struct value_member *m = xmalloc((json_object_size(json) + 1) * sizeof *m);
    size_t n = 0;
    /* jansson's iteration wants a mutable tree though it changes nothing; it is in the order of
     * insertion. */
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        struct value *v = value_from_json(json_object_iter_value(it));
        if (!v) {
            for (size_t i = 0; i < n; i++) {
                value_unref(m[i].key);
                value_unref(m[i].value);
            }
            return NULL;
        }
        m[n++] = (struct value_member){
            value_string(json_object_iter_key(it), json_object_iter_key_len(it)), v};
    }
    return value_object(m, n);
}

struct value *value_from_json(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return object_from_json(json);
    case JSON_ARRAY:
        return list_from_json(json);
    case JSON_STRING:
        if (json_string_length(json) > VALUE_MAX_BYTES)
            return NULL;
        return value_string(json_string_value(json), json_string_length(json));
    case JSON_INTEGER:
        return value_int(json_integer_value(json));
    case JSON_REAL:
        return value_real(json_real_value(json));
    case JSON_TRUE:
        return value_bool(true);
    case JSON_FALSE:
        return value_bool(false);
    case JSON_NULL:
        break;
    }
    return value_null();
}

struct value *value_parse(const char *text, size_t len, unsigned max_depth, struct err *err)
{
    cleanup(json_decref_p) json_t *json = json_parse(text, len, max_depth, err);
    if (!json)
        return NULL;
    struct value *v = value_from_json(json);
    if (!v)
        err_set(err, E2BIG, "the value is nested deeper than %d levels or larger than %d bytes",
                VALUE_MAX_DEPTH, VALUE_MAX_BYTES);
    return v;
}
