/* `after`: which jobs' ends a job waits for. */
#include <string.h>

#include "daemon/lang/json.h"
#include "daemon/lang/parser.h"
#include "proto/mem.h"

static const char *const kind_names[] = {
    [AFTER_OK] = "ok", [AFTER_ANY] = "any", [AFTER_FAIL] = "fail"};

const char *after_kind_name(enum after_kind kind)
{
    return kind_names[kind];
}

bool after_is_met(enum after_kind kind, bool succeeded)
{
    return kind == AFTER_ANY || succeeded == (kind == AFTER_OK);
}

/* A whole number ≥ 1, or its digits in a string; 0: it is none. */
static uint64_t read_id(const json_t *json)
{
    const char *s = json_string_value(json);
    size_t len = json_string_length(json);
    if (json_is_integer(json) && json_integer_value(json) > 0)
        return (uint64_t)json_integer_value(json);
    if (s && len > 0 && len <= 18 && strspn(s, "0123456789") == len)
        return strtoull(s, NULL, 10);
    return 0;
}

static void add(struct after_list *l, uint64_t job, enum after_kind kind)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->all[i].job == job && l->all[i].kind == kind)
            return;
    }
    l->all = xgrow(l->all, &l->cap, l->n + 1, sizeof *l->all);
    l->all[l->n++] = (struct after){job, kind};
}

static void parse_id(struct parser *p, const json_t *json, enum after_kind kind,
                     struct after_list *l)
{
    uint64_t id = read_id(json);
    if (!id)
        parser_complain(p, NULL, "a job's id is a whole number from 1");
    else if (l->n >= AFTER_MAX)
        parser_complain(p, NULL, "a job waits for at most %d others", AFTER_MAX);
    else
        add(l, id, kind);
}

static void parse_ids(struct parser *p, const json_t *json, enum after_kind kind,
                      struct after_list *l)
{
    if (!json_is_array(json)) {
        parse_id(p, json, kind, l);
        return;
    }
    size_t complaints = p->complaints;
    for (size_t i = 0; i < json_array_size(json) && p->complaints == complaints; i++) {
        parser_enter_index(p, i);
        parse_id(p, json_array_get(json, i), kind, l);
        parser_leave(p);
    }
}

static void parse_kind(struct parser *p, const char *key, const json_t *json, struct after_list *l)
{
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
        if (strcmp(key, kind_names[i]) == 0) {
            parser_enter_key(p, key);
            parse_ids(p, json, (enum after_kind)i, l);
            parser_leave(p);
            return;
        }
    }
    parser_complain_key(p, key, NULL,
                        "\"after\" has \"ok\" (succeeded), \"any\" (ended) and \"fail\" (did not "
                        "succeed), not \"%s\"",
                        key);
}

static void parse_after(struct parser *p, const json_t *json, void *out)
{
    if (!json_is_object(json)) {
        parse_ids(p, json, AFTER_OK, out);
        return;
    }
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        parse_kind(p, json_object_iter_key(it), json_object_iter_value(it), out);
}

void after_release(struct after_list *l)
{
    free(l->all);
    *l = (struct after_list){0};
}

static void release_after(void *out)
{
    after_release(out);
}

const struct field_type after_type = {parse_after, release_after, "ids of jobs"};

/* As text: {"ok":[3,5],"any":[7]}. */

void after_write(const struct after_list *l, struct buf *out)
{
    const char *between = "";
    buf_addch(out, '{');
    for (size_t k = 0; k < ARRAY_LEN(kind_names); k++) {
        const char *before = NULL;
        for (size_t i = 0; i < l->n; i++) {
            if (l->all[i].kind != k)
                continue;
            if (before)
                buf_addstr(out, before);
            else
                buf_printf(out, "%s\"%s\":[", between, kind_names[k]);
            buf_printf(out, "%llu", (unsigned long long)l->all[i].job);
            before = ",";
        }
        if (before) {
            buf_addch(out, ']');
            between = ",";
        }
    }
    buf_addch(out, '}');
}

bool after_read(const char *text, size_t len, struct after_list *ret, struct err *err)
{
    struct after_list l = {0};
    json_t *root = json_parse(text, len, 4, err);
    if (!root)
        return false;
    for (size_t k = 0; k < ARRAY_LEN(kind_names); k++) {
        const json_t *ids = json_object_get(root, kind_names[k]);
        for (size_t i = 0; i < json_array_size(ids); i++) {
            uint64_t id = read_id(json_array_get(ids, i));
            if (id)
                add(&l, id, (enum after_kind)k);
        }
    }
    json_decref(root);
    *ret = l;
    return true;
}
