/* Compiles a JSON value with `${…}` in its strings. */
#include <errno.h>
#include <string.h>

#include "daemon/lang/expr_tree.h"
#include "daemon/lang/json.h"
#include "daemon/lang/logic.h"
#include "daemon/lang/parser.h"
#include "proto/mem.h"

static struct expr *expr_new(struct parser *p, enum expr_kind kind)
{
    struct expr *e = xcalloc(1, sizeof *e);
    e->kind = kind;
    e->atoms = &p->program->atoms;
    return e;
}

struct expr *expr_of_value(struct parser *p, struct value *v)
{
    struct expr *e = expr_new(p, EXPR_LITERAL);
    if (!v)
        parser_complain(p, NULL, "the value is too large (%d MiB) or too deep (%d)",
                        VALUE_MAX_BYTES / 1024 / 1024, VALUE_MAX_DEPTH);
    e->literal = v ? v : value_null();
    return e;
}

static bool name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static size_t name_length(const char *s, const char *end)
{
    const char *at = s;
    while (at < end && (name_start(*at) || (at > s && *at >= '0' && *at <= '9')))
        at++;
    return (size_t)(at - s);
}

bool is_name(const char *s, size_t len)
{
    return len > 0 && name_length(s, s + len) == len;
}

/* `"key"` with \" and \\ inside. Returns what follows, NULL when it does not end. */
static const char *parse_quoted(const char *s, const char *end, struct step *step)
{
    struct buf key = {0};
    for (s++; s < end && *s != '"'; s++) {
        if (*s == '\\' && s + 1 < end)
            s++;
        buf_addch(&key, *s);
    }
    if (s < end)
        step->key = value_string(key.data ? key.data : "", key.len);
    buf_release(&key);
    return s < end ? s + 1 : NULL;
}

static const char *parse_index(const char *s, const char *end, struct step *step)
{
    char digits[20] = {0};
    size_t n = 0;
    if (s < end && *s == '-')
        digits[n++] = *s++;
    while (s < end && *s >= '0' && *s <= '9' && n < sizeof digits - 1)
        digits[n++] = *s++;
    errno = 0;
    char *stop;
    step->index = strtoll(digits, &stop, 10);
    return stop > digits && *stop == '\0' && errno == 0 ? s : NULL;
}

/* `.key`, `[0]`, `["key"]`. Returns what follows, NULL for bad syntax. */
static const char *parse_step(const char *s, const char *end, struct step *step)
{
    if (*s == '.') {
        size_t n = name_length(s + 1, end);
        if (n > 0)
            step->key = value_string(s + 1, n);
        return n > 0 ? s + 1 + n : NULL;
    }
    if (*s != '[' || s + 1 == end)
        return NULL;
    s = s[1] == '"' ? parse_quoted(s + 1, end, step) : parse_index(s + 1, end, step);
    return s && s < end && *s == ']' ? s + 1 : NULL;
}

/* What stands behind `${`; *after is set behind the `}`. NULL (and a complaint) for bad syntax. */
static struct expr *parse_path(struct parser *p, const char *s, const char *end, const char **after)
{
    const char *start = s - 2;
    size_t n = name_length(s, end), cap = 0;
    struct expr *e = expr_new(p, EXPR_PATH);
    if (n > 0)
        e->atom = atoms_intern(&p->program->atoms, s, n);
    const char *at = n > 0 ? s + n : NULL;
    while (at && at < end && *at != '}') {
        e->steps = xgrow(e->steps, &cap, e->n + 1, sizeof *e->steps);
        e->steps[e->n] = (struct step){0};
        at = parse_step(at, end, &e->steps[e->n]);
        e->n++;
    }
    if (at && at < end) {
        *after = at + 1;
        scope_use(p, e->atom);
        return e;
    }
    const char *close = memchr(start, '}', (size_t)(end - start));
    size_t shown = (size_t)((close ? close + 1 : end) - start);
    parser_complain(p, "a literal ${ is written $${",
                    "\"%.*s\" is no name with .key, [index] or [\"key\"] behind it",
                    (int)(shown > 80 ? 80 : shown), start);
    expr_free(e);
    return NULL;
}

struct parts {
    struct expr **all;
    size_t n, cap;
};

static void parts_add(struct parts *l, struct expr *e)
{
    l->all = xgrow(l->all, &l->cap, l->n + 1, sizeof(struct expr *));
    l->all[l->n++] = e;
}

static void flush_text(struct parser *p, struct parts *parts, struct buf *text)
{
    if (text->len > 0)
        parts_add(parts, expr_of_value(p, value_string(text->data, text->len)));
    buf_clear(text);
}

/* Cuts the string into text and paths; after bad syntax the rest counts as text. */
static void cut(struct parser *p, const char *s, const char *end, struct parts *parts)
{
    struct buf text = {0};
    while (s < end) {
        size_t left = (size_t)(end - s);
        struct expr *path = NULL;
        if (left >= 3 && memcmp(s, "$${", 3) == 0) {
            buf_addstr(&text, "${");
            s += 3;
        } else if (left >= 2 && s[0] == '$' && s[1] == '{' &&
                   (path = parse_path(p, s + 2, end, &s)) != NULL) {
            flush_text(p, parts, &text);
            parts_add(parts, path);
        } else if (left >= 2 && s[0] == '$' && s[1] == '{') {
            break; /* complained */
        } else {
            buf_addch(&text, *s++);
        }
    }
    if (text.len > 0 || parts->n == 0)
        flush_text(p, parts, &text);
    buf_release(&text);
}

struct expr *expr_of_string(struct parser *p, const char *s, size_t len)
{
    if (!memmem(s, len, "${", 2))
        return expr_of_value(p, value_string(s, len));
    struct parts parts = {0};
    cut(p, s, s + len, &parts);
    if (parts.n == 1) {
        struct expr *only = parts.all[0];
        free(parts.all);
        return only;
    }
    if (parts.n == 0)
        return expr_of_value(p, value_text(""));
    struct expr *e = expr_new(p, EXPR_TEXT);
    e->args = parts.all;
    e->n = parts.n;
    return e;
}

struct expr *expr_of_splice(struct parser *p, const json_t *json)
{
    const char *s = json_string_value(json);
    size_t len = json_string_length(json);
    if (!s || len < 6 || memcmp(s, "...${", 5) != 0)
        return NULL;
    size_t before = p->complaints;
    struct expr *path = expr_of_string(p, s + 3, len - 3);
    if (path->kind == EXPR_PATH)
        return path;
    expr_free(path);
    /* Bad syntax was complained about; anything else is text and is read again as such. */
    return p->complaints > before ? expr_of_value(p, value_list(NULL, 0)) : NULL;
}

struct expr *expr_splice(struct parser *p, struct expr *path)
{
    struct expr *e = expr_new(p, EXPR_SPLICE);
    e->args = xmalloc(sizeof(struct expr *));
    e->args[0] = path;
    e->n = 1;
    return e;
}

static struct expr *parse_item(struct parser *p, const json_t *json,
                               struct expr *(*parse)(struct parser *, const json_t *))
{
    struct expr *path = expr_of_splice(p, json);
    return path ? expr_splice(p, path) : parse(p, json);
}

static bool all_literal(const struct expr *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->args[i]->kind != EXPR_LITERAL)
            return false;
    return true;
}

/* A list or an object of literals is a literal. */
static struct expr *fold(struct parser *p, struct expr *e)
{
    if (!all_literal(e))
        return e;
    struct value *v;
    if (e->kind == EXPR_LIST) {
        cleanup_free struct value **items = xmalloc((e->n + 1) * sizeof *items);
        for (size_t i = 0; i < e->n; i++)
            items[i] = value_ref(e->args[i]->literal);
        v = value_list(items, e->n);
    } else {
        cleanup_free struct value_member *m = xmalloc((e->n + 1) * sizeof *m);
        for (size_t i = 0; i < e->n; i++)
            m[i] = (struct value_member){value_ref(e->keys[i]), value_ref(e->args[i]->literal)};
        v = value_object(m, e->n);
    }
    expr_free(e);
    return expr_of_value(p, v);
}

struct expr *expr_of_list(struct parser *p, const json_t *json,
                          struct expr *(*parse)(struct parser *, const json_t *))
{
    struct expr *e = expr_new(p, EXPR_LIST);
    e->args = xmalloc((json_array_size(json) + 1) * sizeof(struct expr *));
    for (size_t i = 0; i < json_array_size(json); i++) {
        parser_enter_index(p, i);
        e->args[e->n++] = parse_item(p, json_array_get(json, i), parse);
        parser_leave(p);
    }
    return fold(p, e);
}

static struct expr *expr_of_object(struct parser *p, const json_t *json)
{
    struct expr *e = expr_new(p, EXPR_OBJECT);
    size_t n = json_object_size(json);
    e->args = xmalloc((n + 1) * sizeof(struct expr *));
    e->keys = xmalloc((n + 1) * sizeof(struct value *));
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        parser_enter_key(p, json_object_iter_key(it));
        e->keys[e->n] = value_string(json_object_iter_key(it), json_object_iter_key_len(it));
        e->args[e->n++] = parser_expr(p, json_object_iter_value(it));
        parser_leave(p);
    }
    return fold(p, e);
}

struct expr *parser_expr(struct parser *p, const json_t *json)
{
    if (json_is_string(json))
        return expr_of_string(p, json_string_value(json), json_string_length(json));
    if (json_is_array(json))
        return expr_of_list(p, json, parser_expr);
    if (!json_is_object(json))
        return expr_of_value(p, value_from_json(json));
    const json_t *logic = json_object_get(json, "expr");
    if (!logic || json_object_size(json) != 1)
        return expr_of_object(p, json);
    parser_enter_key(p, "expr");
    struct expr *e = parser_logic(p, logic);
    parser_leave(p);
    return e;
}
