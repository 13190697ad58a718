#include <math.h>

#include "daemon/task/leaf_http.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

static void choice(struct parser *p, const json_t *json, const char *word, void *out)
{
    const char *const words[] = {word, NULL};
    *(int *)out = parser_choice(p, json, words) == 0;
}

static void parse_on_lost(struct parser *p, const json_t *json, void *out)
{
    static const char *const words[] = {"fail", "retry", NULL};
    int i = parser_choice(p, json, words);
    *(int *)out = i == 0 ? ON_LOST_FAIL : i == 1 ? ON_LOST_RETRY : ON_LOST_UNSAID;
}

static void parse_leftover(struct parser *p, const json_t *json, void *out)
{
    choice(p, json, "keep", out);
}

static void release_choice(void *out)
{
    (void)out;
}

const struct field_type field_on_lost = {parse_on_lost, release_choice, "\"fail\" or \"retry\""};
const struct field_type field_leftover = {parse_leftover, release_choice, "\"keep\""};

void leaf_check(struct parser *p, struct node *node)
{
    const struct leaf_node *n = (const struct leaf_node *)(void *)node;
    const struct value *v = n->priority ? expr_literal(n->priority) : NULL;
    if (v && (value_type(v) != VALUE_INT || llabs(value_get_int(v)) > 1000))
        parser_complain(p, NULL, "\"priority\" is a whole number from -1000 to 1000");
    v = n->slots ? expr_literal(n->slots) : NULL;
    if (v && (value_type(v) != VALUE_INT || value_get_int(v) < 1))
        parser_complain(p, NULL, "\"slots\" is a whole number from 1");
    v = n->args ? expr_literal(n->args) : NULL;
    if (v && value_type(v) != VALUE_LIST)
        parser_complain(p, NULL, "\"args\" is a list of strings");
    v = n->limits ? expr_literal(n->limits) : NULL;
    if (v && value_type(v) != VALUE_OBJECT)
        parser_complain(p, NULL, "\"limits\" is an object");
    streams_check(p, n->streams);
}

static bool bad(struct value **error, const char *what, const struct value *v)
{
    *error = error_new("TypeError", "%s, not %s", what, value_type_name(v));
    return false;
}

/* A NUL byte would end a word early. */
enum text_rule { TEXT_WORD, TEXT_NOT_EMPTY };

/* Whether it is text or {"base64": …} of that kind. */
static bool check_text(const struct value *v, enum text_rule rule, const char *what,
                       struct value **error)
{
    struct buf bytes = {0};
    bool is = value_to_bytes(v, &bytes);
    bool nul = bytes.len && memchr(bytes.data, 0, bytes.len), empty = bytes.len == 0;
    buf_release(&bytes);
    if (!is)
        return bad(error, what, v);
    if (nul)
        *error = error_new("ValueError", "%s without NUL bytes", what);
    else if (rule == TEXT_NOT_EMPTY && empty)
        *error = error_new("ValueError", "%s that is not empty", what);
    else
        return true;
    return false;
}

/* What may go to a program: text, {"base64": …}, or a number as its text. NULL: neither. */
static struct value *word(struct value *v, const char *what, struct value **error)
{
    if (!value_is_number(v))
        return check_text(v, TEXT_WORD, what, error) ? value_ref(v) : NULL;
    struct buf text = {0};
    value_write_text(&text, v);
    struct value *ret = value_string(buf_cstr(&text), text.len);
    buf_release(&text);
    return ret;
}

static bool add_words(const struct value *list, const char *what, struct value **items, size_t *n,
                      struct value **error)
{
    for (size_t i = 0; i < value_count(list); i++) {
        struct value *w = word(value_item(list, i), what, error);
        if (!w)
            return false;
        items[(*n)++] = w;
    }
    return true;
}

/* The words of list behind those of `before`. */
static struct value *argv_of(const struct value *before, const struct value *list, const char *what,
                             struct value **error)
{
    size_t n = 0, room = (before ? value_count(before) : 0) + value_count(list) + 1;
    cleanup_free struct value **items = xmalloc(room * sizeof *items);
    bool ok = (!before || add_words(before, what, items, &n, error)) &&
              add_words(list, what, items, &n, error);
    if (ok)
        return value_list(items, n);
    while (n > 0)
        value_unref(items[--n]);
    return NULL;
}

static struct value *run_argv(const struct task *t, const struct leaf_node *n, struct value **error)
{
    cleanup_value struct value *v = task_try_eval(t, n->argv, error);
    if (!v)
        return NULL;
    if (value_type(v) != VALUE_LIST) {
        bad(error, "run takes a list of strings", v);
        return NULL;
    }
    if (value_count(v) == 0) {
        *error = error_new("ValueError", "run needs at least the program's name");
        return NULL;
    }
    return argv_of(NULL, v, "run takes strings", error);
}

static struct value *sh_argv(const struct task *t, const struct leaf_node *n, struct value **error)
{
    cleanup_value struct value *args = n->args ? task_try_eval(t, n->args, error) : value_null();
    if (!args)
        return NULL;
    if (value_type(args) != VALUE_LIST && value_type(args) != VALUE_NULL) {
        bad(error, "args takes a list of strings", args);
        return NULL;
    }
    struct value *head[] = {value_text("/bin/sh"), value_text("-c"), value_text(n->script),
                            value_text("sh")};
    cleanup_value struct value *before = value_list(head, ARRAY_LEN(head));
    return argv_of(before, args, "args takes strings", error);
}

static bool eval_env(const struct task *t, const struct expr *e, struct value **ret,
                     struct value **error)
{
    cleanup_value struct value *v = e ? task_try_eval(t, e, error) : value_null();
    if (!v)
        return false;
    if (value_type(v) == VALUE_NULL)
        return true;
    if (value_type(v) != VALUE_OBJECT)
        return bad(error, "env takes an object of strings", v);
    cleanup_free struct value_member *m = xmalloc((value_count(v) + 1) * sizeof *m);
    for (size_t i = 0; i < value_count(v); i++) {
        const struct value_member *from = value_member(v, i);
        size_t len;
        const char *name = value_get_string(from->key, &len);
        struct value *w = NULL;
        if (len == 0 || memchr(name, 0, len) || memchr(name, '=', len))
            *error = error_new("ValueError", "\"%.100s\" is no name of the environment", name);
        else if (value_type(from->value) == VALUE_NULL)
            w = value_null();
        else
            w = word(from->value, "env takes strings", error);
        if (w) {
            m[i] = (struct value_member){value_ref(from->key), w};
            continue;
        }
        while (i > 0) {
            value_unref(m[--i].key);
            value_unref(m[i].value);
        }
        return false;
    }
    *ret = value_object(m, value_count(v));
    return true;
}

static bool eval_text(const struct task *t, const struct expr *e, const char *what,
                      enum text_rule rule, struct value **ret, struct value **error)
{
    cleanup_value struct value *v = e ? task_try_eval(t, e, error) : value_null();
    if (!v)
        return false;
    if (value_type(v) == VALUE_NULL)
        return true;
    if (!check_text(v, rule, what, error))
        return false;
    *ret = value_ref(v);
    return true;
}

static bool eval_numbers(const struct task *t, const struct leaf_node *n, struct leaf_spec *spec,
                         struct value **error)
{
    double priority, slots;
    if (!eval_number(t, n->priority, "priority", t->job->priority, &priority, error) ||
        !eval_number(t, n->slots, "slots", 1, &slots, error))
        return false;
    if (!(fabs(priority) <= 1000) || !(slots >= 1 && slots <= 100000)) {
        *error = error_new("ValueError", "%s",
                           fabs(priority) <= 1000 ? "slots is a number from 1 to 100000"
                                                  : "priority is a number from -1000 to 1000");
        return false;
    }
    spec->priority = (int32_t)priority;
    spec->slots = (uint32_t)slots;
    return true;
}

/* What commands and requests share. */
static bool eval_common(const struct task *t, const struct leaf_node *n, struct leaf_spec *spec,
                        struct value **error)
{
    return eval_text(t, n->pool, "pool takes a string", TEXT_NOT_EMPTY, &spec->pool, error) &&
           eval_bool(t, n->check, "check", true, &spec->check, error) &&
           eval_numbers(t, n, spec, error);
}

static bool eval_command(const struct task *t, const struct leaf_node *n, struct leaf_spec *spec,
                         struct value **error)
{
    cleanup_value struct value *limits = NULL;
    if (n->limits && !(limits = task_try_eval(t, n->limits, error)))
        return false;
    if (limits && value_type(limits) != VALUE_OBJECT && value_type(limits) != VALUE_NULL)
        return bad(error, "limits takes an object", limits);
    spec->argv = n->script ? sh_argv(t, n, error) : run_argv(t, n, error);
    if (spec->argv && eval_env(t, n->env, &spec->env, error) &&
        eval_text(t, n->cwd, "cwd takes a string", TEXT_NOT_EMPTY, &spec->cwd, error) &&
        streams_eval(t, n->streams, spec->streams, error) && eval_common(t, n, spec, error)) {
        if (limits && value_type(limits) == VALUE_OBJECT)
            spec->limits = value_ref(limits);
        return true;
    }
    return false;
}

bool leaf_spec_eval(const struct task *t, const struct leaf_node *n, struct leaf_spec *spec,
                    struct value **error)
{
    bool http = n->node.verb == &node_http.verb;
    *spec = (struct leaf_spec){.leftover_keep = n->leftover != 0,
                               .retry_lost = n->on_lost == ON_LOST_RETRY};
    if (http ? http_request_eval(t, (const struct http_node *)(const void *)n, spec, error) &&
                   eval_common(t, n, spec, error)
             : eval_command(t, n, spec, error)) {
        if (http && n->on_lost == ON_LOST_UNSAID)
            spec->retry_lost = http_is_repeatable(spec->request);
        return true;
    }
    leaf_spec_release(spec);
    if (!*error)
        *error = error_new("ValueError", "the command is too large");
    return false;
}

void leaf_spec_release(struct leaf_spec *spec)
{
    value_unref(spec->request);
    value_unref(spec->argv);
    value_unref(spec->env);
    value_unref(spec->cwd);
    for (int i = 0; i < STREAMS; i++)
        value_unref(spec->streams[i]);
    value_unref(spec->pool);
    value_unref(spec->limits);
    *spec = (struct leaf_spec){0};
}

void leaf_spec_save(const struct leaf_spec *spec, struct buf *out)
{
    value_save_opt(spec->request, out);
    value_save_opt(spec->argv, out);
    value_save_opt(spec->env, out);
    value_save_opt(spec->cwd, out);
    for (int i = 0; i < STREAMS; i++)
        value_save_opt(spec->streams[i], out);
    value_save_opt(spec->pool, out);
    value_save_opt(spec->limits, out);
    put_u8(out, (uint8_t)((spec->check ? 2 : 0) | (spec->leftover_keep ? 4 : 0) |
                          (spec->retry_lost ? 8 : 0) | (spec->lines ? 16 : 0)));
    put_svarint(out, spec->priority);
    put_varint(out, spec->slots);
}

/* What is loaded is what could have been saved: a request, or a command. */
static bool has_one_task(const struct leaf_spec *spec)
{
    if (spec->request)
        return !spec->argv && !spec->lines && http_request_is_good(spec->request);
    return spec->argv && value_type(spec->argv) == VALUE_LIST && value_count(spec->argv) > 0;
}

bool leaf_spec_load(struct leaf_spec *spec, struct job_loader *l, struct reader *r)
{
    if (!value_load_opt(l, r, &spec->request) || !value_load_opt(l, r, &spec->argv) ||
        !value_load_opt(l, r, &spec->env) || !value_load_opt(l, r, &spec->cwd) ||
        !value_load_opt(l, r, &spec->streams[STREAM_IN]) ||
        !value_load_opt(l, r, &spec->streams[STREAM_OUT]) ||
        !value_load_opt(l, r, &spec->streams[STREAM_ERR]) || !value_load_opt(l, r, &spec->pool) ||
        !value_load_opt(l, r, &spec->limits))
        return false;
    uint8_t flags = get_u8(r);
    spec->check = flags & 2;
    spec->leftover_keep = flags & 4;
    spec->retry_lost = flags & 8;
    spec->lines = flags & 16;
    int64_t priority = get_svarint(r);
    uint64_t slots = get_varint(r);
    if (r->failed || !has_one_task(spec) || priority < -1000 || priority > 1000 || slots < 1 ||
        slots > 100000)
        return load_fail(l, "a command");
    spec->priority = (int32_t)priority;
    spec->slots = (uint32_t)slots;
    return true;
}

/* As "sh" makes it: /bin/sh -c SCRIPT sh [args]. */
static bool is_script(const struct leaf_spec *spec)
{
    return value_count(spec->argv) >= 4 &&
           strcmp(value_get_string(value_item(spec->argv, 0), NULL), "/bin/sh") == 0 &&
           strcmp(value_get_string(value_item(spec->argv, 1), NULL), "-c") == 0;
}

/* Cuts between two characters. */
static void cut(struct buf *b, size_t len)
{
    if (b->len <= len)
        return;
    while (len > 0 && ((unsigned char)b->data[len] & 0xc0) == 0x80)
        len--;
    b->len = len;
    buf_addstr(b, "…");
}

void leaf_spec_text(const struct leaf_spec *spec, size_t max, struct buf *out)
{
    size_t begin = out->len, n = spec->request ? 0 : value_count(spec->argv);
    bool script = !spec->request && is_script(spec);
    if (spec->request)
        http_request_text(spec->request, out);
    for (size_t i = script ? 2 : 0; i < n && out->len - begin < max; i++) {
        if (script && i == 3)
            continue;
        if (out->len > begin)
            buf_addch(out, ' ');
        value_write_text(out, value_item(spec->argv, i));
    }
    cut(out, begin + max);
    for (size_t i = begin; i < out->len; i++)
        if ((unsigned char)out->data[i] < 0x20)
            out->data[i] = ' ';
}

void leaf_spec_title(const struct leaf_spec *spec, size_t max, struct buf *out)
{
    const char *verb = spec->request ? "http " : is_script(spec) ? "sh " : "run ";
    buf_addstr(out, verb);
    leaf_spec_text(spec, max - strlen(verb), out);
}
