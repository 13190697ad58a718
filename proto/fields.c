#include "proto/fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/nearest.h"
#include "proto/state.h"

/* Where we are: what is being read and the pointer to it. */
struct place {
    struct json_mistakes *m;
    const char *parent;
    const char *name; /* NULL: the parent itself */
};

void json_mistakes_add(struct json_mistakes *m, const char *pointer, const char *hint,
                       const char *format, ...)
{
    if (m->n == ARRAY_LEN(m->all)) {
        m->dropped++;
        return;
    }
    struct json_mistake *new = &m->all[m->n++];
    va_list ap;
    va_start(ap, format);
    vsnprintf(new->message, sizeof new->message, format, ap);
    va_end(ap);
    snprintf(new->pointer, sizeof new->pointer, "%s", pointer);
    snprintf(new->hint, sizeof new->hint, "%s", hint ? hint : "");
}

/* Appends "/name" with ~ and / escaped (RFC 6901, section 3). */
static void pointer_join(char *out, size_t size, const char *parent, const char *name)
{
    size_t n = (size_t)snprintf(out, size, "%s/", parent);
    for (; *name && n + 3 < size; name++) {
        if (*name == '~' || *name == '/') {
            out[n++] = '~';
            out[n++] = *name == '~' ? '0' : '1';
        } else {
            out[n++] = *name;
        }
    }
    if (n < size)
        out[n] = '\0';
}

static bool complain(const struct place *p, const char *text)
{
    char pointer[160];
    pointer_join(pointer, sizeof pointer, p->parent, p->name);
    json_mistakes_add(p->m, pointer, NULL, "%s", text);
    return false;
}

static bool complain_range(const struct place *p, const char *what, int64_t min, int64_t max)
{
    char text[120];
    if (max == INT64_MAX)
        snprintf(text, sizeof text, "%s must be at least %" PRId64, what, min);
    else
        snprintf(text, sizeof text, "%s must be from %" PRId64 " to %" PRId64, what, min, max);
    return complain(p, text);
}

static bool get_digits(const char *s, int64_t *ret)
{
    char *end;
    if (!((*s >= '0' && *s <= '9') || (*s == '-' && s[1] >= '0' && s[1] <= '9')))
        return false;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    *ret = n;
    return !*end && !errno;
}

/* A whole number, or a string of its digits. */
static bool get_int(const json_t *v, int64_t *ret)
{
    const char *s = json_string_value(v);
    if (json_is_integer(v))
        *ret = json_integer_value(v);
    return json_is_integer(v) || (s && get_digits(s, ret));
}

static bool read_text(const struct place *p, const struct json_field *f, const json_t *v, void *out)
{
    const char *s = json_string_value(v);
    if (!s || strlen(s) != json_string_length(v))
        return complain(p, "must be a string");
    int64_t len = (int64_t)json_string_length(v);
    if (len < f->min || len > f->max)
        return complain_range(p, "its length", f->min, f->max);
    *(const char **)out = s;
    return true;
}

static bool read_int(const struct place *p, const struct json_field *f, const json_t *v, void *out)
{
    int64_t n;
    if (!get_int(v, &n))
        return complain(p, "must be a whole number");
    if (n < f->min || n > f->max)
        return complain_range(p, "it", f->min, f->max);
    *(int64_t *)out = n;
    return true;
}

static bool read_number(const struct place *p, const struct json_field *f, const json_t *v,
                        void *out)
{
    if (!json_is_number(v))
        return complain(p, "must be a number");
    double d = json_number_value(v);
    if (!(d >= (double)f->min && d <= (double)f->max))
        return complain_range(p, "it", f->min, f->max);
    *(double *)out = d;
    return true;
}

static bool read_bool(const struct place *p, const struct json_field *f, const json_t *v, void *out)
{
    (void)f;
    if (!json_is_boolean(v))
        return complain(p, "must be true or false");
    *(bool *)out = json_is_true(v);
    return true;
}

static bool read_id(const struct place *p, const struct json_field *f, const json_t *v, void *out)
{
    int64_t n;
    (void)f;
    if (!get_int(v, &n) || n < 1)
        return complain(p, "must be an id: a whole number from 1");
    *(uint64_t *)out = (uint64_t)n;
    return true;
}

static bool read_ids(const struct place *p, const struct json_field *f, const json_t *v, void *out)
{
    size_t n = json_field_id_count(v);
    if (n == 0 || (int64_t)n > f->max)
        return complain_range(p, "the number of ids", 1, f->max);
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        if (!get_int(json_is_array(v) ? json_array_get(v, i) : v, &id) || id < 1) {
            char name[200];
            snprintf(name, sizeof name, json_is_array(v) ? "%s/%zu" : "%s", p->name, i);
            char pointer[256];
            snprintf(pointer, sizeof pointer, "%s/%s", p->parent, name);
            json_mistakes_add(p->m, pointer, NULL, "must be an id: a whole number from 1");
            return false;
        }
    }
    *(const json_t **)out = v;
    return true;
}

static bool read_task(const struct place *p, const struct json_field *f, const json_t *v, void *out)
{
    int64_t job = 0, n = 0;
    const char *s = json_string_value(v), *dot = s ? strchr(s, '.') : NULL;
    bool good;
    (void)f;
    if (dot) {
        cleanup_free char *first = xstrndup(s, (size_t)(dot - s));
        good = get_digits(first, &job) && job > 0 && get_digits(dot + 1, &n);
    } else {
        good = get_int(v, &n);
    }
    if (!good || n < 1 || n > UINT32_MAX)
        return complain(p, "must be a task: its number or \"JOB.N\"");
    *(struct json_task *)out = (struct json_task){(uint64_t)job, (uint32_t)n};
    return true;
}

static bool read_texts(const struct place *p, const struct json_field *f, const json_t *v,
                       void *out)
{
    if (!json_is_array(v))
        return complain(p, "must be a list of strings");
    if ((int64_t)json_array_size(v) > f->max)
        return complain_range(p, "its length", f->min, f->max);
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i)))
            return complain(p, "must be a list of strings");
    *(const json_t **)out = v;
    return true;
}

static bool add_state(const struct place *p, const json_t *v, uint32_t *bits)
{
    const char *s = json_string_value(v);
    enum job_state state;
    if (!s)
        return complain(p, "must be a state or a list of states");
    if (job_state_parse(s, &state)) {
        *bits |= 1u << state;
        return true;
    }
    char text[200];
    size_t n = (size_t)snprintf(text, sizeof text, "unknown state; states are");
    for (int i = 0; i < JOB_STATE_COUNT && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %s", job_state_name((enum job_state)i));
    return complain(p, text);
}

static bool read_states(const struct place *p, const struct json_field *f, const json_t *v,
                        void *out)
{
    uint32_t bits = 0;
    (void)f;
    if (!json_is_array(v)) {
        if (!add_state(p, v, &bits))
            return false;
    }
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!add_state(p, json_array_get(v, i), &bits))
            return false;
    *(uint32_t *)out = bits;
    return true;
}

static bool read_choice(const struct place *p, const struct json_field *f, const json_t *v,
                        void *out)
{
    const char *s = json_string_value(v);
    char text[200];
    size_t n = (size_t)snprintf(text, sizeof text, "must be one of");
    for (int i = 0; f->choices[i]; i++) {
        if (s && strcmp(s, f->choices[i]) == 0) {
            *(int *)out = i;
            return true;
        }
        if (n < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, " \"%s\"", f->choices[i]);
    }
    return complain(p, text);
}

static bool read_map(const struct place *p, const struct json_field *f, const json_t *v, void *out)
{
    void *i;
    if (!json_is_object(v))
        return complain(p, "must be an object of strings");
    if ((int64_t)json_object_size(v) > f->max)
        return complain_range(p, "the number of its members", f->min, f->max);
    /* jansson's iterator has no const form; nothing is changed. */
    json_t *object = (json_t *)(uintptr_t)v;
    for (i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        if (!json_is_string(json_object_iter_value(i))) {
            char outer[160];
            pointer_join(outer, sizeof outer, p->parent, p->name);
            return complain(&(struct place){p->m, outer, json_object_iter_key(i)},
                            "must be a string");
        }
    }
    *(const json_t **)out = v;
    return true;
}

static bool read_time(const struct place *p, const struct json_field *f, const json_t *v, void *out)
{
    int64_t us;
    (void)f;
    if (!json_is_string(v) || !rfc3339_parse(json_string_value(v), &us))
        return complain(p, "must be a time as in RFC 3339, such as 2026-01-31T09:30:00Z");
    *(int64_t *)out = us;
    return true;
}

static bool read_cursor(const struct place *p, const struct json_field *f, const json_t *v,
                        void *out)
{
    (void)f;
    if (!json_is_string(v) && !(json_is_integer(v) && json_integer_value(v) >= 0))
        return complain(p, "must be what an earlier reply gave, or 0");
    *(const json_t **)out = v;
    return true;
}

static bool read_object(const struct place *p, const struct json_field *f, const json_t *v,
                        void *out)
{
    (void)f; /* who uses it reads it with the table f->fields */
    if (!json_is_object(v))
        return complain(p, "must be an object");
    *(const json_t **)out = v;
    return true;
}

static bool read_document(const struct place *p, const struct json_field *f, const json_t *v,
                          void *out)
{
    (void)p;
    (void)f;
    *(const json_t **)out = v;
    return true;
}

/* How each kind is read, and its JSON Schema. */
static const struct {
    bool (*read)(const struct place *p, const struct json_field *f, const json_t *v, void *out);
    const char *schema; /* members of the schema object */
} kinds[] = {
    [JSON_FIELD_TEXT] = {read_text, "\"type\":\"string\""},
    [JSON_FIELD_INT] = {read_int, "\"type\":\"integer\""},
    [JSON_FIELD_NUMBER] = {read_number, "\"type\":\"number\""},
    [JSON_FIELD_BOOL] = {read_bool, "\"type\":\"boolean\""},
    [JSON_FIELD_ID] = {read_id, "\"type\":\"integer\",\"minimum\":1"},
    [JSON_FIELD_IDS] = {read_ids, "\"oneOf\":[{\"type\":\"integer\",\"minimum\":1},{\"type\":"
                                  "\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1}}]"},
    [JSON_FIELD_TASK] = {read_task, "\"type\":[\"integer\",\"string\"]"},
    [JSON_FIELD_TEXTS] = {read_texts, "\"type\":\"array\",\"items\":{\"type\":\"string\"}"},
    [JSON_FIELD_STATES] = {read_states, NULL},
    [JSON_FIELD_CHOICE] = {read_choice, NULL},
    [JSON_FIELD_MAP] = {read_map,
                        "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}"},
    [JSON_FIELD_TIME] = {read_time, "\"type\":\"string\",\"format\":\"date-time\""},
    [JSON_FIELD_CURSOR] = {read_cursor, "\"type\":[\"string\",\"integer\"]"},
    [JSON_FIELD_OBJECT] = {read_object, NULL},
    [JSON_FIELD_DOCUMENT] = {read_document, "\"type\":[\"object\",\"array\"]"},
    [JSON_FIELD_ANY] = {read_document, "\"title\":\"any value\""},
};

static void set_absent(const struct json_field *f, void *out)
{
    if (f->kind == JSON_FIELD_INT)
        *(int64_t *)out = f->absent;
    else if (f->kind == JSON_FIELD_NUMBER)
        *(double *)out = (double)f->absent;
    else if (f->kind == JSON_FIELD_BOOL)
        *(bool *)out = f->absent != 0;
}

static void find_unknown(const struct json_field *fields, const json_t *object,
                         const struct place *at)
{
    json_t *o = (json_t *)(uintptr_t)object;
    for (void *i = json_object_iter(o); i; i = json_object_iter_next(o, i)) {
        const char *key = json_object_iter_key(i);
        const struct json_field *f = fields;
        while (f->name && strcmp(f->name, key) != 0)
            f++;
        if (f->name)
            continue;
        char pointer[160], hint[120] = "";
        pointer_join(pointer, sizeof pointer, at->parent, key);
        const char *near = nearest_name(key, fields, sizeof *fields);
        if (near)
            snprintf(hint, sizeof hint, "did you mean \"%s\"?", near);
        json_mistakes_add(at->m, pointer, hint, "unknown parameter \"%s\"", key);
    }
}

static size_t field_count(const struct json_field *fields)
{
    size_t n = 0;
    while (fields[n].name)
        n++;
    return n;
}

static bool read_fields(const struct json_field *fields, const json_t *object, void *out,
                        const char *parent, struct json_mistakes *m)
{
    size_t before = m->n + m->dropped;
    struct place at = {m, parent, NULL};
    if (object && !json_is_object(object) && !json_is_array(object)) {
        json_mistakes_add(m, parent, NULL, "must be an object");
        return false;
    }
    for (size_t i = 0; fields[i].name; i++) {
        const struct json_field *f = &fields[i];
        const json_t *v =
            json_is_array(object) ? json_array_get(object, i) : json_object_get(object, f->name);
        at.name = f->name;
        set_absent(f, (char *)out + f->offset);
        if (v && (!json_is_null(v) || f->kind == JSON_FIELD_ANY))
            kinds[f->kind].read(&at, f, v, (char *)out + f->offset);
        else if (f->required && !(v && f->kind == JSON_FIELD_DOCUMENT))
            complain(&at, "is missing");
    }
    if (json_is_array(object) && json_array_size(object) > field_count(fields))
        json_mistakes_add(m, parent, NULL, "at most %zu parameters are known", field_count(fields));
    find_unknown(fields, object, &at);
    return m->n + m->dropped == before;
}

bool json_fields_read(const struct json_field *fields, const json_t *object, void *out,
                      struct json_mistakes *m)
{
    return read_fields(fields, object, out, "", m);
}

void json_mistakes_write(const struct json_mistakes *m, struct json_out *o)
{
    jout_begin_array(o);
    for (size_t i = 0; i < m->n; i++) {
        jout_begin_object(o);
        jout_key(o, "pointer");
        jout_text(o, m->all[i].pointer);
        jout_key(o, "message");
        jout_text(o, m->all[i].message);
        if (m->all[i].hint[0]) {
            jout_key(o, "hint");
            jout_text(o, m->all[i].hint);
        }
        jout_end_object(o);
    }
    jout_end_array(o);
}

uint64_t json_field_id(const json_t *v)
{
    int64_t n = 0;
    return get_int(v, &n) && n > 0 ? (uint64_t)n : 0;
}

size_t json_field_id_count(const json_t *ids)
{
    return json_is_array(ids) ? json_array_size(ids) : ids != NULL;
}

uint64_t json_field_id_at(const json_t *ids, size_t i)
{
    return json_field_id(json_is_array(ids) ? json_array_get(ids, i) : ids);
}

static void write_names(struct json_out *o, const char *const *names, const char *(*name)(int))
{
    jout_key(o, "enum");
    jout_begin_array(o);
    for (int i = 0; names ? names[i] != NULL : name(i) != NULL; i++)
        jout_text(o, names ? names[i] : name(i));
    jout_end_array(o);
}

static const char *state_name(int i)
{
    return i < JOB_STATE_COUNT ? job_state_name((enum job_state)i) : NULL;
}

static void write_object_schema(const struct json_field *f, struct json_out *o)
{
    jout_key(o, "type");
    jout_text(o, "object");
    jout_key(o, "properties");
    jout_begin_object(o);
    for (const struct json_field *inner = f->fields; inner->name; inner++) {
        jout_key(o, inner->name);
        json_field_schema(inner, o);
    }
    jout_end_object(o);
    jout_key(o, "additionalProperties");
    jout_bool(o, false);
}

void json_field_schema(const struct json_field *f, struct json_out *o)
{
    jout_begin_object(o);
    if (kinds[f->kind].schema) {
        buf_addstr(o->out, kinds[f->kind].schema);
        o->comma = true;
    } else if (f->kind == JSON_FIELD_OBJECT) {
        write_object_schema(f, o);
    } else if (f->kind == JSON_FIELD_CHOICE) {
        write_names(o, f->choices, NULL);
    } else {
        jout_key(o, "type");
        jout_text(o, "array");
        jout_key(o, "items");
        jout_begin_object(o);
        write_names(o, NULL, state_name);
        jout_end_object(o);
    }
    bool number = f->kind == JSON_FIELD_INT || f->kind == JSON_FIELD_NUMBER;
    bool text = f->kind == JSON_FIELD_TEXT;
    if ((number || text) && f->min != INT64_MIN && (number || f->min > 0)) {
        jout_key(o, number ? "minimum" : "minLength");
        jout_int(o, f->min);
    }
    if ((number || text) && f->max != INT64_MAX) {
        jout_key(o, number ? "maximum" : "maxLength");
        jout_int(o, f->max);
    }
    if (f->help) {
        jout_key(o, "description");
        jout_text(o, f->help);
    }
    jout_end_object(o);
}
